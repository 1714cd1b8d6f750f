/* How long a restore will take, out of how long one took; and whether what was promised is kept. */
#include "tests/lib/vector.h"

#include "base/clock.h"
#include "job/cold.h"
#include "job/status.h"

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)

static struct proved_pace
took(int64_t ms, uint64_t bytes)
{
	return (struct proved_pace){ .known = true, .bytes = bytes, .restore_ms = ms };
}

static void
what_was_never_measured_is_not_known(void **state)
{
	const struct proved_pace never = { 0 };

	(void)state;
	assert_int_equal(proved_predict(&never, 1, 0), -1);
}

static void
what_grew_takes_longer_at_the_same_rate(void **state)
{
	const struct proved_pace p = took(60000, 10 * GIB);

	(void)state;
	assert_int_equal(proved_predict(&p, 10 * GIB, 0), 60000);
	assert_int_equal(proved_predict(&p, 30 * GIB, 0), 180000);
}

static void
what_shrank_takes_no_less_than_it_did(void **state)
{
	const struct proved_pace p = took(60000, 10 * GIB);

	(void)state;
	assert_int_equal(proved_predict(&p, GIB, 0), 60000);
}

static void
a_few_bytes_are_no_rate(void **state)
{
	const struct proved_pace p = took(50, 20 * MIB);

	(void)state;
	assert_int_equal(proved_predict(&p, 40 * MIB, 0), 100);
	assert_int_equal(proved_predict(&p, 41 * MIB, 0), -1);
	assert_int_equal(proved_predict(&p, 1000 * GIB, 0), -1);
}

static void
the_wal_that_is_replayed_counts_by_its_own_rate(void **state)
{
	struct proved_pace p = took(60000, 10 * GIB);

	(void)state;
	p.recovery_ms = 8000;
	p.wal_bytes = GIB;
	assert_int_equal(proved_predict(&p, 10 * GIB, 0), 68000);
	assert_int_equal(proved_predict(&p, 20 * GIB, 4 * GIB), 152000);
	p.wal_bytes = 0;
	assert_int_equal(proved_predict(&p, 10 * GIB, 16 * MIB), 68000);
	assert_int_equal(proved_predict(&p, 10 * GIB, GIB), -1);
}

static void
a_promise_is_kept_up_to_its_last_moment(void **state)
{
	const struct exposure unknown = { 0 };
	struct exposure is = { .known = true, .ns = 60 * CLOCK_S };

	(void)state;
	assert_int_equal(status_judge_rpo(&is, 0), STATUS_NONE);
	assert_int_equal(status_judge_rpo(&is, 60 * CLOCK_S), STATUS_KEPT);
	assert_int_equal(status_judge_rpo(&is, 60 * CLOCK_S - 1), STATUS_MISSED);
	/* What nobody knows is never within a promise, and breaks none that was not made. */
	assert_int_equal(status_judge_rpo(&unknown, 60 * CLOCK_S), STATUS_UNKNOWN);
	assert_int_equal(status_judge_rpo(&unknown, 0), STATUS_NONE);
	assert_int_equal(status_judge_rto(1000, 0), STATUS_NONE);
	assert_int_equal(status_judge_rto(1000, 1000), STATUS_KEPT);
	assert_int_equal(status_judge_rto(1001, 1000), STATUS_MISSED);
	assert_int_equal(status_judge_rto(-1, 1000), STATUS_UNKNOWN);
}

static void
an_archive_is_waited_for_and_other_classes_are_not(void **state)
{
	const int64_t hour = INT64_C(3600) * 1000;

	(void)state;
	assert_int_equal(cold_wait_ms(NULL), 0);
	assert_int_equal(cold_wait_ms("STANDARD_IA"), 0);
	assert_int_equal(cold_wait_ms("GLACIER_IR"), 0);
	assert_int_equal(cold_wait_ms("GLACIER"), 5 * hour);
	assert_int_equal(cold_wait_ms("DEEP_ARCHIVE"), 12 * hour);
	assert_string_equal(cold_class_within(12 * hour), "DEEP_ARCHIVE");
	assert_string_equal(cold_class_within(12 * hour - 1), "GLACIER");
	assert_null(cold_class_within(5 * hour - 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_never_measured_is_not_known),
		cmocka_unit_test(what_grew_takes_longer_at_the_same_rate),
		cmocka_unit_test(what_shrank_takes_no_less_than_it_did),
		cmocka_unit_test(a_few_bytes_are_no_rate),
		cmocka_unit_test(a_promise_is_kept_up_to_its_last_moment),
		cmocka_unit_test(an_archive_is_waited_for_and_other_classes_are_not),
		cmocka_unit_test(the_wal_that_is_replayed_counts_by_its_own_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
