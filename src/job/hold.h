#ifndef JOB_HOLD_H
#define JOB_HOLD_H

#include "job/session.h"
#include "job/watch.h"

/*
 * A hold pins a snapshot: expire lets it stay whatever the retention says, on every tier, until it
 * is released. It is a signed record beside the snapshot, so it needs no host and no state.
 */
struct hold_options {
	const char *snapshot; /* as people write it */
	bool release;
	const char *why; /* for the record; may be NULL */
};
struct hold_report {
	char id[96];
	unsigned tiers; /* where the record lies now */
	unsigned away;	/* tiers that could not be told; each was a warning */
};

/* The session is open for writing. */
int hold_run(struct session *s, const struct hold_options *o, const struct watch *w,
    struct hold_report *ret, struct err *e);

#endif
