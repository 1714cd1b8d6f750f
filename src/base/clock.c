/*
 * The clocks. A test, or a whole program under test, sets another source; everything else asks
 * here. The shift by FFDR_TEST_CLOCK moves real time only: deadlines count boot time and must
 * not care what the calendar says. That by FFDR_TEST_UPTIME is the same for all of a run.
 */
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static int64_t
read_clock(clockid_t id)
{
	struct timespec ts = { 0 };

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * CLOCK_S + ts.tv_nsec;
}

static int64_t
test_shift_ns(const char *variable)
{
#ifdef FFDR_FAULT_POINTS
	const char *shift = getenv(variable);

	return shift ? strtoll(shift, NULL, 10) * CLOCK_S : 0;
#else
	(void)variable;
	return 0;
#endif
}

static int64_t
system_real_ns(void *arg)
{
	(void)arg;
	return read_clock(CLOCK_REALTIME) + test_shift_ns("FFDR_TEST_CLOCK");
}

static int64_t
system_boot_ns(void *arg)
{
	(void)arg;
	return read_clock(CLOCK_BOOTTIME) + test_shift_ns("FFDR_TEST_UPTIME");
}

static void
system_sleep_ns(void *arg, int64_t ns)
{
	struct timespec left = { .tv_sec = ns / CLOCK_S, .tv_nsec = ns % CLOCK_S };

	(void)arg;
	if (ns <= 0)
		return;
	while (nanosleep(&left, &left) == -1 && errno == EINTR)
		continue;
}

static const struct clock_source system_clock = {
	.real_ns = system_real_ns,
	.boot_ns = system_boot_ns,
	.sleep_ns = system_sleep_ns,
};
static struct clock_source source = {
	.real_ns = system_real_ns,
	.boot_ns = system_boot_ns,
	.sleep_ns = system_sleep_ns,
};

int64_t
clock_real_ns(void)
{
	return source.real_ns(source.arg);
}

int64_t
clock_boot_ns(void)
{
	return source.boot_ns(source.arg);
}

void
clock_sleep_ns(int64_t ns)
{
	source.sleep_ns(source.arg, ns);
}

void
clock_install(const struct clock_source *new_source)
{
	source = new_source ? *new_source : system_clock;
}
