#ifndef JOB_CHECK_TIME_H
#define JOB_CHECK_TIME_H

#include "job/check.h"
#include "job/inventory.h"
#include "job/session.h"
#include "job/watch.h"

/* Each tier's rto against the restores that were measured from there. */
void check_time_tiers(struct check *c, struct session *s, struct inventory *inv, const struct watch *w);

#endif
