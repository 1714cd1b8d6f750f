#ifndef JOB_WAL_AHEAD_H
#define JOB_WAL_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

/*
 * Segments that the server will want archived next, and marks of those that are stored already. A
 * mark is of one file: of its system, device, inode, times of content and of change, and size; so
 * one of the same name that was written anew, or a clone's, is another one. And it is of one
 * promise, which says where the file is durable by it: after a change of tiers or repository
 * there is none.
 */
#define WAL_AHEAD_NAME 64

/* The directory of WAL that a file lies in, as `state` knows it. */
struct wal_ahead {
	char *dir;     /* "DIR/", "" for a bare name */
	char *base;    /* of the names below `state` */
	char *promise; /* one line */
};
/* For the directory of `path`; 0, or -1 when it cannot be looked at. wal_ahead_done() in any case. */
int wal_ahead_open(struct wal_ahead *a, const char *state, const char *source, const char *path,
    const char *promise);
void wal_ahead_done(struct wal_ahead *a);
/* Of the worker's lock file. */
const char *wal_ahead_lock(const struct wal_ahead *a, char *room, size_t size);

/* Does archive_status say that the server wants this one archived? */
bool wal_ahead_wanted(const struct wal_ahead *a, const char *name);
/* All segments of that timeline that it wants archived, in order; how many. Caller frees. */
size_t wal_ahead_list(const struct wal_ahead *a, uint32_t tli, char (**ret)[WAL_AHEAD_NAME]);

/* What marks a file; owed: objects of it that some tier has yet to get. */
struct wal_ahead_mark {
	char name[WAL_AHEAD_NAME];
	uint64_t sysid;
	struct stat st; /* before its bytes were read */
	unsigned owed;
};
/* These are stored, and no others. Not synced: a mark that is lost costs another push. */
int wal_ahead_put(const struct wal_ahead *a, const struct wal_ahead_mark *m, size_t count,
    struct err *e);
/* Is that file stored? */
bool wal_ahead_has(const struct wal_ahead *a, const char *name, uint64_t sysid, unsigned *owed);
/* Changes whenever marks are put. */
int64_t wal_ahead_age(const struct wal_ahead *a);

#endif
