#ifndef TESTS_LIB_PIECEKIT_H
#define TESTS_LIB_PIECEKIT_H

#include "repo/piece.h"

/* WAL as objects, for tests: pieces, and bundles of them. Any failure in here ends the test. */
struct piecekit {
	const struct keyring *keys;
	struct wal_place place;
	uint32_t tli;
	uint32_t segment_size;
	uint64_t start; /* LSN of the first byte of wal; borrowed */
	const uint8_t *wal;
	/* the bundle being made */
	struct buf all;
	uint64_t from, to;
};

/* Bytes [from, to), as a piece; out's memory is replaced. */
void piecekit_seal(const struct piecekit *k, uint64_t from, uint64_t to, struct buf *out,
    char name[LAYOUT_NAME]);
void piecekit_put(const struct piecekit *k, struct store *to, uint64_t from, uint64_t end);
/* The next piece of a bundle; where it does not join, what there is goes to the store first. */
void piecekit_add(struct piecekit *k, struct store *to, uint64_t from, uint64_t end);
/* What was added goes to the store, under the name it has then. */
void piecekit_flush(struct piecekit *k, struct store *to);
/* [from, end) as one bundle of pieces of that length. */
void piecekit_bundle(struct piecekit *k, struct store *to, uint64_t from, uint64_t end,
    uint64_t each);

#endif
