#ifndef JOB_THAW_PLAN_H
#define JOB_THAW_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "job/wal/wal_thaw.h"
#include "repo/layout.h"
#include "store/tier.h"

/*
 * What has to be ordered back of the packs that are about to be read, and what it will cost. Pure:
 * what each tier said of each pack comes in. A bundle of WAL is treated as a pack.
 */
struct thaw_pack {
	uint8_t sha[LAYOUT_SHA];
	const struct wal_thaw_bundle *log; /* the bundle that it is; NULL: a pack */
	uint64_t size;
	struct tier *on; /* where it is to be read; NULL: nobody has it */
	struct store_cold is; /* there */
};
const char *thaw_plan_name(const struct thaw_pack *p, char out[LAYOUT_NAME]);
/* A better place than the one the pack has? What is at hand before what comes, before what costs. */
bool thaw_plan_better(const struct thaw_pack *p, enum store_state is);

#define THAW_PLAN_SHARES 16
struct thaw_share { /* what lies on one tier in one class */
	const struct tier *tier;
	char class[sizeof(((struct store_cold *)0)->class)];
	enum store_speed speed;
	unsigned days;
	size_t orders, waits; /* packs that have to be ordered; that are, and are not there yet */
	size_t orders_log, waits_log; /* of these, how many are bundles of WAL */
	uint64_t bytes;	      /* of those to be ordered */
	int64_t wait_ms;      /* until all are there; 0: not known */
	double price;	      /* dollars; negative: not known */
};
struct thaw_plan {
	struct thaw_share share[THAW_PLAN_SHARES];
	size_t shares;
	size_t orders, waits;
	size_t log; /* of both, how many are bundles of WAL */
	uint64_t bytes;
};
struct thaw_wish;
void thaw_plan(const struct thaw_pack *pack, size_t n, const struct thaw_wish *wish,
    struct thaw_plan *ret);
/* One share in words: "12 packs, 390 MB, ...". Into out, which is emptied first. */
void thaw_plan_say(const struct thaw_share *share, struct buf *out);

/* "12 packs and 3 bundles of WAL", of so many in all. */
void thaw_plan_count(size_t all, size_t log, struct buf *out);

#endif
