#ifndef REPO_TOMB_H
#define REPO_TOMB_H

#include "repo/packset.h"
#include "repo/repo.h"

/*
 * Tombstone lists, gc/<time>: packs that nobody named when the list was made. A list says what may
 * be deleted later; that nobody names them still is looked up afresh each time. One that cannot be
 * read allows nothing.
 */
#define TOMB_PACKS_MOST (512u << 10) /* of one list: 16 TB of packs. More wait for the next one. */

struct tomb_lists {
	struct packset rested; /* of lists older than rest_ns */
	struct packset fresh;  /* of younger ones */
	char (*old)[LAYOUT_NAME]; /* the lists behind `rested` */
	size_t olds, old_room;
	size_t unreadable;
};
/* now_ns: by the store's clock. */
int tomb_read(const struct repo *r, struct tier *t, int64_t now_ns, int64_t rest_ns,
    struct tomb_lists *ret, struct err *e);
void tomb_done(struct tomb_lists *l);
/* Writes the set (at most TOMB_PACKS_MOST of it) as a new list, durable when this returns. */
int tomb_put(const struct repo *r, struct tier *t, int64_t now_ns, const struct packset *packs,
    struct err *e);

#endif
