/* The one seam of time. */
#include "tests/lib/vector.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

static int64_t fake_real, fake_boot, fake_slept;

static int64_t
read_fake(void *arg)
{
	return *(int64_t *)arg;
}

static int64_t
read_boot(void *arg)
{
	(void)arg;
	return fake_boot;
}

static void
sleep_fake(void *arg, int64_t ns)
{
	*(int64_t *)arg += ns;
	fake_slept += ns;
}

static void
the_system_clock_is_the_default_and_comes_back(void **state)
{
	const struct clock_source fake = { read_fake, read_boot, sleep_fake, &fake_real };
	int64_t seconds = time(NULL), boot;

	(void)state;
	assert_in_range(clock_real_ns() / CLOCK_S, seconds - 1, seconds + 5);
	boot = clock_boot_ns();
	assert_true(boot > 0);
	assert_true(clock_boot_ns() >= boot);
	fake_real = 5;
	fake_boot = 77;
	clock_install(&fake);
	assert_int_equal(clock_real_ns(), 5);
	assert_int_equal(clock_boot_ns(), 77);
	clock_sleep_ns(10);
	assert_int_equal(clock_real_ns(), 15);
	assert_int_equal(fake_slept, 10);
	clock_install(NULL);
	assert_true(clock_real_ns() / CLOCK_S >= seconds);
}

static void
sleeping_takes_at_least_as_long_as_asked(void **state)
{
	int64_t before = clock_boot_ns();

	(void)state;
	clock_sleep_ns(3 * CLOCK_MS);
	assert_true(clock_boot_ns() - before >= 3 * CLOCK_MS);
	clock_sleep_ns(0);
	clock_sleep_ns(-CLOCK_S);
	assert_true(clock_boot_ns() - before < 10 * CLOCK_S);
}

static void
the_test_shift_moves_real_time_only_where_compiled_in(void **state)
{
	int64_t before = clock_real_ns(), boot = clock_boot_ns(), moved;

	(void)state;
	setenv("FFDR_TEST_CLOCK", "-86400", 1);
	moved = before - clock_real_ns();
	unsetenv("FFDR_TEST_CLOCK");
#ifdef FFDR_FAULT_POINTS
	assert_true(moved > 86000 * CLOCK_S);
#else
	assert_true(moved <= 0);
#endif
	assert_true(clock_boot_ns() - boot < 60 * CLOCK_S);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_system_clock_is_the_default_and_comes_back),
		cmocka_unit_test(sleeping_takes_at_least_as_long_as_asked),
		cmocka_unit_test(the_test_shift_moves_real_time_only_where_compiled_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
