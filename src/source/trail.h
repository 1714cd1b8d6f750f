#ifndef SOURCE_TRAIL_H
#define SOURCE_TRAIL_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "repo/list.h"

/*
 * Follows the entries of a snapshot and trusts none of them: paths are relative and clean, come in
 * path order without repeating, and each lies in a directory that was listed. Anything else is
 * ERR_CORRUPT. So what restores or exports knows that an entry can only be where it says.
 */
struct trail {
	char *path; /* the entry's own, a string; the root is "." */
	size_t len, room;
	size_t parentlen; /* of the directory it lies in; 0: the root */
	const char *name; /* in path */
	size_t *dir; /* lengths of the paths of the directories we are in, the root's being 0 */
	size_t depth, dir_room; /* the entry itself counts when it is a directory */
};
void trail_init(struct trail *t);
void trail_done(struct trail *t);

/* Called for each directory that is left, deepest first; depth: how many remain above it. */
typedef int trail_left(void *arg, const char *path, size_t len, size_t depth, struct err *e);

int trail_step(struct trail *t, const struct entry *en, trail_left *left, void *arg,
    struct err *e);
/* Leaves all that are open. */
int trail_end(struct trail *t, trail_left *left, void *arg, struct err *e);

/* 0, or ERR_CORRUPT: absolute, empty, "." or ".." as a component, a NUL byte, a name beyond
 * NAME_MAX. */
int trail_check_path(const char *path, size_t len, struct err *e);

#endif
