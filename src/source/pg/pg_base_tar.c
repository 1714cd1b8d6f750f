/*
 * libarchive pulls, and each pull is the next message of the connection. What it gives back of a
 * file's data lies in that message still, so bytes are copied once: into the writer's memory. A tar
 * of servers up to 14 ends without the blocks of zeros that end a tar, and one of a tablespace that
 * was dropped meanwhile is empty; libarchive takes both.
 *
 * The server is not trusted more than any file: paths that are absolute or climb are refused here,
 * where they come in.
 */
#include "source/pg/pg_base_tar.h"

#include <string.h>

#include "base/text.h"
#include "repo/layout.h"
#include "source/libarchive.h"
#include "source/pg/pg_page.h"
#include "source/trail.h"

struct reading {
	struct pg_base_tar *t;
	const char *under;
	struct archive *in;
	struct buf path;
	bool failed; /* `next` did, and err is why */
	struct err err;
};

static la_ssize_t
pull(struct archive *a, void *arg, const void **data)
{
	struct reading *r = arg;
	const uint8_t *bytes = NULL;
	size_t n = 0;
	int got;

	(void)a;
	got = r->failed ? -1 : r->t->next(r->t->arg, &bytes, &n, &r->err);
	if (got == -1) {
		r->failed = true;
		return ARCHIVE_FATAL;
	}
	*data = bytes;
	return got == 1 ? (la_ssize_t)n : 0;
}

static int
tar_failed(struct reading *r, struct err *e)
{
	if (!r->failed)
		return err_set(e, ERR_CORRUPT, "an archive of the base backup cannot be read: %s",
		    archive_error_string(r->in));
	*e = r->err;
	return -1;
}

/* The entry but for its contents. */
static int
describe(struct reading *r, struct archive_entry *ae, struct entry *en, struct err *e)
{
	const char *name = archive_entry_pathname(ae);
	size_t n = name ? strlen(name) : 0;

	while (n > 1 && strncmp(name, "./", 2) == 0) {
		name += 2;
		n -= 2;
	}
	while (n > 1 && name[n - 1] == '/')
		n--;
	buf_reset(&r->path);
	if (r->under)
		buf_addf(&r->path, "%s/", r->under);
	buf_add(&r->path, name, n);
	if (n == 0 || trail_check_path(buf_str(&r->path), r->path.len, e) == -1)
		return err_in(e, "a member of the base backup");
	*en = (struct entry){
		.path = buf_str(&r->path), .pathlen = r->path.len,
		.mode = archive_entry_perm(ae) & 07777,
		.uid = (uint32_t)archive_entry_uid(ae), .gid = (uint32_t)archive_entry_gid(ae),
		.mtime_s = archive_entry_mtime(ae), .ctime_s = archive_entry_mtime(ae),
	};
	switch (archive_entry_filetype(ae)) {
	case AE_IFREG:
		en->type = ENTRY_FILE;
		en->size = (uint64_t)archive_entry_size(ae);
		en->grain_log2 =
		    pg_page_is_relation(en->path, en->pathlen) ? LAYOUT_GRAIN_PAGE_LOG2 : 0;
		break;
	case AE_IFDIR:
		en->type = ENTRY_DIR;
		break;
	case AE_IFLNK:
		en->type = ENTRY_SYMLINK;
		en->target = archive_entry_symlink(ae);
		en->targetlen = en->target ? strlen(en->target) : 0;
		break;
	default:
		return err_set(e, ERR_CORRUPT,
		    "'%s' of the base backup is neither file, directory nor link", en->path);
	}
	if (archive_entry_hardlink(ae))
		return err_set(e, ERR_CORRUPT, "'%s' of the base backup is a hard link", en->path);
	return 0;
}

int
pg_base_tar_put(struct writer *w, const uint8_t *data, size_t n, struct err *e)
{
	uint8_t *space;
	size_t room;

	while (n > 0) {
		space = writer_space(w, &room, e);
		if (!space)
			return -1;
		if (room > n)
			room = n;
		memcpy(space, data, room);
		if (writer_filled(w, room, e) == -1)
			return -1;
		data += room;
		n -= room;
	}
	return 0;
}

/* *got: so much came, also after -1. */
static int
take_contents(struct reading *r, const struct entry *en, uint64_t *got, struct err *e)
{
	struct buf *copy = r->t->copy(r->t->arg, en->path);
	const void *data;
	la_int64_t off;
	size_t n;
	int rc;

	while ((rc = archive_read_data_block(r->in, &data, &n, &off)) == ARCHIVE_OK) {
		if ((uint64_t)off != *got)
			return err_set(e, ERR_CORRUPT, "a file of the base backup has holes");
		if (pg_base_tar_put(r->t->w, data, n, e) == -1)
			return -1;
		if (copy)
			buf_add(copy, data, n);
		*got += n;
	}
	if (rc != ARCHIVE_EOF)
		return tar_failed(r, e);
	if (*got != en->size)
		return err_set(e, ERR_CORRUPT, "%llu bytes came, expected %llu",
		    (unsigned long long)*got, (unsigned long long)en->size);
	return copy ? buf_check(copy, en->path, e) : 0;
}

static int
take_member(struct reading *r, struct archive_entry *ae, struct err *e)
{
	struct pg_base_tar *t = r->t;
	const struct entry *parent;
	struct entry en;
	int rc = 0;

	if (describe(r, ae, &en, e) == -1 || writer_begin(t->w, &en, &parent, e) == -1)
		return -1;
	if (!t->seen) {
		t->seen = true;
		t->uid = en.uid;
		t->gid = en.gid;
		t->mtime_s = en.mtime_s;
	}
	t->entries++;
	if (en.type == ENTRY_FILE) {
		uint64_t got = 0;

		rc = take_contents(r, &en, &got, e);
		if (rc == -1 && !*t->late)
			return err_in(e, "'%s'", en.path);
		if (rc == -1)
			en.note = ENTRY_CHANGED;
		en.size = got;
		t->files++;
		t->bytes += got;
	}
	if (rc == -1)
		return writer_end(t->w, &en, NULL), -1;
	return writer_end(t->w, &en, e);
}

int
pg_base_tar_read(struct pg_base_tar *t, const char *under, struct err *e)
{
	struct reading r = { .t = t, .under = under, .in = archive_read_new() };
	struct archive_entry *ae;
	int got = ARCHIVE_OK, rc = -1;

	buf_init(&r.path, SIZE_MAX / 2);
	if (archive_read_support_format_tar(r.in) != ARCHIVE_OK ||
	    archive_read_support_format_empty(r.in) != ARCHIVE_OK ||
	    archive_read_open(r.in, &r, NULL, pull, NULL) != ARCHIVE_OK) {
		tar_failed(&r, e);
		goto out;
	}
	/* A warning: the name is no text in this locale; it is taken as the bytes it is. */
	while ((got = archive_read_next_header(r.in, &ae)) == ARCHIVE_OK || got == ARCHIVE_WARN)
		if (take_member(&r, ae, e) == -1)
			goto out;
	rc = got == ARCHIVE_EOF ? 0 : tar_failed(&r, e);
out:
	archive_read_free(r.in);
	buf_done(&r.path);
	return rc;
}
