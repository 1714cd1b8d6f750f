#ifndef REPO_GC_H
#define REPO_GC_H

#include "repo/repo.h"

/*
 * Garbage of one tier, in two runs: the first lists manifests and pend/, then packs, and writes
 * what nobody names as a tombstone list gc/<time>; a run a day later lists afresh and deletes what
 * is still unreferenced. The rules and why each is there: docs/format.md, "Garbage".
 */
struct gc_report {
	size_t snapshots, packs, referenced, young;
	size_t waiting;	   /* named by a tombstone list that is not old enough */
	size_t candidates; /* written to a new tombstone list */
	size_t deleted;
	uint64_t deleted_bytes, candidate_bytes;
	size_t pends_dropped;
	size_t aside; /* objects below bad/ that went (repo/gc_aside.h) */
	char stopped[256]; /* why it stopped early, "" when it did not */
};
struct gc_options {
	int64_t longest_ns;  /* W; 0: LAYOUT_W_NS */
	int64_t rest_ns;     /* between tombstone and deletion; 0: a day */
	bool dry_run;	     /* counts what would be done and writes nothing */
	bool empty_is_right; /* a tier of packs without a snapshot is no accident, says a person */
	bool (*interrupted)(void *arg); /* asked between objects; may be NULL */
	void *arg;
};
/*
 * -1: ERR_CORRUPT (ERR_KEY, ERR_UNSUPPORTED) when a manifest cannot be read, ERR_REFUSED for clocks,
 * a hold on the tier, or packs where no snapshot is, ERR_CANCELLED, or what the store says. Packs
 * are only deleted after everything was read; what was done until then is in *ret in any case.
 */
int gc_collect(struct repo *r, struct tier *t, const struct gc_options *o, struct gc_report *ret,
    struct err *e);

/* The decision about one pack: pure. */
enum gc_verdict {
	GC_NAMED,     /* a manifest or a pend/ object names it */
	GC_YOUNG,     /* may belong to a run that has not committed */
	GC_WAITING,   /* on a list that is not old enough */
	GC_CANDIDATE, /* for a new list */
	GC_DELETE,
};
struct gc_pack {
	int64_t age_ns; /* by the store, when the listing of manifests began */
	bool named;
	bool waiting;	/* on a fresh list */
	bool condemned; /* on a rested one */
};
enum gc_verdict gc_judge(const struct gc_pack *p, int64_t longest_ns);

#endif
