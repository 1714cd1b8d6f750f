/*
 * A PostgreSQL server: the base backup into the writer, by a stream from the server or from its
 * data directory, and the WAL between its start and its end onto the same tier before the snapshot
 * may exist. What a restore has to know of the server goes into the manifest.
 */
#include "job/backup_kind.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/lsn.h"
#include "base/mem.h"
#include "coord/coord.h"
#include "job/wal/wal_fetch.h"
#include "job/wal/wal_place.h"
#include "job/wal/wal_source.h"
#include "source/pg/pg_conf.h"
#include "source/pg/pg_dir.h"
#include "source/pg/pg_local.h"

#define PAGE_SIZE 8192 /* what a server is built with, unless somebody took pains */
#define CONFIG_MAX (256u << 10)

struct pg_backup {
	struct pg_conn *sql;	/* an ordinary connection */
	struct pg_conn *stream; /* for BASE_BACKUP */
	struct coord *coord;
	struct wal_fetch *wal;
	struct wal_place place;
	struct pg_identity id;
	uint64_t segment_size;
	bool local, checksums;
	char *data; /* the directory that is read, when local */
	char *databases; /* their numbers before anything was read; NULL: not known */
	struct pg_base_report seen;
	uint64_t stop_us; /* the server's clock when it had stopped */
};

static void
warn(void *arg, const char *text)
{
	backup_warn(arg, text);
}

static bool
stopped(void *arg)
{
	return run_stop(arg);
}

static void
progress(void *arg, uint64_t done, uint64_t total)
{
	const struct backup *b = arg;

	b->run.watch->progress(b->run.watch->arg, "reading", done, done <= total ? total : 0);
}

static struct pg_conn_options
connection(struct backup *b)
{
	return (struct pg_conn_options){
		.conninfo = b->source->postgres->conninfo, .stop = stopped, .arg = b
	};
}

/* ---- opening ---- */

static int
ask_server(struct pg_backup *p, struct err *e)
{
	static const char query[] =
	    "SELECT (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'),"
	    " (SELECT setting FROM pg_settings WHERE name = 'block_size'),"
	    " (SELECT setting FROM pg_settings WHERE name = 'data_checksums')";
	struct pg_rows *rows = NULL;
	uint64_t page = 0;
	int rc = pg_conn_row(p->sql, query, NULL, 0, &rows, e);

	if (rc == 0 &&
	    (pg_conn_value_u64(rows, 0, 0, &p->segment_size, e) != 1 ||
		pg_conn_value_u64(rows, 0, 1, &page, e) != 1))
		rc = -1;
	if (rc == 0) {
		const char *sums = pg_conn_value(rows, 0, 2, NULL);

		p->checksums = sums && strcmp(sums, "on") == 0;
	}
	pg_conn_rows_free(rows);
	if (rc == 0 && page != PAGE_SIZE)
		rc = err_set(e, ERR_UNSUPPORTED,
		    "the server has pages of %" PRIu64 " bytes, expected %d", page, PAGE_SIZE);
	if (rc == 0 && !lsn_segment_valid(p->segment_size))
		rc = err_set(e, ERR_UNSUPPORTED, "the server has WAL segments of %" PRIu64 " bytes",
		    p->segment_size);
	return rc;
}

/* `auto` reads the directory where it is told and there; else the server sends. */
static bool
reads_local(const struct conf_postgres *c)
{
	if (strcmp(c->method, "auto") != 0)
		return strcmp(c->method, "local") == 0;
	return c->data && access(c->data, R_OK | X_OK) == 0;
}

static int
pin(struct backup *b, struct pg_backup *p, struct err *e)
{
	const struct conf *c = b->run.session->conf;
	struct pg_conn_options o = connection(b);
	struct pg_conn *asks = p->stream;
	struct wal_place_server server = { 0 };
	struct tier *tier[WAL_SOURCE_TIERS];
	const struct wal_place_archive archive = { b->run.session->repo, tier,
		session_source_tiers(b->run.session, b->source->name, tier, WAL_SOURCE_TIERS) };
	int rc = -1;

	o.replication = true;
	if ((asks || pg_conn_open(&o, &asks, e) == 0) &&
	    wal_place_server(asks, &p->id, &server, e) == 0 &&
	    coord_open(c->coord_place, &p->coord, e) == 0)
		rc = wal_place_pin(p->coord, b->source->name, b->source->site, &server, &archive,
		    b->o->new_system, &p->place, e);
	wal_place_server_done(&server);
	if (asks != p->stream)
		pg_conn_free(asks);
	return rc;
}

static int
find_data(const struct conf_postgres *c, struct pg_backup *p, struct err *e)
{
	if (c->data)
		p->data = xstrdup(c->data);
	else if (pg_dir_ask(p->sql, &p->data, e) == -1)
		return err_line(e, "fix",
		    "data = DIR in [postgres %s]: method = local needs the data "
		    "directory",
		    c->name);
	return 0;
}

static int
open_pg(struct backup *b, struct err *e)
{
	struct pg_backup *p = xcalloc(1, sizeof(*p));
	struct pg_conn_options o = connection(b);

	b->own = p;
	p->local = reads_local(b->source->postgres);
	if (pg_conn_open(&o, &p->sql, e) == -1 || pg_conn_identify(p->sql, &p->id, e) == -1 ||
	    ask_server(p, e) == -1)
		return err_in(e, "%s", b->source->name);
	if (*pg_conn_note(p->sql))
		backup_warn(b, pg_conn_note(p->sql));
	o.replication = true;
	if (!p->local && pg_conn_open(&o, &p->stream, e) == -1)
		return err_in(e, "%s", b->source->name);
	if (!b->o->dry_run && pin(b, p, e) == -1)
		return err_in(e, "%s", b->source->name);
	if (p->local && find_data(b->source->postgres, p, e) == -1)
		return err_in(e, "%s", b->source->name);
	b->writing.root = p->local ? p->data : pg_conn_place(p->sql);
	b->writing.any_order = true;
	b->writing.read_all = true;
	if (p->local && b->source->postgres->readers > 0)
		b->writing.workers = (unsigned)b->source->postgres->readers;
	return 0;
}

static void
close_pg(struct backup *b)
{
	struct pg_backup *p = b->own;

	if (!p)
		return;
	wal_fetch_free(p->wal);
	pg_base_report_done(&p->seen);
	pg_conn_free(p->stream);
	pg_conn_free(p->sql);
	free(p->databases);
	coord_close(p->coord);
	free(p->data);
	free(p);
}

/* ---- reading ---- */

static int
read_stream(struct backup *b, struct pg_backup *p, struct err *e)
{
	const struct conf_postgres *c = b->source->postgres;
	const struct pg_base_options o = {
		.fast = strcmp(c->checkpoint, "fast") == 0,
		.max_rate = c->rate,
		.allow_bad_pages = b->o->allow_bad_pages,
		.warn = warn,
		.stop = stopped,
		.progress = progress,
		.arg = b,
	};

	return pg_base_stream(p->stream, b->writer, &o, &p->seen, e);
}

static int
read_local(struct backup *b, struct pg_backup *p, struct err *e)
{
	const struct conf_postgres *c = b->source->postgres;
	const struct pg_local_options o = {
		.data = b->writing.root,
		.fast = strcmp(c->checkpoint, "fast") == 0,
		.max_rate = c->rate,
		.allow_bad_pages = b->o->allow_bad_pages,
		.warn = warn,
		.stop = stopped,
		.progress = progress,
		.arg = b,
	};

	return pg_local_capture(p->sql, b->writer, &o, &p->seen, e);
}

/* ---- what the manifest says of it ---- */

static void __attribute__((format(printf, 3, 4)))
detail(struct backup *b, const char *key, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	writer_detail(b->writer, key, text);
}

/* What somebody wrote, without the passwords in it: a manifest is read by many. */
static void
note_text(struct backup *b, const char *key, const char *text)
{
	struct buf out;

	buf_init(&out, CONFIG_MAX);
	pg_conf_unsecret(text, &out);
	writer_detail(b->writer, key, buf_str(&out));
	buf_done(&out);
}

/*
 * Settings that differ from the defaults: a restored server must have at least what its primary
 * had.
 */
static void
note_settings(struct backup *b, struct pg_backup *p)
{
	static const char query[] = "SELECT name || ' ' || current_setting(name) FROM pg_settings"
				    " WHERE source NOT IN ('default', 'override', 'client', "
				    "'session', 'interactive', 'database', 'user', 'database user')"
				    " ORDER BY name";
	struct pg_rows *rows = NULL;
	struct err why = { 0 };

	if (pg_conn_exec(p->sql, query, NULL, 0, &rows, &why) == -1) {
		backup_warn(b, why.text);
		return;
	}
	for (size_t i = 0; i < pg_conn_rows(rows); i++)
		if (pg_conn_value(rows, i, 0, NULL))
			note_text(b, "setting", pg_conn_value(rows, i, 0, NULL));
	pg_conn_rows_free(rows);
}

/*
 * Configuration files that lie outside of the data directory (Debian's do), where the role may read
 * them.
 */
static void
note_config(struct backup *b, struct pg_backup *p)
{
	static const char *const file[] = { "config_file", "hba_file", "ident_file" };
	static const char query[] = "SELECT CASE WHEN current_setting($1) NOT LIKE "
				    "current_setting('data_directory') || '/%'"
				    " THEN pg_read_file(current_setting($1), 0, 262144) END";
	struct err why = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(file); i++) {
		struct pg_rows *rows = NULL;
		const char *text;
		size_t n;

		if (pg_conn_exec(p->sql, query, &file[i], 1, &rows, &why) == 0 &&
		    pg_conn_rows(rows) == 1) {
			text = pg_conn_value(rows, 0, 0, &n);
			if (text && n < CONFIG_MAX)
				note_text(b, file[i], text);
		}
		pg_conn_rows_free(rows);
	}
}

/* What a restore shows people: when the server had stopped, and how tablespaces are called. */
static void
note_names(struct backup *b, struct pg_backup *p)
{
	struct pg_rows *rows = NULL;
	struct err why = { 0 };

	if (pg_conn_row(p->sql, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
		NULL, 0, &rows, &why) == -1 ||
	    pg_conn_value_u64(rows, 0, 0, &p->stop_us, &why) != 1)
		backup_warn(b, why.text);
	pg_conn_rows_free(rows);
	rows = NULL;
	if (pg_conn_exec(p->sql,
		"SELECT oid || ' ' || spcname FROM pg_tablespace WHERE oid >= 16384", NULL, 0,
		&rows, &why) == -1)
		backup_warn(b, why.text);
	for (size_t i = 0; rows && i < pg_conn_rows(rows); i++)
		writer_detail(b->writer, "tablespace-name", pg_conn_value(rows, i, 0, NULL));
	pg_conn_rows_free(rows);
}

/*
 * Databases of the default tablespace that were there before the backup and are there yet: the
 * directory of one that the snapshot does not have is a link, which no base backup follows.
 */
static void
note_databases(struct backup *b, struct pg_backup *p)
{
	static const char query[] = "SELECT oid || ' ' || datname FROM pg_database"
				    " WHERE dattablespace = 1663"
				    " AND oid::text = ANY (string_to_array($1, ','))";
	const char *before = p->databases;
	struct pg_rows *rows = NULL;
	struct err why = { 0 };

	if (!before || pg_conn_exec(p->sql, query, &before, 1, &rows, &why) == -1)
		return;
	for (size_t i = 0; i < pg_conn_rows(rows); i++)
		writer_detail(b->writer, "database", pg_conn_value(rows, i, 0, NULL));
	pg_conn_rows_free(rows);
}

static void
find_databases(struct pg_backup *p)
{
	static const char query[] = "SELECT string_agg(oid::text, ',') FROM pg_database"
				    " WHERE dattablespace = 1663";
	struct pg_rows *rows = NULL;
	struct err why = { 0 };

	if (pg_conn_row(p->sql, query, NULL, 0, &rows, &why) == 0 && pg_conn_value(rows, 0, 0, NULL))
		p->databases = xstrdup(pg_conn_value(rows, 0, 0, NULL));
	pg_conn_rows_free(rows);
}

static void
note_server(struct backup *b, struct pg_backup *p)
{
	const struct pg_base_report *r = &p->seen;
	char lsn[LSN_TEXT];

	detail(b, "system-id", "%" PRIu64, p->id.sysid);
	detail(b, "epoch", "%" PRIu32, p->place.epoch);
	detail(b, "server-version", "%d", pg_conn_version(p->sql));
	detail(b, "segment-size", "%" PRIu64, p->segment_size);
	detail(b, "block-size", "%d", PAGE_SIZE);
	detail(b, "checksums", "%s", p->checksums ? "yes" : "no");
	detail(b, "start-lsn", "%s", lsn_text(r->start_lsn, lsn));
	detail(b, "start-timeline", "%" PRIu32, r->start_tli);
	detail(b, "stop-lsn", "%s", lsn_text(r->stop_lsn, lsn));
	detail(b, "stop-timeline", "%" PRIu32, r->stop_tli);
	detail(b, "method", "%s", p->local ? "local" : "stream");
	detail(b, "from-standby", "%s", p->id.standby ? "yes" : "no");
	detail(b, "stop-time", "%" PRIu64, p->stop_us);
	for (size_t i = 0; i < r->tablespaces; i++)
		detail(
		    b, "tablespace", "%" PRIu32 " %s", r->tablespace[i].oid, r->tablespace[i].path);
	for (size_t i = 0; i < r->bads; i++)
		detail(b, "bad-page", "%" PRIu32 " %s", r->bad[i].block, r->bad[i].file);
}

static int
capture_pg(struct backup *b, struct err *e)
{
	struct pg_backup *p = b->own;
	const struct wal_fetch_options wo = {
		.repo = b->run.session->repo,
		.tier = b->tier,
		.conn = connection(b),
		.place = p->place,
		.segment_size = (uint32_t)p->segment_size,
		.host = b->writing.host ? b->writing.host : "",
		.watch = b->run.watch,
	};
	int rc;

	if (wal_fetch_open(&wo, &p->wal, e) == -1)
		return err_in(e, "%s", b->source->name);
	find_databases(p);
	rc = p->local ? read_local(b, p, e) : read_stream(b, p, e);
	if (rc == -1)
		return err_in(e, "%s", b->source->name);
	if (rc == 1) {
		note_names(b, p);
		note_databases(b, p);
		note_server(b, p);
		note_settings(b, p);
		note_config(b, p);
	}
	b->report->entries = p->seen.entries;
	b->report->files = p->seen.files;
	return rc;
}

/* ---- the WAL ---- */

static int
settle_pg(struct backup *b, struct err *e)
{
	struct pg_backup *p = b->own;
	const struct pg_base_report *r = &p->seen;
	const struct wal_prove_range range = { r->start_tli, r->stop_tli, r->start_lsn,
		r->stop_lsn };
	uint64_t brought = 0;
	char lsn[LSN_TEXT];

	if (wal_fetch_bring(p->wal, &range, &brought, e) == -1)
		return err_in(e, "%s", b->source->name);
	/* The server needs to keep nothing for us any more. */
	wal_fetch_free(p->wal);
	p->wal = NULL;
	snprintf(b->report->note, sizeof(b->report->note), "WAL to %s", lsn_text(r->stop_lsn, lsn));
	backup_fact(b, false, "start_lsn", "%s", lsn_text(r->start_lsn, lsn));
	backup_fact(b, false, "stop_lsn", "%s", lsn_text(r->stop_lsn, lsn));
	backup_fact(b, true, "timeline", "%" PRIu32, r->stop_tli);
	backup_fact(b, true, "wal_brought", "%" PRIu64, brought);
	backup_fact(b, true, "bad_pages", "%zu", r->bads);
	backup_fact(b, false, "method", "%s", p->local ? "local" : "stream");
	return 0;
}

/* ---- a dry run ---- */

static int
look_pg(struct backup *b, struct err *e)
{
	struct pg_backup *p = b->own;
	struct pg_rows *rows = NULL;
	int rc = pg_conn_row(p->sql,
	    "SELECT coalesce(sum(pg_tablespace_size(oid)), 0), count(*) FROM pg_tablespace", NULL,
	    0, &rows, e);

	if (rc == 0 && pg_conn_value_u64(rows, 0, 0, &b->report->bytes, e) != 1)
		rc = -1;
	pg_conn_rows_free(rows);
	return rc;
}

const struct backup_kind backup_pg = {
	.kind = CONF_KIND_POSTGRES,
	.of_host = false,
	.open = open_pg,
	.capture = capture_pg,
	.settle = settle_pg,
	.look = look_pg,
	.close = close_pg,
};
