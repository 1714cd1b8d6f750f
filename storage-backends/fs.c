/*
 * Objects as files: the name is the path below the root. An object is written to tmp/ in the same
 * file system, synced, linked to its name (which never replaces) or renamed over it, and the
 * directory is synced; so a name exists only with all its bytes on the medium. Objects cannot be
 * written to afterwards; their owners (made by root) and permissions, and those of new directories,
 * follow the root's.
 *
 * Four things would surprise. A root that was there at open can go away (an unmounted disk), and
 * then every name looks absent; so each "not there" is believed only while the path still leads
 * to the root that was opened. A directory without entries may have been made by a process that
 * died before it synced the parent; so the first entry of a directory syncs all above it. And
 * what was written is dropped from the page cache, so that reading it back reads the medium. And
 * what has an object's name but is none (a fifo, a link, a file larger than any object) is listed,
 * so that nobody takes the object for absent, but it cannot be read; deleting moves it below bad/,
 * for it is not ours.
 */
#include "storage-backends/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "filter/key.h"
#include "storage-backends/fs_walk.h"

#define ASIDE "bad"
#define TMP_BYTES 12 /* random ones, of which the name of a file in tmp/ is made */
/* Older than any put can be under way: its writer is dead. */
#define TMP_DEAD_NS (7 * 24 * 3600 * CLOCK_S)
/* A file system that keeps times no finer (FAT) has the clock of this host all the same. */
#define SAME_CLOCK_NS (3 * CLOCK_S)

struct fs {
	struct store store;
	char *path; /* of the root */
	int root;
	mode_t mode;   /* of the root */
	dev_t dev;     /* and who it is */
	ino_t ino;
	bool tmp_made; /* by us or before us, and dead files removed */
	/* whether it was asked how far its clock is ahead of ours; by any thread that stores */
	_Atomic bool asked;
	_Atomic int64_t ahead_ns;
};

static struct fs *
fs_of(struct store *s)
{
	return (struct fs *)s;
}

static int
away(const char *path, struct err *e)
{
	err_set(e, ERR_REMOTE, "'%s' is not there", path);
	return err_line(e, "fix", "mount what belongs there; for a new tier `ffdr init` makes it");
}

/* Where the path leads: 1 to the root that was opened, 0 to another one, -1 nowhere. */
static int
root_is(const struct fs *fs)
{
	struct stat st;

	if (stat(fs->path, &st) == -1)
		return -1;
	return st.st_dev == fs->dev && st.st_ino == fs->ino;
}

static int
root_check(const struct fs *fs, struct err *e)
{
	return root_is(fs) == 1 ? 0 : away(fs->path, e);
}

static bool
fs_replaced(struct store *s)
{
	return root_is(fs_of(s)) == 0;
}

/* Says of an error what a person can do about it; keeps the kind. */
static int
explain(const struct fs *fs, struct err *e)
{
	char text[UNITS_TEXT];
	struct statvfs v;

	if (e->kind == ERR_FULL && fstatvfs(fs->root, &v) == 0) {
		err_line(e, "free", "%s and %llu inodes at '%s'",
		    units_size((uint64_t)v.f_bavail * v.f_frsize, text),
		    (unsigned long long)v.f_favail, fs->path);
		err_line(e, "fix", "make room there, or keep less (keep = in the tier's section)");
	} else if (e->kind == ERR_PERMISSION && fstatvfs(fs->root, &v) == 0 &&
	    (v.f_flag & ST_RDONLY) != 0) {
		err_line(e, "fix", "'%s' is mounted read-only: mount -o remount,rw", fs->path);
	} else if (e->kind == ERR_PERMISSION) {
		err_line(e, "fix", "'%s' must be writable for uid %lu", fs->path,
		    (unsigned long)geteuid());
	}
	return -1;
}

static void
fs_close(struct store *s)
{
	struct fs *fs = fs_of(s);

	if (fs->root != -1)
		close(fs->root);
	free(fs->path);
	free(fs);
}

static int
fs_open(const struct store_options *o, struct store **ret, struct err *e)
{
	const char *path = o->url + strlen("file://");
	struct fs *fs = NULL;
	struct stat st;

	if (path[0] != '/' || strchr(path, '%') != NULL)
		return err_set(e, ERR_CONFIG, "'%s': expected file:///DIR with an absolute path, "
		    "without %%", o->url);
	fs = xcalloc(1, sizeof(*fs));
	fs->store.ops = &store_fs;
	fs->store.options = *o;
	fs->path = xstrdup(path);
	fs->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fs->root == -1 || fstat(fs->root, &st) == -1) {
		if (errno == ENOENT || errno == ESTALE || errno == ENOTCONN)
			away(path, e);
		else
			err_sys(e, "open '%s'", path);
		fs_close(&fs->store);
		return -1;
	}
	fs->mode = st.st_mode;
	fs->dev = st.st_dev;
	fs->ino = st.st_ino;
	*ret = &fs->store;
	return 0;
}

/*
 * A listing enters no link but one right below the root, so nothing else may pass one either: what
 * is there for a stat and not in a listing is reused by the next backup and missed by everybody.
 * 0, or -1 when a directory on the way is a link.
 */
static int
refuse_link(const struct fs *fs, const char *name, struct err *e)
{
	const char *slash = strchr(name, '/');
	struct stat st;
	int rc = 0;

	while (rc == 0 && slash != NULL && (slash = strchr(slash + 1, '/')) != NULL) {
		char *dir = xstrndup(name, (size_t)(slash - name));

		if (fstatat(fs->root, dir, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
			err_set(e, ERR_CORRUPT, "'%s/%s' is a link, expected a directory", fs->path, dir);
			rc = err_line(e, "fix", "move what it leads to here; only a directory right below "
			    "'%s' may be a link", fs->path);
		}
		free(dir);
	}
	return rc;
}

/* As tmp_create() makes them. The directory may be somebody else's, who had one of the name. */
static bool
is_tmp_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == 2 * TMP_BYTES && name[2 * TMP_BYTES] == '\0';
}

/* Makes tmp/ and removes what dead writers left there. A failure to remove harms nobody. */
static int
tmp_make(struct fs *fs, struct err *e)
{
	struct dirent *d;
	struct stat st;
	DIR *dir;

	if (fs->tmp_made)
		return 0;
	if (file_make_dirs(fs->root, FS_TMP, fs->mode & 07777, e) == -1)
		return -1;
	dir = fs_walk_open(fs->root, FS_TMP);
	if (dir == NULL && errno == ENOTDIR) {
		err_set(e, ERR_REFUSED, "'%s/" FS_TMP "' is a link or a file, expected a directory",
		    fs->path);
		return err_line(e, "fix", "move it away: ffdr keeps unfinished objects there");
	}
	if (dir == NULL)
		return err_sys(e, "read '%s/" FS_TMP "'", fs->path);
	while ((d = readdir(dir)) != NULL)
		if (is_tmp_name(d->d_name) &&
		    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && fs_walk_time(&st) < clock_real_ns() - TMP_DEAD_NS)
			unlinkat(dirfd(dir), d->d_name, 0);
	closedir(dir);
	fs->tmp_made = true;
	return 0;
}

/* 1 when the directory has an object, 0 when not or when the file system does not say, -1. */
static int
has_object(const struct fs *fs, const char *path, struct err *e)
{
	DIR *dir = fs_walk_open(fs->root, path);
	struct dirent *d;

	if (dir == NULL)
		return err_sys(e, "read directory '%s'", path);
	do
		d = readdir(dir);
	while (d != NULL && d->d_type != DT_REG);
	closedir(dir);
	return d != NULL;
}

/* Syncs every directory above this one, up to the root. */
static int
sync_above(const struct fs *fs, const char *path, struct err *e)
{
	char *above = xstrdup(path), *end;
	int rc = 0;

	while (rc == 0 && (end = strrchr(above, '/')) != NULL) {
		*end = '\0';
		rc = file_sync_dir(fs->root, above, e);
	}
	free(above);
	return rc == 0 ? file_sync_dir(fs->root, ".", e) : -1;
}

/*
 * Makes the directory a name lies in, and makes it durable. *ret is "." for the root; the caller
 * frees it.
 */
static int
parent_make(const struct fs *fs, const char *name, char **ret, struct err *e)
{
	const char *slash = strrchr(name, '/');
	char *dir;
	int rc;

	*ret = slash == NULL ? xstrdup(".") : xstrndup(name, (size_t)(slash - name));
	if (slash == NULL)
		return 0;
	dir = *ret;
	if (file_make_dirs(fs->root, dir, fs->mode & 07777, e) == -1)
		return -1;
	rc = has_object(fs, dir, e);
	return rc == 0 ? sync_above(fs, dir, e) : rc == 1 ? 0 : -1;
}

/* A new file in tmp/ with a name nobody else has. */
static int
tmp_create(struct fs *fs, char **ret, struct err *e)
{
	uint8_t bytes[TMP_BYTES];
	char hex[TEXT_HEX(sizeof(bytes))];
	int fd;

	key_random(bytes, sizeof(bytes));
	*ret = xasprintf(FS_TMP "/%s", text_hex(bytes, sizeof(bytes), hex));
	fd = openat(fs->root, *ret, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, fs->mode & 0444);
	if (fd == -1) {
		free(*ret);
		*ret = NULL;
		return err_sys(e, "create a file in '%s/" FS_TMP "'", fs->path);
	}
	/*
	 * The root's owner and its bits whatever the umask says: what root writes its group must
	 * read. Where modes cannot be changed, less is as safe.
	 */
	file_inherit(fd, fs->root);
	(void)!fchmod(fd, fs->mode & 0444);
	return fd;
}

/*
 * Where the files lie on a server, its clock is the one that all hosts share, and hosts whose own
 * differ from it are to be noticed. It is asked by a new file, which the kernel gives its time. Where
 * none can be made nothing will be stored either.
 */
static int64_t
fs_now(struct fs *fs)
{
	struct err none = { 0 };
	struct timespec ours;
	struct stat st;
	char *tmp = NULL;
	int64_t ahead;
	int fd;

	if (!fs->asked && tmp_make(fs, &none) == 0 && (fd = tmp_create(fs, &tmp, &none)) != -1) {
		/* The kernel's clock, not ours, which a test may have set. */
		if (clock_gettime(CLOCK_REALTIME, &ours) == 0 && fstat(fd, &st) == 0) {
			ahead = fs_walk_time(&st) - ((int64_t)ours.tv_sec * CLOCK_S + ours.tv_nsec);
			fs->ahead_ns = ahead > SAME_CLOCK_NS || ahead < -SAME_CLOCK_NS ? ahead : 0;
		}
		close(fd);
		unlinkat(fs->root, tmp, 0);
		free(tmp);
	}
	fs->asked = true;
	return clock_real_ns() + fs->ahead_ns;
}

/*
 * Bytes, time, sync. After a failed sync nothing is known of the file, so it is never synced
 * again.
 */
static int
tmp_fill(int fd, int64_t now, const void *data, size_t len, struct err *e)
{
	struct timespec times[2] = {
		{ .tv_sec = now / CLOCK_S, .tv_nsec = now % CLOCK_S },
		{ .tv_sec = now / CLOCK_S, .tv_nsec = now % CLOCK_S },
	};

	if (file_write(fd, data, len, e) == -1)
		return -1;
	if (futimens(fd, times) == -1)
		return err_sys(e, "set the time");
	fault_point("store.put.written");
	if (fsync(fd) == -1)
		return err_sys(e, "sync");
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

/* A file that has grown beyond what an object holds is none either. */
static bool
is_object(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_size <= (off_t)STORE_OBJECT_MAX;
}

static int
not_plain(const struct fs *fs, const char *name, const struct stat *st, struct err *e)
{
	if (S_ISREG(st->st_mode))
		return err_set(e, ERR_CORRUPT, "'%s' in '%s' has %lld bytes, more than an object holds",
		    name, fs->path, (long long)st->st_size);
	err_set(e, ERR_CORRUPT, "'%s' in '%s' is not a plain file but a %s", name, fs->path,
	    S_ISDIR(st->st_mode) ? "directory" : S_ISLNK(st->st_mode) ? "symbolic link" :
	    S_ISFIFO(st->st_mode) ? "fifo" : S_ISSOCK(st->st_mode) ? "socket" : "device");
	return S_ISDIR(st->st_mode) ? err_line(e, "fix", "move it elsewhere") : -1;
}

/*
 * 0 when an object has the name, or nothing any more; -1 when something else has. What is too large
 * is only lost by replacing it.
 */
static int
taken_by_object(const struct fs *fs, const char *name, enum store_put how, struct err *e)
{
	struct stat st;

	if (fstatat(fs->root, name, &st, AT_SYMLINK_NOFOLLOW) == -1 || is_object(&st) ||
	    (how == STORE_NEW && S_ISREG(st.st_mode)))
		return 0;
	return not_plain(fs, name, &st, e);
}

/* Gives the file its name, durably: 1, or 0 when the name was taken and may not be replaced. */
static int
name_give(struct fs *fs, const char *tmp, const char *name, const char *dir, enum store_put how,
    struct err *e)
{
	int rc = 1;

	if (how == STORE_REPLACE) {
		if (taken_by_object(fs, name, how, e) == -1)
			return -1;
		if (renameat(fs->root, tmp, fs->root, name) == -1)
			return err_sys(e, "rename to '%s'", name);
	} else if (linkat(fs->root, tmp, fs->root, name, 0) == -1) {
		if (errno != EEXIST)
			return err_sys(e, "link to '%s'", name);
		if (taken_by_object(fs, name, how, e) == -1)
			return -1;
		rc = 0;
	}
	fault_point("store.put.linked");
	/* Also a taken name is an answer to rely on, and its writer may be dead before its sync. */
	if (file_sync_dir(fs->root, dir, e) == -1)
		return -1;
	return rc;
}

static int
fs_put(struct store *s, const char *name, const void *data, size_t len,
    const uint8_t *sha, enum store_put how, struct err *e)
{
	struct fs *fs = fs_of(s);
	char *tmp = NULL, *dir = NULL;
	int fd = -1, rc = -1;

	(void)sha;
	fault_point("store.put.before");
	if (root_check(fs, e) == -1)
		return -1;
	if (refuse_link(fs, name, e) == -1 || tmp_make(fs, e) == -1 ||
	    parent_make(fs, name, &dir, e) == -1)
		goto out;
	fd = tmp_create(fs, &tmp, e);
	if (fd == -1 || tmp_fill(fd, fs_now(fs), data, len, e) == -1)
		goto out;
	rc = close(fd);
	fd = -1;
	if (rc == -1)
		err_sys(e, "close");
	else
		rc = name_give(fs, tmp, name, dir, how, e);
out:
	if (fd != -1)
		close(fd);
	if (tmp != NULL)
		unlinkat(fs->root, tmp, 0); /* gone already where it was renamed */
	if (rc == -1) {
		err_in(e, "store '%s' in '%s'", name, fs->path);
		explain(fs, e);
	}
	free(tmp);
	free(dir);
	return rc;
}

/*
 * 1/0/-1; "not there" needs the root to be there. A directory is what other names begin with, and
 * no object; but one in which nothing is stands where an object should.
 */
static int
fs_stat(struct store *s, const char *name, struct store_stat *ret, struct err *e)
{
	struct fs *fs = fs_of(s);
	struct stat st;

	if (refuse_link(fs, name, e) == -1)
		return -1;
	if (fstatat(fs->root, name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		if (errno != ENOENT && errno != ENOTDIR)
			return err_sys(e, "look at '%s' in '%s'", name, fs->path);
		return root_check(fs, e);
	}
	if (S_ISDIR(st.st_mode) && !fs_walk_empty(fs->root, name))
		return 0;
	if (!S_ISREG(st.st_mode))
		return not_plain(fs, name, &st, e);
	*ret = (struct store_stat){ .size = (uint64_t)st.st_size, .time_ns = fs_walk_time(&st) };
	return 1;
}

static int
fs_get(struct store *s, const char *name, uint64_t off, uint64_t len, struct buf *out,
    struct err *e)
{
	struct fs *fs = fs_of(s);
	struct store_stat st;
	int rc = fs_stat(s, name, &st, e);

	if (rc == -1)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_NOTFOUND, "'%s' is not in '%s'", name, fs->path);
	if (off > st.size || len > st.size - off)
		return err_set(e, ERR_CORRUPT, "'%s' in '%s' has %llu bytes, expected %llu or more",
		    name, fs->path, (unsigned long long)st.size, (unsigned long long)(off + len));
	if (len == 0 && st.size - off > STORE_OBJECT_MAX)
		return err_set(e, ERR_CORRUPT, "'%s' in '%s' has %llu bytes, more than an object holds",
		    name, fs->path, (unsigned long long)st.size);
	if (len == 0)
		len = st.size - off;
	if (file_get_range(fs->root, name, off, len, out, e) == -1)
		return err_in(e, "'%s'", fs->path);
	return 0;
}

/* Below bad/, under a name that nobody has. 1 or -1. */
static int
set_aside(const struct fs *fs, const char *name, struct err *e)
{
	uint8_t bytes[4];
	char hex[TEXT_HEX(sizeof(bytes))], *aside, *dir = NULL;
	int rc = -1;

	key_random(bytes, sizeof(bytes));
	aside = xasprintf(ASIDE "/%s.%s", name, text_hex(bytes, sizeof(bytes), hex));
	if (parent_make(fs, aside, &dir, e) == -1)
		goto out;
	if (renameat(fs->root, name, fs->root, aside) == -1)
		err_sys(e, "move '%s' to '%s'", name, aside);
	else if (sync_above(fs, aside, e) == 0 && sync_above(fs, name, e) == 0)
		rc = 1;
out:
	free(aside);
	free(dir);
	return rc;
}

/* A directory where an object should be: 0 when it was empty and is gone, else -1. */
static int
clear_directory(const struct fs *fs, const char *name, const struct stat *st, struct err *e)
{
	if (unlinkat(fs->root, name, AT_REMOVEDIR) == 0)
		return sync_above(fs, name, e);
	return not_plain(fs, name, st, e);
}

static int
fs_del(struct store *s, const char *name, struct err *e)
{
	const bool aside = strncmp(name, ASIDE "/", strlen(ASIDE "/")) == 0;
	struct fs *fs = fs_of(s);
	struct stat st;
	int rc;

	fault_point("store.del");
	if (root_check(fs, e) == -1 || refuse_link(fs, name, e) == -1)
		return -1;
	if (fstatat(fs->root, name, &st, AT_SYMLINK_NOFOLLOW) == -1 || is_object(&st) ||
	    (aside && S_ISREG(st.st_mode)))
		rc = file_del(fs->root, name, e);
	else if (S_ISDIR(st.st_mode))
		rc = clear_directory(fs, name, &st, e);
	else
		rc = set_aside(fs, name, e);
	if (rc == -1) {
		err_in(e, "'%s'", fs->path);
		explain(fs, e);
	}
	return rc;
}

static int
fs_clock(struct store *s, int64_t *ret_ns, struct err *e)
{
	if (root_check(fs_of(s), e) == -1)
		return -1;
	*ret_ns = fs_now(fs_of(s));
	return 0;
}

static int
fs_list(struct store *s, const char *prefix, const char *after, store_seen *seen, void *arg,
    struct err *e)
{
	struct fs *fs = fs_of(s);
	const struct fs_walk w = { fs->root, fs->path, prefix, after, seen, arg };

	if (fs_walk(&w, e) == -1)
		return -1;
	/* Had the root gone meanwhile, what is missing would look like what is deleted. */
	return root_check(fs, e);
}

static int
fs_probe(struct store *s, const char *place, struct store_abilities *ret, struct err *e)
{
	(void)place;
	ret->exclusive.can = STORE_CAN;
	return root_check(fs_of(s), e);
}

const struct store_ops store_fs = {
	.scheme = "file",
	.name = "fs",
	.open = fs_open,
	.put = fs_put,
	.get = fs_get,
	.stat = fs_stat,
	.list = fs_list,
	.del = fs_del,
	.clock = fs_clock,
	.probe = fs_probe,
	.replaced = fs_replaced,
	.close = fs_close,
	.times_by_writer = true,
};
