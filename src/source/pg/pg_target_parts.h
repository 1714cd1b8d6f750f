#ifndef SOURCE_PG_TARGET_PARTS_H
#define SOURCE_PG_TARGET_PARTS_H

#include "base/lsn.h"
#include "source/pg/pg_target.h"

/* What the files share: pg_target.c decides, pg_target_refuse.c says why not and what instead. */

#define PG_TARGET_TICK INT64_C(1000) /* the server counts microseconds */

/* Of bases that will not do, the nearest to doing last. */
enum pg_target_verdict {
	PG_TARGET_BEYOND,    /* all there is */
	PG_TARGET_MISSING,   /* it is not in the log */
	PG_TARGET_NO_RECORD, /* nor is any complete record */
	PG_TARGET_NO_BASE,
	PG_TARGET_OFF_LINE, /* no base leads there */
	PG_TARGET_TOO_LATE, /* all have ended later */
	PG_TARGET_ACROSS_GAP,
	PG_TARGET_FITS
};

struct pg_target_answer {
	enum pg_target_verdict verdict;
	/* Complete when it fits; of the base that came nearest from PG_TARGET_OFF_LINE on. */
	struct pg_target_plan plan;
};

/* What would be answered. -1: the log cannot be read. */
int pg_target_try(const struct pg_target *want, const struct pg_target_world *world,
    struct pg_target_answer *ret, struct err *e);
/* The first gap that touches [from, to) on the way, and what of it does; NULL: there is none. */
const struct pg_target_gap *pg_target_gap_in(
    const struct pg_target_world *w, uint64_t from, uint64_t to, struct lsn_range *ret);

/* In words, with what would be possible: -1. */
int pg_target_refuse(const struct pg_target *want, const struct pg_target_world *world,
    const struct pg_target_answer *a, struct err *e);

#endif
