#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <string.h>

#include "repo/expire.h"
#include "repo/layout.h"

#define HOUR LAYOUT_HOUR_NS
#define DAY (24 * HOUR)
#define NOW (INT64_C(1800000000) * 1000000000)
#define MOST 40

/* n daily snapshots, the newest `newest` hours old, each stored an hour after its time. */
static void
daily(struct expire_item *item, size_t n, int64_t newest_h)
{
	memset(item, 0, n * sizeof(*item));
	for (size_t i = 0; i < n; i++) {
		item[i].time_ns = NOW - newest_h * HOUR - (int64_t)(n - 1 - i) * DAY;
		item[i].stored_ns = item[i].time_ns + HOUR;
	}
}

static struct expire_rules
keep_days(int64_t days)
{
	return (struct expire_rules){ .now_ns = NOW, .keep_ns = days * DAY, .longest_ns = DAY };
}

static void
nothing_goes_out_of_nothing_or_of_one(void **state)
{
	struct expire_item item[1];
	struct expire_rules rules = keep_days(0);

	(void)state;
	assert_int_equal(expire_plan(NULL, 0, &rules), 0);
	daily(item, 1, 10000);
	assert_int_equal(expire_plan(item, 1, &rules), 0);
	assert_int_equal(item[0].reason, EXPIRE_KEEP_NEWEST);
}

static void
a_window_keeps_what_is_inside_and_the_newest_before_its_start(void **state)
{
	struct expire_item item[20];
	struct expire_rules rules = keep_days(7);

	(void)state;
	daily(item, 20, 1);
	assert_int_equal(expire_plan(item, 20, &rules), 10); /* 12 are too old; half is 10 */
	rules.more_than_half = true;
	assert_int_equal(expire_plan(item, 20, &rules), 12);
	assert_int_equal(item[19].reason, EXPIRE_KEEP_NEWEST);
	for (size_t i = 13; i < 19; i++)
		assert_int_equal(item[i].reason, EXPIRE_KEEP_WINDOW);
	assert_int_equal(item[12].reason, EXPIRE_KEEP_WINDOW); /* and the state at its start */
	for (size_t i = 0; i < 12; i++)
		assert_int_equal(item[i].reason, EXPIRE_GO_AGE);
}

static void
the_start_of_the_window_belongs_to_it(void **state)
{
	struct expire_item item[4];
	struct expire_rules rules = keep_days(2);

	(void)state;
	rules.more_than_half = true;
	daily(item, 4, 0);
	expire_plan(item, 4, &rules);
	assert_int_equal(item[1].reason, EXPIRE_KEEP_WINDOW);
	assert_int_equal(item[0].reason, EXPIRE_GO_AGE);
	item[1].time_ns--;
	expire_plan(item, 4, &rules);
	assert_int_equal(item[1].reason, EXPIRE_KEEP_EDGE);
	assert_int_equal(item[0].reason, EXPIRE_GO_AGE);
	item[1].time_ns += 2;
	expire_plan(item, 4, &rules);
	assert_int_equal(item[1].reason, EXPIRE_KEEP_WINDOW);
	assert_int_equal(item[0].reason, EXPIRE_KEEP_EDGE);
}

static void
at_most_half_goes_in_one_run_and_the_oldest_first(void **state)
{
	struct expire_item item[9];
	struct expire_rules rules = keep_days(0);

	(void)state;
	daily(item, 9, 1);
	assert_int_equal(expire_plan(item, 9, &rules), 4);
	for (size_t i = 0; i < 9; i++)
		assert_int_equal(expire_goes(item[i].reason), i < 4);
	assert_int_equal(item[4].reason, EXPIRE_KEEP_HALF);
}

static void
what_went_lately_counts_for_the_half(void **state)
{
	struct expire_item item[9];
	struct expire_rules rules = keep_days(0);

	(void)state;
	daily(item, 9, 1);
	rules.lately = 9; /* half of 18 */
	assert_int_equal(expire_plan(item, 9, &rules), 0);
	assert_int_equal(item[0].reason, EXPIRE_KEEP_HALF);
	rules.lately = 4; /* two more are half of 13 */
	assert_int_equal(expire_plan(item, 9, &rules), 2);
	rules.more_than_half = true;
	assert_int_equal(expire_plan(item, 9, &rules), 6); /* the last three may be parents or edge */
}

static void
forever_keeps_all_but_replaced_partial_ones(void **state)
{
	struct expire_item item[5];
	struct expire_rules rules = keep_days(0);

	(void)state;
	rules.keep_ns = -1;
	rules.more_than_half = true;
	daily(item, 5, 48);
	item[1].partial = true;
	assert_int_equal(expire_plan(item, 5, &rules), 1);
	assert_int_equal(item[1].reason, EXPIRE_GO_PARTIAL);
	assert_int_equal(item[0].reason, EXPIRE_KEEP_WINDOW);
}

static void
one_that_a_run_may_have_as_parent_stays(void **state)
{
	struct expire_item item[3];
	struct expire_rules rules = keep_days(0);

	(void)state;
	rules.more_than_half = true;
	daily(item, 3, 1);
	item[1].stored_ns = item[2].stored_ns = NOW - DAY - HOUR; /* exactly W + 1 h is not older */
	assert_int_equal(expire_plan(item, 3, &rules), 0);
	assert_int_equal(item[0].reason, EXPIRE_KEEP_PARENT);
	assert_int_equal(item[1].reason, EXPIRE_KEEP_PARENT);
	item[1].stored_ns--;
	assert_int_equal(expire_plan(item, 3, &rules), 1);
	assert_int_equal(item[0].reason, EXPIRE_GO_AGE);
	item[2].stored_ns--;
	assert_int_equal(expire_plan(item, 3, &rules), 2);
}

static void
what_is_held_or_verified_last_stays(void **state)
{
	struct expire_item item[10];
	struct expire_rules rules = keep_days(0);

	(void)state;
	rules.more_than_half = true;
	daily(item, 10, 50);
	item[0].held = true;
	item[1].verified = item[3].verified = true;
	assert_int_equal(expire_plan(item, 10, &rules), 7);
	assert_int_equal(item[0].reason, EXPIRE_KEEP_HELD);
	assert_int_equal(item[1].reason, EXPIRE_GO_AGE);
	assert_int_equal(item[3].reason, EXPIRE_KEEP_VERIFIED);
}

static void
nothing_goes_by_age_while_the_newest_known_of_is_broken(void **state)
{
	struct expire_item item[10];
	struct expire_rules rules = keep_days(2);

	(void)state;
	rules.more_than_half = true;
	daily(item, 10, 50);
	item[1].verified = item[4].verified = item[8].broken = true;
	item[2].partial = true;
	assert_int_equal(expire_plan(item, 10, &rules), 1);
	assert_int_equal(item[0].reason, EXPIRE_KEEP_BROKEN);
	assert_int_equal(item[2].reason, EXPIRE_GO_PARTIAL);
	assert_int_equal(item[4].reason, EXPIRE_KEEP_VERIFIED);
	item[9].verified = true; /* a later one is good */
	assert_true(expire_plan(item, 10, &rules) > 5);
	assert_int_equal(item[4].reason, EXPIRE_GO_AGE);
	item[9].verified = false;
	item[8].partial = true; /* of which nobody expects much */
	assert_true(expire_plan(item, 10, &rules) > 3);
}

static void
what_another_tier_waits_for_stays_and_does_not_count_for_the_half(void **state)
{
	struct expire_item item[12];
	struct expire_rules rules = keep_days(2);

	(void)state;
	daily(item, 12, 50);
	for (size_t i = 0; i < 12; i++)
		item[i].owed = i < 4;
	assert_int_equal(expire_plan(item, 12, &rules), 5);
	assert_int_equal(item[0].reason, EXPIRE_KEEP_OWED);
	assert_int_equal(item[4].reason, EXPIRE_GO_AGE);
	rules.retire = true; /* a person said so */
	assert_int_equal(expire_plan(item, 12, &rules), 12);
}

static void
a_partial_one_stays_until_a_settled_complete_one_is_newer(void **state)
{
	struct expire_item item[4];
	struct expire_rules rules = keep_days(30);

	(void)state;
	daily(item, 4, 2);
	item[1].partial = item[2].partial = true;
	assert_int_equal(expire_plan(item, 4, &rules), 0);
	assert_int_equal(item[0].reason, EXPIRE_KEEP_WINDOW);
	assert_int_equal(item[1].reason, EXPIRE_KEEP_PARENT);
	item[3].stored_ns = NOW - DAY - HOUR - 1;
	assert_int_equal(expire_plan(item, 4, &rules), 2);
	item[3].partial = true; /* now all after the first are partial */
	assert_int_equal(expire_plan(item, 4, &rules), 0);
	assert_int_equal(item[0].reason, EXPIRE_KEEP_NEWEST);
	assert_int_equal(item[3].reason, EXPIRE_KEEP_NEWEST);
}

static void
a_partial_one_is_neither_edge_nor_last_verified(void **state)
{
	struct expire_item item[4];
	struct expire_rules rules = keep_days(1);

	(void)state;
	daily(item, 4, 1);
	rules.more_than_half = true;
	item[0].verified = true;
	item[2].partial = item[2].verified = true;
	expire_plan(item, 4, &rules);
	assert_int_equal(item[0].reason, EXPIRE_KEEP_VERIFIED);
	assert_int_equal(item[1].reason, EXPIRE_KEEP_EDGE);
	assert_int_equal(item[2].reason, EXPIRE_KEEP_PARENT);
}

static void
a_retired_source_lets_go_of_all_that_is_not_held(void **state)
{
	struct expire_item item[6];
	struct expire_rules rules = keep_days(-1);

	(void)state;
	rules.retire = true;
	daily(item, 6, 0);
	item[2].held = true;
	assert_int_equal(expire_plan(item, 6, &rules), 5);
	assert_int_equal(item[2].reason, EXPIRE_KEEP_HELD);
	assert_int_equal(item[5].reason, EXPIRE_GO_RETIRED);
}

static void
the_window_ends_with_the_newest_where_nothing_new_comes(void **state)
{
	struct expire_item item[20];
	struct expire_rules rules = keep_days(7);

	(void)state;
	rules.more_than_half = true;
	daily(item, 20, 1);
	rules.now_ns += 3650 * DAY;
	assert_int_equal(expire_plan(item, 20, &rules), 12);
	for (size_t i = 12; i < 19; i++)
		assert_int_equal(item[i].reason, EXPIRE_KEEP_WINDOW);
	item[19].partial = true; /* is no snapshot: the window ends with the one before it */
	assert_int_equal(expire_plan(item, 20, &rules), 11);
}

static void
one_from_the_future_frees_nothing_and_stays(void **state)
{
	struct expire_item item[20];
	struct expire_rules rules = keep_days(7);
	size_t without;

	(void)state;
	rules.more_than_half = true;
	daily(item, 20, 1);
	item[19].time_ns = item[19].stored_ns = NOW + 400 * DAY;
	without = expire_plan(item, 19, &rules);
	assert_int_equal(expire_plan(item, 20, &rules), without);
	assert_int_equal(item[19].reason, EXPIRE_KEEP_NEWEST);
	assert_int_equal(item[18].reason, EXPIRE_KEEP_NEWEST);
	item[17].time_ns = item[17].stored_ns = NOW + 399 * DAY;
	item[17].verified = item[3].verified = true;
	expire_plan(item, 20, &rules);
	assert_int_equal(item[17].reason, EXPIRE_KEEP_FUTURE);
	assert_int_equal(item[3].reason, EXPIRE_KEEP_VERIFIED);
	for (size_t i = 0; i < 20; i++)
		item[i].time_ns = item[i].stored_ns = NOW + (int64_t)(i + 1) * DAY;
	assert_int_equal(expire_plan(item, 20, &rules), 0);
}

static void
an_impossible_name_ages_by_when_it_was_stored(void **state)
{
	struct expire_item item[4];
	struct expire_rules rules = keep_days(2);

	(void)state;
	rules.more_than_half = true;
	daily(item, 4, 26);
	for (size_t i = 1; i < 4; i++) /* named after one that was made by a wrong clock */
		item[i].time_ns = NOW + 400 * DAY + (int64_t)i;
	assert_int_equal(expire_time(&item[1], NOW), item[1].stored_ns);
	assert_int_equal(expire_time(&item[1], NOW + 401 * DAY), item[1].time_ns);
	item[1].stored_ns += HOUR;
	expire_plan(item, 4, &rules);
	assert_int_equal(item[0].reason, EXPIRE_KEEP_EDGE);
	assert_int_equal(item[1].reason, EXPIRE_KEEP_WINDOW);
	item[1].stored_ns -= 2 * HOUR;
	expire_plan(item, 4, &rules);
	assert_int_equal(item[0].reason, EXPIRE_GO_AGE);
	assert_int_equal(item[1].reason, EXPIRE_KEEP_EDGE);
}

static void
five_minutes_ahead_are_no_future(void **state)
{
	struct expire_item it = { .time_ns = NOW + LAYOUT_SKEW_NS, .stored_ns = NOW + DAY };

	(void)state;
	assert_int_equal(expire_time(&it, NOW), it.time_ns);
	it.time_ns++;
	assert_int_equal(expire_time(&it, NOW), INT64_MAX);
}

static void
each_reason_has_its_own_words(void **state)
{
	(void)state;
	for (int i = 0; i < EXPIRE_REASONS; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(expire_reason_text((enum expire_reason)i),
			    expire_reason_text((enum expire_reason)j));
}

/* ---- random histories ---- */

static uint64_t seed;

static uint64_t
draw(uint64_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % below;
}

/* wrong: with now and then a clock that is, whereupon names go on from there. */
static size_t
random_history(struct expire_item *item, bool wrong)
{
	size_t n = draw(MOST) + 1;
	int64_t t = NOW - (int64_t)draw(60) * DAY;

	for (size_t i = 0; i < n; i++) {
		item[i] = (struct expire_item){
			.time_ns = t,
			.stored_ns = t + (int64_t)draw(26) * HOUR,
			.partial = draw(5) == 0,
			.held = draw(12) == 0,
			.verified = draw(4) == 0,
		};
		if (wrong && draw(15) == 0)
			item[i].time_ns = item[i].stored_ns = NOW + (int64_t)draw(500) * DAY;
		if (i > 0 && item[i].time_ns <= item[i - 1].time_ns)
			item[i].time_ns = item[i - 1].time_ns + INT64_C(1000000000);
		t += (int64_t)draw(72) * HOUR / (int64_t)(draw(8) + 1);
	}
	return n;
}

/* The last complete one that is not from the future. */
static size_t
last(const struct expire_item *item, size_t n, int64_t before, bool verified)
{
	for (size_t i = n; i > 0; i--)
		if (!item[i - 1].partial && expire_time(&item[i - 1], NOW) != INT64_MAX &&
		    expire_time(&item[i - 1], NOW) <= before &&
		    (!verified || item[i - 1].verified))
			return i - 1;
	return SIZE_MAX;
}

static bool
stays(const struct expire_item *item, size_t i)
{
	return i == SIZE_MAX || !expire_goes(item[i].reason);
}

static void
check_plan(const struct expire_item *item, size_t n, const struct expire_rules *rules)
{
	size_t complete = 0, gone = 0, newest = last(item, n, INT64_MAX, false);
	int64_t start = newest == SIZE_MAX ? INT64_MIN :
	    expire_time(&item[newest], NOW) - rules->keep_ns;

	if (start > rules->now_ns - rules->keep_ns)
		start = rules->now_ns - rules->keep_ns;
	assert_true(stays(item, n - 1));
	assert_true(stays(item, newest));
	assert_true(stays(item, last(item, n, INT64_MAX, true)));
	for (size_t i = 0; i < n; i++) {
		bool settled = false, state = false;

		complete += !item[i].partial;
		if (stays(item, i))
			continue;
		gone += !item[i].partial;
		assert_false(item[i].held);
		assert_true(expire_time(&item[i], NOW) != INT64_MAX);
		assert_true(item[i].partial || expire_time(&item[i], NOW) < start);
		/* The state at the window's start is younger and stays. */
		for (size_t j = 0; j < n; j++)
			state |= !item[j].partial && stays(item, j) &&
			    expire_time(&item[j], NOW) <= start &&
			    expire_time(&item[j], NOW) >= expire_time(&item[i], NOW);
		assert_true(item[i].partial || state);
		for (size_t j = i + 1; j < n; j++)
			settled |= expire_time(&item[j], NOW) != INT64_MAX &&
			    item[j].stored_ns < rules->now_ns - 25 * HOUR &&
			    (!item[i].partial || !item[j].partial);
		assert_true(settled);
	}
	if (!rules->more_than_half)
		assert_true(gone <= complete / 2);
}

static size_t
remove_going(struct expire_item *item, size_t n)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++)
		if (!expire_goes(item[i].reason))
			item[left++] = item[i];
	return left;
}

static void
random_histories_keep_the_rules_and_running_again_converges(void **state)
{
	struct expire_item item[MOST], all[MOST];

	(void)state;
	for (uint64_t round = 0; round < 20000; round++) {
		struct expire_rules rules = keep_days((int64_t)draw(30));
		size_t n, left, runs = 0, full;

		seed = round;
		n = left = random_history(item, true);
		memcpy(all, item, sizeof(all));
		rules.more_than_half = draw(2) == 0;
		while (expire_plan(item, left, &rules) > 0) {
			check_plan(item, left, &rules);
			left = remove_going(item, left);
			assert_true(++runs <= MOST);
		}
		/* Steps of a half end where one big step does. */
		rules.more_than_half = true;
		full = n - expire_plan(all, n, &rules);
		assert_int_equal(left, full);
	}
}

/* Whatever now is said to be: what is inside `keep`, counted from the newest, stays. */
static void
no_clock_however_wrong_takes_what_is_inside_the_window(void **state)
{
	struct expire_item item[MOST];

	(void)state;
	for (uint64_t round = 0; round < 5000; round++) {
		struct expire_rules rules = keep_days((int64_t)draw(30));
		size_t n = 0, newest;

		seed = round;
		n = random_history(item, false);
		newest = last(item, n, INT64_MAX, false);
		rules.more_than_half = true;
		rules.now_ns = draw(2) == 0 ? NOW + LAYOUT_SKEW_NS : NOW - (int64_t)draw(3000) * DAY;
		expire_plan(item, n, &rules);
		for (size_t i = 0; i < n; i++)
			if (newest == SIZE_MAX || item[i].time_ns >= item[newest].time_ns - rules.keep_ns)
				assert_true(item[i].partial || stays(item, i));
	}
}

static void
time_only_lets_more_go(void **state)
{
	struct expire_item now[MOST], later[MOST];

	(void)state;
	for (uint64_t round = 0; round < 5000; round++) {
		struct expire_rules rules = keep_days((int64_t)draw(30));
		size_t n;

		seed = round;
		n = random_history(now, false);
		rules.more_than_half = true;
		memcpy(later, now, sizeof(later));
		expire_plan(now, n, &rules);
		rules.now_ns += (int64_t)draw(20) * DAY;
		expire_plan(later, n, &rules);
		for (size_t i = 0; i < n; i++)
			if (expire_goes(now[i].reason))
				assert_true(expire_goes(later[i].reason));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_goes_out_of_nothing_or_of_one),
		cmocka_unit_test(a_window_keeps_what_is_inside_and_the_newest_before_its_start),
		cmocka_unit_test(the_start_of_the_window_belongs_to_it),
		cmocka_unit_test(at_most_half_goes_in_one_run_and_the_oldest_first),
		cmocka_unit_test(what_went_lately_counts_for_the_half),
		cmocka_unit_test(forever_keeps_all_but_replaced_partial_ones),
		cmocka_unit_test(one_that_a_run_may_have_as_parent_stays),
		cmocka_unit_test(what_is_held_or_verified_last_stays),
		cmocka_unit_test(nothing_goes_by_age_while_the_newest_known_of_is_broken),
		cmocka_unit_test(what_another_tier_waits_for_stays_and_does_not_count_for_the_half),
		cmocka_unit_test(a_partial_one_stays_until_a_settled_complete_one_is_newer),
		cmocka_unit_test(a_partial_one_is_neither_edge_nor_last_verified),
		cmocka_unit_test(a_retired_source_lets_go_of_all_that_is_not_held),
		cmocka_unit_test(the_window_ends_with_the_newest_where_nothing_new_comes),
		cmocka_unit_test(one_from_the_future_frees_nothing_and_stays),
		cmocka_unit_test(an_impossible_name_ages_by_when_it_was_stored),
		cmocka_unit_test(five_minutes_ahead_are_no_future),
		cmocka_unit_test(each_reason_has_its_own_words),
		cmocka_unit_test(random_histories_keep_the_rules_and_running_again_converges),
		cmocka_unit_test(no_clock_however_wrong_takes_what_is_inside_the_window),
		cmocka_unit_test(time_only_lets_more_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
