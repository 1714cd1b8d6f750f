#ifndef JOB_WAL_GET_STANDBY_H
#define JOB_WAL_GET_STANDBY_H

#include "job/wal/wal_get.h"
#include "source/pg/pg_walname.h"

/*
 * What a restored standby was given lies in a file beside what it asks for: the epoch it follows, and
 * the last timeline and its end that it may have replayed.
 */
struct wal_get_standby {
	uint32_t epoch, tli;
	uint64_t lsn;	/* UINT64_MAX: nobody knows */
	uint32_t told; /* that this epoch is not for it: 0 nothing yet */
};

/* The standby begins there: `folder` is its pg_wal. */
int wal_get_standby_begin(const char *folder, const struct wal_get_standby *at, struct err *e);
/*
 * For a standby (`line`): o->place becomes the epoch that what is asked for comes from. That is the
 * active one, as the coordination place, else the newest sample on a tier has it, where that grew out
 * of the one the standby follows and everything it was given is that epoch's past, too; or where it
 * asks for a timeline that left its own before the two parted, since a server that is beyond does not
 * go there. Else what it had before it gets again, and nothing more: 0, and *told is what to say, when
 * it was not said yet (malloced). 1; -1. Nobody who knows who is active: it goes on as it did.
 */
int wal_get_standby(struct repo *repo, struct wal_get_options *o, char **told, struct err *e);
/* That segment is about to be handed out of o->place; nothing for who is no standby. */
int wal_get_standby_note(
    const struct wal_get_options *o, const struct pg_walname *n, uint64_t start, struct err *e);

#endif
