/*
 * The server archives one segment after the other and gives each call one name. What waits behind it
 * is seen in archive_status, so one call can store many; and what is stored already is kept as one
 * small file, so that the later calls have nothing to open but that.
 */
#include "job/wal_ahead.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "source/pg_walname.h"

#define READY ".ready"
#define TIMELINE_DIGITS 8
#define TEXT_MAX (16u << 10)

/* "DIR/" of a path, "" for a bare name. Caller frees. */
static char *
dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup("");
}

static const char *
name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Is it the name of a ready segment behind `after`, on its timeline? */
static bool
is_next(const char *file, const char *after, char out[WAL_AHEAD_NAME])
{
	const size_t n = strlen(file), tail = strlen(READY);
	struct pg_walname w;

	if (n <= tail || n - tail >= WAL_AHEAD_NAME || strcmp(file + n - tail, READY) != 0)
		return false;
	memcpy(out, file, n - tail);
	out[n - tail] = '\0';
	return pg_walname_parse(out, &w) == PG_WALNAME_SEGMENT &&
	    strncmp(out, after, TIMELINE_DIGITS) == 0 && strcmp(out, after) > 0;
}

void
wal_ahead_list(const char *path, struct wal_ahead *ret)
{
	char *dir = dir_of(path), *status = xasprintf("%sarchive_status", dir);
	char(*all)[WAL_AHEAD_NAME] = NULL, name[WAL_AHEAD_NAME];
	size_t count = 0, room = 0;
	DIR *d = opendir(status);
	const struct dirent *en;

	ret->count = 0;
	while (d && (en = readdir(d)))
		if (is_next(en->d_name, name_of(path), name)) {
			all = mem_grow(all, &room, count + 1, sizeof(*all));
			memcpy(all[count++], name, sizeof(name));
		}
	if (count > 0)
		qsort(all, count, sizeof(*all), by_name);
	for (size_t i = 0; i < count && i < WAL_AHEAD_MAX; i++)
		memcpy(ret->name[ret->count++], all[i], sizeof(*all));
	if (d)
		closedir(d);
	free(all);
	free(status);
	free(dir);
}

/* ---- what is stored already ---- */

/* The line that stands for that file; false: it is not there. */
static bool
line_of(const char *path, const char *name, char *out, size_t room)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return false;
	snprintf(out, room, "%s %" PRIu64 " %" PRIu64 " %" PRId64 ".%09ld %" PRId64 "\n", name,
	    (uint64_t)st.st_dev, (uint64_t)st.st_ino, (int64_t)st.st_ctim.tv_sec,
	    st.st_ctim.tv_nsec, (int64_t)st.st_size);
	return true;
}

static char *
file_of(const char *state, const char *source)
{
	return xasprintf("%s/push/%s", state, source);
}

int
wal_ahead_put(const char *state, const char *source, const char *path, const struct wal_ahead *a,
    struct err *e)
{
	char *dir = dir_of(path), *to = file_of(state, source), line[256];
	struct buf text;
	int rc;

	buf_init(&text, TEXT_MAX);
	for (size_t i = 0; i < a->count; i++) {
		char *file = xasprintf("%s%s", dir, a->name[i]);

		if (line_of(file, a->name[i], line, sizeof(line)))
			buf_adds(&text, line);
		free(file);
	}
	rc = file_put(AT_FDCWD, to, text.data, text.len, 0640, FILE_REPLACE, e);
	buf_done(&text);
	free(to);
	free(dir);
	return rc == -1 ? -1 : 0;
}

bool
wal_ahead_has(const char *state, const char *source, const char *path)
{
	char *from = file_of(state, source), line[256];
	const char *at;
	struct buf text;
	bool has = false;

	buf_init(&text, TEXT_MAX);
	if (file_get(AT_FDCWD, from, &text, NULL) == 0 &&
	    line_of(path, name_of(path), line, sizeof(line))) {
		at = strstr(buf_str(&text), line);
		has = at && (at == buf_str(&text) || at[-1] == '\n');
	}
	buf_done(&text);
	free(from);
	return has;
}
