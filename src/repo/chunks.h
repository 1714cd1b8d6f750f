#ifndef REPO_CHUNKS_H
#define REPO_CHUNKS_H

#include "repo/list.h"
#include "repo/manifest.h"
#include "repo/packer.h"
#include "repo/parent.h"
#include "repo/sorter.h"

/*
 * The list being written: lines collect into chunks, chunks that the parent has are referred to,
 * and a list that stays small goes into the manifest itself.
 */
struct chunks;

struct chunks *chunks_new(const struct digest_idkey *key, struct packer *maps,
    struct parent *parent);
void chunks_free(struct chunks *c);
int chunks_add(struct chunks *c, const struct entry *en, struct err *e);
/* The same of an entry that is encoded already. */
int chunks_add_lines(struct chunks *c, const struct sorter_line *l, struct err *e);
/* Moves the list into the manifest: inline_list, or chunk[]. */
int chunks_end(struct chunks *c, struct manifest *m, struct err *e);

#endif
