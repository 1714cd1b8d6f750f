#ifndef REPO_PARENT_H
#define REPO_PARENT_H

#include <stdbool.h>
#include <stdint.h>

#include "repo/reader.h"

/*
 * What a new snapshot may take over from the one before it on the same tier: which packs are still
 * good to refer to, and which entry stood where. A NULL reader is a first backup: nothing is found,
 * nothing is usable.
 */

/* The rules, pure. age: of the pack; first: first byte of its name, so that renewal is spread. */
bool parent_young(int64_t age_ns, int64_t horizon_ns);
bool parent_fresh(int64_t age_ns, int64_t horizon_ns, uint8_t first);
bool parent_worth(uint32_t wanted, uint32_t of); /* the quarter rule */

struct parent;

struct parent_options {
	struct reader *reader;
	const bool *there; /* by place in its table: is the pack on the tier? NULL: all are */
	int64_t now_ns, horizon_ns;
	bool renew; /* this run reads everything, so what is getting old is stored again */
	bool any_order; /* of the paths that will be looked up */
};
struct parent *parent_new(const struct parent_options *o);
void parent_free(struct parent *p); /* not the reader */
/*
 * What could not be read of the parent, because it is damaged or gone; kind ERR_NONE: nothing yet.
 * From then on what cannot be read counts as not found.
 */
const struct err *parent_lost(const struct parent *p);

/* May a grain that was read and found unchanged stay in that pack? */
bool parent_reusable(const struct parent *p, uint32_t pack);
/* May contents that are not read again stay there? */
bool parent_keepable(const struct parent *p, uint32_t pack);

/*
 * The entry at that path: 1, 0, -1. Paths come in path order, and then a file that is not found so
 * is looked for by its inode; with any_order by path alone. The entry lives until the next call.
 */
int parent_find(struct parent *p, const struct entry *meta, const struct entry **ret,
    struct err *e);
/* Map number i of an entry that was found: 1, 0 there is none, or it is lost, -1. */
int parent_map(struct parent *p, const struct entry *was, size_t i, struct map *ret, struct err *e);
/*
 * Where the parent has a chunk of the list with this id, in a pack that is reusable; NULL: nowhere.
 */
const struct manifest_chunk *parent_chunk(const struct parent *p, const uint8_t id[GRAIN_ID_LEN]);

#endif
