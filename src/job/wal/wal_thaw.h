#ifndef JOB_WAL_THAW_H
#define JOB_WAL_THAW_H

#include "repo/walread.h"
#include "source/pg/pg_history.h"

/*
 * Which bundles of WAL a recovery will read, and so has to have thawed before it begins: those with
 * bytes of its way that lie neither in pieces nor in the spool nor in a bundle that is at hand.
 */
struct wal_thaw_bundle {
	char name[LAYOUT_NAME];
	uint64_t size;
	int64_t time_ns; /* when it was put; what it holds was written before */
	size_t line;	 /* of its timeline */
	uint64_t from, to; /* what counts of it */
};

struct wal_thaw {
	struct tier *const *tier; /* who will be asked for WAL; borrowed */
	size_t tiers;
	struct wal_thaw_bundle *bundle; /* by place in the log; each name once */
	size_t bundles, room;
	struct lsn_set *have; /* of each timeline of the way, the oldest first: what needs no bundle */
	size_t lines;
};

struct wal_thaw_way {
	struct walread *read;
	struct tier *const *tier;
	size_t tiers;
	const struct pg_history *history;
	uint64_t segment_size;
	uint64_t from, to; /* of the log; all of a segment is read */
};

/* By listings alone. wal_thaw_done() in any case. */
int wal_thaw_find(const struct wal_thaw_way *way, struct wal_thaw *ret, struct err *e);
void wal_thaw_done(struct wal_thaw *w);
/*
 * Which of them are needed, when each is as `is` says (NULL: nobody has it): those at hand before those
 * that come, and these before what costs. Those at hand are not among them.
 */
void wal_thaw_choose(struct wal_thaw *w, const enum store_state *const *is, bool *needed);
/*
 * Up to where the log may have to be read for what was written by that time: the end of the first
 * bundle that was put later. `to` where there is none.
 */
uint64_t wal_thaw_written_by(const struct wal_thaw *w, int64_t time_ns, uint64_t to);

#endif
