#ifndef JOB_TIERS_H
#define JOB_TIERS_H

#include "conf/conf.h"
#include "store/tier.h"

/*
 * The tiers of a configuration as values: the one place where a [tier] section becomes a store. Secrets
 * are fetched here; a tier whose secret cannot be had is barred, with the reason. Nothing is opened.
 */
void tiers_make(const struct conf *c, struct tier_set *ret);
/* One more of that section, behind the others, which move: it is borrowed until the next is added. */
struct tier *tiers_add(const struct conf *c, const struct conf_tier *from, struct tier_set *set);
/*
 * How near they are for reading what is of one source: in the order of its `tiers`, then in that of the
 * other sources', then of the files; those whose class is an archive's behind all others. source NULL:
 * of none in particular. `named` (or NULL), which a person asked for, is the nearest, whatever its class.
 */
void tiers_near(const struct conf *c, const char *source, const struct tier *named, struct tier_set *set);
/* All but that one stay closed; NULL: none. */
void tiers_only(const char *name, struct tier_set *set);
/* Closes them, wipes what was fetched. */
void tiers_free(struct tier_set *set);

/* The period of a tier's `takes` in ms; 0: all. */
int64_t tiers_period(const char *takes);

/*
 * How long objects are locked on a tier, by the start of their names: into rule, ended by a NULL prefix.
 * Also which of them go into its class. The strings are the caller's to free (tiers_rules_free()).
 */
struct store_rule *tiers_rules(const struct conf *c, const struct conf_tier *t);
void tiers_rules_free(struct store_rule *rule);

#endif
