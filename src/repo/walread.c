/*
 * A segment is put together from pieces that several hosts cut where they liked. Each piece that is
 * read is laid into the segment; where something lies already, the bytes must be the same, else two
 * histories were mixed and nothing is handed out.
 *
 * "Absent" stops a recovery for good, so it is never concluded from silence: only from listings that
 * were answered in full, by every tier, for every epoch of a lineage that is known to its first.
 * A piece that is listed and cannot be read is not absent either; nor is a hole with something
 * behind it the end of the log.
 *
 * Pieces by their own names come first, and only what they leave open is looked for in bundles: where
 * there are any, the objects are large and may be frozen.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/bundle.h"
#include "repo/walread_parts.h"

#define SPOOL_NAME "the spool"
#define KNOWN_NAME "what its parent wrote"

int
walread_new(const struct walread_options *o, struct walread **ret, struct err *e)
{
	struct walread *r = xcalloc(1, sizeof(*r));

	r->o = *o;
	r->tier = xmemdup(o->tier, o->tiers * sizeof(struct tier *));
	r->o.tier = r->tier;
	buf_init(&r->held.bytes, STORE_OBJECT_MAX);
	if (wal_lineage_load(o->repo, r->tier, o->tiers, &o->place, &r->lineage, e) == -1) {
		walread_free(r);
		return -1;
	}
	*ret = r;
	return 0;
}

void
walread_free(struct walread *r)
{
	if (r == NULL)
		return;
	wal_lineage_done(&r->lineage);
	buf_done(&r->held.bytes);
	free(r->tier);
	free(r);
}

struct wal_place
walread_place(const struct walread *r, size_t level)
{
	struct wal_place p = r->o.place;

	p.epoch = r->lineage.level[level].epoch;
	return p;
}

/* ---- one segment ---- */

/* Something of the segment that a listing told of, or that was read. */
struct part {
	uint64_t start, end; /* as in its name */
	uint64_t to;	     /* what counts of it: up to the fork */
	uint32_t epoch;
	char name[LAYOUT_NAME];
	bool here; /* the tier being asked has it */
	bool laid; /* its bytes are in the segment; of a bundle, as far as they are of it */
};

struct parts {
	struct part *item;
	size_t count, room;
};

struct filling {
	struct walread *r;
	uint32_t tli;
	uint64_t start, size;
	struct buf *out;
	struct parts piece, bundle;
	bool past; /* a listing has gone beyond the segment */
	struct lsn_set have;
	uint64_t bound; /* of the level being asked */
	struct err unknown; /* the first reason why there may be what was not seen */
	struct err damaged; /* the first reason why a piece could not be used */
};

static void
note(struct err *into, const char *where, const struct err *why)
{
	if (into->kind != ERR_NONE)
		return;
	*into = *why;
	err_in(into, "%s", where);
}

static struct part *
add_part(struct filling *f, struct parts *l, uint32_t epoch, uint64_t start, uint64_t end,
    const char *name)
{
	struct part *p;

	l->item = mem_grow(l->item, &l->room, l->count + 1, sizeof(*l->item));
	p = &l->item[l->count++];
	*p = (struct part){
		.start = start,
		.end = end,
		.to = end < f->bound ? end : f->bound,
		.epoch = epoch,
	};
	memcpy(p->name, name, strlen(name) + 1);
	return p;
}

static struct part *
find_part(struct filling *f, struct parts *l, const struct layout_wal *at, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->item[i].name, name) == 0)
			return &l->item[i];
	return add_part(f, l, at->place.epoch, at->start, at->end, name);
}

/* Begins it in this segment? What begins beyond the fork is somebody else's history. */
static bool
begins_here(const struct filling *f, const struct layout_wal *at)
{
	return at->start >= f->start && at->start < f->start + f->size && at->start < f->bound;
}

static int
see_piece(void *arg, const struct store_entry *entry, struct err *e)
{
	struct filling *f = arg;
	struct layout_wal at;

	(void)e;
	if (layout_wal_parse(entry->name, &at) == 0 && at.kind == LAYOUT_WAL_PIECE &&
	    begins_here(f, &at))
		find_part(f, &f->piece, &at, entry->name)->here = true;
	return 0;
}

static int
see_bundle(void *arg, const struct store_entry *entry, struct err *e)
{
	struct filling *f = arg;
	struct layout_wal at;

	(void)e;
	if (layout_wal_parse(entry->name, &at) == -1 || at.kind != LAYOUT_WAL_BUNDLE)
		return 0;
	f->past = at.start >= f->start + f->size;
	if (f->past)
		return -1;
	if (at.end > f->start && at.start < f->bound)
		find_part(f, &f->bundle, &at, entry->name)->here = true;
	return 0;
}

/*
 * A piece that is the whole segment, and the first: its memory becomes the segment's.
 */
static bool
hand_over(struct filling *f, struct part *p, struct buf *wal)
{
	struct buf *out = f->out, was = *out;

	if (f->have.count > 0 || p->start != f->start || p->to - p->start != f->size ||
	    wal->len != f->size)
		return false;
	out->data = wal->data;
	out->room = wal->room;
	wal->data = was.data;
	wal->room = was.room;
	wal->len = 0;
	lsn_set_add(&f->have, p->start, p->to);
	p->laid = true;
	return true;
}

/*
 * Lays the bytes of a part into the segment, up to the fork. What lies there already must be the
 * same: ERR_CORRUPT names both.
 */
static int
lay(struct filling *f, struct part *p, const uint8_t *wal, struct err *e)
{
	char text[LSN_TEXT];

	for (size_t i = 0; i < f->piece.count; i++) {
		const struct part *q = &f->piece.item[i];
		uint64_t from = q->start > p->start ? q->start : p->start;
		uint64_t to = q->to < p->to ? q->to : p->to;

		if (q->laid && from < to && memcmp(f->out->data + (from - f->start),
		    wal + (from - p->start), to - from) != 0) {
			f->r->parted = from;
			return err_set(e, ERR_CORRUPT, "timeline %u has two histories at %s or "
			    "behind it: '%s' and '%s' differ", f->tli, lsn_text(from, text),
			    q->name, p->name);
		}
	}
	memcpy(f->out->data + (p->start - f->start), wal, p->to - p->start);
	lsn_set_add(&f->have, p->start, p->to);
	p->laid = true;
	return 0;
}

static void
lay_known(struct filling *f, const struct buf *known)
{
	struct part *p;

	f->bound = UINT64_MAX;
	p = add_part(f, &f->piece, f->r->o.place.epoch, f->start, f->start + known->len, KNOWN_NAME);
	lay(f, p, known->data, NULL);
}

/* What could not be had of a tier. */
static void
note_of(struct filling *f, struct tier *t, const struct err *why)
{
	if (why->kind == ERR_REMOTE)
		t->why = *why;
	note(why->kind == ERR_REMOTE ? &f->unknown : &f->damaged, t->name, why);
}

/* Lays a piece, sealed as a tier gave it. 0 laid, or it is noted why not; -1 ends everything. */
static int
use_piece(struct filling *f, struct tier *t, struct part *p, const struct buf *sealed,
    struct err *e)
{
	struct err why = { 0 };
	struct piece piece;
	struct buf wal;
	int rc = 0;

	buf_init(&wal, PIECE_MAX);
	if (piece_read(f->r->o.repo->keys, p->name, sealed, &piece, &wal, &why) == -1)
		note_of(f, t, &why);
	else if (piece.segment_size != f->size)
		rc = err_set(e, ERR_CORRUPT, "'%s' is of a server with segments of %u bytes, not "
		    "%" PRIu64, p->name, piece.segment_size, f->size);
	else if (!hand_over(f, p, &wal))
		rc = lay(f, p, wal.data, e);
	buf_done(&wal);
	return rc;
}

static int
read_piece(struct filling *f, struct tier *t, struct part *p, struct err *e)
{
	struct err why = { 0 };
	struct buf sealed;
	int rc = 0;

	buf_init(&sealed, STORE_OBJECT_MAX);
	if (store_get(t->store, p->name, &sealed, &why) == -1)
		note_of(f, t, &why);
	else
		rc = use_piece(f, t, p, &sealed, e);
	buf_done(&sealed);
	return rc;
}

/* A bundle is kept until another one is asked for: the next segment most likely lies in it, too. */
static int
hold_bundle(struct walread *r, struct tier *t, const char *name, struct err *e)
{
	if (r->held.tier == t && strcmp(r->held.name, name) == 0)
		return 0;
	r->held.tier = NULL;
	buf_reset(&r->held.bytes);
	if (store_get(t->store, name, &r->held.bytes, e) == -1)
		return -1;
	r->held.tier = t;
	memcpy(r->held.name, name, strlen(name) + 1);
	return 0;
}

/*
 * What its pieces left open of the part that it has by its name. A bundle that ends early, or is empty,
 * has nothing in it that does not open; and what nobody misses is taken for the end of the log.
 */
static bool
is_kept(const struct filling *f, const struct part *b, struct err *e)
{
	const uint64_t from = b->start > f->start ? b->start : f->start;
	const uint64_t end = f->start + f->size, to = b->to < end ? b->to : end;
	char text[LSN_TEXT];

	if (lsn_set_has(&f->have, from, to))
		return true;
	err_set(e, ERR_CORRUPT, "'%s' promises more than it has: not all of timeline %u from %s on is in "
	    "it", b->name, f->tli, lsn_text(from, text));
	return false;
}

/* What of the segment lies in a bundle. One piece that is bad costs no other. */
static int
read_bundle(struct filling *f, struct tier *t, struct part *b, struct err *e)
{
	struct walread *r = f->r;
	struct bundle_piece one;
	struct bundle_walk w;
	struct err why = { 0 };
	int got, rc = 0;

	if (hold_bundle(r, t, b->name, &why) == -1 ||
	    bundle_begin(&w, r->o.repo->keys, b->name, &r->held.bytes, &why) == -1) {
		note_of(f, t, &why);
		return 0;
	}
	b->laid = true;
	while (rc == 0 && (got = bundle_next(&w, &one, &why)) != 0) {
		struct part *p;

		if (got == -1) {
			err_in(&why, "'%s'", b->name);
			note_of(f, t, &why);
			err_clear(&why);
			b->laid = false;
			continue;
		}
		if (!begins_here(f, &one.at))
			continue;
		p = find_part(f, &f->piece, &one.at, one.name);
		if (!p->laid)
			rc = use_piece(f, t, p, &one.sealed, e);
		b->laid = b->laid && p->laid;
	}
	if (rc == 0 && b->laid && !is_kept(f, b, &why)) {
		note_of(f, t, &why);
		b->laid = false;
	}
	if (!b->laid) /* it may be mended before it is asked for again */
		r->held.tier = NULL;
	return rc;
}

static bool
is_whole(const struct filling *f)
{
	return lsn_set_has(&f->have, f->start, f->start + f->size);
}

/* Which of its pieces or bundles a tier has. */
static void
list_parts(struct filling *f, struct tier *t, struct parts *l, const char *prefix,
    const char *after, store_seen *seen)
{
	struct err why = { 0 };

	f->past = false;
	for (size_t i = 0; i < l->count; i++)
		l->item[i].here = false;
	if (store_list(t->store, prefix, after, seen, f, &why) == -1 && !f->past) {
		note(&f->unknown, t->name, &why);
		if (why.kind == ERR_REMOTE)
			t->why = why;
	}
}

/* What a tier has of one epoch. */
static int
ask_level(struct filling *f, struct tier *t, size_t level, struct err *e)
{
	struct wal_place p = walread_place(f->r, level);
	char prefix[LAYOUT_NAME], after[LAYOUT_NAME];
	const bool far = f->start > LAYOUT_WAL_BUNDLE_SPAN;
	int rc = 0;

	f->bound = wal_lineage_bound(&f->r->lineage, level, f->tli);
	if (f->bound <= f->start)
		return 0;
	layout_wal_of_segment(&p, f->tli, f->start, f->size, prefix);
	list_parts(f, t, &f->piece, prefix, NULL, see_piece);
	for (size_t i = 0; i < f->piece.count && rc == 0 && t->why.kind == ERR_NONE; i++)
		if (f->piece.item[i].here && !f->piece.item[i].laid)
			rc = read_piece(f, t, &f->piece.item[i], e);
	if (rc == -1 || t->why.kind != ERR_NONE || is_whole(f))
		return rc;
	layout_wal_bundles_of_timeline(&p, f->tli, prefix);
	layout_wal_bundle(&p, f->tli, far ? f->start - LAYOUT_WAL_BUNDLE_SPAN : 0, 0, after);
	list_parts(f, t, &f->bundle, prefix, far ? after : NULL, see_bundle);
	for (size_t i = 0; i < f->bundle.count && rc == 0 && t->why.kind == ERR_NONE; i++)
		if (f->bundle.item[i].here && !f->bundle.item[i].laid)
			rc = read_bundle(f, t, &f->bundle.item[i], e);
	return rc;
}

static int
ask_tier(struct filling *f, struct tier *t, struct err *e)
{
	int rc = 0;

	if (t->store == NULL) {
		struct err why = t->why;

		if (why.kind == ERR_NONE)
			err_set(&why, ERR_REMOTE, "not opened");
		note(&f->unknown, t->name, &why);
		return 0;
	}
	err_clear(&t->why);
	for (size_t i = 0; i < f->r->lineage.levels && rc == 0 && !is_whole(f); i++) {
		/* It may have gone away between two epochs. */
		if (t->why.kind == ERR_NONE)
			rc = ask_level(f, t, i, e);
	}
	return rc;
}

/* What of the segment the spool has of one epoch. */
static int
ask_spool(struct filling *f, size_t level, struct err *e)
{
	struct wal_place p = walread_place(f->r, level);
	struct lsn_set held = { 0 };
	struct err why = { 0 };
	struct buf wal;
	int rc = 0;

	f->bound = wal_lineage_bound(&f->r->lineage, level, f->tli);
	if (f->bound <= f->start)
		return 0;
	buf_init(&wal, (size_t)f->size);
	if (spool_dir_ranges(f->r->o.spool, &p, f->tli, &held, &why) == -1)
		note(&f->unknown, SPOOL_NAME, &why);
	for (size_t i = 0; i < held.count && rc == 0; i++) {
		uint64_t from = held.range[i].from, to = held.range[i].to;

		if (from < f->start)
			from = f->start;
		if (to > f->start + f->size)
			to = f->start + f->size;
		if (from >= to || from >= f->bound)
			continue;
		buf_reset(&wal);
		if (spool_dir_read(f->r->o.spool, &p, f->tli, from, to, &wal, &why) == -1)
			note(&f->unknown, SPOOL_NAME, &why);
		else if (wal.len > 0)
			rc = lay(f, add_part(f, &f->piece, p.epoch, from, from + wal.len, SPOOL_NAME),
			    wal.data, e);
	}
	lsn_set_done(&held);
	buf_done(&wal);
	return rc;
}

/* Was one listed that goes on behind, and could not be used? */
static bool
is_open(const struct parts *l, uint64_t until)
{
	for (size_t i = 0; i < l->count; i++)
		if (!l->item[i].laid && l->item[i].to > until)
			return true;
	return false;
}

/* All has been asked and the segment is not whole: what is proved by that? */
static int
judge(const struct filling *f, uint64_t until, struct err *e)
{
	const struct err *lineage = &f->r->lineage.unknown;
	char from[LSN_TEXT], to[LSN_TEXT];

	if (f->unknown.kind != ERR_NONE || lineage->kind != ERR_NONE) {
		const struct err *why = f->unknown.kind != ERR_NONE ? &f->unknown : lineage;

		return err_set(e, why->kind, "WAL of timeline %u from %s on: whether there is more "
		    "is not known: %s", f->tli, lsn_text(until, from), why->text);
	}
	if (is_open(&f->piece, until) || is_open(&f->bundle, until))
		return err_set(e, f->damaged.kind, "WAL of timeline %u from %s on cannot be "
		    "read: %s", f->tli, lsn_text(until, from), f->damaged.text);
	for (size_t i = 0; i < f->have.count; i++)
		if (f->have.range[i].from > until)
			return err_set(e, ERR_CORRUPT, "WAL of timeline %u from %s to %s is on no "
			    "tier that was asked, yet more is behind it", f->tli,
			    lsn_text(until, from), lsn_text(f->have.range[i].from, to));
	return 0;
}

static int
fill(struct filling *f, uint64_t *until, struct err *e)
{
	struct walread *r = f->r;
	struct tier **order = xcalloc(r->o.tiers + 1, sizeof(struct tier *));
	size_t n = 0;
	int rc = 0;

	/* Those that did not answer lately come last. */
	for (int late = 0; late <= 1; late++)
		for (size_t i = 0; i < r->o.tiers; i++)
			if ((r->tier[i]->why.kind != ERR_NONE) == late)
				order[n++] = r->tier[i];
	for (size_t i = 0; i < n && rc == 0 && !is_whole(f); i++)
		rc = ask_tier(f, order[i], e);
	free(order);
	for (size_t i = 0; i < r->lineage.levels && r->o.spool != NULL && rc == 0 && !is_whole(f); i++)
		rc = ask_spool(f, i, e);
	*until = lsn_set_end(&f->have, f->start);
	if (rc == -1)
		return -1;
	return is_whole(f) ? 1 : judge(f, *until, e);
}

int
walread_segment(struct walread *r, uint32_t tli, uint64_t start, uint64_t segment_size,
    struct buf *out, uint64_t *until, struct err *e)
{
	return walread_segment_upon(r, tli, start, segment_size, NULL, out, until, e);
}

int
walread_segment_upon(struct walread *r, uint32_t tli, uint64_t start, uint64_t segment_size,
    const struct buf *known, struct buf *out, uint64_t *until, struct err *e)
{
	struct filling f = { .r = r, .tli = tli, .start = start, .size = segment_size, .out = out };
	int rc;

	*until = start;
	r->parted = 0;
	buf_reset(out);
	if (!lsn_segment_valid(segment_size) || lsn_segment(start, segment_size) != start)
		return err_set(e, ERR_BUG, "no segment of %" PRIu64 " bytes begins at %" PRIu64,
		    segment_size, start);
	if (buf_reserve(out, (size_t)segment_size) == NULL)
		return buf_check(out, "a segment of WAL", e);
	if (known && known->len > 0 && known->len <= segment_size)
		lay_known(&f, known);
	rc = fill(&f, until, e);
	out->len = (size_t)(*until - start);
	out->data[out->len] = '\0';
	lsn_set_done(&f.have);
	free(f.piece.item);
	free(f.bundle.item);
	return rc;
}

uint64_t
walread_parted(const struct walread *r)
{
	return r->parted;
}

int
walread_history(struct walread *r, uint32_t tli, struct buf *out, struct err *e)
{
	struct err unknown = r->lineage.unknown, why = { 0 };
	char name[LAYOUT_NAME];

	for (size_t i = 0; i < r->lineage.levels; i++) {
		struct wal_place p = walread_place(r, i);
		int rc;

		if (wal_lineage_bound(&r->lineage, i, tli) == 0)
			continue;
		rc = wal_lineage_fetch(r->o.repo, r->tier, r->o.tiers,
		    layout_wal_history(&p, tli, name), out, &why);
		if (rc == 1)
			return 1;
		if (rc == -1 && unknown.kind == ERR_NONE)
			unknown = why;
	}
	return unknown.kind == ERR_NONE ? 0 : err_set(e, unknown.kind,
	    "history of timeline %u: %s", tli, unknown.text);
}
