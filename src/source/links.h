#ifndef SOURCE_LINKS_H
#define SOURCE_LINKS_H

#include <stddef.h>
#include <sys/stat.h>

/*
 * First names of files with several: remembered until as many names were seen as the file has.
 * Memory goes with the files whose names are still missing.
 */
struct links;
struct links *links_new(void);
void links_free(struct links *l);

/*
 * The path of the first name when this file was seen before, else NULL. A file of the same number
 * that differs in kind, size or time is another one (its number was given away meanwhile): NULL.
 * The path lives until the next call.
 */
const char *links_seen(struct links *l, const struct stat *st);
/* Remembers the first name of a file that links_seen() did not know. */
void links_add(struct links *l, const struct stat *st, const char *path);

#endif
