/*
 * Reads a file that others may be writing. pread goes straight into the writer's memory; holes are
 * asked for only where the file has fewer blocks than bytes, because that question costs two calls
 * a file.
 *
 * Where the end is the file says, not its size: a file system that makes contents as they are read
 * (procfs, some by FUSE) tells a size of 0, or any. So one read goes past it.
 *
 * A big file that was not in the page cache is put out of it again as we go: a backup of terabytes
 * must not push out what the machine works with. One byte read without waiting tells.
 */
#include "source/content.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

/* From this size on, hints to the kernel are worth their calls. */
#define CONTENT_BIG (8u << 20)
/* Bytes between two looks at the clock and the outside, and the stretch that is dropped from the
 * cache. */
#define CONTENT_BREATH (16u << 20)

/* So much is taken of a file whose size is not told: who asks for its end may never meet it. */
#define CONTENT_UNTOLD (1u << 30)

struct reading {
	const struct content_source *s;
	uint64_t off, size;
	uint64_t breath; /* offset of the last one */
	bool drop;
	int error;
	bool late, shrunk;
};

static bool
is_cached(int fd)
{
	char byte;
	struct iovec one = { .iov_base = &byte, .iov_len = 1 };

	return preadv2(fd, &one, 1, 0, RWF_NOWAIT) != -1 || errno != EAGAIN;
}

static int
breathe(struct reading *r, struct err *e)
{
	const struct content_source *s = r->s;

	if (r->off - r->breath < CONTENT_BREATH)
		return 0;
	if (r->drop)
		posix_fadvise(s->fd, (off_t)r->breath, (off_t)(r->off - r->breath),
		    POSIX_FADV_DONTNEED);
	r->breath = r->off;
	s->progress(s->arg);
	if (s->stop(s->arg))
		return err_set(e, ERR_CANCELLED, "stopped; nothing was committed");
	r->late = writer_late(s->w);
	if (writer_full(s->w, s->beside))
		r->error = EFBIG;
	return 0;
}

/* Reads up to `end`; stops early at what r then says. */
static int
read_data(struct reading *r, uint64_t end, struct err *e)
{
	uint8_t *space;
	size_t room;
	ssize_t n;

	while (r->off < end && !r->late && !r->error) {
		space = writer_space(r->s->w, &room, e);
		if (!space)
			return -1;
		if (room > end - r->off)
			room = (size_t)(end - r->off);
		do
			n = pread(r->s->fd, space, room, (off_t)r->off);
		while (n == -1 && errno == EINTR);
		if (n == -1)
			r->error = errno;
		if (n == 0)
			r->shrunk = true;
		if (n <= 0)
			return 0;
		if (writer_filled(r->s->w, (size_t)n, e) == -1)
			return -1;
		r->off += (uint64_t)n;
		if (breathe(r, e) == -1)
			return -1;
	}
	return 0;
}

/* Where the next data begins, and where they end. A file system that cannot tell has data only. */
static void
next_data(const struct reading *r, uint64_t *from, uint64_t *to)
{
	off_t at = lseek(r->s->fd, (off_t)r->off, SEEK_DATA);

	*from = r->off;
	*to = r->size;
	if (at == -1 && errno != ENXIO)
		return;
	*from = at == -1 || (uint64_t)at > r->size ? r->size : (uint64_t)at;
	at = at == -1 ? -1 : lseek(r->s->fd, at, SEEK_HOLE);
	if (at != -1 && (uint64_t)at < r->size)
		*to = (uint64_t)at;
}

static int
read_sparse(struct reading *r, struct err *e)
{
	uint64_t from, to;

	while (r->off < r->size && !r->late && !r->error && !r->shrunk) {
		next_data(r, &from, &to);
		if (from > r->off && writer_hole(r->s->w, from - r->off, e) == -1)
			return -1;
		r->off = from;
		if (read_data(r, to, e) == -1)
			return -1;
	}
	return 0;
}

/* Is there more than the size says, though the file has not grown? */
static bool
is_untold(const struct reading *r)
{
	struct stat is;
	char byte;

	if (r->late || r->error || r->shrunk || pread(r->s->fd, &byte, 1, (off_t)r->off) != 1)
		return false;
	return fstat(r->s->fd, &is) == 0 && is.st_size <= r->s->st->st_size;
}

/* Up to where nothing more comes. */
static int
read_untold(struct reading *r, struct err *e)
{
	if (read_data(r, r->size + CONTENT_UNTOLD, e) == -1)
		return -1;
	if (!r->shrunk && !r->late && !r->error)
		r->error = EFBIG;
	r->shrunk = false;
	return 0;
}

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static const char *
what_changed(const struct reading *r, const struct stat *was, const struct stat *is)
{
	if (r->late)
		return "the run ended before its end";
	if (is->st_size > was->st_size)
		return "it grew, the size it had at first is kept";
	if (r->shrunk || is->st_size < was->st_size)
		return "it shrank";
	if (!same_time(was->st_mtim, is->st_mtim) || !same_time(was->st_ctim, is->st_ctim))
		return "its time changed";
	return NULL;
}

int
content_read(const struct content_source *s, struct content_result *ret, struct err *e)
{
	struct reading r = { .s = s, .size = (uint64_t)s->st->st_size };
	/* st_blocks counts 512 bytes, whatever the file system's block. */
	const bool sparse = (uint64_t)s->st->st_blocks * 512 < r.size;

	if (r.size >= CONTENT_BIG) {
		posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		r.drop = !is_cached(s->fd);
	}
	if ((sparse ? read_sparse(&r, e) : read_data(&r, r.size, e)) == -1)
		return -1;
	if (is_untold(&r) && read_untold(&r, e) == -1)
		return -1;
	if (r.drop)
		posix_fadvise(s->fd, (off_t)r.breath, 0, POSIX_FADV_DONTNEED);
	*ret = (struct content_result){ .size = r.off, .error = r.error, .after = *s->st };
	if (fstat(s->fd, &ret->after) == -1)
		ret->error = errno;
	ret->how = what_changed(&r, s->st, &ret->after);
	ret->changed = ret->how != NULL;
	return r.late ? 0 : 1;
}
