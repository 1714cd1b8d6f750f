/*
 * All storage backends, tried by the scheme of a tier's url. A new one is a line here and a run of
 * tests/backend; nothing else in the program names a driver.
 */
#include "store/store.h"

#include <stddef.h>

#include "storage-backends/fs.h"
#include "storage-backends/libs3.h"
#include "storage-backends/s3.h"

const struct store_ops *const store_backends[] = {
	&store_fs,
	&store_s3,
	&store_libs3,
	NULL,
};
