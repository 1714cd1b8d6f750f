#ifndef REPO_PLAN_H
#define REPO_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * What a restore wants, of any length: rows are added in any order and come back pack by pack.
 * Beyond a bound in memory they go to unlinked files in `spill_dir`.
 */
#define PLAN_CHECK 8

struct plan_row {
	uint32_t pack;
	uint16_t frame, first;
	uint32_t count;
	uint32_t raw; /* bytes of these grains, 0: any */
	uint8_t check[PLAN_CHECK]; /* first bytes of sha256 over the ids of its grains */
	uint64_t file, offset;
};

struct plan;
struct plan *plan_new(const char *spill_dir, size_t bound);
void plan_free(struct plan *p);
/* Another bound in bytes, from now on; at least one row is kept in memory. */
void plan_bound(struct plan *p, size_t bound);
int plan_add(struct plan *p, const struct plan_row *row, struct err *e);
/*
 * The next rows, by pack, frame and first grain; all rows of a pack come in one call. They live
 * until the next call. 1, 0 that was all, -1. Nothing may be added any more.
 */
int plan_next(struct plan *p, const struct plan_row **rows, size_t *n, struct err *e);

#endif
