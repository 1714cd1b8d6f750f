/*
 * The list of a snapshot may have been made by somebody who holds the keys and wishes us ill, or by
 * a bug. A path that comes twice is the dangerous one (a link first, then something "below" it),
 * and order alone rules it out; the rest is a few comparisons an entry.
 */
#include "source/trail.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

void
trail_init(struct trail *t)
{
	*t = (struct trail){ 0 };
}

void
trail_done(struct trail *t)
{
	free(t->path);
	free(t->dir);
	trail_init(t);
}

static int
refuse(const char *path, size_t len, const char *why, struct err *e)
{
	struct buf shown;

	buf_init(&shown, 4096);
	text_escape(path, len < 200 ? len : 200, &shown);
	err_set(e, ERR_CORRUPT, "the list of files names '%s', which %s", buf_str(&shown), why);
	buf_done(&shown);
	return -1;
}

int
trail_check_path(const char *path, size_t len, struct err *e)
{
	const char *at = path, *end = path + len;
	size_t n;

	if (len == 0 || memchr(path, 0, len))
		return refuse(path, len, "is empty or has a NUL byte", e);
	if (*path == '/')
		return refuse(path, len, "is absolute", e);
	for (;; at += n + 1) {
		const char *slash = memchr(at, '/', (size_t)(end - at));

		n = (size_t)((slash ? slash : end) - at);
		if (n == 0 || (n == 1 && at[0] == '.') || (n == 2 && memcmp(at, "..", 2) == 0))
			return refuse(path, len, "has an empty component, '.' or '..'", e);
		if (n > NAME_MAX)
			return refuse(path, len, "has a name that is too long", e);
		if (!slash)
			return 0;
	}
}

static bool
is_root(const struct entry *en)
{
	return en->pathlen == 1 && en->path[0] == '.';
}

/* Leaves the directories that the next path (NULL: none) is not in. */
static int
leave(struct trail *t, const char *path, size_t len, trail_left *left, void *arg, struct err *e)
{
	size_t n;

	while (t->depth > 0) {
		n = t->dir[t->depth - 1];
		if (path && (n == 0 || (len > n && path[n] == '/' &&
		    memcmp(path, t->path, n) == 0)))
			return 0;
		t->depth--;
		if (left && left(arg, n ? t->path : ".", n ? n : 1, t->depth, e) == -1)
			return -1;
	}
	return 0;
}

static size_t
parent_of(const char *path, size_t len)
{
	while (len > 0 && path[len - 1] != '/')
		len--;
	return len > 0 ? len - 1 : 0;
}

int
trail_step(struct trail *t, const struct entry *en, trail_left *left, void *arg,
    struct err *e)
{
	const bool root = is_root(en);

	if (!t->path && (!root || en->type != ENTRY_DIR))
		return refuse(en->path, en->pathlen, "is not the root, expected '.' first", e);
	if (!root && trail_check_path(en->path, en->pathlen, e) == -1)
		return -1;
	if (t->path && list_path_order(t->path, t->len, en->path, en->pathlen) >= 0)
		return refuse(en->path, en->pathlen, "comes twice or out of order", e);
	if (leave(t, en->path, en->pathlen, left, arg, e) == -1)
		return -1;
	t->parentlen = parent_of(en->path, en->pathlen);
	if (!root && (t->depth == 0 || t->dir[t->depth - 1] != t->parentlen))
		return refuse(en->path, en->pathlen, "lies in no directory that was listed", e);

	t->path = mem_grow(t->path, &t->room, en->pathlen + 1, 1);
	memcpy(t->path, en->path, en->pathlen);
	t->path[en->pathlen] = 0;
	t->len = en->pathlen;
	t->name = t->path + (t->parentlen ? t->parentlen + 1 : 0);
	if (en->type != ENTRY_DIR)
		return 0;
	t->dir = mem_grow(t->dir, &t->dir_room, t->depth + 1, sizeof(*t->dir));
	t->dir[t->depth++] = root ? 0 : en->pathlen;
	return 0;
}

int
trail_end(struct trail *t, trail_left *left, void *arg, struct err *e)
{
	return leave(t, NULL, 0, left, arg, e);
}
