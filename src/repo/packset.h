#ifndef REPO_PACKSET_H
#define REPO_PACKSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repo/layout.h"

/* A set of packs by their SHA-256, 32 bytes an entry in one table: a million of them are 64 MiB. */
struct packset {
	uint8_t (*slot)[LAYOUT_SHA]; /* zeros: free */
	size_t room;		     /* a power of two, or 0 */
	size_t count;
	bool zeros; /* holds the pack whose hash is all zeros, which a slot cannot tell */
};
/* Starts as zeros. */
void packset_done(struct packset *s);
bool packset_add(struct packset *s, const uint8_t sha[LAYOUT_SHA]); /* true: it was new */
bool packset_has(const struct packset *s, const uint8_t sha[LAYOUT_SHA]);
/* Walks in no order: *at starts at 0; NULL at the end. */
const uint8_t *packset_next(const struct packset *s, size_t *at);

#endif
