/*
 * A segment is put together from pieces that several hosts cut where they liked. Each piece that is
 * read is laid into the segment; where something lies already, the bytes must be the same, else two
 * histories were mixed and nothing is handed out.
 *
 * "Absent" stops a recovery for good, so it is never concluded from silence: only from listings that
 * were answered in full, by every tier, for every epoch of a lineage that is known to its first.
 * A piece that is listed and cannot be read is not absent either; nor is a hole with something
 * behind it the end of the log.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
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
	bool laid; /* its bytes are in the segment */
};

struct filling {
	struct walread *r;
	uint32_t tli;
	uint64_t start, size;
	struct buf *out;
	struct part *part;
	size_t parts, room;
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
add_part(struct filling *f, uint32_t epoch, uint64_t start, uint64_t end, const char *name)
{
	struct part *p;

	f->part = mem_grow(f->part, &f->room, f->parts + 1, sizeof(*f->part));
	p = &f->part[f->parts++];
	*p = (struct part){
		.start = start,
		.end = end,
		.to = end < f->bound ? end : f->bound,
		.epoch = epoch,
	};
	memcpy(p->name, name, strlen(name) + 1);
	return p;
}

/* A piece of this segment; what begins beyond the fork is somebody else's history. */
static int
see_piece(void *arg, const struct store_entry *entry, struct err *e)
{
	struct filling *f = arg;
	struct layout_wal at;
	size_t i;

	(void)e;
	if (layout_wal_parse(entry->name, &at) == -1 || at.kind != LAYOUT_WAL_PIECE ||
	    at.start < f->start || at.start >= f->start + f->size || at.start >= f->bound)
		return 0;
	for (i = 0; i < f->parts; i++)
		if (strcmp(f->part[i].name, entry->name) == 0)
			break;
	if (i == f->parts)
		add_part(f, at.place.epoch, at.start, at.end, entry->name);
	f->part[i].here = true;
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

	for (size_t i = 0; i < f->parts; i++) {
		const struct part *q = &f->part[i];
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
	p = add_part(f, f->r->o.place.epoch, f->start, f->start + known->len, KNOWN_NAME);
	lay(f, p, known->data, NULL);
}

/* Reads a piece from a tier. 0 laid, or it is noted why not; -1 ends everything. */
static int
read_piece(struct filling *f, struct tier *t, struct part *p, struct err *e)
{
	struct err why = { 0 };
	struct buf sealed, wal;
	struct piece piece;
	int rc = 0;

	buf_init(&sealed, STORE_OBJECT_MAX);
	buf_init(&wal, PIECE_MAX);
	if (store_get(t->store, p->name, &sealed, &why) == -1 ||
	    piece_read(f->r->o.repo->keys, p->name, &sealed, &piece, &wal, &why) == -1) {
		if (why.kind == ERR_REMOTE)
			t->why = why;
		note(why.kind == ERR_REMOTE ? &f->unknown : &f->damaged, t->name, &why);
	} else if (piece.segment_size != f->size) {
		rc = err_set(e, ERR_CORRUPT, "'%s' is of a server with segments of %u bytes, not "
		    "%" PRIu64, p->name, piece.segment_size, f->size);
	} else if (!hand_over(f, p, &wal)) {
		rc = lay(f, p, wal.data, e);
	}
	buf_done(&sealed);
	buf_done(&wal);
	return rc;
}

static bool
is_whole(const struct filling *f)
{
	return lsn_set_has(&f->have, f->start, f->start + f->size);
}

/* What a tier has of one epoch. */
static int
ask_level(struct filling *f, struct tier *t, size_t level, struct err *e)
{
	struct wal_place p = walread_place(f->r, level);
	char prefix[LAYOUT_NAME];
	struct err why = { 0 };
	int rc = 0;

	f->bound = wal_lineage_bound(&f->r->lineage, level, f->tli);
	if (f->bound <= f->start)
		return 0;
	layout_wal_of_segment(&p, f->tli, f->start, f->size, prefix);
	for (size_t i = 0; i < f->parts; i++)
		f->part[i].here = false;
	if (store_list(t->store, prefix, NULL, see_piece, f, &why) == -1) {
		note(&f->unknown, t->name, &why);
		if (why.kind == ERR_REMOTE)
			t->why = why;
	}
	for (size_t i = 0; i < f->parts && rc == 0 && t->why.kind == ERR_NONE; i++)
		if (f->part[i].here && !f->part[i].laid)
			rc = read_piece(f, t, &f->part[i], e);
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
			rc = lay(f, add_part(f, p.epoch, from, from + wal.len, SPOOL_NAME),
			    wal.data, e);
	}
	lsn_set_done(&held);
	buf_done(&wal);
	return rc;
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
	for (size_t i = 0; i < f->parts; i++)
		if (!f->part[i].laid && f->part[i].to > until)
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
	free(f.part);
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
