#ifndef JOB_CHECK_TIME_H
#define JOB_CHECK_TIME_H

#include "job/check.h"
#include "job/session.h"
#include "job/watch.h"

/* Each tier's rto against the restores that were measured from there. The repository is open. */
void check_time_tiers(struct check *c, struct session *s, const struct watch *w);

#endif
