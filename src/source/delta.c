/*
 * Compares what stands in the target with what the snapshot wants. The owner walks the runs of a
 * file, gathers neighbours into stretches and hands each to a pool: read it, hash its grains, note
 * which differ. Results come back in order and only the owner talks to fetch. A file stays open
 * until its last result is in, so small files overlap as well as the parts of a big one.
 */
#include "source/delta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "filter/pool.h"
#include "source/place.h"
#include "source/walk.h"

/* Stretches out at once for each worker: what the disk is asked for before it is needed. */
#define DELTA_AHEAD 8
/* Bytes of a stretch: handing one over is nothing beside hashing it. */
#define STRETCH (1u << 20)
/* Read at once: stays in a cache until it is hashed. */
#define SLICE (256u << 10) /* two grains of a volume, which are hashed at once */
/* A directory deeper than this is not removed by recursion: it would run out of descriptors. */
#define DELTA_DEPTH 500

struct file {
	int fd;
	unsigned out; /* stretches not back yet, and one while the owner is in it */
	uint64_t id, size;
	unsigned grain_log2;
};

/* A part of a run: its grains are those from `grain` on of the stretch. */
struct part {
	struct reader_run run; /* without ids */
	size_t grain;
};

struct stretch {
	const struct digest_idkey *key;
	struct file *file;
	uint64_t off;
	size_t len;
	struct part *part;
	size_t parts, part_room;
	uint8_t (*id)[GRAIN_ID_LEN];
	size_t grains, id_room;
	bool *differs; /* for each grain */
	struct err why;
	bool failed;
};

struct delta {
	const struct digest_idkey *key;
	struct fetch *fetch;
	struct pool *pool;
	struct file *file; /* the current one */
	uint64_t at;	   /* its bytes up to here are settled or on their way */
	struct stretch *filling; /* of it, ends at `at`; or NULL */
};

struct delta *
delta_new(const struct digest_idkey *key, struct fetch *fetch, unsigned workers)
{
	struct delta *d = xcalloc(1, sizeof(*d));

	d->key = key;
	d->fetch = fetch;
	d->pool = pool_new(workers, (workers ? workers : 1) * DELTA_AHEAD);
	return d;
}

static void
free_stretch(struct stretch *s)
{
	free(s->part);
	free(s->id);
	free(s->differs);
	free(s);
}

/* A failing close loses nothing: the bytes are synced, or not, with the whole file system. */
static void
let_go(struct file *f)
{
	if (--f->out > 0)
		return;
	close(f->fd);
	free(f);
}

void
delta_free(struct delta *d)
{
	struct stretch *s;

	if (!d)
		return;
	while ((s = pool_take(d->pool)) != NULL) {
		let_go(s->file);
		free_stretch(s);
	}
	pool_free(d->pool);
	if (d->filling) {
		let_go(d->file);
		free_stretch(d->filling);
	}
	if (d->file)
		let_go(d->file);
	free(d);
}

/* The grains from g on, of which `got` bytes are there and `wanted` should be. Returns the next. */
static size_t
hash_slice(struct stretch *s, size_t g, const uint8_t *bytes, size_t got, size_t wanted)
{
	const size_t grain = (size_t)1 << s->file->grain_log2;
	uint8_t id[2][GRAIN_ID_LEN];
	size_t at = 0, n;

	for (; at + 2 * grain <= wanted && at + 2 * grain <= got; at += 2 * grain, g += 2) {
		digest_id_pair(s->key, bytes + at, bytes + at + grain, grain, id[0], id[1]);
		s->differs[g] = memcmp(id[0], s->id[g], GRAIN_ID_LEN) != 0;
		s->differs[g + 1] = memcmp(id[1], s->id[g + 1], GRAIN_ID_LEN) != 0;
	}
	for (; at < wanted; at += n, g++) {
		n = wanted - at < grain ? wanted - at : grain;
		s->differs[g] = at + n > got;
		if (s->differs[g])
			continue;
		digest_id(s->key, bytes + at, n, id[0]);
		s->differs[g] = memcmp(id[0], s->id[g], GRAIN_ID_LEN) != 0;
	}
	return g;
}

/* In a worker. */
static void
compare(void *task)
{
	struct stretch *s = task;
	const size_t grain = (size_t)1 << s->file->grain_log2;
	const size_t most = grain < SLICE ? SLICE / grain * grain : grain;
	uint8_t *bytes = xmalloc(s->len < most ? s->len : most);
	size_t g = 0, n;
	ssize_t got;

	for (size_t at = 0; at < s->len; at += n) {
		n = s->len - at < most ? s->len - at : most;
		got = pread(s->file->fd, bytes, n, (off_t)(s->off + at));
		if (got == -1) {
			s->failed = true;
			err_sys(&s->why, "read what is there");
			break;
		}
		g = hash_slice(s, g, bytes, (size_t)got, n);
	}
	free(bytes);
}

/* Gives what differs of a part to fetch, in the longest pieces. */
static int
settle_part(struct delta *d, const struct stretch *s, const struct part *p, struct err *e)
{
	const unsigned log2 = s->file->grain_log2;
	const bool *differs = s->differs + p->grain;
	struct reader_run run;
	uint64_t len;
	uint32_t n;

	for (uint32_t i = 0; i < p->run.count; i += n) {
		for (n = 1; i + n < p->run.count && differs[i + n] == differs[i];)
			n++;
		if (!differs[i])
			continue;
		run = p->run;
		run.first = (uint16_t)(run.first + i);
		run.count = n;
		run.offset += (uint64_t)i << log2;
		run.ids = s->id + p->grain + i;
		len = (uint64_t)n << log2;
		if (len > s->off + s->len - run.offset)
			len = s->off + s->len - run.offset;
		if (fetch_add(d->fetch, s->file->id, &run, len, e) == -1)
			return -1;
	}
	return 0;
}

static int
settle(struct delta *d, const struct stretch *s, struct err *e)
{
	if (s->failed) {
		*e = s->why;
		return -1;
	}
	for (size_t i = 0; i < s->parts; i++)
		if (settle_part(d, s, &s->part[i], e) == -1)
			return -1;
	return 0;
}

static int
take_one(struct delta *d, struct err *e)
{
	struct stretch *s = pool_take(d->pool);
	int rc;

	if (!s)
		return 0;
	rc = settle(d, s, e);
	let_go(s->file);
	free_stretch(s);
	return rc == -1 ? -1 : 1;
}

/* Makes [from, to) read as zeros, by a hole where the file system has them. */
static int
make_zero(int fd, uint64_t from, uint64_t to, struct err *e)
{
	static const uint8_t zeros[64u << 10];
	off_t data;
	uint64_t n;

	if (from >= to)
		return 0;
	data = lseek(fd, (off_t)from, SEEK_DATA);
	if ((data == -1 && errno == ENXIO) || (data != -1 && (uint64_t)data >= to))
		return 0;
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
		(off_t)(to - from)) == 0)
		return 0;
	if (errno != EOPNOTSUPP)
		return err_sys(e, "make a hole");
	for (; from < to; from += n) {
		n = to - from < sizeof(zeros) ? to - from : sizeof(zeros);
		if (file_pwrite(fd, zeros, (size_t)n, from, e) == -1)
			return -1;
	}
	return 0;
}

int
delta_begin(struct delta *d, int fd, const struct entry *en, uint64_t id, struct err *e)
{
	struct stat st;

	d->file = xcalloc(1, sizeof(*d->file));
	*d->file = (struct file){
		.fd = fd, .out = 1, .id = id, .size = en->size, .grain_log2 = en->grain_log2,
	};
	d->at = 0;
	if (fstat(fd, &st) == -1)
		return err_sys(e, "look at what is there");
	if ((uint64_t)st.st_size != en->size && ftruncate(fd, (off_t)en->size) == -1)
		return err_sys(e, "set its size");
	return 0;
}

/* What was gathered goes to the workers. */
static int
send(struct delta *d, struct err *e)
{
	struct stretch *s = d->filling;

	if (!s)
		return 0;
	if (pool_full(d->pool) && take_one(d, e) == -1)
		return -1;
	d->filling = NULL;
	s->differs = xcalloc(s->grains, sizeof(*s->differs));
	/* A disk has it ready when its turn comes; what is in memory costs nothing. */
	posix_fadvise(s->file->fd, (off_t)s->off, (off_t)s->len, POSIX_FADV_WILLNEED);
	pool_submit(d->pool, compare, s);
	return 0;
}

static struct stretch *
begin_stretch(struct delta *d, uint64_t off)
{
	struct stretch *s = xcalloc(1, sizeof(*s));

	*s = (struct stretch){ .key = d->key, .file = d->file, .off = off };
	d->file->out++;
	return s;
}

/* The stretch goes on with these grains, `len` bytes. */
static void
add_part(struct stretch *s, const struct reader_run *run, size_t len)
{
	s->part = mem_grow(s->part, &s->part_room, s->parts + 1, sizeof(*s->part));
	s->part[s->parts] = (struct part){ .run = *run, .grain = s->grains };
	s->part[s->parts++].run.ids = NULL;
	s->id = mem_grow(s->id, &s->id_room, s->grains + run->count, sizeof(*s->id));
	memcpy(s->id + s->grains, run->ids, run->count * sizeof(*s->id));
	s->grains += run->count;
	s->len += len;
}

int
delta_run(void *delta, const struct reader_run *run, struct err *e)
{
	struct delta *d = delta;
	struct file *f = d->file;
	uint64_t len = (uint64_t)run->count << f->grain_log2;

	if (run->offset >= f->size)
		return err_set(e, ERR_CORRUPT, "its map goes beyond its size");
	if (make_zero(f->fd, d->at, run->offset, e) == -1)
		return -1;
	if (len > f->size - run->offset)
		len = f->size - run->offset;
	if (d->filling && (run->offset != d->at || d->filling->len + len > STRETCH) &&
	    send(d, e) == -1)
		return -1;
	if (!d->filling)
		d->filling = begin_stretch(d, run->offset);
	add_part(d->filling, run, (size_t)len);
	d->at = run->offset + len;
	return 0;
}

int
delta_end(struct delta *d, struct err *e)
{
	int rc = send(d, e);

	if (rc == 0)
		rc = make_zero(d->file->fd, d->at, d->file->size, e);
	if (rc == -1)
		return -1; /* delta_free lets go */
	let_go(d->file);
	d->file = NULL;
	return 0;
}

int
delta_drain(struct delta *d, struct err *e)
{
	int r;

	while ((r = take_one(d, e)) == 1)
		continue;
	return r;
}

/* ---- removing ---- */

struct removal {
	dev_t dev; /* of the directory it begins in */
	const struct delta_spare *spare;
	struct delta_kept *kept;
	struct buf path; /* of the name in hand */
};

static int remove_name(struct removal *r, int dirfd, const char *name, unsigned depth,
    struct err *e);

static uint64_t
kept(const struct removal *r)
{
	return r->kept->mounts + r->kept->own + r->kept->excluded;
}

/* Must the name stay, whatever is below it? Then it is counted. */
static bool
spared(struct removal *r, int dirfd, const char *name)
{
	const struct delta_spare *s = r->spare;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return false;
	if (own_has(s->own, &st) || own_around(s->own, &st)) {
		r->kept->own++;
		return true;
	}
	if (!exclude_match(s->exclude, buf_str(&r->path), name, S_ISDIR(st.st_mode)))
		return false;
	r->kept->excluded++;
	return true;
}

static int
remove_below(struct removal *r, int fd, unsigned depth, struct err *e)
{
	struct walk_names names = { 0 };
	size_t i, len = r->path.len;
	int rc = 0, error = walk_names(fd, &names);

	if (error) {
		errno = error;
		rc = err_sys(e, "read a directory to remove");
	}
	for (i = 0; rc == 0 && i < names.count; i++) {
		buf_addf(&r->path, "/%s", names.name[i]);
		rc = remove_name(r, fd, names.name[i], depth + 1, e);
		buf_cut(&r->path, len);
	}
	walk_names_done(&names);
	return rc;
}

static int
remove_directory(struct removal *r, int dirfd, const char *name, unsigned depth, struct err *e)
{
	const uint64_t before = kept(r);
	struct stat st;
	int fd, rc;

	if (depth > DELTA_DEPTH)
		return err_set(e, ERR_UNSUPPORTED,
			       "remove '%s': more than %d directories deep, remove it by hand",
			       name, DELTA_DEPTH);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 && errno == EACCES && fchmodat(dirfd, name, S_IRWXU, 0) == 0)
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 && errno == ENOTDIR)
		errno = EPERM; /* what brought us here was no directory but an immutable file */
	if (fd == -1 || fstat(fd, &st) == -1) {
		rc = err_sys(e, "remove '%s'", name);
	} else if (st.st_dev != r->dev || place_mounted(fd, "")) {
		r->kept->mounts++;
		rc = 0;
	} else {
		if ((st.st_mode & S_IRWXU) != S_IRWXU)
			(void)!fchmod(fd, S_IRWXU);
		rc = remove_below(r, fd, depth, e);
	}
	if (fd != -1)
		close(fd);
	if (rc == 0 && kept(r) == before && unlinkat(dirfd, name, AT_REMOVEDIR) == -1 &&
	    errno != ENOENT)
		rc = err_sys(e, "remove '%s'", name);
	return rc;
}

static int
remove_name(struct removal *r, int dirfd, const char *name, unsigned depth, struct err *e)
{
	if (spared(r, dirfd, name))
		return 0;
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EBUSY) {
		r->kept->mounts++;
		return 0;
	}
	if (errno != EISDIR && errno != EPERM)
		return err_sys(e, "remove '%s'", name);
	return remove_directory(r, dirfd, name, depth, e);
}

int
delta_remove(int dirfd, const char *path, size_t len, const struct delta_spare *spare,
    struct delta_kept *ret, struct err *e)
{
	struct removal r = { .spare = spare, .kept = ret };
	const char *slash = memrchr(path, '/', len);
	char *name = slash ? xstrndup(slash + 1, len - (size_t)(slash + 1 - path)) :
			     xstrndup(path, len);
	struct stat st;
	int rc;

	buf_init(&r.path, SIZE_MAX / 2);
	buf_add(&r.path, path, len);
	if (fstatat(dirfd, "", &st, AT_EMPTY_PATH) == -1) {
		rc = err_sys(e, "look at a directory");
	} else {
		r.dev = st.st_dev;
		rc = remove_name(&r, dirfd, name, 0, e);
	}
	buf_done(&r.path);
	free(name);
	return rc;
}
