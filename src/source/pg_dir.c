/*
 * A copy of a directory has the system id of its server, and the settings, and may be read as well
 * as that; backed up, it would be a state of long ago under today's name. But a server writes into
 * its own directory when it started, and tells the same over a connection.
 */
#include "source/pg_dir.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "source/pg_control.h"

#define SMALL (1u << 16)
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

/* A small file of the directory; one that is not there is a matter of the configuration. */
static int
read_small(const char *dir, const char *name, const char *without, struct buf *text, struct err *e)
{
	char *path = xasprintf("%s/%s", dir, name);
	int rc = file_get(AT_FDCWD, path, text, e);

	free(path);
	if (rc == -1 && e->kind == ERR_NOTFOUND) {
		err_set(e, ERR_CONFIG, "'%s': %s", dir, without);
		err_line(e, "fix",
		    "data = DIR names the directory of the server that conninfo leads to, "
		    "on this host");
	}
	return rc;
}

/* Line `n`, counted from 1, as a number; -1 when there is none. */
static int64_t
number_in_line(const char *text, int n)
{
	while (--n > 0 && text)
		text = (text = strchr(text, '\n')) ? text + 1 : NULL;
	return text ? strtoll(text, NULL, 10) : -1;
}

static int
check_system(const char *dir, uint64_t sysid, struct err *e)
{
	struct pg_control control;
	struct buf text;
	int rc;

	buf_init(&text, SMALL);
	rc = read_small(dir, PG_CONTROL_FILE, "it is no data directory", &text, e);
	if (rc == 0 && pg_control_parse(text.data, text.len, &control, e) == -1)
		rc = err_in(e, "'%s'", dir);
	buf_done(&text);
	if (rc == -1 || control.sysid == sysid)
		return rc;
	err_set(e, ERR_REFUSED, "'%s' is not the data directory of this server", dir);
	err_line(e, "checked", "system identifier %" PRIu64 " there, %" PRIu64 " by the server",
	    control.sysid, sysid);
	return err_line(e, "fix", "mend data or conninfo");
}

static int
check_start(const char *dir, int64_t started_s, struct err *e)
{
	struct buf text;
	int64_t there = 0;
	int rc;

	buf_init(&text, SMALL);
	rc = read_small(dir, "postmaster.pid", "no server runs there", &text, e);
	if (rc == 0)
		there = number_in_line(buf_str(&text), 3);
	buf_done(&text);
	if (rc == -1 || (there >= started_s - START_APART_S && there <= started_s + START_APART_S))
		return rc;
	err_set(e, ERR_REFUSED,
	    "'%s' is not the data directory of this server, but of a copy of it", dir);
	err_line(e, "checked",
	    "a server that started at %" PRId64 " runs there, this one started at %" PRId64, there,
	    started_s);
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
