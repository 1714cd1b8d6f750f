/*
 * The record says a path, and what is there decides: a tablespace that no link of this data
 * directory leads to is somebody else's. The links tell, for a recovery that is begun again meets
 * the records that it replayed before, and what it made then is its own. Any link counts, not only
 * the one of that number: a path may have been used by one tablespace after the other.
 *
 * A record may begin in one segment and end in the next. It is short, so it begins in the last page
 * of the one before, which the server still has in pg_wal when it asks for the next.
 */
#include "job/wal/wal_guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lsn.h"
#include "base/mem.h"
#include "source/pg/pg_conf.h"
#include "source/pg/pg_walname.h"
#include "source/pg/pg_walpage.h"
#include "source/pg/pg_walrecord.h"

#define TABLESPACE 5 /* the resource manager */
#define CREATE 0x00  /* info & 0xf0; behind it the number and the path, which ends in a zero */
#define NUMBER 4
#define AUTO_FILE "postgresql.auto.conf"
#define CONFIG_MAX (4u << 20)
#define RECORD_MOST 2048 /* header, number and the longest path a server takes, and then some */
#define LINES 4 /* timelines on which a segment is fetched that is not in pg_wal any more */
#define LINKS "pg_tblspc"

struct look {
	const struct wal_guard *g;
	int64_t prepared; /* the most that the log gives the server; 0: it says nothing */
	bool refused;
	struct err why;
};

/* ---- whose is it? ---- */

/* Is there a tablespace, or can that not be seen? Its name into out. */
static bool
holds(const char *path, char out[NAME_MAX + 1])
{
	DIR *d = opendir(path);
	const struct dirent *de;
	bool found = false;

	*out = '\0';
	if (!d)
		return errno != ENOENT && errno != ENOTDIR;
	while (!found && (de = readdir(d)) != NULL)
		if (strncmp(de->d_name, "PG_", 3) == 0) {
			snprintf(out, NAME_MAX + 1, "%s", de->d_name);
			found = true;
		}
	closedir(d);
	return found;
}

/* Does a link of this data directory lead to just that path? */
static bool
is_ours(const struct wal_guard *g, const char *path)
{
	char *links = xasprintf("%s/" LINKS, g->data), to[PATH_MAX];
	DIR *d = opendir(links);
	const struct dirent *de;
	bool ours = false;

	while (d && !ours && (de = readdir(d)) != NULL) {
		ssize_t n = readlinkat(dirfd(d), de->d_name, to, sizeof(to) - 1);

		if (n == -1)
			continue;
		to[n] = '\0';
		ours = strcmp(to, path) == 0;
	}
	if (d)
		closedir(d);
	free(links);
	return ours;
}

static void
refuse(struct look *l, uint32_t oid, const char *path, const char *there, uint64_t lsn)
{
	struct err *e = &l->why;
	char at[LSN_TEXT];

	l->refused = true;
	lsn_text(lsn, at);
	if (l->g->confined)
		err_set(e, ERR_REFUSED, "the log makes tablespace %" PRIu32 " at %s, in '%s': a proof "
		    "writes nowhere but in its own directory", oid, at, path);
	else
		err_set(e, ERR_REFUSED, "the log makes tablespace %" PRIu32 " at %s, in '%s', where one "
		    "is already that is not of this data directory: its files would be overwritten",
		    oid, at, path);
	if (*there)
		err_line(e, "checked", "'%s' is there, and no link in " LINKS " leads to it", there);
	err_line(e, "fix", "a base backup that is newer, `ffdr backup %s`: its restore puts "
	    "each tablespace where --tablespace says", l->g->source ? l->g->source : "SOURCE");
	err_line(e, "or", "restore on a host that has nothing there; or end before it: --at %s "
	    "--before", at);
	if (!l->g->confined)
		err_line(e, "or", "where no server uses it any more, move what is in it aside, and "
		    "start this one again");
}

static void
note(const struct wal_guard *g, uint32_t oid, uint64_t lsn, const char *path)
{
	char *file = xasprintf("%s/" WAL_GUARD_NOTE, g->data), at[LSN_TEXT];
	char *text = xasprintf("%" PRIu32 " %s %s\n", oid, lsn_text(lsn, at), path);

	(void)!file_put(AT_FDCWD, file, text, strlen(text), 0600, FILE_REPLACE, NULL);
	free(text);
	free(file);
}

/* ---- settings ---- */

static bool
take_prepared(void *arg, const struct pg_conf_line *l)
{
	int64_t *value = arg;

	if (pg_conf_line_is(l, WAL_GUARD_PREPARED))
		*value = strtoll(buf_str(&l->value), NULL, 10);
	return false;
}

/* The file's text, and what it says last, where it says it. */
static void
read_conf(const char *data, const char *name, struct buf *text, int64_t *value)
{
	char *path = xasprintf("%s/%s", data, name);
	struct buf copy;

	buf_init(&copy, CONFIG_MAX);
	if (file_get(AT_FDCWD, path, text, NULL) == 0)
		pg_conf_filter(buf_str(text), text->len, false, take_prepared, value, &copy);
	buf_done(&copy);
	free(path);
}

int
wal_guard_prepare(const char *data, int64_t least, int64_t value, struct err *e)
{
	char *path = xasprintf("%s/" AUTO_FILE, data), number[24];
	int64_t has = 0;
	struct buf text;
	struct stat st;
	int rc = 0;

	buf_init(&text, CONFIG_MAX);
	read_conf(data, "postgresql.conf", &text, &has);
	buf_reset(&text);
	read_conf(data, AUTO_FILE, &text, &has); /* which the server reads last */
	if (value > has && value > least) {
		snprintf(number, sizeof(number), "%" PRId64, value);
		pg_conf_set(&text, WAL_GUARD_PREPARED, number);
		rc = buf_check(&text, AUTO_FILE, e);
		if (rc == 0 && stat(path, &st) == -1)
			rc = err_sys(e, "'%s'", path);
		if (rc == 0 && file_put(AT_FDCWD, path, text.data, text.len, 0600, FILE_REPLACE, e) == -1)
			rc = -1;
		if (rc == 0 && geteuid() == 0 && chown(path, st.st_uid, st.st_gid) == -1)
			rc = err_sys(e, "give '%s' to its owner", path);
		rc = rc == -1 ? -1 : 1;
	}
	buf_done(&text);
	free(path);
	return rc;
}

static bool
take_target(void *arg, const struct pg_conf_line *l)
{
	static const char *const aims[] = { "recovery_target", "recovery_target_lsn",
		"recovery_target_time", "recovery_target_name", "recovery_target_xid",
		"recovery_target_inclusive", "recovery_target_timeline" };
	struct buf *all = arg;

	for (size_t i = 0; i < ARRAY_LEN(aims); i++)
		if (l->value.len > 0 && pg_conf_line_is(l, aims[i]))
			buf_addf(all, "%s%s", all->len > 0 ? " " : "", buf_str(&l->value));
	return false;
}

bool
wal_guard_aims(const char *data, const char *target)
{
	char *path = xasprintf("%s/" AUTO_FILE, data);
	struct buf text, copy, has;
	bool aims;

	buf_init(&text, CONFIG_MAX);
	buf_init(&copy, CONFIG_MAX);
	buf_init(&has, CONFIG_MAX);
	if (file_get(AT_FDCWD, path, &text, NULL) == 0)
		pg_conf_filter(buf_str(&text), text.len, false, take_target, &has, &copy);
	aims = strcmp(buf_str(&has), target) == 0;
	buf_done(&has);
	buf_done(&copy);
	buf_done(&text);
	free(path);
	return aims;
}

static bool
is_replayed(const struct wal_guard *g, const struct pg_walrecord *r)
{
	return r->start >= g->from && (g->to == 0 || r->start < g->to);
}

/* ---- records ---- */

static int
see(void *arg, const struct pg_walrecord *r, struct err *e)
{
	struct look *l = arg;
	const struct wal_guard *g = l->g;
	char there[NAME_MAX + 1] = "";
	int64_t prepared;
	const char *path;
	uint32_t oid;

	(void)e;
	if (!is_replayed(g, r))
		return 0;
	if (pg_walrecord_prepared(r, &prepared) == 1 && prepared > l->prepared)
		l->prepared = prepared;
	if (r->rmgr != TABLESPACE || (r->info & 0xf0) != CREATE || r->data_len <= NUMBER ||
	    !memchr(r->data + NUMBER, '\0', r->data_len - NUMBER))
		return 0;
	oid = buf_get_u32(r->data);
	path = (const char *)r->data + NUMBER;
	/* Without a path it lies in the data directory itself. */
	if (!*path || (!g->confined && (!holds(path, there) || is_ours(g, path))))
		return 0;
	refuse(l, oid, path, there, r->start);
	if (g->confined)
		note(g, oid, r->start, path);
	return 1;
}

/* ---- walking ---- */

/* From `at` on, with the page before it where `page` is not NULL. -1 when it cannot be read so. */
static int
walk(struct look *l, const uint8_t *page, uint64_t at, const uint8_t *bytes, size_t n)
{
	const struct pg_walrecord_options o = {
		.lsn = page ? at - PG_WALPAGE_LEN : at,
		.seg_size = l->g->segment_size,
		.wanted = UINT64_C(1) << TABLESPACE | UINT64_C(1) << PG_WALRECORD_XLOG,
	};
	struct pg_walrecords *w = pg_walrecord_new(&o, see, l);
	int rc = page ? pg_walrecord_feed(w, page, PG_WALPAGE_LEN, NULL) : 0;

	if (rc == 0)
		rc = pg_walrecord_feed(w, bytes, n, NULL);
	pg_walrecord_free(w);
	return rc;
}

/* Does that page end in what this segment begins with? */
static bool
joins(const uint8_t *page, uint64_t start, const uint8_t *bytes, uint32_t segment_size)
{
	const struct pg_walrecord_options o = { .lsn = start - PG_WALPAGE_LEN, .seg_size = segment_size };
	struct pg_walrecords *w = pg_walrecord_new(&o, NULL, NULL);
	bool does = pg_walrecord_feed(w, page, PG_WALPAGE_LEN, NULL) == 0 &&
	    pg_walrecord_feed(w, bytes, PG_WALPAGE_LEN, NULL) != -1;

	pg_walrecord_free(w);
	return does;
}

/* The last page of that segment as pg_wal has it. */
static bool
page_here(const struct wal_guard *g, uint32_t tli, uint64_t start, struct buf *out)
{
	char name[PG_WALNAME_TEXT];
	char *file = xasprintf("%s/pg_wal/%s", g->data,
	    pg_walname_segment(tli, start, g->segment_size, name));
	bool got;

	buf_reset(out);
	got = file_get_range(AT_FDCWD, file, g->segment_size - PG_WALPAGE_LEN, PG_WALPAGE_LEN, out,
		NULL) == 0;
	free(file);
	return got;
}

/* As it comes from elsewhere: 1, 0, -1. */
static int
page_there(const struct wal_guard *g, uint32_t tli, uint64_t start, struct buf *out, struct err *e)
{
	int got;

	buf_reset(out);
	got = g->fetch(g->arg, tli, start, out, e);
	if (got != 1 || out->len != g->segment_size)
		return got == -1 ? -1 : 0;
	memmove(out->data, out->data + g->segment_size - PG_WALPAGE_LEN, PG_WALPAGE_LEN);
	out->len = PG_WALPAGE_LEN;
	return 1;
}

/* On this timeline, or one before it, where the segment is the first of a new one. */
static int
page_before(const struct wal_guard *g, uint32_t tli, uint64_t start, const struct buf *bytes,
    struct buf *page, struct err *e)
{
	const uint64_t before = start - g->segment_size;
	int got = 0;

	for (uint32_t t = tli; t > 0; t--)
		if (page_here(g, t, before, page) &&
		    joins(page->data, start, bytes->data, g->segment_size))
			return 1;
	for (uint32_t t = tli; g->fetch && t > 0 && t + LINES > tli && got == 0; t--) {
		got = page_there(g, t, before, page, e);
		if (got == 1 && !joins(page->data, start, bytes->data, g->segment_size))
			got = 0;
	}
	return got;
}

static int
judge(struct look *l, const struct pg_walname *n, const struct buf *bytes, struct err *e)
{
	const struct wal_guard *g = l->g;
	uint64_t start, skip = 0;
	struct pg_walpage first;
	struct buf page;
	int got = 0;

	if (pg_walname_start(n, g->segment_size, &start, e) == -1)
		return -1;
	if (bytes->len != g->segment_size || pg_walpage_read(bytes->data, bytes->len, &first, NULL) != 1)
		return 0;
	if (g->from > start)
		skip = (g->from - start) / PG_WALPAGE_LEN * PG_WALPAGE_LEN;
	if (skip >= g->segment_size || (g->to > 0 && g->to <= start && first.rest == 0))
		return 0;
	buf_init(&page, g->segment_size);
	if (g->from < start && start > 0 && first.rest > 0 && first.rest <= RECORD_MOST)
		got = page_before(g, n->timeline, start, bytes, &page, e);
	if (got != -1)
		walk(l, got == 1 ? page.data : NULL, start + skip, bytes->data + skip, bytes->len - skip);
	buf_done(&page);
	return got == -1 ? err_in(e, "a record that begins in the segment before") : 0;
}

char *
wal_guard_data(const char *path)
{
	const char *end = strrchr(path, '/');
	char *data, *links;
	struct stat st;

	if (!end) {
		data = xstrdup("..");
	} else {
		while (end > path && *--end != '/')
			;
		data = *end == '/' ? xasprintf("%.*s/", (int)(end - path), path) : xstrdup(".");
	}
	links = xasprintf("%s/" LINKS, data);
	if (stat(links, &st) == -1 || !S_ISDIR(st.st_mode)) {
		free(data);
		data = NULL;
	}
	free(links);
	return data;
}

int
wal_guard_judge(const struct wal_guard *g, const char *name, const char *path, int64_t *raised,
    struct err *e)
{
	struct look l = { .g = g };
	struct pg_walname n;
	struct buf bytes;
	int rc;

	if (pg_walname_parse(name, &n) != PG_WALNAME_SEGMENT)
		return 0;
	buf_init(&bytes, g->segment_size);
	rc = file_get(AT_FDCWD, path, &bytes, e);
	if (rc == 0)
		rc = judge(&l, &n, &bytes, e);
	if (rc == 0 && l.refused) {
		*e = l.why;
		rc = -1;
	}
	buf_done(&bytes);
	if (rc == 0 && g->prepared >= 0 && l.prepared > 0) {
		rc = wal_guard_prepare(g->data, g->prepared, l.prepared, e);
		if (rc == 1 && raised)
			*raised = l.prepared;
	}
	return rc == -1 ? -1 : 0;
}
