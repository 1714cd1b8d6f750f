/*
 * A million files are 60 MB of paths; a hundred million are more than memory. The first part stays
 * in memory, the rest is appended to a file that has no name, in large writes, and read back by
 * offset. An id is the offset of its record in the two taken together.
 */
#include "source/names.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define NAMES_WRITE (1u << 20)
/* Read with the record itself: longer paths cost a second read. */
#define NAMES_GUESS 256

struct head {
	struct names_record rec;
	uint64_t len; /* wide, so that no byte of it is padding */
};

struct names {
	int dir;
	size_t memory;
	uint8_t *text;
	size_t len, room;
	int fd;
	uint64_t written;  /* bytes in the file */
	struct buf unsent; /* what comes after them */
};

struct names *
names_new(int dir, size_t memory)
{
	struct names *n = xcalloc(1, sizeof(*n));

	n->dir = dir;
	n->memory = memory ? memory : NAMES_MEMORY;
	n->fd = -1;
	buf_init(&n->unsent, SIZE_MAX / 2);
	return n;
}

void
names_free(struct names *n)
{
	if (!n)
		return;
	if (n->fd != -1)
		close(n->fd);
	buf_done(&n->unsent);
	free(n->text);
	free(n);
}

/* A file without a name. Where the file system has none, one is made and unlinked. */
static int
open_unnamed(int dir, struct err *e)
{
	static const char name[] = ".ffdr-names";
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd != -1)
		return fd;
	fd = openat(dir, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600);
	if (fd == -1)
		return err_sys(e, "make a temporary file in the target");
	unlinkat(dir, name, 0);
	return fd;
}

static int
send(struct names *n, struct err *e)
{
	if (n->unsent.len == 0)
		return 0;
	if (n->fd == -1 && (n->fd = open_unnamed(n->dir, e)) == -1)
		return -1;
	if (file_pwrite(n->fd, n->unsent.data, n->unsent.len, n->written, e) == -1)
		return err_in(e, "temporary file in the target");
	n->written += n->unsent.len;
	buf_reset(&n->unsent);
	return 0;
}

int
names_add(struct names *n, const struct names_record *rec, const char *path, size_t len,
    uint64_t *ret_id, struct err *e)
{
	const struct head head = { .rec = *rec, .len = len };
	/* Records stay aligned for nobody: they are copied out. */
	const size_t all = sizeof(head) + len;

	if (n->len + all <= n->memory && n->written == 0 && n->unsent.len == 0) {
		n->text = mem_grow(n->text, &n->room, n->len + all, 1);
		memcpy(n->text + n->len, &head, sizeof(head));
		memcpy(n->text + n->len + sizeof(head), path, len);
		*ret_id = n->len;
		n->len += all;
		return 0;
	}
	*ret_id = n->len + n->written + n->unsent.len;
	buf_add(&n->unsent, &head, sizeof(head));
	buf_add(&n->unsent, path, len);
	return n->unsent.len >= NAMES_WRITE ? send(n, e) : 0;
}

int
names_seal(struct names *n, struct err *e)
{
	return send(n, e);
}

static int
get_spilled(const struct names *n, uint64_t off, struct head *head, struct buf *path,
    struct err *e)
{
	uint8_t guess[sizeof(*head) + NAMES_GUESS];
	ssize_t got = pread(n->fd, guess, sizeof(guess), (off_t)off);
	size_t have;

	if (got < (ssize_t)sizeof(*head))
		return err_sys(e, "read the temporary file in the target");
	memcpy(head, guess, sizeof(*head));
	have = (size_t)got - sizeof(*head);
	have = have < head->len ? have : head->len;
	buf_add(path, guess + sizeof(*head), have);
	if (have == head->len)
		return 0;
	have = head->len - have;
	if (pread(n->fd, buf_reserve(path, have), have, (off_t)(off + (uint64_t)got)) !=
	    (ssize_t)have)
		return err_sys(e, "read the temporary file in the target");
	buf_cut(path, path->len + have);
	return 0;
}

int
names_get(const struct names *n, uint64_t id, struct names_record *rec, struct buf *path,
    struct err *e)
{
	struct head head;

	buf_reset(path);
	if (id >= n->len + n->written)
		return err_set(e, ERR_BUG, "file number %llu was never given out",
		    (unsigned long long)id);
	if (id >= n->len) {
		if (get_spilled(n, id - n->len, &head, path, e) == -1)
			return -1;
	} else {
		memcpy(&head, n->text + id, sizeof(head));
		buf_add(path, n->text + id + sizeof(head), head.len);
	}
	*rec = head.rec;
	return buf_check(path, "a path", e);
}
