#ifndef REPO_READER_H
#define REPO_READER_H

#include "repo/list.h"
#include "repo/manifest.h"
#include "repo/map.h"
#include "repo/packs.h"
#include "repo/repo.h"

/*
 * A snapshot being read: its manifest, its entries in path order, its frames by reference, with a
 * bounded cache. Any object is taken from the tier named first, else from another that has it
 * whole.
 */
struct reader;

int reader_open(struct repo *repo, struct tier *first, const char *snap, struct reader **ret,
    struct err *e);
void reader_free(struct reader *r);
const struct manifest *reader_manifest(const struct reader *r);

const struct keyring *reader_keys(const struct reader *r);

/* From the beginning again. */
void reader_rewind(struct reader *r);
/* Next entry; lives until the next call. 1/0/-1. */
int reader_next(struct reader *r, const struct entry **ret, struct err *e);
/* 1/0/-1: the entry of exactly that path, by search over the chunks' first paths. */
int reader_find(struct reader *r, const char *path, size_t pathlen, const struct entry **ret,
    struct err *e);

/*
 * The bytes of one grain, which must be those with this id (NULL: the caller checks what they are);
 * they live until the next call of reader_grain, reader_map or reader_chunk.
 */
int reader_grain(struct reader *r, struct entry_ref ref, const uint8_t id[GRAIN_ID_LEN],
    const uint8_t **bytes, size_t *n, struct err *e);
/*
 * The whole map (chains of patches folded) for GiB number i of the entry; into *ret (map_init'ed).
 * Digest checked.
 */
int reader_map(struct reader *r, const struct entry *en, size_t i, struct map *ret, struct err *e);
/* Reading packs directly, with the reader's caches and its order of tiers. */
struct packs *reader_packs(struct reader *r);

/*
 * The chunks the list is made of, at least one; text is borrowed until the next call on the reader.
 */
size_t reader_chunks(const struct reader *r);
int reader_chunk(struct reader *r, size_t i, const char **text, size_t *n, struct err *e);

/*
 * Walks the contents of a file in order: calls back with runs that lie together in one frame. Zero
 * stretches are not called. ids points to `count` ids.
 */
struct reader_run {
	uint32_t pack;
	uint16_t frame, first;	/* grain number in the frame */
	uint32_t count;		/* grains */
	uint64_t offset;	/* in the file */
	const uint8_t (*ids)[GRAIN_ID_LEN];
};
typedef int reader_run_fn(void *arg, const struct reader_run *run, struct err *e);
int reader_runs(struct reader *r, const struct entry *en, reader_run_fn *fn, void *arg,
    struct err *e);

#endif
