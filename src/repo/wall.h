#ifndef REPO_WALL_H
#define REPO_WALL_H

#include <stdint.h>

#include "repo/repo.h"

/*
 * Before a run that removes: ERR_REFUSED when this host's clock is not what the host remembers of
 * it, or is behind what is stored (repo/hostclock.h); else it is remembered. `trusted`: a person
 * says that it is right. look_only: nothing is removed, so nothing is remembered either.
 */
struct wall_options {
	bool trusted, look_only;
};
int wall_begin(const struct repo *r, const struct wall_options *o, struct err *e);
/*
 * For a run that removes nothing, before it stores anything: is this time right by all that is
 * known? Then it is remembered. ERR_REFUSED when not, and where this host remembers nothing, that
 * what is stored speaks against its clock is. Memory that cannot be kept is no error.
 */
int wall_witness(const struct repo *r, struct err *e);
/* When the newest manifest on any tier that answers was stored; 0: there is none. */
int64_t wall_newest(const struct tier_set *tiers);
/*
 * The time by the tier's own clock, which all ages there are counted by. ERR_REFUSED when it
 * differs from ours, or another tier that answers differs from ours, by more than LAYOUT_SKEW_NS,
 * or ours was set since the last run: whoever is wrong, ages mean nothing then and nothing may be
 * removed.
 */
int wall_now(const struct repo *r, struct tier *t, int64_t *ret_ns, struct err *e);

#endif
