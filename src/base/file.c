/*
 * Durable files. A new file has no name at all (O_TMPFILE) until its bytes are on disk, so a
 * crash leaves nothing behind; where the file system cannot do that, and for replacing, a
 * temporary name beside the target is used. The directory is synced even when the name was
 * taken already: whoever made it may have died between its link and its sync, and our caller
 * is about to rely on the name.
 *
 * A failed fsync is final. The kernel may have dropped the dirty pages and marked them clean,
 * so a second fsync would say yes to bytes that are gone.
 *
 * Root makes nothing for itself: what it makes belongs to whom the directory belongs. Else one
 * command typed as root would lock out the user who runs all the others.
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"

#define FILE_READ_STEP ((size_t)64 * 1024)
#define FILE_DIR_PERM 0700
#define FILE_TRIES 100 /* temporary names to try; one is enough unless somebody plays with us */

/* "." for a bare name, "/" for one below the root. Caller frees. */
static char *
parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	while (slash > path && slash[-1] == '/')
		slash--;
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

static const char *
name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int
open_dir(int dirfd, const char *path)
{
	return openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void
file_inherit(int fd, int dirfd)
{
	struct stat st, dir;

	if (geteuid() != 0 || fstat(fd, &st) == -1 || fstat(dirfd, &dir) == -1 ||
	    (st.st_uid == dir.st_uid && st.st_gid == dir.st_gid))
		return;
	/*
	 * Where owners cannot be changed (a share that squashes root), the store's own rule stands.
	 */
	(void)!fchown(fd, dir.st_uid, dir.st_gid);
}

static int
sync_dir_fd(int fd, const char *path, struct err *e)
{
	/* EINVAL: a file system that has nothing to sync in a directory says so this way. */
	if (fsync(fd) == -1 && errno != EINVAL)
		return err_sys(e, "sync directory '%s'", path);
	return 0;
}

int
file_sync_dir(int dirfd, const char *path, struct err *e)
{
	int fd, rc;

	fd = open_dir(dirfd, path);
	if (fd == -1)
		return err_sys(e, "open directory '%s'", path);
	rc = sync_dir_fd(fd, path, e);
	close(fd);
	return rc;
}

ssize_t
file_read(int fd, void *data, size_t n, struct err *e)
{
	size_t got = 0;
	ssize_t r;

	while (got < n) {
		r = read(fd, (char *)data + got, n - got);
		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return err_sys(e, "read");
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

int
file_write(int fd, const void *data, size_t n, struct err *e)
{
	size_t done = 0;
	ssize_t r;

	while (done < n) {
		r = write(fd, (const char *)data + done, n - done);
		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return err_sys(e, "write");
		done += (size_t)r;
	}
	return 0;
}

int
file_pwrite(int fd, const void *data, size_t n, uint64_t off, struct err *e)
{
	size_t done = 0;
	ssize_t r;

	if (off > INT64_MAX - n)
		return err_set(e, ERR_IO, "write: offset %llu is too large",
		    (unsigned long long)off);
	while (done < n) {
		r = pwrite(fd, (const char *)data + done, n - done, (off_t)(off + done));
		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return err_sys(e, "write");
		done += (size_t)r;
	}
	return 0;
}

/* A directory just made: whose it is and its mode. */
static void
settle_dir(int dirfd, const char *path, mode_t perm)
{
	char *above = parent_of(path);
	int parent = open_dir(dirfd, above);
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (parent != -1 && fd != -1)
		file_inherit(fd, parent);
	/*
	 * Whatever the umask says, and with the set-group-id that the parent handed down; where
	 * modes cannot be changed, less is as safe.
	 */
	if (fd != -1 && fstat(fd, &st) == 0)
		(void)!fchmod(fd, perm | (st.st_mode & S_ISGID));
	if (parent != -1)
		close(parent);
	if (fd != -1)
		close(fd);
	free(above);
}

int
file_make_dirs(int dirfd, const char *path, mode_t perm, struct err *e)
{
	char *level = NULL, *parent = NULL;
	size_t i, len = strlen(path);
	struct stat st;
	int rc = -1;

	if (fstatat(dirfd, path, &st, 0) == 0 && S_ISDIR(st.st_mode))
		return 0;
	for (i = 1; i <= len; i++) {
		if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/')
			continue;
		free(level);
		level = xstrndup(path, i);
		/* What is there already may lie in directories that we may not even read. */
		if (fstatat(dirfd, level, &st, 0) == 0)
			continue;
		if (mkdirat(dirfd, level, perm) == 0) {
			settle_dir(dirfd, level, perm);
		} else if (errno != EEXIST) {
			err_sys(e, "make directory '%s'", level);
			goto out;
		}
		/* Also after EEXIST: another process made it just now and may yet die. */
		free(parent);
		parent = parent_of(level);
		if (file_sync_dir(dirfd, parent, e) == -1)
			goto out;
	}
	if (fstatat(dirfd, path, &st, 0) == -1) {
		err_sys(e, "make directory '%s'", path);
		goto out;
	}
	if (!S_ISDIR(st.st_mode)) {
		err_set(e, ERR_IO, "make directory '%s': something else has that name", path);
		goto out;
	}
	rc = 0;
out:
	free(level);
	free(parent);
	return rc;
}

/* Bytes, owner, mode, fsync, in that order. The name in messages is the one the caller wanted. */
static int
fill(int fd, int dfd, const char *path, const void *data, size_t len, mode_t perm, struct err *e)
{
	if (file_write(fd, data, len, e) == -1)
		return err_in(e, "'%s'", path);
	file_inherit(fd, dfd);
	if (fchmod(fd, perm) == -1)
		return err_sys(e, "set mode of '%s'", path);
	fault_point("file-written");
	if (fsync(fd) == -1)
		return err_sys(e, "sync '%s'", path);
	fault_point("file-synced");
	return 0;
}

/* A file without a name in the directory dfd; -1 without an error where that cannot be had. */
static int
open_nameless(int dfd)
{
	return openat(dfd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
}

/* Gives the nameless file fd its name. 1 made, 0 taken already, -1 errno. */
static int
link_nameless(int fd, int dfd, const char *name)
{
	char proc[sizeof("/proc/self/fd/") + 3 * sizeof(int)];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, proc, dfd, name, AT_SYMLINK_FOLLOW) == 0)
		return 1;
	return errno == EEXIST ? 0 : -1;
}

/* Opens a new file with a temporary name in dfd; *ret is the name, the caller frees it. */
static int
open_named(int dfd, char **ret)
{
	static atomic_uint counter;
	char *name;
	int fd, i;

	for (i = 0; i < FILE_TRIES; i++) {
		name = xasprintf(FILE_TMP_PREFIX "%ld-%llx-%u", (long)getpid(),
		    (unsigned long long)clock_boot_ns(), counter++);
		fd = openat(dfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd != -1) {
			*ret = name;
			return fd;
		}
		free(name);
		if (errno != EEXIST)
			break;
	}
	return -1;
}

/* The way through a temporary name. 1 made, 0 taken already, -1. */
static int
put_named(int dfd, const char *path, const void *data, size_t len, mode_t perm,
    enum file_mode mode, struct err *e)
{
	const char *name = name_of(path);
	char *tmp = NULL;
	int fd, rc = -1;

	fd = open_named(dfd, &tmp);
	if (fd == -1)
		return err_sys(e, "create '%s'", path);
	if (fill(fd, dfd, path, data, len, perm, e) == -1)
		goto out;
	if (mode == FILE_REPLACE) {
		if (renameat(dfd, tmp, dfd, name) == -1) {
			err_sys(e, "rename to '%s'", path);
			goto out;
		}
		free(tmp);
		tmp = NULL;
		rc = 1;
	} else if (linkat(dfd, tmp, dfd, name, 0) == 0) {
		rc = 1;
	} else if (errno == EEXIST) {
		rc = 0;
	} else {
		err_sys(e, "link '%s'", path);
	}
out:
	if (tmp)
		unlinkat(dfd, tmp, 0);
	free(tmp);
	if (close(fd) == -1 && rc != -1)
		rc = err_sys(e, "close '%s'", path);
	return rc;
}

/* A new file by way of no name. -2: this file system cannot, take the other way. */
static int
put_nameless(int dfd, const char *path, const void *data, size_t len, mode_t perm, struct err *e)
{
	int fd, rc = -1;

	fd = open_nameless(dfd);
	if (fd == -1)
		return -2;
	if (fill(fd, dfd, path, data, len, perm, e) == 0) {
		rc = link_nameless(fd, dfd, name_of(path));
		/* No /proc, or a file system that makes nameless files but cannot link them. */
		if (rc == -1)
			rc = -2;
	}
	if (close(fd) == -1 && rc >= 0)
		rc = err_sys(e, "close '%s'", path);
	return rc;
}

int
file_put(int dirfd, const char *path, const void *data, size_t len, mode_t perm,
    enum file_mode mode, struct err *e)
{
	char *parent = parent_of(path);
	int dfd, made = -1;

	dfd = open_dir(dirfd, parent);
	if (dfd == -1 && errno == ENOENT) {
		if (file_make_dirs(dirfd, parent, FILE_DIR_PERM, e) == -1)
			goto out;
		dfd = open_dir(dirfd, parent);
	}
	if (dfd == -1) {
		err_sys(e, "open directory '%s'", parent);
		goto out;
	}
	made = mode == FILE_NEW ? put_nameless(dfd, path, data, len, perm, e) : -2;
	if (made == -2)
		made = put_named(dfd, path, data, len, perm, mode, e);
	if (made == -1)
		goto out;
	fault_point("file-linked");
	if (sync_dir_fd(dfd, parent, e) == -1)
		made = -1;
out:
	if (dfd != -1)
		close(dfd);
	free(parent);
	return made;
}

int
file_open_shared(const char *path, mode_t perm, struct err *e)
{
	char *parent = parent_of(path);
	int dfd = open_dir(AT_FDCWD, parent), fd = -1;

	if (dfd == -1) {
		err_sys(e, "open directory '%s'", parent);
		goto out;
	}
	fd = openat(dfd, name_of(path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, perm);
	if (fd == -1) {
		err_sys(e, "open '%s'", path);
		goto out;
	}
	file_inherit(fd, dfd);
	(void)!fchmod(fd, perm);
out:
	if (dfd != -1)
		close(dfd);
	free(parent);
	return fd;
}

/* A fifo would be waited for, a device may have no end: neither is opened to be read. */
static int
open_plain(int dirfd, const char *path, int flags, struct err *e)
{
	int fd = openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | flags);
	struct stat st;

	if (fd == -1 && errno != ELOOP && errno != ENXIO) /* a link; a socket */
		return err_sys(e, "open '%s'", path);
	if (fd != -1 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	if (fd != -1)
		close(fd);
	return err_set(e, ERR_CORRUPT, "'%s' is not a plain file", path);
}

int
file_get(int dirfd, const char *path, struct buf *out, struct err *e)
{
	size_t before = out->len, room;
	struct stat st;
	uint8_t *p, extra;
	ssize_t r;
	int fd, rc = -1;

	fd = open_plain(dirfd, path, 0, e);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size <= out->limit - out->len)
		buf_reserve(out, (size_t)st.st_size);
	do {
		room = out->limit - out->len;
		if (room > FILE_READ_STEP)
			room = FILE_READ_STEP;
		/* At the limit one byte more is asked for: is this the end? */
		p = room > 0 ? buf_reserve(out, room) : &extra;
		if (!p)
			p = &extra;
		r = file_read(fd, p, p == &extra ? 1 : room, e);
		if (r == -1) {
			err_in(e, "'%s'", path);
			goto out;
		}
		if (p == &extra && r > 0) {
			err_set(e, ERR_CORRUPT, "'%s' is larger than the %zu bytes allowed for it",
			    path, out->limit - before);
			goto out;
		}
		if (p != &extra)
			out->len += (size_t)r;
	} while (r > 0);
	rc = 0;
out:
	if (rc == -1)
		out->len = before;
	if (out->data)
		out->data[out->len] = '\0';
	close(fd);
	return rc;
}

int
file_get_range(int dirfd, const char *path, uint64_t off, size_t len, struct buf *out,
    struct err *e)
{
	uint8_t *p;
	size_t got = 0;
	ssize_t r;
	int fd, rc = -1;

	if (off > INT64_MAX - len)
		return err_set(e, ERR_CORRUPT, "'%s' cannot hold bytes at %llu", path,
		    (unsigned long long)off);
	fd = open_plain(dirfd, path, O_NOFOLLOW, e);
	if (fd == -1)
		return -1;
	p = buf_reserve(out, len);
	if (!p) {
		buf_check(out, path, e);
		goto out;
	}
	while (got < len) {
		r = pread(fd, p + got, len - got, (off_t)(off + got));
		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1) {
			err_sys(e, "read '%s'", path);
			goto out;
		}
		if (r == 0) {
			err_set(e, ERR_CORRUPT, "'%s' ends at byte %llu, expected at least %llu",
			    path, (unsigned long long)(off + got), (unsigned long long)(off + len));
			goto out;
		}
		got += (size_t)r;
	}
	out->len += len;
	rc = 0;
out:
	close(fd);
	return rc;
}

int
file_del(int dirfd, const char *path, struct err *e)
{
	char *parent;
	int rc;

	if (unlinkat(dirfd, path, 0) == -1)
		return errno == ENOENT ? 0 : err_sys(e, "remove '%s'", path);
	parent = parent_of(path);
	rc = file_sync_dir(dirfd, parent, e) == -1 ? -1 : 1;
	free(parent);
	return rc;
}

static int remove_inside(int fd, const char *path, struct err *e);

/* Removes one name, whatever it is. */
static int
remove_name(int dirfd, const char *name, const char *path, struct err *e)
{
	int fd, rc;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	/* Linux says EISDIR for a directory, POSIX EPERM; any other reason is the answer. */
	if (errno != EISDIR && errno != EPERM)
		return err_sys(e, "remove '%s'", path);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return err_sys(e, "remove '%s'", path);
	rc = remove_inside(fd, path, e); /* closes fd */
	if (rc == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) == -1 && errno != ENOENT)
		rc = err_sys(e, "remove directory '%s'", path);
	return rc;
}

static int
remove_inside(int fd, const char *path, struct err *e)
{
	struct dirent *d;
	struct stat st;
	char *below;
	DIR *dir;
	int rc = 0;

	/* A restored tree may hold directories that even their owner cannot empty. */
	if (fstat(fd, &st) == 0 && (st.st_mode & S_IRWXU) != S_IRWXU)
		(void)!fchmod(fd, S_IRWXU);
	dir = fdopendir(fd);
	if (!dir) {
		err_sys(e, "read directory '%s'", path);
		close(fd);
		return -1;
	}
	while (rc == 0 && (errno = 0, d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		below = xasprintf("%s/%s", path, d->d_name);
		rc = remove_name(dirfd(dir), d->d_name, below, e);
		free(below);
	}
	if (rc == 0 && errno != 0)
		rc = err_sys(e, "read directory '%s'", path);
	closedir(dir);
	return rc;
}

int
file_remove_tree(int dirfd, const char *path, struct err *e)
{
	return remove_name(dirfd, path, path, e);
}
