#ifndef REPO_WAL_LINEAGE_H
#define REPO_WAL_LINEAGE_H

#include <stdbool.h>

#include "repo/layout_wal.h"
#include "repo/repo.h"

/*
 * Where an epoch comes from. `from` of an epoch names its parent, and the timeline and LSN at which
 * it left it: WAL of that timeline below the fork, and of older timelines, may lie in the parent;
 * what the parent has beyond is somebody else's history. An epoch without `from` is the first.
 */
#define WAL_LINEAGE_REASON 200
#define WAL_LINEAGE_MOST 4096 /* epochs of one lineage: a bound for a damaged repository */
#define WAL_LINEAGE_HISTORY_MAX (1u << 20)

struct wal_from {
	uint32_t parent; /* epoch, lower than its own */
	uint32_t tli;	 /* the parent's timeline that was left */
	uint64_t fork;	 /* first byte that is not the parent's any more */
	char reason[WAL_LINEAGE_REASON]; /* "failover", "restore --adopt" ... for people */
};

/* 1 stored, 0 the same was there already, -1: ERR_EXISTS when it says another parent or fork. */
int wal_lineage_put_from(const struct repo *r, struct store *to, const struct wal_place *p,
    const struct wal_from *from, struct err *e);
/* Same rule for a server's history file, byte exact. */
int wal_lineage_put_history(const struct repo *r, struct store *to, const struct wal_place *p,
    uint32_t tli, const void *text, size_t n, struct err *e);

/*
 * Any R of that name from the first of these tiers that has it readable, its text appended:
 * 1; 0 when every one of them answered that it is not there; else -1.
 */
int wal_lineage_fetch(const struct repo *r, struct tier *const *tier, size_t tiers,
    const char *name, struct buf *text, struct err *e);

struct wal_lineage_level {
	uint32_t epoch;
	/* What of it counts: timelines below `tli`, and `tli` up to `fork`. */
	uint32_t tli;
	uint64_t fork;
};
struct wal_lineage {
	struct wal_lineage_level *level; /* the epoch asked for first, then its parents */
	size_t levels;
	/* kind != ERR_NONE: whether the last level has a parent could not be learned, and why */
	struct err unknown;
};

/* Follows the `from` of each epoch. Only ERR_CORRUPT (or a key missing) is -1; a tier away is not. */
int wal_lineage_load(const struct repo *r, struct tier *const *tier, size_t tiers,
    const struct wal_place *p, struct wal_lineage *ret, struct err *e);
void wal_lineage_done(struct wal_lineage *l);
/* Up to where that timeline counts at that level: 0 not at all, UINT64_MAX all of it. */
uint64_t wal_lineage_bound(const struct wal_lineage *l, size_t level, uint32_t tli);
/* Does what that timeline of that epoch wrote up to there lie on the way? */
bool wal_lineage_has(const struct wal_lineage *l, uint32_t epoch, uint32_t tli, uint64_t to);

/* The text of `from`. */
void wal_lineage_from_text(const struct wal_from *from, struct buf *out);
int wal_lineage_from_parse(const struct buf *text, uint32_t epoch, struct wal_from *ret,
    struct err *e);

#endif
