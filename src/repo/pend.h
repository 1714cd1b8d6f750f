#ifndef REPO_PEND_H
#define REPO_PEND_H

#include "repo/manifest.h"
#include "repo/repo.h"

/*
 * Copying a snapshot to another tier, safely beside garbage collection there: the manifest goes
 * first under pend/, which counts as a reference; then what is missing; then the manifest under its
 * own name; then pend/ is removed.
 */
/* A pend/ object older than this is no reference any more: whoever put it has died. */
#define PEND_LIFE_NS (7 * 24 * LAYOUT_HOUR_NS)
/*
 * A collection that did not see the pend/ object has ended when it is that old: 60 minutes and 5 of
 * margin.
 */
#define PEND_SETTLE_NS (65 * LAYOUT_HOUR_NS / 60)

struct pend_report {
	size_t sent, there; /* packs; all were read back, or are named by the newest one there */
	size_t replaced; /* of `sent`: a damaged one had the name, and was set aside */
	uint64_t sent_bytes;
	uint64_t gave; /* tiers that packs were read from: bit i is tier[i] of the repository's */
	uint64_t sequence; /* of the snapshot */
	bool already; /* the snapshot was there before */
	bool waited;  /* for its pend/ object to be old enough */
};
struct pend_options {
	/* asked between objects and each second of waiting; may be NULL */
	bool (*interrupted)(void *arg);
	/*
	 * Bytes sent of those to be sent; while it waits: waiting is true and they are seconds. May
	 * be NULL.
	 */
	void (*progress)(void *arg, bool waiting, uint64_t done, uint64_t of);
	/*
	 * What a snapshot of its kind cannot exist without, besides packs: to be brought to the target
	 * once the pend/ object is there, and again, with `last`, right before the manifest is put, and
	 * then proved to be there. May be NULL.
	 */
	int (*settle)(void *arg, const struct manifest *m, bool last, struct err *e);
	/*
	 * Before packs are sent: those of the manifest of which `there` says no are about to be read
	 * from `from`, or elsewhere. May be NULL.
	 */
	int (*ready)(void *arg, const struct manifest *m,
	    bool (*there)(void *copying, const uint8_t sha[LAYOUT_SHA]), void *copying, struct err *e);
	unsigned workers; /* so many packs at once; 0: one after the other */
	void *arg;
};
/*
 * Objects are read from `from`, or from another tier where its copy is missing or damaged; packs from an
 * archive (tier.last) only where no other tier has them, also when that is `from`. After an
 * error or interruption what was sent stays, with the pend/ object: the next copy of the same
 * snapshot goes on there. *ret is filled in any case.
 */
int pend_copy(struct repo *r, struct tier *from, struct tier *to, const char *snap,
    const struct pend_options *o, struct pend_report *ret, struct err *e);

#endif
