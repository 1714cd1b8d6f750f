#ifndef REPO_OBJECT_INDEX_H
#define REPO_OBJECT_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "filter/digest.h"

/*
 * The last frame of every object: where its frames lie, and length and id of each grain in them.
 */
#define OBJECT_FRAMES_MAX 65535	    /* the index not counted */
#define OBJECT_GRAINS_MAX 65535	    /* of one frame */
#define OBJECT_RAW_MAX (4u << 20)   /* raw bytes of a frame: the largest map */
#define OBJECT_FRAME_LEAST 17	    /* codec byte and tag */

enum frame_kind {
	FRAME_DATA = 1,
	FRAME_MAP = 2,
	FRAME_LIST = 3,
	FRAME_TEXT = 4, /* a manifest's or a record's text */
	FRAME_WAL = 5,
	FRAME_NAME = 6, /* the object's own name, first frame of M W R */
	FRAME_INDEX = 255,
};

struct object_grain {
	uint32_t len;
	uint8_t id[GRAIN_ID_LEN];
};

struct object_frame {
	uint32_t off, len; /* in the object: codec byte + payload + tag */
	uint32_t rawlen;
	uint8_t kind;
	uint16_t grains;
	uint32_t first_grain; /* in object_index.grain */
};

struct object_index {
	struct object_frame *frame; /* without the index frame itself */
	size_t frames;
	struct object_grain *grain;
	size_t grains;
};

/* Raw bytes of an index with that many frames and grains. */
size_t object_index_size(size_t frames, size_t grains);
void object_index_encode(const struct object_index *x, struct buf *out);
/*
 * From the raw bytes of an index frame that lies at index_off; `frames` is what the header says,
 * without the index. Whatever the bytes are, what comes back is sound: frames without holes from
 * the header to index_off, at most OBJECT_RAW_MAX raw and OBJECT_FRAME_LEAST more as sealed,
 * kinds known, grains adding up. ERR_CORRUPT, or ERR_UNSUPPORTED for an unknown kind; ret is then
 * empty.
 */
int object_index_parse(const uint8_t *raw, size_t n, uint64_t index_off, size_t frames,
    struct object_index *ret, struct err *e);
void object_index_done(struct object_index *x);

#endif
