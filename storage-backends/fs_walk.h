#ifndef STORAGE_BACKENDS_FS_WALK_H
#define STORAGE_BACKENDS_FS_WALK_H

#include <dirent.h>
#include <sys/stat.h>

#include "store/store.h"

/* Unfinished writes of a directory of objects; never listed. */
#define FS_TMP "tmp"

/* Listing a directory of objects, as store_ops.list wants it. All borrowed. */
struct fs_walk {
	int root;
	const char *path;   /* of the root, for messages */
	const char *prefix;
	const char *after; /* may be NULL */
	store_seen *seen;
	void *arg;
};
int fs_walk(const struct fs_walk *w, struct err *e);

/* A directory below the root, open for reading; NULL with errno. */
DIR *fs_walk_open(int root, const char *path);
bool fs_walk_empty(int root, const char *path); /* is it one that has nothing? */
int64_t fs_walk_time(const struct stat *st);

#endif
