#ifndef REPO_REPO_LOAD_H
#define REPO_REPO_LOAD_H

#include "repo/repo.h"

/*
 * The common part of open and init: chain, pin, our own key among the signers, key objects.
 * Changes nothing and leaves o->sign to the caller. With no key object on any tier it succeeds
 * with r->keys->epochs 0: an init that was cut short. ERR_KEY when there are key objects and none
 * opens.
 */
int repo_load(struct tier_set *tiers, const struct repo_scan *s, const struct repo_options *o,
    struct repo **ret, struct err *e);
/* Says in a text what key object recipients there are: ": k1a2b..., e77..." */
void repo_load_recipients(const struct repo_scan *s, struct buf *out);

#endif
