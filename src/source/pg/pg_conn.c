/*
 * libpq behind a small wall. It is used without blocking all through, so that every wait is ours:
 * short slices of poll, and between them the question whether to stop. A backup may wait ten
 * minutes for a spread checkpoint, and nobody shall have to kill it.
 *
 * A session for SQL begins with settings of its own. Those of a role or a database may have a
 * statement timeout that ends pg_backup_start's session, or a search_path in which somebody has put
 * another pg_backup_stop.
 */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lsn.h"
#include "base/mem.h"
#include "source/pg/pg_conn_parts.h"

/* For what a cancelled command still sends. */
#define CANCEL_MS 5000

struct pg_rows {
	PGresult *r;
};

/* ---- errors ---- */

static void
keep_state(struct pg_conn *c, const char *sqlstate)
{
	c->sqlstate[0] = '\0';
	if (sqlstate && strlen(sqlstate) == PG_ERROR_STATE - 1)
		memcpy(c->sqlstate, sqlstate, PG_ERROR_STATE);
}

int
pg_conn_fail(struct pg_conn *c, const PGresult *r, struct err *e)
{
	struct pg_error what = {
		.sqlstate = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL,
		.message = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL,
		.detail = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL) : NULL,
		.hint = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_HINT) : NULL,
	};

	if (!what.message && r)
		what.message = PQresultErrorMessage(r);
	if (!what.message || !*what.message)
		what.message = PQerrorMessage(c->pq);
	if (!*what.message)
		what.message = "the connection was lost";
	keep_state(c, what.sqlstate);
	return pg_error_server(c->place, &what, e);
}

/* ---- waiting ---- */

static bool
stopped(const struct pg_conn *c)
{
	return c->stop && c->stop(c->arg);
}

/* 1 ready, 0 not in that time. */
static int
ready(const struct pg_conn *c, bool writing, int ms)
{
	struct pollfd p = { .fd = PQsocket(c->pq),
		.events = (short)(POLLIN | (writing ? POLLOUT : 0)) };

	return poll(&p, 1, ms) > 0;
}

int
pg_conn_wait(struct pg_conn *c, bool writing, struct err *e)
{
	for (;;) {
		if (stopped(c)) {
			c->sqlstate[0] = '\0';
			return err_set(e, ERR_CANCELLED, "stopped");
		}
		if (PQsocket(c->pq) == -1)
			return pg_conn_fail(c, NULL, e);
		if (ready(c, writing, PG_CONN_SLICE_MS))
			return 0;
	}
}

int
pg_conn_flush(struct pg_conn *c, struct err *e)
{
	int r;

	while ((r = PQflush(c->pq)) == 1) {
		if (pg_conn_wait(c, true, e) == -1)
			return -1;
		/* What the server sends meanwhile would else keep it from reading. */
		if (ready(c, false, 0) && !PQconsumeInput(c->pq))
			return pg_conn_fail(c, NULL, e);
	}
	return r == 0 ? 0 : pg_conn_fail(c, NULL, e);
}

int
pg_conn_send(struct pg_conn *c, const char *command, struct err *e)
{
	c->sqlstate[0] = '\0';
	if (!PQsendQuery(c->pq, command))
		return pg_conn_fail(c, NULL, e);
	c->busy = true;
	return pg_conn_flush(c, e);
}

int
pg_conn_result(struct pg_conn *c, PGresult **ret, struct err *e)
{
	while (PQisBusy(c->pq)) {
		if (pg_conn_wait(c, false, e) == -1)
			return -1;
		if (!PQconsumeInput(c->pq))
			return pg_conn_fail(c, NULL, e);
	}
	*ret = PQgetResult(c->pq);
	if (!*ret)
		c->busy = false;
	return 0;
}

int
pg_conn_expect(struct pg_conn *c, ExecStatusType status, PGresult **ret, struct err *e)
{
	PGresult *r = NULL;
	int rc = -1;

	if (pg_conn_result(c, &r, e) == -1)
		return -1;
	if (!r) {
		err_set(e, ERR_REMOTE, "postgres at %s: it ended the command early", c->place);
	} else if (PQresultStatus(r) == PGRES_FATAL_ERROR) {
		pg_conn_fail(c, r, e);
	} else if (PQresultStatus(r) != status) {
		err_set(e, ERR_UNSUPPORTED, "postgres at %s: it answers %s, expected %s", c->place,
		    PQresStatus(PQresultStatus(r)), PQresStatus(status));
	} else {
		rc = 0;
	}
	if (rc == 0 && ret)
		*ret = r;
	else
		PQclear(r);
	return rc;
}

int
pg_conn_copy(struct pg_conn *c, char **data, size_t *n, struct err *e)
{
	int r;

	while ((r = PQgetCopyData(c->pq, data, 1)) == 0) {
		if (pg_conn_wait(c, false, e) == -1)
			return -1;
		if (!PQconsumeInput(c->pq))
			return pg_conn_fail(c, NULL, e);
	}
	if (r == -2)
		return pg_conn_fail(c, NULL, e);
	*n = r > 0 ? (size_t)r : 0;
	return r > 0;
}

int
pg_conn_drain(struct pg_conn *c, int ms)
{
	const int64_t until = clock_boot_ns() + ms * CLOCK_MS;
	PGresult *r;
	char *data;
	int n;

	while (clock_boot_ns() < until && PQstatus(c->pq) == CONNECTION_OK) {
		while ((n = PQgetCopyData(c->pq, &data, 1)) > 0)
			PQfreemem(data);
		if (n == 0 || PQisBusy(c->pq)) {
			if (ready(c, false, PG_CONN_SLICE_MS) && !PQconsumeInput(c->pq))
				return -1;
			continue;
		}
		r = PQgetResult(c->pq);
		if (!r) {
			c->busy = false;
			return 0;
		}
		if (PQresultStatus(r) == PGRES_COPY_IN || PQresultStatus(r) == PGRES_COPY_BOTH)
			PQputCopyEnd(c->pq, "stopped");
		PQclear(r);
	}
	return -1;
}

/*
 * libpq's cancel is another connection, and waits for its end without a limit; a frozen server
 * would hold us. So a thread does that, which nobody waits for: whether it worked is seen by the
 * command.
 */
static void *
cancel(void *arg)
{
	char why[256];

	PQcancel(arg, why, (int)sizeof(why));
	PQfreeCancel(arg);
	return NULL;
}

void
pg_conn_cancel(struct pg_conn *c)
{
	PGcancel *what;
	pthread_t thread;

	if (!c->busy || PQstatus(c->pq) != CONNECTION_OK)
		return;
	what = PQgetCancel(c->pq);
	if (!what)
		return;
	if (pthread_create(&thread, NULL, cancel, what) != 0) {
		PQfreeCancel(what);
		return;
	}
	pthread_detach(thread);
	pg_conn_drain(c, CANCEL_MS);
}

/* ---- opening ---- */

static int
check_version(struct pg_conn *c, struct err *e)
{
	const int version = PQserverVersion(c->pq), major = version / 10000;
	const char *name = PQparameterStatus(c->pq, "server_version");

	if (!name)
		name = "unknown";
	if (major < PG_CONN_OLDEST)
		return err_set(e, ERR_UNSUPPORTED,
		    "postgres at %s: server version %.40s, expected %d or newer", c->place, name,
		    PG_CONN_OLDEST);
	if (major > PG_CONN_NEWEST)
		snprintf(c->note, sizeof(c->note),
		    "server version %.40s is newer than %d, the newest this ffdr was tested with",
		    name, PG_CONN_NEWEST);
	return 0;
}

static int
settle(struct pg_conn *c, struct err *e)
{
	static const char *const own =
	    "SELECT pg_catalog.set_config(name, value, false) FROM (VALUES"
	    " ('search_path', ''), ('statement_timeout', '0'), ('lock_timeout', '0'),"
	    " ('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0'),"
	    " ('DateStyle', 'ISO'), ('IntervalStyle', 'postgres'), ('TimeZone', 'UTC'),"
	    " ('bytea_output', 'hex'), ('extra_float_digits', '3'),"
	    " ('default_transaction_read_only', 'off')) AS own (name, value)";

	return pg_conn_exec(c, own, NULL, 0, NULL, e);
}

int
pg_conn_open(const struct pg_conn_options *o, struct pg_conn **ret, struct err *e)
{
	struct pg_conn *c = xcalloc(1, sizeof(*c));

	c->replication = o->replication;
	c->stop = o->stop;
	c->arg = o->arg;
	if (pg_dial_server(o, c, e) == -1 || check_version(c, e) == -1)
		goto fail;
	PQsetErrorVerbosity(c->pq, PQERRORS_DEFAULT);
	if (PQsetnonblocking(c->pq, 1) == -1) {
		pg_conn_fail(c, NULL, e);
		goto fail;
	}
	if (!c->replication && settle(c, e) == -1)
		goto fail;
	*ret = c;
	return 0;
fail:
	pg_conn_free(c);
	return -1;
}

void
pg_conn_free(struct pg_conn *c)
{
	if (!c)
		return;
	PQfinish(c->pq);
	free(c);
}

int
pg_conn_version(const struct pg_conn *c)
{
	return PQserverVersion(c->pq);
}

bool
pg_conn_replication(const struct pg_conn *c)
{
	return c->replication;
}

const char *
pg_conn_note(const struct pg_conn *c)
{
	return c->note;
}

const char *
pg_conn_place(const struct pg_conn *c)
{
	return c->place;
}

const char *
pg_conn_sqlstate(const struct pg_conn *c)
{
	return c->sqlstate;
}

bool
pg_conn_alive(const struct pg_conn *c)
{
	if (c->busy || PQstatus(c->pq) != CONNECTION_OK)
		return false;
	/* Idle, whatever there is to read may be the end; libpq finds out. */
	return !ready(c, false, 0) ||
	    (PQconsumeInput(c->pq) && PQstatus(c->pq) == CONNECTION_OK);
}

/* ---- statements ---- */

struct pg_rows *
pg_conn_rows_of(PGresult *r)
{
	struct pg_rows *rows = xcalloc(1, sizeof(*rows));

	rows->r = r;
	return rows;
}

static int
send_statement(struct pg_conn *c, const char *statement, const char *const *param, size_t params,
    struct err *e)
{
	if (c->replication)
		return params == 0 ? pg_conn_send(c, statement, e)
				   : err_set(e, ERR_BUG, "a replication command has no parameters");
	c->sqlstate[0] = '\0';
	if (!PQsendQueryParams(c->pq, statement, (int)params, NULL, param, NULL, NULL, 0))
		return pg_conn_fail(c, NULL, e);
	c->busy = true;
	return pg_conn_flush(c, e);
}

/* The first result with something to say; all are taken. */
static int
take_results(struct pg_conn *c, PGresult **ret, struct err *e)
{
	char state[PG_ERROR_STATE];
	PGresult *r;
	int rc = 0;

	for (;;) {
		memcpy(state, c->sqlstate, sizeof(state));
		if (pg_conn_result(c, &r, rc == 0 ? e : NULL) == -1) {
			/* That the connection ends after an error is the lesser news. */
			if (rc == -1)
				memcpy(c->sqlstate, state, sizeof(state));
			return -1;
		}
		if (!r)
			return rc;
		if (rc == 0 && PQresultStatus(r) != PGRES_TUPLES_OK &&
		    PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_EMPTY_QUERY)
			rc = pg_conn_fail(c, r, e);
		if (rc == 0 && (!*ret || PQresultStatus(*ret) != PGRES_TUPLES_OK)) {
			PQclear(*ret);
			*ret = r;
		} else {
			PQclear(r);
		}
	}
}

int
pg_conn_exec(struct pg_conn *c, const char *statement, const char *const *param, size_t params,
    struct pg_rows **ret, struct err *e)
{
	PGresult *r = NULL;

	if (send_statement(c, statement, param, params, e) == -1 || take_results(c, &r, e) == -1) {
		PQclear(r);
		pg_conn_cancel(c);
		return -1;
	}
	if (ret)
		*ret = pg_conn_rows_of(r);
	else
		PQclear(r);
	return 0;
}

int
pg_conn_row(struct pg_conn *c, const char *statement, const char *const *param, size_t params,
    struct pg_rows **ret, struct err *e)
{
	struct pg_rows *r;
	size_t n;

	if (pg_conn_exec(c, statement, param, params, &r, e) == -1)
		return -1;
	n = pg_conn_rows(r);
	if (n == 1) {
		*ret = r;
		return 0;
	}
	pg_conn_rows_free(r);
	return err_set(e, ERR_BUG, "postgres at %s: %zu rows, expected one, from: %.200s", c->place,
	    n, statement);
}

size_t
pg_conn_rows(const struct pg_rows *r)
{
	return r->r ? (size_t)PQntuples(r->r) : 0;
}

size_t
pg_conn_columns(const struct pg_rows *r)
{
	return r->r ? (size_t)PQnfields(r->r) : 0;
}

const char *
pg_conn_value(const struct pg_rows *r, size_t row, size_t column, size_t *len)
{
	if (row >= pg_conn_rows(r) || column >= pg_conn_columns(r) ||
	    PQgetisnull(r->r, (int)row, (int)column))
		return NULL;
	if (len)
		*len = (size_t)PQgetlength(r->r, (int)row, (int)column);
	return PQgetvalue(r->r, (int)row, (int)column);
}

int
pg_conn_value_lsn(const struct pg_rows *r, size_t row, size_t column, uint64_t *ret,
    struct err *e)
{
	const char *s = pg_conn_value(r, row, column, NULL);

	if (!s)
		return 0;
	if (lsn_parse(s, ret) == -1)
		return err_set(e, ERR_CORRUPT, "postgres: '%.40s' is no position in the WAL", s);
	return 1;
}

int
pg_conn_value_u64(const struct pg_rows *r, size_t row, size_t column, uint64_t *ret,
    struct err *e)
{
	const char *s = pg_conn_value(r, row, column, NULL);
	char *end;

	if (!s)
		return 0;
	errno = 0;
	*ret = strtoull(s, &end, 10);
	if (!isdigit((unsigned char)*s) || *end || errno)
		return err_set(e, ERR_CORRUPT, "postgres: '%.40s' is no number", s);
	return 1;
}

void
pg_conn_rows_free(struct pg_rows *r)
{
	if (!r)
		return;
	PQclear(r->r);
	free(r);
}

/* ---- what every caller asks ---- */

/* After a promotion the control file tells the old timeline until the next checkpoint. */
#define IDENTIFY_SQL                                                                               \
	"SELECT s.system_identifier, CASE WHEN pg_is_in_recovery()"                                \
	" THEN greatest(c.timeline_id, r.min_recovery_end_timeline)"                               \
	" ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int"  \
	" END, CASE WHEN pg_is_in_recovery()"                                                      \
	" THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"                      \
	" ELSE pg_current_wal_flush_lsn() END, pg_is_in_recovery()"                                \
	" FROM pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() r"

int
pg_conn_identify(struct pg_conn *c, struct pg_identity *ret, struct err *e)
{
	struct pg_rows *r = NULL;
	const char *standby;
	uint64_t tli = 0;
	int rc = -1;

	*ret = (struct pg_identity){ 0 };
	if (pg_conn_row(c, c->replication ? "IDENTIFY_SYSTEM" : IDENTIFY_SQL, NULL, 0, &r, e) == -1)
		return -1;
	if (pg_conn_value_u64(r, 0, 0, &ret->sysid, e) == -1 ||
	    pg_conn_value_u64(r, 0, 1, &tli, e) == -1 ||
	    pg_conn_value_lsn(r, 0, 2, &ret->flush, e) == -1)
		goto out;
	ret->tli = (uint32_t)tli;
	standby = c->replication ? NULL : pg_conn_value(r, 0, 3, NULL);
	ret->standby = standby && *standby == 't';
	rc = ret->sysid && tli && tli <= UINT32_MAX ? 0 :
	    err_set(e, ERR_CORRUPT, "postgres at %s: it does not say which system it is", c->place);
out:
	pg_conn_rows_free(r);
	return rc;
}

int
pg_conn_show(struct pg_conn *c, const char *name, char out[PG_CONN_SETTING], struct err *e)
{
	const char *param = name, *value;
	struct pg_rows *r = NULL;
	char command[80];
	int rc = -1;

	if (strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789.") != strlen(name) ||
	    strlen(name) > 63)
		return err_set(e, ERR_BUG, "'%.80s' is no name of a setting", name);
	snprintf(command, sizeof(command), "SHOW %s", name);
	if ((c->replication ? pg_conn_row(c, command, NULL, 0, &r, e)
			    : pg_conn_row(c, "SELECT current_setting($1)", &param, 1, &r, e)) == -1)
		return -1;
	value = pg_conn_value(r, 0, 0, NULL);
	if (value && strlen(value) < PG_CONN_SETTING) {
		memcpy(out, value, strlen(value) + 1);
		rc = 0;
	} else {
		err_set(e, ERR_UNSUPPORTED, "postgres at %s: '%s' is %s", c->place, name,
		    value ? "too long" : "not set");
	}
	pg_conn_rows_free(r);
	return rc;
}
