/*
 * A base backup as the server sends it, into a writer. The server decides what belongs to it and in
 * which order; we add what no archive has: the data directory itself and the directories that stand
 * for tablespaces. Nothing is taken on trust that can be counted: every archive announced must come
 * once, the manifest must agree with its own sum, behind the end of a tar there may only be zeros.
 *
 * A page with a wrong checksum is no secret of the server's: it names the first five of a file as
 * they pass, and fails at the very end. Whoever allows them gets the backup and their names.
 */
#include "source/pg/pg_base.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "source/pg/pg_base_manifest.h"
#include "source/pg/pg_base_tar.h"
#include "source/pg/pg_base_wire.h"
#include "source/pg/pg_conn_parts.h"
#include "source/pg/pg_label.h"
#include "source/pg/pg_manifest.h"
#include "source/pg/pg_remark.h"

/* What a server takes (MAXPGPATH), less some room. */
#define LABEL_MAX 1000
/* MAX_RATE, in its own KiB. */
#define RATE_LEAST 32
#define RATE_MOST 1048576
/* Bytes between two looks at the clock and the outside. */
#define BREATH (16u << 20)
/* A label or a map larger than that is none. */
#define SMALL_FILE (1u << 20)
/* Bad pages remembered by name. */
#define BADS_MAX 1000

struct base {
	struct pg_conn *c;
	struct writer *w;
	const struct pg_base_options *o;
	struct pg_base_report *ret;
	struct pg_base_wire wire;
	struct pg_base_tar tar;
	bool *came; /* of each place: its archive */
	bool manifest_came;
	bool late;
	uint32_t dir_mode;
	uint64_t streamed, breath;
};

/* ---- the command ---- */

static int
check_options(const struct pg_base_options *o, struct err *e)
{
	const uint64_t rate = o->max_rate / 1024;
	const char *p;

	if (o->max_rate > 0 && (rate < RATE_LEAST || rate > RATE_MOST))
		return err_set(e, ERR_USAGE,
		    "a rate of %" PRIu64 " bytes a second, expected 32k to 1g", o->max_rate);
	for (p = o->label ? o->label : ""; *p; p++)
		if (iscntrl((unsigned char)*p))
			return err_set(
			    e, ERR_USAGE, "the label of a backup has a control character");
	if (o->label && p - o->label > LABEL_MAX)
		return err_set(
		    e, ERR_USAGE, "the label of a backup has more than %d bytes", LABEL_MAX);
	return 0;
}

/* A word of the old grammar, a pair of the new one. */
static void
option(struct buf *b, bool paren, const char *old, const char *name, const char *value)
{
	if (!paren && old)
		buf_addf(b, " %s", old);
	else if (!paren)
		buf_addf(b, " %s %s", name, value);
	else
		buf_addf(b, "%s%s %s", b->data[b->len - 1] == '(' ? "" : ", ", name, value);
}

static void
make_command(const struct pg_base_options *o, bool paren, struct buf *b)
{
	struct buf label;
	char rate[24];

	buf_init(&label, SIZE_MAX / 2);
	buf_addc(&label, '\'');
	for (const char *p = o->label ? o->label : "ffdr"; *p; p++) {
		if (*p == '\'')
			buf_addc(&label, '\'');
		buf_addc(&label, *p);
	}
	buf_addc(&label, '\'');
	buf_adds(b, paren ? "BASE_BACKUP (" : "BASE_BACKUP");
	option(b, paren, NULL, "LABEL", buf_str(&label));
	option(b, paren, "PROGRESS", "PROGRESS", "true");
	if (o->fast)
		option(b, paren, "FAST", "CHECKPOINT", "'fast'");
	/* The WAL is ours to see to. */
	option(b, paren, "NOWAIT", "WAIT", "false");
	if (o->max_rate > 0) {
		snprintf(rate, sizeof(rate), "%" PRIu64, o->max_rate / 1024);
		option(b, paren, NULL, "MAX_RATE", rate);
	}
	option(b, paren, "TABLESPACE_MAP", "TABLESPACE_MAP", "true");
	if (o->no_verify)
		option(b, paren, "NOVERIFY_CHECKSUMS", "VERIFY_CHECKSUMS", "false");
	option(b, paren, NULL, "MANIFEST", "'yes'");
	/*
	 * The ids of the grains vouch for the bytes. SHA-256 of every file as well takes as much of
	 * the server's one process for the backup as all else that it does.
	 */
	option(b, paren, NULL, "MANIFEST_CHECKSUMS", "'CRC32C'");
	if (paren)
		buf_addc(b, ')');
	buf_done(&label);
}

/* ---- what the server remarks ---- */

static void
warn(struct base *b, const char *text)
{
	b->ret->warnings++;
	b->o->warn(b->o->arg, text);
}

static void
note_bad(struct pg_base_report *r, const char *message)
{
	size_t at, len;
	uint32_t block;

	if (r->bads >= BADS_MAX || !pg_remark_bad_page(message, &at, &len, &block))
		return;
	r->bad = mem_grow(r->bad, &r->bad_room, r->bads + 1, sizeof(*r->bad));
	r->bad[r->bads++] =
	    (struct pg_base_bad){ .file = xstrndup(message + at, len), .block = block };
}

static void
remark(void *arg, const char *message, const char *detail)
{
	struct base *b = arg;
	char *text = xasprintf("postgres at %s: %s%s%s", pg_conn_place(b->c), message,
	    detail ? ": " : "", detail ? detail : "");

	note_bad(b->ret, message);
	warn(b, text);
	free(text);
}

/* ---- bytes ---- */

static int
breathe(struct base *b, struct err *e)
{
	const uint64_t total = b->ret->estimated;

	b->breath = b->streamed;
	b->o->progress(b->o->arg, total > 0 && b->streamed > total ? total : b->streamed, total);
	if (b->o->stop(b->o->arg))
		return err_set(e, ERR_CANCELLED, "stopped; nothing was committed");
	b->late = writer_late(b->w);
	return b->late ? err_set(e, ERR_CANCELLED, "the run takes too long") : 0;
}

static int
next_bytes(void *arg, const uint8_t **data, size_t *n, struct err *e)
{
	struct base *b = arg;
	const int r = pg_base_wire_chunk(&b->wire, data, n, e);

	if (r != 1)
		return r;
	b->streamed += *n;
	if (b->streamed - b->breath >= BREATH && breathe(b, e) == -1)
		return -1;
	return 1;
}

static struct buf *
copy_of(void *arg, const char *path)
{
	struct base *b = arg;

	if (strcmp(path, PG_LABEL_FILE) == 0)
		return &b->ret->label;
	return strcmp(path, PG_LABEL_MAP_FILE) == 0 ? &b->ret->map : NULL;
}

/* ---- parts ---- */

/* After the end of a tar there may be zeros; members that nobody saw may not. */
static int
pass_over(struct base *b, struct err *e)
{
	const uint8_t *data;
	size_t n;
	int r;

	while ((r = next_bytes(b, &data, &n, e)) == 1)
		if (data[0] != 0 || memcmp(data, data + 1, n - 1) != 0)
			return err_set(
			    e, ERR_CORRUPT, "an archive of the base backup goes on behind its end");
	return r;
}

static int
take_archive(struct base *b, struct err *e)
{
	const uint32_t oid = b->wire.oid;
	char under[32];
	size_t i;

	for (i = 0; b->wire.place[i].oid != oid; i++)
		continue;
	if (b->came[i])
		return err_set(
		    e, ERR_CORRUPT, "the base backup has tablespace %" PRIu32 " twice", oid);
	b->came[i] = true;
	snprintf(under, sizeof(under), "pg_tblspc/%" PRIu32, oid);
	if (pg_base_tar_read(&b->tar, oid ? under : NULL, e) == -1)
		return -1;
	return pass_over(b, e);
}

static int
take_manifest(struct base *b, struct err *e)
{
	struct entry en = { .type = ENTRY_FILE,
		.path = PG_MANIFEST_FILE,
		.pathlen = strlen(PG_MANIFEST_FILE),
		.mode = 0600,
		.uid = b->tar.uid,
		.gid = b->tar.gid,
		.mtime_s = b->tar.mtime_s,
		.ctime_s = b->tar.mtime_s };
	struct pg_base_manifest m;
	const struct entry *parent;
	const uint8_t *data;
	size_t n;
	int rc = -1;

	if (b->manifest_came)
		return err_set(e, ERR_CORRUPT, "the base backup has two manifests");
	b->manifest_came = true;
	if (writer_begin(b->w, &en, &parent, e) == -1)
		return -1;
	pg_base_manifest_begin(&m);
	while ((rc = next_bytes(b, &data, &n, e)) == 1) {
		pg_base_manifest_add(&m, data, n);
		if (pg_base_tar_put(b->w, data, n, e) == -1) {
			rc = -1;
			break;
		}
	}
	en.size = b->ret->manifest_bytes = m.bytes;
	if (rc == 0)
		rc = pg_base_manifest_check(&m, e);
	pg_base_manifest_done(&m);
	if (rc == -1 && !b->late)
		return -1;
	b->tar.entries++;
	b->tar.files++;
	b->tar.bytes += m.bytes;
	return writer_end(b->w, &en, rc == -1 ? NULL : e) == -1 ? -1 : rc;
}

static int
add_directory(struct base *b, const char *path, struct err *e)
{
	const struct entry en = { .type = ENTRY_DIR, .path = path, .pathlen = strlen(path),
		.mode = b->dir_mode, .uid = b->tar.uid, .gid = b->tar.gid,
		.mtime_s = b->tar.mtime_s, .ctime_s = b->tar.mtime_s };
	const struct entry *parent;

	b->tar.entries++;
	return writer_begin(b->w, &en, &parent, e) == -1 ? -1 : writer_end(b->w, &en, e);
}

/* What the server has not sent, because a restored cluster makes it or names it otherwise. */
static int
add_directories(struct base *b, struct err *e)
{
	char path[32];

	if (add_directory(b, ".", e) == -1)
		return -1;
	for (size_t i = 0; i < b->wire.places; i++) {
		if (b->wire.place[i].oid == 0)
			continue;
		snprintf(path, sizeof(path), "pg_tblspc/%" PRIu32, b->wire.place[i].oid);
		if (add_directory(b, path, e) == -1)
			return -1;
	}
	return 0;
}

static int
take_parts(struct base *b, struct err *e)
{
	int r;

	while ((r = pg_base_wire_next(&b->wire, e)) == 1)
		if ((b->wire.manifest ? take_manifest(b, e) : take_archive(b, e)) == -1)
			return -1;
	if (r == -1)
		return -1;
	for (size_t i = 0; i < b->wire.places; i++)
		if (!b->came[i])
			return err_set(e, ERR_CORRUPT,
			    "the base backup lacks an archive that was announced, of '%s'",
			    b->wire.place[i].oid ? b->wire.place[i].path : "the data directory");
	if (!b->manifest_came || b->ret->label.len == 0)
		return err_set(e, ERR_CORRUPT, "the base backup has no %s",
		    b->manifest_came ? PG_LABEL_FILE : "manifest");
	return add_directories(b, e);
}

/* ---- all of it ---- */

/* The mode that the server gives to directories, which it does not send for the one it lives in. */
static int
find_mode(struct base *b, struct err *e)
{
	char mode[PG_CONN_SETTING], *rest;

	if (pg_conn_show(b->c, "data_directory_mode", mode, e) == -1)
		return -1;
	b->dir_mode = (uint32_t)strtoul(mode, &rest, 8);
	if (*rest || b->dir_mode == 0 || b->dir_mode > 07777)
		return err_set(e, ERR_CORRUPT, "postgres at %s: '%.20s' is no mode of a directory",
		    pg_conn_place(b->c), mode);
	return 0;
}

static void
note_places(struct base *b)
{
	struct pg_base_report *r = b->ret;

	r->start_lsn = b->wire.start_lsn;
	r->start_tli = b->wire.start_tli;
	r->tablespace = xcalloc(b->wire.places, sizeof(*r->tablespace));
	for (size_t i = 0; i < b->wire.places; i++) {
		const struct pg_base_wire_place *p = &b->wire.place[i];

		r->estimated += p->size;
		if (p->oid != 0)
			r->tablespace[r->tablespaces++] = (struct pg_base_tablespace){
				.oid = p->oid, .path = xstrdup(p->path), .size = p->size };
	}
	b->came = xcalloc(b->wire.places, sizeof(*b->came));
}

/* The server's last word. */
static int
take_end(struct base *b, struct err *e)
{
	const int r = pg_base_wire_end(&b->wire, e);

	b->ret->stop_lsn = b->wire.stop_lsn;
	b->ret->stop_tli = b->wire.stop_tli;
	if (r != 0)
		return r == 1 ? 0 : -1;
	b->ret->damaged = true;
	if (b->o->allow_bad_pages) {
		warn(b, e->text);
		err_clear(e);
		return 0;
	}
	for (size_t i = 0; i < b->ret->bads && i < 3; i++)
		err_line(
		    e, "page", "%s, block %" PRIu32, b->ret->bad[i].file, b->ret->bad[i].block);
	return -1;
}

static int
run(struct base *b, const char *command, struct err *e)
{
	if (find_mode(b, e) == -1 || pg_base_wire_start(&b->wire, b->c, command, e) == -1)
		return -1;
	note_places(b);
	b->o->progress(b->o->arg, 0, b->ret->estimated);
	if (take_parts(b, e) == -1) {
		pg_base_wire_reason(&b->wire, e);
		return -1;
	}
	return take_end(b, e);
}

int
pg_base_stream(struct pg_conn *c, struct writer *w, const struct pg_base_options *o,
    struct pg_base_report *ret, struct err *e)
{
	struct base b = { .c = c, .w = w, .o = o, .ret = ret };
	const struct pg_conn before = *c;
	struct buf command;
	struct err why;
	int rc;

	*ret = (struct pg_base_report){ 0 };
	buf_init(&ret->label, SMALL_FILE);
	buf_init(&ret->map, SMALL_FILE);
	if (!c->replication)
		return err_set(e, ERR_BUG, "a base backup needs a replication connection");
	if (check_options(o, e) == -1)
		return -1;
	b.tar = (struct pg_base_tar){ .w = w, .next = next_bytes, .copy = copy_of, .arg = &b,
		.late = &b.late };
	c->stop = o->stop;
	c->arg = o->arg;
	c->remark = remark;
	c->remark_arg = &b;
	buf_init(&command, SIZE_MAX / 2);
	make_command(o, pg_conn_version(c) >= 150000, &command);
	err_clear(&why);
	rc = run(&b, buf_str(&command), &why) == 0 ? 1 : b.late ? 0 : -1;
	if (rc == -1)
		*e = why;
	pg_base_wire_done(&b.wire);
	if (rc != 1)
		pg_conn_cancel(c);
	c->stop = before.stop;
	c->arg = before.arg;
	c->remark = before.remark;
	c->remark_arg = before.remark_arg;
	ret->entries = b.tar.entries;
	ret->files = b.tar.files;
	ret->bytes = b.tar.bytes;
	buf_done(&command);
	free(b.came);
	return rc;
}

void
pg_base_report_done(struct pg_base_report *r)
{
	for (size_t i = 0; i < r->tablespaces; i++)
		free(r->tablespace[i].path);
	for (size_t i = 0; i < r->bads; i++)
		free(r->bad[i].file);
	free(r->tablespace);
	free(r->bad);
	buf_done(&r->label);
	buf_done(&r->map);
	*r = (struct pg_base_report){ 0 };
}
