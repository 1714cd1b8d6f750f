/*
 * What the receiver does in its own time is done here at once, for who cannot wait for it: a
 * restore that begins a new epoch, for which the old one must be whole on the tiers, and a receiver
 * that finds what an older epoch left. Pieces may be cut anywhere as long as the bytes agree, so
 * nobody has to be asked whether a receiver ships the same.
 */
#include "job/wal/wal_unspool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "repo/piece.h"
#include "repo/walread.h"

static int
put_piece(const struct wal_unspool *o, struct tier *t, uint32_t tli, const struct lsn_range *range,
    struct err *e)
{
	struct piece p = {
		.at = { .place = o->place, .kind = LAYOUT_WAL_PIECE, .tli = tli,
		    .start = range->from, .end = range->to },
		.segment_size = o->segment_size,
	};
	char name[LAYOUT_NAME], text[LSN_TEXT];
	struct buf wal, sealed;
	ssize_t n;
	int rc = -1;

	snprintf(p.host, sizeof(p.host), "%s", o->host);
	buf_init(&wal, PIECE_MAX);
	buf_init(&sealed, STORE_OBJECT_MAX);
	n = spool_dir_read(&o->spool, &o->place, tli, range->from, range->to, &wal, e);
	if (n != -1 && (uint64_t)n != range->to - range->from)
		err_set(e, ERR_CORRUPT, "the spool has no WAL of timeline %u from %s on", tli,
		    lsn_text(range->from + (uint64_t)n, text));
	else if (n != -1 &&
	    piece_seal(o->repo->keys, &p, wal.data, wal.len, &sealed, name, e) == 0 &&
	    piece_put(o->repo->keys, t->store, name, &sealed, e) != -1)
		rc = 0;
	buf_done(&sealed);
	buf_done(&wal);
	return rc;
}

/* What the tier lacks of [at, to). */
static int
put_range(const struct wal_unspool *o, struct tier *t, uint32_t tli, const struct lsn_set *have,
    uint64_t at, uint64_t to, struct err *e)
{
	int rc = 0;

	while (rc == 0 && (at = lsn_set_end(have, at)) < to) {
		struct lsn_range piece = {
			at, lsn_segment(at, o->segment_size) + o->segment_size
		};

		for (size_t i = 0; i < have->count; i++)
			if (have->range[i].from > at && have->range[i].from < piece.to)
				piece.to = have->range[i].from;
		if (piece.to > to)
			piece.to = to;
		if (piece.to > at + PIECE_MAX)
			piece.to = at + PIECE_MAX;
		if (o->stop(o->arg))
			rc = err_set(e, ERR_CANCELLED, "stopped");
		else
			rc = put_piece(o, t, tli, &piece, e);
		at = piece.to;
	}
	return rc;
}

static int
put_timeline(const struct wal_unspool *o, struct walread *r, struct tier *t, uint32_t tli,
    struct err *e)
{
	struct lsn_set held = { 0 }, have = { 0 };
	int rc = spool_dir_ranges(&o->spool, &o->place, tli, &held, e);

	if (rc == 0)
		rc = walread_ranges(r, t, tli, &have, e);
	for (size_t i = 0; rc == 0 && i < held.count; i++)
		rc = put_range(o, t, tli, &have, held.range[i].from, held.range[i].to, e);
	lsn_set_done(&held);
	lsn_set_done(&have);
	return rc == -1 ? err_in(e, "WAL of the spool to '%s'", t->name) : 0;
}

int
wal_unspool(const struct wal_unspool *o, struct err *e)
{
	const struct walread_options ro = {
		.repo = o->repo, .tier = o->tier, .tiers = o->tiers, .place = o->place,
	};
	struct spool_dir_files files = { 0 };
	struct walread *r = NULL;
	uint32_t done = 0;
	int rc = spool_dir_list(&o->spool, &files, e);

	if (rc == 0)
		rc = walread_new(&ro, &r, e);
	/* In the order of timelines. */
	for (size_t i = 0; rc == 0 && i < files.count; i++) {
		const struct spool_dir_file *f = &files.file[i];

		if (f->sysid != o->place.sysid || f->epoch != o->place.epoch || f->tli == done)
			continue;
		done = f->tli;
		for (size_t k = 0; rc == 0 && k < o->tiers; k++)
			rc = put_timeline(o, r, o->tier[k], f->tli, e);
	}
	walread_free(r);
	spool_dir_done(&files);
	return rc;
}
