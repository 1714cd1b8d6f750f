#ifndef JOB_WAL_STREAM_H
#define JOB_WAL_STREAM_H

#include "coord/lease.h"
#include "job/watch.h"
#include "repo/repo.h"
#include "source/pg/pg_conn.h"
#include "store/tier.h"

/*
 * The receiver as a service: the WAL of one source, from its server through the spool of this host
 * to the tiers, until somebody asks it to stop. It connects again for ever, follows timelines,
 * keeps its slots, and writes down every hole.
 *
 * Of several hosts each has a slot and a spool; only the holder of lease/wal/<source> ships.
 */
struct wal_stream_options {
	const char *source; /* "pg.payments" */
	const char *conninfo; /* at first: see config */
	const char *slot;
	const char *hold_slot; /* keeps on the server what is only on hosts of ours; NULL: none */
	const char *site, *host;
	const char *spool; /* directory */
	int64_t ship_every_ns;
	uint64_t backlog; /* bytes the spool may hold */
	/*
	 * Beyond that: let the slots go, and where that makes a hole, a base backup behind it at once;
	 * else the server keeps the WAL.
	 */
	bool drop_slot;
	/*
	 * The configuration: conninfo is read from it again before every connection and every few
	 * seconds, and a base backup is made with it. NULL: neither.
	 */
	const char *config;
	struct tier *const *base_tier; /* where base backups are */
	size_t base_tiers;
	struct tier *const *tier; /* that receive WAL */
	const bool *off_host;	  /* of each: does it survive this host? */
	size_t tiers;
	struct coord *coord;
	struct lease_times lease;
	int64_t renew_ns;
};

struct wal_stream_report {
	uint64_t bytes;
	unsigned connections, gaps;
	unsigned others; /* histories in the archive that are not the server's */
	/* Another directory is where a tier was: nobody asked to stop, and all is to be opened anew. */
	bool anew;
};

/* 0: asked to stop (or `anew`), all that could be shipped is. -1: what no retry mends (another system, a
 * damaged spool, a key). */
int wal_stream_run(struct repo *repo, const struct wal_stream_options *o, const struct watch *w,
    struct wal_stream_report *ret, struct err *e);

#endif
