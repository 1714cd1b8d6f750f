/* What is written and what must come back, byte for byte. */
#include "tests/sim/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/reader.h"
#include "tests/sim/world.h"

#define GRAIN (1u << LAYOUT_GRAIN_LOG2)
#define TAIL_MOST 400
#define MINUTE (LAYOUT_HOUR_NS / 60)

static void
grain_bytes(uint32_t number, uint8_t *out, size_t n)
{
	uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15);

	memset(out, 0, n);
	for (size_t i = 0; number != 0 && i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		out[i] = (uint8_t)x;
		if (i == 511) { /* the rest repeats it: cheap, and compresses */
			for (i = 512; i < n; i++)
				out[i] = out[i - 512];
			return;
		}
	}
}

static uint64_t
file_size(const struct model_file *f)
{
	return f->grains == 0 ? 0 : (uint64_t)(f->grains - 1) * GRAIN + f->tail;
}

static uint32_t
new_number(void)
{
	return world_chance(12) ? 0 : (uint32_t)world_dice(UINT32_MAX - 1) + 1;
}

static void
change_file(struct model_file *f, bool large)
{
	if (f->there && f->grains > 1 && !world_chance(4)) {
		f->grain[world_dice(f->grains)] = new_number();
		return;
	}
	f->there = !f->there || !world_chance(6);
	f->grains = large && world_chance(3) ? (unsigned)world_dice(MODEL_GRAINS) + 1 :
	    !world_chance(10);
	f->tail = (uint32_t)world_dice(TAIL_MOST) + 1;
	for (unsigned i = 0; i < f->grains; i++)
		f->grain[i] = new_number();
}

void
model_change(struct model_tree *t, bool large)
{
	for (unsigned i = 0; i < MODEL_FILES; i++)
		if (world_chance(2))
			change_file(&t->file[i], large);
}

/* ---- writing ---- */

static bool
same_file(const struct model_file *a, const struct model_file *b)
{
	return a->there && b->there && a->grains == b->grains && a->tail == b->tail &&
	    memcmp(a->grain, b->grain, a->grains * sizeof(a->grain[0])) == 0;
}

static int
write_bytes(struct writer *w, const uint8_t *bytes, size_t n, struct err *e)
{
	while (n > 0) {
		size_t room;
		uint8_t *to = writer_space(w, &room, e);

		if (to == NULL)
			return -1;
		if (room > n)
			room = n;
		memcpy(to, bytes, room);
		if (writer_filled(w, room, e) == -1)
			return -1;
		bytes += room;
		n -= room;
	}
	return 0;
}

static int
write_contents(struct writer *w, const struct model_file *f, struct err *e)
{
	uint8_t *bytes = xmalloc(GRAIN);
	int rc = 0;

	for (unsigned i = 0; i < f->grains && rc == 0; i++) {
		size_t n = i + 1 < f->grains ? GRAIN : f->tail;

		grain_bytes(f->grain[i], bytes, n);
		if (f->grain[i] == 0 && n == GRAIN && world_chance(2))
			rc = writer_hole(w, n, e);
		else
			rc = write_bytes(w, bytes, n, e);
	}
	free(bytes);
	return rc;
}

static int
write_file(struct writer *w, unsigned i, const struct model_write *m, struct err *e)
{
	const struct model_file *f = &m->tree->file[i];
	const struct entry *parent;
	char path[8];
	struct entry en = { .type = ENTRY_FILE, .path = path, .mode = 0644, .ino = 100 + i };
	int kept = 0;

	en.pathlen = (size_t)snprintf(path, sizeof(path), "f%u", i);
	en.size = file_size(f);
	if (writer_begin(w, &en, &parent, e) == -1)
		return -1;
	if (parent != NULL && m->keep && m->was != NULL && same_file(f, &m->was->file[i]))
		kept = writer_keep(w, e);
	if (kept == -1 || (kept == 0 && write_contents(w, f, e) == -1))
		return -1;
	return writer_end(w, &en, e);
}

int
model_write(struct writer *w, const struct model_write *m, struct err *e)
{
	struct entry root = { .type = ENTRY_DIR, .path = ".", .pathlen = 1, .mode = 0755 };
	const struct entry *parent;

	if (writer_begin(w, &root, &parent, e) == -1 || writer_end(w, &root, e) == -1)
		return -1;
	for (unsigned i = 0; i < MODEL_FILES && !(m->cut && i == MODEL_FILES / 2); i++) {
		if (world_chance(6)) /* a large source, a slow disk */
			world_sleep((int64_t)world_dice(26 * 60) * MINUTE / (world_chance(2) ? 1 : 60));
		if (m->tree->file[i].there && write_file(w, i, m, e) == -1)
			return -1;
	}
	return 0;
}

/* ---- reading ---- */

struct stretch {
	struct entry_ref ref;
	uint32_t count;
	uint64_t offset;
	uint8_t id[MODEL_GRAINS][GRAIN_ID_LEN];
};
struct stretches {
	struct stretch item[MODEL_GRAINS];
	size_t count;
};

static int
take_run(void *arg, const struct reader_run *run, struct err *e)
{
	struct stretches *s = arg;

	if (s->count == MODEL_GRAINS || run->count > MODEL_GRAINS)
		return err_set(e, ERR_CORRUPT, "more runs than grains");
	s->item[s->count] = (struct stretch){
		.ref = { .pack = run->pack, .frame = run->frame, .grain = run->first },
		.count = run->count,
		.offset = run->offset,
	};
	memcpy(s->item[s->count++].id, run->ids, run->count * GRAIN_ID_LEN);
	return 0;
}

static int
read_file(struct reader *r, const struct entry *en, uint8_t *out, size_t n, struct err *e)
{
	struct stretches s = { 0 };
	const uint8_t *bytes;
	size_t len;

	if (reader_runs(r, en, take_run, &s, e) == -1)
		return -1;
	for (size_t i = 0; i < s.count; i++) {
		struct stretch *t = &s.item[i];

		for (uint32_t g = 0; g < t->count; g++, t->ref.grain++, t->offset += GRAIN) {
			if (reader_grain(r, t->ref, t->id[g], &bytes, &len, e) == -1)
				return -1;
			if (t->offset > n || len > n - t->offset)
				return err_set(e, ERR_CORRUPT, "a grain goes past the end");
			memcpy(out + t->offset, bytes, len);
		}
	}
	return 0;
}

static int
check_file(struct reader *r, const struct entry *en, const struct model_file *f, struct err *e)
{
	size_t n = (size_t)file_size(f);
	uint8_t *got = xcalloc(n + 1, 1), *want = xcalloc(n + 1, 1);
	int rc = -1;

	for (unsigned i = 0; i < f->grains; i++)
		grain_bytes(f->grain[i], want + (size_t)i * GRAIN,
		    i + 1 < f->grains ? GRAIN : f->tail);
	if (!f->there || en->size != n)
		err_set(e, ERR_CORRUPT, "size %llu, expected %zu", (unsigned long long)en->size, n);
	else if (read_file(r, en, got, n, e) == 0)
		rc = memcmp(got, want, n) == 0 ? 0 : err_set(e, ERR_CORRUPT, "other contents");
	free(got);
	free(want);
	return rc;
}

int
model_check(const struct repo *r, struct tier *t, const char *snap, const struct model_tree *tree,
    struct err *e)
{
	struct tier_set only = { .tier = t, .count = 1 };
	struct repo one = *r;
	struct reader *reader = NULL;
	const struct entry *en;
	size_t files = 0, want = 0;
	int rc;

	one.tiers = &only;
	if (reader_open(&one, t, snap, &reader, e) == -1)
		return -1;
	while ((rc = reader_next(reader, &en, e)) == 1) {
		unsigned i = en->pathlen == 2 ? (unsigned)(en->path[1] - '0') : MODEL_FILES;

		if (en->type != ENTRY_FILE)
			continue;
		files++;
		if (i >= MODEL_FILES || check_file(reader, en, &tree->file[i], e) == -1) {
			rc = err_in(e, "%s file %u", snap, i);
			break;
		}
	}
	reader_free(reader);
	for (unsigned i = 0; i < MODEL_FILES; i++)
		want += tree->file[i].there;
	if (rc == 0 && files != want)
		rc = err_set(e, ERR_CORRUPT, "%s has %zu files, expected %zu", snap, files, want);
	return rc;
}
