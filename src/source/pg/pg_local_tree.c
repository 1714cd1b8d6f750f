/*
 * The data directory and its tablespaces, as the server itself would send them. A tablespace is a
 * symbolic link to elsewhere; in the snapshot its tree stands at the place of the link, so that it
 * can be restored anywhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "source/pg/pg_control.h"
#include "source/pg/pg_local_parts.h"
#include "source/pg/pg_skip.h"
#include "source/walk.h"

#define SPACES "pg_tblspc"
#define BREATH 64 /* entries between two looks at the outside */

/* A walk through one root: the data directory, or a tablespace. */
struct stroll {
	struct local *l;
	char *under;  /* "" or "pg_tblspc/OID": put before each path */
	char *only;   /* NULL, or the one directory of the root that is ours */
	char *closed; /* of this directory nothing more is taken; NULL: none */
	unsigned since_breath;
};

static int
take_dir(struct local *l, const char *path, const struct stat *st, struct err *e)
{
	struct entry meta = {
		.type = ENTRY_DIR,
		.path = path,
		.pathlen = strlen(path),
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime_s = st->st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
	};
	const struct entry *was;

	l->report->entries++;
	return writer_begin(l->w, &meta, &was, e) == -1 ? -1 : writer_end(l->w, &meta, e);
}

/* Does NAME_init stand beside it? Then the relation is unlogged: the server empties it at its
 * start. */
static bool
is_unlogged(const struct walk_entry *en, const char *path)
{
	size_t name_at, digits = pg_skip_unlogged(path, strlen(path), &name_at);
	char init[64];

	if (digits == 0 || digits > 32)
		return false;
	snprintf(init, sizeof(init), "%.*s_init", (int)digits, path + name_at);
	return faccessat(en->dirfd, init, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool
is_below(const char *path, const char *dir)
{
	const size_t n = dir ? strlen(dir) : 0;

	return dir && strncmp(path, dir, n) == 0 && path[n] == '/';
}

static int
breathe(struct stroll *s, struct err *e)
{
	struct local *l = s->l;

	if (++s->since_breath < BREATH)
		return 1;
	s->since_breath = 0;
	l->o->progress(l->o->arg, l->report->bytes, l->total);
	if (l->o->stop(l->o->arg))
		return err_set(e, ERR_CANCELLED, "stopped; nothing was committed");
	return writer_late(l->w) ? 0 : 1;
}

static int walk_root(struct stroll *s, const char *root, struct err *e);

/* pg_tblspc/OID, a link to where the tablespace lies. */
static int
take_space(struct stroll *s, const struct walk_entry *en, const char *path, struct err *e)
{
	struct local *l = s->l;
	char target[PATH_MAX];
	struct stroll inner = { .l = l, .under = (char *)path, .only = s->only };
	ssize_t n = readlinkat(en->dirfd, en->name, target, sizeof(target) - 1);
	unsigned long oid = strtoul(en->name, NULL, 10);
	struct pg_base_tablespace *space;
	struct stat st;
	int rc;

	if (n == -1)
		return errno == ENOENT ? 1 : err_sys(e, "'%s' in %s", path, l->o->data);
	target[n] = '\0';
	if (fstatat(en->dirfd, en->name, &st, 0) == -1)
		return errno == ENOENT ? 1 : err_sys(e, "tablespace %s at '%s'", en->name, target);
	l->report->tablespace =
	    xreallocarray(l->report->tablespace, l->report->tablespaces + 1, sizeof(*space));
	space = &l->report->tablespace[l->report->tablespaces++];
	*space = (struct pg_base_tablespace){ .oid = (uint32_t)oid, .path = xstrdup(target) };
	if (take_dir(l, path, &st, e) == -1)
		return -1;
	rc = walk_root(&inner, target, e);
	/* Dropped while we were at it: the WAL says so, too. */
	if (rc == -1 && access(target, F_OK) == -1) {
		err_clear(e);
		rc = 1;
	}
	return rc;
}

static int
take_other(struct stroll *s, const struct walk_entry *en, const char *path, struct err *e)
{
	struct local *l = s->l;

	if (S_ISLNK(en->st.st_mode) && strncmp(path, SPACES "/", strlen(SPACES) + 1) == 0)
		return take_space(s, en, path, e);
	if (S_ISLNK(en->st.st_mode) && strcmp(path, "pg_wal") == 0) {
		struct stat st;

		if (fstatat(en->dirfd, en->name, &st, 0) == -1)
			return err_sys(e, "'pg_wal' in %s", l->o->data);
		return take_dir(l, path, &st, e) == -1 ? -1 : 1;
	}
	pg_local_warn(l, "'%s' in %s is no plain file and was left out, as the server does", path,
	    l->o->data);
	return 1;
}

static int
take_entry(struct stroll *s, const struct walk_entry *en, const char *path, struct err *e)
{
	struct local *l = s->l;
	const size_t n = strlen(path);

	if (en->error && en->error != ENOENT) {
		errno = en->error;
		return err_sys(e, "'%s' in %s", path, l->o->data);
	}
	if (!en->looked || is_below(path, s->closed))
		return 1;
	if (S_ISDIR(en->st.st_mode)) {
		if (pg_skip_inside(path, n)) {
			free(s->closed);
			s->closed = xstrdup(path);
		}
		return take_dir(l, path, &en->st, e) == -1 ? -1 : 1;
	}
	if (pg_skip_file(path, n) || strcmp(path, PG_CONTROL_FILE) == 0)
		return 1;
	if (!S_ISREG(en->st.st_mode))
		return take_other(s, en, path, e);
	if (is_unlogged(en, path))
		return 1;
	return pg_local_file(l, en->dirfd, en->name, path, e) == -1 ? -1 : 1;
}

/* "" for what does not belong to the source. */
static void
path_of(const struct stroll *s, const struct walk_entry *en, struct buf *out)
{
	const bool top = en->pathlen == 1 && en->path[0] == '.';

	buf_reset(out);
	if (s->only && *s->under) {
		size_t n = strlen(s->only);

		if (top || en->pathlen < n || memcmp(en->path, s->only, n) != 0)
			return;
		buf_addf(out, "%s/", s->under);
	}
	buf_add(out, en->path, en->pathlen);
}

static int
walk_root(struct stroll *s, const char *root, struct err *e)
{
	const struct walk_options wo = { .root = root };
	const struct walk_entry *en;
	struct walk *w = NULL;
	struct buf path;
	int rc = 1;

	buf_init(&path, 4 * PATH_MAX);
	if (walk_open(&wo, &w, e) == -1)
		rc = -1;
	while (rc == 1 && walk_next(w, &en) == 1) {
		path_of(s, en, &path);
		if (path.len > 0)
			rc = take_entry(s, en, buf_str(&path), e);
		if (rc == 1)
			rc = breathe(s, e);
	}
	walk_free(w);
	buf_done(&path);
	free(s->closed);
	s->closed = NULL;
	return rc;
}

int
pg_local_tree(struct local *l, uint32_t major, struct err *e)
{
	/* Another version may have its directory in the same tablespace. */
	char *only = xasprintf("PG_%" PRIu32 "_", major);
	struct stroll s = { .l = l, .under = "", .only = only };
	int rc;

	l->began_boot_ns = clock_boot_ns();
	rc = walk_root(&s, l->o->data, e);
	free(only);
	return rc;
}
