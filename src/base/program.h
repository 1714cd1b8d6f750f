#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Programs that are watched while they run, and may have to be somebody else: a database server
 * refuses to be root. Each leads a process group of its own, and is ended when this process ends,
 * however that is. Commands of the configuration are for base/proc.h.
 */
struct program_user {
	bool other; /* than who we are */
	uid_t uid;
	gid_t gid;
	gid_t group[64];
	int groups;
	char name[64], home[256];
};
/* NULL: who we are. ERR_NOTFOUND. */
int program_user_find(const char *name, struct program_user *ret, struct err *e);
/* May that user come into the directory? -1 with ERR_PERMISSION names the level where it ends. */
int program_user_reaches(const struct program_user *u, const char *dir, struct err *e);

struct program {
	const char *const *argv; /* argv[0]: its path; ended by NULL */
	const char *dir;	 /* to run in; NULL: the root */
	const char *log;	 /* its stdout and stderr go there, appended */
	bool server_env; /* with the variables that libpq takes for orders: it is ffdr itself */
};
/* Where this program lies, for who starts it again later. */
int program_own_path(char out[PATH_MAX], struct err *e);
/* The process, whose group has its number; -1. */
pid_t program_start(const struct program_user *u, const struct program *p, struct err *e);
/* 1 it has ended and *status is as waitpid() has it, 0 not yet, -1. */
int program_ended(pid_t pid, int *status, struct err *e);
/*
 * Starts it and waits: its exit status; -1 when it could not be started, was ended by a signal,
 * took longer than timeout_s (*late, may be NULL, is set then), or somebody said stop
 * (ERR_CANCELLED). Nothing of its group is left.
 */
int program_run(const struct program_user *u, const struct program *p, int timeout_s,
    bool (*stop)(void *arg), void *arg, bool *late, struct err *e);
/* Ends the group: this signal, and after grace_s seconds KILL. Waits for the process. */
void program_end(pid_t pid, int signal, int grace_s);

#endif
