#ifndef STORAGE_BACKENDS_S3_THAW_H
#define STORAGE_BACKENDS_S3_THAW_H

#include "store/store.h"

/* What store_ops says of `cold` and `thaw`. */
int s3_thaw_look(struct store *store, const char *name, struct store_cold *ret, struct err *e);
int s3_thaw_order(struct store *store, const char *name, enum store_speed speed, unsigned days,
    struct err *e);

#endif
