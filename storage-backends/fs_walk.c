/*
 * A listing in the byte order of whole names, which is not that of directories: "a-b" comes before
 * "a/c". So a level's names are sorted with a slash behind those of directories. A level is read
 * whole and its directory closed before the ones below are read: depth costs names, not
 * descriptors.
 *
 * What has the name of an object but is no plain file is listed too, with no bytes: whoever decides
 * by a listing must not take the object that belongs there for absent.
 */
#include "storage-backends/fs_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

bool
fs_walk_empty(int root, const char *path)
{
	DIR *dir = fs_walk_open(root, path);
	struct dirent *d;

	if (dir == NULL)
		return false;
	do
		d = readdir(dir);
	while (d != NULL && (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0));
	closedir(dir);
	return d == NULL;
}

DIR *
fs_walk_open(int root, const char *path)
{
	/*
	 * Only a directory of objects right below the root may be a link; a slash behind would
	 * follow any.
	 */
	char *plain = xstrndup(path, strlen(path) - (path[strlen(path) - 1] == '/'));
	bool first = strchr(plain, '/') == NULL && strcmp(plain, FS_TMP) != 0;
	int fd = first ? openat(root, plain, O_RDONLY | O_DIRECTORY | O_CLOEXEC) :
			 openat(root, plain, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir;

	free(plain);
	if (fd == -1)
		return NULL;
	dir = fdopendir(fd);
	if (dir == NULL)
		close(fd);
	return dir;
}

int64_t
fs_walk_time(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * CLOCK_S + st->st_mtim.tv_nsec;
}

/* One directory in the order of listing: names, those of directories with a slash behind. */
struct level {
	char **name;
	size_t count;
	size_t room;
};

static int
level_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/*
 * May the names that begin with path hold one that is wanted? An object's path is one name, a
 * directory's ends with a slash and stands for all below.
 */
static bool
wanted(const struct fs_walk *w, const char *path, bool is_dir)
{
	size_t len = strlen(path), most = strlen(w->prefix);

	if (is_dir && len < most)
		most = len;
	if (strncmp(path, w->prefix, most) != 0)
		return false;
	if (w->after == NULL)
		return true;
	return is_dir ? strncmp(path, w->after, len) >= 0 : strcmp(path, w->after) > 0;
}

/*
 * The whole name of an entry, with a slash behind when it is a directory; NULL: nothing of ours.
 * Only right below the root a link may lead to a directory: pack/ on another disk.
 */
static char *
entry_path(DIR *dir, const char *below, const struct dirent *d)
{
	bool is_dir = d->d_type == DT_DIR;
	struct stat st;

	if (!store_name_valid(d->d_name) || (below[0] == '\0' && strcmp(d->d_name, FS_TMP) == 0) ||
	    strlen(below) + strlen(d->d_name) > STORE_NAME_MAX)
		return NULL;
	if (d->d_type == DT_UNKNOWN || d->d_type == DT_LNK)
		is_dir = fstatat(dirfd(dir), d->d_name, &st,
		    below[0] == '\0' ? 0 : AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
	return xasprintf("%s%s%s", below, d->d_name, is_dir ? "/" : "");
}

/*
 * A link right below the root stands for a disk. When it leads nowhere that is not mounted, and an
 * empty listing would say that all of it is gone.
 */
static int
refuse_dangling(const struct fs_walk *w, DIR *dir, const struct dirent *d, struct err *e)
{
	char *level = xasprintf("%s/", d->d_name);
	bool asked = wanted(w, level, true);
	struct stat st;

	free(level);
	if (!asked || (d->d_type != DT_LNK && d->d_type != DT_UNKNOWN) ||
	    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISLNK(st.st_mode) || fstatat(dirfd(dir), d->d_name, &st, 0) == 0)
		return 0;
	err_set(e, ERR_REMOTE, "'%s/%s' is a link that leads nowhere", w->path, d->d_name);
	return err_line(e, "fix", "mount what belongs there");
}

static bool
is_level(const char *path)
{
	return path[0] == '\0' || path[strlen(path) - 1] == '/';
}

/* What is wanted of the directory `below`, sorted. */
static int
level_read(const struct fs_walk *w, const char *below, struct level *l, struct err *e)
{
	DIR *dir = fs_walk_open(w->root, below[0] == '\0' ? "." : below);
	struct dirent *d;
	int rc = 0;

	if (dir == NULL)
		return errno == ENOENT ? 0 : err_sys(e, "list '%s/%s'", w->path, below);
	while (rc == 0 && (errno = 0, d = readdir(dir)) != NULL) {
		char *path;

		if (below[0] == '\0')
			rc = refuse_dangling(w, dir, d, e);
		path = entry_path(dir, below, d);
		if (path == NULL || !wanted(w, path, is_level(path))) {
			free(path);
			continue;
		}
		l->name = mem_grow(l->name, &l->room, l->count + 1, sizeof(*l->name));
		l->name[l->count++] = path;
	}
	if (rc == 0 && errno != 0)
		rc = err_sys(e, "list '%s/%s'", w->path, below);
	closedir(dir);
	if (l->count > 1)
		qsort(l->name, l->count, sizeof(*l->name), level_compare);
	return rc;
}

static int
walk_object(const struct fs_walk *w, const char *path, struct err *e)
{
	struct store_entry entry = { .name = path };
	struct stat st;

	if (fstatat(w->root, path, &st, AT_SYMLINK_NOFOLLOW) == -1) /* deleted since? */
		return errno == ENOENT ? 0 : err_sys(e, "look at '%s/%s'", w->path, path);
	if (S_ISDIR(st.st_mode)) /* made since */
		return 0;
	entry.size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	entry.time_ns = fs_walk_time(&st);
	return w->seen(w->arg, &entry, e);
}

static int
walk_level(const struct fs_walk *w, const char *below, struct err *e)
{
	struct level l = { 0 };
	int rc = level_read(w, below, &l, e);

	for (size_t i = 0; i < l.count && rc == 0; i++) {
		if (is_level(l.name[i]))
			rc = walk_level(w, l.name[i], e);
		else
			rc = walk_object(w, l.name[i], e);
	}
	for (size_t i = 0; i < l.count; i++)
		free(l.name[i]);
	free(l.name);
	return rc;
}

int
fs_walk(const struct fs_walk *w, struct err *e)
{
	return walk_level(w, "", e);
}
