/*
 * Bytes are read straight into slabs of a mebibyte; a slab remembers which pieces of it are which
 * grains of which entry. A worker gives every piece its id; the slabs come back in order and their
 * pieces are handed on. So a million small files cost a few thousand tasks, a large file is hashed
 * by all workers, and nothing is copied on the way.
 *
 * A grain never straddles two slabs: a slab whose rest is too small for the grain that begins is
 * sent as it is.
 */
#include "repo/cut.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/pool.h"

/* 1 MiB: eight grains, half a millisecond of hashing; small against the caches of a core. */
#define SLAB (1u << 20)
/* Bounds what many empty files can pile up in one slab. */
#define SLAB_PIECES 2048
/* Slabs under way per worker: one being hashed, one waiting, one coming back. */
#define SLABS_OUT 3

enum piece_kind { PIECE_GRAIN, PIECE_ZEROS, PIECE_END };

struct piece {
	enum piece_kind kind;
	void *entry;
	uint32_t off, len;
	uint64_t zeros;
	uint8_t id[GRAIN_ID_LEN];
};

struct slab {
	const struct digest_idkey *key;
	uint8_t *data;
	size_t used;
	struct piece piece[SLAB_PIECES];
	size_t pieces;
};

struct cut {
	const struct digest_idkey *key;
	struct cut_target target;
	struct pool *pool;
	struct slab *spare[64]; /* empty ones, kept */
	size_t spares;
	struct slab *slab; /* being filled */

	void *entry; /* begun, not ended */
	size_t grain_size;
	uint64_t expected;
	size_t begun; /* bytes of the grain that is being filled, at the slab's end */
	bool failed;
	struct err err;
};

static bool
is_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* In a worker. */
static void
hash_slab(void *task)
{
	struct slab *s = task;

	for (size_t i = 0; i < s->pieces; i++) {
		struct piece *p = &s->piece[i];

		if (p->kind != PIECE_GRAIN)
			continue;
		if (is_zero(s->data + p->off, p->len))
			memset(p->id, 0, sizeof(p->id));
		else
			digest_id(s->key, s->data + p->off, p->len, p->id);
	}
}

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
	free(s->data);
	free(s);
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

	if (c->spares > 0) {
		s = c->spare[--c->spares];
		s->used = s->pieces = 0;
		return s;
	}
	s = xmalloc(sizeof(*s));
	s->key = c->key;
	s->data = xmalloc(SLAB);
	s->used = s->pieces = 0;
	return s;
}

static int
deliver(struct cut *c, struct piece *p, const uint8_t *data, struct err *e)
{
	struct cut_grain g = {.len = p->len};

	if (p->kind == PIECE_END)
		return c->target.end(c->target.arg, p->entry, e);
	if (p->kind == PIECE_ZEROS)
		g.zeros = p->zeros;
	else
		g.data = data + p->off;
	memcpy(g.id, p->id, sizeof(g.id));
	return c->target.grain(c->target.arg, p->entry, &g, e);
}

/* After a failure the rest is only let go, so that every entry is either ended or dropped, once. */
static void
take_slab(struct cut *c, struct slab *s)
{
	for (size_t i = 0; i < s->pieces; i++) {
		struct piece *p = &s->piece[i];

		if (!c->failed)
			c->failed = deliver(c, p, s->data, &c->err) == -1;
		else if (p->kind == PIECE_END)
			c->target.drop(c->target.arg, p->entry);
	}
	if (c->spares < ARRAY_LEN(c->spare))
		c->spare[c->spares++] = s;
	else
		slab_free(s);
}

static int
failed(const struct cut *c, struct err *e)
{
	if (!c->failed)
		return 0;
	*e = c->err;
	return -1;
}

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
	pool_submit(c->pool, hash_slab, s);
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
}

uint8_t *
cut_space(struct cut *c, size_t *room, struct err *e)
{
	size_t want = c->grain_size;

	if (failed(c, e) == -1)
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
	}
	return fill_zeros(c, n, e);
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
