#ifndef JOB_WAL_COPY_BUNDLE_H
#define JOB_WAL_COPY_BUNDLE_H

#include "repo/bundle.h"
#include "repo/keyring.h"
#include "store/tier.h"

/* Of wal_copy only: pieces that a cold tier lacks, put together; and bundles taken apart again. */

/* An object that the target lacks, as a tier lists it. */
struct wal_copy_item {
	struct layout_wal at;
	char name[LAYOUT_NAME];
	uint64_t size;
	int64_t age_ns; /* by the clock of the store that has it */
};

void wal_copy_bundle_sort(struct wal_copy_item *item, size_t n); /* by epoch, then by place in the log */
/*
 * How many of the first of these, which are sorted, make one bundle: they join, and are not too
 * much. *closed: nothing that comes later would go into it, for another one begins behind it.
 */
size_t wal_copy_bundle_next(const struct wal_copy_item *item, size_t n, bool *closed);

/*
 * Puts a bundle under its name, never over another, and sees that it is there as it was sent: by its
 * bytes, or where they are frozen by the SHA-256 that the store keeps (store/sum.h). 1 stored; 0 the
 * name was taken by a sound one; -1. What is damaged there is set aside.
 */
int wal_copy_bundle_put(const struct keyring *k, struct store *to, const char *name,
			const struct buf *bytes, struct err *e);

#endif
