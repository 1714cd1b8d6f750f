#ifndef REPO_CONTENTS_H
#define REPO_CONTENTS_H

#include "repo/cut.h"
#include "repo/packer.h"
#include "repo/parent.h"

/*
 * The contents of one file after the other, grain by grain: what the parent has at the same place
 * stays where it is, the rest is placed in packs, and at the end the entry knows its place, its id
 * and what it wants.
 */
struct contents;

struct contents_options {
	const struct digest_idkey *key;
	struct parent *parent;
	struct packer *data, *maps;
};
struct contents_sums {
	uint64_t read, kept, fresh; /* bytes; zeros are read and neither of the others */
};

struct contents *contents_new(const struct contents_options *o);
void contents_free(struct contents *c);
/* was: the parent's entry to compare with, or NULL; borrowed until contents_end. */
void contents_begin(struct contents *c, uint8_t grain_log2, const struct entry *was);
int contents_grain(struct contents *c, const struct cut_grain *g, struct err *e);
/*
 * Fills size, grain_log2, id, place and needs of the entry; their memory lives until the next
 * contents_begin.
 */
int contents_end(struct contents *c, struct entry *en, struct err *e);
/* How long PLACE and NEEDS of the file in hand are by now, or a little less. */
size_t contents_line(const struct contents *c);
const struct contents_sums *contents_sums(const struct contents *c);

#endif
