#ifndef JOB_CHECK_PG_H
#define JOB_CHECK_PG_H

#include "job/check.h"
#include "job/session.h"

/*
 * What the configuration says of a PostgreSQL server, held against the server: may we, can it, does
 * anybody receive its WAL. Pins which server the source is, where nobody has; changes nothing else.
 */
void check_pg(struct check *c, struct session *s, const struct conf_source *source);

#endif
