#ifndef JOB_ABILITY_H
#define JOB_ABILITY_H

#include "conf/conf.h"
#include "job/watch.h"
#include "repo/layout.h"
#include "store/tier.h"

/*
 * What the store of a tier was found to be able to do, by trying it (store_probe()), kept in `state`
 * until it is tried again. Nothing is allowed because of what is kept there: it makes puts look first, and
 * lets a sum that the store itself keeps beside an object count.
 */

/* Where something may be tried on a tier: a name that nobody has used, below check/. */
void ability_place(char out[LAYOUT_NAME]);
/* Before that: whose turn it is. A store that is not on this host takes seconds, with a lock many. */
void ability_tell(const struct tier_set *all, const struct tier *t, const struct watch *w);
/*
 * Tries it, now, and keeps what was found (*kept false: that could not be). From then on the tier's
 * options tell what calls have to know.
 */
int ability_try(const struct conf *c, struct tier *t, struct store_abilities *ret, bool *kept,
    struct err *e);
/* ERR_UNSUPPORTED, with what the store said: the section asks for what it cannot do. */
int ability_refuse(const struct tier *t, const struct store_abilities *a, struct err *e);
/* What was kept of the store of that section, into its options; they stay where nothing is known. */
void ability_recall(const struct conf *c, const struct conf_tier *t, struct store_options *o);

#endif
