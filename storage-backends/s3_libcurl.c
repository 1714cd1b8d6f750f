/*
 * The one place where libcurl comes in. Its interface has had this name since libcurl 7.16. Setting it
 * up is no thread's own business, so it belongs to the loading.
 */
#include "storage-backends/s3_libcurl.h"

#include <pthread.h>

#include "base/mem.h"

#define SONAME "libcurl.so.4"

#define X(f) #f,
static const char *const name[] = { S3_LIBCURL_FUNCTIONS };
#undef X

static union {
	struct s3_libcurl functions;
	void *symbol[ARRAY_LEN(name)];
} table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

_Static_assert(sizeof(table.functions) == sizeof(table.symbol), "a place for each function");

static void
load(void)
{
	lazy_load(SONAME, name, table.symbol, ARRAY_LEN(name));
	table.functions.curl_global_init_(CURL_GLOBAL_DEFAULT);
}

const struct s3_libcurl *
s3_libcurl(void)
{
	pthread_once(&once, load);
	return &table.functions;
}
