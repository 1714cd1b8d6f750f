/*
 * Whoever meets a lock wants to know whose it is. The kernel does not tell, so the holder writes
 * its process number into the file. That number is believed only while a process of that number
 * runs this program: it may be left from a crash, or come from another container that shares the
 * directory, and nobody should be told to stop a stranger.
 */
#include "job/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/units.h"

#define LOCK_TEXT 64 /* of a process: its number, or its name in /proc */

static int
open_lock(const char *state, const char *verb, const char *source, struct err *e)
{
	char *dir = xasprintf("%s/lock", state);
	char *path = xasprintf("%s/%s.%s", dir, verb, source);
	int fd = -1;

	/* `state` says who comes this far: its group may take the lock that root left here. */
	if (file_make_dirs(AT_FDCWD, dir, 0770, e) == 0) {
		fd = file_open_shared(path, 0660, e);
		if (fd == -1)
			err_in(e, "lock");
	}
	free(dir);
	free(path);
	return fd;
}

/* Help for a message: where it cannot be written, the lock holds all the same. */
static void
sign_in(int fd)
{
	char text[LOCK_TEXT];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) == 0)
		(void)!pwrite(fd, text, (size_t)n, 0);
}

/* The program that runs as that process; false when there is none. */
static bool
program_of(const char *process, char name[LOCK_TEXT])
{
	char *path = xasprintf("/proc/%s/comm", process);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : read(fd, name, LOCK_TEXT - 1);

	if (fd != -1)
		close(fd);
	free(path);
	name[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* Who signed in, when that is a process of this program. */
static bool
holder(int fd, long *ret, int64_t *since_ns)
{
	char text[LOCK_TEXT], theirs[LOCK_TEXT], ours[LOCK_TEXT], *end;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	struct stat st;

	text[n > 0 ? n : 0] = '\0';
	*ret = strtol(text, &end, 10);
	if (*ret <= 0 || *end != '\n' || fstat(fd, &st) == -1)
		return false;
	*end = '\0';
	*since_ns = st.st_mtim.tv_sec * CLOCK_S;
	return program_of(text, theirs) && program_of("self", ours) && strcmp(theirs, ours) == 0;
}

static int
busy(int fd, const char *verb, const char *source, struct err *e)
{
	char when[UNITS_TEXT];
	int64_t since_ns;
	long process;

	err_set(e, ERR_BUSY, "another %s of %s is running on this host", verb, source);
	if (!holder(fd, &process, &since_ns))
		return err_line(e, "fix", "wait for its end");
	err_line(e, "process", "%ld, since %s", process, units_time(since_ns, when));
	return err_line(e, "fix", "wait for its end, or `kill %ld`: it stops at its next safe place, "
				  "and nothing that is stored is lost", process);
}

int
lock_take(const char *state, const char *verb, const char *source, struct err *e)
{
	int fd = open_lock(state, verb, source, e);

	if (fd == -1)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK) {
		busy(fd, verb, source, e);
		close(fd);
		return -1;
	}
	sign_in(fd);
	return fd;
}
