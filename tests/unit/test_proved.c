/* How long a restore will take, out of how long one took. */
#include "tests/lib/vector.h"

#include "job/proved.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_never_measured_is_not_known),
		cmocka_unit_test(what_grew_takes_longer_at_the_same_rate),
		cmocka_unit_test(what_shrank_takes_no_less_than_it_did),
		cmocka_unit_test(a_few_bytes_are_no_rate),
		cmocka_unit_test(the_wal_that_is_replayed_counts_by_its_own_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
