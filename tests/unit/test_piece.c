#include "repo/piece.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/key.h"
#include "repo/object.h"
#include "tests/lib/chance.h"
#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vector.h"

#define SEGMENT (UINT32_C(16) << 20)
#define AT UINT64_C(0x57c000000)
#define N 300000

static struct repokit k;
static uint8_t wal[N];

static int
setup(void **state)
{
	(void)state;
	repokit_init(&k, 1);
	vector_noise(wal, N / 2, 1); /* the rest is zeros and shrinks */
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	repokit_done(&k);
	return 0;
}

static struct piece
piece_of(const char *host)
{
	struct piece p = {
		.at = {
			.place = { .source = "pg.a", .sysid = 77, .epoch = 3 },
			.kind = LAYOUT_WAL_PIECE,
			.tli = 2,
			.start = AT,
			.end = AT + N,
		},
		.segment_size = SEGMENT,
		.version = 150018,
		.sampled = true,
		.sample = { .time_ns = 1795226400123456000, .flush_lsn = AT + N, .commits = 12 },
	};

	snprintf(p.host, sizeof(p.host), "%s", host);
	return p;
}

/* Seals `bytes` as host; the caller is done with *sealed. */
static void
seal(const char *host, const void *bytes, struct buf *sealed, char name[LAYOUT_NAME])
{
	struct piece p = piece_of(host);
	struct err e = { 0 };

	buf_init(sealed, STORE_OBJECT_MAX);
	if (piece_seal(k.repo->keys, &p, bytes, N, sealed, name, &e) == -1)
		fail_msg("%s", e.text);
}

static void
a_piece_comes_back_with_its_head(void **state)
{
	char name[LAYOUT_NAME];
	struct buf sealed, got;
	struct err e = { 0 };
	struct piece p;

	(void)state;
	seal("db one", wal, &sealed, name);
	assert_true(sealed.len < N * 3 / 4); /* half of it is zeros */
	buf_init(&got, N);
	assert_int_equal(piece_open(k.repo->keys, name, &sealed, &p, &got, &e), 0);
	assert_int_equal(got.len, N);
	assert_memory_equal(got.data, wal, N);
	assert_string_equal(p.host, "db one");
	assert_int_equal(p.segment_size, SEGMENT);
	assert_int_equal(p.version, 150018);
	assert_true(p.sampled);
	assert_int_equal(p.sample.time_ns, 1795226400123456000);
	assert_int_equal(p.sample.flush_lsn, AT + N);
	assert_int_equal(p.sample.last_commit_ns, 0);
	assert_int_equal(p.sample.commits, 12);
	assert_int_equal(p.at.tli, 2);
	assert_int_equal(piece_open(k.repo->keys, name, &sealed, &p, NULL, &e), 0);
	buf_done(&got);
	buf_done(&sealed);
}

static void
what_no_piece_can_be_is_not_sealed(void **state)
{
	struct piece p = piece_of("a");
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf sealed;

	(void)state;
	buf_init(&sealed, STORE_OBJECT_MAX);
	p.at.start = AT + SEGMENT - 10; /* across the end of a segment */
	p.at.end = p.at.start + N;
	repokit_refused(piece_seal(k.repo->keys, &p, wal, N, &sealed, name, &e), &e, ERR_BUG,
	    "is no piece of a segment");
	p = piece_of("a");
	repokit_refused(piece_seal(k.repo->keys, &p, wal, N - 1, &sealed, name, &e), &e, ERR_BUG,
	    "is no piece of a segment");
	p.segment_size = 12345;
	repokit_refused(piece_seal(k.repo->keys, &p, wal, N, &sealed, name, &e), &e, ERR_BUG,
	    "segments of 12345 bytes");
	buf_done(&sealed);
}

/* Every kind of damage, each told from the others; nothing of the WAL comes out. */
static void
a_mutilated_piece_does_not_open(void **state)
{
	char name[LAYOUT_NAME], other[LAYOUT_NAME];
	struct keyring *foreign = repokit_keyring();
	struct wal_place place = { .source = "pg.a", .sysid = 77, .epoch = 4 };
	struct buf sealed, got;
	struct err e = { 0 };
	struct piece p;

	(void)state;
	seal("a", wal, &sealed, name);
	buf_init(&got, N);
	chance_seed(3);
	for (int i = 0; i < 60; i++) {
		size_t at = i < 10 ? (size_t)i * 8 : chance_below(sealed.len);
		uint8_t bit = (uint8_t)(1u << chance_below(8));

		sealed.data[at] ^= bit;
		if (piece_open(k.repo->keys, name, &sealed, &p, &got, &e) != -1)
			fail_msg("a flipped bit in byte %zu went unseen", at);
		assert_int_equal(got.len, 0);
		/* For a server only the hash behind everything may be wrong. */
		if (at < sealed.len - LAYOUT_SHA &&
		    piece_read(k.repo->keys, name, &sealed, &p, &got, &e) != -1)
			fail_msg("a flipped bit in byte %zu would be handed to a server", at);
		buf_reset(&got);
		sealed.data[at] ^= bit;
	}
	for (int i = 0; i < 30; i++) {
		struct buf cut = { .data = sealed.data, .len = chance_below(sealed.len) };

		assert_int_equal(piece_open(k.repo->keys, name, &cut, &p, &got, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_int_equal(piece_read(k.repo->keys, name, &cut, &p, &got, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
	}
	layout_wal_piece(&place, 2, AT, AT + N, other);
	repokit_refused(piece_open(k.repo->keys, other, &sealed, &p, &got, &e), &e, ERR_CORRUPT,
	    "calls itself");
	repokit_refused(piece_read(k.repo->keys, other, &sealed, &p, &got, &e), &e, ERR_CORRUPT,
	    "calls itself");
	repokit_refused(piece_open(foreign, name, &sealed, &p, &got, &e), &e, ERR_CORRUPT,
	    "another repository");
	assert_int_equal(piece_open(k.repo->keys, name, &sealed, &p, &got, &e), 0);
	buf_reset(&got);
	assert_int_equal(piece_read(k.repo->keys, name, &sealed, &p, &got, &e), 0);
	assert_int_equal(got.len, N);
	assert_memory_equal(got.data, wal, N);
	keyring_free(foreign);
	buf_done(&got);
	buf_done(&sealed);
}

/* A W of ours whose frames are whatever is given. */
static void
forge(const char *name, const char *head, size_t n, struct buf *out)
{
	struct object_builder b;
	uint8_t sha[LAYOUT_SHA];
	struct err e = { 0 };

	object_build(&b, OBJECT_WAL, STORE_OBJECT_MAX);
	object_add_name(&b, k.repo->keys, name);
	object_add_text(&b, k.repo->keys, head, strlen(head));
	object_add_raw(&b, k.repo->keys, FRAME_WAL, wal, n);
	assert_int_equal(object_seal(&b, k.repo->keys, name, sha, &e), 0);
	buf_init(out, STORE_OBJECT_MAX);
	buf_add(out, b.bytes.data, b.bytes.len);
	object_build_done(&b);
}

static void
a_piece_whose_parts_contradict_each_other_does_not_open(void **state)
{
	static const struct {
		const char *head, *says;
		size_t n;
	} bad[] = {
		{ "segment-size 16777216\nversion 1\nhost a\n", "is no piece", 999 },
		{ "segment-size 16777216\nversion 1\nhost a\n", "is no piece", 1001 },
		{ "segment-size 16777217\nversion 1\nhost a\n", "segments of", 1000 },
		{ "segment-size 16777216\nversion 1\n", "host", 1000 },
		{ "segment-size 16777216\nversion 1\nhost a b\n", "host", 1000 },
		{ "segment-size 16777216\nversion 1\nhost a\ntime 1\n", "flush", 1000 },
		{ "segment-size 016777216\nversion 1\nhost a\n", "segment-size", 1000 },
		{ "segment-size 16777216\nversion 1\nhost a\nmore 1\n", "end of the text", 1000 },
		{ "", "segment-size", 1000 },
	};
	struct wal_place place = { .source = "pg.a", .sysid = 77, .epoch = 4 };
	char name[LAYOUT_NAME];
	struct buf sealed, got;
	struct err e = { 0 };
	struct piece p;

	(void)state;
	layout_wal_piece(&place, 2, AT, AT + 1000, name);
	buf_init(&got, N);
	forge(name, "segment-size 16777216\nversion 1\nhost a\n", 1000, &sealed);
	assert_int_equal(piece_open(k.repo->keys, name, &sealed, &p, &got, &e), 0);
	buf_done(&sealed);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		forge(name, bad[i].head, bad[i].n, &sealed);
		repokit_refused(piece_open(k.repo->keys, name, &sealed, &p, &got, &e), &e,
		    ERR_CORRUPT, bad[i].says);
		buf_done(&sealed);
	}
	buf_done(&got);
}

static void
putting_the_same_wal_again_is_fine_and_other_wal_is_refused(void **state)
{
	char name[LAYOUT_NAME];
	struct store *s = k.tier[0].store;
	struct buf a, b, c;
	struct err e = { 0 };
	uint8_t *other = xmemdup(wal, N);

	(void)state;
	other[N - 1] ^= 1;
	seal("host-a", wal, &a, name);
	seal("host-b", wal, &b, name);
	seal("host-c", other, &c, name);
	assert_int_equal(piece_put(k.repo->keys, s, name, &a, &e), 1);
	assert_int_equal(piece_put(k.repo->keys, s, name, &a, &e), 0);
	assert_int_equal(piece_put(k.repo->keys, s, name, &b, &e), 0);
	repokit_refused(piece_put(k.repo->keys, s, name, &c, &e), &e, ERR_EXISTS, "'host-a'");
	repokit_refused(-1, &e, ERR_EXISTS, "'host-c'");
	buf_done(&a);
	buf_done(&b);
	buf_done(&c);
	free(other);
}

static void
a_damaged_piece_in_the_way_is_set_aside_and_a_foreign_one_is_not(void **state)
{
	char name[LAYOUT_NAME];
	struct store *s = k.tier[0].store;
	struct keyring *foreign = repokit_keyring(), *own = k.repo->keys;
	struct buf a, b, got;
	struct piece p = piece_of("x");
	struct err e = { 0 };
	uint8_t *there;
	size_t len;

	(void)state;
	seal("host-a", wal, &a, name);
	assert_int_equal(piece_put(own, s, name, &a, &e), 1);
	there = memstore_bytes(s, name, &len);
	there[len / 2] ^= 4;
	assert_int_equal(piece_put(own, s, name, &a, &e), 2);
	assert_non_null(memstore_bytes(s, "bad/wal/pg.a/77/00000003/00000002/000000057c000000-"
	    "000000057c0493e0", &len));
	buf_init(&got, STORE_OBJECT_MAX);
	assert_int_equal(store_get(s, name, &got, &e), 0);
	assert_int_equal(got.len, a.len);

	memstore_drop(s, name);
	buf_init(&b, STORE_OBJECT_MAX);
	assert_int_equal(piece_seal(foreign, &p, wal, N, &b, name, &e), 0);
	assert_int_equal(store_put(s, name, b.data, b.len, STORE_NEW, &e), 1);
	repokit_refused(piece_put(own, s, name, &a, &e), &e, ERR_CORRUPT, "another repository");
	keyring_free(foreign);
	buf_done(&got);
	buf_done(&a);
	buf_done(&b);
}

static void
other_files_are_stored_whole_and_of_any_length(void **state)
{
	struct piece p = piece_of("a"), back;
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf sealed, got;

	(void)state;
	p.at = (struct layout_wal){ .place = p.at.place, .kind = LAYOUT_WAL_OTHER };
	snprintf(p.at.file, sizeof(p.at.file), "000000010000000000000006.00000028.backup");
	buf_init(&sealed, STORE_OBJECT_MAX);
	buf_init(&got, N);
	for (size_t n = 0; n <= N; n += N / 2) {
		buf_reset(&got);
		assert_int_equal(piece_seal(k.repo->keys, &p, wal, n, &sealed, name, &e), 0);
		assert_int_equal(piece_open(k.repo->keys, name, &sealed, &back, &got, &e), 0);
		assert_int_equal(got.len, n);
		assert_string_equal(back.at.file, p.at.file);
	}
	buf_done(&sealed);
	buf_done(&got);
}

static void
a_part_of_a_long_file_is_as_long_as_its_name_says(void **state)
{
	struct piece p = piece_of("a"), back;
	char name[LAYOUT_NAME], longer[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf sealed, got;

	(void)state;
	p.at = (struct layout_wal){
		.place = p.at.place, .kind = LAYOUT_WAL_OTHER, .start = N, .end = 2 * N
	};
	snprintf(p.at.file, sizeof(p.at.file), "000000010000000000000006.partial");
	buf_init(&sealed, STORE_OBJECT_MAX);
	buf_init(&got, N);
	assert_int_equal(piece_seal(k.repo->keys, &p, wal, N, &sealed, name, &e), 0);
	assert_int_equal(piece_open(k.repo->keys, name, &sealed, &back, &got, &e), 0);
	assert_int_equal(got.len, N);
	assert_memory_equal(got.data, wal, N);
	assert_int_equal(back.at.start, N);
	assert_int_equal(back.at.end, 2 * N);
	layout_wal_part(&p.at.place, p.at.file, N, 2 * N + 1, longer);
	repokit_refused(piece_open(k.repo->keys, longer, &sealed, &p, &got, &e), &e, ERR_CORRUPT,
	    "");
	assert_int_equal(piece_seal(k.repo->keys, &p, wal, N - 1, &sealed, name, &e), -1);
	p.at.end = (uint64_t)p.segment_size + 1;
	p.at.start = p.at.end - N;
	assert_int_equal(piece_seal(k.repo->keys, &p, wal, N, &sealed, name, &e), -1);
	buf_done(&sealed);
	buf_done(&got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_piece_comes_back_with_its_head, setup, teardown),
		cmocka_unit_test_setup_teardown(what_no_piece_can_be_is_not_sealed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_mutilated_piece_does_not_open, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_piece_whose_parts_contradict_each_other_does_not_open, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    putting_the_same_wal_again_is_fine_and_other_wal_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_damaged_piece_in_the_way_is_set_aside_and_a_foreign_one_is_not, setup, teardown),
		cmocka_unit_test_setup_teardown(other_files_are_stored_whole_and_of_any_length, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_part_of_a_long_file_is_as_long_as_its_name_says, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
