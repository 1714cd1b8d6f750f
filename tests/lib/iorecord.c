/*
 * The linker leads each call of a wrapped function to __wrap_NAME here and lets us reach the C
 * library as __real_NAME. Paths are made whole through /proc/self/fd, so the order of a put can
 * be read like a story: create, write, fsync, link, fsync of the directory.
 */
#include "tests/lib/iorecord.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

int __real_openat(int dirfd, const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *data, size_t n);
int __real_fsync(int fd);
int __real_linkat(int fd, const char *from, int to_fd, const char *to, int flags);
int __real_renameat(int fd, const char *from, int to_fd, const char *to);
int __real_mkdirat(int fd, const char *path, mode_t mode);
int __real_unlinkat(int fd, const char *path, int flags);

int __wrap_openat(int dirfd, const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *data, size_t n);
int __wrap_fsync(int fd);
int __wrap_linkat(int fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_renameat(int fd, const char *from, int to_fd, const char *to);
int __wrap_mkdirat(int fd, const char *path, mode_t mode);
int __wrap_unlinkat(int fd, const char *path, int flags);

static char below[1000]; /* "" while not recording */
static struct io_event *events;
static size_t count, room;

static struct {
	bool armed, kill, one_call, struck;
	enum io_call call;
	unsigned left;
	int error;
} plan;
static size_t most_written;

/*
 * The path of an open file and a name below it, cut to what lies below the directory; false:
 * outside.
 */
static bool
path_of(int fd, const char *name, char *out, size_t size)
{
	char proc[40], whole[2000];
	ssize_t n = 0;
	size_t len = strlen(below);

	if (below[0] == '\0' || (name != NULL && name[0] == '/'))
		return false;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, whole, 1000);
	if (n <= 0)
		return false;
	whole[n] = '\0';
	if (name != NULL && strcmp(name, ".") != 0)
		snprintf(whole + n, sizeof(whole) - (size_t)n, "/%s", name);
	if (strncmp(whole, below, len) != 0 || (whole[len] != '/' && whole[len] != '\0'))
		return false;
	snprintf(out, size, "%s", whole[len] == '\0' ? "." : whole + len + 1);
	return true;
}

/* Records a call; when it is its turn to fail sets errno and returns true. */
static bool
strike(enum io_call call, int fd, const char *name, int to_fd, const char *to)
{
	struct io_event *ev;

	events = mem_grow(events, &room, count + 1, sizeof(*events));
	ev = &events[count];
	memset(ev, 0, sizeof(*ev));
	ev->call = call;
	if (!path_of(fd, name, ev->path, sizeof(ev->path)))
		return false;
	if (to != NULL && !path_of(to_fd, to, ev->to, sizeof(ev->to)))
		return false;
	count++;
	if (!plan.armed || (plan.one_call && plan.call != call) || --plan.left > 0)
		return false;
	plan.armed = false;
	plan.struck = true;
	if (plan.kill)
		raise(SIGKILL);
	ev->error = plan.error;
	errno = plan.error;
	return true;
}

/* Notes how the newest recorded call ended. */
static int
ended(size_t at, int rc)
{
	if (rc == -1 && count > at)
		events[count - 1].error = errno;
	return rc;
}

int
__wrap_openat(int dirfd, const char *path, int flags, ...)
{
	enum io_call call = (flags & O_CREAT) != 0 ? IO_CREATE : IO_OPEN_DIR;
	size_t at = count;
	mode_t mode = 0;
	va_list ap;

	if ((flags & O_CREAT) != 0) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if ((flags & (O_CREAT | O_DIRECTORY)) != 0 && strike(call, dirfd, path, -1, NULL))
		return -1;
	return ended(at, __real_openat(dirfd, path, flags, mode));
}

ssize_t
__wrap_write(int fd, const void *data, size_t n)
{
	size_t at = count;
	ssize_t done;

	if (strike(IO_WRITE, fd, NULL, -1, NULL))
		return -1;
	if (most_written > 0 && n > most_written)
		n = most_written;
	done = __real_write(fd, data, n);
	if (done > 0 && count > at)
		events[at].len = (size_t)done;
	return done;
}

int
__wrap_fsync(int fd)
{
	size_t at = count;

	return strike(IO_FSYNC, fd, NULL, -1, NULL) ? -1 : ended(at, __real_fsync(fd));
}

int
__wrap_linkat(int fd, const char *from, int to_fd, const char *to, int flags)
{
	size_t at = count;

	return strike(IO_LINK, fd, from, to_fd, to) ? -1 :
	    ended(at, __real_linkat(fd, from, to_fd, to, flags));
}

int
__wrap_renameat(int fd, const char *from, int to_fd, const char *to)
{
	size_t at = count;

	return strike(IO_RENAME, fd, from, to_fd, to) ? -1 :
	    ended(at, __real_renameat(fd, from, to_fd, to));
}

int
__wrap_mkdirat(int fd, const char *path, mode_t mode)
{
	size_t at = count;

	return strike(IO_MKDIR, fd, path, -1, NULL) ? -1 :
	    ended(at, __real_mkdirat(fd, path, mode));
}

int
__wrap_unlinkat(int fd, const char *path, int flags)
{
	size_t at = count;

	return strike(IO_UNLINK, fd, path, -1, NULL) ? -1 :
	    ended(at, __real_unlinkat(fd, path, flags));
}

void
iorecord_begin(const char *dir)
{
	snprintf(below, sizeof(below), "%s", dir == NULL ? "" : dir);
	free(events);
	events = NULL;
	count = 0;
	room = 0;
	most_written = 0;
	memset(&plan, 0, sizeof(plan));
}

size_t
iorecord_count(void)
{
	return count;
}

const struct io_event *
iorecord_event(size_t i)
{
	return &events[i];
}

void
iorecord_fail(unsigned n, int error)
{
	memset(&plan, 0, sizeof(plan));
	plan.armed = n > 0;
	plan.left = n;
	plan.error = error;
}

void
iorecord_fail_call(enum io_call call, unsigned n, int error)
{
	iorecord_fail(n, error);
	plan.one_call = true;
	plan.call = call;
}

void
iorecord_kill(unsigned n)
{
	iorecord_fail(n, 0);
	plan.kill = true;
}

bool
iorecord_struck(void)
{
	return plan.struck;
}

void
iorecord_short_writes(size_t most)
{
	most_written = most;
}
