#ifndef JOB_GC_H
#define JOB_GC_H

#include "job/session.h"
#include "job/watch.h"
#include "repo/gc.h"

/* Garbage collection of every tier, or one. */
struct gc_choice {
	struct tier *tier; /* NULL: all that answer */
	bool dry_run;
	bool clock_is_right; /* says a person, whatever this host remembers of it */
	bool empty_is_right; /* likewise: packs without a snapshot may go */
};
struct gc_part {
	const char *tier; /* name, borrowed from the session */
	bool away;	  /* it does not answer: `failed` says why */
	struct gc_report gc;
	struct err failed; /* kind ERR_NONE when it went well */
};
struct gc_summary {
	struct gc_part *part;
	size_t count;
	unsigned away, failed; /* parts */
};
/*
 * A tier that fails (an unreadable manifest, clocks, a hold) is a part of the report and told to
 * the watch as a warning; the others go on. -1: ERR_CANCELLED; ERR_REFUSED for this host's clock.
 * Filled in any case; gc_done() it.
 */
int gc_run(struct session *s, const struct gc_choice *o, const struct watch *w,
    struct gc_summary *ret, struct err *e);
void gc_done(struct gc_summary *r);

#endif
