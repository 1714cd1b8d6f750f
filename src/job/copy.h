#ifndef JOB_COPY_H
#define JOB_COPY_H

#include "job/session.h"
#include "job/thaw.h"
#include "job/wal/wal_copy.h"
#include "job/watch.h"
#include "repo/pend.h"

/*
 * Snapshots to other tiers: of each source a tier takes the newest complete one of every period
 * (`takes`) of which none is there, or all that are not there, as far back as it keeps
 * (job/copy_plan.h). Or one, now, where a person says.
 */
struct copy_options {
	const char *to;	      /* NULL: each tier decides; a name: now, due or not */
	/* what pick_snapshot() takes; only with `to`; NULL: the newest of each source */
	const char *snapshot;
	const char *const *source; /* full names; none: all that are configured */
	size_t sources;
	const struct thaw_wish *thaw; /* what lies in an archive; NULL: nothing is ordered */
	bool dry_run; /* decides and reports COPY_WOULD */
};

enum copy_outcome {
	COPY_DONE,
	COPY_THERE,   /* it was there already */
	COPY_NOT_DUE, /* the tier has one of this period */
	COPY_NOTHING, /* no complete snapshot of the source anywhere */
	COPY_WOULD,
	COPY_WAL, /* no snapshot: WAL that was missing on a tier that receives it */
	COPY_AWAY, /* the tier does not answer: `why` */
	COPY_FAILED, /* `why` */
};
struct copy_line {
	char source[64];
	char id[96];	  /* "" when no snapshot was chosen */
	/*
	 * Tier names, borrowed from the session. from: where the packs that were sent came from, the
	 * nearest of them; before, the nearest that lists it; NULL when none was chosen.
	 */
	const char *from;
	const char *to;
	enum copy_outcome outcome;
	struct pend_report pend;
	struct wal_copy_report wal; /* of a PostgreSQL server: what was brought of it */
	struct err why;
};
struct copy_report {
	struct copy_line *line;
	size_t count, room;
	unsigned done, away, failed; /* lines */
};

/*
 * A tier that is away or fails is a line of the report and the others go on; -1 only for what ends
 * all: ERR_CANCELLED, ERR_USAGE, ERR_NOTFOUND. The report is filled in any case; copy_done() it.
 */
int copy_run(struct session *s, const struct copy_options *o, const struct watch *w,
    struct copy_report *ret, struct err *e);
void copy_done(struct copy_report *r);
/* A stable word: "done", "there", "not-due", "nothing", "would", "wal", "away", "failed". */
const char *copy_word(enum copy_outcome o);

#endif
