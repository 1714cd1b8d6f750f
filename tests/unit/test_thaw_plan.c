/* What is ordered from an archive, from where, and at what price: thaw_plan.c and cold.c. */
#include "tests/lib/vector.h"

#include <string.h>

#include "job/cold.h"
#include "job/thaw.h"
#include "job/thaw_plan.h"

#define GB UINT64_C(1000000000)

static struct tier near = { .name = "near" };
static struct tier far = { .name = "far", .options = { .class = "GLACIER" }, .thaw_days = 7 };
static struct tier deep = { .name = "deep", .options = { .class = "DEEP_ARCHIVE" },
	.thaw = STORE_BULK, .thaw_days = 2 };

static struct thaw_pack
pack(struct tier *on, enum store_state state, uint64_t size, const char *class)
{
	struct thaw_pack p = { .size = size, .on = on, .is = { .state = state } };

	strcpy(p.is.class, class);
	return p;
}

static void
what_is_at_hand_is_taken_before_what_comes_and_that_before_what_costs(void **state)
{
	struct thaw_pack p = pack(NULL, STORE_READABLE, 1, "");

	(void)state;
	assert_true(thaw_plan_better(&p, STORE_FROZEN));
	p = pack(&far, STORE_FROZEN, 1, "GLACIER");
	assert_false(thaw_plan_better(&p, STORE_FROZEN));
	assert_true(thaw_plan_better(&p, STORE_THAWING));
	p.is.state = STORE_THAWING;
	assert_false(thaw_plan_better(&p, STORE_FROZEN));
	assert_true(thaw_plan_better(&p, STORE_THAWED));
	p.is.state = STORE_THAWED;
	assert_false(thaw_plan_better(&p, STORE_READABLE));
}

static void
only_what_is_frozen_is_ordered_and_what_comes_already_costs_nothing(void **state)
{
	const struct thaw_pack list[] = {
		pack(&near, STORE_READABLE, GB, ""), pack(&far, STORE_FROZEN, GB, "GLACIER"),
		pack(&far, STORE_THAWED, GB, "GLACIER"), pack(&far, STORE_THAWING, GB, "GLACIER"),
		pack(NULL, STORE_FROZEN, GB, ""), pack(&far, STORE_FROZEN, 2 * GB, "GLACIER"),
	};
	struct thaw_plan p;

	(void)state;
	thaw_plan(list, 6, &thaw_wish_none, &p);
	assert_int_equal(p.orders, 2);
	assert_int_equal(p.waits, 1);
	assert_int_equal(p.bytes, 3 * GB);
	assert_int_equal(p.shares, 1);
	assert_ptr_equal(p.share[0].tier, &far);
	assert_int_equal(p.share[0].speed, STORE_STANDARD);
	assert_int_equal(p.share[0].wait_ms, 5 * 3600 * 1000);
	/* 2 requests, 3 GB at 0.01, 3 GB for 7 days at 0.023 a month. */
	assert_true(p.share[0].price > 0.0461 && p.share[0].price < 0.0463);
}

static void
each_tier_and_class_has_its_own_price_and_pace(void **state)
{
	const struct thaw_pack list[] = {
		pack(&far, STORE_FROZEN, GB, "GLACIER"), pack(&deep, STORE_FROZEN, GB, ""),
		pack(&far, STORE_FROZEN, GB, "COLDER_STILL"),
	};
	const struct thaw_wish hurry = { .speed = "expedited", .days = 1 };
	struct thaw_plan p;

	(void)state;
	thaw_plan(list, 3, &thaw_wish_none, &p);
	assert_int_equal(p.shares, 3);
	/* A store that does not say the class is taken at the configuration's word. */
	assert_string_equal(p.share[1].class, "DEEP_ARCHIVE");
	assert_int_equal(p.share[1].speed, STORE_BULK);
	assert_int_equal(p.share[1].days, 2);
	assert_int_equal(p.share[1].wait_ms, 48 * 3600 * 1000);
	assert_int_equal(p.share[2].wait_ms, 0);
	assert_true(p.share[2].price < 0);
	thaw_plan(list, 1, &hurry, &p);
	assert_int_equal(p.share[0].wait_ms, 5 * 60 * 1000);
	assert_int_equal(p.share[0].days, 1);
	/* A store would refuse what the class does not have. */
	thaw_plan(&list[1], 1, &hurry, &p);
	assert_int_equal(p.share[0].speed, STORE_STANDARD);
	thaw_plan(list, 1, &hurry, &p);
	assert_int_equal(p.share[0].speed, STORE_EXPEDITED);
	/* 10 dollars a thousand, 0.03 a GB, a day of storage. */
	assert_true(p.share[0].price > 0.0407 && p.share[0].price < 0.0408);
}

static void
a_share_is_told_with_its_sum_and_whose_prices_these_are(void **state)
{
	const struct thaw_pack list[] = {
		pack(&far, STORE_FROZEN, 333 * GB, "GLACIER"), pack(&far, STORE_THAWING, GB, "GLACIER"),
	};
	struct thaw_plan p;
	struct buf text;

	(void)state;
	buf_init(&text, 1000);
	thaw_plan(list, 2, &thaw_wish_none, &p);
	thaw_plan_say(&p.share[0], &text);
	assert_string_equal(buf_str(&text), "1 pack, 333 GB, on far (GLACIER): standard, readable within "
	    "about 5h, for 7 days, for about 5.12 USD by " COLD_PRICES "; 1 pack on far is ordered "
	    "already: readable within about 5h");
	p.share[0].price = 0.0004;
	thaw_plan_say(&p.share[0], &text);
	assert_non_null(strstr(buf_str(&text), ", for less than 0.01 USD by "));
	buf_done(&text);
}

static void
bundles_of_wal_are_told_apart_from_packs_in_one_sum(void **state)
{
	static const struct wal_thaw_bundle bundle = { .name = "walb/pg.a/1/1/1/0-1" };
	struct thaw_pack list[] = {
		pack(&far, STORE_FROZEN, GB, "GLACIER"), pack(&far, STORE_FROZEN, GB, "GLACIER"),
		pack(&far, STORE_THAWING, GB, "GLACIER"),
	};
	struct thaw_plan p;
	struct buf text;

	(void)state;
	buf_init(&text, 1000);
	list[1].log = list[2].log = &bundle;
	thaw_plan(list, 3, &thaw_wish_none, &p);
	assert_int_equal(p.orders, 2);
	assert_int_equal(p.bytes, 2 * GB);
	thaw_plan_say(&p.share[0], &text);
	assert_non_null(strstr(buf_str(&text), "1 pack and 1 bundle of WAL, 2.00 GB, on far"));
	assert_non_null(strstr(buf_str(&text), "; 1 bundle of WAL on far is ordered already"));
	buf_reset(&text);
	thaw_plan_count(p.orders + p.waits, p.log, &text);
	assert_string_equal(buf_str(&text), "1 pack and 2 bundles of WAL");
	buf_done(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_at_hand_is_taken_before_what_comes_and_that_before_what_costs),
		cmocka_unit_test(only_what_is_frozen_is_ordered_and_what_comes_already_costs_nothing),
		cmocka_unit_test(each_tier_and_class_has_its_own_price_and_pace),
		cmocka_unit_test(a_share_is_told_with_its_sum_and_whose_prices_these_are),
		cmocka_unit_test(bundles_of_wal_are_told_apart_from_packs_in_one_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
