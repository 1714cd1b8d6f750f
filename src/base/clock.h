#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/*
 * The one seam of time. Tests install their own; the program never reads a clock elsewhere.
 * Real time is nanoseconds since 1970 UTC; boot time goes on through suspend and never jumps.
 */
struct clock_source {
	int64_t (*real_ns)(void *arg);
	int64_t (*boot_ns)(void *arg);
	void (*sleep_ns)(void *arg, int64_t ns);
	void *arg;
};

int64_t clock_real_ns(void);
int64_t clock_boot_ns(void);
void clock_sleep_ns(int64_t ns);
/*
 * NULL puts the system's clocks back. With fault points compiled in, FFDR_TEST_CLOCK=+SECONDS or
 * -SECONDS shifts real time, as if somebody had set the clock, and FFDR_TEST_UPTIME boot time: both
 * together are time that has passed.
 */
void clock_install(const struct clock_source *new_source);

#define CLOCK_S INT64_C(1000000000)
#define CLOCK_MS INT64_C(1000000)

#endif
