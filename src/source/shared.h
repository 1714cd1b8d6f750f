#ifndef SOURCE_SHARED_H
#define SOURCE_SHARED_H

#include <sys/stat.h>

#include "base/err.h"
#include "repo/reader.h"

/*
 * Delta over a file that has several names. It may not be written to, because who else has it is
 * not known; so it stays only when it is already, to the last attribute, what the snapshot wants,
 * and when no other file of the snapshot has claimed it.
 */
struct shared;
struct shared *shared_new(struct reader *r);
void shared_free(struct shared *s);
/* 1 it stays, 0 it must be made anew, -1. name in dirfd is a regular file, st what it is; path is
 * the entry's. */
int shared_stays(struct shared *s, int dirfd, const char *name, const struct stat *st,
    const struct entry *en, const char *path, struct err *e);

#endif
