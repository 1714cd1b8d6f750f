/*
 * A segment has its full length from its first byte on, so its size does not say that it is
 * finished. Taken for finished, the bytes behind its last record are believed to be WAL: the archive
 * seems to reach to the segment's end, and the true segment is refused when it comes.
 *
 * All records of it are not read, for a server waits. Where pages are in place up to the end, the
 * one question left is whether the last of them is full; and where they end before, whether a
 * switch record made them end there. Both are answered by the last two pages that were written: a
 * switch record is shorter than a page.
 */
#include "source/pg/pg_walend.h"

#include <inttypes.h>

#include "base/lsn.h"
#include "source/pg/pg_walpage.h"
#include "source/pg/pg_walrecord.h"

#define TAIL (2 * PG_WALPAGE_LEN)

static int
refuse(uint64_t at, uint64_t end, struct err *e)
{
	char is[LSN_TEXT], want[LSN_TEXT];

	return err_set(e, ERR_REFUSED, "it is not finished: its WAL ends at %s, the segment at %s",
	    lsn_text(at, is), lsn_text(end, want));
}

/* Up to where the pages are its own, when an older file's follow: a segment is a file used again. */
static bool
is_overwriting(const uint8_t *bytes, size_t n, uint64_t lsn, uint64_t *end)
{
	struct pg_walpage p;
	struct err why;
	size_t off = 0;

	while (off < n && pg_walpage_read(bytes + off, PG_WALPAGE_LEN, &p, &why) == 1 &&
	    p.lsn == lsn + off)
		off += PG_WALPAGE_LEN;
	*end = lsn + off;
	for (; off < n; off += PG_WALPAGE_LEN)
		if (pg_walpage_read(bytes + off, PG_WALPAGE_LEN, &p, &why) == 1)
			return p.lsn < lsn;
	return false;
}

int
pg_walend_check(const uint8_t *bytes, size_t n, uint32_t timeline, uint64_t lsn, uint64_t sysid,
    struct err *e)
{
	struct pg_walrecord_options o = { .sysid = sysid };
	struct pg_walrecord_state s;
	struct pg_walpage_segment seg;
	struct pg_walrecords *w;
	uint64_t end;
	int rc;

	if (pg_walpage_check_segment(bytes, n, timeline, lsn, sysid, &seg, e) == -1)
		return n % PG_WALPAGE_LEN == 0 && is_overwriting(bytes, n, lsn, &end) && end > lsn ?
		    refuse(end, lsn + n, e) :
		    -1;
	o.seg_size = seg.seg_size;
	o.lsn = seg.end - lsn > TAIL ? seg.end - TAIL : lsn;
	w = pg_walrecord_new(&o, NULL, NULL);
	rc = pg_walrecord_feed(w, bytes + (o.lsn - lsn), n - (o.lsn - lsn), e);
	pg_walrecord_state(w, &s);
	pg_walrecord_free(w);
	if (rc == 1)
		return refuse(s.open ? s.open : s.end ? s.end : seg.end, lsn + n, e);
	return rc;
}
