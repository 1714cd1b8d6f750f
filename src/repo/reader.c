/*
 * A snapshot is read the way it was written: in path order, a chunk of the list at a time. Three
 * places of reading are kept apart (the walk, a search, a chunk lent out), so that a caller may
 * look something up in the middle of a walk.
 *
 * Every chunk and map is compared with what the level above says of it: the manifest names the id
 * of a chunk, an entry names the digest of its maps. So a signature on the manifest reaches down to
 * each grain.
 */
#include "repo/reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static const uint8_t zero_id[GRAIN_ID_LEN];

/* A place in the list: a chunk copied, and the reader that stands in it. */
struct place {
	size_t next; /* chunk to take when this one is read out */
	struct buf text;
	struct list_reader lines;
};

struct reader {
	struct repo *repo;
	struct manifest manifest;
	struct packs *packs;
	struct place walk, search;
	struct map map; /* for reader_runs */
};

static void
place_init(struct place *p)
{
	p->next = 0;
	buf_init(&p->text, OBJECT_RAW_MAX);
	list_reader_init(&p->lines);
	list_reader_set(&p->lines, "", 0);
}

static void
place_done(struct place *p)
{
	buf_done(&p->text);
	list_reader_done(&p->lines);
}

/* The manifest from the first tier that has a good one. */
static int
get_manifest(struct repo *repo, struct tier *first, const char *snap, struct manifest *ret,
    struct err *e)
{
	struct err why = {0};
	bool asked = false;

	if (first && first->store) {
		if (manifest_get(first->store, snap, repo->keys, ret, e) == 0)
			return 0;
		asked = true;
	}
	for (size_t i = 0; i < repo->tiers->count; i++) {
		struct tier *t = tier_near(repo->tiers, i);
		struct err *into = asked ? &why : e;

		if (t == first || !t->store)
			continue;
		if (manifest_get(t->store, snap, repo->keys, ret, into) == 0)
			return 0;
		if (asked && e->kind == ERR_NOTFOUND)
			*e = why;
		asked = true;
	}
	return asked ? -1 : err_set(e, ERR_REMOTE, "%s: no tier is reachable", snap);
}

int
reader_open(struct repo *repo, struct tier *first, const char *snap, struct reader **ret,
    struct err *e)
{
	struct reader *r = xcalloc(1, sizeof(*r));
	struct err why = {0};

	if (get_manifest(repo, first, snap, &r->manifest, &why) == -1) {
		if (e)
			*e = why;
		free(r);
		return -1;
	}
	r->repo = repo;
	r->packs = packs_new(repo, first);
	/* Another tier's served: nobody would hear that this one is damaged. */
	if (why.kind != ERR_NONE && why.kind != ERR_NOTFOUND) {
		err_in(&why, "tier '%s': %s", first ? first->name : "", snap);
		packs_count_fallback(r->packs, NULL, 0, &why);
	}
	place_init(&r->walk);
	place_init(&r->search);
	map_init(&r->map);
	*ret = r;
	return 0;
}

void
reader_free(struct reader *r)
{
	if (!r)
		return;
	manifest_done(&r->manifest);
	packs_free(r->packs);
	place_done(&r->walk);
	place_done(&r->search);
	map_done(&r->map);
	free(r);
}

const struct manifest *
reader_manifest(const struct reader *r)
{
	return &r->manifest;
}

const struct keyring *
reader_keys(const struct reader *r)
{
	return r->repo->keys;
}

struct packs *
reader_packs(struct reader *r)
{
	return r->packs;
}

/* ---- grains ---- */

static int
find_grain(struct reader *r, const struct manifest_pack *pack, struct entry_ref ref,
    const uint8_t *id, const uint8_t **bytes, size_t *n, struct err *e)
{
	const struct object_grain *grain;
	const struct object_frame *f;
	const struct object *o;
	const uint8_t *raw;

	if (packs_frame(r->packs, pack->sha, ref.frame, &o, &raw, e) == -1)
		return -1;
	f = &o->index.frame[ref.frame];
	if (ref.grain >= f->grains)
		return err_set(e, ERR_CORRUPT, "%s: pack %u, frame %u has no grain %u",
		    r->manifest.name, ref.pack, ref.frame, ref.grain);
	grain = &o->index.grain[f->first_grain];
	for (uint16_t i = 0; i < ref.grain; i++, grain++)
		raw += grain->len;
	/* The pack's own ids were checked; it may be another pack all the same. */
	if (id && memcmp(grain->id, id, GRAIN_ID_LEN) != 0)
		return err_set(e, ERR_CORRUPT, "%s: pack %u, frame %u, grain %u is another grain",
		    r->manifest.name, ref.pack, ref.frame, ref.grain);
	*bytes = raw;
	*n = grain->len;
	return 0;
}

int
reader_grain(struct reader *r, struct entry_ref ref, const uint8_t id[GRAIN_ID_LEN],
    const uint8_t **bytes, size_t *n, struct err *e)
{
	const struct manifest_pack *pack = manifest_pack(&r->manifest, ref.pack);

	if (!pack)
		return err_set(e, ERR_CORRUPT, "%s: its table has no pack %u", r->manifest.name,
		    ref.pack);
	while (find_grain(r, pack, ref, id, bytes, n, e) == -1)
		if (e->kind != ERR_CORRUPT || !packs_other(r->packs, pack->sha, e))
			return -1;
	return 0;
}

/* ---- the list ---- */

size_t
reader_chunks(const struct reader *r)
{
	return r->manifest.chunks > 0 ? r->manifest.chunks : 1;
}

int
reader_chunk(struct reader *r, size_t i, const char **text, size_t *n, struct err *e)
{
	const struct manifest_chunk *c;
	const uint8_t *bytes;

	if (r->manifest.chunks == 0) {
		*text = buf_str(&r->manifest.inline_list);
		*n = r->manifest.inline_list.len;
		return 0;
	}
	c = &r->manifest.chunk[i];
	if (reader_grain(r, c->ref, c->id, &bytes, n, e) == -1)
		return err_in(e, "%s: its file list", r->manifest.name);
	if (*n != c->len)
		return err_set(e, ERR_CORRUPT, "%s: chunk %zu of its file list is another one",
		    r->manifest.name, i);
	*text = (const char *)bytes;
	return 0;
}

static int
place_at(struct reader *r, struct place *p, size_t chunk, struct err *e)
{
	const char *text;
	size_t n;

	if (reader_chunk(r, chunk, &text, &n, e) == -1)
		return -1;
	buf_reset(&p->text);
	buf_add(&p->text, text, n);
	if (buf_check(&p->text, "file list", e) == -1)
		return -1;
	list_reader_set(&p->lines, p->text.data, p->text.len);
	p->next = chunk + 1;
	return 0;
}

void
reader_rewind(struct reader *r)
{
	r->walk.next = 0;
	list_reader_set(&r->walk.lines, "", 0);
}

static int
place_next(struct reader *r, struct place *p, const struct entry **ret, struct err *e)
{
	int got;

	while ((got = list_next(&p->lines, ret, e)) == 0) {
		if (p->next >= reader_chunks(r))
			return 0;
		if (place_at(r, p, p->next, e) == -1)
			return -1;
	}
	return got == -1 ? err_in(e, "%s", r->manifest.name) : got;
}

int
reader_next(struct reader *r, const struct entry **ret, struct err *e)
{
	return place_next(r, &r->walk, ret, e);
}

/* The last chunk whose first path is not after this one. */
static size_t
chunk_of(const struct reader *r, const char *path, size_t pathlen)
{
	size_t lo = 0, hi = r->manifest.chunks;
	struct buf first;

	buf_init(&first, OBJECT_RAW_MAX);
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;
		const char *word = r->manifest.chunk[mid].first;

		buf_reset(&first);
		if (text_unescape(word, strlen(word), &first) == 0 &&
		    list_path_order(buf_str(&first), first.len, path, pathlen) <= 0)
			lo = mid;
		else
			hi = mid;
	}
	buf_done(&first);
	return lo;
}

int
reader_find(struct reader *r, const char *path, size_t pathlen, const struct entry **ret,
    struct err *e)
{
	int got;

	if (place_at(r, &r->search, chunk_of(r, path, pathlen), e) == -1)
		return -1;
	while ((got = place_next(r, &r->search, ret, e)) == 1) {
		int order = list_path_order((*ret)->path, (*ret)->pathlen, path, pathlen);
		if (order == 0)
			return 1;
		if (order > 0)
			return 0;
	}
	return got;
}

/* ---- maps ---- */

/* Grains of GiB number i of the file. */
static uint32_t
grains_of(const struct entry *en, size_t i)
{
	uint64_t span = UINT64_C(1) << LIST_MAP_SPAN_LOG2;
	uint64_t rest = en->size - (uint64_t)i * span;

	if (rest > span)
		rest = span;
	return (uint32_t)((rest + (UINT64_C(1) << en->grain_log2) - 1) >> en->grain_log2);
}

static int
take_map(struct reader *r, struct entry_ref ref, bool whole, struct map *m, struct err *e)
{
	const uint8_t *bytes;
	size_t n;

	if (reader_grain(r, ref, NULL, &bytes, &n, e) == -1)
		return -1;
	return whole ? map_decode(bytes, n, m, e) : map_apply(bytes, n, m, e);
}

static int
read_chain(struct reader *r, struct entry_ref ref, struct map *m, struct err *e)
{
	struct entry_ref link[MAP_CHAIN_MAX];
	const uint8_t *bytes;
	size_t n, links = 0;
	int rc = 0;

	if (reader_grain(r, ref, NULL, &bytes, &n, e) == -1 ||
	    map_links(bytes, n, link, &links, e) == -1)
		rc = -1;
	for (size_t i = links; rc == 0 && i-- > 0;)
		rc = take_map(r, link[i], i == links - 1, m, e);
	if (rc == 0)
		rc = take_map(r, ref, links == 0, m, e);
	m->link[0] = ref;
	memcpy(m->link + 1, link, links * sizeof(*link));
	m->links = links + 1;
	return rc;
}

/* The map, its digest and length as the entry says. */
static int
try_map(struct reader *r, const struct entry *en, size_t i, struct map *m, struct err *e)
{
	uint8_t digest[GRAIN_ID_LEN];

	if (read_chain(r, en->map[i].ref, m, e) == -1)
		return err_in(e, "%s: map %zu of '%.*s'", r->manifest.name, i, (int)en->pathlen,
		    en->path);
	map_digest(m, &r->repo->keys->id, digest);
	if (m->grains != grains_of(en, i) || m->grain_log2 != en->grain_log2 ||
	    memcmp(digest, en->map[i].digest, GRAIN_ID_LEN) != 0)
		return err_set(e, ERR_CORRUPT, "%s: map %zu of '%.*s' is another file's",
		    r->manifest.name, i, (int)en->pathlen, en->path);
	return 0;
}

/*
 * Moves on to another tier's copy of a pack that the map was read from; only the whole of it shows
 * that one is wrong.
 */
static bool
other_copies(struct reader *r, const struct map *m, const struct err *why)
{
	for (size_t i = 0; i < m->links; i++) {
		const struct manifest_pack *k = manifest_pack(&r->manifest, m->link[i].pack);

		if (k && packs_other(r->packs, k->sha, why))
			return true;
	}
	return false;
}

int
reader_map(struct reader *r, const struct entry *en, size_t i, struct map *ret, struct err *e)
{
	map_reset(ret, en->grain_log2);
	if (en->map[i].ref.pack == LIST_NO_PACK) {
		for (uint32_t g = grains_of(en, i); g > 0; g--)
			map_add_zero(ret);
		return 0;
	}
	while (try_map(r, en, i, ret, e) == -1)
		if (e->kind != ERR_CORRUPT || !other_copies(r, ret, e))
			return -1;
	return 0;
}

/* The id an entry must have by the digests of its maps. */
static int
check_id(const struct reader *r, const struct entry *en, struct err *e)
{
	struct buf all;
	uint8_t id[GRAIN_ID_LEN];
	int bad;

	buf_init(&all, SIZE_MAX / 2);
	for (size_t i = 0; i < en->maps; i++)
		buf_add(&all, en->map[i].ref.pack == LIST_NO_PACK ? zero_id : en->map[i].digest,
		    GRAIN_ID_LEN);
	digest_id(&r->repo->keys->id, all.data, all.len, id);
	bad = memcmp(id, en->id, GRAIN_ID_LEN);
	buf_done(&all);
	return bad == 0 ? 0 :
			  err_set(e, ERR_CORRUPT, "%s: the maps of '%.*s' do not make its id",
			      r->manifest.name, (int)en->pathlen, en->path);
}

/* The grains from g on that lie one after the other in one frame. */
static uint32_t
run_length(const struct map *m, uint32_t g)
{
	const struct map_place *p = &m->place[g];
	uint32_t n = 1;

	while (g + n < m->grains && m->place[g + n].pack == p->pack &&
	    m->place[g + n].frame == p->frame && m->place[g + n].first == p->first + n)
		n++;
	return n;
}

static int
map_runs(struct reader *r, const struct entry *en, size_t i, reader_run_fn *fn, void *arg,
    struct err *e)
{
	struct map *m = &r->map;
	uint32_t n;

	if (reader_map(r, en, i, m, e) == -1)
		return -1;
	for (uint32_t g = 0; g < m->grains; g += n) {
		const struct map_place *p = &m->place[g];
		struct reader_run run;

		n = 1;
		if (p->pack == MAP_ZERO)
			continue;
		n = run_length(m, g);
		run = (struct reader_run){.pack = m->pack[p->pack],
		    .frame = p->frame,
		    .first = p->first,
		    .count = n,
		    .offset = ((uint64_t)i << LIST_MAP_SPAN_LOG2) +
			((uint64_t)g << en->grain_log2),
		    .ids = (const uint8_t(*)[GRAIN_ID_LEN])m->id + g};
		if (fn(arg, &run, e) == -1)
			return -1;
	}
	return 0;
}

int
reader_runs(struct reader *r, const struct entry *en, reader_run_fn *fn, void *arg, struct err *e)
{
	if (en->single) {
		struct reader_run run = {.pack = en->ref.pack,
		    .frame = en->ref.frame,
		    .first = en->ref.grain,
		    .count = 1,
		    .ids = &en->id};
		return fn(arg, &run, e);
	}
	if (en->maps > 0 && check_id(r, en, e) == -1)
		return -1;
	for (size_t i = 0; i < en->maps; i++)
		if (en->map[i].ref.pack != LIST_NO_PACK && map_runs(r, en, i, fn, arg, e) == -1)
			return -1;
	return 0;
}
