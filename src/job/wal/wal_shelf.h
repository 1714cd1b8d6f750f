#ifndef JOB_WAL_SHELF_H
#define JOB_WAL_SHELF_H

#include "job/wal/wal_keep.h"
#include "repo/repo.h"
#include "store/tier.h"

/*
 * What a tier has of the WAL of a source, of every system, epoch and timeline, and what is known of
 * how they hang together: the ground that wal_keep.h judges on.
 */
struct wal_shelf {
	/* with pieces, in the order of their names; then those with bundles alone */
	struct wal_keep_timeline *timeline;
	size_t timelines, room;
	int64_t oldest_ns; /* when the first of all objects was stored; INT64_MAX: there is none */
	struct wal_keep_epoch *epoch;
	size_t epochs;
	struct wal_keep_history *history;
	size_t histories;
};

struct wal_shelf_options {
	struct repo *repo;
	struct tier *const *tier; /* all open; the first is the one that is listed, the others are
				     asked for what it lacks */
	size_t tiers;
	const char *source;
};

/*
 * Lists it all. A `from` or a history that is there and cannot be read on any of the tiers is an
 * error, for nothing can be judged then. One that nobody has is no error: what is not known counts
 * as needed. wal_shelf_done() in any case.
 */
int wal_shelf_load(const struct wal_shelf_options *o, struct wal_shelf *ret, struct err *e);
/* And the same for where a base backup is of. */
int wal_shelf_add(const struct wal_shelf_options *o, struct wal_shelf *s,
		  const struct pg_facts *base, struct err *e);
void wal_shelf_done(struct wal_shelf *s);

#endif
