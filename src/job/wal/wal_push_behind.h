#ifndef JOB_WAL_PUSH_BEHIND_H
#define JOB_WAL_PUSH_BEHIND_H

#include "job/wal/wal_ahead.h"
#include "job/wal/wal_push.h"

/*
 * What the server wants archived behind the segment of a call is pushed by a worker, a process of
 * its own; the calls for these have nothing to do but to look at its marks. It ends when nothing is
 * left to be done, and at the first segment that is not acknowledged: that one's own call pushes it
 * itself then, and has the reason.
 */

/*
 * Is that very segment stored, or will it be while we wait? *owed as in wal_push_report. False: the
 * call has to push it.
 */
bool wal_push_behind_has(
    const struct wal_ahead *a, const char *path, uint64_t sysid, unsigned *owed);

/*
 * Starts the worker where there is something to do behind the segment of `path`, which is stored. 0
 * in the caller; 1 in the worker, whose work is done and which has to end then; -1. Nothing of the
 * repository may be open: the worker gets it by `open`, and gives it back by `close`.
 */
struct wal_push_opener {
	/* Fills all but o->path. */
	int (*open)(void *arg, struct wal_push_options *o, struct repo **repo, struct err *e);
	void (*close)(void *arg);
	void *arg;
};
int wal_push_behind_start(const struct wal_ahead *a, const char *path,
    const struct wal_push_opener *opener, struct err *e);

#endif
