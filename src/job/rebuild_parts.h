#ifndef JOB_REBUILD_PARTS_H
#define JOB_REBUILD_PARTS_H

#include "base/lsn.h"
#include "job/rebuild.h"
#include "job/wal/wal_copy.h"
#include "repo/layout_wal.h"
#include "repo/packset.h"

/* What rebuild.c and rebuild_snap.c share. */
struct rebuild_name {
	char name[LAYOUT_NAME];
	uint64_t size;
	int64_t time_ns;
	bool own; /* it lay on the very tier */
};
struct rebuild_names {
	struct rebuild_name *item;
	size_t count, room;
};

/* Log by the pieces of it, each timeline of an epoch for itself. Starts as zeros. */
struct rebuild_log {
	struct rebuild_line {
		struct wal_place place;
		uint32_t tli;
		struct lsn_set have;
	} *item;
	size_t count, room;
};

struct rebuilding {
	struct session *s;
	const struct watch *w;
	struct rebuild_report *report;
	bool dry_run;
	struct thaw *thaw;
	struct err refused;  /* what an order would cost, where nobody agreed to it */
	struct packset have; /* packs that are there and were looked at, or brought */
	struct packset bad;  /* packs that are not there whole, whatever has their names */
	struct packset unsure; /* the same, but some tier did not answer for them: one of these */
	uint64_t mute;
	struct packset left; /* packs that lie in an archive alone, and were not ordered */
	struct rebuild_log log; /* that is there in pieces, or comes so */
	bool holes;	     /* a piece did not come */
	bool had;	     /* the tier had packs of its own then: it is no new one */
	/* What was left there, with the snapshots that need it: what the tier had; what others alone. */
	struct rebuild_left {
		size_t packs, bundles, snaps;
	} mine, others;
	size_t absent; /* below this prefix: not there, because it could not be brought, or was left */
};

/* Where such a one is counted, once it is left. */
struct rebuild_left *rebuild_left(struct rebuilding *r, const struct rebuild_name *then);
/* Bit i: session.tiers.tier[i] may have what the others were just asked for in vain: it did not answer. */
uint64_t rebuild_mute(const struct rebuilding *r);
/*
 * It cannot be had, or not all that it needs: a warning, and 0. It is lost, unless one of `mute` may have
 * it. -1, with `why` in e: that is trouble, or somebody asked to stop.
 */
int rebuild_missed(struct rebuilding *r, const char *name, const struct err *why, uint64_t mute,
    struct err *e);
/* One object; now: what is in its place, or NULL. -1: trouble. */
int rebuild_bring(struct rebuilding *r, const struct rebuild_name *then, const struct rebuild_name *now,
    struct err *e);

/* A snapshot, where it is not there, with the log of its base backup before it. After the packs. */
int rebuild_snapshot(struct rebuilding *r, const struct rebuild_name *then,
    const struct rebuild_name *now, bool there, struct err *e);
/* A piece; false: it is none. */
bool rebuild_log_add(struct rebuild_log *l, const char *name);
/* Is all of that bundle in it? */
bool rebuild_log_has(const struct rebuild_log *l, const char *name);
void rebuild_log_done(struct rebuild_log *l);
void rebuild_count_wal(struct rebuilding *r, const struct wal_copy_report *sent);
/* The log between and behind base backups, for a tier of an archive class. */
int rebuild_between(struct rebuilding *r, struct err *e);

#endif
