#include "job/wal/wal_copy_bundle.h"

#include <stdio.h>
#include <string.h>

#include "store/aside.h"
#include "tests/lib/memstore.h"
#include "tests/lib/piecekit.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vector.h"

#define SEGMENT (UINT32_C(1) << 20)
#define START (UINT64_C(0x500000000))

static const struct wal_place place = { .source = "pg.a", .sysid = 77, .epoch = 2 };

static struct wal_copy_item
item(uint32_t epoch, uint64_t start, uint64_t end, uint64_t size)
{
	struct wal_copy_item i = { .at = { .place = place, .kind = LAYOUT_WAL_PIECE, .tli = 1,
	    .start = start, .end = end }, .size = size };

	i.at.place.epoch = epoch;
	return i;
}

/* The sizes of all bundles, as "3,1+": with a + an open one. */
static void
expect(struct wal_copy_item *list, size_t n, const char *cut)
{
	char got[200] = "";

	wal_copy_bundle_sort(list, n);
	for (size_t i = 0, k; i < n; i += k) {
		bool closed;

		k = wal_copy_bundle_next(list + i, n - i, &closed);
		assert_true(k > 0 && k <= n - i);
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%zu%s", i > 0 ? "," : "", k,
		    closed ? "" : "+");
	}
	assert_string_equal(got, cut);
}

static void
a_bundle_ends_where_pieces_stop_to_join_or_become_too_much(void **state)
{
	struct wal_copy_item joined[] = { item(2, 20, 30, 1), item(2, 0, 10, 1), item(2, 10, 20, 1) };
	struct wal_copy_item holes[] = { item(2, 0, 10, 1), item(2, 11, 20, 1), item(2, 20, 30, 1) };
	struct wal_copy_item beside[] = { item(2, 0, 10, 1), item(2, 5, 15, 1), item(2, 10, 20, 1) };
	struct wal_copy_item epochs[] = { item(3, 10, 20, 1), item(2, 0, 10, 1) };
	struct wal_copy_item large[] = { item(2, 0, 10, BUNDLE_MAX - 1), item(2, 10, 20, 1),
		item(2, 20, 30, 1) };
	struct wal_copy_item huge[] = { item(2, 0, 10, BUNDLE_MAX + 1), item(2, 10, 20, 1) };
	struct wal_copy_item wide[] = { item(2, 0, 10, 1), item(2, 10, LAYOUT_WAL_BUNDLE_SPAN, 1),
		item(2, LAYOUT_WAL_BUNDLE_SPAN, LAYOUT_WAL_BUNDLE_SPAN + 1, 1) };
	bool closed = true;

	(void)state;
	expect(joined, 3, "3+");
	expect(holes, 3, "1,2+");
	expect(beside, 3, "1,1,1+");
	expect(epochs, 2, "1,1+");
	expect(large, 3, "2,1+");
	expect(huge, 2, "1,1+");
	expect(wide, 3, "2,1+");
	assert_int_equal(wal_copy_bundle_next(NULL, 0, &closed), 0);
	assert_false(closed);
}

static uint8_t wal[SEGMENT];

/* All of the segment as a bundle of four, and its name. */
static void
make(struct buf *out, char name[LAYOUT_NAME])
{
	const struct piecekit k = { .keys = repokit.repo->keys, .place = place, .tli = 1,
		.segment_size = SEGMENT, .start = START, .wal = wal };
	char own[LAYOUT_NAME];

	vector_noise(wal, sizeof(wal) / 8, 1);
	buf_init(out, STORE_OBJECT_MAX);
	for (unsigned i = 0; i < 4; i++) {
		struct buf one;

		buf_init(&one, STORE_OBJECT_MAX);
		piecekit_seal(&k, START + i * SEGMENT / 4, START + (i + 1) * SEGMENT / 4, &one, own);
		buf_add(out, one.data, one.len);
		buf_done(&one);
	}
	layout_wal_bundle(&place, 1, START, START + SEGMENT, name);
}

static int
put(const char *name, const struct buf *bytes, struct err *e)
{
	err_clear(e);
	return wal_copy_bundle_put(repokit.repo->keys, repokit.tier[0].store, name, bytes, e);
}

static void
a_name_that_is_taken_by_a_sound_one_is_left_and_damage_makes_way(void **state)
{
	struct store *s = repokit.tier[0].store;
	char name[LAYOUT_NAME], aside[ASIDE_NAME];
	struct buf one, other;
	struct err e = { 0 };
	uint8_t *bytes;
	size_t n;

	(void)state;
	make(&one, name);
	make(&other, name); /* the same log, sealed anew */
	assert_memory_not_equal(one.data, other.data, 80);
	assert_int_equal(put(name, &one, &e), 1);
	assert_int_equal(put(name, &one, &e), 0);
	assert_int_equal(put(name, &other, &e), 0);
	bytes = memstore_bytes(s, name, &n);
	assert_memory_equal(bytes, one.data, one.len);
	bytes[n / 2] ^= 1;
	assert_int_equal(put(name, &other, &e), 1);
	bytes = memstore_bytes(s, name, &n);
	assert_memory_equal(bytes, other.data, other.len);
	assert_non_null(memstore_bytes(s, aside_name(name, 0, aside), &n));
	buf_done(&one);
	buf_done(&other);
}

static void
what_is_frozen_at_once_is_proved_by_the_hash_that_the_store_keeps(void **state)
{
	struct store *s = repokit.tier[0].store;
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf b;

	(void)state;
	make(&b, name);
	memstore_freeze(s, "walb/", true);
	assert_int_equal(put(name, &b, &e), 1);
	assert_int_equal(put(name, &b, &e), 0);
	memstore_freeze(s, "walb/", false);
	repokit_refused(put(name, &b, &e), &e, ERR_FROZEN, "does not tell the SHA-256");
	memstore_freeze(s, NULL, false);
	memstore_drop(s, name);
	memstore_freeze(s, "walb/", false);
	repokit_refused(put(name, &b, &e), &e, ERR_FROZEN, "does not tell the SHA-256");
	buf_done(&b);
}

/* Whoever spoils it on the way into the store. */
static void
spoil(void *arg, const char *op, const char *name)
{
	struct store *s = arg;
	uint8_t *bytes;
	size_t n;

	if (strcmp(op, "get") == 0 && (bytes = memstore_bytes(s, name, &n)) != NULL)
		bytes[n / 2] ^= 1;
}

static void
what_does_not_come_back_as_it_was_sent_is_an_error(void **state)
{
	struct store *s = repokit.tier[0].store;
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf b;

	(void)state;
	make(&b, name);
	memstore_hook(s, spoil, s);
	repokit_refused(put(name, &b, &e), &e, ERR_CORRUPT, "does not come back as it was sent");
	memstore_hook(s, NULL, NULL);
	buf_done(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, repokit_one_tier, repokit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bundle_ends_where_pieces_stop_to_join_or_become_too_much),
		TEST(a_name_that_is_taken_by_a_sound_one_is_left_and_damage_makes_way),
		TEST(what_is_frozen_at_once_is_proved_by_the_hash_that_the_store_keeps),
		TEST(what_does_not_come_back_as_it_was_sent_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
