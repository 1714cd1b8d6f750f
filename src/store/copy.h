#ifndef STORE_COPY_H
#define STORE_COPY_H

#include "store/store.h"

/*
 * Copies one object byte for byte, checking it on the way: sha256 (32 bytes, may be NULL) is what
 * its bytes must hash to. 1 sent, 0 the target had the name already and the size is equal, 2 sent
 * and what had the name was set aside (store/aside.h), its size being another; without sha256 that
 * is ERR_CORRUPT. -1. A short or wrong source is ERR_CORRUPT and nothing is sent.
 */
int copy_object(struct store *from, struct store *to, const char *name, const uint8_t *sha256,
    struct buf *scratch, struct err *e);

#endif
