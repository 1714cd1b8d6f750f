#ifndef SOURCE_EXCLUDE_H
#define SOURCE_EXCLUDE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * What a walk leaves out.
 *
 *	*.tmp		that name at any depth
 *	cache/		a directory of that name at any depth, with all that is below it
 *	/top		only at the root of the volume
 *	a/b, a/ *.log	a slash inside ties the pattern to the root, too
 *	a/ ** /b	any number of components between (also none), written without the blanks
 *
 * `*` and `?` stop at a slash, `**` does not, `[a-z]` and `[!a-z]` are one byte, a backslash takes
 *the next byte as it stands. Bytes are compared, not characters.
 */
#define EXCLUDE_PATTERN_MAX 1024

struct exclude;

/* ERR_CONFIG names the pattern and what is wrong with it. The strings are not needed afterwards. */
int exclude_new(const char *const *pattern, size_t count, struct exclude **ret, struct err *e);
void exclude_free(struct exclude *x);
/* path: relative to the root, without a leading slash; name: its last component. x may be NULL. */
bool exclude_match(const struct exclude *x, const char *path, const char *name, bool directory);

#endif
