/*
 * The one place where libxml2 comes in, by the name it has in Debian since it is there.
 */
#include "storage-backends/s3_libxml.h"

#include <pthread.h>

#include "base/mem.h"

#define SONAME "libxml2.so.2"

#define X(f) #f,
static const char *const name[] = { S3_LIBXML_FUNCTIONS };
#undef X

static union {
	struct s3_libxml functions;
	void *symbol[ARRAY_LEN(name)];
} table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

_Static_assert(sizeof(table.functions) == sizeof(table.symbol), "a place for each function");

static void
load(void)
{
	lazy_load(SONAME, name, table.symbol, ARRAY_LEN(name));
	table.functions.xmlInitParser_();
}

const struct s3_libxml *
s3_libxml(void)
{
	pthread_once(&once, load);
	return &table.functions;
}
