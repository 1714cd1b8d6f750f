/*
 * Bytes are read straight into slabs of a mebibyte; a slab remembers which pieces of it are which
 * grains of which entry. A worker gives every piece its id; the slabs come back in order and their
 * pieces are handed on. So a million small files cost a few thousand tasks, a large file is hashed
 * by all workers, and nothing is copied on the way.
 *
 * A grain never straddles two slabs: a slab whose rest is too small for the grain that begins is
 * sent as it is.
 *
 * A stretch that a worker loads is a piece, too, with room kept for it and for its ids: how many
 * grains it became is known only when the slab is back.
 */
#include "repo/cut.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/pool.h"
#include "repo/proof.h"

/* 1 MiB: eight grains, half a millisecond of hashing; small against the caches of a core. */
#define SLAB (1u << 20)
/* Bounds what many empty files can pile up in one slab. */
#define SLAB_PIECES 2048
/* Bounds how many small files are held open by those who load them. */
#define SLAB_STRETCHES 8
/* Slabs that are kept by others. */
#define SLABS_HELD 8
/* Slabs under way per worker: one being hashed, one waiting, one coming back. */
#define SLABS_OUT 3

enum piece_kind { PIECE_GRAIN, PIECE_ZEROS, PIECE_STRETCH, PIECE_END };

/* What a worker finds out about a grain. */
struct found {
	uint8_t id[GRAIN_ID_LEN];
	uint32_t sum;
};

struct piece {
	enum piece_kind kind;
	void *entry;
	uint32_t off, len;
	uint64_t zeros;
	struct found found;
	unsigned stretch; /* which of its slab */
};

/* What a worker loads: len bytes of the piece, of which it gets `bytes`, and `have` count. */
struct stretch {
	struct cut_loader by;
	uint64_t at; /* in the entry */
	size_t grain_size;
	size_t first; /* of its grains, in the slab's */
	size_t bytes, have;
	struct err *err; /* why it could not be loaded; NULL */
};

struct cut_memory {
	struct cut *owner;
	unsigned holds;
	bool over; /* its pieces have been delivered */
};

struct slab {
	struct cut_memory memory; /* first: others name the slab by it */
	const struct digest_idkey *key;
	uint8_t *data;
	size_t used;
	struct piece piece[SLAB_PIECES];
	size_t pieces;
	struct stretch stretch[SLAB_STRETCHES];
	unsigned stretches;
	struct found *found; /* of what is loaded */
	size_t founds, found_room;
};

struct cut {
	const struct digest_idkey *key;
	struct cut_target target;
	struct pool *pool;
	struct slab *spare[64]; /* empty ones, kept */
	size_t spares;
	struct slab *slab; /* being filled */
	unsigned held;	   /* slabs that somebody keeps */

	void *entry; /* begun, not ended */
	size_t grain_size;
	uint64_t expected;
	size_t begun; /* bytes of the grain that is being filled, at the slab's end */
	uint64_t at;  /* bytes of the entry that went in, or are announced */
	bool whole;   /* a load ended within a grain: nothing more may come */
	struct cut_loaded got; /* of the entry that comes out */
	bool failed;
	struct err err;
};

static bool
is_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* ---- in workers ---- */

/* A grain that waits for another of its length: two are hashed at once. */
struct waiting {
	const uint8_t *data; /* NULL: none does */
	size_t n;
	struct found *ret;
};

static void
hash_waiting(const struct slab *s, struct waiting *w)
{
	if (!w->data)
		return;
	digest_id(s->key, w->data, w->n, w->ret->id);
	w->ret->sum = proof_grain(w->ret->id, w->data, w->n);
	w->data = NULL;
}

/* *ret is there at the latest after hash_waiting(). */
static void
hash_grain(
    const struct slab *s, struct waiting *w, const uint8_t *data, size_t n, struct found *ret)
{
	*ret = (struct found){0};
	if (is_zero(data, n))
		return;
	if (w->data && w->n == n) {
		digest_id_pair(s->key, w->data, data, n, w->ret->id, ret->id);
		w->ret->sum = proof_grain(w->ret->id, w->data, n);
		ret->sum = proof_grain(ret->id, data, n);
		w->data = NULL;
		return;
	}
	hash_waiting(s, w);
	*w = (struct waiting){ data, n, ret };
}

/* Fills the room of the stretch: how many bytes of it count, or -1. */
static ssize_t
fill_stretch(struct stretch *t, uint8_t *data, size_t n, struct err *e)
{
	ssize_t got = n > 0 ? t->by.load(t->by.arg, t->at, data, n, e) : 0;

	if (got < 0)
		return -1;
	t->bytes = (size_t)got;
	if (t->bytes > n)
		return err_set(e, ERR_BUG, "a loader brought %zu bytes where %zu were asked for",
		    t->bytes, n);
	if (!t->by.pad)
		return got;
	memset(data + t->bytes, 0, n - t->bytes);
	return (ssize_t)n;
}

static void
load_stretch(struct slab *s, struct waiting *w, const struct piece *p)
{
	struct stretch *t = &s->stretch[p->stretch];
	uint8_t *data = s->data + p->off;
	struct err why = {0};
	ssize_t have = fill_stretch(t, data, p->len, &why);

	if (have == -1) {
		t->err = xmemdup(&why, sizeof(why));
		return;
	}
	t->have = (size_t)have;
	for (size_t off = 0, i = t->first; off < t->have; off += t->grain_size, i++) {
		size_t n = t->have - off < t->grain_size ? t->have - off : t->grain_size;

		hash_grain(s, w, data + off, n, &s->found[i]);
	}
}

static void
work_slab(void *task)
{
	struct slab *s = task;
	struct waiting w = { 0 };

	for (size_t i = 0; i < s->pieces; i++) {
		struct piece *p = &s->piece[i];

		if (p->kind == PIECE_GRAIN)
			hash_grain(s, &w, s->data + p->off, p->len, &p->found);
		else if (p->kind == PIECE_STRETCH)
			load_stretch(s, &w, p);
	}
	hash_waiting(s, &w);
}

/* ---- slabs ---- */

struct cut *
cut_new(const struct digest_idkey *key, const struct cut_target *target, unsigned workers)
{
	struct cut *c = xcalloc(1, sizeof(*c));
	size_t window = workers > 0 ? (size_t)workers * SLABS_OUT : 1;

	if (window > ARRAY_LEN(c->spare) - 1)
		window = ARRAY_LEN(c->spare) - 1;
	c->key = key;
	c->target = *target;
	c->pool = pool_new(workers, window);
	return c;
}

static void
slab_free(struct slab *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->stretches; i++)
		free(s->stretch[i].err);
	free(s->found);
	free(s->data);
	free(s);
}

/* Empty, for others. */
static void
slab_reset(struct slab *s)
{
	for (unsigned i = 0; i < s->stretches; i++)
		free(s->stretch[i].err);
	s->memory.over = false;
	s->used = s->pieces = s->founds = 0;
	s->stretches = 0;
}

/* Drops the entries whose end was not delivered. */
static void
slab_drop(struct cut *c, struct slab *s)
{
	for (size_t i = 0; s && i < s->pieces; i++)
		if (s->piece[i].kind == PIECE_END)
			c->target.drop(c->target.arg, s->piece[i].entry);
	slab_free(s);
}

void
cut_free(struct cut *c)
{
	struct slab *s;

	if (!c)
		return;
	while ((s = pool_take(c->pool)))
		slab_drop(c, s);
	slab_drop(c, c->slab);
	if (c->entry)
		c->target.drop(c->target.arg, c->entry);
	pool_free(c->pool);
	while (c->spares > 0)
		slab_free(c->spare[--c->spares]);
	free(c);
}

static struct slab *
slab_new(struct cut *c)
{
	struct slab *s;

	if (c->spares > 0)
		return c->spare[--c->spares];
	s = xcalloc(1, sizeof(*s));
	s->memory.owner = c;
	s->key = c->key;
	s->data = xmalloc(SLAB);
	return s;
}

/* Nobody needs what is in it. */
static void
slab_keep(struct cut *c, struct slab *s)
{
	slab_reset(s);
	if (c->spares < ARRAY_LEN(c->spare))
		c->spare[c->spares++] = s;
	else
		slab_free(s);
}

bool
cut_hold(struct cut_memory *m)
{
	if (m->holds == 0) {
		if (m->owner->held == SLABS_HELD)
			return false;
		m->owner->held++;
	}
	m->holds++;
	return true;
}

void
cut_release(struct cut_memory *m)
{
	if (--m->holds > 0)
		return;
	m->owner->held--;
	if (m->over)
		slab_keep(m->owner, (struct slab *)m);
}

/* ---- what comes out ---- */

static int
deliver_stretch(struct cut *c, struct slab *s, const struct piece *p, struct err *e)
{
	const struct stretch *t = &s->stretch[p->stretch];
	struct cut_grain g = {.data = s->data + p->off, .memory = &s->memory};
	const struct found *found = s->found + t->first;

	if (t->err) {
		*e = *t->err;
		return -1;
	}
	for (size_t left = t->have; left > 0; left -= g.len, g.data += g.len) {
		g.len = (uint32_t)(left < t->grain_size ? left : t->grain_size);
		memcpy(g.id, found->id, sizeof(g.id));
		g.sum = found++->sum;
		if (c->target.grain(c->target.arg, p->entry, &g, e) == -1)
			return -1;
	}
	c->got.bytes += t->bytes;
	c->got.padded += t->have - t->bytes;
	c->got.cut_short = t->have < p->len;
	return 0;
}

static int
deliver(struct cut *c, struct slab *s, const struct piece *p, struct err *e)
{
	struct cut_grain g = {.len = p->len, .memory = &s->memory};
	struct cut_loaded got = c->got;

	if (p->kind == PIECE_END) {
		c->got = (struct cut_loaded){0};
		return c->target.end(c->target.arg, p->entry, &got, e);
	}
	if (got.cut_short)
		return 0;
	if (p->kind == PIECE_STRETCH)
		return deliver_stretch(c, s, p, e);
	if (p->kind == PIECE_ZEROS)
		g.zeros = p->zeros;
	else
		g.data = s->data + p->off;
	memcpy(g.id, p->found.id, sizeof(g.id));
	g.sum = p->found.sum;
	return c->target.grain(c->target.arg, p->entry, &g, e);
}

/* After a failure the rest is only let go, so that every entry is either ended or dropped, once. */
static void
take_slab(struct cut *c, struct slab *s)
{
	for (size_t i = 0; i < s->pieces; i++) {
		struct piece *p = &s->piece[i];

		if (!c->failed)
			c->failed = deliver(c, s, p, &c->err) == -1;
		else if (p->kind == PIECE_END)
			c->target.drop(c->target.arg, p->entry);
	}
	s->memory.over = true;
	if (s->memory.holds == 0)
		slab_keep(c, s);
}

static int
failed(const struct cut *c, struct err *e)
{
	if (!c->failed)
		return 0;
	*e = c->err;
	return -1;
}

/* May bytes go in? */
static int
ready(const struct cut *c, struct err *e)
{
	if (c->whole && !c->failed)
		return err_set(e, ERR_BUG,
		    "bytes came for a file after a load that did not end with a grain");
	return failed(c, e);
}

/* ---- what goes in ---- */

/* Sends what is complete; a grain that is being filled moves to the next slab. */
static void
send_slab(struct cut *c)
{
	struct slab *s = c->slab, *done, *next = NULL;

	if (c->begun > 0) {
		next = slab_new(c);
		memcpy(next->data, s->data + s->used, c->begun);
	}
	c->slab = next;
	if (pool_full(c->pool))
		take_slab(c, pool_take(c->pool));
	pool_submit(c->pool, work_slab, s);
	while ((done = pool_take_ready(c->pool)))
		take_slab(c, done);
}

static struct piece *
add_piece(struct cut *c, enum piece_kind kind)
{
	struct piece *p;

	if (!c->slab)
		c->slab = slab_new(c);
	else if (c->slab->pieces == SLAB_PIECES) {
		send_slab(c);
		if (!c->slab)
			c->slab = slab_new(c);
	}
	p = &c->slab->piece[c->slab->pieces++];
	*p = (struct piece){.kind = kind, .entry = c->entry};
	return p;
}

void
cut_begin(struct cut *c, void *entry, uint8_t grain_log2, uint64_t expected)
{
	c->entry = entry;
	c->grain_size = (size_t)1 << grain_log2;
	c->expected = expected;
	c->begun = 0;
	c->at = 0;
	c->whole = false;
}

uint8_t *
cut_space(struct cut *c, size_t *room, struct err *e)
{
	size_t want = c->grain_size;

	if (ready(c, e) == -1)
		return NULL;
	if (c->expected > 0 && c->expected < want)
		want = c->expected;
	if (c->begun > 0)
		want = c->grain_size;
	if (c->slab && (c->slab->used + want > SLAB || c->slab->pieces == SLAB_PIECES))
		send_slab(c);
	if (!c->slab)
		c->slab = slab_new(c);
	*room = SLAB - c->slab->used - c->begun;
	return c->slab->data + c->slab->used + c->begun;
}

/* The first n of the bytes begun are a grain. */
static void
close_grain(struct cut *c, size_t n)
{
	struct piece *p;

	if (c->slab->pieces == SLAB_PIECES)
		send_slab(c);
	p = add_piece(c, PIECE_GRAIN);
	p->off = (uint32_t)c->slab->used;
	p->len = (uint32_t)n;
	c->slab->used += n;
	c->begun -= n;
}

int
cut_filled(struct cut *c, size_t n, struct err *e)
{
	c->begun += n;
	c->at += n;
	c->expected -= n < c->expected ? n : c->expected;
	while (c->begun >= c->grain_size)
		close_grain(c, c->grain_size);
	return failed(c, e);
}

/* Zeros that only fill up a grain others have a part in go through memory like any bytes. */
static int
fill_zeros(struct cut *c, uint64_t n, struct err *e)
{
	while (n > 0) {
		size_t room, part;
		uint8_t *p = cut_space(c, &room, e);

		if (!p)
			return -1;
		part = n < room ? (size_t)n : room;
		memset(p, 0, part);
		if (cut_filled(c, part, e) == -1)
			return -1;
		n -= part;
	}
	return 0;
}

int
cut_zeros(struct cut *c, uint64_t n, struct err *e)
{
	uint64_t lead = c->begun > 0 ? c->grain_size - c->begun : 0;

	if (ready(c, e) == -1)
		return -1;
	if (lead > n)
		lead = n;
	if (fill_zeros(c, lead, e) == -1)
		return -1;
	n -= lead;
	if (n >= c->grain_size) {
		struct piece *p = add_piece(c, PIECE_ZEROS);

		p->zeros = n / c->grain_size;
		p->len = (uint32_t)c->grain_size;
		n -= p->zeros * c->grain_size;
		c->at += p->zeros * c->grain_size;
	}
	return fill_zeros(c, n, e);
}

/* Room for a stretch of n bytes, and for its ids, in the slab at hand or a new one. */
static void
add_stretch(struct cut *c, size_t n, const struct cut_loader *l)
{
	struct slab *s = c->slab;
	struct stretch *t;
	struct piece *p;

	if (s && (s->used + n > SLAB || s->pieces == SLAB_PIECES ||
		     s->stretches == SLAB_STRETCHES))
		send_slab(c);
	p = add_piece(c, PIECE_STRETCH);
	s = c->slab;
	p->off = (uint32_t)s->used;
	p->len = (uint32_t)n;
	p->stretch = s->stretches++;
	t = &s->stretch[p->stretch];
	*t = (struct stretch){
	    .by = *l, .at = c->at, .grain_size = c->grain_size, .first = s->founds};
	s->used += n;
	s->founds += (n + c->grain_size - 1) / c->grain_size;
	s->found = mem_grow(s->found, &s->found_room, s->founds + 1, sizeof(*s->found));
	c->at += n;
}

int
cut_load(struct cut *c, uint64_t n, const struct cut_loader *l, struct err *e)
{
	if (ready(c, e) == -1)
		return -1;
	if (c->begun > 0)
		return err_set(e, ERR_BUG, "a load began within a grain");
	do {
		size_t part = n < SLAB ? (size_t)n : SLAB;

		add_stretch(c, part, l);
		n -= part;
	} while (n > 0 && !c->failed);
	c->whole = c->at % c->grain_size != 0;
	return failed(c, e);
}

int
cut_end(struct cut *c, struct err *e)
{
	if (c->begun > 0)
		close_grain(c, c->begun);
	add_piece(c, PIECE_END);
	c->entry = NULL;
	return failed(c, e);
}

int
cut_flush(struct cut *c, struct err *e)
{
	struct slab *s;

	if (c->slab)
		send_slab(c);
	while ((s = pool_take(c->pool)))
		take_slab(c, s);
	return failed(c, e);
}
