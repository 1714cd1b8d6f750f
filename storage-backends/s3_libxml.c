/*
 * The one place where libxml2 comes in, by the name it has in Debian since it is there.
 */
#include "storage-backends/s3_libxml.h"

#define X LAZY_NAME
LAZY_LIBRARY(s3_libxml, "libxml2.so.2", S3_LIBXML_FUNCTIONS, lazy_table.functions.xmlInitParser_())
