#ifndef REPO_PATHINDEX_H
#define REPO_PATHINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where in a list a path may stand, for those who do not come in its order: 15 bytes a path, and
 * the path itself is not kept. So an answer is a place to look at, and there may be several.
 */
struct pathindex;

struct pathindex *pathindex_new(uint64_t paths); /* room for so many, and for 4 Mi at most */
void pathindex_free(struct pathindex *x);
/* false: it is full, the path will not be found. */
bool pathindex_add(struct pathindex *x, const char *path, size_t len, uint32_t chunk, uint32_t off);

/* for (walk = pathindex_look(x, path, len); pathindex_next(x, &walk);) look at chunk and off */
struct pathindex_walk {
	uint32_t chunk, off;
	uint32_t tag;
	size_t slot;
};
struct pathindex_walk pathindex_look(const struct pathindex *x, const char *path, size_t len);
bool pathindex_next(const struct pathindex *x, struct pathindex_walk *w);

#endif
