#ifndef SOURCE_PG_WALRECORD_H
#define SOURCE_PG_WALRECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Walks the records of a stretch of WAL that is fed in slices of any size. It may begin anywhere:
 * the first page boundary says how much of an older record follows. Each record's checksum and its
 * link to the one before are checked.
 */
struct pg_walrecord {
	uint64_t start; /* what pg_waldump calls lsn, and what recovery_target_lsn is compared with */
	uint64_t end;	/* behind it: a multiple of 8; of a switch record the segment's end */
	uint64_t prev;	/* start of the one before, as the record says */
	int version;	/* of the server: 14 to 18 */
	uint32_t timeline; /* of the page where it begins */
	uint32_t len;	/* without page headers */
	uint32_t xid;
	uint8_t rmgr; /* PG_WALRECORD_XLOG ... */
	uint8_t info;
	/*
	 * The main data, `main_len` bytes, of which the first `data_len` are at `data`: all but of
	 * giants, and nothing when this resource manager was not asked for. Valid during the call.
	 */
	const uint8_t *data;
	size_t data_len;
	size_t main_len;
};

#define PG_WALRECORD_XLOG 0
#define PG_WALRECORD_XACT 1
#define PG_WALRECORD_SWITCH 0x40 /* info & 0xf0 of PG_WALRECORD_XLOG */
/*
 * What the server was started with, where that changed: 1 with its max_prepared_transactions, 0 it is
 * another record. Of the resource manager PG_WALRECORD_XLOG, which must have been asked for.
 */
int pg_walrecord_prepared(const struct pg_walrecord *r, int64_t *ret);

/* 0 goes on, 1 stops behind this record, -1 fails with the error set. */
typedef int pg_walrecord_fn(void *arg, const struct pg_walrecord *r, struct err *e);

struct pg_walrecord_options {
	uint64_t lsn;	   /* of the first byte that will be fed */
	uint64_t seg_size; /* lsn_segment_valid() */
	uint64_t sysid;	   /* expected; 0: any, but one */
	/*
	 * Bit n: main data of resource manager n (below 64) is wanted. Others are only checked,
	 * which is much faster.
	 */
	uint64_t wanted;
};

#define PG_WALRECORD_COMMITS (UINT64_C(1) << PG_WALRECORD_XLOG | UINT64_C(1) << PG_WALRECORD_XACT)
#define PG_WALRECORD_ALL UINT64_MAX

struct pg_walrecords;
struct pg_walrecords *pg_walrecord_new(const struct pg_walrecord_options *o, pg_walrecord_fn *each,
    void *arg);
void pg_walrecord_free(struct pg_walrecords *w);
/*
 * The next n bytes. 0: all taken; 1: it stopped, because the callback said so or because zeros
 * stand where a record should begin (`ended`), and nothing more is taken; -1 with ERR_CORRUPT,
 * ERR_UNSUPPORTED, ERR_REFUSED (system id) or the callback's error. Feed only what was written:
 * bytes of an unfinished segment behind its frontier may be zeros, but not an older file's.
 */
int pg_walrecord_feed(struct pg_walrecords *w, const uint8_t *bytes, size_t n, struct err *e);

struct pg_walrecord_state {
	uint64_t fed;	     /* LSN behind the last byte taken */
	uint64_t first;	     /* start of the first complete record; 0: none yet */
	uint64_t last;	     /* start of the last complete record; 0: none yet */
	uint64_t end;	     /* behind the last complete record */
	uint64_t open;	     /* start of a record whose end is still to come; 0: none is open */
	bool last_switches;  /* the last complete record is a switch */
	bool ended;	     /* zeros follow `end` (or cut `open` off) */
	uint64_t count;	     /* complete records */
	uint64_t void_count; /* records that a crash had cut off and the server declared void */
	int version;	     /* 0: no page seen */
	uint32_t timeline;   /* of the newest page */
	uint64_t sysid;	     /* expected or seen; 0: no segment's first page yet */
};

void pg_walrecord_state(const struct pg_walrecords *w, struct pg_walrecord_state *ret);

/*
 * A finished segment as it may be archived, or given to a recovery: its pages (see
 * pg_walpage_check_segment), every record that begins in it and ends in it, and zeros at the end
 * only behind a switch record. n must be the segment's size. A wrong length, a hole or a damaged
 * record is ERR_CORRUPT.
 */
struct pg_walpage_segment;
int pg_walrecord_check(const uint8_t *bytes, size_t n, uint32_t timeline, uint64_t lsn,
    uint64_t sysid, struct pg_walpage_segment *ret, struct err *e);

#endif
