#ifndef REPO_WAL_GAP_H
#define REPO_WAL_GAP_H

#include <stdbool.h>

#include "repo/layout_wal.h"
#include "repo/repo.h"

/*
 * A hole in the WAL, written down when it is seen, rec/gap/<source>/<time>-<8hex>: an alarm, and no
 * restore goes across one. It stays a record when the bytes turn up later; who decides by it asks
 * walread_ranges() whether they are there now.
 */
#define WAL_GAP_WHY 400

struct wal_gap {
	struct wal_place place;
	uint32_t tli;
	uint64_t from, to; /* what is missing; to UINT64_MAX: nobody knows how far */
	char host[256];
	char why[WAL_GAP_WHY];
	int64_t time_ns; /* when it was seen: that of the record's name */
};

/*
 * Writes it, by one name, to each of these tiers that is open: how many have it now; -1 when none
 * has, and why.
 */
int wal_gap_put(const struct repo *r, struct tier *const *tier, size_t tiers,
    const struct wal_gap *gap, char name[LAYOUT_NAME], struct err *e);

struct wal_gaps {
	struct wal_gap *gap; /* of all tiers asked, each record once, oldest first */
	size_t count;
};
/*
 * All records of the source on these tiers. One that no tier has readable is an error, for it may
 * be about any hole; a tier that does not answer is one, too. wal_gap_done() in any case.
 */
int wal_gap_load(const struct repo *r, struct tier *const *tier, size_t tiers, const char *source,
    struct wal_gaps *ret, struct err *e);
void wal_gap_done(struct wal_gaps *g);
/* The first one that has a byte of [from, to) of that timeline, in any epoch; or NULL. */
const struct wal_gap *wal_gap_in(const struct wal_gaps *g, uint64_t sysid, uint32_t tli,
    uint64_t from, uint64_t to);
/*
 * Does a base backup that begins there begin behind the gap? All of a later epoch does: it grew out of
 * a state that could be had.
 */
bool wal_gap_ends_before(const struct wal_gap *g, uint32_t epoch, uint64_t start);

#endif
