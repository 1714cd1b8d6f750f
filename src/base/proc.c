/*
 * Commands of the configuration. The child leads a process group of its own, so that the
 * deadline reaches whatever the shell started, and a Ctrl-C meant for us does not cut a
 * freeze/thaw pair in half: who may be interrupted is asked, and then told. The end is not the
 * closing of the pipes: a hook may leave a daemon behind that keeps them open for ever. So the
 * child itself is looked at, a hundred times a second; a pidfd would tell at once, but container
 * runtimes with an older list of system calls refuse it, and a backup must not fail for that.
 */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define PROC_TAIL 400		      /* bytes of stderr worth quoting in one message */
#define PROC_LOOK_MS 10		      /* how often the child is looked at; nobody feels it */
#define PROC_READS 32		      /* of 4 KiB: twice what a pipe holds */
#define PROC_GRACE_NS (5 * CLOCK_S)   /* between TERM and KILL: time to thaw what was frozen */

/* The running command. */
struct child {
	pid_t pid;
	int out, err; /* read ends, -1 when closed or not wanted */
	struct buf *into;
	char tail[PROC_TAIL];
	size_t tail_len;
	bool timed_out, stopped;
};

/* When it is not waited for any longer. */
struct limit {
	int timeout_s;
	bool (*stop)(void *arg);
	void *arg;
};

extern char **environ;

/* Names that commands are not given; a few, one a reference of the configuration. */
static char **hidden;
static size_t hidden_count, hidden_room;

static bool
is_hidden(const char *name, size_t len)
{
	for (size_t i = 0; i < hidden_count; i++)
		if (strlen(hidden[i]) == len && memcmp(hidden[i], name, len) == 0)
			return true;
	return false;
}

void
proc_hide(const char *name)
{
	if (is_hidden(name, strlen(name)))
		return;
	hidden = mem_grow(hidden, &hidden_room, hidden_count + 1, sizeof(*hidden));
	hidden[hidden_count++] = xstrdup(name);
}

/*
 * Our environment without what is hidden, with the entries of env put in or over. Caller frees by
 * env_free.
 */
static char **
env_new(const struct proc_env *env)
{
	size_t have = 0, extra = 0, n = 0, i, k, len;
	char **ret;

	while (environ && environ[have])
		have++;
	while (env && env[extra].name)
		extra++;
	ret = xcalloc(have + extra + 1, sizeof(*ret));
	for (i = 0; i < have; i++) {
		len = strcspn(environ[i], "=");
		for (k = 0; k < extra; k++)
			if (strlen(env[k].name) == len &&
			    strncmp(env[k].name, environ[i], len) == 0)
				break;
		if (k == extra && !is_hidden(environ[i], len))
			ret[n++] = xstrdup(environ[i]);
	}
	for (k = 0; k < extra; k++)
		ret[n++] = xasprintf("%s=%s", env[k].name, env[k].value);
	return ret;
}

static void
env_free(char **env)
{
	size_t i;

	for (i = 0; env && env[i]; i++)
		free(env[i]);
	free(env);
}

/* Starts the shell; errno as a return value, in the way of posix_spawn. */
static int
start(struct child *c, const char *command, char **env, int out, int err)
{
	char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, NULL, NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	argv[2] = xstrdup(command);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_addopen(&fa, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&fa, err, STDERR_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&fa, STDERR_FILENO + 1);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr,
	    POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawn(&c->pid, "/bin/sh", &fa, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	free(argv[2]);
	return rc;
}

static void
tail_add(struct child *c, const char *data, size_t n)
{
	size_t drop;

	if (n > sizeof(c->tail)) {
		data += n - sizeof(c->tail);
		n = sizeof(c->tail);
	}
	if (c->tail_len + n > sizeof(c->tail)) {
		drop = c->tail_len + n - sizeof(c->tail);
		memmove(c->tail, c->tail + drop, c->tail_len - drop);
		c->tail_len -= drop;
	}
	memcpy(c->tail + c->tail_len, data, n);
	c->tail_len += n;
}

/*
 * Takes what the pipe holds now and closes it at its end. Not more: a command that writes without
 * end would otherwise keep us from its deadline.
 */
static void
drain(struct child *c, int *fd, bool is_out)
{
	char data[4096];
	ssize_t r;
	int i;

	for (i = 0; i < PROC_READS && *fd != -1; i++) {
		r = read(*fd, data, sizeof(data));
		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1 && errno == EAGAIN)
			return;
		if (r <= 0) {
			close(*fd);
			*fd = -1;
			return;
		}
		if (is_out)
			buf_add(c->into, data, (size_t)r);
		else
			tail_add(c, data, (size_t)r);
		explicit_bzero(data, (size_t)r); /* it may have been a secret */
	}
}

/* Whether the command ended; it stays to be collected by waitpid(). */
static bool
has_ended(const struct child *c)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid == c->pid;
}

/*
 * Until the command ended, reading what it says; the group is ended at the deadline, or when somebody
 * says stop.
 */
static int
watch(struct child *c, const struct limit *l, struct err *e)
{
	int64_t until = clock_boot_ns() + (int64_t)l->timeout_s * CLOCK_S;
	int signal_next = SIGTERM;
	struct pollfd p[2];
	bool ended;

	for (;;) {
		p[0] = (struct pollfd){ .fd = c->out, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = c->err, .events = POLLIN };
		if (poll(p, 2, PROC_LOOK_MS) == -1 && errno != EINTR)
			return err_sys(e, "wait for a command");
		/* First this, then the pipes: what it said before its end is then all there. */
		ended = has_ended(c);
		drain(c, &c->out, true);
		drain(c, &c->err, false);
		if (ended)
			return 0;
		if (!c->stopped && !c->timed_out && l->stop && l->stop(l->arg))
			c->stopped = true;
		else if (clock_boot_ns() < until)
			continue;
		else if (!c->stopped)
			c->timed_out = true;
		kill(-c->pid, signal_next);
		signal_next = SIGKILL;
		until = clock_boot_ns() + PROC_GRACE_NS;
	}
}

/* The end of what it said, one line, nothing a terminal could mistake for an order. */
static void
quote_tail(struct child *c, struct err *e)
{
	size_t i, from = 0, len = c->tail_len;
	char text[PROC_TAIL + 1];

	while (len > 0 && strchr("\n\r\t ", c->tail[len - 1]))
		len--;
	/* A full tail begins somewhere inside a line: start with the first whole one. */
	if (c->tail_len == sizeof(c->tail))
		for (i = 0; i + 1 < len; i++)
			if (c->tail[i] == '\n') {
				from = i + 1;
				break;
			}
	if (from >= len)
		return;
	for (i = from; i < len; i++)
		text[i - from] = c->tail[i];
	text[len - from] = '\0';
	for (i = 0; text[i]; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = text[i] == '\n' ? '|' : ' ';
	err_line(e, "stderr", "%s", text);
}

static int
judge(struct child *c, const char *command, int status, int timeout_s, struct err *e)
{
	if (c->stopped)
		return err_set(e, ERR_CANCELLED, "command '%s' was stopped", command);
	if (c->timed_out)
		err_set(e, ERR_IO, "command '%s' did not end within %d s and was stopped", command,
		    timeout_s);
	else if (WIFSIGNALED(status))
		err_set(e, ERR_IO, "command '%s' was ended by signal %d (%s)", command,
		    WTERMSIG(status), sigdescr_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 127)
		err_set(e, ERR_IO, "command '%s' was not found (exit 127)", command);
	else if (WEXITSTATUS(status) != 0)
		err_set(e, ERR_IO, "command '%s' failed with exit %d", command,
		    WEXITSTATUS(status));
	else if (c->into && c->into->over)
		return err_set(e, ERR_IO, "command '%s' wrote more than the %zu bytes expected",
		    command, c->into->limit);
	else
		return 0;
	quote_tail(c, e);
	return -1;
}

static void
close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

int
proc_run(const char *command, const struct proc_env *env, int timeout_s, struct buf *out,
    struct err *e)
{
	return proc_run_until(command, env, timeout_s, out, NULL, NULL, e);
}

int
proc_run_until(const char *command, const struct proc_env *env, int timeout_s, struct buf *out,
    bool (*stop)(void *arg), void *arg, struct err *e)
{
	const struct limit limit = { .timeout_s = timeout_s, .stop = stop, .arg = arg };
	struct child c = { .pid = -1, .out = -1, .err = -1, .into = out };
	int o[2] = { -1, -1 }, r[2] = { -1, -1 };
	int status = 0, rc = -1, error;
	char **full_env = env_new(env);

	if ((out && pipe2(o, O_CLOEXEC) == -1) || pipe2(r, O_CLOEXEC) == -1) {
		err_sys(e, "make a pipe");
		goto out;
	}
	error = start(&c, command, full_env, out ? o[1] : STDERR_FILENO, r[1]);
	if (error != 0) {
		errno = error;
		err_sys(e, "start /bin/sh");
		goto out;
	}
	close_fd(&o[1]);
	close_fd(&r[1]);
	c.out = o[0];
	c.err = r[0];
	o[0] = r[0] = -1;
	if (c.out != -1)
		fcntl(c.out, F_SETFL, O_NONBLOCK);
	fcntl(c.err, F_SETFL, O_NONBLOCK);
	rc = watch(&c, &limit, e);
	if (rc == -1)
		kill(-c.pid, SIGKILL);
	while (waitpid(c.pid, &status, 0) == -1 && errno == EINTR)
		continue;
	if (rc == 0)
		rc = judge(&c, command, status, timeout_s, e);
out:
	close_fd(&o[0]);
	close_fd(&o[1]);
	close_fd(&r[0]);
	close_fd(&r[1]);
	close_fd(&c.out);
	close_fd(&c.err);
	env_free(full_env);
	return rc;
}

/* ---- a process that stays ---- */

static int
cut_loose(void)
{
	int null;

	if (setsid() == -1)
		return -1;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null == -1)
		return -1;
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	return close_range(3, ~0u, 0);
}

int
proc_detach(struct err *e)
{
	pid_t child = fork();
	int status;

	if (child == -1)
		return err_sys(e, "a process of its own");
	if (child > 0) {
		while (waitpid(child, &status, 0) == -1 && errno == EINTR)
			;
		return 0;
	}
	/* The child of a child belongs to nobody here. */
	if (fork() != 0)
		_exit(0);
	if (cut_loose() == -1)
		_exit(1);
	return 1;
}

void
proc_step_back(int nice)
{
	if (getpriority(PRIO_PROCESS, 0) < nice)
		(void)setpriority(PRIO_PROCESS, 0, nice);
}
