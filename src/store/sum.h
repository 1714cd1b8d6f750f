#ifndef STORE_SUM_H
#define STORE_SUM_H

#include "filter/digest.h"
#include "store/store.h"

/*
 * The SHA-256 of what lies under a name: of its bytes, read now; or, where they would have to be
 * thawed first, the one that the store itself checked when it took them and keeps beside them.
 * scratch: any buffer with room for an object; what it holds afterwards means nothing. 0; -1,
 * ERR_FROZEN where it is frozen and the store keeps none.
 */
int sum_of(struct store *s, const char *name, struct buf *scratch, uint8_t sha[DIGEST_LEN],
    struct err *e);
/*
 * Is it what this process has just sent there? 1 yes, 0 other bytes, -1. Where the store was found to
 * compare, by the sum that it keeps, and not a byte is read; elsewhere by reading it. sha: of the bytes
 * in `sent`, which mean nothing afterwards.
 */
int sum_sent(struct store *s, const char *name, struct buf *sent, const uint8_t sha[DIGEST_LEN],
    struct err *e);
/* The second of them alone, for what was found to be frozen. */
int sum_kept(struct store *s, const char *name, uint8_t sha[DIGEST_LEN], struct err *e);

#endif
