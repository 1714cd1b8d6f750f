#ifndef SOURCE_PG_ERROR_H
#define SOURCE_PG_ERROR_H

#include <stddef.h>

#include "base/err.h"

/* What went wrong on a connection, as libpq and the server put it, made an error of ours. Pure. */

#define PG_ERROR_STATE 6 /* five characters and a NUL */

/* The kind that a SQLSTATE stands for; "" (no server said it) is ERR_REMOTE. */
enum err_kind pg_error_kind(const char *sqlstate);

/*
 * From libpq's text after a failed attempt to connect, with verbosity PQERRORS_VERBOSE: several
 * addresses may have been tried; what a server says of authentication counts most, else what came
 * last. Fills e ("postgres at PLACE: ...") and the SQLSTATE ("" when it was not a server). -1.
 */
int pg_error_connect(const char *place, const char *text, char sqlstate[PG_ERROR_STATE],
    struct err *e);

/* What a server said in the course of a command; texts may be NULL, message may not. -1. */
struct pg_error {
	const char *sqlstate, *message, *detail, *hint;
};
int pg_error_server(const char *place, const struct pg_error *what, struct err *e);

/*
 * libpq's reason why a connection string cannot be parsed, with everything quoted in it left out,
 * because what it quotes may be a part of a password. -1.
 */
int pg_error_conninfo(const char *text, struct err *e);

#endif
