#ifndef SOURCE_PG_MANIFEST_H
#define SOURCE_PG_MANIFEST_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * backup_manifest, the list of files by which pg_verifybackup judges a restored directory. The
 * server writes it where it sends the backup itself; where ffdr reads the files, ffdr writes it
 * here, in the server's form. Pure.
 */
#define PG_MANIFEST_FILE "backup_manifest"

struct pg_manifest {
	struct buf text;
	size_t files;
};
/* sysid: 0 for servers before 17, whose manifests have none. */
void pg_manifest_begin(struct pg_manifest *m, uint64_t sysid);
void pg_manifest_done(struct pg_manifest *m);
/* crc: CRC-32C of all its bytes. The path is raw bytes. */
void pg_manifest_file(
    struct pg_manifest *m, const char *path, uint64_t size, int64_t mtime_s, uint32_t crc);
/* Range of WAL that the backup needs, and the end with the checksum of it all; the text is complete
 * then. */
int pg_manifest_end(
    struct pg_manifest *m, uint32_t tli, uint64_t start_lsn, uint64_t stop_lsn, struct err *e);

/* What WAL a manifest asks for. */
struct pg_manifest_range {
	uint32_t tli;
	uint64_t start, end;
};
/* Checks the checksum at its end and reads the ranges (at most `cap` into ret); how many, or -1. */
int pg_manifest_ranges(
    const char *text, size_t n, struct pg_manifest_range *ret, size_t cap, struct err *e);

#endif
