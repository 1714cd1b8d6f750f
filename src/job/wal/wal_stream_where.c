/*
 * Where receiving goes on after a start or a broken connection: what the spool has, what the tiers
 * have, what the server says, and wal_resume.h decides. What nobody has any more becomes a record
 * of a gap: an alarm, and no restore will cross it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lsn.h"
#include "job/wal/wal_stream_parts.h"
#include "repo/wal_gap.h"

static bool
is_away(const struct err *e)
{
	return e->kind == ERR_REMOTE || e->kind == ERR_CANCELLED;
}

/* The newest bytes the tiers have; away or empty is nothing. How many answered, or -1. */
static int
newest_on_tiers(struct stream *s, struct walread *r, struct wal_resume_at *ret, struct err *e)
{
	int answered = 0;

	for (size_t i = 0; i < s->o->tiers; i++) {
		struct wal_resume_at at = { 0, 0 };
		int rc;

		if (!s->o->tier[i]->store)
			continue;
		rc = walread_newest(r, s->o->tier[i], &at.tli, &at.lsn, e);
		if (rc == 1 && (at.tli > ret->tli || (at.tli == ret->tli && at.lsn > ret->lsn)))
			*ret = at;
		if (rc == -1 && !is_away(e))
			return -1;
		answered += rc != -1;
		err_clear(e);
	}
	return answered;
}

/* The end of the newest stretch: a hole before it was written down when it came about. */
static int
end_in_spool(const struct stream *s, uint32_t tli, uint64_t *ret, struct err *e)
{
	struct lsn_set held = { 0 };
	int rc = spool_dir_ranges(&s->dir, &s->place, tli, &held, e);

	*ret = held.count > 0 ? held.range[held.count - 1].to : 0;
	lsn_set_done(&held);
	return rc;
}

static bool
is_of(const struct wal_place *p, const struct spool_dir_file *f)
{
	return f->sysid == p->sysid && f->epoch == p->epoch;
}

static int
newest_in_spool(const struct stream *s, struct wal_resume_at *ret, struct err *e)
{
	struct spool_dir_files files = { 0 };
	int rc = spool_dir_list(&s->dir, &files, e);

	for (size_t i = 0; i < files.count; i++)
		if (is_of(&s->place, &files.file[i]) && files.file[i].tli > ret->tli)
			ret->tli = files.file[i].tli;
	spool_dir_done(&files);
	if (rc == 0 && ret->tli > 0)
		rc = end_in_spool(s, ret->tli, &ret->lsn, e);
	/* Behind a hole that was just written down, or a timeline whose end was just met. */
	if (s->beyond.tli > ret->tli || (s->beyond.tli == ret->tli && s->beyond.lsn > ret->lsn))
		*ret = s->beyond;
	return rc;
}

/* For reading what the tiers have, with the patience that is set. */
static int
open_patiently(struct stream *s, const struct wal_place *place, struct walread **ret, struct err *e)
{
	const struct walread_options ro = {
		.repo = s->repo,
		.tier = s->o->tier,
		.tiers = s->o->tiers,
		.spool = &s->dir,
		.place = *place,
	};

	return walread_new(&ro, ret, e);
}

/* The server waits meanwhile, so nobody is waited for. */
static int
open_reader(struct stream *s, const struct wal_place *place, struct walread **ret, struct err *e)
{
	int rc;

	atomic_store(&s->hasty, true);
	rc = open_patiently(s, place, ret, e);
	atomic_store(&s->hasty, false);
	return rc;
}

/* Without a server one may find it on a tier; else the tiers do without it. */
static int
stored_history(
    struct stream *s, const struct wal_place *place, uint32_t tli, struct buf *text, struct err *e)
{
	struct walread *r = NULL;
	struct err why = { 0 };
	int rc = open_reader(s, place, &r, e);

	if (rc == 0 && walread_history(r, tli, text, &why) != 1)
		buf_reset(text);
	walread_free(r);
	return rc;
}

/* The server's history file of a timeline, nothing for timeline 1. */
static int
servers_history(struct stream *s, uint32_t tli, struct buf *text, struct err *e)
{
	int got;

	if (tli == 1)
		return 0;
	if (!s->conn)
		return stored_history(s, &s->place, tli, text, e);
	got = pg_stream_history(s->conn, tli, text, e);
	if (got == 0)
		return err_set(
		    e, ERR_NOTFOUND, "the server has no history of its timeline %" PRIu32, tli);
	return got == -1 ? -1 : 0;
}

/* The server that answers now need not know timelines of an epoch before. */
static int
history_of(
    struct stream *s, const struct wal_place *place, uint32_t tli, struct buf *text, struct err *e)
{
	struct err why = { 0 };
	int rc;

	if (tli == 1 || place->epoch == s->place.epoch)
		return servers_history(s, tli, text, e);
	rc = stored_history(s, place, tli, text, e);
	if (rc == 0 && text->len == 0 && s->conn &&
	    pg_stream_history(s->conn, tli, text, &why) != 1)
		buf_reset(text);
	return rc;
}

/* One timeline of what the spool has: a leg for each stretch. *end: of the last one. */
static int
tell_timeline(struct stream *s, const struct wal_place *place, struct wal_ship *ship, uint32_t tli,
    uint64_t *end, struct err *e)
{
	struct lsn_set held = { 0 };
	struct buf text;
	int rc;

	buf_init(&text, PG_HISTORY_MAX);
	rc = history_of(s, place, tli, &text, e);
	if (rc == 0)
		rc = spool_dir_ranges(&s->dir, place, tli, &held, e);
	for (size_t i = 0; rc == 0 && i < held.count; i++) {
		wal_ship_timeline(ship, tli, held.range[i].from, *end, &text);
		*end = held.range[i].to;
	}
	lsn_set_done(&held);
	buf_done(&text);
	return rc;
}

int
wal_stream_where_tell(struct stream *s, const struct wal_place *place, struct wal_ship *ship,
    uint32_t highest, uint32_t *last, uint64_t *end, struct err *e)
{
	struct spool_dir_files files = { 0 };
	int rc = spool_dir_list(&s->dir, &files, e);

	*last = 0;
	*end = 0;
	for (size_t i = 0; rc == 0 && i < files.count; i++)
		if (is_of(place, &files.file[i]) && files.file[i].tli > *last &&
		    files.file[i].tli <= highest) {
			*last = files.file[i].tli;
			rc = tell_timeline(s, place, ship, *last, end, e);
		}
	spool_dir_done(&files);
	return rc;
}

/* From `at` on is received; what came before ended at `end`. */
static int
tell_leg(struct stream *s, const struct wal_resume_at *at, uint64_t end, struct err *e)
{
	struct buf text;
	int rc;

	buf_init(&text, PG_HISTORY_MAX);
	rc = servers_history(s, at->tli, &text, e);
	if (rc == 0) {
		wal_ship_timeline(s->ship, at->tli, at->lsn, end, &text);
		s->leg = *at;
	}
	buf_done(&text);
	return rc;
}

/* The shipper walks what the spool has, then what is received from `at` on. */
static int
tell_shipper(struct stream *s, const struct wal_resume_at *at, struct err *e)
{
	uint64_t end;
	uint32_t last;
	int rc = wal_stream_where_tell(s, &s->place, s->ship, at->tli, &last, &end, e);

	s->leg = *at;
	if (rc == -1 || (last == at->tli && end == at->lsn))
		return rc;
	return tell_leg(s, at, end, e);
}

int
wal_stream_where_there(
    struct stream *s, const struct wal_place *place, struct wal_ship *ship, struct err *e)
{
	struct walread *r = NULL;
	struct wal_ship_tier at;
	struct err why = { 0 };
	uint64_t until;
	int rc = open_reader(s, place, &r, e);

	atomic_store(&s->hasty, true);
	for (size_t i = 0; rc == 0 && i < s->o->tiers; i++) {
		wal_ship_tier(ship, i, &at);
		if (s->o->tier[i]->store && at.tli > 0 &&
		    walread_frontier(r, s->o->tier[i], at.tli, at.until, &until, &why) == 0)
			wal_ship_has(ship, i, at.tli, until);
	}
	atomic_store(&s->hasty, false);
	walread_free(r);
	return rc;
}

/*
 * One tier's answer will do, and the server's WAL waits for it; so nobody is waited for unless
 * nobody answers. What was learned once is kept: a connection that breaks asks nobody again.
 */
static int
ask_tiers(struct stream *s, const struct wal_resume_view *v, struct err *e)
{
	struct walread *r = NULL;
	int answered = 0;

	for (int patient = 0; patient < 2 && answered == 0; patient++) {
		walread_free(r);
		r = NULL;
		atomic_store(&s->hasty, patient == 0);
		answered = open_patiently(s, &s->place, &r, e);
		if (answered == 0)
			answered = newest_on_tiers(s, r, &s->archived, e);
	}
	if (answered > 0)
		wal_stream_hole(s, v, r, (size_t)answered == s->o->tiers);
	atomic_store(&s->hasty, false);
	walread_free(r);
	s->asked = answered > 0;
	return answered == -1 ? -1 : 0;
}

/* ---- is it the same history? ---- */

/* The server's file of a timeline against the archive's: 1 another, 0, -1. */
static int
history_differs(struct stream *s, struct walread *r, uint32_t tli, struct err *e)
{
	struct buf theirs, ours;
	struct err why = { 0 };
	int rc, got = 0;

	buf_init(&theirs, PG_HISTORY_MAX);
	buf_init(&ours, PG_HISTORY_MAX);
	rc = servers_history(s, tli, &theirs, e);
	if (rc == 0)
		got = walread_history(r, tli, &ours, &why);
	if (rc == 0 && got == 1)
		rc = theirs.len != ours.len || memcmp(theirs.data, ours.data, ours.len) != 0;
	buf_done(&theirs);
	buf_done(&ours);
	return rc;
}

/* Two servers took the same number: they have in common what came before the first such one. */
static int
check_histories(struct stream *s, const struct pg_history *h, struct err *e)
{
	struct walread *r = NULL;
	int rc = 0;

	if (h->timeline == 1 || s->checked == h->timeline)
		return 0;
	if (open_reader(s, &s->place, &r, e) == -1)
		return -1;
	atomic_store(&s->hasty, true);
	for (size_t i = 0; rc == 0 && i < h->count; i++) {
		const uint32_t tli = i + 1 < h->count ? h->step[i + 1].timeline : h->timeline;

		rc = history_differs(s, r, tli, e);
		if (rc != 1)
			continue;
		s->other = (struct stream_other){ .tli = h->step[i].timeline, .lsn = h->step[i].end - 1 };
		rc = err_set(e, ERR_EXISTS, "timeline %" PRIu32 " of the server is not the one there is "
		    "an archive of", tli);
	}
	atomic_store(&s->hasty, false);
	walread_free(r);
	if (rc == 0)
		s->checked = h->timeline;
	return rc;
}

/* [*from, to) of that timeline, as far as the spool or else the tiers have it in one piece. */
static int
read_known(struct stream *s, uint32_t tli, uint64_t from, uint64_t to, struct err *e)
{
	const uint64_t start = lsn_segment(from, s->segment_size);
	struct walread *r = NULL;
	struct err why = { 0 };
	uint64_t until;
	int rc;

	s->known_from = from;
	if (spool_dir_read(&s->dir, &s->place, tli, from, to, &s->known, &why) == (ssize_t)(to - from))
		return 0;
	buf_reset(&s->known);
	rc = open_reader(s, &s->place, &r, e);
	atomic_store(&s->hasty, true);
	if (rc == 0 && walread_segment(r, tli, start, s->segment_size, &s->known, &until, &why) == -1 &&
	    walread_parted(r) != 0) {
		/* Pieces that disagree: what was listed behind them is nobody's for sure. */
		s->other = (struct stream_other){ .tli = tli, .lsn = walread_parted(r),
			.sure = s->confirmed };
		*e = why;
		rc = -1;
	}
	atomic_store(&s->hasty, false);
	walread_free(r);
	if (rc == 0 && s->known.len > to - start)
		buf_cut(&s->known, (size_t)(to - start));
	return rc;
}

/* What is there already and the server shall send once more: the segment of the last byte. */
static int
prepare_known(struct stream *s, const struct wal_resume_at *at, const struct pg_history *h,
    struct err *e)
{
	const struct wal_resume_at have = wal_resume_have(&s->newest, &s->archived);
	uint64_t from = 0, to = at->lsn;
	char text[LSN_TEXT];
	uint32_t tli;

	buf_done(&s->known);
	buf_init(&s->known, s->segment_size);
	s->known_from = at->lsn;
	if (have.tli == 0 || at->lsn == 0)
		return 0;
	tli = have.tli == at->tli ? pg_history_at(h, at->lsn) : have.tli;
	if (tli != at->tli) /* the next timeline's first segment begins with a copy of its parent's */
		pg_history_span(h, tli, &from, &to);
	from = s->unproven || tli != at->tli ? lsn_segment(at->lsn, s->segment_size) :
						lsn_segment(at->lsn - 1, s->segment_size);
	if (from < to && read_known(s, tli, from, to, e) == -1)
		return -1;
	if (s->known.len == 0 && have.tli == at->tli && at->lsn != s->beyond.lsn && !s->unproven_told) {
		s->unproven_told = true;
		wal_stream_event(s, "warning", "what there is of the WAL before %s cannot be compared with "
		    "the server's: that it is the same history is not proved", lsn_text(at->lsn, text));
	}
	return 0;
}

static int
decide(struct stream *s, struct wal_resume_view *v, struct wal_resume_at *ret, struct err *e)
{
	struct pg_history h;
	struct buf text;
	int rc;

	pg_history_init(&h, v->server.tli);
	buf_init(&text, PG_HISTORY_MAX);
	rc = servers_history(s, v->server.tli, &text, e);
	if (rc == 0 && v->server.tli > 1)
		rc = pg_history_parse(v->server.tli, buf_str(&text), text.len, &h, e);
	v->history = &h;
	if (rc == 0)
		rc = check_histories(s, &h, e);
	if (rc == 0)
		rc = wal_resume_at(v, ret, e);
	if (rc == 0)
		rc = prepare_known(s, ret, &h, e);
	pg_history_done(&h);
	buf_done(&text);
	return rc;
}

/* The first time: what the spool has, and what of it the tiers have. */
static int
tell_first(struct stream *s, const struct wal_resume_at *at, struct err *e)
{
	return tell_shipper(s, at, e) == -1 ? -1 : wal_stream_where_there(s, &s->place, s->ship, e);
}

int
wal_stream_where_alone(struct stream *s, struct err *e)
{
	struct wal_resume_at at = { 0, 0 };
	int rc = newest_in_spool(s, &at, e);

	if (rc == -1 || at.tli == 0)
		return rc;
	rc = tell_first(s, &at, e);
	if (rc == 0) {
		s->tli = at.tli;
		s->found = at.lsn;
	}
	return rc;
}

/* Receiving goes on elsewhere than where it ended: the shipper finishes the older leg first. */
static int
tell_switch(struct stream *s, const struct wal_resume_at *at, struct err *e)
{
	uint64_t end = 0;

	if (end_in_spool(s, s->tli, &end, e) == -1)
		return -1;
	if (at->tli == s->tli && (at->lsn == end || at->lsn == s->leg.lsn))
		return 0;
	return tell_leg(s, at, end, e);
}

int
wal_stream_where(struct stream *s, const struct pg_identity *id, const struct pg_slot *slot,
    struct wal_resume_at *ret, struct err *e)
{
	struct wal_resume_view v = {
		.server = { id->tli, id->flush },
		.slot = slot->reserves ? slot->restart_lsn : 0,
		.segment_size = s->segment_size,
	};
	int rc = newest_in_spool(s, &v.spool, e);

	if (rc == 0 && !s->asked)
		rc = ask_tiers(s, &v, e);
	s->newest = v.spool;
	s->confirmed = v.slot;
	v.tiers = s->archived;
	if (rc == 0)
		rc = decide(s, &v, ret, e);
	if (rc == 0)
		rc = s->tli == 0 ? tell_first(s, ret, e) : tell_switch(s, ret, e);
	if (rc == 0 && ret->tli != s->tli)
		s->found = 0;
	if (rc == 0)
		s->tli = ret->tli;
	if (rc == 0 && s->contest.tli != 0) {
		/* The histories are the same, so it is the bytes. */
		s->other = s->contest;
		rc = err_set(e, ERR_EXISTS, "a tier has other WAL than the server");
	}
	return rc;
}

int
wal_stream_where_skip(struct stream *s, const struct wal_resume_at *from, uint64_t to, struct err *e)
{
	const struct wal_resume_at at = { from->tli, to };

	s->beyond = at;
	return tell_leg(s, &at, from->lsn, e);
}

int
wal_stream_where_gap(
    struct stream *s, const struct wal_resume_at *from, uint64_t to, const char *why, struct err *e)
{
	struct wal_gap gap = { .place = s->place, .tli = from->tli, .from = from->lsn, .to = to };
	char name[LAYOUT_NAME], a[LSN_TEXT], b[LSN_TEXT];

	snprintf(gap.host, sizeof(gap.host), "%s", s->o->host);
	snprintf(gap.why, sizeof(gap.why), "%s", why);
	gap.time_ns = clock_real_ns();
	if (wal_gap_put(s->repo, s->o->tier, s->o->tiers, &gap, name, e) == -1)
		return -1;
	s->report->gaps++;
	wal_stream_event(s, "gap",
	    "WAL of timeline %" PRIu32 " from %s to %s is lost: %s\n"
	    "  fix       `ffdr backup %s` now: no restore can cross it",
	    from->tli, lsn_text(gap.from, a),
	    to == UINT64_MAX ? "an unknown place" : lsn_text(to, b), why, s->o->source);
	return 0;
}
