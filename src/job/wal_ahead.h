#ifndef JOB_WAL_AHEAD_H
#define JOB_WAL_AHEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * Segments that the server will want archived next, and which of them are stored already. A file is
 * known by device, inode, change time and size, so one of the same name that was written anew, or a
 * clone's, is another one.
 */
#define WAL_AHEAD_MAX 16
#define WAL_AHEAD_NAME 64

struct wal_ahead {
	char name[WAL_AHEAD_MAX][WAL_AHEAD_NAME];
	size_t count;
};
/* The names behind that of `path` which pg_wal/archive_status marks as ready, of the same timeline,
 * in order. */
void wal_ahead_list(const char *path, struct wal_ahead *ret);

/* Says that these files, beside `path`, are stored; replaces what was said before. */
int wal_ahead_put(const char *state, const char *source, const char *path,
    const struct wal_ahead *a, struct err *e);
bool wal_ahead_has(const char *state, const char *source, const char *path);

#endif
