#ifndef REPO_REPO_SCAN_H
#define REPO_REPO_SCAN_H

#include "repo/layout.h"
#include "store/tier.h"

/* What every tier holds of the repository's own objects, repo/ and key/, by listing. */
struct repo_scan_tier {
	struct tier *tier;
	bool away;	     /* not open, or did not answer: tier->why says it */
	bool stray;	     /* no repo/ object, but others of ours */
	char (*name)[LAYOUT_NAME]; /* repo/<n> and key/<epoch>.<recipient>, in order */
	size_t names, room;
	bool holds;	     /* has a repo/ object */
	unsigned highest;    /* n of its highest repo/<n> */
	struct buf *first;   /* repo/0, once it was read and was sound; empty before */
};

struct repo_scan {
	struct tier_set *tiers;	     /* borrowed */
	struct repo_scan_tier *tier; /* one a tier of the set, in its order */
	size_t count;
	size_t away, holding;
	unsigned highest; /* of all */
};

/* All at once (tier_each()). Tiers that cannot be listed are away, that is no error here. */
void repo_scan(struct tier_set *tiers, struct repo_scan *ret);
/* away, holding and highest anew, after `away` of some was changed. */
void repo_scan_count(struct repo_scan *s);
void repo_scan_done(struct repo_scan *s);
/* What was seen of that tier; NULL when it is not of the set. */
const struct repo_scan_tier *repo_scan_find(const struct repo_scan *s, const struct tier *t);
bool repo_scan_has(const struct repo_scan_tier *t, const char *name);
bool repo_scan_begins(const struct repo_scan_tier *t, const char *prefix); /* has it such a name? */
bool repo_scan_anywhere(const struct repo_scan *s, const char *name);
/*
 * The next name after `after` (NULL: the first) on any tier that holds the repository; NULL at
 * the end.
 */
const char *repo_scan_next(const struct repo_scan *s, const char *after);
/* A line for every tier that is away, with the reason, and one for its way out; how many have one. */
size_t repo_scan_tell_away(const struct repo_scan *s, struct err *e);

#endif
