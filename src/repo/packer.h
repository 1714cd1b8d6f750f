#ifndef REPO_PACKER_H
#define REPO_PACKER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/cut.h"
#include "repo/keyring.h"
#include "repo/list.h"
#include "repo/object.h"
#include "store/store.h"

/*
 * Grains into frames, frames into packs, packs into a store. A grain gets its place at once, before
 * its frame is compressed and its pack is sealed: a pack is closed early enough that whatever was
 * promised fits.
 *
 * A pack counts as stored only when each of its frames was unpacked again and gave the grains that
 * were hashed, and all of it was read back from the store and opened to these frames.
 */
struct packer;

/* A pack that lies in the store, checked. */
struct packer_pack {
	uint32_t number;
	uint8_t sha[LAYOUT_SHA];
	uint8_t epoch[LAYOUT_EPOCH];
	uint32_t size;
	uint32_t grains;
};

struct packer_options {
	const struct keyring *keys;
	struct store *store;
	size_t pack_size;
	int level;	  /* zstd */
	unsigned workers; /* 0: inside the caller */
	/* Gives the number of the next pack. Called in the owner's thread. */
	uint32_t (*next_number)(void *arg);
	/*
	 * A pack is stored. Called in the owner's thread, in the order of numbers of this packer.
	 */
	void (*stored)(void *arg, const struct packer_pack *pack);
	void *arg;
};

/* Grains of one kind share a frame; frames of all kinds share a pack. */
struct packer_grain {
	enum frame_kind kind;
	const void *bytes;
	size_t len;
	const uint8_t *id; /* GRAIN_ID_LEN */
	uint32_t sum;	   /* proof_grain(), made when the id was */
	/* where `bytes` lie, if they may be kept there; they are let go before packer_free returns */
	struct cut_memory *memory;
};

struct packer *packer_new(const struct packer_options *o);
void packer_free(struct packer *p);
/*
 * Copies the grain or keeps its memory; *ref is where it will lie. Fails when an earlier pack could
 * not be stored.
 */
int packer_place(struct packer *p, const struct packer_grain *g, struct entry_ref *ref,
    struct err *e);
/* Closes what is open and waits until all of it is stored and checked. */
int packer_flush(struct packer *p, struct err *e);
uint64_t packer_stored_bytes(const struct packer *p);

#endif
