#ifndef JOB_WAL_PUSH_H
#define JOB_WAL_PUSH_H

#include "job/watch.h"
#include "repo/layout_wal.h"
#include "repo/repo.h"
#include "store/tier.h"

/*
 * What archive_command calls: one file of pg_wal goes to the tiers, and is durable there when this
 * says so. Segments that wait behind it are brought along, so that their own calls have nothing
 * left to do.
 */
struct wal_push_options {
	const char *path; /* %p */
	struct wal_place place;
	uint32_t
	    tli; /* the one that is active, and where it left its parent (0: it is the first) */
	uint64_t fork_lsn;
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
	unsigned segments; /* with those that were brought along */
	unsigned owed;	   /* objects that some tier still has to get */
	uint64_t bytes;
};

/*
 * 0: acknowledged. -1: ERR_USAGE no file of pg_wal; ERR_EXISTS other bytes are stored under that
 * name; ERR_STALE off the active timeline; ERR_REFUSED another system's; ERR_REMOTE too few tiers
 * answered.
 */
int wal_push_run(struct repo *repo, const struct wal_push_options *o, struct wal_push_report *ret,
    struct err *e);

/* Was that very file brought along by an earlier call? Asks nothing but `state`. */
bool wal_push_done(const char *state, const char *source, const char *path);
/* Of which system is the segment? ERR_NOTFOUND for what says nothing of it (a history, say). */
int wal_push_sysid(const char *path, uint64_t *ret, struct err *e);

#endif
