#ifndef JOB_WAL_RESUME_H
#define JOB_WAL_RESUME_H

#include "base/err.h"
#include "source/pg/pg_history.h"

/* Where to go on receiving, decided from what everybody has. Pure. */
struct wal_resume_at {
	uint32_t tli; /* 0: nothing */
	uint64_t lsn;
};

struct wal_resume_view {
	struct wal_resume_at spool, tiers; /* the newest that is there without a hole */
	struct wal_resume_at server;	   /* its timeline, and up to where it has WAL */
	const struct pg_history *history;  /* of the server's timeline */
	uint64_t slot;			   /* what our slot there keeps WAL from; 0: nothing */
	uint32_t segment_size;
};

/*
 * *ret: the byte that comes next. ERR_STALE when the server is behind what was received, or not of
 * that lineage: an old primary, or one that was restored.
 */
int wal_resume_at(const struct wal_resume_view *v, struct wal_resume_at *ret, struct err *e);
/* The later of the two. */
struct wal_resume_at wal_resume_have(const struct wal_resume_at *spool,
    const struct wal_resume_at *tiers);

#endif
