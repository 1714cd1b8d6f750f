#ifndef JOB_CHECK_PLAN_H
#define JOB_CHECK_PLAN_H

#include "conf/conf.h"
#include "job/check.h"

/*
 * Can the configuration keep what it promises? Arithmetic over its values alone: nothing is opened.
 */
void check_plan_tiers(struct check *c, const struct conf *conf);
/* Each source: where it goes, whether a copy leaves the host. */
void check_plan_sources(struct check *c, const struct conf *conf);

#endif
