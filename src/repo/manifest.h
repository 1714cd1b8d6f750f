#ifndef REPO_MANIFEST_H
#define REPO_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "repo/layout.h"
#include "repo/list.h"
#include "repo/repo.h"

/*
 * A snapshot's manifest in memory: everything but the entries. The list's chunks follow as
 * references into map packs, or as text inside the manifest while they are small.
 */
struct manifest_pack {
	uint32_t number; /* stable from parent to child; table is sorted by it */
	uint8_t sha[LAYOUT_SHA];
	uint32_t size;
	uint8_t epoch[LAYOUT_EPOCH];
	int64_t time_ns; /* when it was uploaded, by the store's clock */
	uint32_t grains; /* in the pack */
	uint32_t wanted; /* of them by this snapshot */
};

struct manifest_chunk {
	struct entry_ref ref;
	uint8_t id[GRAIN_ID_LEN];
	uint32_t len;
	char *first; /* escaped path of its first entry: what a search by path needs */
};

struct manifest {
	char name[LAYOUT_NAME]; /* snap/... */
	char source[64];
	uint64_t sequence;
	char parent[LAYOUT_NAME]; /* "" when first */
	uint8_t parent_sha[LAYOUT_SHA]; /* hash before the parent's signature (its trailer's) */
	int64_t started_ns, finished_ns; /* the store's clock */
	/* start of the last run in its ancestry that compared everything by content */
	int64_t compared_ns;
	bool partial;
	char *host, *job, *slot; /* may be NULL */
	char *root;		 /* what was captured: the volume's path */
	uint32_t next_pack;	 /* first number never used in this lineage */
	uint64_t entries, files, bytes, stored_new, read_bytes, changed_files;
	struct buf detail; /* the source's own lines `key value`, e.g. a database's positions */

	struct manifest_pack *pack;
	size_t packs, pack_room;
	struct manifest_chunk *chunk;
	size_t chunks, chunk_room;
	struct buf inline_list; /* the whole list when it is small; chunks is 0 then */
	uint8_t sha[LAYOUT_SHA]; /* trailer's hash, set when read or sealed */
};

void manifest_init(struct manifest *m);
void manifest_done(struct manifest *m);
/* NULL: none */
const struct manifest_pack *manifest_pack(const struct manifest *m, uint32_t number);

/*
 * The next value of a detail from *at on, which starts as 0: 1/0. Details that cannot be read are
 * none.
 */
int manifest_detail(const struct manifest *m, size_t *at, const char *key, struct buf *value);

void manifest_encode(const struct manifest *m, struct buf *out);
int manifest_parse(const char *text, size_t n, struct manifest *ret, struct err *e);

/* Sealed, signed bytes of the manifest (its name set) into out. */
int manifest_seal(struct manifest *m, const struct keyring *k, struct buf *out, struct err *e);
/* From the bytes of an object found under `name` (snap/ or pend/). */
int manifest_open(const struct buf *bytes, const char *name, const struct keyring *k,
    struct manifest *ret, struct err *e);
/* Gets and opens in one. */
int manifest_get(struct store *s, const char *name, const struct keyring *k, struct manifest *ret,
    struct err *e);

#endif
