/*
 * Texts as files, one lock for all of them. A change is: take the lock, look whether the text is
 * still the one that was seen, put the new file in its place (written, synced, renamed). So a crash
 * leaves the old text or the new one, and readers need no lock. The kernel lets go of the lock of a
 * process that dies.
 *
 * The first line of a file counts its changes: a text that came back to what it was has another
 * etag, and nobody takes the world for unchanged.
 */
#include "coord/coord_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "filter/digest.h"

#define LOCK ".lock"
#define DIR_MODE 0700
#define FILE_MODE 0600
#define HEAD "ffdr-coord "
#define HEAD_MAX 64
#define ETAG_HASH 16 /* bytes of the hash in an etag */

struct place {
	struct coord coord;
	char *path;
	int dirfd;
};

static struct place *
place_of(struct coord *c)
{
	return (struct place *)c;
}

static void
file_close(struct coord *c)
{
	struct place *p = place_of(c);

	if (p->dirfd != -1)
		close(p->dirfd);
	free(p->path);
	free(p);
}

/* Makes the directory, but not those above it: without them a disk is not mounted. */
static int
make_last(const char *path, struct err *e)
{
	char *above = xstrndup(path, (size_t)(strrchr(path, '/') - path) + 1);
	struct stat st;
	int rc;

	if (stat(above, &st) == 0)
		rc = file_make_dirs(AT_FDCWD, path, DIR_MODE, e);
	else if (errno == ENOENT)
		rc = err_set(e, ERR_REMOTE, "'%s' is not there, nor is '%s'", path, above);
	else
		rc = err_sys(e, "look at '%s'", above);
	free(above);
	return rc;
}

static int
file_open(const char *place, struct coord **ret, struct err *e)
{
	const char *path = place + strlen("file:");
	struct place *p;

	while (path[0] == '/' && path[1] == '/')
		path++;
	if (path[0] != '/')
		return err_set(e, ERR_CONFIG, "'%s': expected file:/DIR with an absolute path",
		    place);
	p = xcalloc(1, sizeof(*p));
	p->coord.ops = &coord_file;
	p->path = xstrdup(path);
	p->dirfd = -1;
	if (make_last(path, e) == 0) {
		p->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (p->dirfd == -1)
			err_sys(e, "open '%s'", path);
	}
	if (p->dirfd == -1) {
		file_close(&p->coord);
		return -1;
	}
	*ret = &p->coord;
	return 0;
}

static void
make_etag(uint64_t counter, const void *text, size_t n, char etag[COORD_ETAG])
{
	char hex[TEXT_HEX(ETAG_HASH)];
	uint8_t sha[DIGEST_LEN];

	digest_sha256(text, n, sha);
	snprintf(etag, COORD_ETAG, "%" PRIu64 "-%s", counter, text_hex(sha, ETAG_HASH, hex));
}

/* 1, with the text appended; 0 none; -1. */
static int
load(const struct place *p, const char *name, struct buf *out, uint64_t *counter, struct err *e)
{
	struct buf all;
	char *end;
	int rc = -1;

	buf_init(&all, COORD_MAX + HEAD_MAX);
	if (file_get(p->dirfd, name, &all, e) == -1) {
		rc = e->kind == ERR_NOTFOUND ? 0 : err_in(e, "'%s'", p->path);
		goto out;
	}
	if (strncmp(buf_str(&all), HEAD, strlen(HEAD)) == 0) {
		errno = 0;
		*counter = strtoull(buf_str(&all) + strlen(HEAD), &end, 10);
		if (errno == 0 && *end == '\n') {
			end++;
			buf_add(out, end, all.len - (size_t)(end - buf_str(&all)));
			rc = 1;
		}
	}
	if (rc == -1)
		err_set(e, ERR_CORRUPT, "'%s/%s' does not begin with '" HEAD "N': it was not "
		    "written by ffdr", p->path, name);
out:
	buf_done(&all);
	return rc;
}

static int
file_look(struct coord *c, const char *name, struct buf *out, char etag[COORD_ETAG], struct err *e)
{
	size_t start = out->len;
	uint64_t counter;
	int rc = load(place_of(c), name, out, &counter, e);

	if (rc == 1)
		make_etag(counter, out->data == NULL ? NULL : out->data + start, out->len - start,
		    etag);
	else if (rc == 0)
		err_clear(e);
	return rc;
}

/* The lock of the place; the fd, or -1. Closing it lets go. */
static int
lock(const struct place *p, struct err *e)
{
	char *path = xasprintf("%s/" LOCK, p->path);
	int fd = file_open_shared(path, FILE_MODE, e);

	while (fd != -1 && flock(fd, LOCK_EX) == -1) {
		if (errno == EINTR)
			continue;
		err_sys(e, "lock '%s'", path);
		close(fd);
		fd = -1;
	}
	free(path);
	return fd;
}

/* With the lock held: the text whose etag is `want` ("": none) becomes this one. 1, 0, -1. */
static int
replace(const struct place *p, const char *name, const char *want, const void *data, size_t n,
    char etag[COORD_ETAG], struct err *e)
{
	char there[COORD_ETAG] = "";
	uint64_t counter = 0;
	struct buf text;
	int rc;

	buf_init(&text, COORD_MAX + HEAD_MAX);
	rc = load(p, name, &text, &counter, e);
	if (rc == 1)
		make_etag(counter, buf_str(&text), text.len, there);
	if (rc != -1 && strcmp(there, want) != 0) {
		rc = 0;
	} else if (rc != -1) {
		buf_reset(&text);
		buf_addf(&text, HEAD "%" PRIu64 "\n", counter + 1);
		buf_add(&text, data, n);
		rc = buf_check(&text, name, e) == -1 ? -1 : file_put(p->dirfd, name, text.data,
		    text.len, FILE_MODE, FILE_REPLACE, e);
		if (rc == -1)
			err_in(e, "'%s'", p->path);
		else
			make_etag(counter + 1, data, n, etag);
	}
	buf_done(&text);
	return rc;
}

static int
file_change(struct coord *c, const char *name, const char *want, const void *data, size_t n,
    char etag[COORD_ETAG], struct err *e)
{
	const struct place *p = place_of(c);
	int fd = lock(p, e), rc;

	if (fd == -1)
		return -1;
	rc = replace(p, name, want, data, n, etag, e);
	close(fd);
	if (rc == 0)
		err_clear(e);
	return rc;
}

static int
file_create(struct coord *c, const char *name, const void *data, size_t n, char etag[COORD_ETAG],
    struct err *e)
{
	return file_change(c, name, "", data, n, etag, e);
}

static int
file_swap(struct coord *c, const char *name, char etag[COORD_ETAG], const void *data, size_t n,
    struct err *e)
{
	return file_change(c, name, etag, data, n, etag, e);
}

const struct coord_ops coord_file = {
	.scheme = "file",
	.open = file_open,
	.get = file_look,
	.create = file_create,
	.swap = file_swap,
	.close = file_close,
};
