#ifndef SOURCE_PG_AHEAD_H
#define SOURCE_PG_AHEAD_H

#include "source/pg/pg_conn_parts.h"

/*
 * A copy that the server sends is taken off the socket by a thread, while the caller works on what
 * came before. The connection is the thread's until pg_ahead_free().
 */
struct pg_ahead;

/* The connection is in a copy. */
struct pg_ahead *pg_ahead_start(struct pg_conn *c);
/* As pg_conn_copy(). What the server remarked before that message was told before this returns. */
int pg_ahead_copy(struct pg_ahead *a, char **data, size_t *n, struct err *e);
/* At any time; NULL is nothing. */
void pg_ahead_free(struct pg_ahead *a);

#endif
