#ifndef SOURCE_PG_LOCAL_PARTS_H
#define SOURCE_PG_LOCAL_PARTS_H

#include "source/pg/pg_local.h"
#include "source/pg/pg_manifest.h"

/* What the parts of one local backup share. Not for others: source/pg/pg_local.h is. */
struct local {
	struct writer *w;
	const struct pg_local_options *o;
	struct pg_base_report *report;
	struct pg_manifest manifest;
	bool checksums; /* the cluster has them */
	int root;
	uint64_t total; /* bytes, estimated */
	int64_t began_boot_ns;
	struct buf text; /* for messages */
};

/* 1 taken, 0 it is gone: nothing was begun; -1. name in dirfd is a plain file; path is the entry's.
 */
int pg_local_file(struct local *l, int dirfd, const char *name, const char *path, struct err *e);
/* A file that is not on disk there. */
int pg_local_file_text(
    struct local *l, const char *path, const void *text, size_t n, struct err *e);
/* Every entry of the directory and of its tablespaces but pg_control. 1, 0 the writer is late, -1.
 */
int pg_local_tree(struct local *l, uint32_t catalog_major, struct err *e);
void __attribute__((format(printf, 2, 3))) pg_local_warn(struct local *l, const char *fmt, ...);

#endif
