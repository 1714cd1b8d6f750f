/*
 * The one place where libarchive comes in. Its interface has had this name since
 * libarchive 3.0.
 */
#include "source/libarchive.h"

#include <pthread.h>

#include "base/mem.h"

#define SONAME "libarchive.so.13"

#define X(f) #f,
static const char *const name[] = { LIBARCHIVE_FUNCTIONS };
#undef X

static union {
	struct libarchive functions;
	void *symbol[ARRAY_LEN(name)];
} table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

_Static_assert(sizeof(table.functions) == sizeof(table.symbol), "a place for each function");

static void
load(void)
{
	lazy_load(SONAME, name, table.symbol, ARRAY_LEN(name));
}

const struct libarchive *
libarchive(void)
{
	pthread_once(&once, load);
	return &table.functions;
}
