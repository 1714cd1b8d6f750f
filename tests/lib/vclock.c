/* A clock for tests of patience and age: 30 minutes of retries take no time at all. */
#include "tests/lib/vclock.h"

#include <stddef.h>

#include "base/clock.h"

static int64_t real, boot, slept;

static int64_t
get_real(void *arg)
{
	(void)arg;
	return real;
}

static int64_t
get_boot(void *arg)
{
	(void)arg;
	return boot;
}

static void
sleep_for(void *arg, int64_t ns)
{
	(void)arg;
	if (ns <= 0)
		return;
	slept += ns;
	vclock_pass(ns);
}

void
vclock_install(int64_t real_ns)
{
	static const struct clock_source source = {
		.real_ns = get_real, .boot_ns = get_boot, .sleep_ns = sleep_for,
	};

	real = real_ns;
	boot = 3600 * CLOCK_S;
	slept = 0;
	clock_install(&source);
}

void
vclock_remove(void)
{
	clock_install(NULL);
}

int
vclock_setup(void **state)
{
	(void)state;
	vclock_install(INT64_C(1795226400) * CLOCK_S);
	return 0;
}

int
vclock_teardown(void **state)
{
	(void)state;
	vclock_remove();
	return 0;
}

void
vclock_pass(int64_t ns)
{
	real += ns;
	boot += ns;
}

int64_t
vclock_slept(void)
{
	return slept;
}
