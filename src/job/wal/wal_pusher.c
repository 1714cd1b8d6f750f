/*
 * A server says when it started and on which port, and so does its postmaster.pid. The two times
 * are taken a moment apart, at the beginning of the start and when memory has been made, so they
 * are compared with that much leave; what a clone that was started in the same minute would have in
 * common is told apart by the directory, where the role may ask for it, and by the very file: a
 * server that archives a segment still has it, with the same time.
 *
 * Asking costs a connection, which an archiver that is to be fast cannot make for each segment; so
 * it is done once for each start of a server and timeline, and the answer kept.
 */
#include "job/wal/wal_pusher.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/units.h"

#define CONNECT_S 5
/* Between the two times of one start: memory is made, and a clock may be set, as at boot. */
#define STARTING_S 120
#define AGAIN_S 60	    /* a server that did not answer is asked again after so long */
#define KEPT_MAX 4096

/* ---- the one that pushes ---- */

/* NULL when the file is in none that we know. Caller frees. */
static char *
data_directory(const char *path)
{
	static const char in[] = "pg_wal/";
	const char *slash = strrchr(path, '/');
	const size_t n = slash ? (size_t)(slash - path) + 1 : 0, tail = sizeof(in) - 1;

	if (n < tail || memcmp(path + n - tail, in, tail) != 0 ||
	    (n > tail && path[n - tail - 1] != '/'))
		return NULL;
	return n == tail ? xstrdup(".") : xstrndup(path, n - tail);
}

void
wal_pusher_read(const char *path, struct wal_pusher *ret)
{
	char *dir = data_directory(path);
	struct pg_control c;

	*ret = (struct wal_pusher){ 0 };
	if (dir && pg_dir_control(dir, &c, NULL) == 0) {
		ret->sysid = c.sysid;
		ret->replays = c.state == PG_CONTROL_REPLAYING;
		ret->lives = pg_dir_server(dir, &ret->server, NULL) == 1 && ret->server.port > 0;
	}
	free(dir);
}

/* ---- the one behind conninfo ---- */

static int
take_facts(struct wal_pusher_server *s, const struct pg_rows *r, struct err *e)
{
	uint64_t start, port;

	if (pg_conn_value_u64(r, 0, 0, &start, e) != 1 || pg_conn_value_u64(r, 0, 1, &port, e) != 1)
		return -1;
	s->start = (int64_t)start;
	s->port = (int64_t)port;
	if (pg_conn_value(r, 0, 2, NULL))
		snprintf(s->dir, sizeof(s->dir), "%s", pg_conn_value(r, 0, 2, NULL));
	return 0;
}

int
wal_pusher_ask(const char *conninfo, struct wal_pusher_server *ret, struct err *e)
{
	static const char facts[] =
	    "SELECT floor(extract(epoch FROM pg_postmaster_start_time()))::bigint, "
	    "current_setting('port'), "
	    "(SELECT setting FROM pg_settings WHERE name = 'data_directory')";
	const struct pg_conn_options o = { .conninfo = conninfo, .timeout_s = CONNECT_S };
	struct pg_rows *rows = NULL;
	int rc = -1;

	*ret = (struct wal_pusher_server){ 0 };
	if (pg_conn_open(&o, &ret->sql, e) == 0 &&
	    pg_conn_identify(ret->sql, &ret->id, e) == 0 &&
	    pg_conn_row(ret->sql, facts, NULL, 0, &rows, e) == 0)
		rc = take_facts(ret, rows, e);
	if (ret->sql)
		snprintf(ret->place, sizeof(ret->place), "%s", pg_conn_place(ret->sql));
	pg_conn_rows_free(rows);
	return rc;
}

void
wal_pusher_server_done(struct wal_pusher_server *s)
{
	pg_conn_free(s->sql);
	*s = (struct wal_pusher_server){ 0 };
}

/* ---- are they one? ---- */

/* 1 its pg_wal has that file, 0 it has not, -1 error; 1 also when the role may not look. */
static int
has_file(struct wal_pusher_server *s, const char *path, struct err *e)
{
	static const char may[] = "SELECT has_function_privilege('pg_ls_waldir()', 'execute')";
	static const char has[] =
	    "SELECT count(*) FROM pg_ls_waldir() WHERE name = $1 AND size = $2::bigint "
	    "AND floor(extract(epoch FROM modification))::bigint = $3::bigint";
	const char *slash = strrchr(path, '/'), *param[3], *allowed;
	char size[24], time[24];
	struct pg_rows *rows = NULL;
	uint64_t count = 1;
	struct stat st;
	int rc;

	if (stat(path, &st) == -1)
		return err_sys(e, "'%s'", path);
	snprintf(size, sizeof(size), "%" PRId64, (int64_t)st.st_size);
	snprintf(time, sizeof(time), "%" PRId64, (int64_t)st.st_mtim.tv_sec);
	param[0] = slash ? slash + 1 : path;
	param[1] = size;
	param[2] = time;
	rc = pg_conn_row(s->sql, may, NULL, 0, &rows, e);
	allowed = rc == 0 ? pg_conn_value(rows, 0, 0, NULL) : NULL;
	if (allowed && *allowed == 't') {
		pg_conn_rows_free(rows);
		rows = NULL;
		rc = pg_conn_row(s->sql, has, param, 3, &rows, e);
		if (rc == 0 && pg_conn_value_u64(rows, 0, 0, &count, e) != 1)
			rc = -1;
	}
	pg_conn_rows_free(rows);
	return rc == -1 ? -1 : count > 0;
}

static int
refuse(const struct wal_pusher *p, const struct wal_pusher_server *s, bool lacks, const char *path,
    struct err *e)
{
	char ours[UNITS_TEXT], theirs[UNITS_TEXT];

	err_set(e, ERR_STALE,
	    "stale epoch: '%s' is pushed by another server than the active one: a "
	    "copy, or a primary of before",
	    path);
	err_line(e, "checked", "'%s' was started %s, port %" PRId64, p->server.dir,
	    units_time(p->server.start_s * CLOCK_S, ours), p->server.port);
	err_line(e, "checked", "conninfo leads to %s: %s%sstarted %s, port %" PRId64 "%s", s->place,
	    s->dir, *s->dir ? " " : "", units_time(s->start * CLOCK_S, theirs), s->port,
	    lacks ? ", which has no such file" : "");
	return err_line(e, "fix",
	    "on the copy: archive_mode = off; if it is the database from now on: "
	    "let conninfo lead to it, and `ffdr backup --new-system`");
}

int
wal_pusher_is(
    const struct wal_pusher *p, struct wal_pusher_server *s, const char *path, struct err *e)
{
	const int64_t later = s->start - p->server.start_s;
	bool same = p->server.port == s->port && later >= -STARTING_S && later <= STARTING_S &&
	    (!*s->dir || strcmp(p->server.dir, s->dir) == 0);
	int has = 1;

	if (same)
		has = has_file(s, path, e);
	if (has == -1 || (same && has))
		return has;
	refuse(p, s, has == 0, path, e);
	return 0;
}

/* ---- what was found ---- */

static char *
kept_at(const char *state, const struct wal_place *place)
{
	return xasprintf("%s/push/%s.pusher", state, place->source);
}

static char *
line_of(const struct wal_pusher *p, const struct wal_place *place, uint32_t tli,
    const char *conninfo)
{
	return xasprintf("%" PRIu64 " %" PRIu32 " %" PRIu32 " %" PRId64 " %" PRId64 " %" PRId64
			 " '%s' '%s' ",
	    place->sysid, place->epoch, tli, p->server.pid, p->server.start_s, p->server.port,
	    p->server.dir, conninfo);
}

enum wal_pusher_found
wal_pusher_recall(const struct wal_pusher *p, const char *state, const struct wal_place *place,
    uint32_t tli, const char *conninfo, bool *again)
{
	enum wal_pusher_found found = WAL_PUSHER_UNKNOWN;
	char *file, *line;
	struct buf text;
	int64_t at;

	*again = true;
	if (!state || !p->lives)
		return WAL_PUSHER_UNKNOWN;
	file = kept_at(state, place);
	line = line_of(p, place, tli, conninfo);
	buf_init(&text, KEPT_MAX);
	if (file_get(AT_FDCWD, file, &text, NULL) == 0 &&
	    strncmp(buf_str(&text), line, strlen(line)) == 0) {
		const char *word = buf_str(&text) + strlen(line);

		if (strcmp(word, "same\n") == 0) {
			found = WAL_PUSHER_SAME;
		} else if (sscanf(word, "unseen %" SCNd64 "\n", &at) == 1) {
			const int64_t now = clock_real_ns() / CLOCK_S;

			found = WAL_PUSHER_UNSEEN;
			*again = now < at || now - at >= AGAIN_S;
		}
	}
	buf_done(&text);
	free(line);
	free(file);
	return found;
}

void
wal_pusher_keep(const struct wal_pusher *p, const char *state, const struct wal_place *place,
    uint32_t tli, const char *conninfo, enum wal_pusher_found found)
{
	char *file, *line;
	struct buf text;

	if (!state || !p->lives)
		return;
	file = kept_at(state, place);
	line = line_of(p, place, tli, conninfo);
	buf_init(&text, KEPT_MAX);
	buf_adds(&text, line);
	if (found == WAL_PUSHER_SAME)
		buf_adds(&text, "same\n");
	else
		buf_addf(&text, "unseen %" PRId64 "\n", clock_real_ns() / CLOCK_S);
	/* One that is lost is asked for again. */
	if (!text.over)
		file_put(AT_FDCWD, file, text.data, text.len, 0640, FILE_REPLACE, NULL);
	buf_done(&text);
	free(line);
	free(file);
}
