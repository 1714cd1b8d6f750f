#ifndef REPO_TRANSFER_H
#define REPO_TRANSFER_H

#include "repo/layout.h"
#include "repo/repo.h"

/*
 * Packs on their way to a tier: each is read from wherever a good one lies, put, and proved to have come
 * (read back, or by the sum that a store which compares keeps). Several may be under way at once, as many
 * as fit into TRANSFER_BYTES. For one owner.
 */
#define TRANSFER_BYTES (UINT64_C(128) << 20)

struct transfer {
	uint8_t sha[LAYOUT_SHA];
	int rc; /* -1 err; as copy_send(): 0 it was there, 1 sent, 2 a bad one made way */
	const struct tier *gave; /* whose copy it was */
	bool proved; /* it has its hash there; else it was taken away since */
	struct err err;
};

struct transfers;
/* from: asked first, unless it is an archive (tier.last). With 0 workers one after the other. */
struct transfers *transfer_new(struct repo *r, struct tier *from, struct tier *to, unsigned workers,
    uint64_t largest);
/* Waits for what is under way. */
void transfer_free(struct transfers *t);
bool transfer_full(const struct transfers *t);
/* Not while it is full. */
void transfer_begin(struct transfers *t, const uint8_t sha[LAYOUT_SHA]);
/* The one that was begun first, when it has ended; lives until the next begin. NULL: none is out. */
const struct transfer *transfer_end(struct transfers *t);

/*
 * 1 it has its hash there (*proved), or is not there any more; 0 it has another one, or none can be
 * read; -1.
 */
int transfer_read_back(struct tier *t, const uint8_t sha[LAYOUT_SHA], struct buf *scratch, bool *proved,
    struct err *e);

#endif
