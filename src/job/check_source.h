#ifndef JOB_CHECK_SOURCE_H
#define JOB_CHECK_SOURCE_H

#include "job/check.h"

/* One volume of the configuration: its path, its patterns, its hooks. */
void check_source_volume(struct check *c, const struct conf_volume *v);

#endif
