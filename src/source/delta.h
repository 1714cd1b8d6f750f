#ifndef SOURCE_DELTA_H
#define SOURCE_DELTA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "filter/digest.h"
#include "repo/fetch.h"
#include "source/exclude.h"
#include "source/own.h"

/*
 * Restoring over what is there: what fits stays. Files are compared grain by grain, and only what
 * differs is fetched; what the snapshot does not have is removed.
 */

/* ---- contents ---- */

struct delta;
/* workers: threads that read and hash. */
struct delta *delta_new(const struct digest_idkey *key, struct fetch *fetch, unsigned workers);
void delta_free(struct delta *d);
/*
 * Compares the open file (taken over; open for reading and writing, a regular file of one name)
 * with the entry: delta_begin, the entry's runs through delta_run, delta_end. Afterwards its size
 * is right, what must be zero is a hole, and what differs was given to fetch_add under `id`, at the
 * latest by delta_drain.
 */
int delta_begin(struct delta *d, int fd, const struct entry *en, uint64_t id, struct err *e);
int delta_run(void *delta, const struct reader_run *run, struct err *e);
int delta_end(struct delta *d, struct err *e);
int delta_drain(struct delta *d, struct err *e);

/* ---- names ---- */

/* What is not removed, and so are not the directories above it. Both borrowed, both may be NULL. */
struct delta_spare {
	const struct own *own;
	const struct exclude *exclude; /* patterns for paths, see source/exclude.h */
};
struct delta_kept {
	uint64_t mounts;   /* something is mounted there */
	uint64_t own;	   /* ffdr's own */
	uint64_t excluded; /* by a pattern */
};
/*
 * Removes the last name of `path`, which is in dirfd, and all below it, but for what is spared and
 * what is mounted: *kept, zeros before the first call, counts that. Never follows a link.
 */
int delta_remove(int dirfd, const char *path, size_t len, const struct delta_spare *spare,
    struct delta_kept *kept, struct err *e);

#endif
