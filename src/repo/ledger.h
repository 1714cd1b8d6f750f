#ifndef REPO_LEDGER_H
#define REPO_LEDGER_H

#include "repo/manifest.h"
#include "repo/packer.h"

/*
 * The packs of a snapshot being written: those of its parent and the new ones, and how many grains
 * it wants of each. Numbers go on where the parent's stopped.
 */
struct ledger;

struct ledger *ledger_new(const struct manifest *parent); /* NULL: none; borrowed */
void ledger_free(struct ledger *l);
uint32_t ledger_next(struct ledger *l); /* the number of a pack that is begun */
void ledger_stored(struct ledger *l, const struct packer_pack *p, int64_t time_ns);
/* -1 ERR_BUG: no such pack. */
int ledger_want(struct ledger *l, uint32_t number, uint32_t grains, struct err *e);
/* The table into the manifest: what is wanted at all. */
void ledger_end(struct ledger *l, struct manifest *m);

#endif
