#include "tests/lib/fileset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/list.h"
#include "tests/lib/chance.h"

void
fileset_done(struct fileset *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->file[i].cell);
	free(s->file);
	*s = (struct fileset){0};
}

size_t
fileset_cells(const struct fileset_file *f)
{
	return (size_t)((f->size + FILESET_CELL - 1) / FILESET_CELL);
}

static int
by_path(const void *a, const void *b)
{
	const struct fileset_file *x = a, *y = b;

	return list_path_order(x->path, strlen(x->path), y->path, strlen(y->path));
}

static void
sort(struct fileset *s)
{
	if (s->count > 1)
		qsort(s->file, s->count, sizeof(*s->file), by_path);
}

struct fileset_file *
fileset_find(struct fileset *s, const char *path)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->file[i].path, path) == 0)
			return &s->file[i];
	return NULL;
}

struct fileset_file *
fileset_add(struct fileset *s, const char *path, uint64_t size)
{
	struct fileset_file *f;

	s->file = mem_grow(s->file, &s->room, s->count + 1, sizeof(*s->file));
	f = &s->file[s->count++];
	*f = (struct fileset_file){.ino = 1000 + s->next_ino++, .changed = true};
	snprintf(f->path, sizeof(f->path), "%s", path);
	fileset_resize(s, f, size, false);
	sort(s);
	return fileset_find(s, path);
}

void
fileset_add_many(struct fileset *s, const char *directory, unsigned n, unsigned one_in)
{
	for (unsigned i = 0; i < n; i++) {
		struct fileset_file *f;

		s->file = mem_grow(s->file, &s->room, s->count + 1, sizeof(*s->file));
		f = &s->file[s->count++];
		*f = (struct fileset_file){.ino = 5000000 + i};
		snprintf(f->path, sizeof(f->path), "%s/%05u", directory, i * 2);
		fileset_resize(s, f, i > 0 && i % one_in == 0 ? 100 : 0, false);
	}
}

void
fileset_remove(struct fileset *s, const char *path)
{
	struct fileset_file *f = fileset_find(s, path);

	free(f->cell);
	*f = s->file[--s->count];
	sort(s);
}

void
fileset_rename(struct fileset *s, const char *from, const char *to)
{
	struct fileset_file *f = fileset_find(s, from);

	snprintf(f->path, sizeof(f->path), "%s", to);
	sort(s);
}

void
fileset_write(struct fileset *s, struct fileset_file *f, size_t from, size_t n, bool zeros)
{
	for (size_t i = from; i < from + n && i < fileset_cells(f); i++)
		f->cell[i] = zeros ? 0 : ++s->next_seed;
	f->changed = true;
}

void
fileset_resize(struct fileset *s, struct fileset_file *f, uint64_t size, bool zeros)
{
	size_t had = fileset_cells(f);

	f->size = size;
	f->cell = mem_grow(f->cell, &f->room, fileset_cells(f) + 1, sizeof(*f->cell));
	fileset_write(s, f, had, fileset_cells(f), zeros);
	f->changed = true;
}

static uint64_t
some_size(void)
{
	static const uint64_t odd[] = {0, 1, 4095, 131071, 131072, 131073, 262144, 262145, 1 << 20};

	if (chance_one_in(2))
		return odd[chance_below(ARRAY_LEN(odd))];
	return chance_below(chance_one_in(5) ? 5 << 20 : 300000);
}

static void
stir_file(struct fileset *s, struct fileset_file *f)
{
	size_t cells = fileset_cells(f);
	char path[40];

	switch (chance_below(6)) {
	case 0:
		fileset_resize(s, f, f->size + some_size(), chance_one_in(3));
		break;
	case 1:
		fileset_resize(s, f, chance_below(f->size + 1), false);
		break;
	case 2:
		snprintf(path, sizeof(path), "d%u/r%llu", (unsigned)chance_below(4),
			 (unsigned long long)s->next_ino++);
		fileset_rename(s, f->path, path);
		break;
	case 3:
		fileset_remove(s, f->path);
		break;
	default:
		for (uint64_t i = chance_below(5); i > 0 && cells > 0; i--)
			fileset_write(s, f, chance_below(cells),
				      1 + chance_below(chance_one_in(4) ? 40 : 2),
				      chance_one_in(4));
	}
}

void
fileset_stir(struct fileset *s)
{
	char path[40];

	for (uint64_t i = chance_below(6); i > 0 && s->count > 0; i--)
		stir_file(s, &s->file[chance_below(s->count)]);
	for (uint64_t i = chance_below(4); i > 0; i--) {
		snprintf(path, sizeof(path), "d%u/f%llu", (unsigned)chance_below(4),
			 (unsigned long long)s->next_ino);
		fileset_add(s, path, some_size());
	}
}

void
fileset_settle(struct fileset *s)
{
	for (size_t i = 0; i < s->count; i++)
		s->file[i].changed = false;
}

/* Half of a cell is noise, half repeats. */
static void
cell_bytes(uint32_t seed, uint8_t out[FILESET_CELL])
{
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15);

	memset(out, (int)(seed & 0xff) | 1, FILESET_CELL);
	for (size_t i = 0; i < FILESET_CELL / 2; i += sizeof(x)) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(out + i, &x, sizeof(x));
	}
	if (seed == 0)
		memset(out, 0, FILESET_CELL);
}

void
fileset_bytes(const struct fileset_file *f, uint64_t off, void *out, size_t n)
{
	uint8_t cell[FILESET_CELL], *p = out;

	while (n > 0) {
		size_t from = off % FILESET_CELL, part = FILESET_CELL - from;

		if (part > n)
			part = n;
		cell_bytes(f->cell[off / FILESET_CELL], cell);
		memcpy(p, cell + from, part);
		p += part;
		off += part;
		n -= part;
	}
}

bool
fileset_equal(const struct fileset_file *f, uint64_t off, const void *data, size_t n)
{
	uint8_t cell[FILESET_CELL];
	const uint8_t *p = data;

	if (off > f->size || n > f->size - off)
		return false;
	while (n > 0) {
		size_t from = off % FILESET_CELL, part = FILESET_CELL - from;

		if (part > n)
			part = n;
		cell_bytes(f->cell[off / FILESET_CELL], cell);
		if (memcmp(p, cell + from, part) != 0)
			return false;
		p += part;
		off += part;
		n -= part;
	}
	return true;
}

uint64_t
fileset_nonzero(const struct fileset_file *f, unsigned grain_log2)
{
	uint64_t grain = UINT64_C(1) << grain_log2, sum = 0;

	for (uint64_t off = 0; off < f->size; off += grain) {
		uint64_t end = off + grain < f->size ? off + grain : f->size;
		bool any = false;

		for (uint64_t c = off / FILESET_CELL; c * FILESET_CELL < end; c++)
			any = any || f->cell[c] != 0;
		sum += any ? end - off : 0;
	}
	return sum;
}
