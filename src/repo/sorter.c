/*
 * A server sends its files in the order of its directories, and the list has path order. So lines
 * are collected as they will be written, with their path before them; when memory is full they are
 * sorted and appended to one file as a run; in the end the runs are merged, each read through a
 * window of its own. A database of a hundred thousand files never spills.
 *
 * Readers of a list refuse one with a path twice or a path in no directory, and such a snapshot
 * could not be restored: so it must not be committed, and in order both are seen at once.
 */
#include "repo/sorter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

/* Of a run that is merged, and of the one that is written. */
#define WINDOW (64u << 10)
/* A record: length of the path, of the text, path, text. */
#define RECORD_HEAD 8

/* One sorted stretch of the file. */
struct run {
	uint64_t at, end; /* what was not read yet */
	struct buf window;
	size_t pos; /* of the record at hand in the window */
};

struct sorter {
	char *spill_dir;
	size_t bound;
	struct buf arena; /* records */
	size_t *rec;	  /* where each begins */
	size_t recs, rec_room;
	size_t next; /* to be given back, when all stayed in memory */
	int fd;	     /* -1 until something was spilled */
	uint64_t written;
	struct run *run;
	size_t runs, run_room;
	size_t *heap; /* runs that are not read out, the one with the first path on top */
	size_t heaped;
	bool taken; /* the top was given out */

	bool whole;
	char *last; /* the path given back last */
	size_t lastlen, last_room;
	size_t *dir; /* lengths of the directories it lies in, the root's is 0; itself, too */
	size_t depth, dir_room;
};

struct sorter *
sorter_new(const char *spill_dir, size_t bound)
{
	struct sorter *s = xcalloc(1, sizeof(*s));

	s->spill_dir = spill_dir ? xstrdup(spill_dir) : NULL;
	s->bound = bound;
	s->fd = -1;
	buf_init(&s->arena, SIZE_MAX / 2);
	return s;
}

void
sorter_free(struct sorter *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->runs; i++)
		buf_done(&s->run[i].window);
	if (s->fd != -1)
		close(s->fd);
	free(s->spill_dir);
	buf_done(&s->arena);
	free(s->rec);
	free(s->run);
	free(s->heap);
	free(s->last);
	free(s->dir);
	free(s);
}

static struct sorter_line
line_at(const uint8_t *rec)
{
	struct sorter_line l = {.pathlen = buf_get_u32(rec), .len = buf_get_u32(rec + 4)};

	l.path = (const char *)rec + RECORD_HEAD;
	l.text = l.path + l.pathlen;
	return l;
}

static size_t
record_len(const uint8_t *rec)
{
	return RECORD_HEAD + (size_t)buf_get_u32(rec) + buf_get_u32(rec + 4);
}

static int
order(const uint8_t *a, const uint8_t *b)
{
	const struct sorter_line x = line_at(a), y = line_at(b);

	return list_path_order(x.path, x.pathlen, y.path, y.pathlen);
}

/* ---- collecting ---- */

static int
by_path(const void *a, const void *b, void *arena)
{
	const uint8_t *base = arena;

	return order(base + *(const size_t *)a, base + *(const size_t *)b);
}

static void
sort_arena(struct sorter *s)
{
	if (s->recs > 1)
		qsort_r(s->rec, s->recs, sizeof(*s->rec), by_path, s->arena.data);
}

/* Writes what is in memory as one more run. */
static int
spill(struct sorter *s, struct err *e)
{
	struct run r = {.at = s->written};
	struct buf out;
	int rc = 0;

	if (s->fd == -1)
		s->fd = open(s->spill_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd == -1)
		return err_sys(e, "'%s': a file for the list of files", s->spill_dir);
	buf_init(&out, SIZE_MAX / 2);
	sort_arena(s);
	for (size_t i = 0; rc == 0 && i < s->recs; i++) {
		const uint8_t *rec = s->arena.data + s->rec[i];

		buf_add(&out, rec, record_len(rec));
		if (out.len < WINDOW && i + 1 < s->recs)
			continue;
		rc = file_write(s->fd, out.data, out.len, e);
		s->written += out.len;
		buf_reset(&out);
	}
	buf_done(&out);
	if (rc == -1)
		return err_in(e, "'%s': writing the list of files", s->spill_dir);
	r.end = s->written;
	buf_init(&r.window, SIZE_MAX / 2);
	s->run = mem_grow(s->run, &s->run_room, s->runs + 1, sizeof(r));
	s->run[s->runs++] = r;
	s->recs = 0;
	buf_reset(&s->arena);
	return 0;
}

int
sorter_add(struct sorter *s, const struct entry *en, struct err *e)
{
	size_t start, text;

	/* An eighth of the bound is for the places, twice while they are sorted. */
	if (s->spill_dir && s->recs > 0 && s->arena.len >= s->bound / 8 * 7 &&
	    spill(s, e) == -1)
		return -1;
	start = s->arena.len;
	buf_add_u32(&s->arena, (uint32_t)en->pathlen);
	buf_add_u32(&s->arena, 0);
	buf_add(&s->arena, en->path, en->pathlen);
	text = s->arena.len;
	list_encode(en, &s->arena);
	buf_put_u32(s->arena.data + start + 4, (uint32_t)(s->arena.len - text));
	s->rec = mem_grow(s->rec, &s->rec_room, s->recs + 1, sizeof(*s->rec));
	s->rec[s->recs++] = start;
	return 0;
}

/* ---- merging ---- */

/* The window has at least n bytes from pos on. */
static int
fill(struct sorter *s, struct run *r, size_t n, struct err *e)
{
	size_t have = r->window.len - r->pos, want = n > WINDOW ? n : WINDOW;

	if (have >= n)
		return 0;
	if (have > 0)
		memmove(r->window.data, r->window.data + r->pos, have);
	buf_cut(&r->window, have);
	r->pos = 0;
	if (want - have > r->end - r->at)
		want = have + (size_t)(r->end - r->at);
	buf_reserve(&r->window, want - have);
	while (r->window.len < want) {
		ssize_t got = pread(s->fd, r->window.data + r->window.len, want - r->window.len,
		    (off_t)r->at);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return err_sys(e, "'%s': reading the list of files", s->spill_dir);
		if (got == 0)
			break;
		r->window.len += (size_t)got;
		r->at += (size_t)got;
	}
	return r->window.len >= n ? 0 :
				    err_set(e, ERR_IO, "'%s': the list of files became shorter",
					s->spill_dir);
}

/* The record at pos is in the window, whole. 1, 0 the run is read out, -1. */
static int
fetch_record(struct sorter *s, struct run *r, struct err *e)
{
	if (r->pos == r->window.len && r->at == r->end)
		return 0;
	if (fill(s, r, RECORD_HEAD, e) == -1)
		return -1;
	return fill(s, r, record_len(r->window.data + r->pos), e) == -1 ? -1 : 1;
}

static const uint8_t *
record_of(const struct sorter *s, size_t run)
{
	return s->run[run].window.data + s->run[run].pos;
}

static void
sift(struct sorter *s, size_t i)
{
	for (;;) {
		size_t least = i, moved = s->heap[i];

		for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < s->heaped; k++)
			if (order(record_of(s, s->heap[k]), record_of(s, s->heap[least])) < 0)
				least = k;
		if (least == i)
			return;
		s->heap[i] = s->heap[least];
		s->heap[least] = moved;
		i = least;
	}
}

/* The run on top moves on to its next record. */
static int
advance(struct sorter *s, struct err *e)
{
	struct run *r = &s->run[s->heap[0]];
	int got;

	r->pos += record_len(r->window.data + r->pos);
	got = fetch_record(s, r, e);
	if (got == -1)
		return -1;
	if (got == 0) {
		buf_done(&r->window);
		s->heap[0] = s->heap[--s->heaped];
	}
	if (s->heaped > 1)
		sift(s, 0);
	return 0;
}

int
sorter_end(struct sorter *s, bool whole, struct err *e)
{
	s->whole = whole;
	if (s->runs == 0) {
		sort_arena(s);
		return 0;
	}
	if (s->recs > 0 && spill(s, e) == -1)
		return -1;
	buf_done(&s->arena);
	s->heap = xcalloc(s->runs, sizeof(*s->heap));
	for (size_t i = 0; i < s->runs; i++) {
		if (fetch_record(s, &s->run[i], e) == -1)
			return -1;
		s->heap[s->heaped++] = i;
	}
	for (size_t i = s->heaped / 2; i-- > 0;)
		sift(s, i);
	return 0;
}

/* ---- giving back ---- */

/* Is the directory whose path is the first n bytes of the last one above this path? */
static bool
is_above(const struct sorter *s, size_t n, const struct sorter_line *l)
{
	return n == 0 || (l->pathlen > n && l->path[n] == '/' && memcmp(l->path, s->last, n) == 0);
}

static int
check(struct sorter *s, const struct sorter_line *l, struct err *e)
{
	const bool root = l->pathlen == 1 && l->path[0] == '.';
	const char *slash = memrchr(l->path, '/', l->pathlen);
	size_t up = slash ? (size_t)(slash - l->path) : 0;

	if (s->last && list_path_order(s->last, s->lastlen, l->path, l->pathlen) == 0)
		return err_set(e, ERR_CORRUPT, "'%.*s' came twice, expected each path once",
		    (int)l->pathlen, l->path);
	while (s->depth > 0 && !is_above(s, s->dir[s->depth - 1], l))
		s->depth--;
	if (!s->whole || (root && l->text[0] == ENTRY_DIR))
		return 0;
	if (!root && s->depth > 0 && s->dir[s->depth - 1] == up)
		return 0;
	return err_set(e, ERR_CORRUPT, "'%.*s' came, but '%.*s' did not, or is no directory",
	    (int)l->pathlen, l->path, up > 0 ? (int)up : 1, up > 0 ? l->path : ".");
}

static void
remember(struct sorter *s, const struct sorter_line *l)
{
	const bool root = l->pathlen == 1 && l->path[0] == '.';

	s->last = mem_grow(s->last, &s->last_room, l->pathlen + 1, 1);
	memcpy(s->last, l->path, l->pathlen);
	s->lastlen = l->pathlen;
	if (l->text[0] != ENTRY_DIR)
		return;
	s->dir = mem_grow(s->dir, &s->dir_room, s->depth + 1, sizeof(*s->dir));
	s->dir[s->depth++] = root ? 0 : l->pathlen;
}

/* The next record: 1, 0, -1. */
static int
take(struct sorter *s, const uint8_t **ret, struct err *e)
{
	if (s->runs == 0) {
		if (s->next == s->recs)
			return 0;
		*ret = s->arena.data + s->rec[s->next++];
		return 1;
	}
	if (s->taken && advance(s, e) == -1)
		return -1;
	s->taken = s->heaped > 0;
	if (!s->taken)
		return 0;
	*ret = record_of(s, s->heap[0]);
	return 1;
}

int
sorter_next(struct sorter *s, struct sorter_line *ret, struct err *e)
{
	const uint8_t *rec;
	int got = take(s, &rec, e);

	if (got == 0 && s->whole && !s->last)
		return err_set(e, ERR_CORRUPT, "no entry came, expected the root at least");
	if (got != 1)
		return got;
	*ret = line_at(rec);
	if (check(s, ret, e) == -1)
		return -1;
	remember(s, ret);
	return 1;
}
