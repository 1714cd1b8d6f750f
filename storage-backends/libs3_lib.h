#ifndef STORAGE_BACKENDS_LIBS3_LIB_H
#define STORAGE_BACKENDS_LIBS3_LIB_H

/* Its header says () where it means (void). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <libs3.h>
#pragma GCC diagnostic pop

#include "base/lazy.h"

/*
 * libs3, loaded when it is first used (base/lazy.h). The functions that may be called stand in the list,
 * and below it under their own names.
 */
#define LIBS3_FUNCTIONS \
	X(S3_delete_object) \
	X(S3_get_object) \
	X(S3_get_status_name) \
	X(S3_head_object) \
	X(S3_initialize) \
	X(S3_list_bucket) \
	X(S3_put_object) \
	X(S3_test_bucket)

#define X(f) __typeof__(&f) f##_;
struct libs3_lib {
	LIBS3_FUNCTIONS
};
#undef X
/* Filled, and set up for the process; for any thread. */
const struct libs3_lib *libs3_lib(void);

#define S3_delete_object (libs3_lib()->S3_delete_object_)
#define S3_get_object (libs3_lib()->S3_get_object_)
#define S3_get_status_name (libs3_lib()->S3_get_status_name_)
#define S3_head_object (libs3_lib()->S3_head_object_)
#define S3_list_bucket (libs3_lib()->S3_list_bucket_)
#define S3_put_object (libs3_lib()->S3_put_object_)
#define S3_test_bucket (libs3_lib()->S3_test_bucket_)

#endif
