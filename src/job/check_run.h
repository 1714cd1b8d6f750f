#ifndef JOB_CHECK_RUN_H
#define JOB_CHECK_RUN_H

#include "conf/conf.h"
#include "job/check.h"
#include "job/watch.h"

/*
 * Every claim of the configuration proved. Never fails: what fails is a line. *ret is to be freed by
 * check_done().
 */
void check_run(const struct conf *c, const struct watch *w, struct check *ret);

#endif
