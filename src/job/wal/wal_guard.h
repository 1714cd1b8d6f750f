#ifndef JOB_WAL_GUARD_H
#define JOB_WAL_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * A recovery makes a tablespace where the server that wrote the log had it, and cannot be told
 * otherwise. On that server's own host it is the living one's directory, whose files would be
 * overwritten. So WAL that would do this is not handed over.
 */
struct wal_guard {
	const char *data; /* the data directory that is recovered */
	bool confined;	  /* a proof: no tablespace is made at a path at all, whatever is there */
	uint64_t from, to; /* records that begin outside are not replayed; `to` 0: not known */
	uint32_t segment_size;
	const char *source; /* NULL: not known */
	/*
	 * What max_prepared_transactions was when the backup was made; -1: nobody asked. Where the log
	 * gives the server more, so does this directory's own configuration from then on: of the
	 * settings that a recovery needs this is the one without which it ends in the middle.
	 */
	int64_t prepared;
	/*
	 * A segment that is not in pg_wal: 1 as far as it is there, 0 it is not, -1. Asked only for
	 * the one before, where a short record reaches out of it. May be NULL.
	 */
	int (*fetch)(void *arg, uint32_t tli, uint64_t start, struct buf *bytes, struct err *e);
	void *arg;
};

/* In the data directory, written when `confined` refused: "OID LSN PATH". */
#define WAL_GUARD_NOTE "pg_wal/.ffdr-tablespace"

/*
 * max_prepared_transactions of a data directory, as far as its own files say it, at least `least`, is
 * made `value` where it is less: 1, else 0; -1.
 */
#define WAL_GUARD_PREPARED "max_prepared_transactions"
int wal_guard_prepare(const char *data, int64_t least, int64_t value, struct err *e);
/*
 * Is that still the recovery's target, as postgresql.auto.conf there has it: the bound, whether it is
 * inclusive, the timeline, as far as they are set, with blanks between? Where somebody has set another
 * one, what was said of the end of the recovery does not hold.
 */
bool wal_guard_aims(const char *data, const char *target);
/* The data directory that a server asks for that file (%p) in; the caller frees. NULL: it is none. */
char *wal_guard_data(const char *path);
/*
 * The segment that lies at `path`: 0 it may be replayed, also when it is none; -1 with ERR_REFUSED
 * when not, or when that cannot be known. A path at which a tablespace of this data directory is
 * already is its own. *raised (may be NULL): what max_prepared_transactions was raised to, 0: it was
 * not. Damage is nobody's business here: the server stops there by itself.
 */
int wal_guard_judge(const struct wal_guard *g, const char *name, const char *path, int64_t *raised,
    struct err *e);

#endif
