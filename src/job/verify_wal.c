/*
 * A snapshot of a database is worth its WAL, and the WAL between two of them is what a point in time
 * is made of; so it is proved like packs are. Names of pieces are ranges of bytes: what must be there
 * is arithmetic on listings, and what two tiers cut differently is mended by bytes, not by names.
 */
#include "job/verify_wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "base/mem.h"
#include "job/mend.h"
#include "job/pg/pg_facts.h"
#include "job/tiers.h"
#include "job/verify_plan.h"
#include "job/verify_wal_parts.h"
#include "repo/snapshot.h"
#include "repo/wal_gap.h"
#include "repo/walread.h"
#include "source/pg/pg_history.h"

/* ---- findings ---- */

void
verify_wal_find(struct verify_wal *p, const char *object, const struct err *why, int rc,
    const struct err *repair)
{
	struct verify_finding *f =
	    verify_report_add(p->report, p->t->name, object, p->id, why);

	f->repair = *repair;
	f->repaired = rc == 0;
	if (rc != 0)
		verify_wal_needs(p, &(struct verify_wal_need){ .bad = true });
	verify_report_tell(p->report, f, p->w, "WAL of %s on '%s': %s", p->source, p->t->name,
	    why->text);
}

/* ---- what is needed ---- */

struct seeing {
	struct verify_wal *p;
	uint64_t from, to;
};

static int
see(void *arg, const struct store_entry *entry, struct err *e)
{
	struct seeing *x = arg;
	struct verify_wal *p = x->p;
	struct verify_wal_need own;
	struct layout_wal at;

	(void)e;
	if (layout_wal_parse(entry->name, &at) == -1 || !layout_wal_is_log(&at) ||
	    at.end <= x->from || at.start >= x->to)
		return 0;
	p->name = mem_grow(p->name, &p->room, p->names + 1, sizeof(*p->name));
	p->name[p->names] = (struct verify_wal_name){ 0 };
	snprintf(p->name[p->names++].text, sizeof(p->name->text), "%s", entry->name);
	own = (struct verify_wal_need){ .tli = at.tli, .from = at.start > x->from ? at.start : x->from,
		.to = at.end < x->to ? at.end : x->to };
	snprintf(own.name, sizeof(own.name), "%s", entry->name);
	verify_wal_needs(p, &own);
	return 0;
}

/*
 * A hole: mended, or told. Between base backups one that was told when it came about, and that nobody can
 * fill, is past; in a base backup's own WAL it is not, for that one cannot be restored.
 */
static int
see_hole(struct verify_wal *p, uint32_t tli, uint64_t from, uint64_t to, struct err *e)
{
	struct err why = { 0 }, repair = { 0 };
	char name[LAYOUT_NAME], a[LSN_TEXT], b[LSN_TEXT];
	struct lsn_set there = { 0 };
	bool elsewhere;
	int rc = 0;

	for (size_t i = 1; rc == 0 && i < p->opens; i++)
		rc = walread_ranges(p->others, p->open[i], tli, &there, &why);
	elsewhere = rc == 0 && lsn_set_has(&there, from, to);
	lsn_set_done(&there);
	if (verify_report_stopped(p->w, p->t->name, e) == -1)
		return -1;
	if (!elsewhere && p->id[0] == '\0' && wal_gap_in(&p->gaps, p->place.sysid, tli, from, to))
		return 0;
	err_clear(&why);
	err_set(&why, ERR_NOTFOUND, "of timeline %" PRIu32 " from %s to %s is not there%s", tli,
	    lsn_text(from, a), lsn_text(to, b), elsewhere ? "" : ", nor on another tier that answers");
	if (!elsewhere)
		err_line(&why, "fix", "`ffdr wal stream %s` brings what the server still has of it; where "
		    "that has it no more, `ffdr backup %s` is a beginning behind it",
		    p->source + strlen("pg."), p->source);
	rc = p->o->repair ? verify_wal_mend(p, tli, from, to, NULL, &repair) : -1;
	p->report->holes++;
	layout_wal_piece(&p->place, tli, from, to, name);
	verify_wal_find(p, name, &why, rc, &repair);
	return 0;
}

/*
 * One timeline's part of a need; `to` UINT64_MAX: to the newest byte there. Before its own first byte,
 * `own`, it may repeat its parent's: what there is of that is read, what there is not is none missing.
 */
static int
need_timeline(struct verify_wal *p, uint32_t tli, uint64_t from, uint64_t own, uint64_t to,
    struct err *e)
{
	struct lsn_set have = { 0 };
	struct seeing x = { p, from, to };
	int rc = walread_ranges(p->read, p->t, tli, &have, e);

	if (to == UINT64_MAX)
		to = have.count > 0 ? have.range[have.count - 1].to : from;
	from = own > from ? own : from;
	for (size_t i = 0; rc == 0 && i < have.count && from < to; i++) {
		if (have.range[i].to <= from)
			continue;
		if (have.range[i].from > from)
			rc = see_hole(p, tli, from, have.range[i].from < to ? have.range[i].from : to, e);
		from = have.range[i].to;
	}
	if (rc == 0 && from < to)
		rc = see_hole(p, tli, from, to, e);
	lsn_set_done(&have);
	for (size_t i = 0; rc == 0 && p->o->level > SCRUB_LISTED && i < p->lineage.levels; i++) {
		struct wal_place at = p->place;

		at.epoch = p->lineage.level[i].epoch;
		if (wal_lineage_bound(&p->lineage, i, tli) > x.from)
			rc = walread_each(p->t, &at, tli, x.from, see, &x, e);
	}
	return rc;
}

/* The small objects that say how it hangs together, where any tier has them. */
static int
need_text(struct verify_wal *p, const char *name, struct err *e)
{
	struct err why = { 0 }, repair = { 0 };
	struct buf text;
	int rc, got;

	buf_init(&text, WAL_LINEAGE_HISTORY_MAX);
	got = wal_lineage_fetch(p->s->repo, p->open, 1, name, &text, &why);
	buf_reset(&text);
	if (got == 0 && wal_lineage_fetch(p->s->repo, p->open + 1, p->opens - 1, name, &text, &why) != 1)
		got = 1; /* it need not exist */
	else if (got == 0)
		err_set(&why, ERR_NOTFOUND, "'%s' is not there", name);
	buf_done(&text);
	if (got == 1)
		return 0;
	if (why.kind == ERR_REMOTE) {
		*e = why;
		return -1;
	}
	rc = p->o->repair ? mend_object(p->s, p->t, name, &repair) : -1;
	verify_wal_find(p, name, &why, rc, &repair);
	return 0;
}

static int
need_texts(struct verify_wal *p, uint32_t tli, struct err *e)
{
	char name[LAYOUT_NAME];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->lineage.levels; i++) {
		struct wal_place at = p->place;

		at.epoch = p->lineage.level[i].epoch;
		rc = need_text(p, layout_wal_from(&at, name), e);
		if (rc == 0 && tli > 1 && wal_lineage_bound(&p->lineage, i, tli) > 0)
			rc = need_text(p, layout_wal_history(&at, tli, name), e);
	}
	return rc;
}

/* All of [from, to) on the way to that timeline of that place. */
static int
need(struct verify_wal *p, const struct wal_place *place, uint32_t tli, uint64_t from, uint64_t to,
    struct err *e)
{
	struct pg_history h;
	struct buf text;
	uint64_t a, b, first;
	int got = 0, rc = verify_wal_open(p, place, e);

	pg_history_init(&h, tli);
	buf_init(&text, PG_HISTORY_MAX);
	if (rc == 0)
		rc = need_texts(p, tli, e);
	if (rc == 0 && tli > 1)
		got = walread_history(p->read, tli, &text, e);
	if (got == -1 || (got == 1 && pg_history_parse(tli, buf_str(&text), text.len, &h, e) == -1))
		rc = -1;
	for (size_t i = 0; rc == 0 && i <= h.count; i++) {
		const uint32_t on = i < h.count ? h.step[i].timeline : h.timeline;

		if (!pg_history_span(&h, on, &a, &b) || b <= from || a >= to)
			continue;
		first = lsn_segment(a, p->segment_size);
		rc = need_timeline(p, on, first > from ? first : from, a, b < to ? b : to, e);
	}
	buf_done(&text);
	pg_history_done(&h);
	return rc;
}

/* ---- one source ---- */

struct bases {
	struct pg_facts *base;
	size_t count, room;
};

static int
need_base(struct verify_wal *p, const struct snapshot *snap, const struct pg_facts *f, struct err *e)
{
	const struct wal_place place = { .sysid = f->sysid, .epoch = f->epoch };
	int rc;

	p->segment_size = (uint32_t)f->segment_size;
	p->id = snap->part.id;
	verify_wal_needs(p, &(struct verify_wal_need){ 0 });
	rc = need(p, &place, f->stop_tli, lsn_segment(f->start, f->segment_size), f->stop, e);
	p->id = "";
	return rc;
}

int
verify_wal_late(struct verify_wal *p, const struct snapshot *snap, const struct manifest *m,
    struct err *e)
{
	struct pg_facts f;
	int rc = 0;

	if (pg_facts_read(m, &f, NULL) == 1)
		rc = need_base(p, snap, &f, e);
	verify_wal_close(p);
	return rc;
}

/* The base backups of the source there, and what each needs of its own. */
static int
need_bases(struct verify_wal *p, const struct snapshot_list *l, char (*named)[LAYOUT_NAME],
    struct bases *ret, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->count; i++) {
		const struct snapshot *snap = &l->item[i];
		struct pg_facts f;
		struct manifest m;
		int got = 0;

		if (strcmp(snap->part.source, p->source) != 0 || !verify_plan_wants(p->o, snap, named))
			continue;
		manifest_init(&m);
		/* What is wrong with a manifest is told where snapshots are proved. */
		if (manifest_get(p->t->store, snap->name, p->s->repo->keys, &m, NULL) == 0)
			got = pg_facts_read(&m, &f, NULL);
		manifest_done(&m);
		if (got != 1)
			continue;
		ret->base = mem_grow(ret->base, &ret->room, ret->count + 1, sizeof(*ret->base));
		ret->base[ret->count++] = f;
		rc = need_base(p, snap, &f, e);
	}
	return rc;
}

/* The highest one of that system that any of them has; a restore asks the same way. */
static uint32_t
highest_epoch(struct verify_wal *p, const struct pg_facts *newest)
{
	uint32_t epoch = newest->epoch;

	for (size_t i = 0; i < p->opens; i++) {
		struct walread_places pl = { 0 };

		(void)!walread_places(p->open[i], p->source, &pl, NULL);
		for (size_t k = 0; k < pl.count; k++)
			if (pl.place[k].sysid == newest->sysid && pl.place[k].epoch > epoch)
				epoch = pl.place[k].epoch;
		free(pl.place);
	}
	return epoch;
}

/* The oldest base backup on the way to that place; NULL: none is. */
static int
find_first(struct verify_wal *p, const struct wal_place *place, const struct bases *b,
    const struct pg_facts **ret, struct err *e)
{
	int rc = verify_wal_open(p, place, e);

	*ret = NULL;
	for (size_t i = 0; rc == 0 && i < b->count; i++)
		if (b->base[i].sysid == place->sysid &&
		    (!*ret || b->base[i].start < (*ret)->start) &&
		    wal_lineage_has(&p->lineage, b->base[i].epoch, b->base[i].stop_tli,
			b->base[i].stop))
			*ret = &b->base[i];
	return rc;
}

/*
 * The way that WAL goes, its last timeline, and where it begins to count. Where the coordination place
 * knows of none, as on a host that is new, it leads to the highest epoch that a base backup leads to, and
 * there to the highest timeline there is.
 */
static int
find_way(struct verify_wal *p, const struct wal_source *ws, const struct bases *b,
    struct wal_place *place, uint32_t *tli, const struct pg_facts **first, struct err *e)
{
	const struct pg_facts *newest = &b->base[b->count - 1];

	*place = ws->place;
	*tli = ws->active.tli;
	if (*ws->active.etag)
		return find_first(p, place, b, first, e);
	place->sysid = newest->sysid;
	place->epoch = highest_epoch(p, newest);
	*tli = UINT32_MAX;
	if (find_first(p, place, b, first, e) == -1)
		return -1;
	if (*first || place->epoch == newest->epoch)
		return 0;
	place->epoch = newest->epoch;
	return find_first(p, place, b, first, e);
}

/* From the oldest base backup on the active way on: on tiers that receive the WAL. */
static int
need_points(struct verify_wal *p, const struct conf_source *source, const struct bases *b, struct err *e)
{
	struct wal_source ws;
	struct wal_place place;
	struct walread_timelines tl = { 0 };
	const struct pg_facts *first = NULL;
	struct err why = { 0 };
	uint32_t newest;
	int rc = 0;

	if (wal_source_open(p->s, source, &ws, &why) == -1) {
		wal_source_done(&ws);
		return 0;
	}
	rc = find_way(p, &ws, b, &place, &newest, &first, e);
	if (rc == 0 && first)
		rc = walread_timelines(p->read, p->t, &tl, e);
	/* The active timeline, when anything is there of it. */
	for (size_t i = tl.count; rc == 0 && first && i-- > 0;)
		if (tl.tli[i] <= newest) {
			p->segment_size = (uint32_t)first->segment_size;
			rc = need(p, &place, tl.tli[i], lsn_segment(first->start, first->segment_size),
			    UINT64_MAX, e);
			break;
		}
	free(tl.tli);
	wal_source_done(&ws);
	return rc;
}

static int
verify_source(struct verify_wal *p, const struct snapshot_list *l, char (*named)[LAYOUT_NAME],
    int64_t end_ns, struct err *e)
{
	const struct conf_source *source = NULL;
	const struct conf_tier *ct = conf_find_tier(p->s->conf, p->t->name);
	struct bases b = { 0 };
	struct err why = { 0 };
	int rc;

	p->open[p->opens++] = p->t;
	tiers_near(p->s->conf, p->source, NULL, &p->s->tiers);
	for (size_t i = 0; i < p->s->tiers.count && p->opens < WAL_SOURCE_TIERS; i++) {
		struct tier *t = tier_near(&p->s->tiers, i);

		if (t != p->t && t->store)
			p->open[p->opens++] = t;
	}
	/* Without them a hole is one. */
	wal_gap_load(p->s->repo, p->open, p->opens, p->source, &p->gaps, &why);
	rc = need_bases(p, l, named, &b, e);
	if (rc == 0 && b.count > 0 && p->o->snapshots == 0 && ct &&
	    conf_find_source(p->s->conf, p->source, &source, NULL) == 0 && source->postgres &&
	    conf_wal_goes_to(p->s->conf, source->postgres, ct))
		rc = need_points(p, source, &b, e);
	if (rc == 0)
		rc = verify_wal_pieces(p, end_ns, e);
	verify_wal_close(p);
	free(b.base);
	return rc;
}

int
verify_wal(struct session *s, struct tier *t, const struct verify_options *o,
    char (*named)[LAYOUT_NAME], int64_t end_ns, const struct watch *w, struct verify_report *report,
    struct verify_wal **ret, struct err *e)
{
	struct snapshot_list l = { 0 };
	const char *source = "";
	int rc = snapshot_list_known(t->store, NULL, &l, e);

	*ret = NULL;
	for (size_t i = 0; rc == 0 && i < l.count; i++) {
		struct verify_wal *p;

		if (strcmp(source, l.item[i].part.source) == 0)
			continue;
		source = l.item[i].part.source;
		if (strncmp(source, "pg.", 3) != 0)
			continue;
		p = xcalloc(1, sizeof(*p));
		*p = (struct verify_wal){ .s = s, .t = t, .o = o, .w = w, .report = report,
			.next = *ret, .id = "" };
		snprintf(p->source, sizeof(p->source), "%s", source);
		*ret = p;
		rc = verify_source(p, &l, named, end_ns, e);
	}
	snapshot_list_done(&l);
	return rc;
}
