#ifndef SOURCE_TREE_PARTS_H
#define SOURCE_TREE_PARTS_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "repo/fetch.h"
#include "source/attr.h"
#include "source/delta.h"
#include "source/lay.h"
#include "source/names.h"
#include "source/place.h"
#include "source/shared.h"
#include "source/trail.h"
#include "source/tree.h"
#include "source/walk.h"
#include "source/wish.h"

/* What the passes of one restore share. Not for others: source/tree.h is. */

/* Delta: the names a directory had when we came, and how far the entries have passed them. */
struct tree_level {
	struct walk_names names;
	size_t next;
	bool sweep;   /* what no entry claims is removed */
	bool mounted; /* the directory is a file system of its own here */
	bool keys;    /* a key of ffdr lies in it: what no entry claims stays */
	bool entered; /* an entry below it has come */
};

/* A directory's own attributes, applied when it is left. */
struct tree_saved {
	struct entry en;
	struct buf text; /* of its attributes */
	struct entry_xattr *xattr;
	size_t room;
	bool apply;
};

struct tree {
	struct reader *r;
	const struct tree_options *o;
	struct tree_report *report;
	int root;
	struct place place;
	struct lay lay;
	struct trail trail;
	struct names *names;
	struct fetch *fetch;
	struct delta *delta;   /* NULL: the target was empty */
	struct shared *shared; /* as delta */
	struct attr_born born;
	struct buf text; /* for messages */

	struct tree_level *level; /* by depth */
	size_t levels, level_room;
	struct tree_saved *saved; /* by depth */
	size_t saves, saved_room;
	struct wish wish;

	/* files that lack bytes: their numbers in names, some more than once */
	uint64_t *lack;
	size_t lacks, lack_room;

	_Atomic unsigned denied;

	atomic_bool stopped;
	_Atomic uint64_t whole_made;
	uint64_t whole_planned;
};

/* Pass 1: directories, empty files, the plan of what to fetch. */
int tree_plan(struct tree *t, struct err *e);
/* Pass 3: links, devices, and everybody's attributes. */
int tree_finish(struct tree *t, struct err *e);

/* In tree.c: */
/* The file is one grain, so the fetch that brings it makes it, attributes and all. */
bool tree_whole(const struct tree *t, const struct entry *en);
/* Nothing of it was read when the snapshot was made. */
bool tree_lost(const struct entry *en);
/* Delta: of a file that was read in part more is there than was read. */
bool tree_longer(const struct tree *t, const struct entry *en, const struct stat *there);
/* Delta: is it a further name of a file of which nothing was read? It stays as it is. 1/0/-1. */
int tree_link_lost(struct tree *t, const struct entry *en, struct err *e);
/* No tier has all bytes of that file. */
void tree_lacks(struct tree *t, uint64_t file, const struct err *why);
/* "'path': text" to the caller. */
void tree_warn(struct tree *t, const char *path, size_t len, const char *text);
int tree_at(struct tree *t, const char *path, size_t len,
	    struct err *e); /* err_in with the path; -1 */

#endif
