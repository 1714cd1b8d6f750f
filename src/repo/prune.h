#ifndef REPO_PRUNE_H
#define REPO_PRUNE_H

#include "repo/expire.h"
#include "repo/manifest.h"
#include "repo/repo.h"

/*
 * Expiry of one source on one tier, done: lists its snapshots, finds out which are partial, held,
 * verified, asks expire_plan() and removes the manifests that may go. Their packs are gc's
 * business.
 */
struct prune_report;

struct prune_options {
	int64_t keep_ns;    /* -1: forever */
	int64_t longest_ns; /* W; 0: LAYOUT_W_NS */
	bool more_than_half, retire;
	bool dry_run;
	const char *lately; /* directory that remembers what went within a day (lately.h); NULL: none */
	bool (*interrupted)(void *arg); /* asked between objects; may be NULL */
	void *arg;
	/*
	 * A kind of source whose snapshots are not all there is: told of each manifest that counts, by
	 * its place in the report, then where the window starts; it may set `ready_ns` and `root` of
	 * the items. Both NULL: there is no more to it.
	 */
	int (*seen)(void *own, size_t i, const struct manifest *m, struct err *e);
	int (*roots)(void *own, struct expire_item *item, size_t n, int64_t window_ns, struct err *e);
	void *own;
	/*
	 * What other tiers are still to get from here: sets `owed` of the items. NULL: nothing. `item`
	 * is beside ret->item, which is filled but for the reasons.
	 */
	int (*owed)(void *owed_arg, struct prune_report *rep, struct expire_item *item, struct err *e);
	void *owed_arg;
};
struct prune_item {
	char name[LAYOUT_NAME];
	struct layout_snap part;
	enum expire_reason reason;
	bool gone;
	/* With EXPIRE_KEEP_OWED: the tier that has not got it; borrowed */
	const char *waits_for;
	bool waits_away; /* that tier does not answer */
	bool waits_late; /* it should have had it by now */
};
struct prune_report {
	struct prune_item *item; /* oldest first */
	size_t count, room;
	size_t going; /* by the plan */
	size_t gone;
	int64_t now_ns, window_ns; /* what was judged by: the tier's clock, and where the window starts */
	/* kind ERR_NONE, or why records of holds could not be brought to this tier */
	struct err holds;
	size_t unread; /* records of proofs that cannot be read: they protected nothing */
	struct err unread_why; /* of the first */
	size_t records; /* that said nothing any more, and went */
	struct err tidy; /* kind ERR_NONE, or why some of these stayed */
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
