/*
 * The one place where libcurl comes in. Its interface has had this name since libcurl 7.16. Setting it
 * up is no thread's own business, so it belongs to the loading.
 */
#include "storage-backends/s3_libcurl.h"

#define X LAZY_NAME
LAZY_LIBRARY(s3_libcurl, "libcurl.so.4", S3_LIBCURL_FUNCTIONS,
    lazy_table.functions.curl_global_init_(CURL_GLOBAL_DEFAULT))
