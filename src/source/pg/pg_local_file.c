/*
 * One file of a running server's data directory. Its length is what it had when it was opened, as
 * in the server's own backups: what comes later is in the WAL, and what is cut off meanwhile is
 * made up with zeros, which the replay of the truncation removes.
 *
 * A stretch is read, its pages looked at and its checksum computed by whichever worker has it. The
 * checksum of the whole is put together as the stretches come, in any order: each counts as if only
 * zeros followed it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "filter/crc32c.h"
#include "source/pg/pg_local_parts.h"
#include "source/pg/pg_page.h"

#define BAD_MAX 64 /* pages named of one file; more are only counted */
/*
 * A page that is being written while it is read is whole a moment later. The kernel copies 4 KiB at
 * a time, so a millisecond is long; the tries are for a machine that is short of processors.
 */
#define TRIES 8
#define TRY_NS (2 * CLOCK_MS)

struct file {
	struct local *l;
	char *path;
	int fd;
	struct stat st;
	bool pages;	/* look at them */
	uint32_t first; /* page number */
	uint64_t start_lsn;
	_Atomic uint32_t crc;
	_Atomic uint32_t bads;
	uint32_t bad[BAD_MAX];
};

static ssize_t
read_at(const struct file *f, uint64_t off, uint8_t *buf, size_t n, struct err *e)
{
	size_t got = 0;

	while (got < n) {
		ssize_t k = pread(f->fd, buf + got, n - got, (off_t)(off + got));

		if (k == -1 && errno == EINTR)
			continue;
		if (k == -1)
			return err_sys(e, "cannot be read at %" PRIu64, off + got);
		if (k == 0)
			break;
		got += (size_t)k;
	}
	return (ssize_t)got;
}

/* Reads the page again until it is good; it may also have gone. */
static int
settle_page(struct file *f, uint64_t off, uint8_t *page, struct err *e)
{
	const uint32_t block = f->first + (uint32_t)(off / PG_PAGE);
	uint32_t n;

	for (int i = 0; i < TRIES; i++) {
		ssize_t got = read_at(f, off, page, PG_PAGE, e);

		if (got == -1)
			return -1;
		if (got < PG_PAGE) {
			memset(page + got, 0, PG_PAGE - (size_t)got);
			return 0;
		}
		if (pg_page_check(page, block, f->start_lsn) != PG_PAGE_BAD)
			return 0;
		clock_sleep_ns(TRY_NS);
	}
	n = atomic_fetch_add(&f->bads, 1);
	if (n < BAD_MAX)
		f->bad[n] = block;
	return 0;
}

static ssize_t
load(void *arg, uint64_t off, void *buf, size_t n, struct err *e)
{
	struct file *f = arg;
	uint8_t *bytes = buf;
	ssize_t got = read_at(f, off, bytes, n, e);

	if (got == -1)
		return -1;
	memset(bytes + got, 0, n - (size_t)got);
	/* A page at the end that was cut off in the middle is the server's to mend. */
	for (size_t at = 0; f->pages && at + PG_PAGE <= (size_t)got; at += PG_PAGE)
		if (pg_page_check(bytes + at, f->first + (uint32_t)((off + at) / PG_PAGE),
			f->start_lsn) == PG_PAGE_BAD &&
		    settle_page(f, off + at, bytes + at, e) == -1)
			return -1;
	atomic_fetch_xor(
	    &f->crc, crc32c_combine(crc32c(0, bytes, n), 0, (uint64_t)f->st.st_size - off - n));
	return (ssize_t)n;
}

static void
note_bad(struct file *f)
{
	struct pg_base_report *r = f->l->report;
	uint32_t n = atomic_load(&f->bads);

	if (n == 0)
		return;
	r->damaged = true;
	for (uint32_t i = 0; i < n && i < BAD_MAX; i++) {
		r->bad = mem_grow(r->bad, &r->bad_room, r->bads + 1, sizeof(*r->bad));
		r->bad[r->bads++] = (struct pg_base_bad){ xstrdup(f->path), f->bad[i] };
	}
	pg_local_warn(f->l,
	    "'%s' has %" PRIu32 " page%s with a wrong checksum, page %" PRIu32 " first", f->path, n,
	    n == 1 ? "" : "s", f->bad[0]);
}

static void
file_free(struct file *f)
{
	close(f->fd);
	free(f->path);
	free(f);
}

static void
done(void *arg, struct entry *meta, const struct writer_loaded *got)
{
	struct file *f = arg;

	(void)got;
	if (meta) {
		note_bad(f);
		pg_manifest_file(&f->l->manifest, f->path, (uint64_t)f->st.st_size,
		    f->st.st_mtim.tv_sec, atomic_load(&f->crc));
	}
	file_free(f);
}

static struct entry
meta_of(const char *path, const struct stat *st)
{
	return (struct entry){
		.type = ENTRY_FILE,
		.path = path,
		.pathlen = strlen(path),
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime_s = st->st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
		.size = (uint64_t)st->st_size,
		.grain_log2 = pg_page_is_relation(path, strlen(path)) ? LAYOUT_GRAIN_PAGE_LOG2 : 0,
	};
}

/* Not faster than asked for. */
static void
pace(const struct local *l)
{
	const uint64_t rate = l->o->max_rate;
	int64_t due, ahead;

	if (rate == 0)
		return;
	due = (int64_t)((double)l->report->bytes / (double)rate * (double)CLOCK_S);
	ahead = due - (clock_boot_ns() - l->began_boot_ns);
	if (ahead > 0)
		clock_sleep_ns(ahead);
}

static int
take(struct file *f, struct err *e)
{
	struct local *l = f->l;
	const struct writer_loader loader = { .load = load, .done = done, .arg = f };
	struct entry meta = meta_of(f->path, &f->st);
	const struct entry *was;

	if (writer_begin(l->w, &meta, &was, e) == -1) {
		file_free(f);
		return -1;
	}
	/* From here on the writer calls done(). */
	if (meta.size > 0 && writer_load(l->w, meta.size, &loader, e) == -1)
		return -1;
	if (meta.size == 0)
		pg_manifest_file(&l->manifest, f->path, 0, meta.mtime_s, 0);
	l->report->entries++;
	l->report->files++;
	l->report->bytes += meta.size;
	if (writer_end(l->w, &meta, e) == -1)
		return -1;
	if (meta.size == 0)
		file_free(f);
	pace(l);
	return 1;
}

int
pg_local_file(struct local *l, int dirfd, const char *name, const char *path, struct err *e)
{
	struct file *f;
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1)
		return err_sys(e, "'%s' in %s cannot be opened", path, l->o->data);
	f = xcalloc(1, sizeof(*f));
	f->l = l;
	f->fd = fd;
	f->path = xstrdup(path);
	f->first = pg_page_first(path, strlen(path));
	f->pages = l->checksums && pg_page_is_relation(path, strlen(path));
	f->start_lsn = l->report->start_lsn;
	if (fstat(fd, &f->st) == -1) {
		err_sys(e, "'%s' in %s", path, l->o->data);
		file_free(f);
		return -1;
	}
	return take(f, e);
}

int
pg_local_file_text(struct local *l, const char *path, const void *text, size_t n, struct err *e)
{
	const struct entry *was;
	struct entry meta;
	struct stat st;
	size_t room, at = 0;
	uint8_t *space;

	/* Owner and mode as the directory's other files have. */
	if (fstatat(l->root, "PG_VERSION", &st, AT_SYMLINK_NOFOLLOW) == -1)
		return err_sys(e, "PG_VERSION in %s", l->o->data);
	st.st_size = (off_t)n;
	st.st_mtim.tv_sec = clock_real_ns() / CLOCK_S;
	st.st_mtim.tv_nsec = 0;
	meta = meta_of(path, &st);
	if (writer_begin(l->w, &meta, &was, e) == -1)
		return -1;
	while (at < n) {
		space = writer_space(l->w, &room, e);
		if (!space)
			return -1;
		room = room < n - at ? room : n - at;
		memcpy(space, (const uint8_t *)text + at, room);
		if (writer_filled(l->w, room, e) == -1)
			return -1;
		at += room;
	}
	l->report->entries++;
	l->report->files++;
	l->report->bytes += n;
	if (strcmp(path, PG_MANIFEST_FILE) != 0)
		pg_manifest_file(&l->manifest, path, n, meta.mtime_s, crc32c(0, text, n));
	return writer_end(l->w, &meta, e);
}
