#ifndef JOB_VERIFY_PLAN_H
#define JOB_VERIFY_PLAN_H

#include "job/verify.h"
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

#endif
