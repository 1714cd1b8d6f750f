#ifndef JOB_CHECK_CLOCK_H
#define JOB_CHECK_CLOCK_H

#include "job/check.h"
#include "job/session.h"

/* This host's clock against what the host remembers of it and what is stored. */
void check_clock_host(struct check *c, const struct session *s);
/*
 * Snapshots that a wrong clock has put into the future, on each tier; and what has a name in the future,
 * or is the newest of a configured source there, and is no snapshot that opens.
 */
void check_clock_snapshots(struct check *c, const struct session *s);

#endif
