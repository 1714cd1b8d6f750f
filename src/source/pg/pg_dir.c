/*
 * A copy of a directory has the system id of its server, and the settings, and may be read as well
 * as that; backed up, it would be a state of long ago under today's name. But a server writes into
 * its own directory when it started, and tells the same over a connection.
 */
#include "source/pg/pg_dir.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"

#define SMALL (1u << 16)
#define CONTROL_TRIES 3
/*
 * The server tells its start to the microsecond, postmaster.pid in whole seconds and a moment
 * before.
 */
#define START_APART_S 10

int
pg_dir_ask(struct pg_conn *c, char **ret, struct err *e)
{
	struct pg_rows *rows = NULL;
	int rc = pg_conn_row(c, "SELECT current_setting('data_directory')", NULL, 0, &rows, e);

	if (rc == 0)
		*ret = xstrdup(pg_conn_value(rows, 0, 0, NULL));
	pg_conn_rows_free(rows);
	return rc;
}

/* Who answers: its system id and the second it started in. */
static int
ask_server(struct pg_conn *c, uint64_t *sysid, int64_t *started_s, struct err *e)
{
	static const char query[] =
	    "SELECT (SELECT system_identifier FROM pg_control_system()),"
	    " extract(epoch FROM pg_postmaster_start_time())::bigint";
	struct pg_rows *r = NULL;
	uint64_t started = 0;
	int rc = pg_conn_row(c, query, NULL, 0, &r, e);

	if (rc == 0 &&
	    (pg_conn_value_u64(r, 0, 0, sysid, e) != 1 ||
		pg_conn_value_u64(r, 0, 1, &started, e) != 1))
		rc = -1;
	*started_s = (int64_t)started;
	pg_conn_rows_free(r);
	return rc;
}

static int
read_file(const char *dir, const char *name, struct buf *text, struct err *e)
{
	char *path = xasprintf("%s/%s", dir, name);
	int rc;

	buf_reset(text);
	rc = file_get(AT_FDCWD, path, text, e);
	free(path);
	return rc;
}

int
pg_dir_server(const char *dir, struct pg_dir_server *ret, struct err *e)
{
	struct err why = { 0 };
	struct buf text;
	int rc;

	*ret = (struct pg_dir_server){ 0 };
	buf_init(&text, SMALL);
	rc = read_file(dir, "postmaster.pid", &text, &why);
	/* Lines: pid, directory, second of the start, port; and some more. */
	if (rc == 0)
		rc = sscanf(buf_str(&text), "%" SCNd64 "\n%1023[^\n]\n%" SCNd64 "\n%" SCNd64, &ret->pid,
			 ret->dir, &ret->start_s, &ret->port) >= 1;
	else if (why.kind == ERR_NOTFOUND)
		rc = 0;
	else if (e)
		*e = why;
	buf_done(&text);
	return rc;
}

int
pg_dir_control(const char *dir, struct pg_control *ret, struct err *e)
{
	struct buf bytes;
	int rc = -1;

	buf_init(&bytes, SMALL);
	for (int i = 0; i < CONTROL_TRIES && rc == -1; i++) {
		if (read_file(dir, PG_CONTROL_FILE, &bytes, e) == -1)
			break;
		rc = pg_control_parse(bytes.data, bytes.len, ret, e);
	}
	if (rc == 0)
		err_clear(e); /* of a try before */
	buf_done(&bytes);
	return rc;
}

static int
refuse_none(const char *dir, const char *what, struct err *e)
{
	err_set(e, ERR_CONFIG, "'%s': %s", dir, what);
	return err_line(e, "fix", "data = DIR names the directory of the server that conninfo leads "
	    "to, on this host");
}

static int
check_system(const char *dir, uint64_t sysid, struct err *e)
{
	struct pg_control control;

	if (pg_dir_control(dir, &control, e) == -1)
		return e->kind == ERR_NOTFOUND ? refuse_none(dir, "it is no data directory", e) :
						 err_in(e, "'%s'", dir);
	if (control.sysid == sysid)
		return 0;
	err_set(e, ERR_REFUSED, "'%s' is not the data directory of this server", dir);
	err_line(e, "checked", "system identifier %" PRIu64 " there, %" PRIu64 " by the server",
	    control.sysid, sysid);
	return err_line(e, "fix", "mend data or conninfo");
}

static int
check_start(const char *dir, int64_t started_s, struct err *e)
{
	struct pg_dir_server there;
	int rc = pg_dir_server(dir, &there, e);

	if (rc == -1)
		return -1;
	if (rc == 0)
		return refuse_none(dir, "no server runs there", e);
	if (there.start_s >= started_s - START_APART_S && there.start_s <= started_s + START_APART_S)
		return 0;
	err_set(e, ERR_REFUSED,
	    "'%s' is not the data directory of this server, but of a copy of it", dir);
	err_line(e, "checked",
	    "a server that started at %" PRId64 " runs there, this one started at %" PRId64,
	    there.start_s, started_s);
	return err_line(e, "fix", "mend data or conninfo");
}

int
pg_dir_check(struct pg_conn *c, const char *dir, struct err *e)
{
	uint64_t sysid = 0;
	int64_t started_s;

	if (ask_server(c, &sysid, &started_s, e) == -1 || check_system(dir, sysid, e) == -1)
		return -1;
	return check_start(dir, started_s, e);
}
