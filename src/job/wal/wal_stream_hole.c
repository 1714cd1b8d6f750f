/*
 * The newest byte on a tier need not be the end of what is there: while nobody received, a base
 * backup brought its own WAL and left a hole before it. The server still keeps that WAL for our slot,
 * so receiving goes on at the hole, and what lies behind it is received once more. Where there is no
 * slot any more the spool says where we were: what the server lacks behind that is a gap, and is
 * written down as one.
 *
 * Holes from before that are none of ours: base backups that nobody received between, what has
 * expired, and gaps that were written down.
 */
#include <inttypes.h>

#include "base/lsn.h"
#include "job/wal/wal_stream_parts.h"
#include "repo/wal_beat.h"
#include "repo/wal_gap.h"

/* What the spool and the tiers that answer have of that timeline. */
static int
gather(struct stream *s, struct walread *r, uint32_t tli, struct lsn_set *have, struct err *e)
{
	struct err why = { 0 };

	if (spool_dir_ranges(&s->dir, &s->place, tli, have, e) == -1)
		return -1;
	for (size_t i = 0; i < s->o->tiers; i++) {
		if (!s->o->tier[i]->store ||
		    walread_ranges(r, s->o->tier[i], tli, have, &why) == 0)
			continue;
		if (why.kind != ERR_REMOTE && why.kind != ERR_CANCELLED) {
			*e = why;
			return -1;
		}
		err_clear(&why);
	}
	return 0;
}

static bool
is_lost(const struct stream *s, const struct wal_gaps *gaps, uint32_t tli, uint64_t from, uint64_t to)
{
	return wal_gap_in(gaps, s->place.sysid, tli, from, to) != NULL;
}

/* The end of what lies before that byte, when nobody has the byte itself. */
static uint64_t
step_back(const struct lsn_set *have, uint64_t at)
{
	uint64_t end = 0;

	for (size_t i = 0; i < have->count && have->range[i].from <= at; i++)
		end = have->range[i].to;
	return end > 0 && end < at ? end : at;
}

/* The first byte of [from, to) that nobody has, and that nobody wrote down as lost; `to`: none. */
static uint64_t
first_hole(const struct stream *s, const struct wal_gaps *gaps, uint32_t tli,
    const struct lsn_set *have, uint64_t from, uint64_t to)
{
	for (size_t i = 0; i < have->count && from < to; i++) {
		const struct lsn_range *g = &have->range[i];

		if (g->to <= from)
			continue;
		if (g->from > from && !is_lost(s, gaps, tli, from, g->from))
			return from;
		from = g->to;
	}
	return from < to && !is_lost(s, gaps, tli, from, to) ? from : to;
}

/* The way to the timeline of the newest byte, as the archive knows it. */
static int
way_to(struct walread *r, uint32_t tli, struct pg_history *h, struct err *e)
{
	struct buf text;
	int got = tli > 1;

	pg_history_init(h, tli);
	buf_init(&text, PG_HISTORY_MAX);
	if (tli > 1)
		got = walread_history(r, tli, &text, e);
	if (got == 1 && pg_history_parse(tli, buf_str(&text), text.len, h, e) == -1)
		got = -1;
	buf_done(&text);
	return got == -1 ? -1 : 0;
}

/*
 * Where nothing ends at the hole, receiving begins with its segment: a server that recovers asks for
 * that whole, and the server has it whole. So it is with the first segment of a timeline, most of all: its
 * bytes before the fork are the parent's, but their place is here.
 */
static uint64_t
begin_of(const struct stream *s, const struct lsn_set *have, uint64_t hole)
{
	return lsn_set_has(have, hole - 1, hole) ? hole : lsn_segment(hole, s->segment_size);
}

/*
 * The first byte on the way to *newest, from `since` on, that neither the spool nor a tier has becomes
 * *newest. `kept`: the server keeps it all from there on; else what is missing just before counts, too.
 */
static int
first_missing(struct stream *s, struct walread *r, uint64_t since, bool kept,
    struct wal_resume_at *newest, struct err *e)
{
	struct wal_gaps gaps = { 0 };
	struct pg_history h;
	uint64_t from, to, hole;
	int rc = way_to(r, newest->tli, &h, e);

	if (rc == 0)
		rc = wal_gap_load(s->repo, s->o->tier, s->o->tiers, s->o->source, &gaps, e);
	for (size_t i = 0; rc == 0 && i <= h.count; i++) {
		const uint32_t tli = i < h.count ? h.step[i].timeline : h.timeline;
		struct lsn_set have = { 0 };

		if (!pg_history_span(&h, tli, &from, &to))
			continue;
		from = from > since ? from : since;
		to = to < newest->lsn ? to : newest->lsn;
		if (from >= to)
			continue;
		rc = gather(s, r, tli, &have, e);
		if (rc == 0 && !kept)
			from = step_back(&have, from);
		hole = rc == 0 ? first_hole(s, &gaps, tli, &have, from, to) : to;
		if (hole < to)
			*newest = (struct wal_resume_at){ tli, begin_of(s, &have, hole) };
		lsn_set_done(&have);
		if (hole < to)
			break;
	}
	wal_gap_done(&gaps);
	pg_history_done(&h);
	return rc;
}

/* Up to where anybody received of this epoch, as the tiers remember it; 0: nobody did. */
static uint64_t
last_sample(const struct stream *s)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < s->o->tiers; i++) {
		struct wal_beat b;

		if (s->o->tier[i]->store &&
		    wal_beat_get(s->repo, s->o->tier[i]->store, s->o->source, &b, NULL) == 1 &&
		    b.place.sysid == s->place.sysid && b.place.epoch == s->place.epoch &&
		    b.sample.flush_lsn > newest)
			newest = b.sample.flush_lsn;
	}
	return newest;
}

/*
 * From where on nothing may be missing: behind what our slot has confirmed the server still has it
 * all. A slot that was made anew stands later; then it counts how far anybody was, or where the epoch
 * began, but only when it is known what all tiers have.
 */
static uint64_t
promised(const struct stream *s, const struct wal_resume_view *v, bool all)
{
	const uint64_t slot = v->slot ? v->slot : UINT64_MAX;
	uint64_t at = 0;

	if (!all)
		return slot;
	if (v->spool.tli)
		at = v->spool.lsn;
	if (at == 0)
		at = last_sample(s);
	if (at == 0 && s->from.parent)
		at = s->from.fork;
	return at != 0 && at < slot ? at : slot;
}

void
wal_stream_hole(struct stream *s, const struct wal_resume_view *v, struct walread *r, bool all)
{
	const uint64_t since = promised(s, v, all);
	struct wal_resume_at at = s->archived;
	struct err why = { 0 };
	char text[LSN_TEXT];

	if (at.tli == 0 || since >= at.lsn)
		return;
	if (first_missing(s, r, since, since == v->slot, &at, &why) == -1) {
		wal_stream_event(s, "warning", "whether the tiers have all WAL from %s on is not known: %s",
		    lsn_text(since, text), why.text);
		return;
	}
	if (at.tli == s->archived.tli && at.lsn == s->archived.lsn)
		return;
	wal_stream_event(s, "hole", "what the tiers have breaks off at %s of timeline %" PRIu32
	    " and goes on later: receiving begins there", lsn_text(at.lsn, text), at.tli);
	s->archived = at;
}
