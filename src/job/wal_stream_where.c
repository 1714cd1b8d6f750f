/*
 * Where receiving goes on after a start or a broken connection: what the spool has, what the tiers
 * have, what the server says, and wal_resume.h decides. What nobody has any more becomes a record
 * of a gap: an alarm, and no restore will cross it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/wal_stream_parts.h"
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

/* For reading what the tiers have; none of them is asked by a worker meanwhile. */
static int
open_reader(struct stream *s, const struct wal_place *place, struct walread **ret, struct err *e)
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

int
wal_stream_where_history(struct stream *s, uint32_t tli, struct buf *text, struct err *e)
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
		return wal_stream_where_history(s, tli, text, e);
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
    uint32_t most_tli, uint32_t *last, uint64_t *end, struct err *e)
{
	struct spool_dir_files files = { 0 };
	int rc = spool_dir_list(&s->dir, &files, e);

	*last = 0;
	*end = 0;
	for (size_t i = 0; rc == 0 && i < files.count; i++)
		if (is_of(place, &files.file[i]) && files.file[i].tli > *last &&
		    files.file[i].tli <= most_tli) {
			*last = files.file[i].tli;
			rc = tell_timeline(s, place, ship, *last, end, e);
		}
	spool_dir_done(&files);
	return rc;
}

/* The shipper walks what the spool has, then what is received from `at` on. */
static int
tell_shipper(struct stream *s, const struct wal_resume_at *at, struct err *e)
{
	uint64_t end;
	uint32_t last;
	struct buf text;
	int rc = wal_stream_where_tell(s, &s->place, s->ship, at->tli, &last, &end, e);

	if (rc == -1 || (last == at->tli && end == at->lsn))
		return rc;
	buf_init(&text, PG_HISTORY_MAX);
	rc = wal_stream_where_history(s, at->tli, &text, e);
	if (rc == 0)
		wal_ship_timeline(s->ship, at->tli, at->lsn, end, &text);
	buf_done(&text);
	return rc;
}

/* What the tiers have of it already needs not be sent again. */
static void
tell_shipper_of_tiers(struct stream *s, struct walread *r, uint32_t tli)
{
	struct wal_ship_tier at;
	struct err why = { 0 };
	uint64_t until;

	atomic_store(&s->hasty, true);
	for (size_t i = 0; i < s->o->tiers; i++) {
		wal_ship_tier(s->ship, i, &at);
		if (s->o->tier[i]->store && at.tli == tli &&
		    walread_frontier(r, s->o->tier[i], tli, at.until, &until, &why) == 0)
			wal_ship_has(s->ship, i, tli, until);
	}
	atomic_store(&s->hasty, false);
}

/*
 * One tier's answer will do, and the server's WAL waits for it; so nobody is waited for unless
 * nobody answers. *r is for what is to be read after this.
 */
static int
ask_tiers(struct stream *s, struct walread **r, struct wal_resume_at *ret, struct err *e)
{
	int answered = 0;

	for (int patient = 0; patient < 2 && answered == 0; patient++) {
		walread_free(*r);
		*r = NULL;
		atomic_store(&s->hasty, patient == 0);
		answered = open_reader(s, &s->place, r, e);
		if (answered == 0)
			answered = newest_on_tiers(s, *r, ret, e);
	}
	atomic_store(&s->hasty, false);
	return answered == -1 ? -1 : 0;
}

static int
decide(struct stream *s, struct wal_resume_view *v, struct wal_resume_at *ret, struct err *e)
{
	struct pg_history h;
	struct buf text;
	int rc;

	pg_history_init(&h, v->server.tli);
	buf_init(&text, PG_HISTORY_MAX);
	rc = wal_stream_where_history(s, v->server.tli, &text, e);
	if (rc == 0 && v->server.tli > 1)
		rc = pg_history_parse(v->server.tli, buf_str(&text), text.len, &h, e);
	v->history = &h;
	if (rc == 0)
		rc = wal_resume_at(v, ret, e);
	pg_history_done(&h);
	buf_done(&text);
	return rc;
}

int
wal_stream_where_alone(struct stream *s, struct err *e)
{
	struct wal_resume_at at = { 0, 0 };
	struct walread *r = NULL;
	int rc = newest_in_spool(s, &at, e);

	if (rc == -1 || at.tli == 0)
		return rc;
	rc = tell_shipper(s, &at, e);
	if (rc == 0)
		rc = open_reader(s, &s->place, &r, e);
	if (rc == 0) {
		tell_shipper_of_tiers(s, r, at.tli);
		s->tli = at.tli;
		s->found = at.lsn;
	}
	walread_free(r);
	return rc;
}

/* Another timeline than before is received: the shipper finishes the older one first. */
static int
tell_switch(struct stream *s, const struct wal_resume_at *at, struct err *e)
{
	struct buf text;
	uint64_t end;
	int rc;

	if (at->tli == s->tli)
		return 0;
	buf_init(&text, PG_HISTORY_MAX);
	rc = wal_stream_where_history(s, at->tli, &text, e);
	if (rc == 0)
		rc = end_in_spool(s, s->tli, &end, e);
	if (rc == 0)
		wal_ship_timeline(s->ship, at->tli, at->lsn, end, &text);
	buf_done(&text);
	return rc;
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
	struct walread *r = NULL;
	const bool first = s->tli == 0;
	int rc = newest_in_spool(s, &v.spool, e);

	if (rc == 0 && first)
		rc = ask_tiers(s, &r, &v.tiers, e);
	if (rc == 0)
		rc = decide(s, &v, ret, e);
	if (rc == 0)
		rc = first ? tell_shipper(s, ret, e) : tell_switch(s, ret, e);
	if (rc == 0 && first)
		tell_shipper_of_tiers(s, r, ret->tli);
	if (rc == 0 && ret->tli != s->tli)
		s->found = 0;
	if (rc == 0)
		s->tli = ret->tli;
	walread_free(r);
	return rc;
}

int
wal_stream_where_gap(
    struct stream *s, const struct wal_resume_at *from, uint64_t to, const char *why, struct err *e)
{
	struct wal_gap gap = { .place = s->place, .tli = from->tli, .from = from->lsn, .to = to };
	char name[LAYOUT_NAME], a[LSN_TEXT], b[LSN_TEXT];

	snprintf(gap.host, sizeof(gap.host), "%s", s->o->host);
	snprintf(gap.why, sizeof(gap.why), "%s", why);
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
