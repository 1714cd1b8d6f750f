#ifndef STORAGE_BACKENDS_S3_H
#define STORAGE_BACKENDS_S3_H

#include "store/store.h"

/* s3://BUCKET[/PREFIX], signature version 4. See README.md. */
extern const struct store_ops store_s3;

#endif
