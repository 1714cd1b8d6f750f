#ifndef JOB_WAL_ARCHIVER_H
#define JOB_WAL_ARCHIVER_H

#include <stdbool.h>

#include "source/pg/pg_conn.h"

/* What a person is told when the server cannot archive. */
#define WAL_ARCHIVER_FIX                                                                           \
	"the server's log says why; by hand: `ffdr wal push pg_wal/%s` as its user, in its data "  \
	"directory"

struct wal_archiver {
	bool pushes;   /* its archive_command is `ffdr wal push`, or is to be */
	bool fails;    /* since its newest success; the rest is of that */
	char file[64]; /* which it could not archive last */
	int64_t count; /* failures since its statistics began */
	int64_t ago_ms;
};

/*
 * How is the archiver of that server? must: it is the way the source's WAL comes, whatever the
 * server is set to. 0 or -1.
 */
int wal_archiver_ask(struct pg_conn *c, bool must, struct wal_archiver *ret, struct err *e);

#endif
