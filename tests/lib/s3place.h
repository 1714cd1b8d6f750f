#ifndef TESTS_LIB_S3PLACE_H
#define TESTS_LIB_S3PLACE_H

#include "store/store.h"

/*
 * The S3 store that FFDR_TEST_S3 names as ENDPOINT/BUCKET (http://127.0.0.1:9000/bucket), with keys in
 * the environment as every S3 program takes them.
 */

/* NULL, or why there is none. */
const char *s3place_missing(void);
/* The same for driver libs3, whose signature many stores refuse. */
const char *s3place_old_missing(void);
/* The url of a prefix there that nobody has used; malloced. */
char *s3place_url(void);
/* How to open a url by that driver (NULL: the usual one); of another scheme it needs no more. */
struct store_options s3place_options(const char *url, const char *driver);

#endif
