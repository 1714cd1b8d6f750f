#ifndef SOURCE_PG_WALPAGE_H
#define SOURCE_PG_WALPAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * WAL is pages of 8 KiB, each with a header that says which bytes of which server it holds. Only
 * little-endian servers with pages of that size are understood, versions 14 to 18; others are
 * ERR_UNSUPPORTED with a text that says which.
 */
#define PG_WALPAGE_LEN 8192u
#define PG_WALPAGE_SHORT 24u /* length of a page's header */
#define PG_WALPAGE_LONG 40u  /* of that of a segment's first page */

struct pg_walpage {
	int version; /* 14 to 18 */
	uint32_t timeline;
	uint64_t lsn;		/* of the page's first byte */
	uint32_t rest;		/* bytes of a record begun before; 0: the first one begins here */
	bool overwritten;	/* a record begun before was cut off by a crash and is void */
	uint32_t header;	/* PG_WALPAGE_SHORT or PG_WALPAGE_LONG */
	/* of a long header, else 0 */
	uint64_t sysid;
	uint32_t seg_size;
};

/* The version whose pages begin with these two bytes; 0: none that is known. */
int pg_walpage_version(uint16_t magic);
/* The inverse, for tests and tools; 0 for a version that is not known. */
uint16_t pg_walpage_magic(int version);

/* Has the header that begins here (PG_WALPAGE_SHORT bytes) the long form? */
bool pg_walpage_is_long(const uint8_t *bytes);
/*
 * Reads the header at the beginning of a page; n bytes are there (PG_WALPAGE_LONG are enough, and
 * PG_WALPAGE_SHORT for a page that does not begin a segment). 1; 0 when those bytes are zeros: no
 * page was written here; -1 with ERR_CORRUPT or ERR_UNSUPPORTED.
 */
int pg_walpage_read(const uint8_t *bytes, size_t n, struct pg_walpage *ret, struct err *e);

/* What a segment's pages say. */
struct pg_walpage_segment {
	int version;
	uint64_t sysid;
	uint32_t seg_size;
	uint32_t first_timeline; /* of the first page: the parent's when the timeline began inside */
	uint64_t end;		 /* LSN behind the last page written; what follows is zeros */
};

/*
 * The first n bytes of the segment that begins at `lsn` on `timeline`: each page has its place,
 * the version of the first and a timeline that never goes back and is not above the expected one.
 * A foreign page, or a page of zeros with another one behind it, is ERR_CORRUPT and named by its LSN;
 * so is another system id (0 expects none), ERR_REFUSED. Zeros at the end are no error here but end
 * before lsn + n: in a finished segment only a switch record may stand before them, which
 * pg_walrecord_check() judges. n is a multiple of the page, at least one, at most the segment. Not
 * for a .partial file: behind its end stands what an older file left there.
 */
int pg_walpage_check_segment(const uint8_t *bytes, size_t n, uint32_t timeline, uint64_t lsn,
    uint64_t sysid, struct pg_walpage_segment *ret, struct err *e);

#endif
