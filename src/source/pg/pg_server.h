#ifndef SOURCE_PG_SERVER_H
#define SOURCE_PG_SERVER_H

#include <stdint.h>

#include "source/pg/pg_conn.h"
#include "base/program.h"

/*
 * A server for a while, over a restored data directory: reachable by its own socket only, doing
 * nothing to the outside. It never outlives us.
 */
struct pg_server_options {
	const char *bin;  /* directory of the programs */
	const char *data;
	const char *place; /* a directory of the user's for socket, log and pg_hba.conf */
	const struct program_user *user;
	const char *const *setting; /* "name=value", over all others; ended by NULL. May be NULL */
	bool (*stop)(void *arg);
	void *arg;
};

struct pg_server;
int pg_server_start(const struct pg_server_options *o, struct pg_server **ret, struct err *e);
/* Ends it at once when it runs. */
void pg_server_free(struct pg_server *s);

/* With this a restore_command says that it could not bring a file, and of the file nothing. */
#define PG_SERVER_NO_WAL 254
/*
 * Until it has left recovery: 0. It is looked at a few times a second: `seen` hears how far replay
 * is (may be NULL). -1 when it ended, with what it said last (ERR_CORRUPT: it found fault with what
 * it was given; ERR_REMOTE: WAL did not come; ERR_FULL, ERR_IO: this host had no room or means for
 * it), or nothing moved for patience_s (ERR_REMOTE). Settings that the original had raised
 * since are raised here, too: it is started again for that.
 */
int pg_server_recover(
    struct pg_server *s, int patience_s, void (*seen)(void *arg, uint64_t lsn), struct err *e);
/* "name=value" of the i-th setting that was; NULL: there are no more. */
const char *pg_server_raised(const struct pg_server *s, size_t i);
/* A connection as its superuser to that database. */
int pg_server_connect(struct pg_server *s, const char *dbname, struct pg_conn **ret, struct err *e);
/* For programs that connect themselves: host (the socket's directory) and user. */
const char *pg_server_host(const struct pg_server *s);
const char *pg_server_user(const struct pg_server *s);
/*
 * The names its superuser may have, tried in turn until one is let in; set before
 * pg_server_recover(). NULL entries are none.
 */
void pg_server_names(struct pg_server *s, const char *const *name, size_t count);
/* Stops it in an orderly way: its files are then as they should be on disk. */
int pg_server_stop(struct pg_server *s, int timeout_s, struct err *e);

/*
 * Where the programs of a major version are: `configured`, or a place where packages put them. Into
 * out (PATH_MAX bytes); ERR_CONFIG when nowhere.
 */
int pg_server_find(unsigned major, const char *configured, char *out, struct err *e);

/* What a connection string says of `user`, `dbname` ...: the caller frees; NULL: nothing. */
char *pg_server_word(const char *conninfo, const char *key);

#endif
