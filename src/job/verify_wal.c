/*
 * A snapshot of a database is worth its WAL, and the WAL between two of them is what a point in time
 * is made of; so it is proved like packs are. Names of pieces are ranges of bytes: what must be there
 * is arithmetic on listings, and what two tiers cut differently is mended by bytes, not by names.
 */
#include "job/verify_wal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/lsn.h"
#include "base/mem.h"
#include "job/mend.h"
#include "job/pg_facts.h"
#include "job/verify_plan.h"
#include "job/wal_source.h"
#include "repo/object.h"
#include "repo/piece.h"
#include "repo/snapshot.h"
#include "repo/wal_gap.h"
#include "repo/walread.h"
#include "source/pg_history.h"
#include "store/aside.h"

#define CURSOR_DIR "verify"

struct name {
	char text[LAYOUT_NAME];
};
/* One source on one tier. */
struct proof {
	struct session *s;
	struct tier *t;
	const struct verify_options *o;
	const struct watch *w;
	struct verify_report *report;
	const char *source;
	struct tier *open[WAL_SOURCE_TIERS]; /* t first */
	size_t opens;
	struct wal_gaps gaps;
	uint32_t segment_size;
	/* pieces that are needed */
	struct name *name;
	size_t names, room;
	/* of the need in hand */
	struct wal_place place;
	struct wal_lineage lineage;
	struct walread *read;	/* all tiers */
	struct walread *others; /* all but t */
	const char *id;		/* the snapshot that needs it; "": points in time do */
};

/* ---- findings ---- */

/* `rc` 0: mended; -1 and repair->kind ERR_NONE: not tried. */
static void
find(struct proof *p, const char *object, const struct err *why, int rc, const struct err *repair)
{
	struct verify_report *rep = p->report;
	struct verify_finding *f;
	char *text;

	rep->finding = mem_grow(rep->finding, &rep->room, rep->count + 1, sizeof(*rep->finding));
	f = &rep->finding[rep->count++];
	*f = (struct verify_finding){ .tier = p->t->name, .why = *why, .repair = *repair,
		.repaired = rc == 0 };
	snprintf(f->object, sizeof(f->object), "%s", object);
	snprintf(f->snapshot, sizeof(f->snapshot), "%s", p->id);
	rep->broken += !f->repaired;
	text = xasprintf("WAL of %s on '%s': %s%s", p->source, p->t->name, why->text,
	    f->repaired ? "; repaired" : "");
	p->w->event(p->w->arg, f->repaired ? "repaired" : "warning", text);
	free(text);
}
/* ---- the tiers as readers ---- */

static void
close_readers(struct proof *p)
{
	walread_free(p->read);
	walread_free(p->others);
	wal_lineage_done(&p->lineage);
	p->read = p->others = NULL;
}

static int
open_readers(struct proof *p, const struct wal_place *place, struct err *e)
{
	struct walread_options o = { .repo = p->s->repo, .tier = p->open, .tiers = p->opens,
		.place = *place };

	close_readers(p);
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
owner(const struct proof *p, uint32_t tli, uint64_t lsn, uint64_t *bound)
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
put_bytes(struct proof *p, uint32_t tli, uint64_t from, uint64_t to, const char *bad, struct err *e)
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
	rc = walread_segment(p->others, tli, start, p->segment_size, &wal, &until, e);
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
static int
mend_range(struct proof *p, uint32_t tli, uint64_t from, uint64_t to, const char *bad, struct err *e)
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

/* ---- pieces ---- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static void
sort_names(struct proof *p)
{
	size_t kept = 0;

	if (p->names > 1)
		qsort(p->name, p->names, sizeof(*p->name), by_name);
	for (size_t i = 0; i < p->names; i++)
		if (kept == 0 || by_name(&p->name[kept - 1], &p->name[i]) != 0)
			p->name[kept++] = p->name[i];
	p->names = kept;
}

/* 0 good, -1 and why. */
static int
prove(struct proof *p, const char *name, struct err *why)
{
	struct buf bytes;
	struct piece piece;
	int rc;

	buf_init(&bytes, STORE_OBJECT_MAX);
	rc = store_get(p->t->store, name, &bytes, why);
	p->report->bytes += bytes.len;
	if (rc == 0 && p->o->level == SCRUB_OPENED)
		rc = piece_open(p->s->repo->keys, name, &bytes, &piece, NULL, why);
	else if (rc == 0)
		rc = object_check_plain(bytes.data, bytes.len, why);
	if (rc == -1 && why->kind == ERR_CORRUPT && p->o->level != SCRUB_OPENED)
		err_in(why, "'%s'", name);
	buf_done(&bytes);
	return rc;
}

static int
prove_piece(struct proof *p, const char *name, struct err *e)
{
	struct layout_wal at;
	struct err why = { 0 }, repair = { 0 };
	int rc = prove(p, name, &why);

	p->report->pieces++;
	/* Expired since it was listed: what is missing is seen by the listing. */
	if (rc == 0 || why.kind == ERR_NOTFOUND)
		return 0;
	if (why.kind == ERR_REMOTE || why.kind == ERR_CANCELLED) {
		*e = why;
		return -1;
	}
	if (p->o->repair && layout_wal_parse(name, &at) == 0) {
		rc = mend_object(p->s, p->t, name, &repair);
		if (rc == -1 && open_readers(p, &at.place, &repair) == 0) {
			err_clear(&repair);
			rc = mend_range(p, at.tli, at.start, at.end, name, &repair);
		}
	}
	p->id = "";
	find(p, name, &why, rc, &repair);
	return 0;
}

static char *
cursor_path(const struct proof *p)
{
	return xasprintf("%s/" CURSOR_DIR "/%s.%s", p->s->conf->state, p->t->name, p->source);
}

/* The first name behind the one that was looked at last time. */
static size_t
begin_at(const struct proof *p)
{
	char *path = cursor_path(p);
	struct buf text;
	size_t i = 0;

	buf_init(&text, LAYOUT_NAME);
	if (p->s->state.kind == ERR_NONE && file_get(AT_FDCWD, path, &text, NULL) == 0)
		while (i < p->names && strcmp(p->name[i].text, buf_str(&text)) <= 0)
			i++;
	buf_done(&text);
	free(path);
	return i < p->names ? i : 0;
}

/* A memory that is lost costs nothing but its order. */
static void
end_at(const struct proof *p, const char *name)
{
	char *path = cursor_path(p), *dir = xasprintf("%s/" CURSOR_DIR, p->s->conf->state);

	if (p->s->state.kind == ERR_NONE && file_make_dirs(AT_FDCWD, dir, 0750, NULL) == 0)
		file_put(AT_FDCWD, path, name, strlen(name), 0640, FILE_REPLACE, NULL);
	free(dir);
	free(path);
}

static int
prove_pieces(struct proof *p, int64_t end_ns, struct err *e)
{
	const size_t first = begin_at(p);
	size_t i = 0;
	int rc = 0;

	for (; rc == 0 && i < p->names; i++) {
		if (i > 0 && end_ns != 0 && clock_boot_ns() >= end_ns)
			break;
		if (p->w->stop(p->w->arg))
			return err_set(e, ERR_CANCELLED, "verification of '%s' was interrupted",
			    p->t->name);
		rc = prove_piece(p, p->name[(first + i) % p->names].text, e);
	}
	if (i > 0 && rc == 0)
		end_at(p, p->name[(first + i - 1) % p->names].text);
	p->report->pieces_left += p->names - i;
	return rc;
}

/* ---- what is needed ---- */

struct seeing {
	struct proof *p;
	uint64_t from, to;
};

static int
see(void *arg, const struct store_entry *entry, struct err *e)
{
	struct seeing *x = arg;
	struct proof *p = x->p;
	struct layout_wal at;

	(void)e;
	if (layout_wal_parse(entry->name, &at) == -1 || at.kind != LAYOUT_WAL_PIECE ||
	    at.end <= x->from || at.start >= x->to)
		return 0;
	p->name = mem_grow(p->name, &p->room, p->names + 1, sizeof(*p->name));
	snprintf(p->name[p->names++].text, sizeof(p->name->text), "%s", entry->name);
	return 0;
}

/* A hole: mended, or told; one that was told when it came about, and that nobody can fill, is past. */
static int
see_hole(struct proof *p, uint32_t tli, uint64_t from, uint64_t to, struct err *e)
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
	if (p->w->stop(p->w->arg))
		return err_set(e, ERR_CANCELLED, "verification of '%s' was interrupted", p->t->name);
	if (!elsewhere && wal_gap_in(&p->gaps, p->place.sysid, tli, from, to))
		return 0;
	err_clear(&why);
	err_set(&why, ERR_NOTFOUND, "of timeline %" PRIu32 " from %s to %s is not there%s", tli,
	    lsn_text(from, a), lsn_text(to, b), elsewhere ? "" : ", nor on another tier that answers");
	rc = p->o->repair ? mend_range(p, tli, from, to, NULL, &repair) : -1;
	p->report->holes++;
	layout_wal_piece(&p->place, tli, from, to, name);
	find(p, name, &why, rc, &repair);
	return 0;
}

/* One timeline's part of a need; `to` UINT64_MAX: to the newest byte there. */
static int
need_timeline(struct proof *p, uint32_t tli, uint64_t from, uint64_t to, struct err *e)
{
	struct lsn_set have = { 0 };
	struct seeing x = { p, from, to };
	char prefix[LAYOUT_NAME];
	int rc = walread_ranges(p->read, p->t, tli, &have, e);

	if (to == UINT64_MAX)
		to = have.count > 0 ? have.range[have.count - 1].to : from;
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
			rc = store_list(p->t->store, layout_wal_of_timeline(&at, tli, prefix), NULL, see,
			    &x, e);
	}
	return rc;
}

/* The small objects that say how it hangs together, where any tier has them. */
static int
need_text(struct proof *p, const char *name, struct err *e)
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
	find(p, name, &why, rc, &repair);
	return 0;
}

static int
need_texts(struct proof *p, uint32_t tli, struct err *e)
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
need(struct proof *p, const struct wal_place *place, uint32_t tli, uint64_t from, uint64_t to,
    struct err *e)
{
	struct pg_history h;
	struct buf text;
	uint64_t a, b;
	int got = 0, rc = open_readers(p, place, e);

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
		a = lsn_segment(a, p->segment_size);
		rc = need_timeline(p, on, a > from ? a : from, b < to ? b : to, e);
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

/* The base backups of the source there, and what each needs of its own. */
static int
need_bases(struct proof *p, const struct snapshot_list *l, char (*named)[LAYOUT_NAME],
    struct bases *ret, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->count; i++) {
		const struct snapshot *snap = &l->item[i];
		struct wal_place place = { 0 };
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
		p->segment_size = (uint32_t)f.segment_size;
		p->id = snap->part.id;
		place.sysid = f.sysid;
		place.epoch = f.epoch;
		rc = need(p, &place, f.stop_tli, lsn_segment(f.start, f.segment_size), f.stop, e);
	}
	p->id = "";
	return rc;
}

static bool
in_lineage(const struct wal_lineage *l, const struct pg_facts *f)
{
	for (size_t i = 0; i < l->levels; i++)
		if (l->level[i].epoch == f->epoch)
			return wal_lineage_bound(l, i, f->stop_tli) >= f->stop;
	return false;
}

/* From the oldest base backup on the active way on: on tiers that receive the WAL. */
static int
need_points(struct proof *p, const struct conf_source *source, const struct bases *b, struct err *e)
{
	struct wal_source ws;
	struct walread_timelines tl = { 0 };
	const struct pg_facts *first = NULL;
	struct err why = { 0 };
	int rc = 0;

	if (wal_source_open(p->s, source, &ws, &why) == -1 || !*ws.active.etag) {
		wal_source_done(&ws);
		return 0; /* nobody knows what the way is; the base backups have their own */
	}
	rc = open_readers(p, &ws.place, e);
	for (size_t i = 0; rc == 0 && i < b->count; i++)
		if (b->base[i].sysid == ws.place.sysid && in_lineage(&p->lineage, &b->base[i]) &&
		    (!first || b->base[i].start < first->start))
			first = &b->base[i];
	if (rc == 0 && first)
		rc = walread_timelines(p->read, p->t, &tl, e);
	/* The active timeline, when anything is there of it. */
	for (size_t i = tl.count; rc == 0 && first && i-- > 0;)
		if (tl.tli[i] <= ws.active.tli) {
			p->segment_size = (uint32_t)first->segment_size;
			rc = need(p, &ws.place, tl.tli[i], lsn_segment(first->start, first->segment_size),
			    UINT64_MAX, e);
			break;
		}
	free(tl.tli);
	wal_source_done(&ws);
	return rc;
}

static int
verify_source(struct proof *p, const struct snapshot_list *l, char (*named)[LAYOUT_NAME],
    int64_t end_ns, struct err *e)
{
	const struct conf_source *source = NULL;
	const struct conf_tier *ct = conf_find_tier(p->s->conf, p->t->name);
	struct bases b = { 0 };
	struct err why = { 0 };
	int rc;

	p->open[p->opens++] = p->t;
	for (size_t i = 0; i < p->s->tiers.count && p->opens < WAL_SOURCE_TIERS; i++)
		if (&p->s->tiers.tier[i] != p->t && p->s->tiers.tier[i].store)
			p->open[p->opens++] = &p->s->tiers.tier[i];
	/* Without them a hole is one. */
	wal_gap_load(p->s->repo, p->open, p->opens, p->source, &p->gaps, &why);
	rc = need_bases(p, l, named, &b, e);
	if (rc == 0 && b.count > 0 && p->o->snapshots == 0 && ct &&
	    conf_find_source(p->s->conf, p->source, &source, NULL) == 0 && source->postgres &&
	    conf_wal_goes_to(p->s->conf, source->postgres, ct))
		rc = need_points(p, source, &b, e);
	sort_names(p);
	if (rc == 0)
		rc = prove_pieces(p, end_ns, e);
	close_readers(p);
	wal_gap_done(&p->gaps);
	free(p->name);
	free(b.base);
	return rc;
}

int
verify_wal(struct session *s, struct tier *t, const struct verify_options *o,
    char (*named)[LAYOUT_NAME], int64_t end_ns, const struct watch *w, struct verify_report *ret,
    struct err *e)
{
	struct snapshot_list l = { 0 };
	const char *source = "";
	int rc = snapshot_list_known(t->store, NULL, &l, e);

	for (size_t i = 0; rc == 0 && i < l.count; i++) {
		struct proof p = { .s = s, .t = t, .o = o, .w = w, .report = ret, .id = "" };

		if (strcmp(source, l.item[i].part.source) == 0)
			continue;
		p.source = source = l.item[i].part.source;
		if (strncmp(source, "pg.", 3) == 0)
			rc = verify_source(&p, &l, named, end_ns, e);
	}
	snapshot_list_done(&l);
	return rc;
}
