#ifndef REPO_OBJECT_TRAILER_H
#define REPO_OBJECT_TRAILER_H

#include "repo/object.h"

/*
 * The end of M, W and R: the hash of all before it, and for M and R who vouches for it under that
 * name.
 */

/* sha: of all bytes so far. ERR_KEY when this host cannot sign, ERR_FULL past the limit. */
int object_trailer_add(struct buf *bytes, enum object_type type, const struct keyring *k,
    const char *name, const uint8_t sha[DIGEST_LEN], struct err *e);
/*
 * The signature of an M or R whose hash was checked already (object_check_plain), for the name.
 * ERR_KEY when the repository does not list the signer, ERR_CORRUPT when the signature does not
 * fit.
 */
int object_trailer_check(const struct buf *bytes, enum object_type type, const struct keyring *k,
    const char *name, struct err *e);

#endif
