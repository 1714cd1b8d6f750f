/*
 * Only the lock tells whether somebody lives: what a file says outlives who wrote it. The word is
 * read before the lock is tried, so a word that counts was written by a worker that lived then; and
 * whoever waits for it looks again, all the time.
 */
#include "job/wal/wal_behind.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

/* Others hold it for a moment when they look. */
#define CLAIM_TRIES 20

int
wal_behind_claim(const char *lock)
{
	int fd = file_open_shared(lock, 0600, NULL);

	if (fd == -1)
		return -1;
	for (int i = 0; i < CLAIM_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			wal_behind_say(fd, "");
			return fd;
		}
		if (errno != EWOULDBLOCK)
			break;
		clock_sleep_ns(CLOCK_MS);
	}
	close(fd);
	return -1;
}

static bool
is_held(int fd)
{
	return flock(fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK;
}

bool
wal_behind_lives(const char *lock)
{
	int fd = open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool lives = fd != -1 && is_held(fd);

	if (fd != -1)
		close(fd);
	return lives;
}

void
wal_behind_say(int fd, const char *word)
{
	char line[WAL_BEHIND_WORD] = { 0 };

	memcpy(line, word, strnlen(word, sizeof(line) - 1));
	/* One that is not said is not waited for, and nothing else hangs on it. */
	if (pwrite(fd, line, sizeof(line), 0) == -1)
		return;
}

bool
wal_behind_says(const char *lock, const char *word)
{
	char line[WAL_BEHIND_WORD] = { 0 };
	int fd = open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool says = fd != -1 && pread(fd, line, sizeof(line), 0) == (ssize_t)sizeof(line) &&
	    strncmp(line, word, sizeof(line)) == 0 && is_held(fd);

	if (fd != -1)
		close(fd);
	return says;
}
