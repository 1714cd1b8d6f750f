#ifndef JOB_WAL_FETCHED_H
#define JOB_WAL_FETCHED_H

#include "job/wal/wal_get.h"

/*
 * Segments fetched before the server asks for them. They lie in a directory beside the file it asks
 * for, whole and checked; so the call that wants one has nothing to do but rename it. Fetchers are
 * processes of their own, which end when nobody takes what they fetched, and take away what is
 * left. What they fetched counts for calls that ask the same way (o->asked), until the machine is
 * started anew.
 */

/* Was it fetched, or comes it now? Then it has the path now: 1, 0, -1. */
int wal_fetched_take(const struct wal_get_options *o, struct err *e);
/* Does every fetcher run that should? */
bool wal_fetched_runs(const struct wal_get_options *o);
/*
 * Starts the fetchers that do not run: what comes behind o->name. 0 in the caller; 1 in a fetcher
 * whose work is done, which has to end then; -1. Nothing of the repository may be open: each
 * fetcher gets it by `open`, and gives it back by `close`.
 */
struct wal_fetched_opener {
	/* Fills repo and what of the options belongs to it. */
	int (*open)(void *arg, struct wal_get_options *o, struct repo **repo, struct err *e);
	void (*close)(void *arg);
	void *arg;
};
int wal_fetched_start(
    const struct wal_get_options *o, const struct wal_fetched_opener *opener, struct err *e);

/*
 * One segment, and what it must be: 1 whole (or, with o->unfinished, as far as it goes and then
 * zeros), 0 proven absent, -1.
 */
int wal_fetched_read(struct walread *r, const struct wal_get_options *o, uint32_t tli,
    uint64_t start, struct buf *bytes, struct err *e);

#endif
