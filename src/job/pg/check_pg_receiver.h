#ifndef JOB_CHECK_PG_RECEIVER_H
#define JOB_CHECK_PG_RECEIVER_H

#include "job/check.h"
#include "job/session.h"
#include "source/pg/pg_conn.h"

/*
 * Lines on who receives the WAL of a source, and on the spool of this host. `sql` is the primary
 * that conninfo leads to; NULL: it does not answer. `streams`: a receiver is to bring the WAL.
 */
void check_pg_receiver(struct check *c, struct session *s, const struct conf_source *source,
    struct pg_conn *sql, bool streams);

#endif
