#include "repo/layout_wal.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/chance.h"
#include "tests/lib/vector.h"

static const struct wal_place place = {
	.source = "pg.payments",
	.sysid = UINT64_C(7420000000000000001),
	.epoch = 0x1a,
};
#define PLACE "wal/pg.payments/7420000000000000001/0000001a/"

static void
names_are_built_and_taken_apart_again(void **state)
{
	char name[LAYOUT_NAME], again[LAYOUT_NAME];
	struct layout_wal w;

	(void)state;
	layout_wal_piece(&place, 2, 0x57c000000, 0x57d000000, name);
	assert_string_equal(name, PLACE "00000002/000000057c000000-000000057d000000");
	assert_int_equal(layout_wal_parse(name, &w), 0);
	assert_int_equal(w.kind, LAYOUT_WAL_PIECE);
	assert_string_equal(w.place.source, "pg.payments");
	assert_int_equal(w.place.sysid, place.sysid);
	assert_int_equal(w.place.epoch, 0x1a);
	assert_int_equal(w.tli, 2);
	assert_int_equal(w.start, 0x57c000000);
	assert_int_equal(w.end, 0x57d000000);
	assert_string_equal(layout_wal_name(&w, again), name);

	assert_string_equal(layout_wal_history(&place, 10, name), PLACE "0000000a.history");
	assert_int_equal(layout_wal_parse(name, &w), 0);
	assert_int_equal(w.kind, LAYOUT_WAL_HISTORY);
	assert_int_equal(w.tli, 10);
	assert_string_equal(layout_wal_from(&place, name), PLACE "from");
	assert_int_equal(layout_wal_parse(name, &w), 0);
	assert_int_equal(w.kind, LAYOUT_WAL_FROM);
	layout_wal_other(&place, "000000010000000000000006.00000028.backup", name);
	assert_int_equal(layout_wal_parse(name, &w), 0);
	assert_int_equal(w.kind, LAYOUT_WAL_OTHER);
	assert_string_equal(w.file, "000000010000000000000006.00000028.backup");
	layout_wal_other(&place, "000000010000000000000006.partial", name);
	assert_int_equal(layout_wal_parse(name, &w), 0);
	assert_int_equal(w.end, 0);
	layout_wal_part(&place, "000000010000000000000006.partial", 1 << 24, 1 << 25, name);
	assert_string_equal(name,
	    PLACE "other/000000010000000000000006.partial.0000000001000000-0000000002000000");
	assert_int_equal(layout_wal_parse(name, &w), 0);
	assert_int_equal(w.kind, LAYOUT_WAL_OTHER);
	assert_string_equal(w.file, "000000010000000000000006.partial");
	assert_int_equal(w.start, 1 << 24);
	assert_int_equal(w.end, 1 << 25);
	assert_string_equal(layout_wal_name(&w, again), name);
	assert_string_equal(layout_wal_beat("pg.payments", name), "beat/pg.payments");
}

static void
a_name_that_would_not_be_built_is_not_ours(void **state)
{
	static const char *const bad[] = {
		"wal/pg.payments/07/0000001a/from",
		"wal/pg.payments/99999999999999999999/0000001a/from",
		"wal/payments/7/0000001a/from", "wal/pg.payments/7/1a/from",
		"wal/pg.payments/7/0000001A/from",
		"wal/pg.payments/7/0000001a/", "wal/pg.payments/7/0000001a", PLACE "from/x",
		PLACE "00000002/000000057c000000-000000057c000000",
		PLACE "00000002/000000057d000000-000000057c000000",
		PLACE "00000002/000000057C000000-000000057d000000",
		PLACE "00000002/000000057c000000-000000057d000000x",
		PLACE "00000002/57c000000-57d000000", PLACE "00000000/0000000000000001-0000000000000002",
		PLACE "00000000.history", PLACE "0000000a.History", PLACE "other/",
		PLACE "other/000000010000000000000006", PLACE "other/00000001000000000000000a.partial",
		PLACE "other/000000010000000000000006.partial2", PLACE "other/../x",
		PLACE "other/000000010000000000000006.partial.",
		PLACE "other/000000010000000000000006.partial.0000000001000000-0000000001000000",
		PLACE "other/000000010000000000000006.partial.0000000001000000-000000000200000",
		PLACE "other/000000010000000000000006.partial.0000000001000000-0000000002000000x",
		PLACE "other/000000010000000000000006.00000028.backup.0000000000000000-0000000000000001",
		"walb/pg.payments/7/0000001a/00000002/0000000000000000-0000000040000001",
		"walb/pg.payments/7/0000001a/00000002/0000000000000001-0000000000000001",
		"walb/pg.payments/7/0000001a/00000000/0000000000000001-0000000000000002",
		"walb/pg.payments/7/0000001a/from", "walb/pg.payments/7/0000001a/00000002.history",
		"walb/pg.payments/7/0000001a/other/000000010000000000000006.partial", "walb/", "walb", "wa",
		PLACE "other/000000010000000000000006.0000002.backup", "pack/aa/bb", "", "wal/",
	};
	struct layout_wal w;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (layout_wal_parse(bad[i], &w) != -1)
			fail_msg("'%s' was taken for a name", bad[i]);
}

static void
a_bundle_has_the_name_of_a_piece_in_a_place_of_its_own(void **state)
{
	char name[LAYOUT_NAME], again[LAYOUT_NAME], prefix[LAYOUT_NAME];
	struct layout_wal w;

	(void)state;
	layout_wal_bundle(&place, 2, 0x57c000000, 0x57c000000 + LAYOUT_WAL_BUNDLE_SPAN, name);
	assert_int_equal(layout_wal_parse(name, &w), 0);
	assert_int_equal(w.kind, LAYOUT_WAL_BUNDLE);
	assert_true(layout_wal_is_log(&w));
	assert_int_equal(w.tli, 2);
	assert_int_equal(w.start, 0x57c000000);
	assert_int_equal(w.end, 0x57c000000 + LAYOUT_WAL_BUNDLE_SPAN);
	assert_string_equal(layout_wal_name(&w, again), name);
	layout_wal_bundles_of_timeline(&place, 2, prefix);
	assert_memory_equal(name, prefix, strlen(prefix));
	layout_wal_bundles_of_place(&place, prefix);
	assert_memory_equal(name, prefix, strlen(prefix));
	layout_wal_bundles_of_source(place.source, prefix);
	assert_memory_equal(name, prefix, strlen(prefix));
	layout_wal_of_source(place.source, prefix);
	assert_true(strncmp(name, prefix, strlen(prefix)) != 0);
}

/* Whatever the segment size: its own pieces have the prefix, and few others do. */
static void
the_prefix_of_a_segment_finds_all_its_pieces(void **state)
{
	(void)state;
	chance_seed(1);
	for (int i = 0; i < 500; i++) {
		uint64_t size = UINT64_C(1) << (20 + chance_below(11));
		uint64_t start = (chance_u64() >> 20) & ~(size - 1);
		uint64_t from = start + chance_below(size - 1);
		char prefix[LAYOUT_NAME], name[LAYOUT_NAME];

		layout_wal_of_segment(&place, 1, start, size, prefix);
		layout_wal_piece(&place, 1, from, start + size, name);
		assert_memory_equal(name, prefix, strlen(prefix));
		layout_wal_piece(&place, 1, start + 16 * size, start + 17 * size, name);
		assert_true(strncmp(name, prefix, strlen(prefix)) != 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_built_and_taken_apart_again),
		cmocka_unit_test(a_bundle_has_the_name_of_a_piece_in_a_place_of_its_own),
		cmocka_unit_test(a_name_that_would_not_be_built_is_not_ours),
		cmocka_unit_test(the_prefix_of_a_segment_finds_all_its_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
