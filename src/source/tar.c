/*
 * Export writes what libarchive's pax writer is told. A file's runs are walked twice: the first
 * time for the map of its data, which tar wants before the contents, the second time for the bytes.
 * The writer is given zeros for the holes, too, and drops them again.
 *
 * A hard link whose first name was not asked for comes as the file itself; its further names link
 * to it.
 *
 * A header promises a size, so what no tier has cannot be left out half way: zeros take its place.
 */
#include "source/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "source/acl.h"
#include "source/libarchive.h"
#include "source/trail.h"
#include "source/wish.h"

/* Zeros given at a time. */
#define TAR_ZEROS (256u << 10)
/* Bytes between two looks at the outside. */
#define TAR_BREATH (16u << 20)

struct extent {
	uint64_t from, to;
};

struct tar {
	struct reader *r;
	const struct tar_options *o;
	struct tar_report *report;
	struct archive *out;
	struct archive_entry *entry;
	struct trail trail;
	struct wish wish;
	struct buf text;
	bool closed; /* nobody reads any more */
	/* Of the file being written. */
	const struct entry *en;
	struct extent *extent;
	size_t extents, room;
	uint64_t at, breath;
	bool lacks;
};

/* ---- plumbing ---- */

static la_ssize_t
write_fd(struct archive *a, void *arg, const void *data, size_t n)
{
	struct tar *t = arg;
	ssize_t r;

	do
		r = write(t->o->fd, data, n);
	while (r == -1 && errno == EINTR);
	if (r == -1) {
		t->closed = errno == EPIPE;
		archive_set_error(a, errno, "write: %s", strerror(errno));
	}
	return r;
}

static int
archive_failed(const struct tar *t, struct err *e)
{
	errno = archive_errno(t->out);
	return err_set(e, errno == ENOSPC ? ERR_FULL : ERR_IO, "tar: %s",
	    archive_error_string(t->out));
}

static void
warn(struct tar *t, const char *text)
{
	buf_reset(&t->text);
	buf_addc(&t->text, '\'');
	text_escape(t->trail.path, t->trail.len, &t->text);
	buf_addf(&t->text, "': %s", text);
	t->report->warnings++;
	t->o->warn(t->o->arg, buf_str(&t->text));
}

/* ---- headers ---- */

static unsigned
file_type(const struct entry *en)
{
	switch (en->type) {
	case ENTRY_DIR:
		return AE_IFDIR;
	case ENTRY_SYMLINK:
		return AE_IFLNK;
	case ENTRY_BLOCK:
		return AE_IFBLK;
	case ENTRY_CHAR:
		return AE_IFCHR;
	case ENTRY_FIFO:
		return AE_IFIFO;
	default:
		return AE_IFREG;
	}
}

static void
set_attributes(struct tar *t, const struct entry *en)
{
	const struct entry_xattr *x;

	for (x = en->xattr; x < en->xattr + en->xattrs; x++) {
		if (!acl_is(x->name))
			archive_entry_xattr_add_entry(t->entry, x->name, x->value, x->len);
		else if (acl_add(t->entry, x, en->mode) == -1)
			warn(t, "has an ACL that cannot be read: left out");
	}
}

/* link: the name this one is a further name of, or NULL. */
static void
set_header(struct tar *t, const struct entry *en, const char *link)
{
	struct archive_entry *ae = t->entry;
	char *target;

	archive_entry_clear(ae);
	archive_entry_copy_pathname(ae, t->trail.path);
	archive_entry_set_filetype(ae, file_type(en));
	archive_entry_set_perm(ae, en->mode & 07777);
	archive_entry_set_uid(ae, en->uid);
	archive_entry_set_gid(ae, en->gid);
	/* libarchive writes -1.25 s as "-2.75", and others read what it says: before 1970, whole
	 * seconds. */
	archive_entry_set_mtime(ae, en->mtime_s, en->mtime_s < 0 ? 0 : en->mtime_ns);
	archive_entry_set_size(ae, 0);
	if (link) {
		archive_entry_copy_hardlink(ae, link);
		return;
	}
	if (en->type == ENTRY_FILE)
		archive_entry_set_size(ae, (la_int64_t)en->size);
	if (en->type == ENTRY_BLOCK || en->type == ENTRY_CHAR)
		archive_entry_set_rdev(ae, makedev(en->rdev_major, en->rdev_minor));
	if (en->type == ENTRY_SYMLINK) {
		target = xstrndup(en->target, en->targetlen);
		archive_entry_copy_symlink(ae, target);
		free(target);
	}
	set_attributes(t, en);
}

static int
write_header(struct tar *t, struct err *e)
{
	t->report->entries++;
	/* A warning: the name is no text in this locale, and goes out as the bytes it is, marked
	 * so. */
	if (archive_write_header(t->out, t->entry) < ARCHIVE_WARN)
		return archive_failed(t, e);
	return 0;
}

/* ---- contents ---- */

static uint64_t
run_end(const struct tar *t, const struct reader_run *run)
{
	const uint64_t end = run->offset + ((uint64_t)run->count << t->en->grain_log2);

	return end < t->en->size ? end : t->en->size;
}

/* First walk: where data are. */
static int
note_run(void *arg, const struct reader_run *run, struct err *e)
{
	struct tar *t = arg;

	if (run->offset >= t->en->size || run->offset < t->at)
		return err_set(e, ERR_CORRUPT, "its map goes beyond its size or back");
	t->at = run_end(t, run);
	if (t->extents > 0 && t->extent[t->extents - 1].to == run->offset) {
		t->extent[t->extents - 1].to = t->at;
		return 0;
	}
	t->extent = mem_grow(t->extent, &t->room, t->extents + 1, sizeof(*t->extent));
	t->extent[t->extents++] = (struct extent){ .from = run->offset, .to = t->at };
	return 0;
}

static int
give(struct tar *t, const void *data, size_t n, struct err *e)
{
	la_ssize_t r;
	size_t done;

	for (done = 0; done < n; done += (size_t)r) {
		r = archive_write_data(t->out, (const uint8_t *)data + done, n - done);
		if (r <= 0)
			return archive_failed(t, e);
	}
	t->at += n;
	t->report->bytes += n;
	if (t->report->bytes - t->breath < TAR_BREATH)
		return 0;
	t->breath = t->report->bytes;
	t->o->progress(t->o->arg, t->report->bytes);
	return t->o->stop(t->o->arg) ? err_set(e, ERR_CANCELLED, "stopped; the tar is not whole")
				     : 0;
}

static int
give_zeros(struct tar *t, uint64_t to, struct err *e)
{
	static const uint8_t zeros[TAR_ZEROS];
	uint64_t n;

	while (t->at < to) {
		n = to - t->at < sizeof(zeros) ? to - t->at : sizeof(zeros);
		if (give(t, zeros, (size_t)n, e) == -1)
			return -1;
	}
	return 0;
}

/*
 * No tier has these bytes, the rest goes on without them. A tier that does not answer may have
 * them, and ends the export.
 */
static bool
give_up(struct tar *t, struct err *e)
{
	if (e->kind != ERR_CORRUPT && e->kind != ERR_NOTFOUND && e->kind != ERR_IO)
		return false;
	if (t->report->lost_why.kind == ERR_NONE)
		t->report->lost_why = *e;
	t->lacks = true;
	err_clear(e);
	return true;
}

static int
grain_of(struct tar *t, const struct reader_run *run, uint32_t i, uint64_t want,
    const uint8_t **ret, struct err *e)
{
	struct entry_ref ref = {
		.pack = run->pack, .frame = run->frame, .grain = (uint16_t)(run->first + i)
	};
	size_t n;

	if (reader_grain(t->r, ref, run->ids[i], ret, &n, e) == -1)
		return -1;
	if (n != want)
		return err_set(e, ERR_CORRUPT, "a grain has %zu bytes, expected %llu", n,
		    (unsigned long long)want);
	return 0;
}

/* Second walk: the bytes. A run lies in one frame, which opens as a whole or not at all. */
static int
give_run(void *arg, const struct reader_run *run, struct err *e)
{
	struct tar *t = arg;
	const uint64_t end = run_end(t, run), grain = UINT64_C(1) << t->en->grain_log2;
	const uint8_t *bytes;
	uint64_t want;

	if (give_zeros(t, run->offset, e) == -1)
		return -1;
	for (uint32_t i = 0; t->at < end; i++) {
		want = end - t->at < grain ? end - t->at : grain;
		if (grain_of(t, run, i, want, &bytes, e) == -1)
			return give_up(t, e) ? give_zeros(t, end, e) : -1;
		if (give(t, bytes, (size_t)want, e) == -1)
			return -1;
	}
	return 0;
}

/* Where its data are. Behind a map that no tier has nobody knows of any. */
static int
note_extents(struct tar *t, struct err *e)
{
	t->at = 0;
	t->extents = 0;
	t->lacks = false;
	if (reader_runs(t->r, t->en, note_run, t, e) == 0)
		return 0;
	return e->kind != ERR_IO && give_up(t, e) ? 0 : -1;
}

static int
give_contents(struct tar *t, struct err *e)
{
	t->at = 0;
	/* A failed write is ERR_IO, so what else could be given up is a map. */
	if (reader_runs(t->r, t->en, give_run, t, e) == -1 && (e->kind == ERR_IO || !give_up(t, e)))
		return -1;
	return give_zeros(t, t->en->size, e);
}

static int
export_file(struct tar *t, const struct entry *en, struct err *e)
{
	size_t i;

	t->en = en;
	if (note_extents(t, e) == -1)
		return -1;
	set_header(t, en, NULL);
	/* One piece that is the whole file is no map. */
	if (t->extents != 1 || t->extent[0].to - t->extent[0].from != en->size)
		for (i = 0; i < t->extents; i++)
			archive_entry_sparse_add_entry(t->entry, (la_int64_t)t->extent[i].from,
			    (la_int64_t)(t->extent[i].to - t->extent[i].from));
	if (t->extents == 0 && en->size > 0)
		archive_entry_sparse_add_entry(t->entry, (la_int64_t)en->size, 0);
	t->report->files++;
	if (write_header(t, e) == -1 || give_contents(t, e) == -1)
		return -1;
	if (t->lacks) {
		t->report->lost++;
		warn(t, "lacks bytes that no tier has a good copy of: zeros in their place");
	}
	return 0;
}

/* ---- the whole ---- */

static int
export_link(struct tar *t, const struct entry *en, struct err *e)
{
	const struct entry *first;
	const char *name;
	char *target;
	bool made;
	int r;

	if (trail_check_path(en->target, en->targetlen, e) == -1)
		return -1;
	if (wish_of(&t->wish, en->target, en->targetlen) == WISH_YES) {
		target = xstrndup(en->target, en->targetlen);
		set_header(t, en, target);
		free(target);
		return write_header(t, e);
	}
	name = wish_stand_in(&t->wish, en, t->trail.path, &made);
	if (!made) {
		set_header(t, en, name);
		return write_header(t, e);
	}
	r = reader_find(t->r, en->target, en->targetlen, &first, e);
	if (r == 0)
		return err_set(e, ERR_CORRUPT, "is a link to a name that is not in the snapshot");
	if (r == -1)
		return -1;
	if (first->type == ENTRY_FILE)
		return export_file(t, first, e);
	warn(t, "is a further name of what was not asked for: left out");
	return 0;
}

static int
export_entry(struct tar *t, const struct entry *en, struct err *e)
{
	const enum wish_kind wish = wish_of(&t->wish, en->path, en->pathlen);

	if (wish == WISH_NO || (wish == WISH_ABOVE && en->type != ENTRY_DIR))
		return 0;
	if (wish == WISH_YES && (en->note & ENTRY_NO_ATTRS))
		warn(t, "some attributes could not be read when the snapshot was made: left out");
	switch (en->type) {
	case ENTRY_SOCKET:
		warn(t, "is a socket, which a tar cannot hold: left out");
		return 0;
	case ENTRY_HARDLINK:
		return export_link(t, en, e);
	case ENTRY_FILE:
		if ((en->note & ENTRY_UNREADABLE) && en->size == 0) {
			warn(t, "could not be read when the snapshot was made: left out");
			return 0;
		}
		return export_file(t, en, e);
	case ENTRY_DIR:
		if (wish == WISH_YES && (en->note & ENTRY_UNREADABLE))
			warn(t, "could not be read when the snapshot was made: what was in it is left out");
		set_header(t, en, NULL);
		return write_header(t, e);
	default:
		set_header(t, en, NULL);
		return write_header(t, e);
	}
}

static int
export_all(struct tar *t, struct err *e)
{
	const struct entry *en;
	int r;

	reader_rewind(t->r);
	while ((r = reader_next(t->r, &en, e)) == 1) {
		if (trail_step(&t->trail, en, NULL, NULL, e) == -1)
			return -1;
		if (export_entry(t, en, e) == 0)
			continue;
		buf_reset(&t->text);
		text_escape(t->trail.path, t->trail.len, &t->text);
		return err_in(e, "'%s'", buf_str(&t->text));
	}
	return r;
}

static int
open_archive(struct tar *t, struct err *e)
{
	t->out = archive_write_new();
	t->entry = archive_entry_new();
	if (archive_write_set_format_pax(t->out) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(t->out, 1) != ARCHIVE_OK ||
	    archive_write_open(t->out, t, NULL, write_fd, NULL) != ARCHIVE_OK)
		return archive_failed(t, e);
	return 0;
}

int
tar_export(struct reader *r, const struct tar_options *o, struct tar_report *report,
    struct err *e)
{
	struct tar t = { .r = r, .o = o, .report = report };
	int rc = -1;

	*report = (struct tar_report){ 0 };
	trail_init(&t.trail);
	wish_init(&t.wish, o->path, o->paths);
	buf_init(&t.text, SIZE_MAX / 2);
	if (wish_check(&t.wish, r, e) == -1 || open_archive(&t, e) == -1 || export_all(&t, e) == -1)
		goto out;
	if (archive_write_close(t.out) != ARCHIVE_OK) {
		archive_failed(&t, e);
		goto out;
	}
	rc = 0;
out:
	if (rc == -1 && t.closed)
		err_set(e, ERR_IO, "the reader of the tar went away before its end");
	archive_entry_free(t.entry);
	/* Freed after an error, libarchive must not write the end of a whole archive. */
	if (rc == -1 && t.out)
		archive_write_fail(t.out);
	archive_write_free(t.out);
	trail_done(&t.trail);
	wish_done(&t.wish);
	buf_done(&t.text);
	free(t.extent);
	return rc;
}
