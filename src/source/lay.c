/*
 * A restored database is larger than what a cache should hold, and to fill the cache costs more
 * processor time than all the rest of a restore: every page is found, cleared, copied to, and
 * written by somebody else later, who then makes us wait. A direct write has none of that and is
 * on the disk when it returns. It is a good choice for stretches that are long and lie on whole
 * blocks, where the file system says itself that it can (statx: a file system behind a network says
 * nothing, and one without a disk cannot). Everything else goes through the cache.
 *
 * What would surprise: a file may be written both ways. That is sound as long as no block is, and
 * even then the kernel drops the cached page first.
 */
#include "source/lay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* Offsets, lengths and addresses of direct writes: no disk has larger blocks today. */
#define LAY_BLOCK 4096u
/* Below this the wait for the disk is longer than the way through the cache. */
#define DIRECT_LEAST (256u << 10)
/* Begun at once; less is left for the file system to gather. */
#define EARLY_LEAST (64u << 10)
/* Reserving pays for files of several direct writes. */
#define RESERVE_LEAST (1u << 20)

static bool
takes_direct(int root)
{
	bool takes = false;
#ifdef STATX_DIOALIGN
	struct statx sx;
	int fd = openat(root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd == -1)
		return false;
	takes = statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 &&
	    (sx.stx_mask & STATX_DIOALIGN) && sx.stx_dio_offset_align > 0 &&
	    LAY_BLOCK % sx.stx_dio_offset_align == 0 && sx.stx_dio_mem_align > 0 &&
	    LAY_BLOCK % sx.stx_dio_mem_align == 0;
	close(fd);
#else
	(void)root;
#endif
	return takes;
}

void
lay_init(struct lay *l, int root, bool lasting)
{
	l->lasting = lasting;
	atomic_init(&l->direct, lasting && takes_direct(root));
}

static size_t
aligned_part(const struct lay *l, const void *data, size_t n, uint64_t off)
{
	n -= n % LAY_BLOCK;
	if (n < DIRECT_LEAST || off % LAY_BLOCK != 0 || (uintptr_t)data % LAY_BLOCK != 0 ||
	    !atomic_load(&l->direct))
		return 0;
	return n;
}

/*
 * How many of the n bytes are written; the rest goes through the cache, which says what is wrong if
 * anything is.
 */
static size_t
write_direct(struct lay *l, int fd, const uint8_t *data, size_t n, uint64_t off)
{
	size_t done = 0;
	ssize_t r = 0;

	if (n == 0)
		return 0;
	if (fcntl(fd, F_SETFL, O_DIRECT) == -1) {
		atomic_store(&l->direct, false);
		return 0;
	}
	while (done < n && done % LAY_BLOCK == 0) {
		r = pwrite(fd, data + done, n - done, (off_t)(off + done));
		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		done += (size_t)r;
	}
	if (r == -1 && (errno == EINVAL || errno == EOPNOTSUPP))
		atomic_store(&l->direct, false);
	/* It could be set, so it can be cleared. */
	fcntl(fd, F_SETFL, 0);
	return done;
}

int
lay_write(struct lay *l, int fd, const void *data, size_t n, uint64_t off, struct err *e)
{
	const size_t done =
	    off > INT64_MAX - n ? 0 : write_direct(l, fd, data, aligned_part(l, data, n, off), off);

	if (done == n)
		return 0;
	if (file_pwrite(fd, (const uint8_t *)data + done, n - done, off + done, e) == -1)
		return -1;
	if (l->lasting && n - done >= EARLY_LEAST)
		sync_file_range(
		    fd, (off_t)(off + done), (off_t)(n - done), SYNC_FILE_RANGE_WRITE);
	return 0;
}

int
lay_reserve(struct lay *l, int fd, uint64_t size, struct err *e)
{
	if (size < RESERVE_LEAST || !atomic_load(&l->direct) ||
	    fallocate(fd, 0, 0, (off_t)size) == 0)
		return 0;
	return errno == ENOSPC || errno == EDQUOT ? err_sys(e, "reserve its space") : 0;
}
