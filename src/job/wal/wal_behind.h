#ifndef JOB_WAL_BEHIND_H
#define JOB_WAL_BEHIND_H

#include <stdbool.h>

/*
 * A worker behind the calls that a server makes one by one: a process of its own, which does what
 * the next calls will ask for. Its lock file says that it lives, for the lock goes with the
 * process, however that ends; and what it has under way, so that a call may wait for it.
 */

/* Makes the lock ours: the descriptor, to be kept open; -1: another worker lives, or it cannot be. */
int wal_behind_claim(const char *lock);
bool wal_behind_lives(const char *lock);

/* What is under way from now on, at most WAL_BEHIND_WORD - 1 letters; "" nothing. */
#define WAL_BEHIND_WORD 32
void wal_behind_say(int fd, const char *word);
/* Does the worker live, and is that under way? */
bool wal_behind_says(const char *lock, const char *word);

#endif
