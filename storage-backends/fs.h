#ifndef STORAGE_BACKENDS_FS_H
#define STORAGE_BACKENDS_FS_H

#include "store/store.h"

/* file:///DIR: objects are files below a directory that exists. See README.md. */
extern const struct store_ops store_fs;

#endif
