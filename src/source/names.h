#ifndef SOURCE_NAMES_H
#define SOURCE_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Where the bytes of a restore go: a record a file, found again by the number that fetch_add was
 * given. First all are added, then all are read, from any thread. Memory is bounded: beyond
 * NAMES_MEMORY they go to an unlinked file in `dir`.
 */
#define NAMES_MEMORY (16u << 20)

struct names_record {
	uint32_t mode, uid, gid; /* for files that are made in one go */
	uint32_t mtime_ns;
	int64_t mtime_s;
	uint32_t whole; /* 1: made in one go, `size` bytes */
	uint32_t size;
};

struct names;
/* dir: a directory of the file system that is restored to; borrowed. memory: 0 for NAMES_MEMORY. */
struct names *names_new(int dir, size_t memory);
void names_free(struct names *n);
int names_add(struct names *n, const struct names_record *rec, const char *path, size_t len,
    uint64_t *ret_id, struct err *e);
/* From now on only names_get. */
int names_seal(struct names *n, struct err *e);
/* path: replaced by the file's, as a string. Thread-safe. */
int names_get(const struct names *n, uint64_t id, struct names_record *rec, struct buf *path,
    struct err *e);

#endif
