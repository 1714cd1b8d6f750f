/*
 * The server is told that a backup begins, its files are read while it goes on writing them, it is
 * told that the backup ends, and what it then says (backup_label, tablespace_map) goes into the
 * snapshot byte for byte. The WAL between the two makes the files whole. pg_control is read last,
 * for on a standby it says how far the replay must go.
 *
 * The connection is held from the first call to the second: when it breaks, the server has ended
 * the backup by itself.
 */
#include "source/pg/pg_local.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "source/pg/pg_control.h"
#include "source/pg/pg_dir.h"
#include "source/pg/pg_label.h"
#include "source/pg/pg_local_parts.h"

#define SMALL (64u << 10) /* no file of the server that we look into is longer */
struct facts {
	uint64_t sysid;
	uint64_t bytes;	   /* of all databases */
	uint32_t major;
	bool standby;
};

void
pg_local_warn(struct local *l, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = xstrdup(fmt);
	va_end(ap);
	l->report->warnings++;
	l->o->warn(l->o->arg, text);
	free(text);
}

static int
ask(struct pg_conn *c, struct local *l, struct facts *f, struct err *e)
{
	static const char query[] =
	    "SELECT (SELECT system_identifier FROM pg_control_system()),"
	    " (SELECT coalesce(sum(pg_tablespace_size(oid)), 0) FROM pg_tablespace WHERE spcname "
	    "<> 'pg_global'),"
	    " pg_is_in_recovery()::int, current_setting('data_checksums') = 'on'";
	struct pg_rows *r = NULL;
	uint64_t standby;
	int rc = -1;

	if (pg_conn_row(c, query, NULL, 0, &r, e) == -1)
		return -1;
	if (pg_conn_value_u64(r, 0, 0, &f->sysid, e) == 1 &&
	    pg_conn_value_u64(r, 0, 1, &f->bytes, e) == 1 &&
	    pg_conn_value_u64(r, 0, 2, &standby, e) == 1) {
		f->standby = standby == 1;
		f->major = (uint32_t)pg_conn_version(c) / 10000;
		l->checksums = strcmp(pg_conn_value(r, 0, 3, NULL), "t") == 0;
		rc = 0;
	}
	pg_conn_rows_free(r);
	return rc;
}

static int
begin(struct pg_conn *c, struct local *l, uint32_t major, struct err *e)
{
	const char *label = l->o->label ? l->o->label : "ffdr";
	const char *const param[] = { label, l->o->fast ? "true" : "false" };
	struct pg_rows *r = NULL;
	int rc;

	rc = pg_conn_row(c,
	    major < 15 ? "SELECT pg_start_backup($1, $2::boolean, false)" :
			 "SELECT pg_backup_start($1, $2::boolean)",
	    param, ARRAY_LEN(param), &r, e);
	if (rc == 0 && pg_conn_value_lsn(r, 0, 0, &l->report->start_lsn, e) != 1)
		rc = -1;
	pg_conn_rows_free(r);
	return rc;
}

static int
finish(struct pg_conn *c, struct local *l, uint32_t major, struct err *e)
{
	struct pg_base_report *report = l->report;
	struct pg_label label;
	struct pg_rows *r = NULL;
	const char *text;
	size_t n;
	int rc = -1;

	if (pg_conn_row(c,
		major < 15 ? "SELECT lsn, labelfile, spcmapfile FROM pg_stop_backup(false, false)" :
			     "SELECT lsn, labelfile, spcmapfile FROM pg_backup_stop(false)",
		NULL, 0, &r, e) == -1)
		return -1;
	if (pg_conn_value_lsn(r, 0, 0, &report->stop_lsn, e) != 1)
		goto out;
	text = pg_conn_value(r, 0, 1, &n);
	buf_add(&report->label, text, n);
	text = pg_conn_value(r, 0, 2, &n);
	if (text)
		buf_add(&report->map, text, n);
	if (pg_label_parse((const char *)report->label.data, report->label.len, &label, e) == -1)
		goto out;
	report->start_tli = label.start_tli;
	rc = 0;
out:
	pg_conn_rows_free(r);
	return rc;
}

static int
stop_timeline(
    struct pg_conn *c, const struct facts *f, struct pg_base_report *report, struct err *e)
{
	struct pg_rows *r = NULL;
	uint64_t tli = 0;
	int rc;

	rc = pg_conn_row(c,
	    f->standby ? "SELECT min_recovery_end_timeline FROM pg_control_recovery()" :
			 "SELECT timeline_id FROM pg_control_checkpoint()",
	    NULL, 0, &r, e);
	if (rc == 0 && pg_conn_value_u64(r, 0, 0, &tli, e) != 1)
		rc = -1;
	pg_conn_rows_free(r);
	/* 0: a standby that has not replayed anything since its start is where it was. */
	report->stop_tli = tli ? (uint32_t)tli : report->start_tli;
	return rc;
}

static int
judge(const struct local *l, struct err *e)
{
	const struct pg_base_report *r = l->report;

	if (!r->damaged || l->o->allow_bad_pages)
		return 0;
	err_set(e, ERR_CORRUPT,
	    "%zu page%s of this database have a wrong checksum: no backup was made", r->bads,
	    r->bads == 1 ? "" : "s");
	err_line(e, "checked", "'%s' page %" PRIu32 " first", r->bad[0].file, r->bad[0].block);
	return err_line(
	    e, "fix", "mend the database, or keep what there is with --allow-bad-pages");
}

/* What comes after the last file: what the server says at the end, and our manifest. */
static int
close_up(struct pg_conn *c, struct local *l, const struct facts *f, struct err *e)
{
	struct pg_base_report *r = l->report;

	if (pg_local_file(l, l->root, PG_CONTROL_FILE, PG_CONTROL_FILE, e) == -1 ||
	    writer_settle(l->w, e) == -1 || stop_timeline(c, f, r, e) == -1 ||
	    finish(c, l, f->major, e) == -1)
		return -1;
	if (judge(l, e) == -1)
		return -1;
	if (pg_local_file_text(l, PG_LABEL_FILE, r->label.data, r->label.len, e) == -1)
		return -1;
	if (r->map.len > 0 &&
	    pg_local_file_text(l, PG_LABEL_MAP_FILE, r->map.data, r->map.len, e) == -1)
		return -1;
	if (pg_manifest_end(&l->manifest, r->start_tli, r->start_lsn, r->stop_lsn, e) == -1)
		return -1;
	r->manifest_bytes = l->manifest.text.len;
	return pg_local_file_text(
	    l, PG_MANIFEST_FILE, l->manifest.text.data, l->manifest.text.len, e);
}

int
pg_local_capture(struct pg_conn *c, struct writer *w, const struct pg_local_options *o,
    struct pg_base_report *ret, struct err *e)
{
	struct local l = { .w = w, .o = o, .report = ret, .root = -1 };
	struct facts f = { 0 };
	int rc = -1;

	*ret = (struct pg_base_report){ 0 };
	buf_init(&ret->label, SMALL);
	buf_init(&ret->map, SMALL);
	if (ask(c, &l, &f, e) == -1)
		goto out;
	pg_manifest_begin(&l.manifest, f.major >= 17 ? f.sysid : 0);
	l.total = ret->estimated = f.bytes;
	l.root = open(o->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l.root == -1) {
		err_sys(e, "data directory '%s'", o->data);
		goto out;
	}
	if (pg_dir_check(c, o->data, e) == -1 || begin(c, &l, f.major, e) == -1)
		goto out;
	rc = pg_local_tree(&l, f.major, e);
	/* What is still being read tells us when it is done: not after we have gone. */
	if ((rc == 1 && close_up(c, &l, &f, e) == -1) || (rc == 0 && writer_settle(w, e) == -1))
		rc = -1;
out:
	if (l.root != -1)
		close(l.root);
	pg_manifest_done(&l.manifest);
	return rc;
}
