#ifndef SOURCE_PG_BASE_TAR_H
#define SOURCE_PG_BASE_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "repo/writer.h"

/* The members of one tar of a base backup, as entries. For pg_base.c. */
struct pg_base_tar {
	struct writer *w;
	/* The next bytes, valid until the next call: 1; 0 the end; -1. */
	int (*next)(void *arg, const uint8_t **data, size_t *n, struct err *e);
	/* Where the contents of that file are wanted, too (small ones); NULL: nowhere. */
	struct buf *(*copy)(void *arg, const char *path);
	void *arg;
	/* The source stopped, and the writer shall keep what came: a begun entry is ended as it is. */
	const bool *late;

	/* Found; summed up over several calls. */
	uint64_t entries, files, bytes;
	bool seen;    /* some member came: */
	uint32_t uid, gid; /* whose it is */
	int64_t mtime_s;
};

/* under: in front of the members' paths, "pg_tblspc/16385"; NULL: the base directory. 0, -1. */
int pg_base_tar_read(struct pg_base_tar *t, const char *under, struct err *e);
/* Bytes of a file that was begun, into as many pieces of the writer's memory as they need. */
int pg_base_tar_put(struct writer *w, const uint8_t *data, size_t n, struct err *e);

#endif
