#ifndef REPO_REPO_SPREAD_H
#define REPO_REPO_SPREAD_H

#include "repo/repo.h"

/*
 * Puts a small object and reads it back: 1 made, 0 it was there with the same bytes, -1;
 * ERR_EXISTS when others are there under the name.
 */
int repo_spread_put(struct tier *t, const char *name, const struct buf *text, struct err *e);
/* The same on every tier of the set, in order. All must be open. */
int repo_spread_put_all(struct tier_set *tiers, const char *name, const struct buf *text,
    struct err *e);

#endif
