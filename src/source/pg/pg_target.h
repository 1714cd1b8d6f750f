#ifndef SOURCE_PG_TARGET_H
#define SOURCE_PG_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "source/pg/pg_history.h"

/*
 * From what somebody wants to the base backup to start from and the one bound that recovery gets.
 * Pure, but for what the caller looks up in the log.
 */
enum pg_target_kind {
	PG_TARGET_LATEST,
	PG_TARGET_TIME,
	PG_TARGET_LSN,
	PG_TARGET_XID,
	PG_TARGET_NAME,	    /* a restore point */
	PG_TARGET_IMMEDIATE /* the end of the base backup itself */
};

struct pg_target {
	enum pg_target_kind kind;
	int64_t time_ns;
	uint64_t lsn;
	uint32_t xid;
	const char *name;
	bool exclusive;	  /* stop before it; of times, LSNs and xids */
	const char *base; /* only this base backup; NULL: the newest that will do */
	uint32_t timeline; /* that was asked for, to be repeated in a fix; 0: none was */
};

struct pg_target_base {
	const char *id;
	uint64_t start, stop;	/* LSNs */
	uint32_t timeline;	/* where it stopped */
	int64_t stop_ns;	/* the server's clock when it stopped */
};

/* WAL that is nowhere. */
struct pg_target_gap {
	uint32_t timeline;
	uint64_t from, to;
	int64_t from_ns; /* the newest commit known to lie before it; 0 when unknown */
	int64_t to_ns;	 /* the oldest known to lie behind it; 0 when unknown */
};

/*
 * What looking through the commit records found, on the way to the timeline that is wanted: for a
 * time the first commit or abort, in the order of the log, that is later (not earlier, when
 * exclusive); for an xid or a name its record, of a name used twice the newest.
 */
struct pg_target_hit {
	bool found;
	uint64_t start, end;
};

struct pg_target_world {
	const char *source; /* for messages: "pg.payments" */
	const char *tiers;  /* where was looked: "local, regional" */
	const struct pg_history *history; /* of the timeline that is wanted */
	uint64_t frontier;  /* its WAL is there up to here */
	/*
	 * A wall clock of the server when it had no more than that. Commits may be later: behind the
	 * frontier's own clock is only what the log has nothing later of.
	 */
	int64_t frontier_ns;
	uint64_t last;	    /* start of the last complete record below the frontier; 0 when unknown */
	const struct pg_target_base *base; /* in any order */
	size_t bases;
	const struct pg_target_gap *gap;
	size_t gaps;
	/*
	 * Asks the log for a time, an xid or a name. What a refusal names as possible is tried first,
	 * so this is called several times then.
	 */
	int (*look)(void *arg, const struct pg_target *t, struct pg_target_hit *ret, struct err *e);
	void *look_arg;
};

/* How recovery is told. PG_TARGET_XID and PG_TARGET_NAME have become an LSN. */
struct pg_target_plan {
	size_t base;	    /* index into world->base */
	enum pg_target_kind bound; /* PG_TARGET_TIME, PG_TARGET_LSN or PG_TARGET_IMMEDIATE */
	uint64_t lsn;
	int64_t time_ns;
	bool exclusive;
	uint32_t timeline;
	uint64_t until; /* the WAL from base->start up to here is needed, and there */
};

/*
 * 0 and *ret; -1 with ERR_REFUSED when it cannot be (earlier than the first base's end, beyond the
 * frontier, across a gap, off the timeline, an xid or name that is not in the log), ERR_NOTFOUND for
 * a base that is not there. The text has the lines `checked`, `possible` and, where there is one,
 * `fix`: both ends of every range that is named, and every fix, would be accepted as they are written.
 * Rules:
 *   latest     the start of the last complete record, inclusive: its end would make the server fail
 *   time       as it is while a later commit or abort is known; after the last one, but not after
 *              the frontier's clock, it is `latest`
 *   LSN        behind the start of the last record, but not the frontier, it is `latest`; where a
 *              gap begins, all before it (plan->until is that place then)
 *   xid, name  the LSN of their record: a name may have been used twice
 */
int pg_target_choose(const struct pg_target *want, const struct pg_target_world *world,
    struct pg_target_plan *ret, struct err *e);

/*
 * What can be had: stretches of WAL without a gap, from the end of the first base to the frontier or
 * the next gap. Returns how many, of which at most `room` are written, the oldest first.
 */
struct pg_target_range {
	uint64_t from, to;
	int64_t from_ns, to_ns; /* to_ns 0: unknown; there may be no such time between the two */
};
/* only: the id of the one base that counts; NULL: all do. */
size_t pg_target_ranges(const struct pg_target_world *world, const char *only,
    struct pg_target_range *ret, size_t room);

/* Lines for postgresql.conf; the values are not quoted yet. */
#define PG_TARGET_SETTINGS 4
struct pg_target_setting {
	const char *key;
	char value[48];
};
/*
 * recovery_target_lsn, _time or recovery_target, with _inclusive, _timeline and _action ("promote",
 * "pause", "shutdown"). Returns how many. Never two bounds: others must not be set anywhere.
 */
size_t pg_target_settings(const struct pg_target_plan *plan, const char *action,
    struct pg_target_setting ret[PG_TARGET_SETTINGS]);

#endif
