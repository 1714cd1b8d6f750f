#ifndef SOURCE_PG_BASE_MANIFEST_H
#define SOURCE_PG_BASE_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "filter/digest.h"

/*
 * Is a manifest whole? Its last line has the SHA-256 of all lines before it. Bytes are given as they
 * come and only the last few are kept: the manifest of a million files is 150 MB.
 */
#define PG_BASE_MANIFEST_TAIL 256 /* holds the last line, and more */
struct pg_base_manifest {
	struct digest *sha;
	uint8_t tail[PG_BASE_MANIFEST_TAIL];
	size_t held;
	uint64_t bytes;
};
void pg_base_manifest_begin(struct pg_base_manifest *m);
void pg_base_manifest_add(struct pg_base_manifest *m, const void *data, size_t n);
int pg_base_manifest_check(struct pg_base_manifest *m, struct err *e); /* 0, -1 ERR_CORRUPT */
void pg_base_manifest_done(struct pg_base_manifest *m);

#endif
