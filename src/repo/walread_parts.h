#ifndef REPO_WALREAD_PARTS_H
#define REPO_WALREAD_PARTS_H

#include "repo/walread.h"

/* What walread.c and walread_list.c share. */
struct walread {
	struct walread_options o;
	struct tier **tier; /* our copy of o.tier */
	struct wal_lineage lineage;
	struct {
		const struct tier *tier; /* NULL: none */
		char name[LAYOUT_NAME];
		struct buf bytes;
	} held; /* the bundle that was read last */
	uint64_t parted; /* where pieces of the last segment disagree; 0: nowhere */
};

/* The place of a level of the lineage. */
struct wal_place walread_place(const struct walread *r, size_t level);

#endif
