#ifndef SOURCE_PG_FETCH_H
#define SOURCE_PG_FETCH_H

#include <stdbool.h>

#include "base/buf.h"
#include "source/pg/pg_conn.h"

struct pg_fetch {
	uint32_t tli;
	uint64_t start; /* where a segment begins */
	size_t want;	/* bytes */
	bool (*stop)(void *arg);
	void *arg;
};

/*
 * WAL that the server still has, asked for over a replication connection that is in no stream: 1 and
 * all that is wanted in *out, 0 it has not so much of that timeline, -1.
 */
int pg_fetch(struct pg_conn *c, const struct pg_fetch *f, struct buf *out, struct err *e);

#endif
