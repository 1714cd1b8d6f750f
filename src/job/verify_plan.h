#ifndef JOB_VERIFY_PLAN_H
#define JOB_VERIFY_PLAN_H

#include "job/verify.h"
#include "repo/record.h"
#include "repo/snapshot.h"

/* Which snapshots a verification is about, and how much that is to read. */

/* named: the full names of o->snapshot. */
bool verify_plan_wants(const struct verify_options *o, const struct snapshot *snap,
    char (*named)[LAYOUT_NAME]);
/*
 * Bytes of all packs that the wanted snapshots name, a pack once a tier. What cannot be read now
 * is not counted: the verification tells of it.
 */
uint64_t verify_plan_bytes(struct session *s, const struct verify_options *o,
    char (*named)[LAYOUT_NAME], const struct watch *w);

/* A snapshot to be proved, and when it was last looked at for a proof at that level; 0: never. */
struct verify_todo {
	const struct snapshot *snap;
	int64_t last_ns;
};
/* Told of each record of a proof that cannot be read. */
struct verify_unread {
	record_unread *seen;
	void *arg;
};
/*
 * Puts those of one tier, given by source, in the order in which they are to be proved: the oldest
 * look first; of those without one the newest snapshot.
 */
int verify_plan_order(struct session *s, struct tier *t, int level, struct verify_todo *item, size_t n,
    const struct verify_unread *unread, struct err *e);

#endif
