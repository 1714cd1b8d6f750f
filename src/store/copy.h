#ifndef STORE_COPY_H
#define STORE_COPY_H

#include "store/store.h"

/*
 * One object, byte for byte, from a store to another, checked on the way: sha256 (32 bytes, may be NULL)
 * is what its bytes must hash to. A short or wrong source is ERR_CORRUPT, so that nothing is sent.
 */
int copy_read(struct store *from, const char *name, const uint8_t *sha256, struct buf *out,
    struct err *e);
/*
 * 1 sent, 0 the target had the name already and the size is equal, 2 sent and what had the name was set
 * aside (store/aside.h), its size being another; without sha256 that is ERR_CORRUPT. -1.
 */
int copy_send(struct store *to, const char *name, const uint8_t *sha256, const struct buf *bytes,
    struct err *e);

#endif
