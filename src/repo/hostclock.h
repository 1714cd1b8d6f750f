#ifndef REPO_HOSTCLOCK_H
#define REPO_HOSTCLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/layout.h"

/*
 * The clock of this host compared with what the host remembers: the real time, the boot and the
 * boot-time clock of the last run, in a small text file in `state`.
 */
#define HOSTCLOCK_BOOT 16
/* A host that was started again and was off for longer than this, by its clock, is not believed. */
#define HOSTCLOCK_OFF_NS (7 * 24 * LAYOUT_HOUR_NS)

struct hostclock {
	int64_t real_ns;
	int64_t boot_ns;		 /* boot-time clock */
	uint8_t boot[HOSTCLOCK_BOOT]; /* which boot; zeros: not known, and then it is no other's */
	/* when the newest manifest on any tier was stored; 0: none */
	int64_t newest_ns;
};

enum hostclock_verdict {
	HOSTCLOCK_RIGHT,
	HOSTCLOCK_SET,	/* same boot: real time moved otherwise than the boot-time clock */
	HOSTCLOCK_BACK, /* another boot: earlier than the last run */
	HOSTCLOCK_AWAY, /* another boot: later than the last run by more than HOSTCLOCK_OFF_NS */
	HOSTCLOCK_PAST, /* another boot, or nothing remembered: earlier than what is stored */
	HOSTCLOCK_LATE, /* nothing remembered: later than what is stored by more than that */
};
/* Pure. `was` is NULL where nothing is remembered. LAYOUT_SKEW_NS is tolerated. */
enum hostclock_verdict hostclock_judge(const struct hostclock *was, const struct hostclock *now);

/*
 * ERR_REFUSED, with both times and the way out, unless the clock is right by all that is known.
 * newest_ns 0: what is stored is not asked. A memory that cannot be read counts as none.
 */
int hostclock_check(const char *path, int64_t newest_ns, struct err *e);
/* Is there a memory that can be read? */
bool hostclock_remembered(const char *path);
/* 1 there is one that cannot be read, and why; 0. */
int hostclock_damaged(const char *path, struct err *e);
/*
 * A first memory for a host whose clock contradicts what is stored: as if the last run had been when
 * that was. What is stored under this clock from now on must not speak for it.
 */
int hostclock_doubt(const char *path, int64_t newest_ns, struct err *e);
/* This time is right: checked, or said by a person. newest_ns 0: what is remembered of it stays. */
int hostclock_remember(const char *path, int64_t newest_ns, struct err *e);

#endif
