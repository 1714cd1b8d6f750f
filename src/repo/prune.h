#ifndef REPO_PRUNE_H
#define REPO_PRUNE_H

#include "repo/expire.h"
#include "repo/repo.h"

/*
 * Expiry of one source on one tier, done: lists its snapshots, finds out which are partial, held,
 * verified, asks expire_plan() and removes the manifests that may go. Their packs are gc's
 * business.
 */
struct prune_options {
	int64_t keep_ns;    /* -1: forever */
	int64_t longest_ns; /* W; 0: LAYOUT_W_NS */
	bool more_than_half, retire;
	bool dry_run;
	bool (*interrupted)(void *arg); /* asked between objects; may be NULL */
	void *arg;
};
struct prune_item {
	char name[LAYOUT_NAME];
	struct layout_snap part;
	enum expire_reason reason;
	bool gone;
};
struct prune_report {
	struct prune_item *item; /* oldest first */
	size_t count, room;
	size_t going; /* by the plan */
	size_t gone;
	/* kind ERR_NONE, or why records of holds could not be brought to this tier */
	struct err holds;
};
/*
 * ERR_REFUSED when clocks differ; ERR_CORRUPT and the like when a manifest cannot be read: nothing
 * is removed then. Holds count on whichever tier they are recorded, and are brought to this one.
 * *ret says what was done in any case; prune_done() it.
 */
int prune_source(struct repo *r, struct tier *t, const char *source, const struct prune_options *o,
    struct prune_report *ret, struct err *e);
void prune_done(struct prune_report *p);

#endif
