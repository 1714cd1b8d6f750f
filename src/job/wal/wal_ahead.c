/*
 * The server archives one segment after the other and gives each call one name. What waits behind it
 * is seen in archive_status, so a worker can store many; and what is stored already is kept as one
 * small file, so that the later calls have nothing to open but that.
 *
 * The promise is the first line and is compared as a whole, and so is the line of a file: what is
 * half written, or of a state that was copied elsewhere, is equal to nothing.
 */
#include "job/wal/wal_ahead.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "source/pg/pg_walname.h"

#define READY ".ready"
#define TEXT_MAX (64u << 10)
#define LINE_MAX_LEN 320

int
wal_ahead_open(struct wal_ahead *a, const char *state, const char *source, const char *path,
    const char *promise)
{
	const char *slash = strrchr(path, '/');
	struct stat st;

	*a = (struct wal_ahead){ 0 };
	a->dir = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup("");
	if (stat(*a->dir ? a->dir : ".", &st) == -1)
		return -1;
	a->base = xasprintf("%s/push/%s.%" PRIx64 "-%" PRIx64, state, source, (uint64_t)st.st_dev,
	    (uint64_t)st.st_ino);
	a->promise = xstrdup(promise);
	return 0;
}

void
wal_ahead_done(struct wal_ahead *a)
{
	free(a->dir);
	free(a->base);
	free(a->promise);
	*a = (struct wal_ahead){ 0 };
}

const char *
wal_ahead_lock(const struct wal_ahead *a, char *room, size_t size)
{
	snprintf(room, size, "%s.lock", a->base);
	return room;
}

/* ---- what the server wants ---- */

bool
wal_ahead_wanted(const struct wal_ahead *a, const char *name)
{
	char *file = xasprintf("%sarchive_status/%s" READY, a->dir, name);
	bool wanted = access(file, F_OK) == 0;

	free(file);
	return wanted;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Is it the mark of a segment of that timeline? */
static bool
is_ready(const char *file, uint32_t tli, char out[WAL_AHEAD_NAME])
{
	const size_t n = strlen(file), tail = strlen(READY);
	struct pg_walname w;

	if (n <= tail || n - tail >= WAL_AHEAD_NAME || strcmp(file + n - tail, READY) != 0)
		return false;
	memcpy(out, file, n - tail);
	out[n - tail] = '\0';
	return pg_walname_parse(out, &w) == PG_WALNAME_SEGMENT && w.timeline == tli;
}

size_t
wal_ahead_list(const struct wal_ahead *a, uint32_t tli, char (**ret)[WAL_AHEAD_NAME])
{
	char *status = xasprintf("%sarchive_status", a->dir), name[WAL_AHEAD_NAME] = { 0 };
	char(*all)[WAL_AHEAD_NAME] = NULL;
	size_t count = 0, room = 0;
	DIR *d = opendir(status);
	const struct dirent *en;

	while (d && (en = readdir(d)))
		if (is_ready(en->d_name, tli, name)) {
			all = mem_grow(all, &room, count + 1, sizeof(*all));
			memcpy(all[count++], name, sizeof(name));
		}
	if (count > 0)
		qsort(all, count, sizeof(*all), by_name);
	if (d)
		closedir(d);
	free(status);
	*ret = all;
	return count;
}

/* ---- what is stored already ---- */

static char *
marks_of(const struct wal_ahead *a)
{
	return xasprintf("%s.marks", a->base);
}

/* What stands for that file in front of the number of what is owed. */
static void
line_of(const char *name, uint64_t sysid, const struct stat *st, char out[LINE_MAX_LEN])
{
	snprintf(out, LINE_MAX_LEN,
	    "\n%s %" PRIu64 " %" PRIx64 " %" PRIx64 " %" PRId64 ".%09ld %" PRId64 ".%09ld %" PRId64
	    " ",
	    name, sysid, (uint64_t)st->st_dev, (uint64_t)st->st_ino, (int64_t)st->st_mtim.tv_sec,
	    st->st_mtim.tv_nsec, (int64_t)st->st_ctim.tv_sec, st->st_ctim.tv_nsec,
	    (int64_t)st->st_size);
}

int
wal_ahead_put(const struct wal_ahead *a, const struct wal_ahead_mark *m, size_t count,
    struct err *e)
{
	char *to = marks_of(a), *tmp = xasprintf("%s.new", a->base), line[LINE_MAX_LEN];
	struct buf text;
	int fd, rc = -1;

	buf_init(&text, TEXT_MAX);
	buf_adds(&text, a->promise);
	for (size_t i = 0; i < count; i++) {
		line_of(m[i].name, m[i].sysid, &m[i].st, line);
		buf_addf(&text, "%s%u", line, m[i].owed);
	}
	buf_addc(&text, '\n');
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd == -1)
		err_sys(e, "'%s'", tmp);
	else if (buf_check(&text, "marks", e) == 0 && file_write(fd, text.data, text.len, e) == 0)
		rc = rename(tmp, to) == 0 ? 0 : err_sys(e, "'%s'", to);
	if (fd != -1)
		close(fd);
	buf_done(&text);
	free(tmp);
	free(to);
	return rc;
}

/* The number behind the line, which must end there. */
static bool
has_line(const char *text, const char *line, unsigned *owed)
{
	const char *at = strstr(text, line);
	char *end;
	unsigned long n;

	if (!at)
		return false;
	at += strlen(line);
	n = strtoul(at, &end, 10);
	if (end == at || *end != '\n' || n > UINT32_MAX)
		return false;
	*owed = (unsigned)n;
	return true;
}

bool
wal_ahead_has(const struct wal_ahead *a, const char *name, uint64_t sysid, unsigned *owed)
{
	const size_t promise = strlen(a->promise);
	char *from = marks_of(a), *file = xasprintf("%s%s", a->dir, name), line[LINE_MAX_LEN];
	struct stat st;
	struct buf text;
	bool has = false;

	buf_init(&text, TEXT_MAX);
	if (stat(file, &st) == 0 && file_get(AT_FDCWD, from, &text, NULL) == 0 &&
	    text.len > promise && memcmp(text.data, a->promise, promise) == 0) {
		line_of(name, sysid, &st, line);
		has = has_line(buf_str(&text) + promise, line, owed);
	}
	buf_done(&text);
	free(file);
	free(from);
	return has;
}

int64_t
wal_ahead_age(const struct wal_ahead *a)
{
	char *file = marks_of(a);
	struct stat st;
	int64_t age = 0;

	if (stat(file, &st) == 0)
		age = (int64_t)st.st_mtim.tv_sec * CLOCK_S + st.st_mtim.tv_nsec;
	free(file);
	return age;
}
