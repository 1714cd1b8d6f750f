#ifndef SOURCE_PG_CONN_H
#define SOURCE_PG_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * A connection to a PostgreSQL server, 14 or newer. Whatever libpq knows (TLS, SCRAM, GSS, .pgpass,
 * service files, several hosts, PG* variables) comes with the connection string. No call waits
 * longer than it may: connecting has a deadline, and while anything is waited for `stop` is asked.
 *
 * Errors begin with "postgres at HOST:PORT:" and have the server's detail and hint in lines of their
 * own. ERR_REMOTE: not reachable, shutting down, starting, no connection free, or lost on the way:
 * worth another try. ERR_PERMISSION: who we are was not believed, or may not do it. ERR_UNSUPPORTED,
 * ERR_NOTFOUND, ERR_EXISTS, ERR_BUSY, ERR_REFUSED, ERR_FULL, ERR_CORRUPT by SQLSTATE; ERR_IO is
 * what has no better name. A password is in none of them.
 *
 * Of one connection one call at a time; any thread. An answer lives on without its connection.
 */
struct pg_conn;

/* Seconds to connect, when nobody says otherwise: more than a failover takes to be noticed by TCP. */
#define PG_CONN_TIMEOUT_S 30
/* The oldest major version, and the newest one that this program was tested with. */
#define PG_CONN_OLDEST 14
#define PG_CONN_NEWEST 18

struct pg_conn_options {
	const char *conninfo; /* "host=db1 user=ffdr" or "postgresql://..."; "": libpq's defaults */
	const char *password; /* NULL: what the connection string or libpq's own ways give */
	/*
	 * For pg_stream, pg_base and commands of the replication protocol. In .pgpass the name of
	 * the database is then "replication", as for all physical replication.
	 */
	bool replication;
	const char *application; /* as pg_stat_activity shows it; NULL: ffdr */
	int timeout_s;		 /* to connect, all hosts together; 0: PG_CONN_TIMEOUT_S */
	bool (*stop)(void *arg); /* true ends what is going on with ERR_CANCELLED; may be NULL */
	void *arg;
};

int pg_conn_open(const struct pg_conn_options *o, struct pg_conn **ret, struct err *e);
void pg_conn_free(struct pg_conn *c);

int pg_conn_version(const struct pg_conn *c);	   /* 150018, 170002: as the server numbers it */
bool pg_conn_replication(const struct pg_conn *c); /* as asked for in the options */
/* "", or one line that somebody should see: a server newer than any this program was tested with. */
const char *pg_conn_note(const struct pg_conn *c);
const char *pg_conn_place(const struct pg_conn *c); /* "db1:5432": where we came out */
/* Of the last call that failed: five characters, "" when no server said it. */
const char *pg_conn_sqlstate(const struct pg_conn *c);
/* Is it connected, as far as one can know without asking, and free for the next command? */
bool pg_conn_alive(const struct pg_conn *c);

struct pg_identity {
	uint64_t sysid;
	uint32_t tli;
	uint64_t flush; /* flushed there; on a standby: received or replayed, whichever is known */
	bool standby;	/* on a replication connection: false, it does not say */
};
int pg_conn_identify(struct pg_conn *c, struct pg_identity *ret, struct err *e);

#define PG_CONN_SETTING 1024
/* A setting as SHOW prints it ("16MB"). ERR_NOTFOUND: this server has none of that name. */
int pg_conn_show(struct pg_conn *c, const char *name, char out[PG_CONN_SETTING], struct err *e);

/* Rows of text. */
struct pg_rows;
/*
 * One statement, parameters as text (NULL elements are NULLs); on replication connections a command,
 * without parameters. What comes back is unqualified names of pg_catalog only, dates in ISO and UTC,
 * text in UTF-8. ret may be NULL; *ret also for statements without rows.
 */
int pg_conn_exec(struct pg_conn *c, const char *statement, const char *const *param, size_t params,
    struct pg_rows **ret, struct err *e);
/* exec, and anything but one row is ERR_BUG. */
int pg_conn_row(struct pg_conn *c, const char *statement, const char *const *param, size_t params,
    struct pg_rows **ret, struct err *e);
size_t pg_conn_rows(const struct pg_rows *r);
size_t pg_conn_columns(const struct pg_rows *r);
/* NULL is NULL; lives as long as the rows. *len may be NULL; bytes are as the server sent them. */
const char *pg_conn_value(const struct pg_rows *r, size_t row, size_t column, size_t *len);
/* 1, 0 when NULL, -1 ERR_CORRUPT when it is none ("16/B374D848"; decimal). */
int pg_conn_value_lsn(const struct pg_rows *r, size_t row, size_t column, uint64_t *ret,
    struct err *e);
int pg_conn_value_u64(const struct pg_rows *r, size_t row, size_t column, uint64_t *ret,
    struct err *e);
void pg_conn_rows_free(struct pg_rows *r);

#endif
