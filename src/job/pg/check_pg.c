/*
 * Whatever a base backup, the receiver and archive_command will ask of the server is asked now,
 * with the same connection and the same role, so that it is a line with a fix today and not a
 * failed run tonight. Slots are looked at and not made: from the moment one is there the server
 * keeps WAL for it, and only a receiver that runs may ask for that.
 */
#include "job/pg/check_pg.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/units.h"
#include "coord/active.h"
#include "job/pg/check_pg_receiver.h"
#include "job/claim.h"
#include "job/wal/wal_archiver.h"
#include "job/wal/wal_place.h"
#include "job/wal/wal_source.h"
#include "job/wal/wal_status.h"
#include "source/pg/pg_conn.h"
#include "source/pg/pg_dir.h"

#define CONNECT_S 10
#define PAGE_SIZE 8192
#define CLAIM_MS "10000" /* it may read a large table: that is for the proof */
#define CLAIM_LATE "57014" /* SQLSTATE when that time is over */
/* A base backup by stream takes two senders, one of them for its WAL. */
#define SENDERS_OF_BACKUP 2

struct checking {
	struct check *c;
	struct session *s;
	const struct conf_source *source;
	const struct conf_postgres *p;
	const char *what;
	struct pg_conn *sql, *stream; /* stream: NULL where it is not allowed */
	struct pg_identity id;
	bool streams, local;
};

/* ---- asking ---- */

/* One value of one row; "" when it is NULL or cannot be had. The caller frees. */
static char *
ask(struct checking *k, const char *query)
{
	struct pg_rows *rows = NULL;
	struct err why = { 0 };
	char *ret;

	if (pg_conn_row(k->sql, query, NULL, 0, &rows, &why) == -1)
		check_error(k->c, CHECK_UNKNOWN, k->what, &why);
	ret =
	    xstrdup(rows && pg_conn_value(rows, 0, 0, NULL) ? pg_conn_value(rows, 0, 0, NULL) : "");
	pg_conn_rows_free(rows);
	return ret;
}

static int64_t
ask_number(struct checking *k, const char *query)
{
	char *text = ask(k, query);
	int64_t ret = strtoll(text, NULL, 10);

	free(text);
	return ret;
}

static bool
ask_yes(struct checking *k, const char *query)
{
	char *text = ask(k, query);
	bool ret = *text == 't';

	free(text);
	return ret;
}

/* ---- who it is ---- */

static bool
connection(struct checking *k)
{
	struct pg_conn_options o = { .conninfo = k->p->conninfo, .timeout_s = CONNECT_S };
	struct err e = { 0 };
	int version;

	if (pg_conn_open(&o, &k->sql, &e) == -1 || pg_conn_identify(k->sql, &k->id, &e) == -1) {
		if (!strstr(e.text, "\n  fix "))
			err_line(&e, "fix",
			    e.kind == ERR_REMOTE ? "start the server, or let conninfo name the "
						   "host and port it listens on"
						 : "mend conninfo; the password goes into "
						   "~/.pgpass of this user");
		check_error(k->c, CHECK_FAIL, k->what, &e);
		return false;
	}
	version = pg_conn_version(k->sql);
	if (*pg_conn_note(k->sql))
		check_add(k->c, CHECK_WARN, k->what, NULL, "%s", pg_conn_note(k->sql));
	check_add(k->c, CHECK_OK, k->what, NULL,
		  "PostgreSQL %d at %s answers, %s on timeline %" PRIu32, version / 10000,
		  pg_conn_place(k->sql), k->id.standby ? "a standby" : "the primary", k->id.tli);
	o.replication = true;
	if (pg_conn_open(&o, &k->stream, &e) == -1) {
		if (!strstr(e.text, "\n  fix "))
			err_line(&e, "fix",
				 "a line for database replication and this role in pg_hba.conf");
		check_error(k->c, CHECK_FAIL, k->what, &e);
	} else {
		check_add(k->c, CHECK_OK, k->what, NULL, "replication connections are allowed");
	}
	return true;
}

/* A server and its clone have one system id, by which a file of WAL is told to be the one's. */
static void
twins(struct checking *k, struct coord *coord, uint64_t sysid)
{
	const struct conf *c = k->s->conf;
	const struct conf_source *x;
	struct active a;
	char *fix;

	for (size_t i = 0; i < c->sources; i++) {
		x = &c->source[i];
		if (x == k->source || x->kind != CONF_KIND_POSTGRES ||
		    active_get(coord, x->name, &a, NULL) != 1 || a.sysid != sysid)
			continue;
		fix = xasprintf("archive_command = 'ffdr wal push --source %s %%p' on this one, and "
				"--source %s on the other",
		    k->source->bare, x->bare);
		check_add(k->c, CHECK_WARN, k->what, fix,
			  "%s is the same system, %" PRIu64 ": one of them is a copy of the other",
			  x->name, sysid);
		free(fix);
	}
}

static void
pinned(struct checking *k)
{
	struct wal_place_server server = { 0 };
	struct tier *tier[WAL_SOURCE_TIERS];
	const struct wal_place_archive archive = { k->s->repo, tier,
		session_source_tiers(k->s, k->source->name, tier, WAL_SOURCE_TIERS) };
	struct coord *coord = NULL;
	struct wal_place place;
	struct err e = { 0 };

	if (!k->stream || !k->s->repo)
		return; /* which is a failure of its own */
	if (wal_place_server(k->stream, &k->id, &server, &e) == -1 ||
	    coord_open(k->s->conf->coord_place, &coord, &e) == -1 ||
	    wal_place_pin(coord, k->source->name, k->source->site, &server,
		&archive, false, &place, &e) == -1)
		check_error(k->c, CHECK_FAIL, k->what, &e);
	else {
		check_add(k->c, CHECK_OK, k->what, NULL,
			  "it is system %" PRIu64 ", as pinned in %s", place.sysid,
			  k->s->conf->coord_place);
		twins(k, coord, place.sysid);
	}
	wal_place_server_done(&server);
	coord_close(coord);
}

static void
role(struct checking *k)
{
	static const char replication[] =
	    "SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user";
	static const char settings[] =
	    "SELECT pg_has_role(current_user, 'pg_read_all_settings', 'member')";
	char *user = ask(k, "SELECT quote_ident(current_user)"), *fix;

	fix = xasprintf("ALTER ROLE %s REPLICATION", user);
	if (ask_yes(k, replication))
		check_add(k->c, CHECK_OK, k->what, NULL, "role %s may replicate", user);
	else
		check_add(k->c, CHECK_FAIL, k->what, fix, "role %s may not replicate", user);
	free(fix);
	fix = xasprintf("GRANT pg_read_all_settings TO %s", user);
	if (!ask_yes(k, settings))
		check_add(k->c, CHECK_WARN, k->what, fix,
			  "role %s may not read all settings: a snapshot will not have them, and a "
			  "restored "
			  "server may need them",
			  user);
	free(fix);
	free(user);
}

/* ---- what the server is set to ---- */

static void
wal_level(struct checking *k)
{
	char *level = ask(k, "SELECT current_setting('wal_level')");

	if (strcmp(level, "minimal") == 0)
		check_add(k->c, CHECK_FAIL, k->what, "wal_level = replica, and restart the server",
			  "wal_level is minimal: nothing can be "
			  "restored from such WAL");
	else
		check_add(k->c, CHECK_OK, k->what, NULL, "wal_level is %s", level);
	free(level);
}

static void
senders(struct checking *k)
{
	/* A receiver of ours that runs is one of those that are needed. */
	static const char used[] = "SELECT count(*) - (count(*) FILTER (WHERE application_name = "
				   "'ffdr') > 0)::int FROM pg_stat_replication";
	int64_t most =
	    ask_number(k, "SELECT setting FROM pg_settings WHERE name = 'max_wal_senders'");
	int64_t need = SENDERS_OF_BACKUP + (k->streams ? 1 : 0), left = most - ask_number(k, used);
	char *fix = xasprintf("max_wal_senders = %" PRId64 ", or more, and restart the server",
			      most + need - left);

	if (left < need)
		check_add(k->c, CHECK_FAIL, k->what, fix,
			  "%" PRId64 " of max_wal_senders = %" PRId64 " are left, %" PRId64
			  " are needed",
			  left, most, need);
	else
		check_add(k->c, CHECK_OK, k->what, NULL,
			  "%" PRId64 " of max_wal_senders = %" PRId64 " are left", left, most);
	free(fix);
}

static void
slot(struct checking *k, const struct wal_status_slot *slot)
{
	char keeps[UNITS_TEXT],
	    *fix = xasprintf("ffdr wal status %s says what is behind; then ffdr backup %s",
			     k->source->bare, k->source->name);

	units_size(slot->slot.behind, keeps);
	if (slot->role == WAL_STATUS_OTHER && !slot->slot.active)
		check_add(k->c, CHECK_WARN, k->what,
			  "ffdr wal forget HOST SOURCE, when that host will not come back",
			  "slot %s is of a host that does not receive, and keeps %s on the server",
			  slot->name, keeps);
	else if (slot->slot.wal == PG_SLOT_WAL_LOST || slot->slot.wal == PG_SLOT_WAL_UNRESERVED)
		check_add(k->c, CHECK_FAIL, k->what, fix,
			  "slot %s is %s: the server may have removed WAL that was not received",
			  slot->name, pg_slot_wal_word(slot->slot.wal));
	else if (slot->role != WAL_STATUS_OTHER)
		check_add(k->c, CHECK_OK, k->what, NULL, "slot %s is there and keeps %s",
			  slot->name, keeps);
	free(fix);
}

/* Is there room for those that are not there yet? */
static void
room_for_slots(struct checking *k, int64_t missing)
{
	static const char used[] = "SELECT count(*) FROM pg_replication_slots";
	int64_t most =
	    ask_number(k, "SELECT setting FROM pg_settings WHERE name = 'max_replication_slots'");
	/* A base backup has one of its own while it runs. */
	int64_t left = most - ask_number(k, used), need = missing + 1;
	char *fix =
	    xasprintf("max_replication_slots = %" PRId64 ", or more, and restart the server",
		      most + need - left);

	if (left < need)
		check_add(k->c, CHECK_FAIL, k->what, fix,
			  "%" PRId64 " of max_replication_slots = %" PRId64 " are left, %" PRId64
			  " are needed",
			  left, most, need);
	else if (missing > 0)
		check_add(k->c, CHECK_OK, k->what, NULL,
			  "%" PRId64 " slots are not there yet: ffdr wal stream makes them",
			  missing);
	free(fix);
}

static void
slots(struct checking *k)
{
	struct wal_status_slot *list = NULL;
	char host[256], own[CONF_SLOT];
	struct err e = { 0 };
	size_t count = 0;
	int64_t missing = 0;

	wal_source_host(host);
	if (conf_postgres_slot(k->p, host, own, &e) == -1 ||
	    wal_status_slots(k->sql, own, &list, &count, &e) == -1)
		check_error(k->c, CHECK_FAIL, k->what, &e);
	for (size_t i = 0; i < count && e.kind == ERR_NONE; i++) {
		if (list[i].there)
			slot(k, &list[i]);
		else if (k->streams)
			missing++;
	}
	if (e.kind == ERR_NONE)
		room_for_slots(k, missing);
	free(list);
}

static void
keep_size(struct checking *k)
{
	int64_t mb =
	    ask_number(k, "SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'");

	if (k->streams && mb < 0)
		check_add(k->c, CHECK_WARN, k->what,
			  "max_slot_wal_keep_size = what the server's disk can spare, and reload",
			  "max_slot_wal_keep_size is not limited: a receiver that stays away fills "
			  "the server's disk");
	/* In seconds, from PostgreSQL 18 on. */
	if (k->streams && ask_number(k, "SELECT max(setting::int) FROM pg_settings"
					" WHERE name = 'idle_replication_slot_timeout'") > 0)
		check_add(k->c, CHECK_WARN, k->what, "idle_replication_slot_timeout = 0, and reload",
			  "idle_replication_slot_timeout is set: a receiver that stays away for longer "
			  "loses its slot and the WAL it keeps");
}

static void
primary(struct checking *k)
{
	if (k->id.standby && k->streams)
		check_add(k->c, CHECK_WARN, k->what,
		    "name all its hosts in conninfo, with target_session_attrs=read-write, or "
		    "receive with a configuration that leads to the primary",
		    "it is a standby: base backups can be taken from it, WAL cannot be received");
}

static void
sizes(struct checking *k)
{
	int64_t page = ask_number(k, "SELECT setting FROM pg_settings WHERE name = 'block_size'");
	int64_t segment =
	    ask_number(k, "SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'");
	char text[UNITS_TEXT];

	if (page != PAGE_SIZE)
		check_add(k->c, CHECK_FAIL, k->what, NULL,
			  "its pages have %" PRId64 " bytes, expected %d", page, PAGE_SIZE);
	check_add(k->c, CHECK_OK, k->what, NULL, "its WAL has segments of %s",
		  units_size((uint64_t)segment, text));
}

static void
archiver(struct checking *k)
{
	struct wal_archiver a;
	struct err e = { 0 };
	char ago[UNITS_TEXT], *fix;

	if (wal_archiver_ask(k->sql, !k->streams, &a, &e) == -1) {
		check_error(k->c, CHECK_UNKNOWN, k->what, &e);
		return;
	}
	if (!a.fails)
		return;
	fix = xasprintf(WAL_ARCHIVER_FIX, a.file);
	check_add(k->c, CHECK_FAIL, k->what, fix,
		  "the server cannot archive %s, tried %s ago, %" PRId64 " failures", a.file,
		  units_duration(a.ago_ms, ago), a.count);
	free(fix);
}

static void
archive(struct checking *k)
{
	char *mode, *command, *library, *fix;

	archiver(k);
	if (k->streams)
		return;
	mode = ask(k, "SELECT current_setting('archive_mode')");
	library = ask(k, "SELECT current_setting('archive_library', true)");
	command = ask(k, "SELECT current_setting('archive_command')");
	fix = xasprintf("archive_mode = on, archive_command = 'ffdr wal push --source %s %%p', and "
			"restart the server",
			k->source->bare);
	if (strcmp(mode, "off") == 0)
		check_add(k->c, CHECK_FAIL, k->what, fix,
			  "wal-from = push, but archive_mode is off");
	else if (*library)
		check_add(k->c, CHECK_FAIL, k->what, "archive_library = '', and reload",
			  "wal-from = push, but archive_library = '%s': archive_command is not called",
			  library);
	else if (!strstr(command, "wal push"))
		check_add(k->c, CHECK_WARN, k->what, fix,
			  "wal-from = push, but archive_command does not call ffdr wal push");
	else
		check_add(k->c, CHECK_OK, k->what, NULL, "archive_command calls ffdr wal push");
	free(fix);
	free(library);
	free(command);
	free(mode);
}

/* ---- what is on this host ---- */

static void
data_directory(struct checking *k)
{
	char *dir = k->p->data ? xstrdup(k->p->data) : NULL;
	struct err e = { 0 };

	if (!dir && pg_dir_ask(k->sql, &dir, &e) == -1) {
		err_line(&e, "fix",
		    "data = DIR in its section: method = local needs the data directory");
		check_error(k->c, CHECK_FAIL, k->what, &e);
	} else if (pg_dir_check(k->sql, dir, &e) == -1) {
		check_error(k->c, CHECK_FAIL, k->what, &e);
	} else {
		check_add(
		    k->c, CHECK_OK, k->what, NULL, "'%s' can be read and is this server's", dir);
	}
	free(dir);
}

static void
local(struct checking *k)
{
	static const char old[] =
	    "SELECT has_function_privilege('pg_start_backup(text, boolean, boolean)', 'execute')"
	    " AND has_function_privilege('pg_stop_backup(boolean, boolean)', 'execute')";
	static const char new[] =
	    "SELECT has_function_privilege('pg_backup_start(text, boolean)', 'execute')"
	    " AND has_function_privilege('pg_backup_stop(boolean)', 'execute')";
	const bool is_old = pg_conn_version(k->sql) < 150000;

	if (!k->local)
		return;
	data_directory(k);
	if (!ask_yes(k, is_old ? old : new))
		check_add(k->c, CHECK_FAIL, k->what,
			  is_old ? "GRANT EXECUTE ON FUNCTION pg_start_backup(text, boolean, "
				   "boolean), pg_stop_backup(boolean, boolean) TO the role"
				 : "GRANT EXECUTE ON FUNCTION pg_backup_start(text, boolean), "
				   "pg_backup_stop(boolean) TO the role",
			  "the role may not begin a backup, which method = local needs");
}

/* ---- what its owner says ---- */

/* As the proof by restore will ask it; there it is the superuser who asks. */
static void
claim(struct checking *k)
{
	static const char fix[] = "mend check-sql, or find out what is wrong with the data";
	struct err why = { 0 };
	int got;

	if (!k->p->check_sql)
		return;
	if (pg_conn_exec(k->sql, "SET default_transaction_read_only = on", NULL, 0, NULL, &why) ==
		-1 ||
	    pg_conn_exec(k->sql, "SET statement_timeout = " CLAIM_MS, NULL, 0, NULL, &why) == -1)
		got = -1;
	else
		got = claim_ask(k->sql, k->p->check_sql, &why);
	if (got == 1)
		check_add(k->c, CHECK_OK, k->what, NULL, "check-sql is true");
	else if (got == -1 && why.kind == ERR_PERMISSION)
		check_add(k->c, CHECK_UNKNOWN, k->what, NULL,
		    "this role may not ask check-sql; the proof by restore may: %s", why.text);
	else if (got == -1 && strcmp(pg_conn_sqlstate(k->sql), CLAIM_LATE) == 0)
		check_add(k->c, CHECK_UNKNOWN, k->what, NULL,
		    "check-sql takes longer than ten seconds; the proof by restore waits for it");
	else
		check_add(k->c, CHECK_WARN, k->what, fix, "%s", why.text);
}

/* ---- all of it ---- */

static bool
reads_local(const struct conf_postgres *p)
{
	if (strcmp(p->method, "auto") != 0)
		return strcmp(p->method, "local") == 0;
	return p->data && access(p->data, R_OK | X_OK) == 0;
}

void
check_pg(struct check *c, struct session *s, const struct conf_source *source)
{
	static void (*const rows[])(struct checking *) = {
		primary, pinned, role, wal_level, sizes, senders, slots, keep_size, archive, local,
		claim,
	};
	struct checking k = {
		.c = c,
		.s = s,
		.source = source,
		.p = source->postgres,
		.what = source->name,
		.streams =
		    source->postgres->wal && strcmp(source->postgres->wal_from, "stream") == 0,
		.local = reads_local(source->postgres),
	};
	const bool connected = connection(&k);

	for (size_t i = 0; connected && i < ARRAY_LEN(rows); i++)
		rows[i](&k);
	if (source->postgres->wal)
		check_pg_receiver(
		    c, s, source, connected && !k.id.standby ? k.sql : NULL, k.streams);
	pg_conn_free(k.stream);
	pg_conn_free(k.sql);
}
