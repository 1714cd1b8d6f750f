/*
 * Names of pieces are ranges of bytes, so what a tier lacks is arithmetic on two listings. Where an
 * epoch comes from and what a timeline's past is go first: a piece without them could be read by
 * nobody.
 *
 * A receiver that is well brings the newest pieces itself, within seconds. To send them as well
 * would cost everything twice; so while it holds the lease, only what is older than it could still
 * be busy with is a hole.
 */
#include "job/wal_copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "coord/lease.h"
#include "job/wal_source.h"
#include "repo/object.h"
#include "repo/snapshot.h"
#include "repo/walread.h"
#include "source/pg_history.h"

struct copying {
	struct session *s;
	struct tier *to;
	const struct watch *w;
	struct wal_copy_report *report;
	struct wal_place place;
	struct tier *open[WAL_SOURCE_TIERS]; /* `to` first */
	size_t opens;
	struct wal_lineage lineage;
	struct walread *read;
	bool shipped; /* a receiver brings the newest */
};

/* ---- objects ---- */

static int
is_whole(void *arg, const char *name, const struct buf *bytes, struct err *e)
{
	(void)arg;
	(void)name;
	return object_check_plain(bytes->data, bytes->len, e);
}

int
wal_copy_object(struct tier_set *set, struct tier *to, const char *name, uint64_t *bytes,
		struct err *e)
{
	struct buf b;
	int rc;

	buf_init(&b, STORE_OBJECT_MAX);
	rc = tier_get(set, NULL, name, &b, is_whole, NULL, NULL, e);
	if (rc == 0) {
		rc = store_put(to->store, name, b.data, b.len, STORE_NEW, e);
		*bytes = b.len;
	}
	buf_done(&b);
	return rc;
}

static int
send(struct copying *c, const char *name, struct err *e)
{
	uint64_t bytes = 0;
	int rc;

	if (c->w->stop(c->w->arg))
		return err_set(e, ERR_CANCELLED,
			       "the copy of WAL to '%s' was interrupted: the same command goes on",
			       c->to->name);
	rc = wal_copy_object(&c->s->tiers, c->to, name, &bytes, e);
	if (rc == 1) {
		c->report->sent++;
		c->report->bytes += bytes;
		c->w->progress(c->w->arg, "copying WAL", c->report->bytes, 0);
	}
	return rc == -1 ? err_in(e, "'%s'", name) : 0;
}

/* A small one that need not exist at all. */
static int
send_if_any(struct copying *c, const char *name, struct err *e)
{
	struct err why = { 0 };
	struct store_stat st;
	int there = store_stat(c->to->store, name, &st, e);

	if (there != 0)
		return there == -1 ? -1 : 0;
	if (send(c, name, &why) == 0 || why.kind == ERR_NOTFOUND)
		return 0;
	*e = why;
	return -1;
}

/* ---- opening ---- */

static int
begin(struct copying *c, const struct wal_place *place, struct err *e)
{
	struct walread_options o;

	c->place = *place;
	c->open[c->opens++] = c->to;
	for (size_t i = 0; i < c->s->tiers.count && c->opens < WAL_SOURCE_TIERS; i++)
		if (&c->s->tiers.tier[i] != c->to && c->s->tiers.tier[i].store)
			c->open[c->opens++] = &c->s->tiers.tier[i];
	if (wal_lineage_load(c->s->repo, c->open, c->opens, place, &c->lineage, e) == -1)
		return -1;
	if (c->lineage.unknown.kind != ERR_NONE) {
		*e = c->lineage.unknown;
		return -1;
	}
	o = (struct walread_options){
		.repo = c->s->repo, .tier = c->open, .tiers = c->opens, .place = *place
	};
	return walread_new(&o, &c->read, e);
}

static void
end(struct copying *c)
{
	walread_free(c->read);
	wal_lineage_done(&c->lineage);
}

static struct wal_place
level(const struct copying *c, size_t i)
{
	struct wal_place p = c->place;

	p.epoch = c->lineage.level[i].epoch;
	return p;
}

/* Where each epoch of the lineage comes from. */
static int
send_froms(struct copying *c, struct err *e)
{
	char name[LAYOUT_NAME];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i + 1 < c->lineage.levels; i++) {
		struct wal_place p = level(c, i);

		rc = send_if_any(c, layout_wal_from(&p, name), e);
	}
	return rc;
}

static int
send_history(struct copying *c, uint32_t tli, struct err *e)
{
	char name[LAYOUT_NAME];
	int rc = 0;

	for (size_t i = 0; rc == 0 && tli > 1 && i < c->lineage.levels; i++) {
		struct wal_place p = level(c, i);

		if (wal_lineage_bound(&c->lineage, i, tli) > 0)
			rc = send_if_any(c, layout_wal_history(&p, tli, name), e);
	}
	return rc;
}

/* The past of a timeline, into an initialised one, and the files of it and of all its ancestors to
 * the target. */
static int
send_histories(struct copying *c, uint32_t tli, struct pg_history *h, struct err *e)
{
	struct buf text;
	int got = 1, rc = send_history(c, tli, e);

	if (rc == -1 || tli <= 1)
		return rc;
	buf_init(&text, PG_HISTORY_MAX);
	got = walread_history(c->read, tli, &text, e);
	if (got == 0)
		err_set(e, ERR_NOTFOUND, "no tier has the history of timeline %" PRIu32, tli);
	if (got == 1 && pg_history_parse(tli, buf_str(&text), text.len, h, e) == -1)
		got = -1;
	buf_done(&text);
	for (size_t i = 0; got == 1 && rc == 0 && i < h->count; i++)
		rc = send_history(c, h->step[i].timeline, e);
	return got == 1 ? rc : -1;
}

/* ---- pieces ---- */

struct wanted {
	struct copying *c;
	uint64_t from, to, bound;
	int64_t before_ns; /* stored by then */
	struct lsn_set have, young;
	char (*name)[LAYOUT_NAME];
	size_t names, room;
};

static int
see(void *arg, const struct store_entry *entry, struct err *e)
{
	struct wanted *w = arg;
	struct layout_wal at;
	uint64_t a, b;

	(void)e;
	if (layout_wal_parse(entry->name, &at) == -1 || at.kind != LAYOUT_WAL_PIECE)
		return 0;
	a = at.start > w->from ? at.start : w->from;
	b = at.end < w->to ? at.end : w->to;
	if (b > w->bound)
		b = w->bound;
	if (a >= b || lsn_set_has(&w->have, a, b))
		return 0;
	if (entry->time_ns > w->before_ns) {
		w->c->report->left += !lsn_set_has(&w->young, a, b);
		lsn_set_add(&w->young, a, b);
		return 0;
	}
	w->name = mem_grow(w->name, &w->room, w->names + 1, sizeof(*w->name));
	snprintf(w->name[w->names++], sizeof(*w->name), "%s", entry->name);
	lsn_set_add(&w->have, a, b);
	return 0;
}

/* What another tier has of the range in that epoch. */
static int
list_epoch(struct wanted *w, struct tier *from, size_t i, uint32_t tli, struct err *e)
{
	struct wal_place p = level(w->c, i);
	char prefix[LAYOUT_NAME], after[LAYOUT_NAME];

	w->bound = wal_lineage_bound(&w->c->lineage, i, tli);
	if (w->bound <= w->from)
		return 0;
	layout_wal_of_timeline(&p, tli, prefix);
	/* The first piece that has a byte of the range may begin before it. */
	layout_wal_piece(&p, tli, w->from > PIECE_MAX ? w->from - PIECE_MAX : 0, 0, after);
	return store_list(from->store, prefix, after, see, w, e);
}

/* All that is missing of [from, to) of that timeline. A source that does not answer is none; what
 * it alone has stays missing. */
static int
send_range(struct copying *c, uint32_t tli, uint64_t from, uint64_t to, struct err *e)
{
	struct wanted w = { .c = c, .from = from, .to = to, .before_ns = INT64_MAX };
	int64_t now;
	int rc = walread_ranges(c->read, c->to, tli, &w.have, e);

	for (size_t t = 1; rc == 0 && t < c->opens; t++) {
		struct err why = { 0 };

		if (c->shipped && store_clock(c->open[t]->store, &now, &why) == 0)
			w.before_ns = now - WAL_COPY_YOUNG_S * CLOCK_S;
		for (size_t i = 0; why.kind == ERR_NONE && i < c->lineage.levels; i++)
			list_epoch(&w, c->open[t], i, tli, &why);
		if (why.kind != ERR_NONE && why.kind != ERR_REMOTE) {
			*e = why;
			rc = -1;
		}
	}
	for (size_t i = 0; rc == 0 && i < w.names; i++)
		rc = send(c, w.name[i], e);
	lsn_set_done(&w.have);
	lsn_set_done(&w.young);
	free(w.name);
	return rc;
}

/* Along the way to the timeline of h, from that place up to another. */
static int
send_way(struct copying *c, const struct pg_history *h, uint64_t from, uint64_t to,
	 uint64_t segment_size, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i <= h->count; i++) {
		uint32_t tli = i < h->count ? h->step[i].timeline : h->timeline;
		uint64_t a, b;

		if (!pg_history_span(h, tli, &a, &b) || b <= from || a >= to)
			continue;
		a = lsn_segment(a, segment_size);
		rc = send_range(c, tli, a > from ? a : from, b < to ? b : to, e);
	}
	return rc;
}

/* ---- for a base backup ---- */

int
wal_copy_base(struct session *s, const char *source, const struct pg_facts *f, struct tier *to,
	      const struct watch *w, struct wal_copy_report *ret, struct err *e)
{
	struct copying c = { .s = s, .to = to, .w = w, .report = ret };
	struct wal_place place = { .sysid = f->sysid, .epoch = f->epoch };
	struct pg_history h;
	int rc;

	snprintf(place.source, sizeof(place.source), "%s", source);
	pg_history_init(&h, f->stop_tli);
	rc = begin(&c, &place, e);
	if (rc == 0)
		rc = send_froms(&c, e);
	if (rc == 0)
		rc = send_histories(&c, f->stop_tli, &h, e);
	if (rc == 0)
		rc = send_way(&c, &h, lsn_segment(f->start, f->segment_size), f->stop,
			      f->segment_size, e);
	pg_history_done(&h);
	end(&c);
	return rc;
}

/* ---- what is missing between ---- */

/* The oldest base backup there of that system: 1, 0 there is none, -1. */
static int
oldest_base(struct copying *c, const char *source, uint64_t sysid, struct pg_facts *ret,
	    struct err *e)
{
	struct snapshot_list list = { 0 };
	int found = 0, rc = snapshot_list_known(c->to->store, source, &list, e);

	for (size_t i = 0; rc == 0 && found == 0 && i < list.count; i++) {
		struct manifest m;

		manifest_init(&m);
		rc = manifest_get(c->to->store, list.item[i].name, c->s->repo->keys, &m, e);
		if (rc == 0)
			found = pg_facts_read(&m, ret, e);
		if (found == -1)
			rc = -1;
		else if (found == 1 && ret->sysid != sysid)
			found = 0;
		manifest_done(&m);
	}
	snapshot_list_done(&list);
	return rc == -1 ? -1 : found;
}

static int
newest_timeline(struct copying *c, uint32_t *ret, struct err *e)
{
	*ret = 0;
	for (size_t i = 0; i < c->opens; i++) {
		struct walread_timelines t = { 0 };
		int rc = walread_timelines(c->read, c->open[i], &t, e);

		if (rc == 0 && t.count > 0 && t.tli[t.count - 1] > *ret)
			*ret = t.tli[t.count - 1];
		free(t.tli);
		if (rc == -1)
			return -1;
	}
	return 0;
}

/* A place that does not answer: somebody may ship. */
static bool
is_shipped(struct copying *c, struct wal_source *ws)
{
	const struct lease_times times = { c->s->conf->coord_ttl, c->s->conf->coord_skew };
	char *name = xasprintf("lease/wal/%s", ws->source->name);
	struct lease_text text;
	int got = lease_look(ws->coord, name, &times, &text, NULL);

	free(name);
	return got != 0;
}

static int
fill(struct copying *c, const struct conf_source *source, struct wal_source *ws, struct err *e)
{
	struct pg_facts base;
	struct pg_history h;
	uint32_t tli;
	int rc = begin(c, &ws->place, e), found = 0;

	if (rc == 0)
		found = oldest_base(c, source->name, ws->place.sysid, &base, e);
	if (rc == -1 || found != 1)
		return rc == -1 ? -1 : found;
	c->shipped = is_shipped(c, ws);
	if (send_froms(c, e) == -1 || newest_timeline(c, &tli, e) == -1)
		return -1;
	pg_history_init(&h, tli);
	rc = send_histories(c, tli, &h, e);
	if (rc == 0)
		rc = send_way(c, &h, lsn_segment(base.start, base.segment_size), UINT64_MAX,
			      base.segment_size, e);
	pg_history_done(&h);
	return rc;
}

int
wal_copy_between(struct session *s, const struct conf_source *source, struct tier *to,
		 const struct watch *w, struct wal_copy_report *ret, struct err *e)
{
	struct copying c = { .s = s, .to = to, .w = w, .report = ret };
	struct wal_source ws;
	int rc = wal_source_open(s, source, &ws, e);

	/* Nothing pinned: nobody has ever received it. */
	if (rc == 0 && *ws.active.etag)
		rc = fill(&c, source, &ws, e);
	end(&c);
	wal_source_done(&ws);
	return rc;
}
