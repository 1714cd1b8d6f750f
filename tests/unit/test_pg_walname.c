#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "base/mem.h"
#include "source/pg/pg_walname.h"

#define MIB (UINT64_C(1) << 20)

static void
names_are_told_apart(void **state)
{
	static const struct {
		const char *name;
		struct pg_walname is;
	} good[] = {
		{ "000000010000000000000006", { PG_WALNAME_SEGMENT, 1, 0, 6, 0 } },
		{ "0000000A00000005000000FF", { PG_WALNAME_SEGMENT, 10, 5, 255, 0 } },
		{ "00000001000000000000000F.partial", { PG_WALNAME_PARTIAL, 1, 0, 15, 0 } },
		{ "000000010000000000000006.00000028.backup",
		    { PG_WALNAME_BACKUP, 1, 0, 6, 40 } },
		{ "00000002.history", { PG_WALNAME_HISTORY, 2, 0, 0, 0 } },
		{ "FFFFFFFFFFFFFFFFFFFFFFFF",
		    { PG_WALNAME_SEGMENT, UINT32_MAX, UINT32_MAX, UINT32_MAX, 0 } },
	};
	char text[PG_WALNAME_TEXT];
	struct pg_walname n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(pg_walname_parse(good[i].name, &n), good[i].is.kind);
		assert_memory_equal(&n, &good[i].is, sizeof(n));
		assert_string_equal(pg_walname_text(&n, text), good[i].name);
	}
}

static void
anything_else_is_no_name(void **state)
{
	static const char *const bad[] = {
		"", ".", "..", "0", "archive_status", "RECOVERYXLOG", "00000001",
		"00000001000000000000000", "0000000100000000000000061", "00000001000000000000000g",
		"00000001000000000000000a", "0000000a.history", "00000002.History", "00000002.history ",
		" 00000002.history", "00000002.history\n", "000000010000000000000006.partial.tmp",
		"000000010000000000000006.gz", "000000010000000000000006.",
		"000000010000000000000006.28.backup",
		"000000010000000000000006.00000028.backupX", "000000010000000000000006.00000028",
		"+00000010000000000000006", "0x0000010000000000000006", "  0000010000000000000006",
		"000000000000000000000006", "00000000.history", "000000010000000000000006/",
		"../000000010000000000000006", "00000001 0000000000000006", "-0000001.history",
	};
	struct pg_walname n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (pg_walname_parse(bad[i], &n) != PG_WALNAME_OTHER)
			fail_msg("taken: '%s'", bad[i]);
		assert_int_equal(n.kind, PG_WALNAME_OTHER);
	}
}

static void
a_segments_number_counts_inside_four_gigabytes(void **state)
{
	static const struct {
		uint64_t lsn, size;
		const char *name;
	} is[] = {
		{ UINT64_C(0x100000000) - 1, MIB, "0000000300000000" "00000FFF" },
		{ UINT64_C(0x100000000), MIB, "0000000300000001" "00000000" },
		{ UINT64_C(0x57C0000F8), 16 * MIB, "0000000300000005" "0000007C" },
		{ UINT64_C(0x57C0000F8), 1024 * MIB, "0000000300000005" "00000001" },
		{ UINT64_MAX, 1024 * MIB, "00000003FFFFFFFF" "00000003" },
	};
	char text[PG_WALNAME_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(is); i++)
		assert_string_equal(pg_walname_segment(3, is[i].lsn, is[i].size, text), is[i].name);
	assert_string_equal(pg_walname_history(0x1b, text), "0000001B.history");
}

static void
a_name_and_its_place_lead_to_each_other_for_every_segment_size(void **state)
{
	char text[PG_WALNAME_TEXT], again[PG_WALNAME_TEXT];
	struct pg_walname n;
	struct err e;
	uint64_t x = 88172645463325252, start;

	(void)state;
	for (uint64_t size = MIB; size <= 1024 * MIB; size *= 2) {
		assert_true(lsn_segment_valid(size));
		for (int i = 0; i < 2000; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			uint64_t lsn = x >> (x & 31);

			pg_walname_segment((uint32_t)i + 1, lsn, size, text);
			assert_int_equal(pg_walname_parse(text, &n), PG_WALNAME_SEGMENT);
			assert_int_equal(pg_walname_start(&n, size, &start, &e), 0);
			assert_true(start <= lsn && lsn - start < size && start % size == 0);
			/* the last byte of it has the same name, the next one another */
			assert_string_equal(pg_walname_segment(n.timeline, start + size - 1, size,
						again), text);
			if (start + size != 0)
				assert_string_not_equal(pg_walname_segment(n.timeline, start + size,
							    size, again), text);
		}
	}
}

static void
a_name_that_no_segment_of_the_size_has_is_refused(void **state)
{
	struct pg_walname n;
	struct err e = { .kind = ERR_NONE };
	uint64_t start = 7;

	(void)state;
	pg_walname_parse("0000000100000000000000FF", &n);
	assert_int_equal(pg_walname_start(&n, 16 * MIB, &start, &e), 0);
	assert_int_equal(start, UINT64_C(0xff000000));
	assert_int_equal(pg_walname_start(&n, 32 * MIB, &start, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "32 MiB"));
	assert_int_equal(start, UINT64_C(0xff000000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_told_apart),
		cmocka_unit_test(anything_else_is_no_name),
		cmocka_unit_test(a_segments_number_counts_inside_four_gigabytes),
		cmocka_unit_test(a_name_and_its_place_lead_to_each_other_for_every_segment_size),
		cmocka_unit_test(a_name_that_no_segment_of_the_size_has_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
