#ifndef JOB_CHECK_SOURCE_H
#define JOB_CHECK_SOURCE_H

#include "job/check.h"
#include "job/session.h"

/* What the configuration says of one source, held against the host or server it names. */
void check_source(struct check *c, struct session *s, const struct conf_source *source);

#endif
