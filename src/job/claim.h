#ifndef JOB_CLAIM_H
#define JOB_CLAIM_H

#include "source/pg/pg_conn.h"

/*
 * What the owner of a database says is true of it (`check-sql`), asked there. 1 it is true; 0 it is
 * not, with what was found in *why; -1 it cannot be asked, and why.
 */
int claim_ask(struct pg_conn *c, const char *sql, struct err *why);

#endif
