/*
 * Compares a file of several names with its entry, contents and all, in the owner's thread: such
 * files are few, and the answer is wanted before anything is planned. Reading stops at the first
 * difference.
 */
#include "source/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "source/attr.h"
#include "source/links.h"

#define SHARED_BLOCK (128u << 10)

struct shared {
	struct reader *reader;
	struct attr *attr;
	struct links *claimed;
	/* Of the file being compared. */
	const struct entry *en;
	int fd;
	uint64_t at;
	bool differs;
	uint8_t block[SHARED_BLOCK];
};

struct shared *
shared_new(struct reader *r)
{
	struct shared *s = xcalloc(1, sizeof(*s));

	s->reader = r;
	s->attr = attr_new();
	s->claimed = links_new();
	return s;
}

void
shared_free(struct shared *s)
{
	if (!s)
		return;
	attr_free(s->attr);
	links_free(s->claimed);
	free(s);
}

static bool
same_attributes(const struct entry *a, const struct entry *b)
{
	size_t i;

	if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || a->size != b->size ||
	    a->mtime_s != b->mtime_s || a->mtime_ns != b->mtime_ns || a->xattrs != b->xattrs)
		return false;
	for (i = 0; i < a->xattrs; i++)
		if (strcmp(a->xattr[i].name, b->xattr[i].name) != 0 ||
		    a->xattr[i].len != b->xattr[i].len ||
		    memcmp(a->xattr[i].value, b->xattr[i].value, a->xattr[i].len) != 0)
			return false;
	return true;
}

static int
read_block(struct shared *s, uint64_t off, size_t n, struct err *e)
{
	const ssize_t got = pread(s->fd, s->block, n, (off_t)off);

	if (got == -1)
		return err_sys(e, "read what is there");
	s->differs = s->differs || (size_t)got != n;
	return 0;
}

/* The file must be zero up to there. */
static int
check_zero(struct shared *s, uint64_t to, struct err *e)
{
	const off_t data = s->at < to ? lseek(s->fd, (off_t)s->at, SEEK_DATA) : -1;
	size_t n;

	if (data != -1 && (uint64_t)data > s->at)
		s->at = (uint64_t)data;
	if (s->at >= to || (data == -1 && errno == ENXIO))
		return 0;
	for (; s->at < to && !s->differs; s->at += n) {
		n = to - s->at < sizeof(s->block) ? (size_t)(to - s->at) : sizeof(s->block);
		if (read_block(s, s->at, n, e) == -1)
			return -1;
		s->differs = s->differs || s->block[0] != 0 ||
		    memcmp(s->block, s->block + 1, n - 1) != 0;
	}
	return 0;
}

static int
check_run(void *arg, const struct reader_run *run, struct err *e)
{
	struct shared *s = arg;
	const uint64_t grain = UINT64_C(1) << s->en->grain_log2;
	uint8_t id[GRAIN_ID_LEN];
	uint64_t off = run->offset;
	uint32_t i;
	size_t n;

	if (s->differs)
		return 0;
	if (off >= s->en->size || grain > sizeof(s->block))
		return err_set(e, ERR_CORRUPT, "its map goes beyond its size");
	if (check_zero(s, off, e) == -1)
		return -1;
	for (i = 0; i < run->count && off < s->en->size && !s->differs; i++, off += n) {
		n = (size_t)(s->en->size - off < grain ? s->en->size - off : grain);
		if (read_block(s, off, n, e) == -1)
			return -1;
		digest_id(&reader_keys(s->reader)->id, s->block, n, id);
		s->differs = s->differs || memcmp(id, run->ids[i], sizeof(id)) != 0;
	}
	s->at = off;
	return 0;
}

static int
same(struct shared *s, const struct attr_place *at, const struct stat *st, const struct entry *en,
    struct err *e)
{
	struct entry now;

	if (attr_read(s->attr, at, st, &now, e) == -1)
		return -1;
	if (!same_attributes(&now, en))
		return 0;
	s->en = en;
	s->fd = at->fd;
	s->at = 0;
	s->differs = false;
	if (reader_runs(s->reader, en, check_run, s, e) == -1 || check_zero(s, en->size, e) == -1)
		return -1;
	return !s->differs;
}

int
shared_stays(struct shared *s, int dirfd, const char *name, const struct stat *st,
    const struct entry *en, const char *path, struct err *e)
{
	struct attr_place at = { .dirfd = dirfd, .name = name };
	int rc;

	if (links_seen(s->claimed, st))
		return 0;
	at.fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (at.fd == -1)
		return errno == EACCES ? 0 : err_sys(e, "open");
	rc = same(s, &at, st, en, e);
	close(at.fd);
	if (rc == 1)
		links_add(s->claimed, st, path);
	return rc;
}
