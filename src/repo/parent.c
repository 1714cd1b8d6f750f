/*
 * The parent decides what a backup costs, never what it holds: whatever is found here is compared
 * by content, or taken over only where the source vouches for it. So a lookup may miss, and does
 * when it would need much memory or when the parent is damaged: a backup is what heals that.
 *
 * Looking up by path is a merge: both sides come in path order. A file that is not found so may
 * have been renamed or rotated; for that the parent's list is read once more and its inodes are
 * kept in an array, 16 bytes a file. Where paths come in any order there is an index of paths
 * instead. Both name a place in a chunk of the list, and the reader keeps the chunks used last.
 */
#include "repo/parent.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/pathindex.h"

/* 32 MiB of inodes; files beyond it are found by path only. */
#define INODES_MAX (2u << 20)

struct inode {
	uint64_t ino;
	uint32_t chunk, off;
};

struct parent {
	struct reader *reader;
	bool *reusable, *keepable; /* by place in the manifest's table */
	const struct manifest_chunk **chunk; /* by id */
	size_t chunks;

	const struct entry *at; /* the merge stands here; NULL: at the end, or not begun */
	bool begun;

	bool any_order;
	bool indexed;		 /* one of these is made */
	struct pathindex *paths; /* with any_order */
	struct inode *inode;	 /* else; sorted */
	size_t inodes;
	struct list_reader found; /* an entry found by them */
	struct err lost;
};

bool
parent_young(int64_t age_ns, int64_t horizon_ns)
{
	return age_ns < horizon_ns;
}

/*
 * Half to nine tenths of the horizon, by the pack's name: so what came at once is not renewed at
 * once.
 */
bool
parent_fresh(int64_t age_ns, int64_t horizon_ns, uint8_t first)
{
	return age_ns < horizon_ns / 2 + horizon_ns / 10 * 4 / 255 * first;
}

bool
parent_worth(uint32_t wanted, uint32_t of)
{
	return (uint64_t)wanted * 4 >= of;
}

static int
by_id(const void *a, const void *b)
{
	const struct manifest_chunk *const *x = a, *const *y = b;

	return memcmp((*x)->id, (*y)->id, GRAIN_ID_LEN);
}

static void
judge_packs(struct parent *p, const struct manifest *m, const struct parent_options *o)
{
	p->reusable = xcalloc(m->packs + 1, sizeof(*p->reusable));
	p->keepable = xcalloc(m->packs + 1, sizeof(*p->keepable));
	for (size_t i = 0; i < m->packs; i++) {
		const struct manifest_pack *k = &m->pack[i];
		int64_t age = o->now_ns - k->time_ns;

		p->keepable[i] = (!o->there || o->there[i]) && parent_young(age, o->horizon_ns);
		p->reusable[i] = p->keepable[i] && parent_worth(k->wanted, k->grains) &&
		    (!o->renew || parent_fresh(age, o->horizon_ns, k->sha[0]));
	}
}

static void
index_chunks(struct parent *p, const struct manifest *m)
{
	p->chunk = xcalloc(m->chunks + 1, sizeof(*p->chunk));
	for (size_t i = 0; i < m->chunks; i++)
		if (parent_reusable(p, m->chunk[i].ref.pack))
			p->chunk[p->chunks++] = &m->chunk[i];
	if (p->chunks > 1)
		qsort(p->chunk, p->chunks, sizeof(*p->chunk), by_id);
}

struct parent *
parent_new(const struct parent_options *o)
{
	struct parent *p = xcalloc(1, sizeof(*p));

	p->reader = o->reader;
	p->any_order = o->any_order;
	list_reader_init(&p->found);
	if (p->reader) {
		judge_packs(p, reader_manifest(p->reader), o);
		index_chunks(p, reader_manifest(p->reader));
	}
	return p;
}

void
parent_free(struct parent *p)
{
	if (!p)
		return;
	free(p->reusable);
	free(p->keepable);
	free(p->chunk);
	free(p->inode);
	pathindex_free(p->paths);
	list_reader_done(&p->found);
	free(p);
}

const struct err *
parent_lost(const struct parent *p)
{
	return &p->lost;
}

/* Damage of the parent costs a lookup, not the backup: 0. Anything else is an error: -1. */
static int
lose(struct parent *p, const struct err *why, struct err *e)
{
	if (why->kind != ERR_CORRUPT && why->kind != ERR_NOTFOUND) {
		*e = *why;
		return -1;
	}
	if (p->lost.kind == ERR_NONE)
		p->lost = *why;
	return 0;
}

static bool
judged(const struct parent *p, const bool *verdict, uint32_t pack)
{
	const struct manifest *m;
	const struct manifest_pack *k;

	if (!p->reader)
		return false;
	m = reader_manifest(p->reader);
	k = manifest_pack(m, pack);
	return k && verdict[k - m->pack];
}

bool
parent_reusable(const struct parent *p, uint32_t pack)
{
	return judged(p, p->reusable, pack);
}

bool
parent_keepable(const struct parent *p, uint32_t pack)
{
	return judged(p, p->keepable, pack);
}

const struct manifest_chunk *
parent_chunk(const struct parent *p, const uint8_t id[GRAIN_ID_LEN])
{
	size_t lo = 0, hi = p->chunks;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (memcmp(p->chunk[mid]->id, id, GRAIN_ID_LEN) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->chunks && memcmp(p->chunk[lo]->id, id, GRAIN_ID_LEN) == 0 ? p->chunk[lo] :
										   NULL;
}

/* ---- by an index ---- */

static int
by_inode(const void *a, const void *b)
{
	const struct inode *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static void
index_entry(struct parent *p, const struct entry *en, uint32_t chunk, uint32_t off, size_t *room)
{
	if (p->any_order) {
		pathindex_add(p->paths, en->path, en->pathlen, chunk, off);
		return;
	}
	if (en->type != ENTRY_FILE || en->size == 0 || p->inodes == INODES_MAX)
		return;
	p->inode = mem_grow(p->inode, room, p->inodes + 1, sizeof(*p->inode));
	p->inode[p->inodes++] = (struct inode){en->ino, chunk, off};
}

/* Adds the entries of one chunk. */
static int
index_chunk(struct parent *p, uint32_t chunk, size_t *room, struct err *e)
{
	const struct entry *en;
	struct list_reader l;
	const char *text;
	size_t n;
	int got = -1;

	list_reader_init(&l);
	if (reader_chunk(p->reader, chunk, &text, &n, e) == -1)
		goto out;
	list_reader_set(&l, text, n);
	for (;;) {
		uint32_t off = (uint32_t)(l.at - text);

		got = list_next(&l, &en, e);
		if (got != 1)
			break;
		index_entry(p, en, chunk, off, room);
	}
out:
	list_reader_done(&l);
	return got;
}

/* Reads the whole list once. A chunk that cannot be read is left out. */
static int
index_list(struct parent *p, struct err *e)
{
	size_t room = 0;

	if (p->any_order)
		p->paths = pathindex_new(reader_manifest(p->reader)->entries);
	for (size_t i = 0; i < reader_chunks(p->reader); i++) {
		struct err why = {0};

		if (index_chunk(p, (uint32_t)i, &room, &why) == -1 && lose(p, &why, e) == -1)
			return -1;
	}
	if (p->inodes > 1)
		qsort(p->inode, p->inodes, sizeof(*p->inode), by_inode);
	p->indexed = true;
	return 0;
}

/* The entry there: 1, 0 it is lost, -1. It does not need the chunk any more. */
static int
entry_at(struct parent *p, uint32_t chunk, uint32_t off, const struct entry **ret, struct err *e)
{
	struct err why = {0};
	const char *text;
	size_t n;

	if (reader_chunk(p->reader, chunk, &text, &n, &why) == -1)
		return lose(p, &why, e);
	list_reader_set(&p->found, text + off, n - off);
	return list_next(&p->found, ret, &why) == 1 ? 1 : lose(p, &why, e);
}

static int
find_inode(struct parent *p, const struct entry *meta, const struct entry **ret, struct err *e)
{
	struct inode key = {.ino = meta->ino}, *hit;
	int got;

	if (!p->indexed && index_list(p, e) == -1)
		return -1;
	hit = p->inodes > 0 ? bsearch(&key, p->inode, p->inodes, sizeof(key), by_inode) : NULL;
	if (!hit)
		return 0;
	got = entry_at(p, hit->chunk, hit->off, ret, e);
	return got != 1 ? got : (*ret)->dev == meta->dev;
}

static int
find_path(struct parent *p, const struct entry *meta, const struct entry **ret, struct err *e)
{
	struct pathindex_walk walk;

	if (!p->indexed && index_list(p, e) == -1)
		return -1;
	walk = pathindex_look(p->paths, meta->path, meta->pathlen);
	while (pathindex_next(p->paths, &walk)) {
		int got = entry_at(p, walk.chunk, walk.off, ret, e);

		if (got == -1)
			return -1;
		if (got == 1 && (*ret)->pathlen == meta->pathlen &&
		    memcmp((*ret)->path, meta->path, meta->pathlen) == 0)
			return 1;
	}
	return 0;
}

/* ---- by merging ---- */

/* Moves the merge on to this path or behind it. */
static int
walk_to(struct parent *p, const struct entry *meta, struct err *e)
{
	struct err why = {0};
	int got;

	while (!p->begun ||
	    (p->at &&
		list_path_order(p->at->path, p->at->pathlen, meta->path, meta->pathlen) < 0)) {
		p->begun = true;
		got = reader_next(p->reader, &p->at, &why);
		if (got != 1)
			p->at = NULL;
		if (got == -1)
			return lose(p, &why, e);
	}
	return 0;
}

int
parent_find(struct parent *p, const struct entry *meta, const struct entry **ret, struct err *e)
{
	if (!p->reader)
		return 0;
	if (p->any_order)
		return find_path(p, meta, ret, e);
	if (walk_to(p, meta, e) == -1)
		return -1;
	if (p->at && list_path_order(p->at->path, p->at->pathlen, meta->path, meta->pathlen) == 0) {
		*ret = p->at;
		return 1;
	}
	if (meta->type != ENTRY_FILE || meta->size == 0)
		return 0;
	return find_inode(p, meta, ret, e);
}

int
parent_map(struct parent *p, const struct entry *was, size_t i, struct map *ret, struct err *e)
{
	struct err why = {0};

	if (i >= was->maps || was->map[i].ref.pack == LIST_NO_PACK)
		return 0;
	return reader_map(p->reader, was, i, ret, &why) == 0 ? 1 : lose(p, &why, e);
}
