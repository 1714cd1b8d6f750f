/*
 * What a child does between fork and exec is only what may be done there while other threads hold
 * locks: groups are looked up before. The kernel sends the child a signal when we die, which is all
 * that can be done against a kill -9 of ours; it is set after the change of user, which would take
 * it back.
 */
#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define LOOK_NS (10 * CLOCK_MS)
#define NOT_STARTED 127

extern char **environ;

int
program_user_find(const char *name, struct program_user *ret, struct err *e)
{
	const struct passwd *pw = name ? getpwnam(name) : getpwuid(geteuid());

	*ret = (struct program_user){ .uid = geteuid(), .gid = getegid() };
	if (!pw && name)
		return err_set(e, ERR_NOTFOUND, "there is no user '%s' on this host", name);
	if (!pw)
		return 0;
	ret->other = pw->pw_uid != geteuid();
	ret->uid = pw->pw_uid;
	ret->gid = pw->pw_gid;
	snprintf(ret->name, sizeof(ret->name), "%s", pw->pw_name);
	snprintf(ret->home, sizeof(ret->home), "%s", pw->pw_dir);
	ret->groups = (int)ARRAY_LEN(ret->group);
	if (getgrouplist(pw->pw_name, pw->pw_gid, ret->group, &ret->groups) == -1)
		ret->groups = (int)ARRAY_LEN(ret->group);
	return 0;
}

static bool
may_enter(const struct program_user *u, const struct stat *st)
{
	if (u->uid == 0)
		return true;
	if (st->st_uid == u->uid)
		return st->st_mode & S_IXUSR;
	for (int i = 0; i < u->groups; i++)
		if (u->group[i] == st->st_gid)
			return st->st_mode & S_IXGRP;
	return st->st_mode & S_IXOTH;
}

int
program_user_reaches(const struct program_user *u, const char *dir, struct err *e)
{
	char *path = xstrdup(dir);
	struct stat st;
	int rc = 0;

	for (size_t i = 1; rc == 0 && u->other && i <= strlen(dir); i++) {
		if (dir[i] != '/' && dir[i])
			continue;
		path[i] = '\0';
		if (stat(path, &st) == -1)
			rc = err_sys(e, "look at '%s'", path);
		else if (!may_enter(u, &st))
			rc = err_set(e, ERR_PERMISSION, "the user %s may not enter '%s' (mode %o)",
			    u->name, path, (unsigned)st.st_mode & 07777u);
		path[i] = dir[i];
	}
	free(path);
	return rc;
}

/* ---- starting ---- */

int
program_own_path(char out[PATH_MAX], struct err *e)
{
	static const char gone[] = " (deleted)";
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);

	if (n == -1)
		return err_sys(e, "find where ffdr lies");
	out[n] = '\0';
	/* Replaced while it runs: the new one has the name. */
	if ((size_t)n > strlen(gone) && strcmp(out + n - strlen(gone), gone) == 0)
		out[(size_t)n - strlen(gone)] = '\0';
	return 0;
}

/* Ours, mostly without what libpq would take for orders, in a language that is known. */
static char **
environment(const struct program_user *u, bool server)
{
	size_t have = 0, n = 0;
	char **env;

	while (environ && environ[have])
		have++;
	env = xcalloc(have + 4, sizeof(*env));
	for (size_t i = 0; i < have; i++)
		if ((server || strncmp(environ[i], "PG", 2) != 0) && strncmp(environ[i], "LC_", 3) != 0 &&
		    strncmp(environ[i], "LANG", 4) != 0 &&
		    !(u->other && strncmp(environ[i], "HOME=", 5) == 0))
			env[n++] = xstrdup(environ[i]);
	env[n++] = xstrdup("LC_ALL=C");
	if (u->other)
		env[n++] = xasprintf("HOME=%s", u->home);
	return env;
}

static void
become(const struct program_user *u, const struct program *p, char **env, int log, int null,
    pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	if (u->other &&
	    (setgroups((size_t)u->groups, u->group) == -1 || setgid(u->gid) == -1 ||
		setuid(u->uid) == -1))
		_exit(NOT_STARTED);
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	if (getppid() != parent || chdir(p->dir ? p->dir : "/") == -1)
		_exit(NOT_STARTED);
	if (dup2(null, 0) == -1 || dup2(log, 1) == -1 || dup2(log, 2) == -1)
		_exit(NOT_STARTED);
	close_range(3, ~0u, 0);
	umask(077);
	execve(p->argv[0], (char *const *)p->argv, env);
	dprintf(2, "%s: %s\n", p->argv[0], strerrordesc_np(errno));
	_exit(NOT_STARTED);
}

pid_t
program_start(const struct program_user *u, const struct program *p, struct err *e)
{
	int log =
	    open(p->log ? p->log : "/dev/null", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char **env = environment(u, p->server_env);
	const pid_t us = getpid();
	pid_t pid = -1;

	if (log == -1 || null == -1)
		err_sys(e, "open '%s'", p->log ? p->log : "/dev/null");
	else
		pid = fork();
	if (pid == 0)
		become(u, p, env, log, null, us);
	if (pid == -1 && log != -1 && null != -1)
		err_sys(e, "start '%s'", p->argv[0]);
	if (pid > 0)
		setpgid(pid, pid); /* whoever comes first */
	for (size_t i = 0; env[i]; i++)
		free(env[i]);
	free(env);
	if (log != -1)
		close(log);
	if (null != -1)
		close(null);
	return pid;
}

/* ---- waiting ---- */

int
program_ended(pid_t pid, int *status, struct err *e)
{
	pid_t got = waitpid(pid, status, WNOHANG);

	if (got == -1 && errno != EINTR)
		return err_sys(e, "wait for process %d", (int)pid);
	return got == pid;
}

void
program_end(pid_t pid, int signal, int grace_s)
{
	int64_t until = clock_boot_ns() + grace_s * CLOCK_S;
	int status;

	/* The one that was started passes it on; the group gets KILL, should anything be left. */
	kill(pid, signal);
	while (clock_boot_ns() < until && program_ended(pid, &status, NULL) == 0)
		clock_sleep_ns(LOOK_NS);
	kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
}

int
program_run(const struct program_user *u, const struct program *p, int timeout_s,
    bool (*stop)(void *arg), void *arg, bool *late, struct err *e)
{
	int64_t until = clock_boot_ns() + timeout_s * CLOCK_S;
	pid_t pid = program_start(u, p, e);
	int status = 0, got = 0;

	if (pid == -1)
		return -1;
	while ((got = program_ended(pid, &status, e)) == 0) {
		bool stopped = stop && stop(arg);

		if (stopped || clock_boot_ns() > until) {
			program_end(pid, SIGTERM, 5);
			if (late)
				*late = !stopped;
			return stopped ? err_set(e, ERR_CANCELLED, "stopped")
				       : err_set(e, ERR_IO, "'%s' did not end within %d s",
					     p->argv[0], timeout_s);
		}
		clock_sleep_ns(LOOK_NS);
	}
	kill(-pid, SIGKILL);
	if (got == -1)
		return -1;
	if (WIFSIGNALED(status))
		return err_set(
		    e, ERR_IO, "'%s' was ended by signal %d", p->argv[0], WTERMSIG(status));
	return WEXITSTATUS(status);
}
