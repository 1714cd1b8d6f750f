#ifndef STORAGE_BACKENDS_S3_PROBE_H
#define STORAGE_BACKENDS_S3_PROBE_H

#include "store/store.h"

/* As in store_ops; takes a few seconds where something is to be locked. */
int s3_probe(struct store *store, const char *place, struct store_abilities *ret, struct err *e);

#endif
