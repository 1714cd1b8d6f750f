#ifndef REPO_SORTER_H
#define REPO_SORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/list.h"

/*
 * The lines of entries that come in any order, given back in path order, with bounded memory: what
 * is beyond the bound waits in an unlinked file.
 */
struct sorter;

/* bound: bytes in memory. spill_dir NULL: all of it is kept in memory. */
struct sorter *sorter_new(const char *spill_dir, size_t bound);
void sorter_free(struct sorter *s);
int sorter_add(struct sorter *s, const struct entry *en, struct err *e);

/*
 * No more come. whole: from here on a path whose directory is not there is ERR_CORRUPT, and so is
 * the lack of a root.
 */
int sorter_end(struct sorter *s, bool whole, struct err *e);
/* An entry as it goes into the list; lives until the next call. */
struct sorter_line {
	const char *path; /* raw */
	size_t pathlen;
	const char *text; /* its line and those of its attributes */
	size_t len;
};
/* 1, 0 the end, -1: ERR_CORRUPT when a path came twice. */
int sorter_next(struct sorter *s, struct sorter_line *ret, struct err *e);

#endif
