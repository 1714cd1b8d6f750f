/*
 * A table with open addressing, a fifth of it free. A slot has 32 bits of the path's hash, which
 * also say where it begins to look: with a million paths a place is looked at in vain once in four
 * thousand lookups. A million entries are 15 MiB.
 */
#include "repo/pathindex.h"

#include <stdlib.h>

#include "base/mem.h"

/* 60 MiB. Files beyond it are stored anew each time: nobody's database has so many. */
#define PATHS_MAX (4u << 20)
#define FREE_SLOT UINT32_MAX

struct slot {
	uint32_t tag, chunk, off;
};

struct pathindex {
	struct slot *slot;
	size_t slots, paths, paths_max;
};

struct pathindex *
pathindex_new(uint64_t paths)
{
	struct pathindex *x = xcalloc(1, sizeof(*x));

	x->paths_max = paths < PATHS_MAX ? (size_t)paths : PATHS_MAX;
	x->slots = x->paths_max + x->paths_max / 4 + 1;
	x->slot = xreallocarray(NULL, x->slots, sizeof(*x->slot));
	for (size_t i = 0; i < x->slots; i++)
		x->slot[i].chunk = FREE_SLOT;
	return x;
}

void
pathindex_free(struct pathindex *x)
{
	if (!x)
		return;
	free(x->slot);
	free(x);
}

/* FNV-1a, its upper half stirred into the lower one. */
static uint32_t
hash(const char *path, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)path[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)((h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static size_t
after(const struct pathindex *x, size_t slot)
{
	return slot + 1 == x->slots ? 0 : slot + 1;
}

bool
pathindex_add(struct pathindex *x, const char *path, size_t len, uint32_t chunk, uint32_t off)
{
	struct pathindex_walk w = pathindex_look(x, path, len);

	if (x->paths == x->paths_max)
		return false;
	while (x->slot[w.slot].chunk != FREE_SLOT)
		w.slot = after(x, w.slot);
	x->slot[w.slot] = (struct slot){w.tag, chunk, off};
	x->paths++;
	return true;
}

struct pathindex_walk
pathindex_look(const struct pathindex *x, const char *path, size_t len)
{
	struct pathindex_walk w = {.tag = hash(path, len)};

	w.slot = (size_t)((uint64_t)w.tag * x->slots >> 32);
	return w;
}

/* There is always a free slot, so it ends. */
bool
pathindex_next(const struct pathindex *x, struct pathindex_walk *w)
{
	while (x->slot[w->slot].chunk != FREE_SLOT) {
		const struct slot *s = &x->slot[w->slot];

		w->slot = after(x, w->slot);
		if (s->tag != w->tag)
			continue;
		w->chunk = s->chunk;
		w->off = s->off;
		return true;
	}
	return false;
}
