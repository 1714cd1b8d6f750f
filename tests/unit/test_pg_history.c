#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "source/pg/pg_history.h"
#include "tests/lib/walkit.h"

static int
parse(struct pg_history *h, uint32_t timeline, const char *text, struct err *e)
{
	*e = (struct err){ .kind = ERR_NONE };
	return pg_history_parse(timeline, text, strlen(text), h, e);
}

static void
a_servers_own_file_is_read(void **state)
{
	struct pg_history h;
	struct err e = { .kind = ERR_NONE };
	struct buf b;
	char name[32];

	(void)state;
	for (int v = 14; v <= 18; v++) {
		uint64_t start = walkit_start(v);

		snprintf(name, sizeof(name), "%d.history", v);
		buf_init(&b, 4096);
		walkit_read(name, &b);
		pg_history_init(&h, 2);
		assert_int_equal(pg_history_parse(2, (char *)b.data, b.len, &h, &e), 0);
		assert_int_equal(h.count, 1);
		assert_int_equal(h.step[0].timeline, 1);
		assert_true(h.step[0].end > start && h.step[0].end < start + WALKIT_SEGMENT);
		pg_history_done(&h);
		buf_done(&b);
	}
}

#define THREE "1\t0/3000000\tno recovery target specified\n" \
	      "\n# by hand\n   \n" \
	      "  2 0/5000028 before 2026-11-20 14:03:11+00\r\n" \
	      "4\t1/0\tend of it"

static void
each_byte_belongs_to_one_timeline(void **state)
{
	struct pg_history h;
	struct err e;
	uint64_t from, to;

	(void)state;
	pg_history_init(&h, 7);
	assert_int_equal(pg_history_at(&h, 5), 7);
	assert_int_equal(parse(&h, 7, THREE, &e), 0);
	assert_int_equal(h.count, 3);
	assert_int_equal(pg_history_at(&h, 0), 1);
	assert_int_equal(pg_history_at(&h, 0x2ffffff), 1);
	assert_int_equal(pg_history_at(&h, 0x3000000), 2);
	assert_int_equal(pg_history_at(&h, 0x5000028), 4);
	assert_int_equal(pg_history_at(&h, UINT64_C(0x100000000)), 7);
	assert_true(pg_history_span(&h, 1, &from, &to) && from == 0 && to == 0x3000000);
	assert_true(pg_history_span(&h, 4, &from, &to) && from == 0x5000028);
	assert_true(pg_history_span(&h, 7, &from, &to) && from == UINT64_C(0x100000000) &&
	    to == UINT64_MAX);
	assert_false(pg_history_span(&h, 3, &from, &to));
	assert_false(pg_history_span(&h, 8, &from, &to));
	pg_history_done(&h);
}

static void
an_ancestor_covers_up_to_where_it_was_left(void **state)
{
	struct pg_history h;
	struct err e;

	(void)state;
	pg_history_init(&h, 7);
	assert_int_equal(parse(&h, 7, THREE, &e), 0);
	assert_true(pg_history_covers(&h, 1, 0x3000000));
	assert_false(pg_history_covers(&h, 1, 0x3000001));
	assert_true(pg_history_covers(&h, 2, 0x4000000));
	assert_true(pg_history_covers(&h, 7, UINT64_MAX));
	assert_false(pg_history_covers(&h, 3, 1));
	pg_history_done(&h);
}

static void
a_history_extends_those_of_its_ancestors_only(void **state)
{
	struct pg_history h, old;
	struct err e;

	(void)state;
	pg_history_init(&h, 7);
	pg_history_init(&old, 1);
	assert_int_equal(parse(&h, 7, THREE, &e), 0);
	assert_true(pg_history_extends(&h, &h));
	assert_true(pg_history_extends(&h, &old)); /* timeline 1 has none */
	assert_int_equal(parse(&old, 4, "1 0/3000000 a\n2 0/5000028 b\n", &e), 0);
	assert_true(pg_history_extends(&h, &old));
	assert_false(pg_history_extends(&old, &h));
	assert_int_equal(parse(&old, 4, "1 0/3000000 a\n2 0/5000030 b\n", &e), 0);
	assert_false(pg_history_extends(&h, &old)); /* another server took the same number */
	assert_int_equal(parse(&old, 3, "1 0/3000000 a\n2 0/5000028 b\n", &e), 0);
	assert_false(pg_history_extends(&h, &old));
	assert_int_equal(parse(&old, 8, THREE, &e), 0);
	assert_false(pg_history_extends(&h, &old));
	pg_history_done(&old);
	pg_history_init(&old, 3);
	assert_false(pg_history_extends(&h, &old));
	pg_history_done(&h);
}

static void
two_histories_are_the_same_up_to_where_one_was_left(void **state)
{
	struct pg_history a, b;
	struct err e;

	(void)state;
	pg_history_init(&a, 1);
	pg_history_init(&b, 1);
	assert_true(pg_history_common(&a, &b) == UINT64_MAX);
	assert_int_equal(parse(&a, 2, "1 0/3000000 a\n", &e), 0);
	assert_true(pg_history_common(&a, &a) == UINT64_MAX);
	assert_true(pg_history_common(&a, &b) == 0x3000000);
	assert_true(pg_history_common(&b, &a) == 0x3000000);
	/* The same number, taken elsewhere. */
	assert_int_equal(parse(&b, 2, "1 0/2000000 a\n", &e), 0);
	assert_true(pg_history_common(&a, &b) == 0x2000000);
	/* Another number, taken at the same place. */
	assert_int_equal(parse(&b, 3, "1 0/3000000 a\n", &e), 0);
	assert_true(pg_history_common(&a, &b) == 0x3000000);
	/* A grandchild. */
	assert_int_equal(parse(&b, 5, "1 0/3000000 a\n2 0/5000000 b\n", &e), 0);
	assert_true(pg_history_common(&a, &b) == 0x5000000);
	pg_history_done(&b);
	pg_history_init(&b, 9);
	assert_true(pg_history_common(&a, &b) == 0);
	pg_history_done(&a);
}

static void
a_bad_line_is_refused_with_its_number(void **state)
{
	static const struct {
		const char *text, *says;
	} row[] = {
		{ "1\t0/3000000\tx\n2 0/4000000 y\nthree\n", "line 3: expected 'timeline LSN reason'" },
		{ "# x\n\n1 0/\n", "line 3: expected" },
		{ "1 0/1G\n", "line 1: expected" },
		{ "1 0-100\n", "line 1: expected" },
		{ "1\n", "line 1: expected" },
		{ "x1 0/1\n", "line 1: expected" },
		{ "10/1\n", "line 1: expected" },
		{ "-1 0/1\n", "line 1: expected" },
		{ "99999999999 0/1\n", "line 1: expected" },
		{ "1 0/123456789\n", "line 1: expected" },
		{ "0 0/1 x\n", "line 1: timeline 0 is no ancestor of 9" },
		{ "9 0/1 x\n", "line 1: timeline 9 is no ancestor of 9" },
		{ "1 0/5 x\n12 0/6 x\n", "line 2: timeline 12 is no ancestor of 9" },
		{ "3 0/5 x\n2 0/6 x\n", "line 2: timeline 2 behind 3" },
		{ "3 0/5 x\n3 0/6 x\n", "line 2: timeline 3 behind 3" },
		{ "1 0/5 x\n2 0/4 x\n", "line 2: timeline 2 is left at 0/4, expected not before 0/5" },
		{ "1 0/0 x\n", "line 1: timeline 1 is left at 0/0" },
		{ "", "names no ancestor" },
		{ "# nothing\n", "names no ancestor" },
	};
	struct pg_history h;
	struct err e;

	(void)state;
	pg_history_init(&h, 9);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(parse(&h, 9, row[i].text, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		if (!strstr(e.text, row[i].says))
			fail_msg("row %zu: %s", i, e.text);
		assert_true(h.count == 0 && h.timeline == 9);
	}
	pg_history_done(&h);
}

static void
two_promotions_with_nothing_between_are_fine(void **state)
{
	struct pg_history h;
	struct err e;

	(void)state;
	pg_history_init(&h, 3);
	assert_int_equal(parse(&h, 3, "1 0/5000000 x\n2 0/5000000 y\n", &e), 0);
	assert_int_equal(pg_history_at(&h, 0x4ffffff), 1);
	assert_int_equal(pg_history_at(&h, 0x5000000), 3);
	pg_history_done(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_servers_own_file_is_read),
		cmocka_unit_test(each_byte_belongs_to_one_timeline),
		cmocka_unit_test(an_ancestor_covers_up_to_where_it_was_left),
		cmocka_unit_test(a_history_extends_those_of_its_ancestors_only),
		cmocka_unit_test(two_histories_are_the_same_up_to_where_one_was_left),
		cmocka_unit_test(a_bad_line_is_refused_with_its_number),
		cmocka_unit_test(two_promotions_with_nothing_between_are_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
