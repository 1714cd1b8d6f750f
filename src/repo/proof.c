/*
 * A backup says "stored" only of bytes that were seen to come back. To hash every grain once more
 * for that would cost as much as all else together, so the proof is a chain of links, each of which
 * holds where the one before was made:
 *
 *	id and sum of a grain     made in one go, from the same bytes (cut)
 *	what the frame unpacks to has these sums (worker); then the sum of the frame
 *	what was read back        opens, and has the sums of the frames (scrub_written)
 *
 * A bit that flips in memory on the way, in a grain, an id, a frame or a row of the index, breaks a
 * link; so does a compressor or a cipher that is wrong, and a store that does not give back what it
 * was given. It takes two accidents that agree in 32 bits to pass.
 */
#include "repo/proof.h"

#include "filter/crc32c.h"

uint32_t
proof_grain(const uint8_t id[GRAIN_ID_LEN], const void *bytes, size_t n)
{
	return crc32c(crc32c(0, bytes, n), id, GRAIN_ID_LEN);
}

uint32_t
proof_frame(enum frame_kind kind, const struct object_grain *grain, size_t grains,
    const void *packed, size_t n)
{
	const uint8_t byte = (uint8_t)kind;

	return crc32c(crc32c(crc32c(0, &byte, 1), grain, grains * sizeof(*grain)), packed, n);
}

int
proof_unpack(const struct buf *packed, size_t rawlen, const struct object_grain *grain,
    const uint32_t *sum, size_t grains, uint8_t *raw, struct err *e)
{
	const bool plain = packed->len == rawlen + 1 && packed->data[0] == ZIP_RAW;
	const uint8_t *at = plain ? packed->data + 1 : raw, *end = at + rawlen;

	if (!plain && zip_unpack(packed->data, packed->len, raw, rawlen, e) == -1)
		return -1;
	for (size_t i = 0; i < grains; i++) {
		if (grain[i].len > (size_t)(end - at) ||
		    proof_grain(grain[i].id, at, grain[i].len) != sum[i])
			return err_set(e, ERR_CORRUPT, "a grain is another one than was hashed");
		at += grain[i].len;
	}
	return 0;
}
