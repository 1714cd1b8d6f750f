#ifndef JOB_WAL_SHIP_H
#define JOB_WAL_SHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "repo/repo.h"
#include "repo/spool_dir.h"
#include "repo/wal_beat.h"
#include "repo/wal_lineage.h"
#include "store/tier.h"

/*
 * From the spool to the tiers: each tier gets its pieces at its own pace, by a worker of its own,
 * so one that is away holds up nobody. A piece ends with its segment, or when its oldest byte has
 * waited for `every`.
 *
 * Nothing here waits: wal_ship_step() hands out what is due and takes back what is done.
 */
struct wal_ship;

struct wal_ship_options {
	struct repo *repo;
	struct tier *const *tier; /* each with a store of its own; borrowed, as all of this */
	size_t tiers;
	struct spool_dir spool;
	struct wal_place place;
	const struct wal_from *from; /* of the epoch; NULL: it is the first */
	uint32_t segment_size, version;
	const char *host;
	int64_t every_ns;
	/* One that got through again after a failure, or failed after it got through. Set. */
	void (*event)(void *arg, const char *kind, const char *text);
	/* A tier that was away when the repository was opened has a store now. May be NULL. */
	void (*reached)(void *arg, struct tier *t);
	void *arg;
};

struct wal_ship *wal_ship_new(const struct wal_ship_options *o);
/* Waits for what is under way. */
void wal_ship_free(struct wal_ship *s);

/*
 * From now on that timeline is received, from `from` on; the one before ended there or earlier, at
 * `end`. The history is the server's file of it, empty for timeline 1.
 */
void wal_ship_timeline(
    struct wal_ship *s, uint32_t tli, uint64_t from, uint64_t end, const struct buf *history);
/* That tier has the timeline up to there already. */
void wal_ship_has(struct wal_ship *s, size_t tier, uint32_t tli, uint64_t until);

/* What is known of the primary, for the samples. */
struct wal_ship_seen {
	uint64_t durable;      /* in the spool, of the newest timeline */
	uint64_t server_flush; /* at boot time seen_boot_ns */
	int64_t seen_boot_ns;
	int64_t last_commit_ns;
	uint64_t commits;
};
/* `allowed`: may new pieces be handed out (the lease is ours)? Milliseconds until something may be
 * due. */
int wal_ship_step(struct wal_ship *s, const struct wal_ship_seen *seen, bool allowed);
/* From now on nothing waits for `every`. */
void wal_ship_hurry(struct wal_ship *s);
/* Everything that was durable is on every tier, or nothing more can be done about it: for a clean
 * end. */
bool wal_ship_idle(const struct wal_ship *s);

/* Where a tier stands. */
struct wal_ship_tier {
	uint32_t tli;
	uint64_t until;
	uint64_t pieces;
	struct err why; /* kind != ERR_NONE: its last try failed */
	/*
	 * And where its store was, another one holds this repository: a disk that was lost and replaced.
	 * What is there is known to nobody here, so nothing is stored before all was opened anew.
	 */
	bool replaced;
};
void wal_ship_tier(const struct wal_ship *s, size_t tier, struct wal_ship_tier *ret);

#endif
