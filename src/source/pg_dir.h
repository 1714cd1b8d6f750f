#ifndef SOURCE_PG_DIR_H
#define SOURCE_PG_DIR_H

#include "source/pg_conn.h"

/* The data directory of a server that runs on this host. */

/* What the server itself says of where it is; malloced. ERR_PERMISSION: the role may not see it. */
int pg_dir_ask(struct pg_conn *c, char **ret, struct err *e);
/*
 * Is that the directory of the server that answers, and not of a copy of it, which has the same
 * system id? ERR_CONFIG: it is none, or no server runs there; ERR_REFUSED: another one's.
 */
int pg_dir_check(struct pg_conn *c, const char *dir, struct err *e);

#endif
