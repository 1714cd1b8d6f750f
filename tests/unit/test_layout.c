#include "repo/layout.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/store.h"
#include "tests/lib/vector.h"

#define AT INT64_C(1795226400000000000) /* 2026-11-21 02:00:00 UTC */

static void
a_pack_is_named_by_its_hash_and_found_again(void **state)
{
	uint8_t sha[LAYOUT_SHA], got[LAYOUT_SHA];
	char name[LAYOUT_NAME];

	(void)state;
	vector_count(sha, sizeof(sha), 0xa0);
	assert_string_equal(layout_pack(sha, name), "pack/a0/a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2"
	    "b3b4b5b6b7b8b9babbbcbdbebf");
	assert_int_equal(layout_pack_parse(name, got), 0);
	assert_memory_equal(got, sha, sizeof(sha));
}

static void
names_of_packs_that_are_not_exactly_ours_are_refused(void **state)
{
	uint8_t sha[LAYOUT_SHA];
	char name[LAYOUT_NAME], bent[LAYOUT_NAME + 1];

	(void)state;
	vector_count(sha, sizeof(sha), 0xa0);
	layout_pack(sha, name);
	for (size_t i = 0; i < strlen(name); i++) {
		memcpy(bent, name, sizeof(name));
		bent[i] = bent[i] == 'A' ? 'B' : 'A';
		assert_int_equal(layout_pack_parse(bent, sha), -1);
		memcpy(bent, name, sizeof(name));
		bent[i] = '\0';
		assert_int_equal(layout_pack_parse(bent, sha), -1);
	}
	snprintf(bent, sizeof(bent), "%s0", name);
	assert_int_equal(layout_pack_parse(bent, sha), -1);
	/* The folder is part of the name. */
	memcpy(bent, name, sizeof(name));
	bent[6] = '1';
	assert_int_equal(layout_pack_parse(bent, sha), -1);
}

static void
numbers_of_the_repository_object_have_one_spelling(void **state)
{
	static const char *const bad[] = { "repo/", "repo/01", "repo/-1", "repo/1a", "repo/+1",
		"repo/4294967296", "repo/99999999999999999999", "repo", "Repo/1", "repo/1/" };
	char name[LAYOUT_NAME];
	unsigned n = 7;

	(void)state;
	assert_string_equal(layout_repo(0, name), "repo/0");
	assert_int_equal(layout_repo_parse(name, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(layout_repo_parse("repo/1024", &n), 0);
	assert_int_equal(n, 1024);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (layout_repo_parse(bad[i], &n) == 0)
			fail_msg("'%s' was taken", bad[i]);
}

static void
a_key_object_tells_epoch_and_recipient(void **state)
{
	static const char *const bad[] = { "key/", "key/01020304", "key/01020304.",
		"key/0102030.k0011223344556677", "key/01020304.k001122334455667",
		"key/01020304.k00112233445566778", "key/01020304.k001122334455667G",
		"key/01020304.00112233445566778", "key/01020304/k0011223344556677",
		"key/0102030G.k0011223344556677" };
	uint8_t epoch[LAYOUT_EPOCH] = { 1, 2, 3, 4 }, got[LAYOUT_EPOCH];
	char name[LAYOUT_NAME], id[32];

	(void)state;
	layout_key(epoch, "k0011223344556677", name);
	assert_string_equal(name, "key/01020304.k0011223344556677");
	assert_int_equal(layout_key_parse(name, got, id, sizeof(id)), 0);
	assert_memory_equal(got, epoch, sizeof(epoch));
	assert_string_equal(id, "k0011223344556677");
	assert_int_equal(layout_key_parse(name, got, id, 17), -1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (layout_key_parse(bad[i], got, id, sizeof(id)) == 0)
			fail_msg("'%s' was taken", bad[i]);
}

static void
a_new_snapshot_tells_source_time_and_id_and_is_unique(void **state)
{
	char a[LAYOUT_NAME], b[LAYOUT_NAME];
	struct layout_snap part;

	(void)state;
	layout_snap_new("vol.uploads", AT + 999, a);
	layout_snap_new("vol.uploads", AT + 999, b);
	assert_string_not_equal(a, b);
	assert_int_equal(strncmp(a, "snap/vol.uploads/20261121T020000Z-", 34), 0);
	assert_int_equal(layout_snap_parse(a, &part), 0);
	assert_string_equal(part.source, "vol.uploads");
	assert_true(part.time_ns == AT);
	assert_string_equal(part.id, a + strlen("snap/"));
	assert_true(store_name_valid(a));
}

static void
a_record_and_a_copy_under_way_tell_the_same(void **state)
{
	char name[LAYOUT_NAME], snap[LAYOUT_NAME], back[LAYOUT_NAME];
	struct layout_snap part;

	(void)state;
	layout_record_new("verified", "pg.payments", AT, name);
	assert_int_equal(strncmp(name, "rec/verified/pg.payments/20261121T020000Z-", 42), 0);
	assert_int_equal(layout_snap_parse(name, &part), 0);
	assert_string_equal(part.source, "pg.payments");
	assert_string_equal(part.id, name + strlen("rec/verified/"));

	layout_snap_new("vol.a", AT, snap);
	layout_pend_new(snap, name);
	assert_int_equal(layout_pend_snap(name, back), 0);
	assert_string_equal(back, snap);
	assert_int_equal(layout_snap_parse(name, &part), 0);
	assert_string_equal(part.id, snap + strlen("snap/"));
	assert_int_equal(layout_pend_snap(snap, back), -1);
	name[strlen(name) - 1] = '\0';
	assert_int_equal(layout_pend_snap(name, back), -1);
	assert_int_equal(layout_snap_parse(name, &part), -1);
}

static void
a_tombstone_list_tells_its_time(void **state)
{
	char name[LAYOUT_NAME];
	int64_t ns = 0;

	(void)state;
	assert_string_equal(layout_gc_new(AT, name), "gc/20261121T020000Z");
	assert_int_equal(layout_gc_parse(name, &ns), 0);
	assert_true(ns == AT);
	assert_int_equal(layout_gc_parse("gc/20261121T020000Z0", &ns), -1);
	assert_int_equal(layout_gc_parse("gc/20261321T020000Z", &ns), -1);
	assert_int_equal(layout_gc_parse("gc/", &ns), -1);
}

static void
names_of_snapshots_that_are_not_exactly_ours_are_refused(void **state)
{
	static const char *const bad[] = {
		"snap/", "snap/vol.a", "snap/vol.a/", "snap/vol.a/20261121T020000Z",
		"snap/vol.a/20261121T020000Z-1a2b3c4", "snap/vol.a/20261121T020000Z-1a2b3c4d5",
		"snap/vol.a/20261121T020000Z-1a2b3c4G", "snap/vol.a/20261131T020000Z-1a2b3c4d",
		"snap/vol.a/20261121T020060Z-1a2b3c4d", "snap/vol.A/20261121T020000Z-1a2b3c4d",
		"snap/v.a/20261121T020000Z-1a2b3c4d", "snap/vol./20261121T020000Z-1a2b3c4d",
		"snap/vol.a/20261121T020000Z.1a2b3c4d", "snap/vol.a//20261121T020000Z-1a2b3c4d",
		"snap/volumesxx.a/20261121T020000Z-1a2b3c4d", "pack/20261121T020000Z-1a2b3c4d",
		"snap/vol.a.b/20261121T020000Z-1a2b3c4d", "rec//vol.a/20261121T020000Z-1a2b3c4d",
		"rec/Hold/vol.a/20261121T020000Z-1a2b3c4d", "",
	};
	struct layout_snap part;

	(void)state;
	assert_int_equal(layout_snap_parse("snap/vol.a/20261121T020000Z-1a2b3c4d", &part), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (layout_snap_parse(bad[i], &part) == 0)
			fail_msg("'%s' was taken", bad[i]);
}

static void
sources_are_kind_and_name_within_their_bounds(void **state)
{
	char name[64];

	(void)state;
	assert_true(layout_source_valid("pg.payments"));
	assert_true(layout_source_valid("vol.a-b_c9"));
	assert_false(layout_source_valid("payments"));
	assert_false(layout_source_valid("p.payments"));
	assert_false(layout_source_valid("pg.pay.ments"));
	assert_false(layout_source_valid("pg.pay/ments"));
	assert_false(layout_source_valid("pg."));
	assert_false(layout_source_valid(""));
	snprintf(name, sizeof(name), "abcdefgh.%048d", 0);
	assert_true(layout_source_valid(name));
	snprintf(name, sizeof(name), "abcdefgh.%049d", 0);
	assert_false(layout_source_valid(name));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pack_is_named_by_its_hash_and_found_again),
		cmocka_unit_test(names_of_packs_that_are_not_exactly_ours_are_refused),
		cmocka_unit_test(numbers_of_the_repository_object_have_one_spelling),
		cmocka_unit_test(a_key_object_tells_epoch_and_recipient),
		cmocka_unit_test(a_new_snapshot_tells_source_time_and_id_and_is_unique),
		cmocka_unit_test(a_record_and_a_copy_under_way_tell_the_same),
		cmocka_unit_test(a_tombstone_list_tells_its_time),
		cmocka_unit_test(names_of_snapshots_that_are_not_exactly_ours_are_refused),
		cmocka_unit_test(sources_are_kind_and_name_within_their_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
