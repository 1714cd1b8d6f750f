/*
 * Maps. In memory a map is flat: an id and a place for each grain, 20 bytes, so comparing, patching
 * and walking are loops over an array; runs exist only in the encoded form, where they are joined
 * again. Packs that no grain names any more are dropped when a map is written, so what is unwanted
 * does not travel on through the generations.
 *
 * Everything that comes in is hostile until checked: a decoded map has every index in range, so its
 * users need no checks of their own.
 */
#include "repo/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { MAP_WHOLE = 1, MAP_PATCH = 2 };

#define WHOLE_HEAD 16
#define PATCH_HEAD 28
#define PACK_LEN 4
#define LINK_LEN 8
#define CHANGE_LEN (4 + GRAIN_ID_LEN)
#define RUN_LEN 16

static const uint8_t zero_id[GRAIN_ID_LEN];

void
map_init(struct map *m)
{
	*m = (struct map){0};
}

void
map_done(struct map *m)
{
	free(m->id);
	free(m->pack);
	free(m->place);
	map_init(m);
}

void
map_reset(struct map *m, uint8_t grain_log2)
{
	m->grain_log2 = grain_log2;
	m->grains = 0;
	m->packs = 0;
	m->links = 0;
	m->chain_bytes = 0;
	m->whole_bytes = 0;
}

int
map_pack(struct map *m, uint32_t number)
{
	for (size_t i = m->packs; i-- > 0;)
		if (m->pack[i] == number)
			return (int)i;
	if (m->packs >= MAP_PACKS_MAX)
		return -1;
	m->pack = mem_grow(m->pack, &m->pack_room, m->packs + 1, sizeof(*m->pack));
	m->pack[m->packs] = number;
	return (int)m->packs++;
}

/* Makes it `grains` long; new grains are zero. */
static void
set_grains(struct map *m, uint32_t grains)
{
	m->id = mem_grow(m->id, &m->id_room, grains, sizeof(*m->id));
	m->place = mem_grow(m->place, &m->place_room, grains, sizeof(*m->place));
	for (uint32_t g = m->grains; g < grains; g++) {
		memset(m->id[g], 0, GRAIN_ID_LEN);
		m->place[g] = (struct map_place){.pack = MAP_ZERO};
	}
	m->grains = grains;
}

void
map_add_zero(struct map *m)
{
	set_grains(m, m->grains + 1);
}

void
map_add(struct map *m, const uint8_t id[GRAIN_ID_LEN], struct map_place place)
{
	set_grains(m, m->grains + 1);
	memcpy(m->id[m->grains - 1], id, GRAIN_ID_LEN);
	m->place[m->grains - 1] = place;
}

static bool
place_same(const struct map *a, const struct map *b, uint32_t g)
{
	const struct map_place *p = &a->place[g], *q = &b->place[g];

	if (memcmp(a->id[g], b->id[g], GRAIN_ID_LEN) != 0)
		return false;
	if (p->pack == MAP_ZERO || q->pack == MAP_ZERO)
		return p->pack == q->pack;
	return p->frame == q->frame && p->first == q->first && p->own == q->own &&
	    a->pack[p->pack] == b->pack[q->pack];
}

bool
map_same(const struct map *a, const struct map *b)
{
	if (a->grains != b->grains || a->grain_log2 != b->grain_log2)
		return false;
	for (uint32_t g = 0; g < a->grains; g++)
		if (!place_same(a, b, g))
			return false;
	return true;
}

/* ---- encoding ---- */

/* Which packs the chosen grains name: new numbers, in order of first use. */
struct renumber {
	uint16_t *to; /* by old number; MAP_ZERO: not used */
	uint16_t *from;
	uint16_t used;
};

static struct renumber
renumber_new(const struct map *m)
{
	struct renumber r = {
	    .to = xreallocarray(NULL, m->packs + 1, sizeof(*r.to)),
	    .from = xreallocarray(NULL, m->packs + 1, sizeof(*r.from)),
	};

	memset(r.to, 0xff, (m->packs + 1) * sizeof(*r.to));
	return r;
}

static void
renumber_done(struct renumber *r)
{
	free(r->to);
	free(r->from);
}

static void
renumber_use(struct renumber *r, const struct map_place *p)
{
	if (p->pack == MAP_ZERO || r->to[p->pack] != MAP_ZERO)
		return;
	r->to[p->pack] = r->used;
	r->from[r->used++] = p->pack;
}

static bool
continues(const struct map *m, uint32_t g)
{
	const struct map_place *p = &m->place[g - 1], *q = &m->place[g];

	return q->pack == p->pack && q->frame == p->frame && q->own == p->own &&
	    q->first == p->first + 1;
}

/* Appends the runs of the `n` grains named by pick (NULL: the first n); returns how many runs. */
static uint32_t
add_runs(const struct map *m, const uint32_t *pick, uint32_t n, const struct renumber *r,
    struct buf *out)
{
	uint32_t runs = 0;

	for (uint32_t i = 0; i < n;) {
		uint32_t g = pick ? pick[i] : i, count = 1;
		const struct map_place *p = &m->place[g];

		i++;
		if (p->pack == MAP_ZERO)
			continue;
		while (i < n && (pick ? pick[i] : i) == g + count && continues(m, g + count)) {
			count++;
			i++;
		}
		buf_add_u32(out, g);
		buf_add_u16(out, r->to[p->pack]);
		buf_add_u16(out, p->frame);
		buf_add_u16(out, p->own);
		buf_add_u16(out, p->first);
		buf_add_u32(out, count);
		runs++;
	}
	return runs;
}

void
map_encode(const struct map *m, struct buf *out)
{
	struct renumber r = renumber_new(m);
	size_t head = out->len;
	uint32_t runs;

	for (uint32_t g = 0; g < m->grains; g++)
		renumber_use(&r, &m->place[g]);
	buf_addc(out, MAP_WHOLE);
	buf_addc(out, (char)m->grain_log2);
	buf_add_u16(out, r.used);
	buf_add_u32(out, m->grains);
	buf_add_u32(out, 0);
	buf_add_u32(out, 0);
	for (uint16_t i = 0; i < r.used; i++)
		buf_add_u32(out, m->pack[r.from[i]]);
	if (m->grains > 0)
		buf_add(out, m->id, (size_t)m->grains * GRAIN_ID_LEN);
	runs = add_runs(m, NULL, m->grains, &r, out);
	if (!out->over)
		buf_put_u32(out->data + head + 8, runs);
	renumber_done(&r);
}

/* The grains of `to` that `from` does not have at the same place. Caller frees. */
static uint32_t *
changes(const struct map *from, const struct map *to, uint32_t *n)
{
	uint32_t *pick = xreallocarray(NULL, (size_t)to->grains + 1, sizeof(*pick));

	*n = 0;
	for (uint32_t g = 0; g < to->grains; g++)
		if (g >= from->grains || !place_same(from, to, g))
			pick[(*n)++] = g;
	return pick;
}

uint32_t
map_encode_patch(const struct map *from, const struct map *to, struct buf *out)
{
	struct renumber r = renumber_new(to);
	size_t head = out->len;
	uint32_t n, runs, *pick;

	pick = changes(from, to, &n);
	for (uint32_t i = 0; i < n; i++)
		renumber_use(&r, &to->place[pick[i]]);
	buf_addc(out, MAP_PATCH);
	buf_addc(out, (char)to->grain_log2);
	buf_add_u16(out, r.used);
	buf_add_u32(out, to->grains);
	buf_add_u32(out, n);
	buf_add_u32(out, 0);
	buf_add_u16(out, (uint16_t)from->links);
	buf_add_u16(out, 0);
	buf_add_u32(out, 0);
	buf_add_u32(out, from->whole_bytes);
	for (size_t i = 0; i < from->links; i++) {
		buf_add_u32(out, from->link[i].pack);
		buf_add_u16(out, from->link[i].frame);
		buf_add_u16(out, from->link[i].grain);
	}
	for (uint16_t i = 0; i < r.used; i++)
		buf_add_u32(out, to->pack[r.from[i]]);
	for (uint32_t i = 0; i < n; i++) {
		buf_add_u32(out, pick[i]);
		buf_add(out, to->id[pick[i]], GRAIN_ID_LEN);
	}
	runs = add_runs(to, pick, n, &r, out);
	if (!out->over) {
		buf_put_u32(out->data + head + 12, runs);
		buf_put_u32(out->data + head + 20, from->chain_bytes + (uint32_t)(out->len - head));
	}
	free(pick);
	renumber_done(&r);
	return n;
}

/* ---- decoding ---- */

struct parts {
	uint8_t kind, grain_log2;
	uint32_t packs, grains, changed, runs, links, chain_bytes, whole_bytes;
	const uint8_t *link, *pack, *change, *id, *run;
};

static int
bad(struct err *e, const char *what)
{
	return err_set(e, ERR_CORRUPT, "map: %s", what);
}

/* Cuts the bytes into their parts; all lengths are checked here. */
static int
split(const uint8_t *b, size_t n, struct parts *p, struct err *e)
{
	uint64_t want;

	*p = (struct parts){0};
	if (n < WHOLE_HEAD)
		return bad(e, "shorter than its header");
	p->kind = b[0];
	p->grain_log2 = b[1];
	p->packs = buf_get_u16(b + 2);
	p->grains = buf_get_u32(b + 4);
	if (p->grain_log2 < LAYOUT_GRAIN_PAGE_LOG2 || p->grain_log2 > LAYOUT_GRAIN_LOG2)
		return bad(e, "grain size is neither 8 KiB nor up to 128 KiB");
	if (p->grains == 0 || p->grains > 1u << (LIST_MAP_SPAN_LOG2 - p->grain_log2))
		return bad(e, "number of grains is not that of up to 1 GiB");
	if (p->kind == MAP_WHOLE) {
		p->runs = buf_get_u32(b + 8);
		want = WHOLE_HEAD + (uint64_t)p->packs * PACK_LEN +
		    (uint64_t)p->grains * GRAIN_ID_LEN + (uint64_t)p->runs * RUN_LEN;
		if (want != n)
			return bad(e, "length does not fit its counts");
		p->pack = b + WHOLE_HEAD;
		p->id = p->pack + (size_t)p->packs * PACK_LEN;
		p->run = p->id + (size_t)p->grains * GRAIN_ID_LEN;
		p->whole_bytes = (uint32_t)n;
		return 0;
	}
	if (p->kind != MAP_PATCH)
		return bad(e, "neither a whole map nor a patch");
	if (n < PATCH_HEAD)
		return bad(e, "patch shorter than its header");
	p->changed = buf_get_u32(b + 8);
	p->runs = buf_get_u32(b + 12);
	p->links = buf_get_u16(b + 16);
	p->chain_bytes = buf_get_u32(b + 20);
	p->whole_bytes = buf_get_u32(b + 24);
	if (p->links == 0 || p->links > MAP_CHAIN_MAX)
		return bad(e, "patch rests on no or too many others");
	want = PATCH_HEAD + (uint64_t)p->links * LINK_LEN + (uint64_t)p->packs * PACK_LEN +
	    (uint64_t)p->changed * CHANGE_LEN + (uint64_t)p->runs * RUN_LEN;
	if (want != n)
		return bad(e, "length does not fit its counts");
	p->link = b + PATCH_HEAD;
	p->pack = p->link + (size_t)p->links * LINK_LEN;
	p->change = p->pack + (size_t)p->packs * PACK_LEN;
	p->run = p->change + (size_t)p->changed * CHANGE_LEN;
	return 0;
}

/*
 * Gives places to grains by the runs. Every grain of a run must have a non-zero id and no place by
 * now.
 */
static int
take_runs(struct map *m, const struct parts *p, struct err *e)
{
	uint16_t *number = xreallocarray(NULL, (size_t)p->packs + 1, sizeof(*number));
	uint64_t next = 0;
	int rc = -1;

	for (uint32_t i = 0; i < p->packs; i++) {
		int k = map_pack(m, buf_get_u32(p->pack + (size_t)i * PACK_LEN));
		if (k == -1) {
			bad(e, "names too many packs");
			goto out;
		}
		number[i] = (uint16_t)k;
	}
	for (uint32_t i = 0; i < p->runs; i++) {
		const uint8_t *r = p->run + (size_t)i * RUN_LEN;
		uint32_t g = buf_get_u32(r), count = buf_get_u32(r + 12);
		struct map_place at = {.pack = buf_get_u16(r + 4), .frame = buf_get_u16(r + 6),
		    .own = buf_get_u16(r + 8), .first = buf_get_u16(r + 10)};

		if (at.pack >= p->packs || g < next || count == 0 || count > m->grains ||
		    g > m->grains - count || at.first + (uint64_t)count > UINT16_MAX + 1ull) {
			bad(e, "a run is out of range");
			goto out;
		}
		at.pack = number[at.pack];
		for (uint32_t k = 0; k < count; k++, at.first++) {
			/* A place there already: a patch moves what it did not change. */
			if (memcmp(m->id[g + k], zero_id, GRAIN_ID_LEN) == 0 ||
			    m->place[g + k].pack != MAP_ZERO) {
				bad(e, "a run speaks of a grain that is zero or not changed");
				goto out;
			}
			m->place[g + k] = at;
		}
		next = (uint64_t)g + count;
	}
	rc = 0;
out:
	free(number);
	return rc;
}

/* A grain with an id must have a place. */
static int
check_covered(const struct map *m, struct err *e)
{
	for (uint32_t g = 0; g < m->grains; g++)
		if (m->place[g].pack == MAP_ZERO &&
		    memcmp(m->id[g], zero_id, GRAIN_ID_LEN) != 0)
			return bad(e, "a grain has an id and no place");
	return 0;
}

int
map_links(const void *bytes, size_t n, struct entry_ref link[MAP_CHAIN_MAX], size_t *ret,
    struct err *e)
{
	struct parts p;

	if (split(bytes, n, &p, e) == -1)
		return -1;
	for (uint32_t i = 0; i < p.links; i++) {
		const uint8_t *l = p.link + (size_t)i * LINK_LEN;
		link[i].pack = buf_get_u32(l);
		link[i].frame = buf_get_u16(l + 4);
		link[i].grain = buf_get_u16(l + 6);
	}
	*ret = p.links;
	return 0;
}

int
map_decode(const void *bytes, size_t n, struct map *m, struct err *e)
{
	struct parts p;

	if (split(bytes, n, &p, e) == -1)
		return -1;
	if (p.kind != MAP_WHOLE)
		return bad(e, "a patch stands where a whole map must");
	map_reset(m, p.grain_log2);
	set_grains(m, p.grains);
	memcpy(m->id, p.id, (size_t)p.grains * GRAIN_ID_LEN);
	m->whole_bytes = p.whole_bytes;
	if (take_runs(m, &p, e) == -1)
		return -1;
	return check_covered(m, e);
}

int
map_apply(const void *bytes, size_t n, struct map *m, struct err *e)
{
	struct parts p;
	uint64_t next = 0;

	if (split(bytes, n, &p, e) == -1)
		return -1;
	if (p.kind != MAP_PATCH || p.grain_log2 != m->grain_log2)
		return bad(e, "this is no patch of that map");
	set_grains(m, p.grains);
	for (uint32_t i = 0; i < p.changed; i++) {
		const uint8_t *c = p.change + (size_t)i * CHANGE_LEN;
		uint32_t g = buf_get_u32(c);

		if (g < next || g >= m->grains)
			return bad(e, "a changed grain is out of range");
		memcpy(m->id[g], c + 4, GRAIN_ID_LEN);
		m->place[g] = (struct map_place){.pack = MAP_ZERO};
		next = (uint64_t)g + 1;
	}
	m->chain_bytes = p.chain_bytes;
	m->whole_bytes = p.whole_bytes;
	if (take_runs(m, &p, e) == -1)
		return -1;
	return check_covered(m, e);
}

void
map_digest(const struct map *m, const struct digest_idkey *k, uint8_t out[GRAIN_ID_LEN])
{
	digest_id(k, m->id, (size_t)m->grains * GRAIN_ID_LEN, out);
}
