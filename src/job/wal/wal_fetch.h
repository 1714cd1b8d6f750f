#ifndef JOB_WAL_FETCH_H
#define JOB_WAL_FETCH_H

#include "job/wal/wal_prove.h"
#include "job/watch.h"
#include "repo/layout_wal.h"
#include "repo/repo.h"
#include "source/pg/pg_conn.h"
#include "store/tier.h"

/*
 * The WAL of one base backup, brought to the tier the backup goes to, and proved to be there: a
 *snapshot of a database is complete only with it. A receiver or archive_command may bring the same
 *bytes, before or after; pieces that overlap agree, so nobody has to wait for the other.
 *
 *	wal_fetch_open	  before the base backup begins: from then on the server keeps its WAL
 *	wal_fetch_bring	  after it has ended
 */
struct wal_fetch;

struct wal_fetch_options {
	struct repo *repo;
	struct tier *tier;
	struct pg_conn_options
	    conn; /* to the server the backup is taken from; replication is set by us */
	struct wal_place place;
	uint32_t segment_size;
	const char *host;	   /* for the pieces: who stored them */
	const struct watch *watch; /* borrowed, as all of it */
};

int wal_fetch_open(const struct wal_fetch_options *o, struct wal_fetch **ret, struct err *e);
void wal_fetch_free(struct wal_fetch *f);

/*
 * That range is received, compared with what the tier has of it, and stored as far as that lacks it,
 * with the history files; then all of it is read back from the tier. *brought (may be NULL): bytes
 * that were stored. ERR_REFUSED when the server has removed some of it, or the tier has another
 * server's.
 */
int wal_fetch_bring(
    struct wal_fetch *f, const struct wal_prove_range *r, uint64_t *brought, struct err *e);

#endif
