/*
 * The one place where libpq comes in. Its interface has had this name since PostgreSQL 8.2.
 */
#include "source/libpq.h"

#include <pthread.h>

#include "base/mem.h"

#define SONAME "libpq.so.5"

#define X(f) #f,
static const char *const name[] = { LIBPQ_FUNCTIONS };
#undef X

static union {
	struct libpq functions;
	void *symbol[ARRAY_LEN(name)];
} table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

_Static_assert(sizeof(table.functions) == sizeof(table.symbol), "a place for each function");

static void
load(void)
{
	lazy_load(SONAME, name, table.symbol, ARRAY_LEN(name));
}

const struct libpq *
libpq(void)
{
	pthread_once(&once, load);
	return &table.functions;
}
