#ifndef SOURCE_PG_DIR_H
#define SOURCE_PG_DIR_H

#include "source/pg/pg_conn.h"
#include "source/pg/pg_control.h"

/* A data directory on this host, and the server that runs there. */

#define PG_DIR_PATH 1024
struct pg_dir_server {
	int64_t pid, start_s, port; /* start: seconds since 1970 */
	char dir[PG_DIR_PATH];	    /* as it was given to the server */
};
/* What the server wrote into postmaster.pid when it started: 1; 0 there is none; -1. */
int pg_dir_server(const char *dir, struct pg_dir_server *ret, struct err *e);
/* Its pg_control; read again when a server is just writing it. ERR_NOTFOUND: there is none. */
int pg_dir_control(const char *dir, struct pg_control *ret, struct err *e);

/* What the server itself says of where it is; malloced. ERR_PERMISSION: the role may not see it. */
int pg_dir_ask(struct pg_conn *c, char **ret, struct err *e);
/*
 * Is that the directory of the server that answers, and not of a copy of it, which has the same
 * system id? ERR_CONFIG: it is none, or no server runs there; ERR_REFUSED: another one's.
 */
int pg_dir_check(struct pg_conn *c, const char *dir, struct err *e);

#endif
