#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "job/exposure_judge.h"
#include "tests/lib/chance.h"

#define NOW (INT64_C(1800000000) * CLOCK_S)
#define FRESH (60 * CLOCK_S)

/* A tier that has all up to 1000, of which a sample says that it was all 10 s ago. */
static struct exposure_facts
resting(void)
{
	return (struct exposure_facts){
		.now_ns = NOW,
		.fresh_ns = FRESH,
		.here = true,
		.reach = 1000,
		.sampled = true,
		.seen = true,
		.durable = { NOW - 10 * CLOCK_S, 1000, 50 },
		.newest = { NOW - 10 * CLOCK_S, 1000, 50 },
	};
}

static struct exposure
judged(const struct exposure_facts *f)
{
	struct exposure x;

	exposure_judge(f, &x);
	return x;
}

static void
nothing_is_lost_when_the_primary_says_that_all_is_here(void **state)
{
	struct exposure_facts f = resting();
	struct exposure x;

	(void)state;
	f.primary = EXPOSURE_REACHED;
	f.primary_lsn = 1000;
	f.sampled = f.seen = false; /* it needs no sample */
	x = judged(&f);
	assert_true(x.known && x.ns == 0 && x.bytes_known && x.bytes == 0 && x.commits_known &&
		    x.commits == 0);
	f.primary_lsn = 1001;
	x = judged(&f);
	assert_false(x.known); /* since when it has been more nobody knows */
	assert_true(x.bytes_known && x.bytes == 1);
	assert_false(x.commits_known);
}

static void
a_fresh_sample_says_nothing_only_while_it_is_fresh(void **state)
{
	struct exposure_facts f = resting();
	struct exposure x = judged(&f);

	(void)state;
	assert_true(x.known && x.ns == 0 && x.bytes_known);
	f.now_ns = f.newest.time_ns + FRESH;
	assert_int_equal(judged(&f).ns, 0);
	f.now_ns++;
	x = judged(&f);
	assert_true(x.known && x.ns == FRESH + 1 && x.unseen_ns == FRESH + 1);
	assert_false(x.bytes_known || x.commits_known);
}

static void
a_primary_that_does_not_answer_is_never_nothing(void **state)
{
	struct exposure_facts f = resting();
	struct exposure x;

	(void)state;
	f.primary = EXPOSURE_UNREACHABLE;
	f.newest = (struct exposure_sample){ NOW - 4 * CLOCK_S, 1300, 57 };
	x = judged(&f);
	assert_true(x.known);
	assert_int_equal(x.ns, 10 * CLOCK_S);
	assert_int_equal(x.unseen_ns, 4 * CLOCK_S);
	assert_int_equal(x.bytes, 300);
	assert_int_equal(x.commits, 7);
	assert_false(x.bytes_known || x.commits_known);
}

static void
without_a_sample_or_a_base_it_is_unknown_and_above_any_consent(void **state)
{
	struct exposure_facts f = resting();
	struct exposure x, some = { .known = true, .ns = 900 * CLOCK_S };

	(void)state;
	f.sampled = f.seen = false;
	x = judged(&f);
	assert_false(x.known);
	assert_false(exposure_judge_within(&x, INT64_MAX));
	assert_true(exposure_judge_less(&some, &x));
	assert_false(exposure_judge_less(&x, &some));
	f = resting();
	f.here = false;
	assert_false(judged(&f).known);
	f = resting();
	f.now_ns = f.durable.time_ns - 1; /* a clock was wrong */
	f.primary = EXPOSURE_UNREACHABLE;
	assert_false(judged(&f).known);
}

static void
counts_of_two_receivers_say_nothing(void **state)
{
	struct exposure_facts f = resting();

	(void)state;
	f.primary = EXPOSURE_REACHED;
	f.primary_lsn = 1300;
	f.newest = (struct exposure_sample){ NOW, 1300, 57 };
	assert_true(judged(&f).commits_known);
	assert_int_equal(judged(&f).commits, 7);
	f.newest.commits = 3; /* started anew */
	assert_false(judged(&f).commits_known);
	f.newest.commits = 57;
	f.primary_lsn = 1301; /* more than the sample knows of */
	assert_false(judged(&f).commits_known);
}

/* ---- a primary that is made up ---- */

#define COMMITS 200

struct commit {
	int64_t time_ns;
	uint64_t lsn;
};

static uint64_t
flushed(const struct commit *c, int64_t t)
{
	uint64_t lsn = 100;

	for (int i = 0; i < COMMITS && c[i].time_ns <= t; i++)
		lsn = c[i].lsn;
	return lsn;
}

static struct exposure_sample
sample_at(const struct commit *c, int64_t t)
{
	struct exposure_sample s = { t, flushed(c, t), 1 };

	for (int i = 0; i < COMMITS && c[i].time_ns <= t; i++)
		s.commits++;
	return s;
}

/* Whatever was sampled when, and however far the tier is: never less than what is really lost. */
static void
it_is_an_upper_bound_of_what_is_lost(void **state)
{
	struct commit c[COMMITS];
	size_t known = 0, nothing = 0;

	(void)state;
	chance_seed(4);
	for (int round = 0; round < 20000; round++) {
		struct exposure_facts f = { .fresh_ns = FRESH, .here = true };
		int64_t first = 0, last;
		uint64_t bytes, lost = 0;
		struct exposure x;

		for (int i = 0; i < COMMITS; i++)
			c[i] =
			    (struct commit){ (i ? c[i - 1].time_ns : NOW) + 1 +
						 (int64_t)chance_below(
						     chance_one_in(20) ? 200 * CLOCK_S : CLOCK_S),
					     (i ? c[i - 1].lsn : 100) + 1 + chance_below(500) };
		last = c[COMMITS - 1].time_ns;
		f.now_ns = c[0].time_ns + (int64_t)chance_below((uint64_t)(last - c[0].time_ns));
		f.reach = flushed(c, f.now_ns - (int64_t)chance_below(100 * CLOCK_S));
		f.sampled = !chance_one_in(8);
		f.durable = sample_at(c, f.now_ns - (int64_t)chance_below(300 * CLOCK_S));
		while (f.durable.lsn > f.reach)
			f.durable = sample_at(c, f.durable.time_ns - CLOCK_S);
		f.seen = f.sampled || chance_one_in(2);
		f.newest = sample_at(c, f.now_ns - (int64_t)chance_below(100 * CLOCK_S));
		if (f.sampled && f.newest.time_ns < f.durable.time_ns)
			f.newest = f.durable;
		f.primary = chance_one_in(2) ? EXPOSURE_REACHED : EXPOSURE_UNREACHABLE;
		f.primary_lsn = flushed(c, f.now_ns);
		for (int i = COMMITS; i > 0; i--)
			if (c[i - 1].time_ns <= f.now_ns && c[i - 1].lsn > f.reach) {
				first = c[i - 1].time_ns;
				lost++;
			}
		bytes = flushed(c, f.now_ns) > f.reach ? flushed(c, f.now_ns) - f.reach : 0;
		x = judged(&f);
		known += x.known;
		nothing += x.known && x.ns == 0;
		if (x.known && lost > 0)
			assert_true(x.ns >= f.now_ns - first);
		if (x.known && x.ns == 0)
			assert_int_equal(lost, 0);
		if (x.bytes_known)
			assert_true(x.bytes >= bytes);
		if (x.commits_known)
			assert_true(x.commits >= lost);
		assert_true(x.unseen_ns <= x.ns);
	}
	assert_true(known > 10000 && nothing > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_when_the_primary_says_that_all_is_here),
		cmocka_unit_test(a_fresh_sample_says_nothing_only_while_it_is_fresh),
		cmocka_unit_test(a_primary_that_does_not_answer_is_never_nothing),
		cmocka_unit_test(without_a_sample_or_a_base_it_is_unknown_and_above_any_consent),
		cmocka_unit_test(counts_of_two_receivers_say_nothing),
		cmocka_unit_test(it_is_an_upper_bound_of_what_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
