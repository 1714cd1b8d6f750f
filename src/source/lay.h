#ifndef SOURCE_LAY_H
#define SOURCE_LAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * How the bytes of a restore get to the disk: long stretches past the page cache, the rest through
 * it and on their way at once, so that the sync at the end has little to wait for.
 */
struct lay {
	bool lasting;	    /* else nobody waits for the disk, and the page cache is all there is */
	atomic_bool direct; /* the file system takes writes past its cache */
};

/* root: the directory that is restored to. */
void lay_init(struct lay *l, int root, bool lasting);
/*
 * fd: open for writing, and nobody else's now; its O_DIRECT is taken away again. Not durable before
 * the file system was synced. Thread-safe.
 */
int lay_write(struct lay *l, int fd, const void *data, size_t n, uint64_t off, struct err *e);
/*
 * The file has this size and no holes: where that helps, its space is asked for, and a disk that
 * has not enough says so (ERR_FULL) before the first byte is there.
 */
int lay_reserve(struct lay *l, int fd, uint64_t size, struct err *e);

#endif
