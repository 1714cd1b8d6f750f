#ifndef TESTS_LIB_TREECMP_H
#define TESTS_LIB_TREECMP_H

#include <stddef.h>

/*
 * Compares two directory trees in all that a backup promises: names, kinds, contents, sizes, modes,
 * owners, times to the nanosecond, targets, devices, extended attributes, and which names are one
 * file. It shares no code with what it judges. The first difference goes into why (NULL is fine); 0
 * equal, 1 different.
 */
enum {
	TREECMP_NO_OWNER = 1,
	TREECMP_NO_XATTR = 2,
	TREECMP_NO_ROOT = 4
}; /* ROOT: the attributes of the root */
int treecmp(const char *a, const char *b, unsigned flags, char *why, size_t room);

#endif
