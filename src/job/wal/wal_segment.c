/*
 * A server begins a timeline with a copy of the segment in which it left the one before, and asks for
 * that segment of the new timeline when it recovers. An archive that was begun at the fork itself has
 * not got the copied half, and needs not: it has it as the parent's.
 *
 * A segment of which nothing but that half would be there stays absent: the server takes the parent's
 * own then.
 */
#include "job/wal/wal_segment.h"

#include <string.h>

#include "base/lsn.h"
#include "source/pg/pg_history.h"

/* The timeline that it left, and where: 1; 0 there is none that is known. */
static int
parent_of(struct walread *r, uint32_t tli, struct pg_history_step *ret)
{
	struct pg_history h;
	struct buf text;
	int got;

	pg_history_init(&h, tli);
	buf_init(&text, PG_HISTORY_MAX);
	got = walread_history(r, tli, &text, NULL) == 1 &&
	    pg_history_parse(tli, buf_str(&text), text.len, &h, NULL) == 0 && h.count > 0;
	if (got)
		*ret = h.step[h.count - 1];
	buf_done(&text);
	pg_history_done(&h);
	return got;
}

int
wal_segment(struct walread *r, uint32_t tli, uint64_t start, uint64_t segment_size,
    struct buf *out, uint64_t *until, struct err *e)
{
	struct pg_history_step parent;
	struct err why = { 0 };
	struct buf known;
	uint64_t end;
	int got = walread_segment(r, tli, start, segment_size, out, until, &why);

	buf_init(&known, segment_size);
	/* Without a hole there is nothing behind *until that could be joined. */
	if (got != -1 || tli == 1 || walread_parted(r) != 0 || !parent_of(r, tli, &parent) ||
	    parent.end <= *until || parent.end >= start + segment_size)
		goto out;
	wal_segment(r, parent.timeline, start, segment_size, &known, &end, NULL);
	if (end < parent.end)
		goto out;
	buf_cut(&known, (size_t)(parent.end - start));
	err_clear(&why);
	got = walread_segment_upon(r, tli, start, segment_size, &known, out, until, &why);
out:
	if (got == -1 && e)
		*e = why;
	buf_done(&known);
	return got;
}
