/*
 * Nothing is believed of what hosts remember: bases and WAL are what the tiers list, and the WAL
 * near the frontier is read. So a restore on a new host, with nothing but configuration and keys,
 * comes to the same plan.
 *
 * The world is that of one timeline: pg_world_way.c.
 */
#include "job/pg/pg_world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/inventory.h"
#include "job/pg/pg_facts.h"
#include "job/pg/pg_world_parts.h"
#include "job/tiers.h"
#include "repo/manifest.h"
#include "repo/wal_beat.h"
#include "repo/wal_gap.h"

#define TEXT_MAX 1200

void
pg_world_tell(const struct pg_world *w, const char *kind, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	w->watch->event(w->watch->arg, kind, text);
}

/* ---- tiers ---- */

static void
add_tier(struct pg_world *w, struct tier *t)
{
	if (!t->store || w->tiers == WAL_SOURCE_TIERS)
		return;
	w->tier[w->tiers++] = t;
	buf_addf(&w->tier_names, "%s%s", w->tier_names.len > 0 ? ", " : "", t->name);
}

static int
find_tiers(struct pg_world *w, const struct pg_world_options *o, struct err *e)
{
	struct tier *all[WAL_SOURCE_TIERS];
	size_t n = session_source_tiers(w->session, o->source, all, WAL_SOURCE_TIERS);

	tiers_near(w->session->conf, o->source, o->tier, &w->session->tiers);
	if (o->tier)
		add_tier(w, o->tier);
	for (size_t k = 0; k < w->session->tiers.count && !o->tier; k++)
		for (size_t i = 0; i < n; i++)
			if (all[i] == tier_near(&w->session->tiers, k))
				add_tier(w, all[i]);
	return w->tiers > 0 ? 0 : err_set(e, ERR_REMOTE, "no tier of %s answers", o->source);
}

/* ---- bases ---- */

static void
add_base(struct pg_world *w, const struct pg_facts *f, const struct inventory_item *item,
    struct tier *on)
{
	struct pg_world_base a = {
		.on = on, .sysid = f->sysid, .segment_size = f->segment_size, .epoch = f->epoch,
		.standby = f->standby,
	};

	memcpy(a.name, item->name, sizeof(a.name));
	w->base = xreallocarray(w->base, w->bases + 1, sizeof(*w->base));
	w->about = xreallocarray(w->about, w->bases + 1, sizeof(*w->about));
	w->base[w->bases] = (struct pg_target_base){
		.id = xstrdup(item->part.id),
		.start = f->start,
		.stop = f->stop,
		.timeline = f->stop_tli,
		.stop_ns = f->stop_ns,
	};
	w->about[w->bases++] = a;
}

static struct tier *
nearest(const struct pg_world *w, uint64_t on)
{
	for (size_t i = 0; i < w->tiers; i++)
		if (on >> (w->tier[i] - w->session->tiers.tier) & 1)
			return w->tier[i];
	return NULL;
}

static int
read_base(struct pg_world *w, const struct inventory_item *item, struct err *e)
{
	struct tier *on = nearest(w, item->on);
	struct manifest m;
	struct pg_facts facts;
	int rc = -1, got = 0;

	if (!on)
		return 0;
	manifest_init(&m);
	for (size_t i = 0; i < w->tiers && rc == -1; i++) {
		if (!(item->on >> (w->tier[i] - w->session->tiers.tier) & 1))
			continue;
		err_clear(e);
		rc = manifest_get(w->tier[i]->store, item->name, w->session->repo->keys, &m, e);
	}
	if (rc == 0)
		got = pg_facts_read(&m, &facts, e);
	if (got == 1)
		add_base(w, &facts, item, on);
	manifest_done(&m);
	return got == -1 ? -1 : rc;
}

static void
note_unusable(struct pg_world *w, const struct pg_world_options *o, const struct inventory_item *item,
    const struct err *why)
{
	char *text = xasprintf("%s cannot be used: %s", item->part.id, why->text);

	w->watch->event(w->watch->arg, "warning", text);
	free(text);
	if (o->base && strcmp(o->base, item->name) != 0)
		return;
	if (w->unusable.kind != ERR_NONE && (w->unusable.kind == ERR_REMOTE || why->kind != ERR_REMOTE))
		return;
	w->unusable = *why;
	err_in(&w->unusable, "%s cannot be used", item->part.id);
}

/* A manifest that cannot be read is a base less, not the end. */
static int
load_bases(struct pg_world *w, const struct pg_world_options *o, struct err *e)
{
	const char *const sources[] = { w->source };
	const struct inventory_options io = {
		.source = sources, .sources = 1, .tier = o->tier, .names_only = true
	};
	struct inventory inv = { 0 };
	struct err why = { 0 };
	int rc = inventory_read(w->session, &io, w->watch, &inv, e);

	for (size_t i = 0; rc == 0 && i < inv.count; i++)
		if (read_base(w, &inv.item[i], &why) == -1)
			note_unusable(w, o, &inv.item[i], &why);
	inventory_done(&inv);
	return rc;
}

void
pg_world_drop_base(struct pg_world *w, size_t i)
{
	free((char *)w->base[i].id);
	w->bases--;
	memmove(&w->base[i], &w->base[i + 1], (w->bases - i) * sizeof(*w->base));
	memmove(&w->about[i], &w->about[i + 1], (w->bases - i) * sizeof(*w->about));
}

/* ---- the WAL ---- */

/* Of a stretch that the spool has, what is on no tier. */
static void
add_spooled(struct pg_world *w, uint32_t tli, uint64_t from, uint64_t to)
{
	uint64_t missing = lsn_set_end(&w->have, from);

	if (missing >= to)
		return;
	w->spooled = xreallocarray(w->spooled, w->spooleds + 1, sizeof(*w->spooled));
	w->spooled[w->spooleds++] = (struct pg_world_spooled){ tli, missing, to };
	lsn_set_add(&w->have, missing, to);
}

static int
load_spooled(struct pg_world *w, uint32_t tli, uint64_t from, uint64_t to, struct err *e)
{
	struct lsn_set set = { 0 };
	int rc = walread_spool_ranges(w->read, tli, &set, e);

	for (size_t i = 0; rc == 0 && i < set.count; i++)
		add_spooled(w, tli, set.range[i].from > from ? set.range[i].from : from,
		    set.range[i].to < to ? set.range[i].to : to);
	lsn_set_done(&set);
	return rc;
}

/* What a timeline has of its own stretch; the segment where it begins is repeated in its own files.
 */
static int
load_span(struct pg_world *w, uint32_t tli, struct err *e)
{
	const struct pg_world_line *l = pg_world_line(w, tli);
	uint64_t from, to;

	if (!l || !pg_history_span(&w->history, tli, &from, &to))
		return 0;
	from = lsn_segment(from, w->segment_size);
	for (size_t i = 0; i < l->have.count; i++) {
		uint64_t a = l->have.range[i].from > from ? l->have.range[i].from : from;
		uint64_t b = l->have.range[i].to < to ? l->have.range[i].to : to;

		lsn_set_add(&w->have, a, b > a ? b : a);
	}
	return load_spooled(w, tli, from, to, e);
}

static void
add_gap(struct pg_world *w, uint64_t from, uint64_t to)
{
	for (size_t i = 0; i <= w->history.count; i++) {
		uint32_t tli =
		    i < w->history.count ? w->history.step[i].timeline : w->history.timeline;
		uint64_t a, b;

		if (!pg_history_span(&w->history, tli, &a, &b) || from >= b || to <= a)
			continue;
		w->gap = mem_grow(w->gap, &w->gap_room, w->gaps + 1, sizeof(*w->gap));
		w->gap[w->gaps] = (struct pg_target_gap){
			.timeline = tli, .from = from > a ? from : a, .to = to < b ? to : b
		};
		pg_world_times(w, &w->gap[w->gaps]);
		w->gaps++;
	}
}

static void
find_gaps(struct pg_world *w)
{
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < w->bases; i++)
		first = w->base[i].start < first ? w->base[i].start : first;
	if (w->have.count > 0 && first < w->have.range[0].from)
		add_gap(w, first, w->have.range[0].from);
	for (size_t i = 1; i < w->have.count; i++)
		if (w->have.range[i].from > first)
			add_gap(w, w->have.range[i - 1].to, w->have.range[i].from);
}

/*
 * WAL that was lost behind the frontier does not keep anybody from going up to it, but has to be
 * known.
 */
static void
warn_of_gaps(struct pg_world *w)
{
	struct wal_gaps g = { 0 };
	struct err why = { 0 };
	char lsn[LSN_TEXT], *text = NULL;
	const struct wal_gap *gap;

	if (wal_gap_load(w->session->repo, w->tier, w->tiers, w->source, &g, &why) == -1)
		text = xasprintf("whether holes in the WAL of %s were noted cannot be read: %s",
		    w->source, why.text);
	else if ((gap = wal_gap_in(
		      &g, w->place.sysid, w->history.timeline, w->frontier, UINT64_MAX)) != NULL)
		text = xasprintf("WAL of %s behind %s was lost: %s", w->source,
		    lsn_text(w->frontier, lsn), gap->why);
	if (text)
		w->watch->event(w->watch->arg, "warning", text);
	free(text);
	wal_gap_done(&g);
}

/*
 * A spool that cannot be read is not used, and that is told: it may be the one that has the newest.
 */
static void
find_spool(struct pg_world *w, const struct pg_world_options *o)
{
	struct spool_dir_files files = { 0 };
	struct err why = { 0 };
	char *text;

	w->spool_path = xasprintf("%s/spool/%s", w->session->conf->state, w->source);
	if (!o->spool)
		return;
	w->spool = (struct spool_dir){ w->spool_path, w->session->repo->keys };
	if (spool_dir_list(&w->spool, &files, &why) == -1) {
		text = xasprintf("the WAL that this host received is left aside: %s", why.text);
		w->watch->event(w->watch->arg, "warning", text);
		free(text);
		w->spool = (struct spool_dir){ 0 };
	}
	spool_dir_done(&files);
}

/* What this host received and no tier has yet, where it was not asked for. */
void
pg_world_tell_of_spool(struct pg_world *w)
{
	const struct spool_dir dir = { w->spool_path, w->session->repo->keys };
	char a[LSN_TEXT], b[LSN_TEXT];
	struct lsn_set set = { 0 };

	if (!w->spool.path && w->bases > 0 &&
	    spool_dir_ranges(&dir, &w->place, w->history.timeline, &set, NULL) == 0 &&
	    set.count > 0 && set.range[set.count - 1].to > w->frontier)
		pg_world_tell(w, "note",
		    "this host has received WAL of %s up to %s, the tiers asked have it up to %s\n"
		    "  fix       without --tier and --as-of the restore takes that along", w->source,
		    lsn_text(set.range[set.count - 1].to, a), lsn_text(w->frontier, b));
	lsn_set_done(&set);
}

/* The newest moment at which the server is known to have had no more than is here. */
static void
take_beats(struct pg_world *w)
{
	for (size_t i = 0; i < w->tiers; i++) {
		struct wal_beat b;

		if (wal_beat_get(w->session->repo, w->tier[i]->store, w->source, &b, NULL) == 1 &&
		    b.place.sysid == w->place.sysid && b.tli <= w->history.timeline &&
		    b.sample.flush_lsn <= w->frontier && b.sample.time_ns > w->frontier_ns)
			w->frontier_ns = b.sample.time_ns;
	}
}

static int
load_wal(struct pg_world *w, struct err *e)
{
	for (size_t i = 0; i <= w->history.count; i++)
		if (load_span(w,
			i < w->history.count ? w->history.step[i].timeline : w->history.timeline,
			e) == -1)
			return -1;
	buf_addf(&w->places, "%s%s", buf_str(&w->tier_names),
	    w->spooleds > 0 ? ", the spool of this host" : "");
	if (w->have.count == 0)
		return 0;
	w->frontier = w->have.range[w->have.count - 1].to;
	if (pg_world_last(w, &w->cold) == -1 && w->cold.kind != ERR_FROZEN) {
		*e = w->cold;
		return -1;
	}
	take_beats(w);
	for (size_t i = 0; i < w->bases; i++)
		if (!w->about[i].standby && w->base[i].stop <= w->frontier &&
		    w->base[i].stop_ns > w->frontier_ns)
			w->frontier_ns = w->base[i].stop_ns;
	find_gaps(w);
	warn_of_gaps(w);
	return 0;
}

int
pg_world_load(struct session *s, const struct pg_world_options *o, const struct watch *w,
    struct pg_world *ret, struct err *e)
{
	*ret = (struct pg_world){ .session = s, .watch = w };
	snprintf(ret->source, sizeof(ret->source), "%s", o->source);
	buf_init(&ret->tier_names, 1u << 16);
	buf_init(&ret->places, 1u << 16);
	pg_history_init(&ret->history, 1);
	find_spool(ret, o);
	if (find_tiers(ret, o, e) == -1 || load_bases(ret, o, e) == -1 ||
	    pg_world_find_way(ret, o, e) == -1)
		return -1;
	return ret->bases > 0 ? load_wal(ret, e) : 0;
}

void
pg_world_done(struct pg_world *w)
{
	while (w->bases > 0)
		pg_world_drop_base(w, w->bases - 1);
	free(w->base);
	free(w->about);
	free(w->gap);
	free(w->spooled);
	free(w->spool_path);
	for (size_t i = 0; i < w->lines; i++) {
		lsn_set_done(&w->line[i].have);
		pg_history_done(&w->line[i].history);
	}
	free(w->line);
	lsn_set_done(&w->have);
	pg_history_done(&w->history);
	walread_free(w->read);
	buf_done(&w->tier_names);
	buf_done(&w->places);
	*w = (struct pg_world){ 0 };
}
