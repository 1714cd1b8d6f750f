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

/* The newest bytes a tier has in one piece; away or empty is nothing. */
static int
newest_on_tiers(struct stream *s, struct walread *r, struct wal_resume_at *ret, struct err *e)
{
	for (size_t i = 0; i < s->o->tiers; i++) {
		struct walread_timelines t = { 0 };
		struct lsn_set held = { 0 };
		int rc = 0;

		if (s->o->tier[i]->store)
			rc = walread_timelines(r, s->o->tier[i], &t, e);
		if (rc != -1 && t.count > 0)
			rc = walread_ranges(r, s->o->tier[i], t.tli[t.count - 1], &held, e);
		if (rc != -1 && held.count > 0 &&
		    (t.tli[t.count - 1] > ret->tli ||
			(t.tli[t.count - 1] == ret->tli &&
			    held.range[held.count - 1].to > ret->lsn)))
			*ret = (struct wal_resume_at){ t.tli[t.count - 1],
				held.range[held.count - 1].to };
		lsn_set_done(&held);
		free(t.tli);
		if (rc == -1 && e->kind != ERR_REMOTE)
			return -1;
		err_clear(e);
	}
	return 0;
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
is_ours(const struct stream *s, const struct spool_dir_file *f)
{
	return f->sysid == s->place.sysid && f->epoch == s->place.epoch;
}

static int
newest_in_spool(const struct stream *s, struct wal_resume_at *ret, struct err *e)
{
	struct spool_dir_files files = { 0 };
	int rc = spool_dir_list(&s->dir, &files, e);

	for (size_t i = 0; i < files.count; i++)
		if (is_ours(s, &files.file[i]) && files.file[i].tli > ret->tli)
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
open_reader(struct stream *s, struct walread **ret, struct err *e)
{
	const struct walread_options ro = {
		.repo = s->repo,
		.tier = s->o->tier,
		.tiers = s->o->tiers,
		.spool = &s->dir,
		.place = s->place,
	};

	return walread_new(&ro, ret, e);
}

/* Without a server one may find it on a tier; else the tiers do without it. */
static int
stored_history(struct stream *s, uint32_t tli, struct buf *text, struct err *e)
{
	struct walread *r = NULL;
	struct err why = { 0 };
	int rc = open_reader(s, &r, e);

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
		return stored_history(s, tli, text, e);
	got = pg_stream_history(s->conn, tli, text, e);
	if (got == 0)
		return err_set(e, ERR_NOTFOUND, "the server has no history of its timeline %" PRIu32, tli);
	return got == -1 ? -1 : 0;
}

/* One timeline of what the spool has: a leg for each stretch. *end: of the last one. */
static int
tell_timeline(struct stream *s, uint32_t tli, uint64_t *end, struct err *e)
{
	struct lsn_set held = { 0 };
	struct buf text;
	int rc;

	buf_init(&text, PG_HISTORY_MAX);
	rc = wal_stream_where_history(s, tli, &text, e);
	if (rc == 0)
		rc = spool_dir_ranges(&s->dir, &s->place, tli, &held, e);
	for (size_t i = 0; rc == 0 && i < held.count; i++) {
		wal_ship_timeline(s->ship, tli, held.range[i].from, *end, &text);
		*end = held.range[i].to;
	}
	lsn_set_done(&held);
	buf_done(&text);
	return rc;
}

/* The shipper walks what the spool has, then what is received from `at` on. */
static int
tell_shipper(struct stream *s, const struct wal_resume_at *at, struct err *e)
{
	struct spool_dir_files files = { 0 };
	uint64_t end = 0;
	uint32_t last = 0;
	struct buf text;
	int rc = spool_dir_list(&s->dir, &files, e);

	for (size_t i = 0; rc == 0 && i < files.count; i++)
		if (is_ours(s, &files.file[i]) && files.file[i].tli > last &&
		    files.file[i].tli <= at->tli) {
			last = files.file[i].tli;
			rc = tell_timeline(s, last, &end, e);
		}
	spool_dir_done(&files);
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

	for (size_t i = 0; i < s->o->tiers; i++) {
		wal_ship_tier(s->ship, i, &at);
		if (s->o->tier[i]->store && at.tli == tli &&
		    walread_frontier(r, s->o->tier[i], tli, at.until, &until, &why) == 0)
			wal_ship_has(s->ship, i, tli, until);
	}
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
		rc = open_reader(s, &r, e);
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
		rc = open_reader(s, &r, e);
	if (rc == 0 && first)
		rc = newest_on_tiers(s, r, &v.tiers, e);
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
