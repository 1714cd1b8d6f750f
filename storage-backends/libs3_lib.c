/*
 * The one place where libs3 comes in. What it is initialised with is a server's name that no call of ours
 * leaves out.
 */
#include "storage-backends/libs3_lib.h"

static void
set_up(const struct libs3_lib *lib)
{
	if (lib->S3_initialize_("ffdr", S3_INIT_ALL, "s3.amazonaws.com") != S3StatusOK)
		mem_end(xasprintf("ffdr: libs3 cannot be set up\n"));
}

#define X LAZY_NAME
LAZY_LIBRARY(libs3_lib, "libs3.so.2", LIBS3_FUNCTIONS, set_up(&lazy_table.functions))
