#ifndef REPO_REPO_OURS_H
#define REPO_REPO_OURS_H

#include "repo/identity.h"
#include "repo/repo_scan.h"

/*
 * Which repository is ours, where tiers hold different ones: what this host remembers (repo_pin.h)
 * says it, else who knows its signing key. A tier that holds another is closed, counts as away, and
 * its `why` (ERR_REFUSED) names both.
 */
/*
 * Leaves ours in the scan. Changes nothing where all hold the same, or where nothing tells which
 * one is ours: that is for repo_chain_load() to refuse. pin_path and sign may be NULL.
 */
void repo_ours_keep(struct repo_scan *s, const char *pin_path, const struct sign_key *sign);
/* The same where repo/0 of ours is known. Returns how many tiers were closed. */
size_t repo_ours_only(struct repo_scan *s, const struct identity *first);
/*
 * For who only lists, without opening: what this host remembers also counts against all tiers at
 * once. ERR_REFUSED, naming two tiers, where nothing tells which one is ours.
 */
int repo_ours_look(struct tier_set *tiers, const char *pin_path, const struct sign_key *sign,
    struct err *e);

#endif
