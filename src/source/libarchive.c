/*
 * The one place where libarchive comes in. Its interface has had this name since
 * libarchive 3.0.
 */
#include "source/libarchive.h"

#define X LAZY_NAME
LAZY_LIBRARY(libarchive, "libarchive.so.13", LIBARCHIVE_FUNCTIONS, (void)0)
