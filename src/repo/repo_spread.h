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

/*
 * The same of a key object on one tier, where any sound one of that name will do: wrapping for the
 * escrow gives other bytes each time, and another host may have been faster.
 */
int repo_spread_key(struct repo *r, struct tier *t, const char *name, const struct buf *text,
    struct err *e);

/*
 * Belongs that object onto every tier? Not a key wrapped for another kek than ours: that was
 * replaced, and a tier that was set back must not bring it into use again.
 */
bool repo_spread_wanted(const struct repo *r, const char *name);

#endif
