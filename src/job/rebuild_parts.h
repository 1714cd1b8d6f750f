#ifndef JOB_REBUILD_PARTS_H
#define JOB_REBUILD_PARTS_H

#include "job/rebuild.h"
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

struct rebuilding {
	struct session *s;
	const struct watch *w;
	struct rebuild_report *report;
	bool dry_run;
	struct thaw *thaw;
	struct err refused;  /* what an order would cost, where nobody agreed to it */
	struct packset have; /* packs that are there, once they were brought */
	struct packset left; /* packs that lie in an archive alone, and were not ordered */
	bool had;	     /* the tier had packs of its own then: it is no new one */
	/* What was left there, with the snapshots that need it: what the tier had; what others alone. */
	struct rebuild_left {
		size_t packs, bundles, snaps;
	} mine, others;
	size_t absent; /* below this prefix: not there, because nobody had a good one, or it was left */
};

/* Where such a one is counted, once it is left. */
struct rebuild_left *rebuild_left(struct rebuilding *r, const struct rebuild_name *then);
/* Nobody has a good one, or not all that it needs: a warning. */
void rebuild_lost(struct rebuilding *r, const char *name, const struct err *why);
/* Is that the reason, and no trouble that passes? */
bool rebuild_nobody_has(const struct err *why);
/* One object; now: what is in its place, or NULL. -1: trouble. */
int rebuild_bring(struct rebuilding *r, const struct rebuild_name *then, const struct rebuild_name *now,
    struct err *e);

/* A snapshot, where it is not there, with the log of its base backup before it. After the packs. */
int rebuild_snapshot(struct rebuilding *r, const struct rebuild_name *then,
    const struct rebuild_name *now, bool there, struct err *e);
/* The log between and behind base backups, for a tier of an archive class. */
int rebuild_between(struct rebuilding *r, struct err *e);

#endif
