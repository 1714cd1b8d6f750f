/*
 * The one place where libs3 comes in. What it is initialised with is a server's name that no call of ours
 * leaves out.
 */
#include "storage-backends/libs3_lib.h"

#include <pthread.h>

#include "base/mem.h"

#define SONAME "libs3.so.2"

#define X(f) #f,
static const char *const name[] = { LIBS3_FUNCTIONS };
#undef X

static union {
	struct libs3_lib functions;
	void *symbol[ARRAY_LEN(name)];
} table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

_Static_assert(sizeof(table.functions) == sizeof(table.symbol), "a place for each function");

static void
load(void)
{
	lazy_load(SONAME, name, table.symbol, ARRAY_LEN(name));
	if (table.functions.S3_initialize_("ffdr", S3_INIT_ALL, "s3.amazonaws.com") != S3StatusOK)
		mem_end(xasprintf("ffdr: %s cannot be set up\n", SONAME));
}

const struct libs3_lib *
libs3_lib(void)
{
	pthread_once(&once, load);
	return &table.functions;
}
