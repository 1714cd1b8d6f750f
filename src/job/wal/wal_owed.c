/*
 * A tier that was away while a segment was acknowledged gets it later from a tier that has it, byte
 * for byte. A mark is an empty file whose name is the object's: nothing in it can be wrong, and
 * losing one loses nothing but time.
 */
#include "job/wal/wal_owed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "job/wal/wal_copy.h"

/* In a file's name for the slash of an object's, which has none of these. */
#define SLASH '+'

static void
exchange(char *s, char from, char to)
{
	for (; *s; s++)
		if (*s == from)
			*s = to;
}

int
wal_owed_put(const char *state, const char *tier, const char *name, struct err *e)
{
	char *file = xstrdup(name), *path;
	int rc;

	exchange(file, '/', SLASH);
	path = xasprintf("%s/owed/%s/%s", state, tier, file);
	rc = file_put(AT_FDCWD, path, "", 0, 0640, FILE_NEW, e);
	free(path);
	free(file);
	return rc == -1 ? -1 : 0;
}

/* 0 the tier has it now, or nobody has it: nothing is owed any more; -1. */
static int
bring(struct tier_set *set, struct tier *t, const char *name, struct err *e)
{
	struct err why = { 0 };
	uint64_t bytes;

	if (wal_copy_object(set, t, name, &bytes, &why) != -1 || why.kind == ERR_NOTFOUND)
		return 0;
	if (e)
		*e = why;
	return -1;
}

int
wal_owed_settle(
    struct tier_set *set, const char *state, struct tier *t, unsigned most, struct err *e)
{
	char *dir = xasprintf("%s/owed/%s", state, t->name);
	DIR *d = opendir(dir);
	const struct dirent *en;
	int owed = 0;

	while (d && owed != -1 && (en = readdir(d))) {
		char *name, *path;

		if (en->d_name[0] == '.')
			continue;
		owed++;
		if (most == 0)
			continue;
		most--;
		name = xstrdup(en->d_name);
		exchange(name, SLASH, '/');
		path = xasprintf("%s/%s", dir, en->d_name);
		if (bring(set, t, name, e) == -1 || file_del(AT_FDCWD, path, e) == -1)
			owed = -1;
		else
			owed--;
		free(path);
		free(name);
	}
	if (d)
		closedir(d);
	free(dir);
	return owed;
}
