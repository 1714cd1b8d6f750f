/*
 * A walk in path order. Reading a directory gives names in the order of a hash, so each is read
 * whole and sorted; the buffers of a level are kept for the next directory at that depth.
 *
 * Only the lowest levels keep their directory open. The others are opened again, by ".." from
 * below, when the walk comes back to them, and compared with what they were: a directory that was
 * moved meanwhile must not lead the walk out of the tree.
 */
#include "source/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "source/place.h"

/* Far below the usual limit of 1024 descriptors, far above the depth of usual trees. */
#define WALK_OPEN_MAX 128
/* One getdents64 for a few hundred names. */
#define WALK_DENTS (64u << 10)

struct level {
	int fd; /* -1: closed for now */
	dev_t dev;
	ino_t ino;
	size_t pathlen; /* of the directory, in walk.path; 0 for the root */
	struct walk_names names;
	size_t next;
};

struct walk {
	const struct exclude *exclude;
	const struct own *own;
	struct text_list left; /* what of it was met */
	bool one_file_system;
	dev_t dev; /* of the root */
	char *root;
	bool started;
	struct level *level;
	size_t depth, level_room; /* levels in use; those above keep their buffers */
	size_t levels_made;
	char *path;
	size_t path_room;
	struct walk_entry entry;
};

/* ---- names of one directory ---- */

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
keep_name(struct walk_names *n, const char *name)
{
	size_t len = strlen(name) + 1;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	n->text = mem_grow(n->text, &n->room, n->len + len, 1);
	memcpy(n->text + n->len, name, len);
	n->len += len;
	n->count++;
}

int
walk_names(int fd, struct walk_names *ret)
{
	union {
		char bytes[WALK_DENTS];
		struct dirent64 align;
	} *dents = xmalloc(sizeof(*dents));
	const struct dirent64 *d;
	ssize_t got, at;
	size_t i, off;
	int error;

	ret->len = ret->count = 0;
	while ((got = getdents64(fd, dents, sizeof(*dents))) > 0)
		for (at = 0; at < got; at += d->d_reclen) {
			d = (const void *)(dents->bytes + at);
			keep_name(ret, d->d_name);
		}
	error = got == -1 ? errno : 0;
	free(dents);
	if (error) {
		ret->count = 0;
		return error;
	}
	ret->name = mem_grow(ret->name, &ret->name_room, ret->count, sizeof(*ret->name));
	for (i = off = 0; i < ret->count; i++, off += strlen(ret->text + off) + 1)
		ret->name[i] = ret->text + off;
	if (ret->count > 1)
		qsort(ret->name, ret->count, sizeof(*ret->name), by_bytes);
	return 0;
}

void
walk_names_done(struct walk_names *n)
{
	free(n->text);
	free(n->name);
	*n = (struct walk_names){ 0 };
}

/* ---- levels ---- */

/* Starts a level for the open directory; takes fd. Returns 0 or the errno of listing it. */
static int
push(struct walk *w, int fd, const struct stat *st, size_t pathlen)
{
	struct level *l;
	int error;

	w->level = mem_grow(w->level, &w->level_room, w->depth + 1, sizeof(*w->level));
	if (w->depth == w->levels_made)
		w->level[w->levels_made++] = (struct level){ .fd = -1 };
	l = &w->level[w->depth];
	error = walk_names(fd, &l->names);
	if (error) {
		close(fd);
		return error;
	}
	l->fd = fd;
	l->dev = st->st_dev;
	l->ino = st->st_ino;
	l->pathlen = pathlen;
	l->next = 0;
	w->depth++;
	/* The root stays open: it is where a lost level is looked for. */
	if (w->depth > WALK_OPEN_MAX + 1) {
		l = &w->level[w->depth - 1 - WALK_OPEN_MAX];
		if (l->fd != -1)
			close(l->fd);
		l->fd = -1;
	}
	return 0;
}

/* Opens the directory of level l again: from below by "..", else from the root, a component at a
 * time. */
static int
reopen(const struct walk *w, const struct level *l, int below)
{
	const char *at = w->path, *end = w->path + l->pathlen;
	char name[NAME_MAX + 1];
	int fd, next;
	size_t n;

	if (below != -1)
		return openat(below, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(w->level[0].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (; fd != -1 && at < end; at += n + 1) {
		n = strcspn(at, "/");
		n = n < (size_t)(end - at) ? n : (size_t)(end - at);
		memcpy(name, at, n);
		name[n] = 0;
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	return fd;
}

/* Gives level l its directory back if it is still the same one. Returns 0 or an errno. */
static int
regain(const struct walk *w, struct level *l, int below)
{
	struct stat st;

	if (l->fd != -1)
		return 0;
	l->fd = reopen(w, l, below);
	if (l->fd == -1)
		return errno;
	if (fstat(l->fd, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		return 0;
	close(l->fd);
	l->fd = -1;
	return ENOENT;
}

/* Leaves the lowest level. Returns 0 or the errno of getting back to the one above it. */
static int
pop(struct walk *w)
{
	struct level *l = &w->level[--w->depth];
	int below = l->fd, error = 0;

	if (w->depth > 0) {
		error = regain(w, l - 1, below);
		if (error && below != -1)
			error = regain(w, l - 1, -1);
	}
	if (below != -1)
		close(below);
	l->fd = -1;
	return error;
}

/* ---- steps ---- */

static void
set_path(struct walk *w, size_t parentlen, const char *name)
{
	size_t len = strlen(name), at = parentlen;

	w->path = mem_grow(w->path, &w->path_room, parentlen + len + 2, 1);
	if (at > 0)
		w->path[at++] = '/';
	memcpy(w->path + at, name, len + 1);
	w->entry.path = w->path;
	w->entry.pathlen = at + len;
	w->entry.name = w->path + at;
}

/* Is the entry another file system, where those are not entered? */
static bool
elsewhere(const struct walk *w)
{
	const struct walk_entry *en = &w->entry;

	return w->one_file_system &&
	    (en->st.st_dev != w->dev || place_mounted(en->dirfd, en->name));
}

/* Opens and lists the directory that the entry is, one level down. */
static void
descend(struct walk *w)
{
	struct walk_entry *en = &w->entry;
	struct stat st;
	int fd;

	en->elsewhere = elsewhere(w);
	if (en->elsewhere)
		return;
	fd = openat(en->dirfd, en->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1) {
		/* ELOOP, ENOTDIR: another thing bears the name by now. */
		en->error = errno == ELOOP || errno == ENOTDIR ? ENOENT : errno;
		if (fd != -1)
			close(fd);
		return;
	}
	en->st = st;
	en->error = push(w, fd, &st, en->pathlen);
	if (!en->error)
		en->fd = fd;
}

/* Nobody typed that name just now: what belongs there is away, or the configuration is wrong. */
static void
no_root(const char *root, struct err *e)
{
	const int why = errno;

	err_sys(e, "open directory '%s'", root);
	if (e != NULL && why == ENOENT) {
		err_set(e, ERR_REMOTE, "there is no directory '%s'", root);
		err_line(e, "fix", "is it mounted? mount what belongs there, or mend its path in the "
				   "configuration");
	} else if (e != NULL && why == ENOTDIR) {
		err_set(e, ERR_CONFIG, "'%s' is no directory", root);
		err_line(e, "fix", "path in the configuration must name a directory: that around it");
	}
}

static int
start(struct walk *w, struct err *e)
{
	struct walk_entry *en = &w->entry;
	int fd = open(w->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1 || fstat(fd, &en->st) == -1) {
		no_root(w->root, e);
		if (fd != -1)
			close(fd);
		return -1;
	}
	w->dev = en->st.st_dev;
	errno = push(w, fd, &en->st, 0);
	if (errno != 0)
		return err_sys(e, "read directory '%s'", w->root);
	set_path(w, 0, ".");
	en->looked = true;
	en->dirfd = en->fd = fd;
	return 0;
}

int
walk_open(const struct walk_options *o, struct walk **ret, struct err *e)
{
	struct walk *w = xcalloc(1, sizeof(*w));

	w->exclude = o->exclude;
	w->own = o->own;
	w->one_file_system = o->one_file_system;
	w->root = xstrdup(o->root);
	if (start(w, e) == -1) {
		walk_free(w);
		return -1;
	}
	*ret = w;
	return 0;
}

/* What could not be reached again is told once, as the directory, and the rest of its names left
 * out. */
static void
lost(struct walk *w, int error)
{
	struct level *l = &w->level[w->depth - 1];
	struct walk_entry *en = &w->entry;

	l->next = l->names.count;
	w->path[l->pathlen] =
	    0; /* it still begins with the directory's own; the root is never lost */
	en->pathlen = l->pathlen;
	en->dirfd = en->fd = -1;
	en->error = error;
	en->looked = false;
}

/* The level that has a name left, NULL at the end, or with *error one that was lost. */
static struct level *
current(struct walk *w, int *error)
{
	struct level *l;

	*error = 0;
	while (w->depth > 0) {
		l = &w->level[w->depth - 1];
		if (l->next < l->names.count || *error)
			return l;
		*error = pop(w);
	}
	return NULL;
}

/* Is the entry ffdr's own? Where a directory of its is mounted, the empty place for it may stay. */
static bool
leave_out(struct walk *w)
{
	if (!own_has(w->own, &w->entry.st) || elsewhere(w))
		return false;
	w->left.item = xreallocarray(w->left.item, w->left.count + 1, sizeof(*w->left.item));
	w->left.item[w->left.count++] = xstrdup(w->path);
	return true;
}

int
walk_next(struct walk *w, const struct walk_entry **ret)
{
	struct walk_entry *en = &w->entry;
	struct level *l;
	bool directory;
	int error;

	*ret = en;
	if (!w->started) {
		w->started = true;
		return 1;
	}
	do {
		l = current(w, &error);
		if (!l)
			return 0;
		if (error) {
			lost(w, error);
			return 1;
		}
		set_path(w, l->pathlen, l->names.name[l->next++]);
		en->dirfd = l->fd;
		en->fd = -1;
		en->elsewhere = false;
		en->looked = fstatat(l->fd, en->name, &en->st, AT_SYMLINK_NOFOLLOW) == 0;
		en->error = en->looked ? 0 : errno;
		directory = en->looked && S_ISDIR(en->st.st_mode);
	} while (exclude_match(w->exclude, en->path, en->name, directory) ||
	    (en->looked && leave_out(w)));
	if (directory)
		descend(w);
	return 1;
}

const struct text_list *
walk_left(const struct walk *w)
{
	return &w->left;
}

void
walk_free(struct walk *w)
{
	size_t i;

	if (!w)
		return;
	for (i = 0; i < w->levels_made; i++) {
		if (i < w->depth && w->level[i].fd != -1)
			close(w->level[i].fd);
		walk_names_done(&w->level[i].names);
	}
	free(w->level);
	free(w->path);
	free(w->root);
	text_list_done(&w->left);
	free(w);
}
