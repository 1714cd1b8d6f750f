#ifndef JOB_WAL_PUSH_H
#define JOB_WAL_PUSH_H

#include "coord/coord.h"
#include "job/wal/wal_ahead.h"
#include "job/watch.h"
#include "repo/layout_wal.h"
#include "repo/repo.h"
#include "store/tier.h"

/*
 * What archive_command calls: one file of pg_wal goes to the tiers, and is durable there when this
 * says so. What waits behind it is pushed by a worker meanwhile (wal_push_behind.h).
 */
struct wal_push_options {
	const char *path; /* %p */
	struct wal_place place;
	uint32_t
	    tli; /* the one that is active, and where it left its parent (0: it is the first) */
	uint64_t fork_lsn;
	/* the server that the source is, and where it is kept who is active */
	const char *conninfo, *site;
	struct coord *coord;
	struct tier_set *set;
	struct tier *const *tier; /* that receive WAL */
	const bool *off_host;	  /* of each: does it survive this host? */
	size_t tiers;
	unsigned ack;	   /* so many are enough while others are away */
	const char *state; /* directory; NULL: nothing can be kept */
	const char *host;
	unsigned workers;
	const struct watch *watch;
};

struct wal_push_report {
	char name[64];
	unsigned owed;	   /* objects that some tier still has to get */
	uint64_t bytes;
};

/*
 * 0: acknowledged. -1: ERR_USAGE no file of pg_wal; ERR_EXISTS other bytes are stored under that
 * name; ERR_STALE see wal_push_may.h; ERR_REFUSED another system's, or a segment that is not
 * finished; ERR_REMOTE too few tiers answered.
 */
int wal_push_run(struct repo *repo, const struct wal_push_options *o, struct wal_push_report *ret,
    struct err *e);

/*
 * Segments beside o->path, one after the other; `stored` is told of each that is acknowledged, in
 * order, and -1 from it ends the work. 0, or -1: the first that was not told is not acknowledged.
 */
typedef int wal_push_stored(void *arg, const struct wal_ahead_mark *m);
int wal_push_many(struct repo *repo, const struct wal_push_options *o,
    char (*name)[WAL_AHEAD_NAME], size_t count, wal_push_stored *stored, void *arg);

/*
 * Of which system is the file? One that does not say it, a history, is of the data directory that it
 * lies in; ERR_NOTFOUND when it lies in none.
 */
int wal_push_sysid(const char *path, uint64_t *ret, struct err *e);

#endif
