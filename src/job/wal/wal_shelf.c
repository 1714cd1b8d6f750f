/*
 * One listing tells which epochs and timelines there are; then the few small objects that say where
 * each came from are read, from whichever tier has them readable.
 */
#include "job/wal/wal_shelf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool
same_place(const struct wal_place *a, const struct wal_place *b)
{
	return a->sysid == b->sysid && a->epoch == b->epoch;
}

/* ---- the listing ---- */

struct listing {
	struct wal_shelf *shelf;
	/* places without a piece, and timelines of which only the history is there */
	struct layout_wal *other;
	size_t others, room;
};

/* Listings go timeline by timeline, so it is nearly always the last. */
static struct wal_keep_timeline *
find_timeline(struct wal_shelf *s, const struct layout_wal *w)
{
	struct wal_keep_timeline *t;

	for (size_t i = s->timelines; i > 0; i--) {
		t = &s->timeline[i - 1];
		if (t->tli == w->tli && same_place(&t->place, &w->place))
			return t;
	}
	s->timeline = mem_grow(s->timeline, &s->room, s->timelines + 1, sizeof(*s->timeline));
	t = &s->timeline[s->timelines++];
	*t = (struct wal_keep_timeline){ .place = w->place, .tli = w->tli, .newest_ns = INT64_MIN };
	return t;
}

static int
see(void *arg, const struct store_entry *entry, struct err *e)
{
	struct listing *l = arg;
	struct wal_shelf *s = l->shelf;
	struct wal_keep_timeline *t;
	struct layout_wal w;

	(void)e;
	if (layout_wal_parse(entry->name, &w) == -1)
		return 0; /* of a newer ffdr: left alone */
	if (entry->time_ns < s->oldest_ns)
		s->oldest_ns = entry->time_ns;
	if (!layout_wal_is_log(&w)) {
		l->other = mem_grow(l->other, &l->room, l->others + 1, sizeof(*l->other));
		l->other[l->others++] = w;
		return 0;
	}
	t = find_timeline(s, &w);
	if (entry->time_ns > t->newest_ns)
		t->newest_ns = entry->time_ns;
	return 0;
}

/* ---- epochs ---- */

static int
add_epoch(const struct wal_shelf_options *o, struct wal_shelf *s, const struct wal_place *p,
	  struct err *e)
{
	struct wal_lineage l;

	for (size_t i = 0; i < s->epochs; i++)
		if (s->epoch[i].sysid == p->sysid && s->epoch[i].epoch == p->epoch)
			return 0;
	if (wal_lineage_load(o->repo, o->tier, o->tiers, p, &l, e) == -1)
		return -1;
	if (l.unknown.kind != ERR_NONE) {
		*e = l.unknown;
		wal_lineage_done(&l);
		return err_in(e, "where epoch %u comes from is not known", p->epoch);
	}
	s->epoch = xreallocarray(s->epoch, s->epochs + 1, sizeof(*s->epoch));
	s->epoch[s->epochs++] = (struct wal_keep_epoch){ p->sysid, p->epoch, l };
	return 0;
}

/* ---- histories ---- */

static bool
has_history(const struct wal_shelf *s, const struct wal_place *p, uint32_t tli)
{
	for (size_t i = 0; i < s->histories; i++)
		if (s->history[i].sysid == p->sysid && s->history[i].epoch == p->epoch &&
		    s->history[i].history.timeline == tli)
			return true;
	return false;
}

/* The file as it lies in that very epoch: 1, 0 it is not there, -1. */
static int
fetch_history(const struct wal_shelf_options *o, struct wal_shelf *s, const struct wal_place *p,
	      uint32_t tli, struct err *e)
{
	struct wal_keep_history h = { .sysid = p->sysid, .epoch = p->epoch };
	char name[LAYOUT_NAME];
	struct buf text;
	int got;

	if (has_history(s, p, tli))
		return 1;
	pg_history_init(&h.history, tli);
	buf_init(&text, PG_HISTORY_MAX);
	layout_wal_history(p, tli, name);
	got = wal_lineage_fetch(o->repo, o->tier, o->tiers, name, &text, e);
	if (got == 1 && pg_history_parse(tli, buf_str(&text), text.len, &h.history, e) == -1) {
		err_in(e, "'%s'", name);
		got = -1;
	}
	buf_done(&text);
	if (got != 1) {
		pg_history_done(&h.history);
		return got;
	}
	s->history = xreallocarray(s->history, s->histories + 1, sizeof(*s->history));
	s->history[s->histories++] = h;
	return 1;
}

/* As a reader of that place would find it: there, or in the epochs before. */
static int
add_history(const struct wal_shelf_options *o, struct wal_shelf *s, const struct wal_place *p,
	    uint32_t tli, struct err *e)
{
	const struct wal_lineage *l = NULL;
	int got = 0;

	if (tli <= 1)
		return 0;
	if (add_epoch(o, s, p, e) == -1)
		return -1;
	for (size_t i = 0; i < s->epochs; i++)
		if (s->epoch[i].sysid == p->sysid && s->epoch[i].epoch == p->epoch)
			l = &s->epoch[i].lineage;
	for (size_t i = 0; got == 0 && l && i < l->levels; i++) {
		struct wal_place at = *p;

		at.epoch = l->level[i].epoch;
		if (wal_lineage_bound(l, i, tli) > 0)
			got = fetch_history(o, s, &at, tli, e);
	}
	return got == -1 ? -1 : 0;
}

int
wal_shelf_load(const struct wal_shelf_options *o, struct wal_shelf *ret, struct err *e)
{
	struct listing l = { .shelf = ret };
	char prefix[LAYOUT_NAME];
	int rc;

	*ret = (struct wal_shelf){ .oldest_ns = INT64_MAX };
	layout_wal_of_source(o->source, prefix);
	rc = store_list(o->tier[0]->store, prefix, NULL, see, &l, e);
	layout_wal_bundles_of_source(o->source, prefix);
	if (rc == 0)
		rc = store_list(o->tier[0]->store, prefix, NULL, see, &l, e);
	for (size_t i = 0; rc == 0 && i < ret->timelines; i++) {
		rc = add_epoch(o, ret, &ret->timeline[i].place, e);
		if (rc == 0)
			rc = add_history(o, ret, &ret->timeline[i].place, ret->timeline[i].tli, e);
	}
	for (size_t i = 0; rc == 0 && i < l.others; i++) {
		rc = add_epoch(o, ret, &l.other[i].place, e);
		if (rc == 0 && l.other[i].kind == LAYOUT_WAL_HISTORY)
			rc = fetch_history(o, ret, &l.other[i].place, l.other[i].tli, e) == -1 ? -1
											       : 0;
	}
	free(l.other);
	return rc;
}

int
wal_shelf_add(const struct wal_shelf_options *o, struct wal_shelf *s, const struct pg_facts *base,
	      struct err *e)
{
	struct wal_place p = { .sysid = base->sysid, .epoch = base->epoch };

	snprintf(p.source, sizeof(p.source), "%s", o->source);
	if (add_epoch(o, s, &p, e) == -1)
		return -1;
	return add_history(o, s, &p, base->stop_tli, e);
}

void
wal_shelf_done(struct wal_shelf *s)
{
	for (size_t i = 0; i < s->epochs; i++)
		wal_lineage_done(&s->epoch[i].lineage);
	for (size_t i = 0; i < s->histories; i++)
		pg_history_done(&s->history[i].history);
	free(s->timeline);
	free(s->epoch);
	free(s->history);
	*s = (struct wal_shelf){ 0 };
}
