/*
 * Names of pieces are ranges of bytes, so what a tier lacks is arithmetic on two listings. Where an
 * epoch comes from and what a timeline's past is go first: a piece without them could be read by
 * nobody.
 *
 * A receiver that is well brings the newest pieces itself, within seconds. To send them as well
 * would cost everything twice; so while it holds the lease, only what is older than it could still
 * be busy with is a hole.
 */
#include "job/wal/wal_copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "coord/lease.h"
#include "job/wal/wal_copy_parts.h"
#include "repo/object.h"
#include "repo/snapshot.h"
#include "source/pg/pg_history.h"

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

int
wal_copy_go_on(struct wal_copying *c, struct err *e)
{
	if (!c->w->stop(c->w->arg))
		return 0;
	return err_set(e, ERR_CANCELLED,
		       "the copy of WAL to '%s' was interrupted: the same command goes on",
		       c->to->name);
}

void
wal_copy_was_sent(struct wal_copying *c, uint64_t bytes)
{
	c->report->sent++;
	c->report->bytes += bytes;
	c->w->progress(c->w->arg, "copying WAL", c->report->bytes, 0);
}

static int
send(struct wal_copying *c, const char *name, struct err *e)
{
	uint64_t bytes = 0;
	int rc = wal_copy_go_on(c, e);

	if (rc == -1)
		return -1;
	rc = wal_copy_object(&c->s->tiers, c->to, name, &bytes, e);
	if (rc == 1)
		wal_copy_was_sent(c, bytes);
	return rc == -1 ? err_in(e, "'%s'", name) : 0;
}

/* A small one that need not exist at all. */
static int
send_if_any(struct wal_copying *c, const char *name, struct err *e)
{
	struct err why = { 0 };
	struct store_stat st;
	int there = c->need ? 1 : store_stat(c->to->store, name, &st, e);

	if (there != 0)
		return there == -1 ? -1 : 0;
	if (send(c, name, &why) == 0 || why.kind == ERR_NOTFOUND)
		return 0;
	*e = why;
	return -1;
}

/* ---- opening ---- */

static int
begin(struct wal_copying *c, const struct wal_place *place, struct err *e)
{
	const struct tier_set *set = &c->s->tiers;
	struct walread_options o;

	c->place = *place;
	c->cold = c->to->archive;
	c->open[c->opens++] = c->to;
	for (size_t i = 0; i < set->count && c->opens < WAL_SOURCE_TIERS; i++)
		if (tier_near(set, i) != c->to && tier_near(set, i)->store)
			c->open[c->opens++] = tier_near(set, i);
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
end(struct wal_copying *c)
{
	walread_free(c->read);
	wal_lineage_done(&c->lineage);
}

static struct wal_place
level(const struct wal_copying *c, size_t i)
{
	struct wal_place p = c->place;

	p.epoch = c->lineage.level[i].epoch;
	return p;
}

/* Where each epoch of the lineage comes from. */
static int
send_froms(struct wal_copying *c, struct err *e)
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
send_history(struct wal_copying *c, uint32_t tli, struct err *e)
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
send_histories(struct wal_copying *c, uint32_t tli, struct pg_history *h, struct err *e)
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

struct items {
	struct wal_copy_item *item;
	size_t count, room;
};

struct wanted {
	struct wal_copying *c;
	uint64_t from, to, bound;
	int64_t now_ns; /* of the tier being listed; 0: its ages do not matter */
	struct lsn_set have, young;
	struct items piece, bundle;
};

static void
want(struct items *l, const struct layout_wal *at, const struct store_entry *entry, int64_t now_ns)
{
	struct wal_copy_item *i;

	l->item = mem_grow(l->item, &l->room, l->count + 1, sizeof(*l->item));
	i = &l->item[l->count++];
	*i = (struct wal_copy_item){ .at = *at, .size = entry->size, .age_ns = now_ns - entry->time_ns };
	snprintf(i->name, sizeof(i->name), "%s", entry->name);
}

/* What of the range it would bring that counts: is there any? */
static bool
brings(const struct wanted *w, const struct layout_wal *at, uint64_t bound, uint64_t *a, uint64_t *b)
{
	*a = at->start > w->from ? at->start : w->from;
	*b = at->end < w->to ? at->end : w->to;
	if (*b > bound)
		*b = bound;
	return *a < *b && !lsn_set_has(&w->have, *a, *b);
}

static int
see(void *arg, const struct store_entry *entry, struct err *e)
{
	struct wanted *w = arg;
	struct layout_wal at;
	uint64_t a, b;

	(void)e;
	if (layout_wal_parse(entry->name, &at) == -1 || !layout_wal_is_log(&at) ||
	    !brings(w, &at, w->bound, &a, &b))
		return 0;
	if (at.kind == LAYOUT_WAL_BUNDLE) {
		want(&w->bundle, &at, entry, w->now_ns);
		return 0;
	}
	if (w->c->shipped && entry->time_ns > w->now_ns - WAL_COPY_YOUNG_S * CLOCK_S) {
		w->c->report->left += !lsn_set_has(&w->young, a, b);
		lsn_set_add(&w->young, a, b);
		return 0;
	}
	want(&w->piece, &at, entry, w->now_ns);
	lsn_set_add(&w->have, a, b);
	return 0;
}

/* What another tier has of the range in that epoch. */
static int
list_epoch(struct wanted *w, struct tier *from, size_t i, uint32_t tli, struct err *e)
{
	struct wal_place p = level(w->c, i);

	w->bound = wal_lineage_bound(&w->c->lineage, i, tli);
	return w->bound <= w->from ? 0 : walread_each(from, &p, tli, w->from, see, w, e);
}

static int
list_tier(struct wanted *w, struct tier *from, uint32_t tli, struct err *e)
{
	int rc = w->c->shipped || w->c->cold ? store_clock(from->store, &w->now_ns, e) : 0;

	for (size_t i = 0; rc == 0 && i < w->c->lineage.levels; i++)
		rc = list_epoch(w, from, i, tli, e);
	return rc;
}

/* In bundles as far as they are due. */
static int
send_bundles(struct wanted *w, struct err *e)
{
	struct wal_copying *c = w->c;
	size_t n;
	int rc = 0;

	wal_copy_bundle_sort(w->piece.item, w->piece.count);
	for (size_t i = 0; rc == 0 && i < w->piece.count; i += n) {
		const struct wal_copy_item *item = &w->piece.item[i];
		bool due;

		n = wal_copy_bundle_next(item, w->piece.count - i, &due);
		for (size_t k = 0; k < n && !due; k++)
			due = item[k].age_ns >= c->hold_ns;
		if (due)
			rc = wal_copy_bundle_send(c, item, n, e);
		else
			c->report->waiting += n;
	}
	return rc;
}

static int
tell(struct wal_copying *c, const struct wal_copy_item *item, struct err *e)
{
	c->need->seen(c->need->arg, item->name, item->size);
	return wal_copy_go_on(c, e);
}

static int
send_pieces(struct wanted *w, struct err *e)
{
	int rc = 0;

	if (w->c->need)
		return 0;
	if (w->c->cold)
		return send_bundles(w, e);
	for (size_t i = 0; rc == 0 && i < w->piece.count; i++)
		rc = send(w->c, w->piece.item[i].name, e);
	return rc;
}

static int
send_wanted(struct wanted *w, uint32_t tli, struct err *e)
{
	struct wal_copying *c = w->c;
	uint64_t a, b;
	int rc = send_pieces(w, e);

	/* Pieces before bundles: what is bundled elsewhere may have to be thawed. */
	wal_copy_bundle_sort(w->bundle.item, w->bundle.count);
	for (size_t i = 0; rc == 0 && i < w->bundle.count; i++) {
		const struct wal_copy_item *item = &w->bundle.item[i];
		uint64_t bound = 0;

		for (size_t k = 0; k < c->lineage.levels; k++)
			if (c->lineage.level[k].epoch == item->at.place.epoch)
				bound = wal_lineage_bound(&c->lineage, k, tli);
		if (!brings(w, &item->at, bound, &a, &b))
			continue;
		rc = c->need ? tell(c, item, e) : wal_copy_bundle_pass(c, item, a, b, e);
		lsn_set_add(&w->have, a, b);
	}
	return rc;
}

/* All that is missing of [from, to) of that timeline. A source that does not answer is none; what
 * it alone has stays missing. */
static int
send_range(struct wal_copying *c, uint32_t tli, uint64_t from, uint64_t to, struct err *e)
{
	struct wanted w = { .c = c, .from = from, .to = to };
	int rc = walread_ranges(c->read, c->to, tli, &w.have, e);

	for (size_t t = 1; rc == 0 && t < c->opens; t++) {
		struct err why = { 0 };

		if (list_tier(&w, c->open[t], tli, &why) == -1 && why.kind != ERR_REMOTE) {
			*e = why;
			rc = -1;
		}
	}
	if (rc == 0)
		rc = send_wanted(&w, tli, e);
	lsn_set_done(&w.have);
	lsn_set_done(&w.young);
	free(w.piece.item);
	free(w.bundle.item);
	return rc;
}

/* Along the way to the timeline of h, from that place up to another. */
static int
send_way(struct wal_copying *c, const struct pg_history *h, uint64_t from, uint64_t to,
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

static int
copy_base(struct wal_copying *c, const char *source, const struct pg_facts *f, struct err *e)
{
	struct wal_place place = { .sysid = f->sysid, .epoch = f->epoch };
	struct pg_history h;
	int rc;

	snprintf(place.source, sizeof(place.source), "%s", source);
	pg_history_init(&h, f->stop_tli);
	rc = begin(c, &place, e);
	if (rc == 0)
		rc = send_froms(c, e);
	if (rc == 0)
		rc = send_histories(c, f->stop_tli, &h, e);
	if (rc == 0)
		rc = send_way(c, &h, lsn_segment(f->start, f->segment_size), f->stop,
			      f->segment_size, e);
	pg_history_done(&h);
	end(c);
	return rc;
}

int
wal_copy_base(struct session *s, const char *source, const struct pg_facts *f, struct tier *to,
	      const struct watch *w, struct wal_copy_report *ret, struct err *e)
{
	struct wal_copying c = { .s = s, .to = to, .w = w, .report = ret };

	return copy_base(&c, source, f, e);
}

int
wal_copy_need_base(struct session *s, const char *source, const struct pg_facts *f, struct tier *to,
		   const struct watch *w, const struct wal_copy_need *need, struct err *e)
{
	struct wal_copy_report none = { 0 };
	struct wal_copying c = { .s = s, .to = to, .w = w, .report = &none, .need = need };

	return copy_base(&c, source, f, e);
}

/* ---- what is missing between ---- */

/* Or one that comes, if that is older. */
static int
oldest_coming(const struct wal_copy_need *need, uint64_t sysid, int found, struct pg_facts *ret)
{
	for (size_t i = 0; need && i < need->bases; i++) {
		const struct pg_facts *f = &need->base[i];

		if (f->sysid != sysid || (found == 1 && f->start >= ret->start))
			continue;
		*ret = *f;
		found = 1;
	}
	return found;
}

/* The oldest base backup there of that system: 1, 0 there is none, -1. */
static int
oldest_base(struct wal_copying *c, const char *source, uint64_t sysid, struct pg_facts *ret,
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
	return rc == -1 ? -1 : oldest_coming(c->need, sysid, found, ret);
}

static int
newest_timeline(struct wal_copying *c, uint32_t *ret, struct err *e)
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

/* An rpo leaves the other half to the time between two copies. */
static int64_t
hold_ns(const struct tier *to)
{
	const int64_t most = WAL_COPY_HOLD_S * CLOCK_S, half = to->rpo_ms / 2 * CLOCK_MS;

	return half > 0 && half < most ? half : most;
}

/* A place that does not answer: somebody may ship. */
static bool
is_shipped(struct wal_copying *c, struct wal_source *ws)
{
	const struct lease_times times = { c->s->conf->coord_ttl, c->s->conf->coord_skew };
	char *name = xasprintf("lease/wal/%s", ws->source->name);
	struct lease_text text;
	int got = lease_look(ws->coord, name, &times, &text, NULL);

	free(name);
	return got != 0;
}

static int
fill(struct wal_copying *c, const struct conf_source *source, struct wal_source *ws, struct err *e)
{
	struct pg_facts base;
	struct pg_history h;
	uint32_t tli;
	int rc = begin(c, &ws->place, e), found = 0;

	if (rc == 0)
		found = oldest_base(c, source->name, ws->place.sysid, &base, e);
	if (rc == -1 || found != 1)
		return rc == -1 ? -1 : found;
	c->shipped = !c->cold && is_shipped(c, ws);
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

static int
copy_between(struct wal_copying *c, const struct conf_source *source, struct err *e)
{
	struct wal_source ws;
	int rc = wal_source_open(c->s, source, &ws, e);

	/* Nothing pinned: nobody has ever received it. */
	if (rc == 0 && *ws.active.etag)
		rc = fill(c, source, &ws, e);
	end(c);
	wal_source_done(&ws);
	return rc;
}

int
wal_copy_between(struct session *s, const struct conf_source *source, struct tier *to, bool now,
		 const struct watch *w, struct wal_copy_report *ret, struct err *e)
{
	struct wal_copying c = {
		.s = s, .to = to, .w = w, .report = ret, .hold_ns = now ? 0 : hold_ns(to)
	};

	return copy_between(&c, source, e);
}

int
wal_copy_need_between(struct session *s, const struct conf_source *source, struct tier *to,
		      const struct watch *w, const struct wal_copy_need *need, struct err *e)
{
	struct wal_copy_report none = { 0 };
	struct wal_copying c = { .s = s, .to = to, .w = w, .report = &none, .need = need };

	return copy_between(&c, source, e);
}
