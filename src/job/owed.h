#ifndef JOB_OWED_H
#define JOB_OWED_H

#include "job/session.h"
#include "repo/prune.h"

/*
 * What the other tiers of a source would take from one, would keep, and have not got: that must not
 * expire there. By copy_plan(), as the next copy will decide; a snapshot known to be broken cannot
 * be copied and is not waited for.
 */
#define OWED_TIERS 64
/* A copy that was not made for as long as this, or for longer than the tier's rpo, is late. */
#define OWED_LATE_NS (24 * LAYOUT_HOUR_NS)
int64_t owed_late_ns(int64_t rpo_ns);

struct owed_tier {
	struct tier *tier;
	int64_t keep_ns; /* of the source there; -1: forever */
	/*
	 * The newest that it is known to have, counted only while it does not answer: what else it has
	 * is not known then, and taken for missing. "": none.
	 */
	char remembered[96];
};
struct owed {
	const struct repo *repo;
	const char *source;
	struct owed_tier tier[OWED_TIERS]; /* the others */
	size_t tiers;
};
/* The other tiers of a configured source; none of one that is not. Borrows. */
void owed_begin(struct session *s, const char *source, const struct tier *t, struct owed *ret);
/* For prune_options: `owed` is a struct owed. Tells in rep->item which tier an item waits for. */
int owed_mark(void *owed, struct prune_report *rep, struct expire_item *item, struct err *e);

#endif
