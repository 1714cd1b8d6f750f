/*
 * A snapshot of a database exists on a tier only when its WAL does, and that is not believed but
 * read: pieces are opened, so a tier that took them and lost them, or keeps others under their
 * names, is found out before the manifest is put and not at the restore.
 */
#include "job/wal_prove.h"
#include "job/wal_segment.h"

#include <inttypes.h>

#include "base/lsn.h"
#include "repo/walread.h"
#include "source/pg_history.h"

/* One segment as a restore would read it: at least up to `to` it must be there. */
static int
prove_segment(struct walread *r, struct tier *t, uint32_t tli, uint64_t at, uint64_t to,
	      uint64_t size, struct buf *bytes, struct err *e)
{
	char text[LSN_TEXT];
	uint64_t until;
	int got = wal_segment(r, tli, at, size, bytes, &until, e);

	if (got == 0 && until < to)
		return err_set(e, ERR_CORRUPT, "'%s' has no WAL of timeline %" PRIu32 " from %s on",
			       t->name, tli, lsn_text(until, text));
	return got == -1 ? -1 : 0;
}

static int
read_history(struct walread *r, struct tier *t, uint32_t tli, struct pg_history *h, struct err *e)
{
	struct buf text;
	int rc;

	if (tli <= 1)
		return 0;
	buf_init(&text, PG_HISTORY_MAX);
	rc = walread_history(r, tli, &text, e);
	if (rc == 0)
		rc = err_set(e, ERR_CORRUPT, "'%s' has no history of timeline %" PRIu32, t->name,
			     tli);
	if (rc == 1)
		rc = pg_history_parse(tli, buf_str(&text), text.len, h, e);
	buf_done(&text);
	return rc;
}

/* A segment in which a timeline was left is asked for as one of the next: that begins with a copy
 * of it. */
int
wal_prove(struct repo *repo, struct tier *t, const struct wal_place *p, uint64_t segment_size,
	  const struct wal_prove_range *range, struct err *e)
{
	const struct walread_options ro = { .repo = repo, .tier = &t, .tiers = 1, .place = *p };
	const uint64_t size = segment_size;
	struct walread *r = NULL;
	struct pg_history h;
	struct buf bytes;
	int rc = walread_new(&ro, &r, e);

	pg_history_init(&h, range->stop_tli);
	buf_init(&bytes, size);
	if (rc == 0)
		rc = read_history(r, t, range->stop_tli, &h, e);
	for (uint64_t at = lsn_segment(range->start, size); rc == 0 && at < range->stop;
	     at += size) {
		uint64_t to = at + size < range->stop ? at + size : range->stop;

		rc = prove_segment(r, t, pg_history_at(&h, to - 1), at, to, size, &bytes, e);
	}
	buf_done(&bytes);
	pg_history_done(&h);
	walread_free(r);
	return rc;
}
