#ifndef SOURCE_PLACE_H
#define SOURCE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Reaching a path of a snapshot below the directory that is being restored into, never out of it
 * and never through a symbolic link, whatever stands there by now. Paths are raw bytes, "." is the
 * root, and may be longer than PATH_MAX.
 */

/* As openat(); -1 with errno. Thread-safe. */
int place_open(int root, const char *path, size_t len, int flags, mode_t mode);

/* Is something mounted on that name ("": on dirfd itself)? A bind mount counts, too. */
bool place_mounted(int dirfd, const char *name);

/* Stands in one directory; going to one nearby is cheap. */
struct place {
	int root; /* borrowed */
	int fd;	  /* the directory (O_PATH), or -1 */
	char *path;
	size_t len, room;
};
void place_init(struct place *p, int root);
void place_done(struct place *p);
/* The descriptor of that directory, the place's own until the next call; -1 with errno. len 0: the
 * root. */
int place_go(struct place *p, const char *path, size_t len);

#endif
