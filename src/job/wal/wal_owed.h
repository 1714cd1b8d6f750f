#ifndef JOB_WAL_OWED_H
#define JOB_WAL_OWED_H

#include "repo/repo.h"
#include "store/tier.h"

/*
 * Objects of WAL that were acknowledged while a tier was away, and that it is still to get from
 * another: a mark in `state`/owed/<tier> for each. A lost mark costs nothing but time: `copy` finds
 * what is missing by listing.
 */
int wal_owed_put(const char *state, const char *tier, const char *name, struct err *e);
/* Brings at most `most` of them to the tier, from the others; how many are still owed, or -1. */
int wal_owed_settle(
    struct tier_set *set, const char *state, struct tier *t, unsigned most, struct err *e);

#endif
