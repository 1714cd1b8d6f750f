#ifndef SOURCE_PG_SKIP_H
#define SOURCE_PG_SKIP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What of a data directory belongs to no base backup: files that the server makes anew at its
 * start, temporary ones, and what is true of the running server only. The rules are the server's
 * own, for what it sends itself. Pure.
 */
/* The directory stays, what is in it does not. */
bool pg_skip_inside(const char *path, size_t len);
/* A file of that path is left out. */
bool pg_skip_file(const char *path, size_t len);
/*
 * The path's main file name, where it is a relation's that may be unlogged: then it is left out if
 * NAME_init stands beside it. Length of the digits at the end of the path's directory, or 0.
 */
size_t pg_skip_unlogged(const char *path, size_t len, size_t *name_at);

#endif
