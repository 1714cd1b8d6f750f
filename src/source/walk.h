#ifndef SOURCE_WALK_H
#define SOURCE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/text.h"
#include "source/exclude.h"
#include "source/own.h"

/*
 * Every entry of a directory tree in list_path_order: the root as ".", a directory before what is
 * in it. Memory holds the names of one directory a level. Symbolic links are never followed, each
 * step is an openat, so a path may be longer than PATH_MAX and a tree deeper than the limit of
 * descriptors.
 */
struct walk_options {
	const char *root;
	const struct exclude *exclude; /* borrowed for the life of the walk; may be NULL */
	const struct own *own;	       /* left out; borrowed, may be NULL */
	bool one_file_system;	       /* what is mounted below is shown, and not entered */
};

struct walk_entry {
	const char *path; /* raw bytes, relative; "." is the root */
	size_t pathlen;
	const char *name; /* in dirfd */
	int dirfd;
	int fd; /* directories: open for reading; else -1. Borrowed, as all of this, until the next
		   step. */
	int error;	/* 0, or the errno of looking (st is not set then) or, for a directory, of
			   listing it */
	bool looked;	/* st is set */
	bool elsewhere; /* a directory that was not entered: another file system */
	struct stat st; /* of the name itself */
};

struct walk;

/* The root must be a directory (a symbolic link to one will do). */
int walk_open(const struct walk_options *o, struct walk **ret, struct err *e);
/*
 * 1 an entry, 0 the end. What cannot be looked at is an entry with `error`; there are none below a
 * directory that could not be listed. A directory that was moved away while the walk was below it
 * comes a second time, not looked at, with ENOENT: what it had left is not shown.
 */
int walk_next(struct walk *w, const struct walk_entry **ret);
/* Paths of what was left out so far because it is in `own`; good until the walk is freed. */
const struct text_list *walk_left(const struct walk *w);
void walk_free(struct walk *w);

/* The names in one directory but "." and "..", in byte order. */
struct walk_names {
	char *text;
	size_t len, room;
	const char **name;
	size_t count, name_room;
};
/* 0 or the errno; replaces what was in it. An all-zero struct is empty. */
int walk_names(int fd, struct walk_names *ret);
void walk_names_done(struct walk_names *n);

#endif
