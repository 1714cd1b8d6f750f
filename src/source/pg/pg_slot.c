/*
 * A slot that is there already is as good as a new one, so creating it twice is fine; but what has
 * its name may be a logical one, or one that never kept anything. The first is refused here, the
 * second is for the caller to see: its restart_lsn is not set.
 *
 * The replication protocol can ask for a slot only since 15, and tells less than the view. So a
 * reader says what it was told (`full`), and decisions about danger are made from SQL.
 */
#include "source/pg/pg_slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "base/mem.h"

/* READ_REPLICATION_SLOT, and options of commands in parentheses. */
#define VERSION_READ_SLOT 150000

/* An error that this SQLSTATE is the reason of, is none. */
static bool
was(const struct pg_conn *c, const char *sqlstate)
{
	return strcmp(pg_conn_sqlstate(c), sqlstate) == 0;
}
#define STATE_EXISTS "42710"
#define STATE_UNDEFINED "42704"

bool
pg_slot_name_valid(const char *name)
{
	const size_t n = strlen(name);

	return n > 0 && n < PG_SLOT_NAME &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static int
check_name(const char *name, struct err *e)
{
	if (pg_slot_name_valid(name))
		return 0;
	return err_set(e, ERR_CONFIG,
	    "'%.80s' is no name of a replication slot, expected 1 to 63 of a-z, 0-9 and _", name);
}

/* ---- reading ---- */

static const char *const wal_word[] = {
	[PG_SLOT_WAL_UNKNOWN] = "unknown", [PG_SLOT_WAL_RESERVED] = "reserved",
	[PG_SLOT_WAL_EXTENDED] = "extended", [PG_SLOT_WAL_UNRESERVED] = "unreserved",
	[PG_SLOT_WAL_LOST] = "lost",
};

const char *
pg_slot_wal_word(enum pg_slot_wal wal)
{
	return wal_word[wal];
}

static enum pg_slot_wal
parse_wal(const char *word)
{
	for (size_t i = 0; word && i < ARRAY_LEN(wal_word); i++)
		if (strcmp(word, wal_word[i]) == 0)
			return (enum pg_slot_wal)i;
	return PG_SLOT_WAL_UNKNOWN;
}

static bool
is_true(const struct pg_rows *r, size_t column)
{
	const char *s = pg_conn_value(r, 0, column, NULL);

	return s && *s == 't';
}

static long long
number(const struct pg_rows *r, size_t column)
{
	const char *s = pg_conn_value(r, 0, column, NULL);

	return s ? strtoll(s, NULL, 10) : 0;
}

static int
read_by_sql(struct pg_conn *c, const char *name, struct pg_slot *ret, struct err *e)
{
	static const char *const sql =
	    "SELECT slot_type, restart_lsn, active, temporary, active_pid, wal_status,"
	    " safe_wal_size, greatest(0, pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery()"
	    " THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
	    " ELSE pg_current_wal_lsn() END, restart_lsn))::bigint"
	    " FROM pg_replication_slots WHERE slot_name = $1";
	struct pg_rows *r = NULL;
	const char *type;
	int rc = -1;

	if (pg_conn_exec(c, sql, &name, 1, &r, e) == -1)
		return -1;
	type = pg_conn_value(r, 0, 0, NULL);
	if (type) {
		rc = pg_conn_value_lsn(r, 0, 1, &ret->restart_lsn, e);
		ret->reserves = rc == 1;
		ret->physical = strcmp(type, "physical") == 0;
		ret->full = true;
		ret->active = is_true(r, 2);
		ret->temporary = is_true(r, 3);
		ret->active_pid = (int)number(r, 4);
		ret->wal = parse_wal(pg_conn_value(r, 0, 5, NULL));
		ret->limited = pg_conn_value(r, 0, 6, NULL) != NULL;
		ret->safe_bytes = number(r, 6);
		ret->behind = (uint64_t)number(r, 7);
		rc = rc == -1 ? -1 : 1;
	} else {
		rc = 0;
	}
	pg_conn_rows_free(r);
	return rc;
}

/* A slot that is not there is one row of NULLs; a logical one is an error. */
static int
read_by_command(struct pg_conn *c, const char *name, struct pg_slot *ret, struct err *e)
{
	struct pg_rows *r = NULL;
	char command[PG_SLOT_NAME + 40];
	uint64_t tli = 0;
	const char *type;
	int rc;

	if (pg_conn_version(c) < VERSION_READ_SLOT)
		return err_set(e, ERR_UNSUPPORTED,
		    "a server older than 15 tells of slot '%s' by SQL only", name);
	snprintf(command, sizeof(command), "READ_REPLICATION_SLOT \"%s\"", name);
	if (pg_conn_row(c, command, NULL, 0, &r, e) == -1)
		return -1;
	type = pg_conn_value(r, 0, 0, NULL);
	if (type) {
		ret->physical = strcmp(type, "physical") == 0;
		rc = pg_conn_value_lsn(r, 0, 1, &ret->restart_lsn, e);
		ret->reserves = rc == 1;
		if (rc != -1)
			rc = pg_conn_value_u64(r, 0, 2, &tli, e) == -1 ? -1 : 1;
		ret->restart_tli = (uint32_t)tli;
	} else {
		rc = 0;
	}
	pg_conn_rows_free(r);
	return rc;
}

int
pg_slot_read(struct pg_conn *c, const char *name, struct pg_slot *ret, struct err *e)
{
	*ret = (struct pg_slot){ 0 };
	if (check_name(name, e) == -1)
		return -1;
	return pg_conn_replication(c) ? read_by_command(c, name, ret, e)
				      : read_by_sql(c, name, ret, e);
}

/* ---- changing ---- */

static int
create(struct pg_conn *c, const char *name, bool temporary, struct err *e)
{
	char command[PG_SLOT_NAME + 80];

	if (!pg_conn_replication(c))
		return pg_conn_exec(
		    c, "SELECT pg_create_physical_replication_slot($1, true)", &name, 1, NULL, e);
	snprintf(command, sizeof(command), "CREATE_REPLICATION_SLOT \"%s\"%s PHYSICAL %s", name,
	    temporary ? " TEMPORARY" : "",
	    pg_conn_version(c) < VERSION_READ_SLOT ? "RESERVE_WAL" : "(RESERVE_WAL)");
	return pg_conn_exec(c, command, NULL, 0, NULL, e);
}

int
pg_slot_create(struct pg_conn *c, const char *name, bool temporary, struct err *e)
{
	struct err why;
	struct pg_slot is;
	int r;

	if (check_name(name, e) == -1)
		return -1;
	if (temporary && !pg_conn_replication(c))
		return err_set(e, ERR_BUG, "a temporary slot needs a replication connection");
	err_clear(&why);
	if (create(c, name, temporary, &why) == 0)
		return 1;
	if (!was(c, STATE_EXISTS)) {
		*e = why;
		return -1;
	}
	/* 14 cannot be asked here; it refuses a logical one when the stream starts. */
	if (pg_conn_replication(c) && pg_conn_version(c) < VERSION_READ_SLOT)
		return 0;
	r = pg_slot_read(c, name, &is, &why);
	if (r == 1 && is.physical)
		return 0;
	if (r == 0)
		return err_set(e, ERR_BUSY, "postgres at %s: slot '%s' came and went meanwhile",
		    pg_conn_place(c), name);
	return err_set(e, ERR_EXISTS,
	    "postgres at %s: a logical replication slot has the name '%s'", pg_conn_place(c), name);
}

int
pg_slot_drop(struct pg_conn *c, const char *name, struct err *e)
{
	char command[PG_SLOT_NAME + 40];
	struct err why;
	int rc;

	if (check_name(name, e) == -1)
		return -1;
	err_clear(&why);
	if (pg_conn_replication(c)) {
		snprintf(command, sizeof(command), "DROP_REPLICATION_SLOT \"%s\"", name);
		rc = pg_conn_exec(c, command, NULL, 0, NULL, &why);
	} else {
		rc = pg_conn_exec(c, "SELECT pg_drop_replication_slot($1)", &name, 1, NULL, &why);
	}
	if (rc == 0)
		return 1;
	if (was(c, STATE_UNDEFINED))
		return 0;
	*e = why;
	return -1;
}

int
pg_slot_advance(struct pg_conn *c, const char *name, uint64_t lsn, uint64_t *got,
    struct err *e)
{
	struct pg_rows *r = NULL;
	struct pg_slot is;
	char to[LSN_TEXT];
	const char *param[] = { name, to };
	int rc = pg_slot_read(c, name, &is, e);

	if (rc == -1)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_NOTFOUND, "postgres at %s: there is no replication slot '%s'",
		    pg_conn_place(c), name);
	*got = is.restart_lsn;
	if (is.reserves && lsn <= is.restart_lsn)
		return 0;
	lsn_text(lsn, to);
	if (pg_conn_row(c, "SELECT end_lsn FROM pg_replication_slot_advance($1, $2::pg_lsn)", param,
		2, &r, e) == -1)
		return -1;
	rc = pg_conn_value_lsn(r, 0, 0, got, e) == 1 ? 0 : -1;
	pg_conn_rows_free(r);
	return rc;
}
