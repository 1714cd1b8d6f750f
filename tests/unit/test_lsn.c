#include "base/lsn.h"

#include <string.h>

#include "tests/lib/chance.h"
#include "tests/lib/vector.h"

#define BYTES 64

static void
an_lsn_is_shown_as_the_server_shows_it_and_read_back(void **state)
{
	static const char *const bad[] = { "", "/", "5", "5/", "/7", "5/7/1", " 5/7", "5/7 ", "5/G",
		"123456789/0", "0/123456789", "0x5/7", "-1/0" };
	char text[LSN_TEXT];
	uint64_t lsn = 7;

	(void)state;
	assert_string_equal(lsn_text(UINT64_C(0x57c0000f8), text), "5/7C0000F8");
	assert_string_equal(lsn_text(0, text), "0/0");
	assert_string_equal(lsn_text(UINT64_MAX, text), "FFFFFFFF/FFFFFFFF");
	assert_int_equal(lsn_parse("5/7C0000F8", &lsn), 0);
	assert_int_equal(lsn, UINT64_C(0x57c0000f8));
	assert_int_equal(lsn_parse("a/0000000b", &lsn), 0);
	assert_int_equal(lsn, UINT64_C(0xa0000000b));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (lsn_parse(bad[i], &lsn) != -1)
			fail_msg("'%s' was taken for an LSN", bad[i]);
	assert_int_equal(lsn, UINT64_C(0xa0000000b));
}

static void
segments_are_powers_of_two_from_a_mebibyte_to_a_gibibyte(void **state)
{
	(void)state;
	assert_true(lsn_segment_valid(1 << 20));
	assert_true(lsn_segment_valid(1 << 30));
	assert_false(lsn_segment_valid(1 << 19));
	assert_false(lsn_segment_valid(UINT64_C(1) << 31));
	assert_false(lsn_segment_valid(3 << 20));
	assert_false(lsn_segment_valid(0));
	assert_int_equal(lsn_segment(UINT64_C(0x57c0000f8), 16 << 20), UINT64_C(0x57c000000));
	assert_int_equal(lsn_segment(UINT64_C(0x57cffffff), 16 << 20), UINT64_C(0x57c000000));
}

/* Every question against an array of booleans. */
static void
judge(const struct lsn_set *s, const bool has[BYTES + 1])
{
	size_t ranges = 0;

	for (uint64_t i = 0; i < BYTES; i++) {
		uint64_t end = i;

		ranges += has[i] && (i == 0 || !has[i - 1]);
		while (end < BYTES && has[end])
			end++;
		assert_int_equal(lsn_set_end(s, i), end);
		assert_int_equal(lsn_set_has(s, i, i + 3), i + 3 <= end);
	}
	assert_int_equal(s->count, ranges);
	for (size_t i = 1; i < s->count; i++)
		assert_true(s->range[i - 1].to < s->range[i].from);
}

static void
a_set_of_ranges_knows_what_is_in_it_in_whatever_order_it_came(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct lsn_set s = { 0 }, other = { 0 };
		bool has[BYTES + 1] = { false };

		chance_seed(seed);
		for (int i = 0; i < 12; i++) {
			uint64_t from = chance_below(BYTES), n = chance_below(9);
			uint64_t to = from + n < BYTES ? from + n : BYTES;

			lsn_set_add(chance_one_in(3) ? &other : &s, from, to);
			memset(has + from, true, to - from);
		}
		lsn_set_add(&s, 9, 4); /* nothing */
		lsn_set_join(&s, &other);
		judge(&s, has);
		lsn_set_done(&s);
		lsn_set_done(&other);
		assert_int_equal(s.count, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_lsn_is_shown_as_the_server_shows_it_and_read_back),
		cmocka_unit_test(segments_are_powers_of_two_from_a_mebibyte_to_a_gibibyte),
		cmocka_unit_test(a_set_of_ranges_knows_what_is_in_it_in_whatever_order_it_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
