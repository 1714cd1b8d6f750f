/*
 * A spool as others see it. Files that were closed say in their name how far they go, so asking how
 * much is held opens only the one that is being written, and those a crash left open.
 *
 * Between listing and opening, the writer may close a file (its name changes) or let go of it. So a
 * file that is gone makes the question begin anew; a few times, for a writer makes no more than
 * a file a segment.
 */
#include "repo/spool_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/spool_file.h"

#define TRIES 10
#define COPY_STEP ((size_t)1 << 20)

_Static_assert(sizeof(((struct spool_dir_file *)0)->name) == SPOOL_FILE_NAME, "a name fits");

/* Only the names, in order; end is 0 where it is not said. */
static int
names(const struct spool_dir *d, struct spool_dir_files *ret, struct err *e)
{
	size_t room = 0;
	struct dirent *entry;
	DIR *dir = opendir(d->path);

	*ret = (struct spool_dir_files){ 0 };
	if (dir == NULL)
		return errno == ENOENT ? 0 : err_sys(e, "read directory '%s'", d->path);
	while (errno = 0, (entry = readdir(dir)) != NULL) {
		struct spool_file_name n;
		struct spool_dir_file *f;

		if (spool_file_name_parse(entry->d_name, &n) == -1)
			continue;
		ret->file = mem_grow(ret->file, &room, ret->count + 1, sizeof(*ret->file));
		f = &ret->file[ret->count++];
		*f = (struct spool_dir_file){
			.sysid = n.sysid, .epoch = n.epoch, .tli = n.tli,
			.start = n.start, .end = n.end, .closed = n.end != 0,
		};
		memcpy(f->name, entry->d_name, strlen(entry->d_name) + 1);
	}
	if (errno != 0) {
		err_sys(e, "read directory '%s'", d->path);
		closedir(dir);
		return -1;
	}
	closedir(dir);
	return 0;
}

static int
by_place(const void *a, const void *b)
{
	const struct spool_dir_file *x = a, *y = b;

	if (x->sysid != y->sysid)
		return x->sysid < y->sysid ? -1 : 1;
	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	if (x->tli != y->tli)
		return x->tli < y->tli ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The header must say what the name says. */
static int
open_file(const struct spool_dir *d, int dirfd, const struct spool_dir_file *want,
    struct spool_file *f, struct err *e)
{
	if (spool_file_open(f, dirfd, want->name, d->keys, e) == -1)
		return -1;
	if (f->head.sysid == want->sysid && f->head.epoch == want->epoch &&
	    f->head.tli == want->tli && f->head.start == want->start)
		return 0;
	spool_file_close(f);
	return err_set(e, ERR_CORRUPT, "'%s' has another name inside", want->name);
}

/* Ends of those whose names do not say: 1; 0 one is gone, ask anew; -1. */
static int
walk_open_ones(const struct spool_dir *d, int dirfd, struct spool_dir_files *files, struct err *e)
{
	struct spool_file f;
	int rc = 1;

	for (size_t i = 0; i < files->count && rc == 1; i++) {
		struct spool_dir_file *one = &files->file[i];
		struct err why = { 0 };

		if (!one->closed && open_file(d, dirfd, one, &f, &why) == 0) {
			if (spool_file_end(&f, &why) == -1)
				rc = -1;
			one->end = f.lsn;
			spool_file_close(&f);
		} else if (!one->closed) {
			rc = why.kind == ERR_NOTFOUND ? 0 : -1;
		}
		files->held += one->end - one->start;
		if (rc == -1)
			err_set(e, why.kind, "spool '%s': %s", d->path, why.text);
	}
	return rc;
}

int
spool_dir_list(const struct spool_dir *d, struct spool_dir_files *ret, struct err *e)
{
	int rc = 0;

	*ret = (struct spool_dir_files){ 0 };
	for (int i = 0; i < TRIES && rc == 0; i++) {
		int dirfd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		spool_dir_done(ret);
		if (dirfd == -1)
			return errno == ENOENT ? 0 : err_sys(e, "open '%s'", d->path);
		rc = names(d, ret, e) == -1 ? -1 : walk_open_ones(d, dirfd, ret, e);
		close(dirfd);
	}
	if (rc == 0)
		err_set(e, ERR_BUSY, "spool '%s' changes faster than it can be read", d->path);
	if (rc == 1 && ret->count > 0)
		qsort(ret->file, ret->count, sizeof(*ret->file), by_place);
	return rc == 1 ? 0 : -1;
}

void
spool_dir_done(struct spool_dir_files *f)
{
	free(f->file);
	*f = (struct spool_dir_files){ 0 };
}

int
spool_dir_ranges(const struct spool_dir *d, const struct wal_place *p, uint32_t tli,
    struct lsn_set *ret, struct err *e)
{
	struct spool_dir_files files;

	if (spool_dir_list(d, &files, e) == -1)
		return -1;
	for (size_t i = 0; i < files.count; i++) {
		const struct spool_dir_file *f = &files.file[i];

		if (f->sysid == p->sysid && f->epoch == p->epoch && f->tli == tli)
			lsn_set_add(ret, f->start, f->end);
	}
	spool_dir_done(&files);
	return 0;
}

/* ---- reading ---- */

struct reading {
	const struct spool_dir *d;
	uint64_t at, to;
	struct buf *out;
};

/* What of [at, to) this file has, from at on; at moves. 0 or -1. */
static int
read_file(struct reading *r, struct spool_file *f, struct err *e)
{
	struct buf wal;
	int rc = 1;

	buf_init(&wal, SPOOL_FILE_WAL_MAX);
	while (rc == 1 && r->at < r->to) {
		uint64_t lsn = f->lsn, skip;

		/* Passing over is cheap and opens nothing; the one that may be wanted is opened. */
		struct spool_file ahead = *f;

		if (spool_file_next(&ahead, NULL, NULL) == 1 && ahead.lsn <= r->at) {
			*f = ahead;
			continue;
		}
		buf_reset(&wal);
		rc = spool_file_next(f, &wal, e);
		if (rc != 1 || lsn > r->at || f->lsn <= r->at)
			continue;
		skip = r->at - lsn;
		buf_add(r->out, wal.data + skip, (size_t)((f->lsn < r->to ? f->lsn : r->to) - r->at));
		r->at = f->lsn < r->to ? f->lsn : r->to;
		if (r->out->over)
			rc = buf_check(r->out, "WAL of the spool", e);
	}
	buf_done(&wal);
	return rc == -1 ? -1 : 0;
}

/* One round over the files. 1 all done or nothing more there, 0 ask anew, -1. */
static int
read_round(struct reading *r, const struct wal_place *p, uint32_t tli, struct err *e)
{
	struct spool_dir_files files;
	struct spool_file f;
	int dirfd, rc = 1;

	if (names(r->d, &files, e) == -1)
		return -1;
	if (files.count > 0)
		qsort(files.file, files.count, sizeof(*files.file), by_place);
	dirfd = open(r->d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < files.count && rc == 1 && dirfd != -1 && r->at < r->to; i++) {
		const struct spool_dir_file *one = &files.file[i];
		struct err why = { 0 };

		if (one->sysid != p->sysid || one->epoch != p->epoch || one->tli != tli ||
		    one->start > r->at || (one->closed && one->end <= r->at))
			continue;
		if (open_file(r->d, dirfd, one, &f, &why) == -1) {
			rc = why.kind == ERR_NOTFOUND ? 0 : -1;
		} else {
			rc = read_file(r, &f, &why) == -1 ? -1 : 1;
			if (rc == 1 && one->closed && r->at < r->to && r->at < one->end)
				rc = err_set(&why, ERR_CORRUPT, "'%s' ends before its name says",
				    one->name);
			spool_file_close(&f);
		}
		if (rc == -1)
			err_set(e, why.kind, "spool '%s': %s", r->d->path, why.text);
	}
	if (dirfd != -1)
		close(dirfd);
	spool_dir_done(&files);
	return rc;
}

ssize_t
spool_dir_read(const struct spool_dir *d, const struct wal_place *p, uint32_t tli, uint64_t from,
    uint64_t to, struct buf *out, struct err *e)
{
	struct reading r = { .d = d, .at = from, .to = to, .out = out };
	size_t before = out->len;
	int rc = 0;

	for (int i = 0; i < TRIES && rc == 0; i++)
		rc = read_round(&r, p, tli, e);
	if (rc == 0)
		err_set(e, ERR_BUSY, "spool '%s' changes faster than it can be read", d->path);
	if (rc != 1) {
		buf_cut(out, before);
		return -1;
	}
	return (ssize_t)(r.at - from);
}

/* ---- copying ---- */

static int
copy_bytes(int from, int to, struct err *e)
{
	uint8_t *step = xmalloc(COPY_STEP);
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = file_read(from, step, COPY_STEP, e)) != 0)
		rc = n == -1 ? -1 : file_write(to, step, (size_t)n, e);
	free(step);
	if (rc == 0 && fsync(to) == -1)
		rc = err_sys(e, "sync");
	return rc;
}

/* 1; 0 it is gone; -1. What grows meanwhile ends with a torn record at worst. */
static int
copy_file(int dirfd, const char *name, int into, struct err *e)
{
	int from = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), to = -1, rc = -1;

	if (from == -1)
		return errno == ENOENT ? 0 : err_sys(e, "open '%s'", name);
	to = openat(into, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to == -1)
		err_sys(e, "make '%s'", name);
	else
		rc = copy_bytes(from, to, e) == -1 ? -1 : 1;
	close(from);
	if (to != -1)
		close(to);
	return rc;
}

static int
copy_round(const struct spool_dir *d, const struct spool_dir_file *want, int into, struct err *e)
{
	struct spool_dir_files files;
	int dirfd = -1, rc = names(d, &files, e) == -1 ? -1 : 1;

	if (rc == 1 && files.count > 0 &&
	    (dirfd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		rc = err_sys(e, "open '%s'", d->path);
	for (size_t i = 0; i < files.count && rc == 1; i++) {
		const struct spool_dir_file *f = &files.file[i];

		if (f->sysid == want->sysid && f->tli == want->tli && f->start < want->end &&
		    (!f->closed || f->end > want->start))
			rc = copy_file(dirfd, f->name, into, e);
	}
	if (dirfd != -1)
		close(dirfd);
	spool_dir_done(&files);
	return rc;
}

int
spool_dir_copy(const struct spool_dir *d, uint64_t sysid, uint32_t tli, uint64_t from,
    uint64_t to, const char *into, struct err *e)
{
	const struct spool_dir_file want = {
		.sysid = sysid, .tli = tli, .start = from, .end = to
	};
	int dirfd = -1, rc = file_make_dirs(AT_FDCWD, into, 0700, e);

	if (rc == 0 && (dirfd = open(into, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		rc = err_sys(e, "open '%s'", into);
	for (int i = 0; i < TRIES && rc == 0; i++)
		rc = copy_round(d, &want, dirfd, e);
	if (rc == 0)
		err_set(e, ERR_BUSY, "spool '%s' changes faster than it can be read", d->path);
	if (rc == 1 && file_sync_dir(dirfd, ".", e) == -1)
		rc = -1;
	if (dirfd != -1)
		close(dirfd);
	return rc == 1 ? 0 : err_in(e, "the copy of the spool");
}
