#ifndef TESTS_LIB_ENTRYGEN_H
#define TESTS_LIB_ENTRYGEN_H

#include "repo/list.h"

/*
 * Entries of a file list as no file system would hold all of them: odd names, extreme numbers,
 * every type.
 */

/* By chance; what it points to lives until the next call. `path` NULL: by chance, too. */
void entrygen_any(struct entry *en, const char *path);
/* Every field equal; strings and tables by content. */
void entrygen_assert_same(const struct entry *a, const struct entry *b);

#endif
