#ifndef FILTER_ZIP_H
#define FILTER_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Compression of one bounded buffer. Contexts are kept per thread. What does not shrink by at
 * least 1/32 (levels up to 2: 1/16) is stored raw, so that restoring it costs nothing; at these levels
 * what looks like noise all over is not tried as a whole.
 */
#define ZIP_RAW 0
#define ZIP_ZSTD 1

/* Appends codec byte and payload to out. */
void zip_pack(const void *raw, size_t n, int level, struct buf *out);
/* in = codec byte and payload; exactly rawlen bytes must come out, else ERR_CORRUPT. */
int zip_unpack(const uint8_t *in, size_t n, uint8_t *raw, size_t rawlen, struct err *e);

#endif
