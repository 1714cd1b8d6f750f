/*
 * Every tier holds the same bytes under the same names, so a read fails only when all copies fail.
 * A copy is judged by what authenticates it (the tag of each frame, then the id of each grain), so
 * a flipped byte on the nearest tier costs a second read elsewhere and nothing more.
 *
 * A pack that was set aside as bad is the last choice: most of its frames may open, and no frame is
 * believed that does not prove itself.
 *
 * The caches are small and plain: a restore or a backup walks packs in an order that is local
 * already.
 */
#include "repo/packs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/layout.h"
#include "repo/packset.h"
#include "store/aside.h"

/* Indexes kept open: one is at most a few MiB, mostly far less. */
#define PACKS_KEPT 24
/* Frames kept: a map, its chain of patches, the next chunk of the list. */
#define FRAMES_KEPT 48
#define FRAME_BYTES_KEPT (24u << 20)

struct open_pack {
	uint8_t sha[LAYOUT_SHA];
	struct object *object;
	unsigned choice; /* of the tier it is from */
	uint64_t used;
};

struct open_frame {
	uint8_t sha[LAYOUT_SHA];
	uint16_t frame;
	uint8_t *raw;
	size_t len;
	uint64_t used;
};

struct packs {
	struct repo *repo;
	struct tier *first;
	struct open_pack pack[PACKS_KEPT];
	struct open_frame frame[FRAMES_KEPT];
	size_t frame_bytes;
	uint64_t clock;
	struct buf scratch;
	/* That another one served: as there was no good one, or it lies in an archive, ... */
	struct packset bad, frozen;
	struct packset asides; /* ... or with what was set aside */
	bool bad_manifest;
	struct err last;
	bool lost; /* lost_sha is on no tier */
	uint8_t lost_sha[LAYOUT_SHA];
};

struct packs *
packs_new(struct repo *repo, struct tier *first)
{
	struct packs *p = xcalloc(1, sizeof(*p));

	p->repo = repo;
	p->first = first;
	buf_init(&p->scratch, STORE_OBJECT_MAX);
	return p;
}

static void
drop_frame(struct packs *p, struct open_frame *f)
{
	p->frame_bytes -= f->len;
	free(f->raw);
	*f = (struct open_frame){0};
}

void
packs_free(struct packs *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < PACKS_KEPT; i++)
		object_free(p->pack[i].object);
	for (size_t i = 0; i < FRAMES_KEPT; i++)
		drop_frame(p, &p->frame[i]);
	buf_done(&p->scratch);
	packset_done(&p->bad);
	packset_done(&p->frozen);
	packset_done(&p->asides);
	free(p);
}

unsigned
packs_fallbacks(const struct packs *p, unsigned *asides, const char **text)
{
	*asides = (unsigned)p->asides.count;
	*text = p->last.text;
	return (unsigned)(p->bad.count + p->frozen.count + p->asides.count) + p->bad_manifest;
}

/* The choice-th tier in turn, of those that are open. Counts down. */
static struct tier *
choose_tier(const struct packs *p, unsigned *choice)
{
	struct tier *t;

	for (size_t i = 0; (t = tier_turn(p->repo->tiers, p->first, i)) != NULL; i++)
		if (t->store && (*choice)-- == 0)
			return t;
	return NULL;
}

void
packs_count_fallback(struct packs *p, const uint8_t *sha, unsigned choice, const struct err *why)
{
	const bool aside = choose_tier(p, &choice) == NULL;

	/* Nobody said that those asked before an archive have it. */
	if (p->first && p->first->last && why->kind == ERR_NOTFOUND && !aside)
		return;
	if (!sha)
		p->bad_manifest = true;
	else
		packset_add(aside ? &p->asides : why->kind == ERR_FROZEN ? &p->frozen : &p->bad, sha);
	if (why->kind != ERR_FROZEN)
		p->last = *why;
}

unsigned
packs_frozen(const struct packs *p)
{
	return (unsigned)p->frozen.count;
}

/*
 * Once round the tiers, then again for each that may have been set aside there: then `name` is that
 * name.
 */
static struct tier *
choose(const struct packs *p, const uint8_t *sha, unsigned choice, char name[ASIDE_NAME])
{
	char plain[LAYOUT_NAME];
	struct tier *t;

	snprintf(name, ASIDE_NAME, "%s", layout_pack(sha, plain));
	t = choose_tier(p, &choice);
	for (unsigned n = 0; n < ASIDE_READ && !t; n++) {
		aside_name(plain, n, name);
		t = choose_tier(p, &choice);
	}
	return t;
}

int
packs_in_place(const struct packs *p, const uint8_t *sha, unsigned choice, struct err *e)
{
	char name[ASIDE_NAME];
	const struct tier *t = choose(p, sha, choice, name);

	return err_in(e, "tier '%s': %s", t->name, name);
}

int
packs_bytes(struct packs *p, const uint8_t sha[LAYOUT_SHA], uint64_t off, size_t len,
    unsigned choice, struct buf *out, struct err *e)
{
	char name[ASIDE_NAME];
	const struct tier *t = choose(p, sha, choice, name);

	if (!t)
		return 0;
	buf_reset(out);
	if (store_get_range(t->store, name, off, len, out, e) == -1)
		return err_in(e, "tier '%s': %s", t->name, name);
	if (out->len != len)
		return err_set(e, ERR_CORRUPT, "tier '%s': %s is shorter than its index says",
		    t->name, name);
	return 1;
}

int
packs_nowhere(struct packs *p, const uint8_t sha[LAYOUT_SHA], struct err *e)
{
	const struct tier_set *set = p->repo->tiers;
	char name[LAYOUT_NAME];
	struct buf asked, away;

	buf_init(&asked, STORE_OBJECT_MAX);
	buf_init(&away, STORE_OBJECT_MAX);
	for (size_t i = 0; i < set->count; i++) {
		struct buf *list = set->tier[i].store ? &asked : &away;

		buf_addf(list, "%s%s", list->len > 0 ? ", " : "", set->tier[i].name);
	}
	p->lost = true;
	memcpy(p->lost_sha, sha, LAYOUT_SHA);
	err_set(e, ERR_CORRUPT, "%s is on none of %s%s%s", layout_pack(sha, name), buf_str(&asked),
	    away.len > 0 ? "; these do not answer: " : "", away.len > 0 ? buf_str(&away) : "");
	buf_done(&asked);
	buf_done(&away);
	return -1;
}

bool
packs_lost(const struct packs *p, uint8_t sha[LAYOUT_SHA])
{
	memcpy(sha, p->lost_sha, LAYOUT_SHA);
	return p->lost;
}

void
packs_weigh(struct err *worst, const struct err *why)
{
	if (worst->kind == ERR_NONE || worst->kind == ERR_NOTFOUND ||
	    (why->kind == ERR_FROZEN && worst->kind != ERR_FROZEN))
		*worst = *why;
}

/* Runs `read` on one tier after the other until one gives good bytes. */
typedef int read_fn(struct packs *p, const uint8_t *sha, unsigned choice, void *arg, struct err *e);

static int
from_any(struct packs *p, const uint8_t *sha, read_fn *read, void *arg, unsigned *ret_choice,
    struct err *e)
{
	struct err worst = {0};
	char name[LAYOUT_NAME];

	for (unsigned choice = 0;; choice++) {
		struct err why = {0};
		int got = read(p, sha, choice, arg, &why);

		if (got == 1) {
			if (worst.kind != ERR_NONE)
				packs_count_fallback(p, sha, choice, &worst);
			*ret_choice = choice;
			return 0;
		}
		if (got == 0)
			break;
		packs_weigh(&worst, &why);
	}
	if (worst.kind == ERR_NONE)
		return err_set(e, ERR_REMOTE, "%s: no tier is reachable", layout_pack(sha, name));
	if (worst.kind == ERR_NOTFOUND)
		return packs_nowhere(p, sha, e);
	*e = worst;
	return -1;
}

/* ---- packs ---- */

static int
read_index(struct packs *p, const uint8_t *sha, unsigned choice, void *arg, struct err *e)
{
	struct object_header h;
	struct object **ret = arg;
	struct tier *t;
	int got;

	got = packs_bytes(p, sha, 0, OBJECT_HEADER, choice, &p->scratch, e);
	if (got != 1)
		return got;
	if (object_header_parse(p->scratch.data, p->scratch.len, &h, e) == -1)
		goto bad;
	got = packs_bytes(p, sha, h.index_off, object_index_len(&h), choice, &p->scratch, e);
	if (got != 1)
		return got;
	if (object_open(&h, p->scratch.data, p->scratch.len, p->repo->keys, ret, e) == 0) {
		t = choose_tier(p, &choice);
		if (t && t != p->first && p->first && p->first->last)
			packset_add(&p->frozen, sha);
		return 1;
	}
bad:
	return packs_in_place(p, sha, choice, e);
}

int
packs_index(struct packs *p, const uint8_t sha[LAYOUT_SHA], unsigned choice,
    struct object **ret, struct err *e)
{
	return read_index(p, sha, choice, ret, e);
}

static struct open_pack *
find_pack(struct packs *p, const uint8_t *sha)
{
	for (size_t i = 0; i < PACKS_KEPT; i++)
		if (p->pack[i].object && memcmp(p->pack[i].sha, sha, LAYOUT_SHA) == 0)
			return &p->pack[i];
	return NULL;
}

int
packs_open(struct packs *p, const uint8_t sha[LAYOUT_SHA], const struct object **ret, struct err *e)
{
	struct open_pack *k = find_pack(p, sha);
	struct object *o = NULL;
	unsigned choice;

	if (!k) {
		if (from_any(p, sha, read_index, &o, &choice, e) == -1)
			return -1;
		k = &p->pack[0];
		for (size_t i = 1; i < PACKS_KEPT; i++)
			if (p->pack[i].used < k->used)
				k = &p->pack[i];
		object_free(k->object);
		*k = (struct open_pack){.object = o, .choice = choice};
		memcpy(k->sha, sha, LAYOUT_SHA);
	}
	k->used = ++p->clock;
	*ret = k->object;
	return 0;
}

bool
packs_other(struct packs *p, const uint8_t sha[LAYOUT_SHA], const struct err *why)
{
	struct open_pack *k = find_pack(p, sha);
	struct object *o = NULL;
	int got = -1;

	for (unsigned choice = k ? k->choice + 1 : 0; k && got == -1; choice++) {
		struct err no = {0};

		got = read_index(p, sha, choice, &o, &no);
		if (got != 1)
			continue;
		packs_count_fallback(p, sha, choice, why);
		object_free(k->object);
		k->object = o;
		k->choice = choice;
	}
	for (size_t i = 0; got == 1 && i < FRAMES_KEPT; i++)
		if (p->frame[i].raw && memcmp(p->frame[i].sha, sha, LAYOUT_SHA) == 0)
			drop_frame(p, &p->frame[i]);
	return got == 1;
}

/* ---- frames ---- */

struct frame_wish {
	const struct object *object;
	uint16_t frame;
	uint8_t *raw;
};

static int
read_frame(struct packs *p, const uint8_t *sha, unsigned choice, void *arg, struct err *e)
{
	struct frame_wish *w = arg;
	const struct object_frame *f = &w->object->index.frame[w->frame];
	int got = packs_bytes(p, sha, f->off, f->len, choice, &p->scratch, e);

	if (got != 1)
		return got;
	if (object_frame(w->object, w->frame, p->scratch.data, w->raw, e) == 0 &&
	    object_check_ids(w->object, w->frame, w->raw, p->repo->keys, e) == 0)
		return 1;
	return packs_in_place(p, sha, choice, e);
}

static struct open_frame *
find_frame(struct packs *p, const uint8_t *sha, uint16_t frame)
{
	for (size_t i = 0; i < FRAMES_KEPT; i++) {
		struct open_frame *f = &p->frame[i];
		if (f->raw && f->frame == frame && memcmp(f->sha, sha, LAYOUT_SHA) == 0)
			return f;
	}
	return NULL;
}

/* A free place for n bytes, made by letting the least recently used go. */
static struct open_frame *
frame_place(struct packs *p, size_t n)
{
	for (;;) {
		struct open_frame *free_one = NULL, *oldest = NULL;

		for (size_t i = 0; i < FRAMES_KEPT; i++) {
			struct open_frame *f = &p->frame[i];
			if (!f->raw)
				free_one = f;
			else if (!oldest || f->used < oldest->used)
				oldest = f;
		}
		if (free_one && (!oldest || p->frame_bytes + n <= FRAME_BYTES_KEPT))
			return free_one;
		drop_frame(p, oldest);
	}
}

int
packs_frame(struct packs *p, const uint8_t sha[LAYOUT_SHA], uint16_t frame,
    const struct object **object, const uint8_t **raw, struct err *e)
{
	struct frame_wish wish = {.frame = frame};
	struct open_frame *f = find_frame(p, sha, frame);
	char name[LAYOUT_NAME];
	unsigned choice;
	size_t len;

	if (packs_open(p, sha, object, e) == -1)
		return -1;
	if (!f) {
		if (frame >= (*object)->index.frames)
			return err_set(e, ERR_CORRUPT, "%s has no frame %u",
			    layout_pack(sha, name), frame);
		wish.object = *object;
		len = (*object)->index.frame[frame].rawlen;
		wish.raw = xmalloc(len + 1);
		if (from_any(p, sha, read_frame, &wish, &choice, e) == -1) {
			free(wish.raw);
			return -1;
		}
		f = frame_place(p, len);
		*f = (struct open_frame){.frame = frame, .raw = wish.raw, .len = len};
		memcpy(f->sha, sha, LAYOUT_SHA);
		p->frame_bytes += len;
	}
	f->used = ++p->clock;
	*raw = f->raw;
	return 0;
}
