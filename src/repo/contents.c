/*
 * Here it is decided what a backup stores. One GiB of a file is in hand at a time: the map that is
 * being made and, beside it, the parent's map of the same GiB, so memory does not depend on how
 * large files are.
 *
 * A frame is judged with the same quarter rule as a pack: `own` in a place says how many grains
 * this map once put into the frame; if it wants less than a quarter of them now, the rest is stored
 * again, and the old frame ages away. Only the map's own share counts, because
 * what others put into the same frame is for their maps to judge.
 */
#include "repo/contents.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/map.h"
#include "repo/proof.h"

static const uint8_t zero_id[GRAIN_ID_LEN];

/* How many grains of a map lie in one frame. */
struct tally {
	uint32_t key; /* pack index << 16 | frame */
	uint32_t count; /* 0: free */
};

struct contents {
	struct contents_options o;
	struct contents_sums sums;

	/* The file. */
	const struct entry *was;
	uint8_t grain_log2;
	uint64_t size, grains;
	struct cut_grain first; /* of a file that has one grain so far: its id, and where it lies */
	struct entry_ref first_ref;
	bool first_new;

	/* The GiB in hand. */
	struct map now, old;
	bool *old_good;	     /* by grain of `old`: may stay where it is */
	int *old_pack;	     /* by pack of `old`: its number in `now`, -1 not there yet */
	size_t old_room, old_pack_room;
	bool has_old;
	struct tally *tally;
	size_t tally_room;

	/* What the entry gets. */
	struct entry_map *map;
	size_t maps, map_room;
	struct entry_need *need;
	size_t needs, need_room;
	size_t line; /* what map and need take in the entry's line */
	struct buf encoded, digests;
};

struct contents *
contents_new(const struct contents_options *o)
{
	struct contents *c = xcalloc(1, sizeof(*c));

	c->o = *o;
	map_init(&c->now);
	map_init(&c->old);
	buf_init(&c->encoded, OBJECT_RAW_MAX);
	buf_init(&c->digests, SIZE_MAX / 2);
	return c;
}

void
contents_free(struct contents *c)
{
	if (!c)
		return;
	map_done(&c->now);
	map_done(&c->old);
	free(c->old_good);
	free(c->old_pack);
	free(c->tally);
	free(c->map);
	free(c->need);
	buf_done(&c->encoded);
	buf_done(&c->digests);
	free(c);
}

const struct contents_sums *
contents_sums(const struct contents *c)
{
	return &c->sums;
}

void
contents_begin(struct contents *c, uint8_t grain_log2, const struct entry *was)
{
	c->was = was && was->type == ENTRY_FILE && was->grain_log2 == grain_log2 ? was : NULL;
	c->grain_log2 = grain_log2;
	c->size = c->grains = 0;
	c->maps = c->needs = c->line = 0;
	c->has_old = false;
	map_reset(&c->now, grain_log2);
}

static size_t
digits(uint32_t n)
{
	size_t d = 1;

	for (; n > 9; n /= 10)
		d++;
	return d;
}

static void
add_need(struct contents *c, uint32_t pack, uint32_t grains)
{
	for (size_t i = c->needs; i-- > 0;)
		if (c->need[i].pack == pack) {
			c->line -= digits(c->need[i].grains);
			c->need[i].grains += grains;
			c->line += digits(c->need[i].grains);
			return;
		}
	c->line += digits(pack) + digits(grains) + strlen(":,");
	c->need = mem_grow(c->need, &c->need_room, c->needs + 1, sizeof(*c->need));
	c->need[c->needs++] = (struct entry_need){pack, grains};
}

/* ---- the parent's map ---- */

static struct tally *
tally_at(struct contents *c, size_t mask, uint32_t key)
{
	uint32_t mixed = key * UINT32_C(2654435761);
	/* The pack is in the upper half of the key, and only few frames of each are in use. */
	size_t i = (mixed ^ mixed >> 15) & mask;

	while (c->tally[i].count > 0 && c->tally[i].key != key)
		i = (i + 1) & mask;
	return &c->tally[i];
}

static uint32_t
frame_key(const struct map_place *p)
{
	return (uint32_t)p->pack << 16 | p->frame;
}

/*
 * Which grains of the old map may stay: their pack is reusable, and enough of their frame is still
 * wanted.
 */
static void
judge_old(struct contents *c)
{
	const struct map *m = &c->old;
	bool *pack_good = xcalloc(m->packs + 1, sizeof(*pack_good));
	size_t size = 16;

	while (size < (size_t)m->grains * 2)
		size *= 2;
	c->tally = mem_grow(c->tally, &c->tally_room, size, sizeof(*c->tally));
	memset(c->tally, 0, size * sizeof(*c->tally));
	c->old_good = mem_grow(c->old_good, &c->old_room, m->grains + 1, sizeof(*c->old_good));
	c->old_pack = mem_grow(c->old_pack, &c->old_pack_room, m->packs + 1, sizeof(*c->old_pack));
	for (size_t i = 0; i < m->packs; i++) {
		pack_good[i] = parent_reusable(c->o.parent, m->pack[i]);
		c->old_pack[i] = -1;
	}
	for (uint32_t g = 0; g < m->grains; g++) {
		struct tally *t;

		if (m->place[g].pack == MAP_ZERO)
			continue;
		t = tally_at(c, size - 1, frame_key(&m->place[g]));
		t->key = frame_key(&m->place[g]);
		t->count++;
	}
	for (uint32_t g = 0; g < m->grains; g++) {
		const struct map_place *p = &m->place[g];

		c->old_good[g] = p->pack != MAP_ZERO && pack_good[p->pack] &&
		    parent_worth(tally_at(c, size - 1, frame_key(p))->count, p->own);
	}
	free(pack_good);
}

/* The parent's map of the GiB that begins now. */
static int
load_old(struct contents *c, struct err *e)
{
	int got = c->was ? parent_map(c->o.parent, c->was, c->maps, &c->old, e) : 0;

	c->has_old = got == 1;
	if (c->has_old)
		judge_old(c);
	return got == -1 ? -1 : 0;
}

/* ---- grains ---- */

/* Where the parent has this grain at the same place of the file; false: it must be stored. */
static bool
same_in_map(const struct contents *c, uint32_t g, const uint8_t *id)
{
	return c->has_old && g < c->old.grains && c->old_good[g] &&
	    memcmp(c->old.id[g], id, GRAIN_ID_LEN) == 0;
}

static bool
same_as_single(const struct contents *c, const uint8_t *id)
{
	return c->was && c->was->single && memcmp(c->was->id, id, GRAIN_ID_LEN) == 0 &&
	    parent_reusable(c->o.parent, c->was->ref.pack);
}

static int
store(struct contents *c, const struct cut_grain *g, struct entry_ref *ref, struct err *e)
{
	const struct packer_grain new = {.kind = FRAME_DATA,
	    .bytes = g->data,
	    .len = g->len,
	    .id = g->id,
	    .sum = g->sum,
	    .memory = g->memory};

	c->sums.fresh += g->len;
	return packer_place(c->o.data, &new, ref, e);
}

/* A grain that was stored now: own is filled in when the map is finished. */
static void
add_stored(struct contents *c, const uint8_t *id, struct entry_ref ref)
{
	int pack = map_pack(&c->now, ref.pack);

	/*
	 * A map names at most as many packs as it has grains, and those it stores itself lie in
	 * few.
	 */
	map_add(&c->now, id,
	    (struct map_place){.pack = (uint16_t)pack, .frame = ref.frame, .first = ref.grain});
}

/* Keeps the grain where the parent has it; false when the map cannot name one more pack. */
static bool
add_kept(struct contents *c, uint32_t g)
{
	struct map_place p = c->old.place[g];
	int *pack = &c->old_pack[p.pack];

	if (*pack == -1) {
		/* Room is left for the packs that new grains will lie in. */
		if (c->now.packs >= MAP_PACKS_MAX / 2)
			return false;
		*pack = map_pack(&c->now, c->old.pack[p.pack]);
	}
	p.pack = (uint16_t)*pack;
	map_add(&c->now, c->old.id[g], p);
	return true;
}

static int
map_grain(struct contents *c, const struct cut_grain *g, struct err *e)
{
	struct entry_ref ref;

	if (memcmp(g->id, zero_id, GRAIN_ID_LEN) == 0) {
		map_add_zero(&c->now);
		return 0;
	}
	if (same_in_map(c, c->now.grains, g->id) && add_kept(c, c->now.grains)) {
		c->sums.kept += g->len;
		return 0;
	}
	if (store(c, g, &ref, e) == -1)
		return -1;
	add_stored(c, g->id, ref);
	return 0;
}

/* The first grain of a file: perhaps the only one, so it is no matter of a map yet. */
static int
first_grain(struct contents *c, const struct cut_grain *g, struct err *e)
{
	c->first = *g;
	c->first.data = NULL;
	c->first_new = false;
	if (memcmp(g->id, zero_id, GRAIN_ID_LEN) == 0)
		return 0;
	if (same_as_single(c, g->id)) {
		c->first_ref = c->was->ref;
		c->sums.kept += g->len;
		return 0;
	}
	if (load_old(c, e) == -1)
		return -1;
	if (same_in_map(c, 0, g->id)) {
		const struct map_place *p = &c->old.place[0];
		c->first_ref = (struct entry_ref){c->old.pack[p->pack], p->frame, p->first};
		c->sums.kept += g->len;
		return 0;
	}
	c->first_new = true;
	return store(c, g, &c->first_ref, e);
}

/* A second grain has come: the file gets maps, and the first grain is the first of the first. */
static int
begin_maps(struct contents *c, struct err *e)
{
	if (!c->has_old && load_old(c, e) == -1)
		return -1;
	if (memcmp(c->first.id, zero_id, GRAIN_ID_LEN) == 0)
		map_add_zero(&c->now);
	else if (c->first_new || !same_in_map(c, 0, c->first.id) || !add_kept(c, 0))
		add_stored(c, c->first.id, c->first_ref);
	return 0;
}

/* ---- finishing a map ---- */

/* Grains stored now lie in frames one after the other; each gets the number of its companions. */
static void
fill_own(struct map *m)
{
	uint32_t g = 0;

	while (g < m->grains) {
		const struct map_place at = m->place[g];
		uint32_t n = 0, last = g;

		if (at.pack == MAP_ZERO || at.own > 0) {
			g++;
			continue;
		}
		for (uint32_t k = g; k < m->grains; k++) {
			const struct map_place *p = &m->place[k];
			if (p->pack == MAP_ZERO || p->own > 0)
				continue;
			if (p->pack != at.pack || p->frame != at.frame)
				break;
			n++;
			last = k;
		}
		for (uint32_t k = g; k <= last; k++)
			if (m->place[k].pack != MAP_ZERO && m->place[k].own == 0)
				m->place[k].own = (uint16_t)n;
		g = last + 1;
	}
}

static bool
all_zero(const struct map *m)
{
	for (uint32_t g = 0; g < m->grains; g++)
		if (m->place[g].pack != MAP_ZERO)
			return false;
	return true;
}

static bool
chain_reusable(const struct contents *c)
{
	for (size_t i = 0; i < c->old.links; i++)
		if (!parent_reusable(c->o.parent, c->old.link[i].pack))
			return false;
	return true;
}

/* Encodes the map, as a patch when that is sound and smaller in the long run. true: a patch. */
static bool
encode_map(struct contents *c, bool chain_good)
{
	buf_reset(&c->encoded);
	if (chain_good && c->old.links <= MAP_CHAIN_MAX) {
		map_encode_patch(&c->old, &c->now, &c->encoded);
		if (!c->encoded.over &&
		    c->encoded.len + c->old.chain_bytes <= c->old.whole_bytes)
			return true;
	}
	buf_reset(&c->encoded);
	map_encode(&c->now, &c->encoded);
	return false;
}

static void
need_chain(struct contents *c)
{
	for (size_t i = 0; i < c->old.links; i++)
		add_need(c, c->old.link[i].pack, 1);
}

static void
need_grains(struct contents *c)
{
	const struct map *m = &c->now;
	uint32_t *count = xcalloc(m->packs + 1, sizeof(*count));

	for (uint32_t g = 0; g < m->grains; g++)
		if (m->place[g].pack != MAP_ZERO)
			count[m->place[g].pack]++;
	for (size_t i = 0; i < m->packs; i++)
		if (count[i] > 0)
			add_need(c, m->pack[i], count[i]);
	free(count);
}

/* Stores the map unless the parent's is the same; its place into *ret. */
static int
place_map(struct contents *c, struct entry_ref *ref, struct err *e)
{
	bool chain_good = c->has_old && chain_reusable(c), patch;
	uint8_t id[GRAIN_ID_LEN];
	struct packer_grain new;

	if (chain_good && map_same(&c->old, &c->now)) {
		*ref = c->old.link[0];
		need_chain(c);
		return 0;
	}
	patch = encode_map(c, chain_good);
	if (buf_check(&c->encoded, "map", e) == -1)
		return -1;
	new = (struct packer_grain){
	    .kind = FRAME_MAP, .bytes = c->encoded.data, .len = c->encoded.len, .id = id};
	digest_id(c->o.key, new.bytes, new.len, id);
	new.sum = proof_grain(id, new.bytes, new.len);
	if (packer_place(c->o.maps, &new, ref, e) == -1)
		return -1;
	/*
	 * In the order of the run that will keep this map, so that the entry's line stays the same.
	 */
	add_need(c, ref->pack, 1);
	if (patch)
		need_chain(c);
	return 0;
}

static void
add_map(struct contents *c, const struct entry_map *m)
{
	c->map = mem_grow(c->map, &c->map_room, c->maps + 1, sizeof(*m));
	c->map[c->maps++] = *m;
	c->line += m->ref.pack == LIST_NO_PACK ? strlen("-,") : strlen("../,") + 2 * GRAIN_ID_LEN +
	    digits(m->ref.pack) + digits(m->ref.frame) + digits(m->ref.grain);
}

static int
finish_map(struct contents *c, struct err *e)
{
	struct entry_map m = {.ref.pack = LIST_NO_PACK};

	if (!all_zero(&c->now)) {
		fill_own(&c->now);
		map_digest(&c->now, c->o.key, m.digest);
		need_grains(c);
		if (place_map(c, &m.ref, e) == -1)
			return -1;
	}
	add_map(c, &m);
	map_reset(&c->now, c->grain_log2);
	return 0;
}

/* Grains of a map of a whole GiB. */
static uint32_t
map_full(const struct contents *c)
{
	return 1u << (LIST_MAP_SPAN_LOG2 - c->grain_log2);
}

/*
 * Zero maps for as many of these zero grains as leave one over for the map that follows; says for
 * how many.
 */
static uint64_t
add_zero_maps(struct contents *c, uint64_t grains)
{
	const struct entry_map none = {.ref.pack = LIST_NO_PACK};
	uint64_t maps = (grains - 1) / map_full(c);

	for (uint64_t i = 0; i < maps; i++)
		add_map(c, &none);
	c->grains += maps * map_full(c);
	return maps * map_full(c);
}

/* ---- the file ---- */

static int
one_grain(struct contents *c, const struct cut_grain *g, struct err *e)
{
	if (c->grains == 0) {
		c->grains++;
		return first_grain(c, g, e);
	}
	if (c->grains == 1 && begin_maps(c, e) == -1)
		return -1;
	if (c->now.grains == map_full(c))
		if (finish_map(c, e) == -1 || load_old(c, e) == -1)
			return -1;
	c->grains++;
	return map_grain(c, g, e);
}

static int
zero_grains(struct contents *c, const struct cut_grain *g, struct err *e)
{
	const struct cut_grain zero = {.len = g->len};

	for (uint64_t left = g->zeros; left > 0; left--) {
		/* Grain by grain up to the end of a map, then whole maps at a time. */
		if (c->now.grains == map_full(c)) {
			if (finish_map(c, e) == -1)
				return -1;
			left -= add_zero_maps(c, left);
			if (load_old(c, e) == -1)
				return -1;
		}
		if (one_grain(c, &zero, e) == -1)
			return -1;
	}
	return 0;
}

int
contents_grain(struct contents *c, const struct cut_grain *g, struct err *e)
{
	c->size += g->data ? g->len : g->zeros * g->len;
	if (c->size > LIST_FILE_MAX)
		return err_set(e, ERR_UNSUPPORTED, "files of more than 64 TiB are not supported");
	if (!g->data)
		return zero_grains(c, g, e);
	c->sums.read += g->len;
	return one_grain(c, g, e);
}

static void
end_single(struct contents *c, struct entry *en)
{
	if (memcmp(c->first.id, zero_id, GRAIN_ID_LEN) == 0)
		return;
	en->single = true;
	en->ref = c->first_ref;
	memcpy(en->id, c->first.id, GRAIN_ID_LEN);
	add_need(c, c->first_ref.pack, 1);
}

static void
end_maps(struct contents *c, struct entry *en)
{
	bool any = false;

	buf_reset(&c->digests);
	for (size_t i = 0; i < c->maps; i++) {
		any = any || c->map[i].ref.pack != LIST_NO_PACK;
		buf_add(&c->digests, c->map[i].digest, GRAIN_ID_LEN);
	}
	if (!any)
		return;
	digest_id(c->o.key, c->digests.data, c->digests.len, en->id);
	en->map = c->map;
	en->maps = c->maps;
}

int
contents_end(struct contents *c, struct entry *en, struct err *e)
{
	if (c->grains > 1 && finish_map(c, e) == -1)
		return -1;
	en->size = c->size;
	en->grain_log2 = c->grain_log2;
	memset(en->id, 0, GRAIN_ID_LEN);
	en->single = false;
	en->map = NULL;
	en->maps = 0;
	if (c->grains == 1)
		end_single(c, en);
	else if (c->grains > 1)
		end_maps(c, en);
	en->need = c->need;
	en->needs = c->needs;
	return 0;
}

/* The packs of the map in hand may all be new to the file. */
size_t
contents_line(const struct contents *c)
{
	return c->line + c->now.packs * strlen("1000000:100,");
}
