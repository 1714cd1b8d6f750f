/*
 * The one place where libpq comes in. Its interface has had this name since PostgreSQL 8.2.
 */
#include "source/libpq.h"

#define X LAZY_NAME
LAZY_LIBRARY(libpq, "libpq.so.5", LIBPQ_FUNCTIONS, (void)0)
