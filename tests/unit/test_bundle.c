#include "repo/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/object.h"
#include "tests/lib/piecekit.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vector.h"

#define SEGMENT (UINT32_C(1) << 20)
#define START (UINT64_C(0x500000000))
#define PIECES 5

static struct keyring *keys, *others;
static const struct wal_place place = { .source = "pg.a", .sysid = 77, .epoch = 2 };
/* Where they join; the last one lies in the second segment. */
static const uint64_t at[PIECES + 1] = { START, START + 1000, START + 1001, START + 300000,
	START + SEGMENT, START + SEGMENT + 8192 };
static uint8_t wal[SEGMENT + 8192];
static struct buf piece[PIECES];
static char name[LAYOUT_NAME];

static void
seal(const struct keyring *k, const struct wal_place *p, uint64_t from, uint64_t to, struct buf *out)
{
	const struct piecekit kit = { .keys = k, .place = *p, .tli = 1, .segment_size = SEGMENT,
		.start = START, .wal = wal };
	char own[LAYOUT_NAME];

	piecekit_seal(&kit, from, to, out, own);
}

static int
setup(void **state)
{
	(void)state;
	keys = repokit_keyring();
	others = repokit_keyring();
	others->repo_id[0] ^= 1;
	vector_noise(wal, sizeof(wal) / 2, 3);
	for (size_t i = 0; i < PIECES; i++) {
		buf_init(&piece[i], STORE_OBJECT_MAX);
		seal(keys, &place, at[i], at[i + 1], &piece[i]);
	}
	layout_wal_bundle(&place, 1, at[0], at[PIECES], name);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < PIECES; i++)
		buf_done(&piece[i]);
	keyring_free(keys);
	keyring_free(others);
	return 0;
}

/* Pieces in that order, "01234" for all. */
static void
join(const char *order, struct buf *out)
{
	buf_init(out, STORE_OBJECT_MAX);
	for (; *order; order++)
		buf_add(out, piece[*order - '0'].data, piece[*order - '0'].len);
}

static void
refused(const char *as, const struct buf *all, enum err_kind kind, const char *says)
{
	struct err e = { 0 };

	repokit_refused(bundle_check(keys, as, all, &e), &e, kind, says);
}

static void
a_bundle_is_its_pieces_one_behind_the_other_and_each_comes_out_as_it_was(void **state)
{
	struct bundle_piece p;
	struct bundle_walk w;
	struct err e = { 0 };
	struct buf all;

	(void)state;
	join("01234", &all);
	assert_int_equal(bundle_check(keys, name, &all, &e), 0);
	assert_int_equal(bundle_check_plain(&all, &e), 0);
	assert_int_equal(bundle_begin(&w, keys, name, &all, &e), 0);
	for (size_t i = 0; i < PIECES; i++) {
		assert_int_equal(bundle_next(&w, &p, &e), 1);
		assert_int_equal(p.at.start, at[i]);
		assert_int_equal(p.at.end, at[i + 1]);
		assert_int_equal(p.sealed.len, piece[i].len);
		assert_memory_equal(p.sealed.data, piece[i].data, piece[i].len);
	}
	assert_int_equal(bundle_next(&w, &p, &e), 0);
	buf_done(&all);
}

static void
what_is_missing_twice_or_in_another_order_is_no_bundle(void **state)
{
	static const struct {
		const char *order, *says;
	} wrong[] = {
		{ "0123", "ends at" },	/* the last one is missing */
		{ "1234", "from 5/0 on has to stand" }, /* the first */
		{ "0134", "has to stand" }, /* a gap */
		{ "01134", "has to stand" },
		{ "10234", "has to stand" }, /* swapped */
		{ "01243", "has to stand" },
		{ "012344", "has to stand" },
		{ "", "ends at" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct buf all;

		join(wrong[i].order, &all);
		refused(name, &all, ERR_CORRUPT, wrong[i].says);
		buf_done(&all);
	}
}

static void
a_name_that_promises_other_bytes_is_found_out(void **state)
{
	struct wal_place other = place;
	char lie[LAYOUT_NAME];
	struct buf all;

	(void)state;
	join("01234", &all);
	layout_wal_bundle(&place, 1, at[0], at[PIECES] + 1, lie);
	refused(lie, &all, ERR_CORRUPT, "ends at");
	layout_wal_bundle(&place, 1, at[0] + 1, at[PIECES], lie);
	refused(lie, &all, ERR_CORRUPT, "does not belong here");
	layout_wal_bundle(&place, 1, at[0], at[PIECES] - 1, lie);
	refused(lie, &all, ERR_CORRUPT, "does not belong here");
	layout_wal_bundle(&place, 2, at[0], at[PIECES], lie);
	refused(lie, &all, ERR_CORRUPT, "does not belong here");
	other.epoch = 3;
	layout_wal_bundle(&other, 1, at[0], at[PIECES], lie);
	refused(lie, &all, ERR_CORRUPT, "does not belong here");
	other = (struct wal_place){ .source = "pg.b", .sysid = 77, .epoch = 2 };
	layout_wal_bundle(&other, 1, at[0], at[PIECES], lie);
	refused(lie, &all, ERR_CORRUPT, "does not belong here");
	layout_wal_piece(&place, 1, at[0], at[PIECES], lie);
	refused(lie, &all, ERR_CORRUPT, "no name of a bundle");
	buf_done(&all);
}

static void
a_piece_of_somebody_else_has_no_place_in_it(void **state)
{
	struct wal_place other = place;
	struct buf all, foreign;

	(void)state;
	buf_init(&foreign, STORE_OBJECT_MAX);
	other.sysid = 78;
	seal(keys, &other, at[1], at[2], &foreign);
	join("0", &all);
	buf_add(&all, foreign.data, foreign.len);
	refused(name, &all, ERR_CORRUPT, "wal/pg.a/78/");
	buf_done(&all);
	/* Of the same name, sealed for another repository. */
	seal(others, &place, at[1], at[2], &foreign);
	join("0", &all);
	buf_add(&all, foreign.data, foreign.len);
	refused(name, &all, ERR_CORRUPT, "another repository");
	buf_done(&all);
	buf_done(&foreign);
}

static void
whatever_bit_is_flipped_it_is_seen_and_only_its_piece_is_lost(void **state)
{
	struct bundle_piece p;
	struct bundle_walk w;
	struct piece opened;
	struct buf all;

	(void)state;
	join("01234", &all);
	for (size_t i = 0; i < all.len; i += i < 200 ? 1 : 997) {
		size_t good = 0;
		struct err e = { 0 };
		int got;

		all.data[i] ^= 4;
		assert_int_equal(bundle_check(keys, name, &all, &e), -1);
		assert_int_equal(bundle_check_plain(&all, NULL), -1);
		assert_int_equal(bundle_begin(&w, keys, name, &all, NULL), 0);
		while ((got = bundle_next(&w, &p, NULL)) != 0)
			good += got == 1 && piece_open(keys, p.name, &p.sealed, &opened, NULL, NULL) == 0;
		/* In the header of the first, up to its lengths, nothing behind can be told. */
		assert_true(good == PIECES - 1 || (i < OBJECT_HEADER && good == 0));
		all.data[i] ^= 4;
	}
	buf_done(&all);
}

static void
wherever_it_is_cut_it_is_seen_and_what_is_before_is_there(void **state)
{
	size_t ends[PIECES + 1] = { 0 };
	struct bundle_piece p;
	struct bundle_walk w;
	struct buf all;

	(void)state;
	join("01234", &all);
	for (size_t i = 0; i < PIECES; i++)
		ends[i + 1] = ends[i] + piece[i].len;
	for (size_t len = 0; len < all.len; len += len < 200 ? 1 : 997) {
		struct buf part = { .data = all.data, .len = len, .limit = len };
		size_t whole = 0, good = 0;
		int got;

		while (whole < PIECES && ends[whole + 1] <= len)
			whole++;
		assert_int_equal(bundle_check(keys, name, &part, NULL), -1);
		assert_int_equal(bundle_begin(&w, keys, name, &part, NULL), 0);
		while ((got = bundle_next(&w, &p, NULL)) != 0)
			good += got == 1;
		assert_int_equal(good, whole);
	}
	buf_done(&all);
}

static void
a_pack_or_a_record_in_it_is_refused(void **state)
{
	struct object_builder b;
	uint8_t sha[LAYOUT_SHA];
	struct err e = { 0 };
	struct buf all;

	(void)state;
	object_build(&b, OBJECT_PACK, STORE_OBJECT_MAX);
	object_add_raw(&b, keys, FRAME_DATA, "x", 1);
	assert_int_equal(object_seal(&b, keys, NULL, sha, &e), 0);
	join("0", &all);
	buf_add(&all, b.bytes.data, b.bytes.len);
	refused(name, &all, ERR_CORRUPT, "lies a pack");
	repokit_refused(bundle_check_plain(&all, &e), &e, ERR_CORRUPT, "lies a pack");
	object_build_done(&b);
	buf_done(&all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bundle_is_its_pieces_one_behind_the_other_and_each_comes_out_as_it_was),
		cmocka_unit_test(what_is_missing_twice_or_in_another_order_is_no_bundle),
		cmocka_unit_test(a_name_that_promises_other_bytes_is_found_out),
		cmocka_unit_test(a_piece_of_somebody_else_has_no_place_in_it),
		cmocka_unit_test(whatever_bit_is_flipped_it_is_seen_and_only_its_piece_is_lost),
		cmocka_unit_test(wherever_it_is_cut_it_is_seen_and_what_is_before_is_there),
		cmocka_unit_test(a_pack_or_a_record_in_it_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
