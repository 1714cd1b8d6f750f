#ifndef REPO_GC_ASIDE_H
#define REPO_GC_ASIDE_H

#include "repo/packset.h"
#include "repo/repo.h"

/* What was set aside below bad/ (store/aside.h), and may go. */
struct gc_aside_options {
	const struct packset *named; /* packs that a manifest or pend/ of the tier names */
	int64_t now_ns;		     /* the store's clock */
	bool dry_run;
	bool (*interrupted)(void *arg); /* asked between objects; may be NULL */
	void *arg;
};
/*
 * Removes what has been there for GC_ASIDE_NS and is no loss: its name has a good object again, or
 * nothing on the tier needs that name any more. How many, into *ret; they are counted when it
 * fails, too. -1: ERR_CANCELLED, or what the store says.
 */
#define GC_ASIDE_NS (30 * 24 * LAYOUT_HOUR_NS)
int gc_aside_sweep(struct repo *r, struct tier *t, const struct gc_aside_options *o, size_t *ret,
    struct err *e);

#endif
