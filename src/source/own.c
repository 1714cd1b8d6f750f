/*
 * A repository that lies in what it protects would be captured by every backup of it, larger each
 * time, and a restore in place would set it back to before the snapshot that is being restored. A
 * key set back by a restore is worse: after a rotation it is the only one.
 */
#include "source/own.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool
find(const struct own *o, const struct stat *st, bool around)
{
	for (size_t i = 0; o && i < o->count; i++)
		if (o->item[i].ino == st->st_ino && o->item[i].dev == st->st_dev &&
		    o->item[i].around == around)
			return true;
	return false;
}

static void
add(struct own *o, const char *path, bool around)
{
	struct stat st;

	if (!path || stat(path, &st) == -1 || find(o, &st, around))
		return;
	o->item = mem_grow(o->item, &o->room, o->count + 1, sizeof(*o->item));
	o->item[o->count++] = (struct own_item){
		.dev = st.st_dev, .ino = st.st_ino, .around = around,
	};
}

void
own_add(struct own *o, const char *path)
{
	add(o, path, false);
}

void
own_add_key(struct own *o, const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	char *around = slash ? xstrndup(path, (size_t)(slash - path) + 1) : NULL;

	add(o, path, false);
	add(o, around, true);
	free(around);
}

void
own_done(struct own *o)
{
	free(o->item);
	*o = (struct own){ 0 };
}

bool
own_has(const struct own *o, const struct stat *st)
{
	return find(o, st, false);
}

bool
own_around(const struct own *o, const struct stat *st)
{
	return find(o, st, true);
}

bool
own_at(const struct own *o, int dirfd, const char *name)
{
	struct stat st;

	return o && o->count > 0 && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    own_has(o, &st);
}
