#ifndef REPO_MAP_H
#define REPO_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "filter/digest.h"
#include "repo/layout.h"
#include "repo/list.h"

/*
 * The map of up to 1 GiB of a file: an id a grain, and where each grain lies. Packs stand by their
 * number in the manifest's table: numbers are kept from parent to child and never given twice, so a
 * map means the same in every snapshot that inherits it. Pure: bytes in, bytes out.
 */
#define MAP_GRAINS_MAX (1u << (LIST_MAP_SPAN_LOG2 - LAYOUT_GRAIN_PAGE_LOG2))
#define MAP_PACKS_MAX 65535
#define MAP_RAW_MAX (4u << 20)
#define MAP_CHAIN_MAX 32

#define MAP_ZERO UINT16_MAX /* place.pack of a zero grain */

/* Where a grain of the map lies. */
struct map_place {
	uint16_t pack;	/* in map.pack, or MAP_ZERO */
	uint16_t frame;
	uint16_t own;	/* grains of this map that the frame received when it was written */
	uint16_t first; /* grain in the frame */
};

struct map {
	uint8_t grain_log2;
	uint32_t grains;
	uint8_t (*id)[GRAIN_ID_LEN]; /* all zero: a zero grain, no run covers it */
	size_t id_room;
	uint32_t *pack; /* numbers */
	size_t packs, pack_room;
	struct map_place *place; /* one a grain */
	size_t place_room;
	/* The objects it was read from, newest first; the last one is a whole map. */
	struct entry_ref link[MAP_CHAIN_MAX + 1];
	size_t links;
	uint32_t chain_bytes; /* raw bytes of the patches among them */
	uint32_t whole_bytes; /* raw bytes of the whole map at the end */
};

void map_init(struct map *m);
void map_done(struct map *m);
void map_reset(struct map *m, uint8_t grain_log2);

/* Index of a pack in the map, added when new; -1 when MAP_PACKS_MAX is reached. */
int map_pack(struct map *m, uint32_t number);
/* Appends the next grain: a zero one, or one that lies there. */
void map_add_zero(struct map *m);
void map_add(struct map *m, const uint8_t id[GRAIN_ID_LEN], struct map_place place);
bool map_same(const struct map *a, const struct map *b); /* same ids at the same places */

void map_encode(const struct map *m, struct buf *out);
/* The grains of `to` that differ from `from`, resting on from->link; returns how many differ. */
uint32_t map_encode_patch(const struct map *from, const struct map *to, struct buf *out);
/* The objects a patch rests on, newest first; none: it is a whole map. */
int map_links(const void *bytes, size_t n, struct entry_ref link[MAP_CHAIN_MAX], size_t *ret,
    struct err *e);
/* Reads a whole map. m->link is the caller's to set: only it knows where the bytes came from. */
int map_decode(const void *bytes, size_t n, struct map *m, struct err *e);
/* Applies a patch to m (which holds its base). */
int map_apply(const void *bytes, size_t n, struct map *m, struct err *e);

void map_digest(const struct map *m, const struct digest_idkey *k, uint8_t out[GRAIN_ID_LEN]);

#endif
