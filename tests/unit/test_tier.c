#include "tests/lib/vector.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/tier.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vclock.h"

/* Three tiers in memory, each behind a store with faults. */
static struct tier tiers[3];
static struct tier_set set = { .tier = tiers, .count = 3 };
static struct store *mem[3];
static struct buf out;
static struct tier *from;
static struct err e;

static int
begin(void **state)
{
	static const char *const names[] = { "local", "regional", "dr" };

	(void)state;
	vclock_install(INT64_C(1700000000) * CLOCK_S);
	for (size_t i = 0; i < 3; i++) {
		mem[i] = memstore_new();
		tiers[i] = (struct tier){ .name = names[i], .store = faultstore_new(mem[i]) };
	}
	buf_init(&out, 1000);
	from = NULL;
	err_clear(&e);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	tier_close_all(&set);
	buf_done(&out);
	vclock_remove();
	return 0;
}

static void
put(size_t tier, const char *name, const char *bytes)
{
	assert_int_equal(store_put(mem[tier], name, bytes, strlen(bytes), STORE_NEW, &e), 1);
}

static void
arm(size_t tier, enum fault_kind kind)
{
	struct fault f = { .kind = kind, .at = 1, .times = 100000 };

	faultstore_arm(tiers[tier].store, &f);
}

/* Good is what begins with "good". */
static int
judge(void *arg, const char *name, const struct buf *bytes, struct err *err)
{
	unsigned *asked = arg;

	(*asked)++;
	if (bytes->len >= 4 && memcmp(bytes->data, "good", 4) == 0)
		return 0;
	return err_set(err, ERR_CORRUPT, "'%s' is damaged", name);
}

static void
an_object_comes_from_the_nearest_tier_that_has_it(void **state)
{
	(void)state;
	put(1, "a", "one");
	put(2, "a", "two");
	assert_int_equal(tier_get(&set, NULL, "a", &out, NULL, NULL, &from, &e), 0);
	assert_string_equal(buf_str(&out), "one");
	assert_ptr_equal(from, &tiers[1]);
}

static void
the_tier_named_first_is_asked_first_and_only_once(void **state)
{
	struct fault count = { .kind = FAULT_DELAY, .op = "get", .at = 1000 };

	(void)state;
	put(0, "a", "zero");
	put(2, "a", "two");
	assert_int_equal(tier_get(&set, &tiers[2], "a", &out, NULL, NULL, &from, &e), 0);
	assert_string_equal(buf_str(&out), "two");
	faultstore_arm(tiers[2].store, &count);
	assert_int_equal(tier_get(&set, &tiers[2], "b", &out, NULL, NULL, &from, &e), -1);
	assert_int_equal(faultstore_calls(tiers[2].store), 1);
}

static void
who_is_near_is_asked_before_who_stands_before_it_and_an_archive_last(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		put(i, "a", tiers[i].name);
	put(2, "b", "archive");
	tiers[0].rank = 2;
	tiers[1].rank = 1;
	tiers[2].last = true;
	assert_ptr_equal(tier_near(&set, 0), &tiers[1]);
	assert_ptr_equal(tier_near(&set, 1), &tiers[0]);
	assert_ptr_equal(tier_near(&set, 2), &tiers[2]);
	assert_int_equal(tier_get(&set, NULL, "a", &out, NULL, NULL, &from, &e), 0);
	assert_ptr_equal(from, &tiers[1]);
	buf_reset(&out);
	assert_int_equal(tier_get(&set, NULL, "b", &out, NULL, NULL, &from, &e), 0);
	assert_ptr_equal(from, &tiers[2]);
}

static void
each_has_one_turn_and_an_archive_that_is_named_first_its_own(void **state)
{
	(void)state;
	assert_ptr_equal(tier_turn(&set, &tiers[1], 0), &tiers[1]);
	assert_ptr_equal(tier_turn(&set, &tiers[1], 1), &tiers[0]);
	assert_ptr_equal(tier_turn(&set, &tiers[1], 2), &tiers[2]);
	assert_null(tier_turn(&set, &tiers[1], 3));
	assert_null(tier_turn(&set, NULL, 3));
	tiers[1].last = true;
	assert_ptr_equal(tier_turn(&set, &tiers[1], 0), &tiers[0]);
	assert_ptr_equal(tier_turn(&set, &tiers[1], 1), &tiers[2]);
	assert_ptr_equal(tier_turn(&set, &tiers[1], 2), &tiers[1]);
	assert_null(tier_turn(&set, &tiers[1], 3));
}

static void
a_copy_that_is_refused_is_passed_over(void **state)
{
	unsigned asked = 0;

	(void)state;
	put(0, "a", "bad bytes");
	put(1, "a", "");
	put(2, "a", "good bytes");
	assert_int_equal(tier_get(&set, NULL, "a", &out, judge, &asked, &from, &e), 0);
	assert_string_equal(buf_str(&out), "good bytes");
	assert_ptr_equal(from, &tiers[2]);
	assert_int_equal(asked, 3);
}

static void
a_short_and_a_flipped_copy_are_found_by_the_judge(void **state)
{
	unsigned asked = 0;

	(void)state;
	put(0, "a", "good");
	put(1, "a", "good");
	put(2, "a", "good");
	arm(0, FAULT_SHORT);
	arm(1, FAULT_FLIP);
	assert_int_equal(tier_get(&set, NULL, "a", &out, judge, &asked, &from, &e), 0);
	assert_ptr_equal(from, &tiers[2]);
}

static void
a_copy_that_is_too_large_does_not_spoil_the_next_one(void **state)
{
	static char large[2000];

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	put(0, "a", large);
	put(1, "a", "good");
	assert_int_equal(tier_get(&set, NULL, "a", &out, NULL, NULL, &from, &e), 0);
	assert_string_equal(buf_str(&out), "good");
}

static void
when_all_fail_each_tier_has_its_line_and_nothing_was_added(void **state)
{
	unsigned asked = 0;

	(void)state;
	buf_adds(&out, "before");
	put(0, "a", "bad");
	arm(2, FAULT_REMOTE);
	assert_int_equal(tier_get(&set, NULL, "a", &out, judge, &asked, &from, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "\n  local "));
	assert_non_null(strstr(e.text, "'a' is damaged"));
	assert_non_null(strstr(e.text, "\n  regional "));
	assert_non_null(strstr(e.text, "\n  dr "));
	assert_non_null(strstr(e.text, "no answer"));
	assert_string_equal(buf_str(&out), "before");
	assert_null(from);
}

static void
who_did_not_answer_is_known_beside_what_is_damaged(void **state)
{
	unsigned asked = 0;

	(void)state;
	put(0, "a", "bad");
	arm(1, FAULT_REMOTE);
	arm(2, FAULT_IO);
	assert_int_equal(tier_get(&set, NULL, "a", &out, judge, &asked, &from, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_false(tier_may_have(&tiers[0]));
	assert_true(tier_may_have(&tiers[1]));
	assert_true(tier_may_have(&tiers[2]));
	arm(1, FAULT_DELAY);
	store_close(tiers[2].store);
	tiers[2].store = mem[2] = NULL;
	assert_int_equal(tier_get(&set, NULL, "a", &out, judge, &asked, &from, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_false(tier_may_have(&tiers[1]));
	assert_true(tier_may_have(&tiers[2]));
	put(1, "a", "good");
	assert_int_equal(tier_get(&set, NULL, "a", &out, judge, &asked, &from, &e), 0);
	assert_false(tier_may_have(&tiers[2]));
}

static void
what_is_damaged_on_one_tier_and_frozen_on_another_can_be_had(void **state)
{
	unsigned asked = 0;

	(void)state;
	put(0, "a", "bad");
	store_close(tiers[2].store);
	tiers[2].store = mem[2] = memstore_new();
	put(2, "a", "good");
	memstore_freeze(mem[2], "a", false);
	assert_int_equal(tier_get(&set, NULL, "a", &out, judge, &asked, &from, &e), -1);
	assert_int_equal(e.kind, ERR_FROZEN);
	assert_non_null(strstr(e.text, "'a' is damaged"));
}

static void
not_found_is_said_only_when_every_tier_said_it(void **state)
{
	struct tier_set none = { 0 };

	(void)state;
	assert_int_equal(tier_get(&set, NULL, "a", &out, NULL, NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_NOTFOUND);
	arm(1, FAULT_REMOTE);
	assert_int_equal(tier_get(&set, NULL, "a", &out, NULL, NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	arm(1, FAULT_IO);
	assert_int_equal(tier_get(&set, NULL, "a", &out, NULL, NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_IO);
	store_close(tiers[1].store);
	tiers[1].store = NULL;
	err_set(&tiers[1].why, ERR_REMOTE, "'/mnt/x' is not there\n  fix       mount it");
	assert_int_equal(tier_get(&set, NULL, "a", &out, NULL, NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.text, "'/mnt/x' is not there"));
	assert_null(strstr(e.text, "mount it"));
	assert_int_equal(tier_get(&none, NULL, "a", &out, NULL, NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_NOTFOUND);
}

static void
a_dead_tier_costs_its_patience_once(void **state)
{
	int64_t slept;

	(void)state;
	put(0, "a", "zero");
	put(1, "a", "one");
	arm(0, FAULT_REMOTE);
	assert_int_equal(tier_get(&set, NULL, "a", &out, NULL, NULL, &from, &e), 0);
	assert_ptr_equal(from, &tiers[1]);
	assert_int_equal(tiers[0].why.kind, ERR_REMOTE);
	slept = vclock_slept();
	assert_true(slept > 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(tier_get(&set, NULL, "a", &out, NULL, NULL, &from, &e), 0);
	assert_int_equal(vclock_slept(), slept);
}

static void
a_tier_that_answers_again_is_asked_in_its_turn_again(void **state)
{
	(void)state;
	put(0, "a", "zero");
	put(0, "b", "zero");
	put(1, "a", "one");
	err_set(&tiers[0].why, ERR_REMOTE, "no answer");
	assert_int_equal(tier_get(&set, NULL, "a", &out, NULL, NULL, &from, &e), 0);
	assert_ptr_equal(from, &tiers[1]);
	assert_int_equal(tier_get(&set, NULL, "b", &out, NULL, NULL, &from, &e), 0);
	assert_ptr_equal(from, &tiers[0]);
	assert_int_equal(tiers[0].why.kind, ERR_NONE);
	assert_int_equal(tier_get(&set, NULL, "a", &out, NULL, NULL, &from, &e), 0);
	assert_ptr_equal(from, &tiers[0]);
}

static void
opening_keeps_the_reason_of_each_tier_that_is_away(void **state)
{
	const char *dir = scratch_dir();
	char *here = xasprintf("file://%s", dir), *gone = xasprintf("file://%s/none", dir);
	struct tier two[2] = {
		{ .name = "local", .options = { .url = here } },
		{ .name = "usb", .options = { .url = gone } },
	};
	struct tier_set pair = { .tier = two, .count = 2 };
	struct store *first;

	(void)state;
	assert_int_equal(tier_open_all(&pair), 1);
	assert_int_equal(two[0].why.kind, ERR_NONE);
	assert_null(two[1].store);
	assert_int_equal(two[1].why.kind, ERR_REMOTE);
	assert_non_null(strstr(two[1].why.text, "/none"));

	first = two[0].store;
	two[1].options.url = here; /* mounted meanwhile */
	assert_int_equal(tier_open_all(&pair), 2);
	assert_ptr_equal(two[0].store, first);
	assert_int_equal(two[1].why.kind, ERR_NONE);
	tier_close_all(&pair);
	tier_close_all(&pair);
	assert_null(two[0].store);
	free(here);
	free(gone);
}

/* A store of which nothing is asked but where it is. */
static const struct store_ops far_ops = { .scheme = "far", .name = "far", .far = true };
static const struct store_ops near_ops = { .scheme = "near", .name = "near" };

/* What was seen of each visit: who made it, and of how many it saw the beginning before its end. */
static struct visits {
	atomic_uint begun;
	unsigned together; /* for so many it waits */
	pthread_t by[4];
	unsigned saw[4], times[4];
} visits;

static void
meet(void *arg, struct tier *t, size_t i)
{
	struct visits *v = arg;

	v->by[i] = pthread_self();
	v->times[i] += t->store != NULL;
	v->begun++;
	for (int ms = 0; ms < 10000 && v->begun < v->together; ms++)
		usleep(1000);
	v->saw[i] = v->begun;
}

/* A letter a tier: (f)ar, (n)ear, (c)losed. */
static void
visit(const char *kinds, unsigned together)
{
	struct store store[4] = { { .ops = NULL } };
	struct tier four[4] = { { .name = NULL } };
	struct tier_set some = { .tier = four, .count = strlen(kinds) };

	memset(&visits, 0, sizeof(visits));
	visits.together = together;
	for (size_t i = 0; i < some.count; i++) {
		store[i].ops = kinds[i] == 'f' ? &far_ops : &near_ops;
		four[i].options.url = "none://";
		four[i].store = kinds[i] == 'c' ? NULL : &store[i];
	}
	tier_each(&some, meet, &visits);
	for (size_t i = 0; i < some.count; i++)
		assert_int_equal(visits.times[i], kinds[i] == 'c' ? 0 : 1);
}

static void
tiers_that_are_far_are_asked_at_once_and_all_have_answered_at_the_end(void **state)
{
	(void)state;
	visit("fnff", 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(visits.saw[i], 4);
	assert_true(pthread_equal(visits.by[1], pthread_self()));
	assert_false(pthread_equal(visits.by[0], visits.by[2]));
}

static void
directories_and_a_tier_that_is_far_alone_need_no_thread(void **state)
{
	static const char *const kinds[] = { "nnnn", "f", "nfn", "cfcn", "n" };

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		visit(kinds[k], 0);
		for (size_t i = 0; i < strlen(kinds[k]); i++)
			if (visits.times[i] > 0)
				assert_true(pthread_equal(visits.by[i], pthread_self()));
	}
}

static void
what_opens_the_rest_does_not_wait_again_for_who_did_not_answer(void **state)
{
	char *here = xasprintf("file://%s", scratch_dir());
	struct tier two[2] = {
		{ .name = "new", .options = { .url = here } },
		{ .name = "dead", .options = { .url = here }, .why = { .kind = ERR_REMOTE } },
	};
	struct tier_set pair = { .tier = two, .count = 2 };

	(void)state;
	assert_int_equal(tier_open_rest(&pair), 1);
	assert_non_null(two[0].store);
	assert_int_equal(two[1].why.kind, ERR_REMOTE);
	assert_int_equal(tier_open_all(&pair), 2);
	tier_close_all(&pair);
	free(here);
}

static void
a_tier_is_found_by_its_whole_name(void **state)
{
	(void)state;
	assert_ptr_equal(tier_find(&set, "dr"), &tiers[2]);
	assert_null(tier_find(&set, "d"));
	assert_null(tier_find(&set, ""));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(an_object_comes_from_the_nearest_tier_that_has_it),
		TEST(the_tier_named_first_is_asked_first_and_only_once),
		TEST(who_is_near_is_asked_before_who_stands_before_it_and_an_archive_last),
		TEST(each_has_one_turn_and_an_archive_that_is_named_first_its_own),
		TEST(a_copy_that_is_refused_is_passed_over),
		TEST(a_short_and_a_flipped_copy_are_found_by_the_judge),
		TEST(a_copy_that_is_too_large_does_not_spoil_the_next_one),
		TEST(when_all_fail_each_tier_has_its_line_and_nothing_was_added),
		TEST(who_did_not_answer_is_known_beside_what_is_damaged),
		TEST(what_is_damaged_on_one_tier_and_frozen_on_another_can_be_had),
		TEST(not_found_is_said_only_when_every_tier_said_it),
		TEST(a_dead_tier_costs_its_patience_once),
		TEST(a_tier_that_answers_again_is_asked_in_its_turn_again),
		TEST(opening_keeps_the_reason_of_each_tier_that_is_away),
		TEST(tiers_that_are_far_are_asked_at_once_and_all_have_answered_at_the_end),
		TEST(directories_and_a_tier_that_is_far_alone_need_no_thread),
		TEST(what_opens_the_rest_does_not_wait_again_for_who_did_not_answer),
		TEST(a_tier_is_found_by_its_whole_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
