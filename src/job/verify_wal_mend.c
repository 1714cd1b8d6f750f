/*
 * Two tiers may have cut the same WAL into different pieces: one was shipped as it was written, the
 * other from an archive. So what one lacks is mended by bytes and not by names, within segments, and
 * under the epoch that those bytes belong to.
 */
#include "job/verify_wal_parts.h"
#include "job/wal/wal_segment.h"

#include <stdio.h>

#include "base/lsn.h"
#include "repo/piece.h"
#include "store/aside.h"

/* ---- the tiers as readers ---- */

void
verify_wal_close(struct verify_wal *p)
{
	walread_free(p->read);
	walread_free(p->others);
	wal_lineage_done(&p->lineage);
	p->read = p->others = NULL;
}

int
verify_wal_open(struct verify_wal *p, const struct wal_place *place, struct err *e)
{
	struct walread_options o = { .repo = p->s->repo, .tier = p->open, .tiers = p->opens,
		.place = *place };

	verify_wal_close(p);
	p->place = *place;
	snprintf(p->place.source, sizeof(p->place.source), "%s", p->source);
	o.place = p->place;
	if (wal_lineage_load(p->s->repo, p->open, p->opens, &p->place, &p->lineage, e) == -1 ||
	    walread_new(&o, &p->read, e) == -1)
		return -1;
	o.tier++;
	o.tiers--;
	return walread_new(&o, &p->others, e);
}

/* ---- mending ---- */

/* The epoch that bytes at `lsn` of that timeline belong to, seen from the place: the eldest. */
static struct wal_place
owner(const struct verify_wal *p, uint32_t tli, uint64_t lsn, uint64_t *bound)
{
	struct wal_place at = p->place;

	*bound = UINT64_MAX;
	for (size_t i = p->lineage.levels; i-- > 0;)
		if (wal_lineage_bound(&p->lineage, i, tli) > lsn) {
			at.epoch = p->lineage.level[i].epoch;
			*bound = wal_lineage_bound(&p->lineage, i, tli);
			break;
		}
	return at;
}

/* The bytes of [from, to), which is within a segment, as other tiers have them. */
static int
put_bytes(struct verify_wal *p, uint32_t tli, uint64_t from, uint64_t to, const char *bad, struct err *e)
{
	const uint64_t start = lsn_segment(from, p->segment_size);
	struct piece piece = { .segment_size = p->segment_size };
	char name[LAYOUT_NAME], text[LSN_TEXT];
	struct buf wal, sealed;
	uint64_t until, bound;
	int rc;

	buf_init(&wal, p->segment_size);
	buf_init(&sealed, STORE_OBJECT_MAX);
	wal_source_host(piece.host);
	piece.at = (struct layout_wal){ .place = owner(p, tli, from, &bound), .kind = LAYOUT_WAL_PIECE,
		.tli = tli, .start = from, .end = to < bound ? to : bound };
	rc = wal_segment(p->others, tli, start, p->segment_size, &wal, &until, e);
	/* A hole before it is no reason: what was read up to there counts. */
	if (until >= piece.at.end)
		rc = 0;
	else if (rc != -1)
		rc = err_set(e, ERR_NOTFOUND, "no other tier has it from %s on", lsn_text(until, text));
	if (rc == 0)
		rc = piece_seal(p->s->repo->keys, &piece, wal.data + (from - start),
		    (size_t)(piece.at.end - from), &sealed, name, e);
	if (rc == 0 && bad)
		rc = aside_object(p->t->store, bad, NULL, e);
	if (rc == 0 && piece_put(p->s->repo->keys, p->t->store, name, &sealed, e) == -1)
		rc = -1;
	buf_done(&wal);
	buf_done(&sealed);
	return rc;
}

/* By bytes; a piece of PIECE_MAX after the other. */
int
verify_wal_mend(struct verify_wal *p, uint32_t tli, uint64_t from, uint64_t to, const char *bad,
    struct err *e)
{
	int rc = 0;

	while (rc == 0 && from < to) {
		uint64_t end = lsn_segment(from, p->segment_size) + p->segment_size;

		if (end > from + PIECE_MAX)
			end = from + PIECE_MAX;
		if (end > to)
			end = to;
		rc = put_bytes(p, tli, from, end, bad, e);
		bad = NULL;
		from = end;
	}
	return rc;
}
