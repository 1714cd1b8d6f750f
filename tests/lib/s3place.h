#ifndef TESTS_LIB_S3PLACE_H
#define TESTS_LIB_S3PLACE_H

#include "store/store.h"

/*
 * The S3 store that FFDR_TEST_S3 names as ENDPOINT/BUCKET (http://127.0.0.1:9000/bucket), with keys in
 * the environment as every S3 program takes them.
 */

/* NULL, or why there is none. */
const char *s3place_missing(void);
/* The url of a prefix there that nobody has used; malloced. */
char *s3place_url(void);
/* How to open a url; also of another scheme, which needs no more than itself. */
struct store_options s3place_options(const char *url);

#endif
