#ifndef REPO_OBJECT_H
#define REPO_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "filter/digest.h"
#include "filter/seal.h"
#include "repo/keyring.h"
#include "repo/layout.h"
#include "repo/object_index.h"

/*
 * The container: header of 80 bytes, sealed frames back to back, an index as last frame, for M W
 * R a trailer. docs/format.md is the norm. Built in memory, so nothing is patched after it is
 * written. A frame holds one or more grains; the index names length and id of each, so a pack can
 * be checked with nothing but keys.
 */
#define OBJECT_HEADER 80

enum object_type {
	OBJECT_PACK = 'P',
	OBJECT_MANIFEST = 'M',
	OBJECT_WAL = 'W',
	OBJECT_RECORD = 'R',
};

struct object_header {
	uint8_t bytes[OBJECT_HEADER]; /* as it stands: authenticated with every frame */
	enum object_type type;
	uint8_t epoch[LAYOUT_EPOCH];
	uint32_t frames; /* the index frame included */
	uint64_t total;	 /* whole length, trailer included */
	uint64_t index_off;
};

/* Length of the trailer of that type: 0, 32 or 104. */
size_t object_trailer(enum object_type type);

/* ---- building ---- */

struct object_builder {
	enum object_type type;
	struct buf bytes; /* header's place, then codec + payload with room for each tag */
	struct object_index index;
	size_t frame_room, grain_room;
};
void object_build(struct object_builder *b, enum object_type type, size_t limit);
void object_build_done(struct object_builder *b);
/* Empties it for the next object of that type, keeps the memory. */
void object_build_again(struct object_builder *b);
/*
 * Appends a frame that filter/zip packed already (codec byte + payload). Its number is its
 * position.
 */
void object_add(struct object_builder *b, enum frame_kind kind, const void *packed, size_t n,
    size_t rawlen, const struct object_grain *grain, size_t grains);
/* Compresses and appends raw (at most OBJECT_RAW_MAX) as a frame of one grain. */
void object_add_raw(struct object_builder *b, const struct keyring *k, enum frame_kind kind,
    const void *raw, size_t n);
/* The object's own name: the first frame of M, W and R, and of nothing else. */
void object_add_name(struct object_builder *b, const struct keyring *k, const char *name);
/*
 * As object_add_raw for a text of any length: as many FRAME_TEXT as it takes, one for an empty
 * text.
 */
void object_add_text(struct object_builder *b, const struct keyring *k, const void *text, size_t n);
/* Bytes the sealed object would have now. */
size_t object_size(const struct object_builder *b);
/*
 * Index, salt, header, encryption in place, for M W R the trailer. `name` (M, W, R): what
 * object_add_name was given, it is signed; NULL for P. b->bytes then is the object; sha is the
 * SHA-256 of all of it. May run in a worker. ERR_FULL when it passed its limit, ERR_KEY without a
 * key to seal or sign with.
 */
int object_seal(struct object_builder *b, const struct keyring *k, const char *name,
    uint8_t sha[LAYOUT_SHA], struct err *e);

/* ---- reading ---- */

/* n: OBJECT_HEADER or more. What comes back is sound: all parts have room inside `total`. */
int object_header_parse(const void *bytes, size_t n, struct object_header *ret, struct err *e);
/*
 * ERR_CORRUPT when the repository it was sealed for is not that of the keyring: it was put there.
 */
int object_check_home(const struct object_header *h, const struct keyring *k, struct err *e);
/* Length of the index frame. */
size_t object_index_len(const struct object_header *h);
/* "pack", "manifest", "WAL piece", "record" */
const char *object_type_word(enum object_type type);

/* An object whose header and index were read; frames are opened from any thread. */
struct object {
	struct object_header header;
	struct object_index index;
	uint8_t key[32];
};
/*
 * index_bytes: the index frame, object_index_len() bytes from header.index_off on. Checks every
 * bound of the index. ERR_KEY for an epoch whose key is not here, ERR_CORRUPT (also for an object
 * of another repository), ERR_UNSUPPORTED.
 */
int object_open(const struct object_header *h, const void *index_bytes, size_t n,
    const struct keyring *k, struct object **ret, struct err *e);
void object_free(struct object *o);
/* sealed: the frame's bytes (frame->len of them). out gets rawlen bytes. Does not check ids. */
int object_frame(const struct object *o, size_t frame, const uint8_t *sealed, uint8_t *out,
    struct err *e);
/*
 * Only unsealed: codec byte and payload, len - SEAL_TAG bytes of the frame. opener: of this object,
 * for one thread, made once for many frames; the caller frees it.
 */
struct seal *object_opener(const struct object *o);
int object_payload(const struct object *o, struct seal *opener, size_t frame,
    const uint8_t *sealed, uint8_t *out, struct err *e);
/* How many of these grains, which lie back to back at raw, have their ids, from the first on. */
size_t object_ids_same(const struct digest_idkey *k, const struct object_grain *grain, size_t grains,
    const uint8_t *raw);
/* Recomputes each grain's id of an opened frame. ERR_CORRUPT names the grain. */
int object_check_ids(const struct object *o, size_t frame, const uint8_t *raw,
    const struct keyring *k, struct err *e);

/*
 * Whole, of this repository, and signed for that name by somebody whom it lists: an M or R of ours, whether
 * or not it opens here. ERR_KEY: by somebody else; ERR_CORRUPT, ERR_UNSUPPORTED.
 */
int object_check_signed(const struct buf *bytes, enum object_type type, const char *name,
    const struct keyring *k, struct err *e);
/*
 * A whole M, W or R in memory under the name it was found by: hash, signature (M, R) by a key
 * that keyring knows, own name (expected; for pend/ the snap/ name), frames opened, ids checked;
 * `text` gets the raw bytes of all frames after the name frame that have kind `kind`.
 * ERR_CORRUPT, ERR_KEY or ERR_UNSUPPORTED say which.
 */
int object_read_signed(const struct buf *bytes, enum object_type type, const char *name,
    const struct keyring *k, enum frame_kind kind, struct buf *text, struct err *e);
/* The same for frames of several kinds: what has the kind of a part is appended to its raw. */
struct object_part {
	enum frame_kind kind;
	struct buf *raw;
};
int object_read_parts(const struct buf *bytes, enum object_type type, const char *name,
    const struct keyring *k, const struct object_part *part, size_t parts, struct err *e);
/*
 * The same of a W, for who has a check of its own: the tags vouch for every frame, and neither the
 * whole nor the grains are hashed. What does not open is judged as above.
 */
int object_read_tagged(const struct buf *bytes, const char *name, const struct keyring *k,
    const struct object_part *part, size_t parts, struct err *e);
/* What a whole W in memory calls itself, whatever it lies under: from there on its tags are proof. */
int object_read_name(const struct buf *bytes, const struct keyring *k, char name[LAYOUT_NAME],
    struct err *e);
/* The part that needs no key: header sane, total = n, trailer hash (M W R). For scrubbing. */
int object_check_plain(const void *bytes, size_t n, struct err *e);

#endif
