#ifndef SOURCE_PG_WALNAME_H
#define SOURCE_PG_WALNAME_H

#include <stdint.h>

#include "base/err.h"

/*
 * How PostgreSQL names the files of pg_wal and of an archive. Hex digits are upper case; names in
 * any other form are none of its own and must be refused, never stored.
 */
enum pg_walname_kind {
	PG_WALNAME_OTHER,
	PG_WALNAME_SEGMENT, /* 000000010000000000000006 */
	PG_WALNAME_PARTIAL, /* ....partial: what a promotion left unfinished on the old timeline */
	PG_WALNAME_BACKUP,  /* ....00000028.backup: a base backup began at that byte of the segment */
	PG_WALNAME_HISTORY  /* 00000002.history */
};

/*
 * What a name says without knowing how large segments are: `high` are the upper 32 bits of the LSN,
 * `low` counts segments inside those 4 GiB.
 */
struct pg_walname {
	enum pg_walname_kind kind;
	uint32_t timeline;
	uint32_t high;
	uint32_t low;
	uint32_t offset; /* PG_WALNAME_BACKUP */
};

#define PG_WALNAME_TEXT 48 /* the longest is 24 + 1 + 8 + 7 characters */

/* A plain file name, no path. The kind, which is also in *ret; PG_WALNAME_OTHER when it is none. */
enum pg_walname_kind pg_walname_parse(const char *name, struct pg_walname *ret);
/* The name back, byte for byte; returns out (PG_WALNAME_TEXT bytes). Not of PG_WALNAME_OTHER. */
const char *pg_walname_text(const struct pg_walname *n, char *out);

/*
 * Where the segment that is named begins; not of a history. -1 with ERR_CORRUPT when no segment of
 * that size has this name (`low` is too large): then the server's segment size is another one.
 */
int pg_walname_start(const struct pg_walname *n, uint64_t seg_size, uint64_t *ret_lsn,
    struct err *e);
/* The segment that holds the byte at `lsn`; set n->kind afterwards for another kind. */
void pg_walname_of(uint32_t timeline, uint64_t lsn, uint64_t seg_size, struct pg_walname *ret);
/* The names at once; each returns out (PG_WALNAME_TEXT bytes). */
const char *pg_walname_segment(uint32_t timeline, uint64_t lsn, uint64_t seg_size, char *out);
const char *pg_walname_history(uint32_t timeline, char *out);

#endif
