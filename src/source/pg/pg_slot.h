#ifndef SOURCE_PG_SLOT_H
#define SOURCE_PG_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "source/pg/pg_conn.h"

/*
 * Physical replication slots: what makes the server keep WAL for us. Create, read and drop work on
 * both kinds of connection, read with less to say on a replication connection; advance needs SQL.
 */
#define PG_SLOT_NAME 64

enum pg_slot_wal {
	PG_SLOT_WAL_UNKNOWN,  /* it was not asked, or keeps nothing yet */
	PG_SLOT_WAL_RESERVED, /* within max_wal_size */
	PG_SLOT_WAL_EXTENDED, /* more than that, still kept */
	PG_SLOT_WAL_UNRESERVED, /* may go at the next checkpoint */
	PG_SLOT_WAL_LOST,
};

struct pg_slot {
	bool physical;
	bool reserves;	      /* restart_lsn is set */
	uint64_t restart_lsn; /* the oldest WAL it keeps */
	uint32_t restart_tli; /* 0: not told (SQL does not) */
	/* By SQL only: */
	bool full; /* the following was told */
	bool active, temporary;
	int active_pid;
	enum pg_slot_wal wal;
	bool limited;		/* max_slot_wal_keep_size is set: */
	int64_t safe_bytes;	/* so many may yet be written before it is in danger */
	uint64_t behind;	/* bytes between restart_lsn and the server's end of WAL */
};

/* Lower case letters, digits and _, 1 to 63: what a server takes. */
bool pg_slot_name_valid(const char *name);

/*
 * Keeps WAL from this moment on. 1 made, 0 there already: whether it keeps anything is then to be
 * read. ERR_EXISTS: a logical one has the name. A temporary one (replication connections only) ends
 * with its connection.
 */
int pg_slot_create(struct pg_conn *c, const char *name, bool temporary, struct err *e);
/*
 * 1, 0 none of that name. On a replication connection `full` stays false, and a server 14 cannot be
 * asked (ERR_UNSUPPORTED).
 */
int pg_slot_read(struct pg_conn *c, const char *name, struct pg_slot *ret, struct err *e);
/* 1 dropped, 0 was not there. ERR_BUSY: somebody streams from it. */
int pg_slot_drop(struct pg_conn *c, const char *name, struct err *e);
/*
 * The slot keeps nothing before lsn any more; a lower one than it has changes nothing. *got: where
 * it stands now. ERR_NOTFOUND, ERR_BUSY, ERR_REFUSED (it keeps no WAL, or lost it).
 */
int pg_slot_advance(struct pg_conn *c, const char *name, uint64_t lsn, uint64_t *got,
    struct err *e);
/* "reserved", ... as the server says it; "unknown". */
const char *pg_slot_wal_word(enum pg_slot_wal wal);

#endif
