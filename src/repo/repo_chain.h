#ifndef REPO_REPO_CHAIN_H
#define REPO_REPO_CHAIN_H

#include "repo/identity.h"
#include "repo/repo_scan.h"

/* The verified repo/0 .. repo/<n>; the last one counts. */
struct repo_chain {
	struct identity *item;
	size_t count;
	struct err broken; /* why a higher number that is there was not taken; else ERR_NONE */
};

/*
 * Reads the chain from the tiers of a scan, any good copy of each. ERR_NOTFOUND when no tier
 * holds a repository, ERR_REFUSED when two tiers hold different ones (both are named),
 * ERR_CORRUPT, ERR_UNSUPPORTED for a newer format.
 */
int repo_chain_load(const struct repo_scan *s, struct repo_chain *ret, struct err *e);
/* One tier's copy of repo/<n>, which must follow `before` (NULL: is repo/0), verified. */
int repo_chain_read(const struct repo_scan_tier *t, unsigned n, const struct identity *before,
    struct identity *ret, struct err *e);
/* Is it another rightful repo/<n> than the one of the chain: of two added at once, the other? */
bool repo_chain_rival(const struct repo_chain *c, unsigned n, const struct buf *text);
void repo_chain_done(struct repo_chain *c);
/* Takes *it over as the last one (which it must follow) and empties it. */
void repo_chain_add(struct repo_chain *c, struct identity *it);
const struct identity *repo_chain_last(const struct repo_chain *c);

#endif
