/*
 * A tablespace is a directory elsewhere, in the snapshot the tree below pg_tblspc/OID. All that a
 * server keeps in it is one directory, named after the version; so the tree is restored beside it,
 * in a directory of our own inside the tablespace, and that one directory is renamed into its
 * place. For a delta it is first renamed back.
 */
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "job/pg/restore_pg.h"
#include "source/pg/pg_label.h"
#include "source/tree.h"

#define STAGE ".ffdr-restore"
#define MAP_MAX (1u << 20)

/* ---- which, and where to ---- */

static struct restore_pg_space *
find(struct restore_pg *r, uint32_t oid)
{
	for (size_t i = 0; i < r->spaces; i++)
		if (r->space[i].oid == oid)
			return &r->space[i];
	return NULL;
}

static void
load(struct restore_pg *r)
{
	const struct manifest *m = reader_manifest(r->reader);
	struct restore_pg_space *s;
	struct buf value;
	size_t at = 0, room = 0;
	char *rest;

	buf_init(&value, PATH_MAX + 64);
	while (buf_reset(&value), manifest_detail(m, &at, "tablespace", &value) == 1) {
		uint32_t oid = (uint32_t)strtoul(buf_str(&value), &rest, 10);

		if (*rest != ' ' || rest[1] != '/') /* in the data directory itself */
			continue;
		r->space = mem_grow(r->space, &room, r->spaces + 1, sizeof(*r->space));
		r->space[r->spaces++] = (struct restore_pg_space){
			.oid = oid,
			.was = xstrdup(rest + 1),
			.name = xstrdup(""),
			.to = xstrdup(rest + 1),
			.path = xasprintf("pg_tblspc/%" PRIu32, oid),
		};
	}
	at = 0;
	while (buf_reset(&value), manifest_detail(m, &at, "tablespace-name", &value) == 1) {
		s = find(r, (uint32_t)strtoul(buf_str(&value), &rest, 10));
		if (s && *rest == ' ') {
			free(s->name);
			s->name = xstrdup(rest + 1);
		}
	}
	buf_done(&value);
}

static int
unknown(const struct restore_pg *r, const char *word, struct err *e)
{
	err_set(e, ERR_USAGE, "--tablespace %s: that base backup has no such tablespace", word);
	for (size_t i = 0; i < r->spaces; i++)
		err_line(e, "possible", "%" PRIu32 "%s%s=DIR, which was %s", r->space[i].oid,
		    r->space[i].name[0] ? " or " : "", r->space[i].name, r->space[i].was);
	return -1;
}

static int
remap(struct restore_pg *r, const char *word, struct err *e)
{
	const char *dir = strchr(word, '=');
	char *key;
	bool found = false;
	int rc = 0;

	if (!dir || dir == word || dir[1] != '/')
		return err_set(e, ERR_USAGE,
		    "--tablespace %s: expected OID=DIR or NAME=DIR with an absolute path", word);
	key = xstrndup(word, (size_t)(dir - word));
	for (size_t i = 0; rc == 0 && i < r->spaces; i++) {
		struct restore_pg_space *s = &r->space[i];
		char number[16];

		snprintf(number, sizeof(number), "%" PRIu32, s->oid);
		if (strcmp(key, number) != 0 && strcmp(key, s->name) != 0 &&
		    strcmp(key, s->was) != 0)
			continue;
		if (s->told)
			rc = err_set(e, ERR_USAGE, "--tablespace %s: tablespace %" PRIu32
			    " was sent to '%s' already", word, s->oid, s->to);
		free(s->to);
		s->to = xstrdup(dir + 1);
		for (size_t n = strlen(s->to); n > 1 && s->to[n - 1] == '/'; n--)
			s->to[n - 1] = '\0';
		s->told = found = true;
	}
	free(key);
	return rc == -1 || found ? rc : unknown(r, word, e);
}

/* ---- may it be written into? ---- */

/* Does the data directory that is restored over have it there already? */
static bool
is_ours(const struct restore_pg *r, const struct restore_pg_space *s)
{
	char *link = xasprintf("%s/%s", r->report->to, s->path), to[PATH_MAX];
	ssize_t n = readlink(link, to, sizeof(to) - 1);

	free(link);
	if (n == -1)
		return false;
	to[n] = '\0';
	return strcmp(to, s->to) == 0;
}

/* What an interrupted restore of ours has left. */
static bool
is_half(const struct restore_pg_space *s)
{
	char *stage = xasprintf("%s/%s", s->to, STAGE);
	bool there = access(stage, F_OK) == 0;

	free(stage);
	return there;
}

static int
judge(const struct restore_pg *r, const struct restore_pg_space *s, struct err *e)
{
	int empty = tree_empty(s->to, e);

	if (empty != 0)
		return empty == 1 ? 0 : err_in(e, "tablespace %" PRIu32, s->oid);
	if (r->o->delta && (is_ours(r, s) || is_half(s)))
		return 0;
	err_set(e, ERR_REFUSED, "restore refused: '%s' is not empty, and a tablespace goes there",
	    s->to);
	err_line(e, "checked", "tablespace %" PRIu32 "%s%s was at %s when the backup was made",
	    s->oid, s->name[0] ? " " : "", s->name, s->was);
	return err_line(e, "fix",
	    "--tablespace %" PRIu32 "=DIR with a directory that is empty or not there yet", s->oid);
}

/* The path that a directory has or will have: what is there of it without links and dots. */
static char *
real_path(const char *path)
{
	char *head = xstrdup(path), *real, *slash, *ret;

	while ((real = realpath(head, NULL)) == NULL && (slash = strrchr(head, '/')) != NULL)
		slash[slash == head] = '\0';
	ret = real ? xasprintf("%s%s", strcmp(real, "/") == 0 && path[strlen(head)] ? "" : real,
	    path + (strcmp(head, "/") == 0 ? 0 : strlen(head))) : xstrdup(path);
	free(real);
	free(head);
	return ret;
}

/* Is one of them the other one, or below it? */
static bool
overlap(const char *a, const char *b)
{
	const size_t n = strlen(a), m = strlen(b), less = n < m ? n : m;
	const char *longer = n < m ? b : a;

	return strncmp(a, b, less) == 0 && (longer[less] == '/' || !longer[less]);
}

/*
 * Each keeps its files in a directory of the same name, so no two may share one. One in another is only
 * as it was on the server, never as somebody says now.
 */
static int
apart(const struct restore_pg *r, struct err *e)
{
	char *data = real_path(r->report->to), **real = xcalloc(r->spaces + 1, sizeof(*real));
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->spaces; i++) {
		const struct restore_pg_space *s = &r->space[i];

		real[i] = real_path(s->to);
		if (overlap(real[i], data))
			rc = err_set(e, ERR_USAGE, "tablespace %" PRIu32 " cannot lie in the data "
			    "directory, nor that in it: '%s', '%s'", s->oid, s->to, r->report->to);
		for (size_t k = 0; rc == 0 && k < i; k++)
			if (overlap(real[i], real[k]) &&
			    (s->told || r->space[k].told || strcmp(real[i], real[k]) == 0))
				rc = err_set(e, ERR_USAGE, "tablespaces %" PRIu32 " and %" PRIu32
				    " cannot share a directory, nor one lie in the other: '%s', '%s'",
				    r->space[k].oid, s->oid, r->space[k].to, s->to);
		if (rc == -1)
			err_line(e, "fix", "--tablespace %" PRIu32 "=DIR with a directory of its own",
			    s->oid);
	}
	for (size_t i = 0; i < r->spaces; i++)
		free(real[i]);
	free(real);
	free(data);
	return rc;
}

int
restore_pg_spaces(struct restore_pg *r, struct err *e)
{
	load(r);
	for (size_t i = 0; r->o->tablespaces_below && i < r->spaces; i++) {
		free(r->space[i].to);
		r->space[i].to = xasprintf("%s/%" PRIu32, r->o->tablespaces_below, r->space[i].oid);
	}
	for (size_t i = 0; i < r->o->tablespaces; i++)
		if (remap(r, r->o->tablespace[i], e) == -1)
			return -1;
	if (apart(r, e) == -1)
		return -1;
	for (size_t i = 0; i < r->spaces; i++)
		if (judge(r, &r->space[i], e) == -1)
			return -1;
	return 0;
}

void
restore_pg_spaces_done(struct restore_pg *r)
{
	for (size_t i = 0; i < r->spaces; i++) {
		free(r->space[i].was);
		free(r->space[i].name);
		free(r->space[i].to);
		free(r->space[i].path);
	}
	free(r->space);
}

/* ---- filling ---- */

static bool
is_version(const char *name)
{
	return strncmp(name, "PG_", 3) == 0;
}

/* Every PG_... of one directory gets into the other. */
static int
move(const char *from, const char *to, struct err *e)
{
	DIR *d = opendir(from);
	struct dirent *de;
	int rc = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, "open '%s'", from);
	while (rc == 0 && (de = readdir(d)) != NULL) {
		char *a = xasprintf("%s/%s", from, de->d_name),
		     *b = xasprintf("%s/%s", to, de->d_name);

		if (is_version(de->d_name) && rename(a, b) == -1)
			rc = err_sys(e, "move '%s' to '%s'", a, b);
		free(a);
		free(b);
	}
	closedir(d);
	return rc;
}

static int
fill(struct restore_pg *r, const struct restore_pg_space *s, const struct tree_options *like,
    struct err *e)
{
	const char *const path[] = { s->path };
	struct tree_options to = *like;
	struct tree_report seen = { 0 };
	char *stage = xasprintf("%s/%s", s->to, STAGE), *inner = xasprintf("%s/%s", stage, s->path);
	struct stat st;
	int rc = -1;

	to.path = path;
	to.paths = 1;
	to.skip = NULL;
	to.skips = 0;
	to.source = NULL;
	to.delta = true;
	if (file_make_dirs(AT_FDCWD, inner, 0700, e) == -1 || move(s->to, inner, e) == -1)
		goto out;
	if (tree_restore(r->reader, stage, &to, &seen, e) == -1 || move(inner, s->to, e) == -1)
		goto out;
	/* The directory itself is its owner's, too. */
	if (stat(inner, &st) == -1 || chmod(s->to, st.st_mode & 07777) == -1 ||
	    (geteuid() == 0 && chown(s->to, st.st_uid, st.st_gid) == -1)) {
		err_sys(e, "give '%s' its owner and mode", s->to);
		goto out;
	}
	if (file_remove_tree(AT_FDCWD, stage, e) == -1 || file_sync_dir(AT_FDCWD, s->to, e) == -1)
		goto out;
	r->report->entries += seen.entries;
	r->report->files += seen.files;
	r->report->bytes += seen.bytes;
	r->report->written += seen.fetched;
	r->report->lost += seen.lost;
	rc = 0;
out:
	free(stage);
	free(inner);
	return rc == -1 ? err_in(e, "tablespace %" PRIu32, s->oid) : 0;
}

int
restore_pg_spaces_fill(struct restore_pg *r, const struct tree_options *to, struct err *e)
{
	for (size_t i = 0; i < r->spaces; i++)
		if (fill(r, &r->space[i], to, e) == -1)
			return -1;
	return 0;
}

/* ---- saying where they are ---- */

static int
make_link(const struct restore_pg *r, const struct restore_pg_space *s, struct err *e)
{
	char *link = xasprintf("%s/%s", r->report->to, s->path);
	struct stat st;
	int rc = 0;

	if (lstat(link, &st) == 0 && file_remove_tree(AT_FDCWD, link, e) == -1)
		rc = -1;
	else if (symlink(s->to, link) == -1)
		rc = err_sys(e, "link '%s' to '%s'", link, s->to);
	else if (geteuid() == 0 &&
	    lchown(link, r->report->database.uid, r->report->database.gid) == -1)
		rc = err_sys(e, "give '%s' to its owner", link);
	free(link);
	return rc;
}

static int
write_map(struct restore_pg *r, struct err *e)
{
	char *path = xasprintf("%s/%s", r->report->to, PG_LABEL_MAP_FILE);
	struct pg_label_map map = { 0 };
	struct buf text;
	int rc;

	buf_init(&text, MAP_MAX);
	for (size_t i = 0; i < r->spaces; i++)
		pg_label_map_add(&map, r->space[i].oid, r->space[i].to);
	pg_label_map_write(&map, &text);
	rc = buf_check(&text, "the map of tablespaces", e);
	if (rc == 0 && file_put(AT_FDCWD, path, text.data, text.len, 0600, FILE_REPLACE, e) == -1)
		rc = -1;
	if (rc == 0 && geteuid() == 0 &&
	    chown(path, r->report->database.uid, r->report->database.gid) == -1)
		rc = err_sys(e, "give '%s' to its owner", path);
	r->report->files++;
	r->report->entries++;
	pg_label_map_done(&map);
	buf_done(&text);
	free(path);
	return rc;
}

int
restore_pg_spaces_link(struct restore_pg *r, struct err *e)
{
	char *links = xasprintf("%s/pg_tblspc", r->report->to);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->spaces; i++)
		rc = make_link(r, &r->space[i], e);
	if (rc == 0 && r->spaces > 0)
		rc = file_sync_dir(AT_FDCWD, links, e) == -1 ? -1 : write_map(r, e);
	free(links);
	return rc;
}
