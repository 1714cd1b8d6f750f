#ifndef REPO_SCRUB_H
#define REPO_SCRUB_H

#include "repo/manifest.h"
#include "repo/object.h"
#include "repo/repo.h"

/*
 * Verification without restoring. L0: listed, size right. L1: bytes hash to the name. L2: frames
 * open, unzip and every grain has its id. A pack is read in stretches, so memory does not depend
 * on its size.
 */
enum scrub_level { SCRUB_LISTED = 0, SCRUB_HASHED = 1, SCRUB_OPENED = 2 };

/*
 * One pack on one store. want: its size by the manifest, 0 unknown. ERR_CORRUPT or ERR_NOTFOUND
 * say what is wrong.
 */
int scrub_pack(struct store *s, const uint8_t sha[LAYOUT_SHA], uint64_t want,
    const struct keyring *k, enum scrub_level level, struct err *e);
/*
 * The pack that was just put there: is it, byte for byte, what was sealed? header: as it was sealed;
 * proof: proof_frame() of each frame. Reads and opens all of it, and neither unpacks nor hashes: the
 * tags vouch for the bytes, the proofs for what was sealed. Where it went into an archive and cannot be
 * read, its size and the store's own hash of it stand in.
 */
int scrub_written(struct store *s, const uint8_t sha[LAYOUT_SHA],
    const struct object_header *header, const uint32_t *proof, const struct keyring *k,
    struct err *e);
/*
 * A store's objects whose name is its hash (packs) or that carry their hash (M W R): level 1
 * without keys.
 */
int scrub_object(struct store *s, const char *name, const struct keyring *k, enum scrub_level level,
    struct err *e);

#endif
