#ifndef STORAGE_BACKENDS_S3_LOCK_H
#define STORAGE_BACKENDS_S3_LOCK_H

#include "store/store.h"

/* As in store_ops. */
int s3_lock_again(struct store *store, const char *name, int64_t slack_ms, struct err *e);

#endif
