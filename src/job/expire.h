#ifndef JOB_EXPIRE_H
#define JOB_EXPIRE_H

#include "job/session.h"
#include "job/wal/wal_expire.h"
#include "job/watch.h"
#include "repo/prune.h"

/*
 * What `keep` no longer covers is let go, source by source and tier by tier; then the packs are
 * gc's.
 */
struct expire_options {
	/* full names; none: every source on a tier that is configured here */
	const char *const *source;
	size_t sources;
	struct tier *tier; /* only there; NULL: all that answer */
	bool dry_run;
	bool more_than_half;
	bool clock_is_right; /* says a person, whatever this host remembers of it */
	const char *retire;  /* a source no longer configured: all of it goes but what is held */
	const char *discard; /* a snapshot whose manifest cannot be read: its id */
	const char *lost_key; /* with discard: the key that is gone, by which it would be read */
	const char *by;	     /* who says so: for the record of retire and discard */
	const char *why;     /* for retire it must be there */
};

#define EXPIRE_HOST_MAX 256 /* HOST_NAME_MAX and its NUL */

struct expire_part {
	char source[64];
	const char *tier;   /* name, borrowed from the session */
	int64_t keep_ns;    /* what was applied; -1: forever */
	struct prune_report prune; /* each snapshot with its reason */
	struct wal_expire_report wal; /* of a PostgreSQL server: its WAL, by timeline and reason */
	bool left; /* alone: no section of this configuration names it */
	char host[EXPIRE_HOST_MAX]; /* with `left`: who backs it up; "": this host did last */
	struct err failed;  /* kind ERR_NONE when it went well */
};
struct expire_report {
	struct expire_part *part;
	size_t count, room;
	size_t going, gone; /* snapshots; `going` is what a dry run would remove */
	size_t wal_going, wal_gone; /* objects of WAL, likewise */
	unsigned away;	    /* tiers that do not answer */
	unsigned failed;    /* parts */
};

/*
 * A source on a tier that cannot be judged (clocks, an unreadable manifest) is a part with `failed`
 * and the others go on. -1: ERR_REFUSED (retire of a configured source, discard of a readable
 * snapshot, a clock that was set), ERR_CANCELLED, ERR_USAGE, ERR_NOTFOUND. The report is filled in
 * any case; expire_done() it.
 */
int expire_run(struct session *s, const struct expire_options *o, const struct watch *w,
    struct expire_report *ret, struct err *e);
void expire_done(struct expire_report *r);
/* How long that tier keeps it: the source's own keep, else the tier's; -1: forever. */
int64_t expire_keep_ns(const struct session *s, const char *source, const struct tier *t);

#endif
