/*
 * openat2 does the guarding (RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS) in one call for a whole path.
 * glibc 2.36 has no wrapper. A path beyond PATH_MAX is walked in pieces.
 */
#include "source/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

/* The kernel gives up with EAGAIN when a rename anywhere meets the lookup. */
#define PLACE_TRIES 1000

/* As open_piece, component by component. path is changed. */
static int
open_stepwise(int root, char *path, int flags, mode_t mode)
{
	char *name = path, *slash;
	int dir = root, next = -1, error;

	for (;;) {
		slash = strchr(name, '/');
		if (slash)
			*slash = 0;
		errno = EXDEV; /* what openat2 says of a way out */
		if (*name == 0 || strcmp(name, "..") == 0)
			next = -1;
		else
			next = openat(dir, name, (slash ? O_PATH | O_DIRECTORY : flags) | O_NOFOLLOW |
			    O_CLOEXEC, mode);
		error = errno;
		if (dir != root)
			close(dir);
		errno = error == ENOTDIR && slash ? ELOOP : error;
		if (next == -1 || !slash)
			return next;
		dir = next;
		name = slash + 1;
	}
}

/* One call's worth of path, which may be changed. */
static int
open_piece(int dir, char *path, int flags, mode_t mode)
{
	const struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	int tries = PLACE_TRIES;
	long fd;

	do
		fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
	while (fd == -1 && (errno == EAGAIN || errno == EINTR) && --tries > 0);
	if (fd == -1 && errno == ENOSYS)
		return open_stepwise(dir, path, flags, mode);
	return (int)fd;
}

int
place_open(int root, const char *path, size_t len, int flags, mode_t mode)
{
	char piece[PATH_MAX];
	int dir = root, fd, error;
	size_t n;

	for (;;) {
		n = len;
		if (n >= sizeof(piece))
			for (n = sizeof(piece) - 1; n > 0 && path[n] != '/';)
				n--;
		if (n == 0) {
			errno = ENAMETOOLONG;
			fd = -1;
			break;
		}
		memcpy(piece, path, n);
		piece[n] = 0;
		fd = n == len ? open_piece(dir, piece, flags, mode)
			      : open_piece(dir, piece, O_PATH | O_DIRECTORY, 0);
		if (fd == -1 || n == len)
			break;
		if (dir != root)
			close(dir);
		dir = fd;
		path += n + 1;
		len -= n + 1;
	}
	error = errno;
	if (dir != root)
		close(dir);
	errno = error;
	return fd;
}

void
place_init(struct place *p, int root)
{
	*p = (struct place){ .root = root, .fd = -1 };
}

void
place_done(struct place *p)
{
	if (p->fd != -1)
		close(p->fd);
	free(p->path);
	place_init(p, -1);
}

/* What is left to go from where we stand: the path below it, or NULL. */
static const char *
below(const struct place *p, const char *path, size_t len)
{
	if (p->fd == -1 || len <= p->len || memcmp(path, p->path, p->len) != 0)
		return NULL;
	if (p->len == 0)
		return path;
	return path[p->len] == '/' ? path + p->len + 1 : NULL;
}

int
place_go(struct place *p, const char *path, size_t len)
{
	const int flags = O_PATH | O_DIRECTORY;
	const char *rest;
	int fd;

	if (p->fd != -1 && len == p->len && memcmp(path, p->path, len) == 0)
		return p->fd;
	rest = below(p, path, len);
	if (rest)
		fd = place_open(p->fd, rest, len - (size_t)(rest - path), flags, 0);
	else
		fd = place_open(p->root, len == 0 ? "." : path, len == 0 ? 1 : len, flags, 0);
	if (fd == -1)
		return -1;
	if (p->fd != -1)
		close(p->fd);
	p->fd = fd;
	p->path = mem_grow(p->path, &p->room, len + 1, 1);
	memcpy(p->path, path, len);
	p->len = len;
	return fd;
}

bool
place_mounted(int dirfd, const char *name)
{
	struct statx sx;

	if (statx(dirfd, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &sx) == -1)
		return false;
	return (sx.stx_attributes & sx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0;
}
