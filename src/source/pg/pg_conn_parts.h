#ifndef SOURCE_PG_CONN_PARTS_H
#define SOURCE_PG_CONN_PARTS_H

#include "source/libpq.h"
#include "source/pg/pg_conn.h"
#include "source/pg/pg_error.h"

/*
 * A connection from inside, for the files that speak the protocol (pg_conn, pg_dial,
 * pg_stream, pg_base*). Not for others: source/pg/pg_conn.h is.
 */
struct pg_conn {
	PGconn *pq; /* never blocking */
	bool replication;
	bool busy;     /* a command was sent, and its last answer has not come */
	bool (*stop)(void *arg);
	void *arg;
	/* What the server remarks (warnings) while a command runs; NULL: dropped. */
	void (*remark)(void *arg, const char *message, const char *detail);
	void *remark_arg;
	char sqlstate[PG_ERROR_STATE];
	char place[300];
	char note[120];
};

/* Between two questions whether to stop. */
#define PG_CONN_SLICE_MS 100

/*
 * A new libpq connection, established, within the time; host by host where there are several.
 * place: "db1:5432" of the last one tried.
 */
int pg_dial_server(const struct pg_conn_options *o, struct pg_conn *c, struct err *e);
/* Fills place from what libpq has. */
void pg_dial_place(struct pg_conn *c);

/* Sends a command by the simple protocol: all of it is out when this returns. */
int pg_conn_send(struct pg_conn *c, const char *command, struct err *e);
/* Waits until there is something to read (or `writing` and room to write); -1 ERR_CANCELLED. */
int pg_conn_wait(struct pg_conn *c, bool writing, struct err *e);
/* Sends what is queued. */
int pg_conn_flush(struct pg_conn *c, struct err *e);
/* The next result, NULL after the last one. Failed ones are results, too. */
int pg_conn_result(struct pg_conn *c, PGresult **ret, struct err *e);
/* The next result must be of that status (else -1, the server's reason); ret may be NULL. */
int pg_conn_expect(struct pg_conn *c, ExecStatusType status, PGresult **ret, struct err *e);
/* The next message of a copy: 1 (PQfreemem(*data)), 0 the copy is over, -1. */
int pg_conn_copy(struct pg_conn *c, char **data, size_t *n, struct err *e);
/* Fills e from a failed result, NULL: from the connection. */
int pg_conn_fail(struct pg_conn *c, const PGresult *r, struct err *e);
/* Asks the server to end the command, and takes what still comes, for a moment. */
void pg_conn_cancel(struct pg_conn *c);
/* Takes what comes, copies too, until the command has ended. 0, or -1 not in that time. */
int pg_conn_drain(struct pg_conn *c, int ms);
/* Rows over a result, which is theirs from now on. */
struct pg_rows *pg_conn_rows_of(PGresult *r);

#endif
