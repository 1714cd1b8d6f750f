#ifndef REPO_PROOF_H
#define REPO_PROOF_H

#include <stddef.h>
#include <stdint.h>

#include "filter/zip.h"
#include "repo/object_index.h"

/*
 * What a grain is followed by from the place where its id is computed to the pack that lies in a
 * store: a sum is made beside the id and compared with what comes out of the compressed frame; then
 * a sum over that frame is made and compared with what was read back and opened. Sums are CRC-32C:
 * they are for faults of memory, processors, compression and stores; against people there are the
 * seal and the ids.
 */

/* Of a grain and its id. */
uint32_t proof_grain(const uint8_t id[GRAIN_ID_LEN], const void *bytes, size_t n);

/* Of what the index says of a frame, and of its codec byte and payload. */
uint32_t proof_frame(enum frame_kind kind, const struct object_grain *grain, size_t grains,
    const void *packed, size_t n);

/*
 * Does the packed frame give these grains, by the sums of proof_grain()? raw: room for rawlen bytes.
 * ERR_CORRUPT names the first that differs.
 */
int proof_unpack(const struct buf *packed, size_t rawlen, const struct object_grain *grain,
    const uint32_t *sum, size_t grains, uint8_t *raw, struct err *e);

#endif
