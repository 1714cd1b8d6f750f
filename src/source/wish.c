/*
 * Restoring a part. The one difficulty is a hard link that is in the part when its first name,
 * which has the contents, is not: the first such link then takes the contents, and the others link
 * to it.
 */
#include "source/wish.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "source/trail.h"

struct wish_stand_in {
	char *target, *path;
};

void
wish_init(struct wish *w, const char *const *path, size_t paths)
{
	*w = (struct wish){ .path = path, .paths = paths };
}

void
wish_done(struct wish *w)
{
	size_t i;

	for (i = 0; i < w->stand_ins; i++) {
		free(w->stand_in[i].target);
		free(w->stand_in[i].path);
	}
	free(w->stand_in);
	for (i = 0; i < w->lefts; i++)
		free(w->left[i].path);
	free(w->left);
	wish_init(w, NULL, 0);
}

/* People paste the path that the host knows, and that begins above the volume. */
static int
not_there(struct reader *r, const char *path, struct err *e)
{
	const char *root = reader_manifest(r)->root;
	size_t n;

	err_set(e, ERR_NOTFOUND, "'%s' is not in the snapshot", path);
	if (!root || root[0] != '/' || !root[1])
		return -1;
	n = strlen(++root);
	if (strncmp(path, root, n) == 0 && path[n] == '/')
		return err_line(e, "fix", "'%s': paths begin below /%s", path + n + 1, root);
	return err_line(e, "note", "paths begin below the root of the volume, /%s", root);
}

int
wish_check(const struct wish *w, struct reader *r, struct err *e)
{
	struct err why = { 0 };
	const struct entry *en;
	const char *path;
	size_t i;
	int found;

	for (i = 0; i < w->paths; i++) {
		path = w->path[i];
		if (strcmp(path, ".") == 0)
			continue;
		if (trail_check_path(path, strlen(path), &why) == -1)
			return err_set(e, ERR_USAGE, "'%s': expected a path within the snapshot, "
			    "without a slash at either end", path);
		found = reader_find(r, path, strlen(path), &en, e);
		if (found == -1)
			return -1;
		if (found == 0)
			return not_there(r, path, e);
	}
	return 0;
}

static bool
is_below(const char *path, size_t len, const char *above, size_t n)
{
	return len >= n && memcmp(path, above, n) == 0 && (len == n || path[n] == '/');
}

void
wish_leave(struct wish *w, const char *path, size_t len)
{
	w->left = mem_grow(w->left, &w->left_room, w->lefts + 1, sizeof(*w->left));
	w->left[w->lefts++] = (struct wish_left){ .path = xstrndup(path, len), .len = len };
}

enum wish_kind
wish_of(const struct wish *w, const char *path, size_t len)
{
	enum wish_kind wish = WISH_NO;
	size_t i, n;

	for (i = 0; i < w->lefts; i++)
		if (is_below(path, len, w->left[i].path, w->left[i].len))
			return WISH_NO;
	if (w->paths == 0)
		return WISH_YES;
	for (i = 0; i < w->paths; i++) {
		n = strlen(w->path[i]);
		if (is_below(path, len, w->path[i], n) || strcmp(w->path[i], ".") == 0)
			return WISH_YES;
		if (is_below(w->path[i], n, path, len) || (len == 1 && path[0] == '.'))
			wish = WISH_ABOVE;
	}
	return wish;
}

/* The place in the sorted table where that target is, or belongs. */
static size_t
place_for(const struct wish *w, const char *target)
{
	size_t low = 0, high = w->stand_ins, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (strcmp(w->stand_in[middle].target, target) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const char *
wish_stand_in(struct wish *w, const struct entry *link, const char *path, bool *made)
{
	char *target = xstrndup(link->target, link->targetlen);
	const size_t at = place_for(w, target);
	struct wish_stand_in *s;

	*made = at == w->stand_ins || strcmp(w->stand_in[at].target, target) != 0;
	if (!*made) {
		free(target);
		return w->stand_in[at].path;
	}
	w->stand_in = mem_grow(w->stand_in, &w->room, w->stand_ins + 1, sizeof(*s));
	s = w->stand_in + at;
	memmove(s + 1, s, (w->stand_ins++ - at) * sizeof(*s));
	*s = (struct wish_stand_in){ .target = target, .path = xstrdup(path) };
	return s->path;
}
