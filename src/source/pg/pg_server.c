/*
 * The command line goes over every file of settings, so the directory stays as it was restored, and
 * what is proved is what a person would start. That the server answers does not mean that it has
 * replayed everything: it is asked until it says so itself.
 */
#include "source/pg/pg_server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "source/libpq.h"

#define PORT "5432"
#define SOCKET_NAME "/.s.PGSQL." PORT ".lock" /* the longest name it makes there */
#define LOOK_NS (50 * CLOCK_MS)
#define LOG_TAIL 16384
#define SAID_MAX 400
#define NAMES 4
#define AGAIN_S 60
#define RAISED 5 /* as many settings must not be lower than those of the server that wrote the log */

struct pg_server {
	struct pg_server_options o;
	char *log, *hba, *host;
	bool own_host; /* a directory made for the socket alone */
	pid_t pid;     /* 0: it does not run */
	char name[NAMES][64];
	size_t names;
	char user[64];
	char *raised[RAISED]; /* "name=value" */
	size_t raises;
};

int
pg_server_find(unsigned major, const char *configured, char *out, struct err *e)
{
	/* Debian's, and the one of the project's RPMs. */
	static const char *const before[] = { "/usr/lib/postgresql/", "/usr/pgsql-" };
	char program[PATH_MAX + 16];

	for (size_t i = 0; i < (configured ? 1 : ARRAY_LEN(before)); i++) {
		if (configured)
			snprintf(out, PATH_MAX, "%s", configured);
		else
			snprintf(out, PATH_MAX, "%s%u/bin", before[i], major);
		snprintf(program, sizeof(program), "%s/postgres", out);
		if (access(program, X_OK) == 0)
			return 0;
	}
	err_set(e, ERR_CONFIG,
	    "PostgreSQL %u is not on this host, and a restore of it is proved by starting it",
	    major);
	if (configured)
		err_line(e, "checked", "'%s/postgres', as postgres.%u says", configured, major);
	return err_line(e, "fix", "install its server, or postgres.%u = DIR in [ffdr]", major);
}

/* ---- starting ---- */

/* A socket's name has room for a hundred characters, and a scratch directory may be deeper. */
static int
make_host(struct pg_server *s, struct err *e)
{
	struct sockaddr_un room;
	char made[] = "/tmp/ffdr-pg-XXXXXX";

	if (strlen(s->o.place) + strlen(SOCKET_NAME) < sizeof(room.sun_path)) {
		s->host = xstrdup(s->o.place);
		return 0;
	}
	if (!mkdtemp(made))
		return err_sys(e, "make a directory for a socket");
	s->host = xstrdup(made);
	s->own_host = true;
	return s->o.user->other && chown(made, s->o.user->uid, s->o.user->gid) == -1
	    ? err_sys(e, "give away '%s'", made)
	    : 0;
}

static int
make_hba(struct pg_server *s, struct err *e)
{
	static const char text[] = "local all all trust\n";

	if (file_put(AT_FDCWD, s->hba, text, strlen(text), 0600, FILE_REPLACE, e) == -1)
		return -1;
	return s->o.user->other && chown(s->hba, s->o.user->uid, s->o.user->gid) == -1
	    ? err_sys(e, "give away '%s'", s->hba)
	    : 0;
}

static int
launch(struct pg_server *s, struct err *e)
{
	char *program = xasprintf("%s/postgres", s->o.bin), *hba = xasprintf("hba_file=%s", s->hba);
	char *host = xasprintf("unix_socket_directories=%s", s->host);
	const char *const ours[] = {
		program,
		"-D",
		s->o.data,
		"-c",
		"port=" PORT,
		"-c",
		"listen_addresses=",
		"-c",
		host,
		"-c",
		hba,
		"-c",
		"unix_socket_permissions=0700",
		"-c",
		"ssl=off",
		"-c",
		"hot_standby=on",
		"-c",
		"logging_collector=off",
		"-c",
		"log_destination=stderr",
		"-c",
		"log_line_prefix=",
		"-c",
		"log_min_messages=warning",
		"-c",
		"lc_messages=C",
		"-c",
		"archive_mode=off",
		"-c",
		"external_pid_file=",
		"-c",
		"max_logical_replication_workers=0",
		"-c",
		"autovacuum=off",
		"-c",
		"fsync=off",
	};
	size_t n = ARRAY_LEN(ours), more = 0;
	const char **argv;

	while (s->o.setting && s->o.setting[more])
		more++;
	argv = xcalloc(n + 2 * (more + s->raises) + 1, sizeof(*argv));
	memcpy(argv, ours, sizeof(ours));
	for (size_t i = 0; i < more + s->raises; i++) {
		argv[n++] = "-c";
		argv[n++] = i < more ? s->o.setting[i] : s->raised[i - more];
	}
	s->pid = program_start(
	    s->o.user, &(struct program){ .argv = argv, .dir = s->o.data, .log = s->log }, e);
	free(argv);
	free(program);
	free(hba);
	free(host);
	if (s->pid == -1)
		s->pid = 0;
	return s->pid > 0 ? 0 : -1;
}

int
pg_server_start(const struct pg_server_options *o, struct pg_server **ret, struct err *e)
{
	struct pg_server *s = xcalloc(1, sizeof(*s));

	s->o = *o;
	s->log = xasprintf("%s/server.log", o->place);
	s->hba = xasprintf("%s/hba", o->place);
	if (make_host(s, e) == -1 || make_hba(s, e) == -1 || launch(s, e) == -1) {
		pg_server_free(s);
		return -1;
	}
	*ret = s;
	return 0;
}

void
pg_server_free(struct pg_server *s)
{
	if (!s)
		return;
	if (s->pid > 0)
		program_end(s->pid, SIGQUIT, 10);
	if (s->own_host)
		file_remove_tree(AT_FDCWD, s->host, NULL);
	for (size_t i = 0; i < s->raises; i++)
		free(s->raised[i]);
	free(s->log);
	free(s->hba);
	free(s->host);
	free(s);
}

/* ---- what it said ---- */

static bool
is_bad(const char *line)
{
	return strstr(line, "FATAL:") || strstr(line, "PANIC:");
}

/* The end of its log; the caller frees. */
static char *
tail_of(const struct pg_server *s)
{
	struct buf log;
	uint64_t from = 0;
	char *text;
	int fd = open(s->log, O_RDONLY | O_CLOEXEC);
	off_t size = fd == -1 ? 0 : lseek(fd, 0, SEEK_END);

	if (fd != -1)
		close(fd);
	if (size > LOG_TAIL)
		from = (uint64_t)size - LOG_TAIL;
	buf_init(&log, LOG_TAIL + 1);
	if (size > 0)
		file_get_range(AT_FDCWD, s->log, from, (size_t)size - (size_t)from, &log, NULL);
	text = xstrdup(buf_str(&log));
	buf_done(&log);
	return text;
}

/* What a server that lacks something here says of that; all else is what it found. */
static const struct {
	const char *says;
	enum err_kind kind;
} lacks[] = {
	{ "from archive: child process exited with exit code 254", ERR_REMOTE },
	{ "from archive: child process exited with exit code 126", ERR_PERMISSION },
	{ "from archive: child process exited with exit code 127", ERR_PERMISSION },
	{ "No space left on device", ERR_FULL },
	{ "Disk quota exceeded", ERR_FULL },
	{ "Cannot allocate memory", ERR_IO },
	{ "out of memory", ERR_IO },
	{ "Too many open files", ERR_IO },
	{ "was terminated by signal 9", ERR_IO },
};

/* It ended for want of something: the kind of that. */
static void
judge_lack(const char *line, enum err_kind *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(lacks); i++)
		if (strstr(line, lacks[i].says))
			*ret = lacks[i].kind;
}

/*
 * The last FATAL or PANIC with what follows it, and before it the last words of ffdr itself. Where that
 * is no finding, it is the kind of what is wanting.
 */
static void
quote(const struct pg_server *s, struct err *e)
{
	char *text = tail_of(s), *at = text, *line, *bad = NULL, *ours = NULL;

	while ((line = strsep(&at, "\n")) != NULL) {
		if (is_bad(line) || strstr(line, "was terminated by signal"))
			judge_lack(line, &e->kind);
		if (is_bad(line) && !strstr(line, "the database system is"))
			bad = line;
		if (strncmp(line, "ffdr: ", 6) == 0)
			ours = line;
	}
	if (bad)
		err_line(e, "server", "%.*s", SAID_MAX, bad);
	if (ours)
		err_line(e, "ffdr", "%.*s", SAID_MAX, ours + 6);
	free(text);
}

/*
 * The original was given more connections, workers or locks after the backup. A server that answers
 * while it replays wants as much: it says of one setting what that must be, and pauses or ends.
 * true: there is one it was not given yet.
 */
static bool
raise_setting(struct pg_server *s)
{
	char *text = tail_of(s), *at = text, *line, name[64], last[64] = "", *setting;
	unsigned long has, wants, value = 0;
	bool new;

	while ((line = strsep(&at, "\n")) != NULL)
		if (sscanf(line,
			"DETAIL:  %63[a-z_] = %lu is a lower setting than on the primary server, "
			"where its value was %lu",
			name, &has, &wants) == 3) {
			snprintf(last, sizeof(last), "%s", name);
			value = wants;
		}
	free(text);
	setting = xasprintf("%s=%lu", last, value);
	new = *last && s->raises < RAISED;
	for (size_t i = 0; i < s->raises; i++)
		new = new && strcmp(s->raised[i], setting) != 0;
	if (new)
		s->raised[s->raises++] = setting;
	else
		free(setting);
	return new;
}

const char *
pg_server_raised(const struct pg_server *s, size_t i)
{
	return i < s->raises ? s->raised[i] : NULL;
}

static int
died(struct pg_server *s, int status, struct err *e)
{
	s->pid = 0;
	if (WIFSIGNALED(status))
		err_set(
		    e, WTERMSIG(status) == SIGKILL ? ERR_IO : ERR_CORRUPT,
		    "the restored server was ended by signal %d", WTERMSIG(status));
	else
		err_set(e, ERR_CORRUPT, "the restored server did not come up (exit %d)",
		    WEXITSTATUS(status));
	quote(s, e);
	return -1;
}

/* ---- talking to it ---- */

void
pg_server_names(struct pg_server *s, const char *const *name, size_t count)
{
	for (size_t i = 0; i < count && s->names < NAMES; i++)
		if (name[i] && *name[i])
			snprintf(s->name[s->names++], sizeof(s->name[0]), "%s", name[i]);
}

static void
add_word(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, " %s='", key);
	for (; *value; value++) {
		if (*value == '\'' || *value == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *value);
	}
	buf_addc(out, '\'');
}

static int
dial(const struct pg_server *s, const char *user, const char *dbname, struct pg_conn **ret,
    struct err *e)
{
	struct pg_conn_options o = { .stop = s->o.stop, .arg = s->o.arg };
	struct buf text;
	int rc;

	buf_init(&text, 4096);
	add_word(&text, "host", s->host);
	add_word(&text, "port", PORT);
	add_word(&text, "user", user);
	add_word(&text, "dbname", dbname);
	add_word(&text, "options",
	    "-c statement_timeout=0 -c lock_timeout=0 -c session_preload_libraries=");
	o.conninfo = buf_str(&text);
	rc = buf_check(&text, "the connection string", e);
	if (rc == 0)
		rc = pg_conn_open(&o, ret, e);
	buf_done(&text);
	return rc;
}

/* The role that initdb made is always there, whatever it is called now, and may do everything. */
static int
find_superuser(struct pg_server *s, struct pg_conn *c, struct err *e)
{
	struct pg_rows *rows = NULL;
	int rc = pg_conn_row(c, "SELECT rolname FROM pg_roles WHERE oid = 10", NULL, 0, &rows, e);

	if (rc == 0)
		snprintf(s->user, sizeof(s->user), "%s", pg_conn_value(rows, 0, 0, NULL));
	pg_conn_rows_free(rows);
	return rc;
}

static int
connect_first(struct pg_server *s, struct pg_conn **ret, struct err *e)
{
	for (size_t i = 0; i < s->names; i++) {
		if (dial(s, s->name[i], "postgres", ret, e) == 0)
			return find_superuser(s, *ret, e);
		if (e->kind == ERR_REMOTE || e->kind == ERR_CANCELLED)
			return -1;
	}
	return -1;
}

int
pg_server_connect(struct pg_server *s, const char *dbname, struct pg_conn **ret, struct err *e)
{
	return dial(s, s->user, dbname, ret, e);
}

const char *
pg_server_host(const struct pg_server *s)
{
	return s->host;
}

const char *
pg_server_user(const struct pg_server *s)
{
	return s->user;
}

enum { ENDED = 1, PAUSED = 2 };

/* ENDED it has left recovery, PAUSED it waits for somebody, 0 it replays, -1. */
static int
ask(struct pg_conn *c, uint64_t *lsn, struct err *e)
{
	struct pg_rows *rows = NULL;
	int rc = pg_conn_row(c,
	    "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn(),"
	    " CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() END",
	    NULL, 0, &rows, e);

	if (rc == 0) {
		const char *state = pg_conn_value(rows, 0, 2, NULL);

		if (strcmp(pg_conn_value(rows, 0, 0, NULL), "f") == 0)
			rc = ENDED;
		else if (state && strcmp(state, "paused") == 0)
			rc = PAUSED;
		if (pg_conn_value_lsn(rows, 0, 1, lsn, e) == -1)
			rc = -1;
	}
	pg_conn_rows_free(rows);
	return rc;
}

/* With one setting more; what it had replayed it need not replay again. */
static int
start_again(struct pg_server *s, struct err *e)
{
	if (s->pid > 0 && pg_server_stop(s, AGAIN_S, e) == -1)
		return -1;
	return launch(s, e);
}

/* One look: as ask(). */
static int
look(struct pg_server *s, struct pg_conn **c, uint64_t *lsn, struct err *e)
{
	struct err why = { 0 };
	int rc, status;

	rc = program_ended(s->pid, &status, e);
	if (rc == 1)
		return raise_setting(s) ? launch(s, e) : died(s, status, e);
	if (rc == 0 && s->o.stop(s->o.arg))
		return err_set(e, ERR_CANCELLED, "stopped");
	if (rc == -1)
		return -1;
	if (!*c && connect_first(s, c, &why) == -1) {
		if (why.kind == ERR_REMOTE)
			return 0;
		*e = why;
		return -1;
	}
	rc = ask(*c, lsn, &why);
	if (rc == ENDED || rc == 0)
		return rc;
	/* It may break connections when it leaves recovery, or die: then the next round says so. */
	pg_conn_free(*c);
	*c = NULL;
	return rc == PAUSED && raise_setting(s) ? start_again(s, e) : 0;
}

int
pg_server_recover(
    struct pg_server *s, int patience_s, void (*seen)(void *arg, uint64_t lsn), struct err *e)
{
	int64_t moved = clock_boot_ns();
	uint64_t lsn = 0, last = 0;
	struct pg_conn *c = NULL;
	int rc = 0;

	while (rc == 0) {
		rc = look(s, &c, &lsn, e);
		if (rc == -1)
			break;
		if (lsn != last)
			moved = clock_boot_ns();
		last = lsn;
		if (seen && lsn > 0)
			seen(s->o.arg, lsn);
		if (rc == 0 && clock_boot_ns() - moved > patience_s * CLOCK_S) {
			rc = err_set(
			    e, ERR_REMOTE, "nothing moved in the recovery for %d s", patience_s);
			quote(s, e);
		}
		if (rc == 0)
			clock_sleep_ns(LOOK_NS);
	}
	pg_conn_free(c);
	return rc == ENDED ? 0 : -1;
}

int
pg_server_stop(struct pg_server *s, int timeout_s, struct err *e)
{
	int64_t until = clock_boot_ns() + timeout_s * CLOCK_S;
	int got = 0, status = 0;

	kill(s->pid, SIGINT); /* fast */
	while ((got = program_ended(s->pid, &status, e)) == 0) {
		if (clock_boot_ns() > until)
			return err_set(
			    e, ERR_REMOTE, "the server did not stop within %d s", timeout_s);
		clock_sleep_ns(LOOK_NS);
	}
	if (got == -1)
		return -1;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return died(s, status, e);
	s->pid = 0;
	return 0;
}

char *
pg_server_word(const char *conninfo, const char *key)
{
	PQconninfoOption *all = PQconninfoParse(conninfo, NULL);
	char *value = NULL;

	for (PQconninfoOption *at = all; at && at->keyword && !value; at++)
		if (strcmp(at->keyword, key) == 0 && at->val)
			value = xstrdup(at->val);
	PQconninfoFree(all);
	return value;
}
