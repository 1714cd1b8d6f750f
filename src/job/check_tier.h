#ifndef JOB_CHECK_TIER_H
#define JOB_CHECK_TIER_H

#include "job/check.h"
#include "job/session.h"
#include "job/watch.h"

/* Each tier by use: reachable, writable, never overwriting, its clock, its room. */
void check_tier_stores(struct check *c, const struct session *s, const struct watch *w);
/* It kept back what it was asked: a line for that, and from then on tier_tells() is false. */
void check_tier_untold(struct check *c, struct tier *t, const struct err *why);
/* Tiers against each other: two on one disk protect from less than it looks like. */
void check_tier_devices(struct check *c, const struct session *s);

#endif
