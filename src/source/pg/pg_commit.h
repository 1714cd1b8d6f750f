#ifndef SOURCE_PG_COMMIT_H
#define SOURCE_PG_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "source/pg/pg_walrecord.h"

/* The records that recovery can stop at, and those that say where a timeline or a redo begins. */
enum pg_commit_kind {
	PG_COMMIT_DONE,	      /* a transaction committed */
	PG_COMMIT_ABORTED,
	PG_COMMIT_POINT,      /* pg_create_restore_point() */
	PG_COMMIT_CHECKPOINT, /* while running */
	PG_COMMIT_SHUTDOWN,   /* checkpoint of a clean stop, or of the end of a crash recovery */
	PG_COMMIT_RECOVERED   /* end of recovery: the first record of a new timeline, mostly */
};

#define PG_COMMIT_NAME 64 /* MAXFNAMELEN, with its NUL */

struct pg_commit {
	enum pg_commit_kind kind;
	uint64_t start;	  /* of the record */
	uint64_t end;
	int64_t time_ns;  /* since 1970; 0 for checkpoints. In the order of the log it may go back */
	/* Commits and aborts; of a prepared transaction its own. 0 when a giant hides it. */
	uint32_t xid;
	bool prepared;	  /* COMMIT PREPARED, ROLLBACK PREPARED */
	char name[PG_COMMIT_NAME]; /* PG_COMMIT_POINT, as bytes of the server */
	uint64_t redo;	  /* checkpoints: where a recovery from it begins */
	uint32_t timeline; /* checkpoints and PG_COMMIT_RECOVERED */
	uint32_t parent;   /* the timeline before; the same when none was left */
};

/* 1 it is one of them, 0 another record, -1 it should be and makes no sense (ERR_CORRUPT). */
int pg_commit_read(const struct pg_walrecord *r, struct pg_commit *ret, struct err *e);

/* A running count; begin with zeros. */
struct pg_commit_tally {
	uint64_t commits;
	uint64_t aborts;
	uint64_t last;	  /* start of the last commit */
	int64_t last_ns;  /* the latest time of any commit, which is not always the last one's */
};

/* Adds a commit or an abort, ignores the others. */
void pg_commit_count(struct pg_commit_tally *t, const struct pg_commit *c);
/* PostgreSQL's microseconds since 2000 as nanoseconds since 1970, held in range. */
int64_t pg_commit_time_ns(int64_t pg_us);

#endif
