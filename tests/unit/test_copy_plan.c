/* What a tier takes: of the missing ones, those it would keep, and of each period one. */
#include "tests/lib/vector.h"

#include <string.h>

#include "job/copy_plan.h"
#include "repo/layout.h"

#define HOUR LAYOUT_HOUR_NS
#define DAY (24 * HOUR)
#define WEEK (7 * DAY)
/* A Wednesday at noon. */
#define NOW (INT64_C(1800000000) / 86400 * 86400 * 1000000000 + 5 * DAY + 12 * HOUR)
#define N 6

static struct copy_plan_item item[N];

/* One snapshot each `every`, the newest an hour old. */
static void
history(int64_t every)
{
	memset(item, 0, sizeof(item));
	for (int i = 0; i < N; i++)
		item[i].time_ns = NOW - HOUR - (N - 1 - i) * every;
}

/* "110001": which are wanted. */
static const char *
plan(int64_t takes_ns, int64_t keep_ns)
{
	static char text[N + 1];

	copy_plan(item, N, &(struct copy_plan_rules){ .now_ns = NOW, .takes_ns = takes_ns,
	    .keep_ns = keep_ns });
	for (int i = 0; i < N; i++)
		text[i] = item[i].wanted ? '1' : '0';
	return text;
}

static void
all_that_is_missing_is_taken_also_before_the_newest_there(void **state)
{
	(void)state;
	history(HOUR);
	assert_string_equal(plan(0, -1), "111111");
	item[5].there = item[1].there = true;
	assert_string_equal(plan(0, -1), "101110");
	item[3].out = true;
	assert_string_equal(plan(0, -1), "101010");
}

static void
what_the_tier_would_not_keep_is_not_taken(void **state)
{
	(void)state;
	history(DAY);
	item[5].there = true;
	assert_string_equal(plan(0, 2 * DAY), "000110");
	/* The window ends with the newest one, as it does for expiry. */
	for (int i = 0; i < N; i++)
		item[i].time_ns -= 100 * DAY;
	assert_string_equal(plan(0, 2 * DAY), "000110");
	/* And not with one that is none. */
	item[5].there = false;
	item[5].out = true;
	assert_string_equal(plan(0, 2 * DAY), "001110");
}

static void
of_each_period_without_one_the_newest_is_taken(void **state)
{
	(void)state;
	history(12 * HOUR); /* 23:00 and 11:00 */
	assert_string_equal(plan(DAY, -1), "101011");
	item[1].there = true; /* the other one of the day of 2 */
	assert_string_equal(plan(DAY, -1), "100011");
	item[4].out = true;
	assert_string_equal(plan(DAY, -1), "100101");
	item[5].there = true;
	assert_string_equal(plan(DAY, -1), "100100");
}

static void
a_week_begins_on_monday(void **state)
{
	(void)state;
	history(DAY); /* Friday, Saturday, Sunday, Monday, Tuesday, Wednesday */
	assert_string_equal(plan(WEEK, -1), "001001");
	item[3].there = true;
	assert_string_equal(plan(WEEK, -1), "001000");
}

static void
one_from_the_future_stands_for_no_period(void **state)
{
	(void)state;
	history(DAY);
	for (int i = 0; i < N; i++)
		item[i].there = true;
	item[2].time_ns = INT64_MAX;
	item[4].there = item[5].there = false;
	assert_string_equal(plan(DAY, 30 * DAY), "000011");
	/* It is taken itself where nothing else is of today. */
	memset(item, 0, sizeof(item));
	for (int i = 0; i < N; i++)
		item[i] = (struct copy_plan_item){ .time_ns = NOW - (N - i) * DAY, .there = true };
	item[5] = (struct copy_plan_item){ .time_ns = INT64_MAX };
	assert_string_equal(plan(DAY, 30 * DAY), "000001");
	assert_string_equal(plan(0, 30 * DAY), "000001");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_is_missing_is_taken_also_before_the_newest_there),
		cmocka_unit_test(what_the_tier_would_not_keep_is_not_taken),
		cmocka_unit_test(of_each_period_without_one_the_newest_is_taken),
		cmocka_unit_test(a_week_begins_on_monday),
		cmocka_unit_test(one_from_the_future_stands_for_no_period),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
