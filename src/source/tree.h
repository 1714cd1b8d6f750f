#ifndef SOURCE_TREE_H
#define SOURCE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/reader.h"
#include "source/exclude.h"
#include "source/own.h"

/*
 * Makes the tree of a snapshot in a directory: directories and files, then contents pack by pack,
 * then links, devices, owners, attributes, modes and times. Entries are checked (source/trail.h)
 * and reached (source/place.h) so that nothing outside of the target is ever touched.
 */
struct tree_options {
	const char *source;	 /* for the mark ATTR_RESTORED on the target */
	const char *const *path; /* only these and what is below them, with the directories above;
				    none: everything */
	size_t paths;
	/* These and what is below them are left out, as if the snapshot did not have them. */
	const char *const *skip;
	size_t skips;
	/* The target may hold a tree: what fits stays, the rest is replaced, what the snapshot (of
	   the paths asked for) does not have is removed. */
	bool delta;
	/* Delta: names that the snapshot never looked at; they stay. Borrowed; NULL: none. */
	const struct exclude *exclude;
	const struct own *own; /* delta: directories that stay as they are. Borrowed; NULL: none. */
	bool no_sync;			  /* leave it to the system when it reaches the disk */
	unsigned workers;		  /* 0: all in the caller's thread */

	/* All are set. */
	void (*warn)(void *arg, const char *text);
	/* What is worth knowing before it goes on, and may turn out well. */
	void (*note)(void *arg, const char *text);
	bool (*stop)(void *arg);
	void (*progress)(void *arg, uint64_t done, uint64_t total); /* bytes of contents */
	void *arg;
};

struct tree_report {
	uint64_t entries, files; /* made, or found as they should be */
	uint64_t bytes;		 /* the sum of their sizes */
	uint64_t fetched;	 /* bytes of contents that were fetched and written */
	uint64_t removed;	 /* delta: names that were not in the snapshot */
	uint64_t excluded;	 /* delta: names that were left because of `exclude` */
	uint64_t missing;	 /* could not be read when the snapshot was made: not restored */
	/* files of which no tier has all bytes: holes, or as they were; why, the first */
	uint64_t lost;
	struct err lost_why;
	uint64_t warnings;
	uint64_t degraded;	 /* warnings that say the tree is not what it was */
};

/*
 * The target is made if absent (0700). Without delta it must be empty (ERR_REFUSED). After a
 * failure it holds a part of the tree, and delta can complete it. ERR_NOTFOUND: a path is not in
 * the snapshot, nothing was done.
 */
int tree_restore(struct reader *r, const char *target, const struct tree_options *o,
    struct tree_report *report, struct err *e);

/* 1 the directory is empty (lost+found does not count) or absent, 0 it is not, -1. */
int tree_empty(const char *target, struct err *e);
/* Which source was restored there last: 1 and its name, 0 no mark (or the file system keeps none),
 * -1. */
int tree_restored_from(const char *target, char *ret, size_t room, struct err *e);

#endif
