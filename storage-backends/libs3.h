#ifndef STORAGE_BACKENDS_LIBS3_H
#define STORAGE_BACKENDS_LIBS3_H

#include "store/store.h"

/* s3://BUCKET[/PREFIX] by libs3, signature version 2: driver = libs3. See README.md. */
extern const struct store_ops store_libs3;

#endif
