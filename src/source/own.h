#ifndef SOURCE_OWN_H
#define SOURCE_OWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/*
 * What ffdr itself lives in: the directories of tiers, state and keys, and key files elsewhere. A
 * walk leaves them out, and a restore over a tree neither enters nor removes them. They are known
 * by what they are and not by name, so a link, a bind mount or another spelling does not hide one.
 */
struct own {
	struct own_item {
		dev_t dev;
		ino_t ino;
		bool around;
	} *item;
	size_t count, room;
};

/* The directory or file of that path; none there: nothing to keep. An all-zero struct is empty. */
void own_add(struct own *o, const char *path);
/* A file, and beside it nothing is removed: what lies there may be the next key. */
void own_add_key(struct own *o, const char *path);
void own_done(struct own *o);
/* o may be NULL. */
bool own_has(const struct own *o, const struct stat *st);
/* Is it the directory around a key file? */
bool own_around(const struct own *o, const struct stat *st);
/* own_has() of the name in dirfd, a link not followed. */
bool own_at(const struct own *o, int dirfd, const char *name);

#endif
