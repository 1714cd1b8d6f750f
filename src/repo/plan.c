/*
 * A restore of ten million small files has ten million rows, and they must be sorted by pack, which
 * is not the order they come in. So when memory is full they are dealt into files by the number of
 * their pack; each file is sorted when its turn comes. No merge, and a row is written and read
 * once.
 */
#include "repo/plan.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define BUCKETS 64

struct plan {
	char *spill_dir;
	struct plan_row *row;
	size_t rows, room, bound;
	int bucket[BUCKETS]; /* -1 until the plan is spilled */
	bool spilled;
	size_t next; /* bucket; without any, 1 after the rows were handed out */
};

struct plan *
plan_new(const char *spill_dir, size_t bound)
{
	struct plan *p = xcalloc(1, sizeof(*p));

	p->spill_dir = xstrdup(spill_dir);
	for (size_t i = 0; i < BUCKETS; i++)
		p->bucket[i] = -1;
	plan_bound(p, bound);
	return p;
}

void
plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		if (p->bucket[i] != -1)
			close(p->bucket[i]);
	free(p->spill_dir);
	free(p->row);
	free(p);
}

void
plan_bound(struct plan *p, size_t bound)
{
	p->bound = bound / sizeof(*p->row);
	if (p->bound == 0)
		p->bound = 1;
}

static int
by_place(const void *a, const void *b)
{
	const struct plan_row *x = a, *y = b;

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	if (x->frame != y->frame)
		return x->frame < y->frame ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

static void
sort_rows(struct plan *p)
{
	if (p->rows > 1)
		qsort(p->row, p->rows, sizeof(*p->row), by_place);
}

static int
open_buckets(struct plan *p, struct err *e)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		p->bucket[i] = open(p->spill_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (p->bucket[i] == -1)
			return err_sys(e, "'%s': a file for the plan of the restore", p->spill_dir);
	}
	p->spilled = true;
	return 0;
}

/* Appends all rows to the bucket of their pack. */
static int
spill(struct plan *p, struct err *e)
{
	size_t n;

	if (!p->spilled && open_buckets(p, e) == -1)
		return -1;
	sort_rows(p);
	for (size_t i = 0; i < p->rows; i += n) {
		uint32_t pack = p->row[i].pack;

		for (n = 1; i + n < p->rows && p->row[i + n].pack == pack; n++)
			continue;
		if (file_write(p->bucket[pack % BUCKETS], &p->row[i], n * sizeof(*p->row), e) == -1)
			return err_in(e, "'%s': writing the plan of the restore", p->spill_dir);
	}
	p->rows = 0;
	return 0;
}

int
plan_add(struct plan *p, const struct plan_row *row, struct err *e)
{
	if (p->rows >= p->bound && spill(p, e) == -1)
		return -1;
	p->row = mem_grow(p->row, &p->room, p->rows + 1, sizeof(*row));
	p->row[p->rows++] = *row;
	return 0;
}

static int
load_bucket(struct plan *p, int fd, struct err *e)
{
	off_t n = lseek(fd, 0, SEEK_END);
	ssize_t got;

	if (n == -1 || lseek(fd, 0, SEEK_SET) == -1)
		return err_sys(e, "'%s': reading the plan of the restore", p->spill_dir);
	p->rows = (size_t)n / sizeof(*p->row);
	p->row = mem_grow(p->row, &p->room, p->rows + 1, sizeof(*p->row));
	got = file_read(fd, p->row, (size_t)n, e);
	if (got != -1 && got != n)
		err_set(e, ERR_IO, "it became shorter");
	return got == n ? 0 : err_in(e, "'%s': reading the plan of the restore", p->spill_dir);
}

/*
 * The rows of the next bucket that has any into memory; those that were never spilled are there
 * already.
 */
static int
load_next(struct plan *p, struct err *e)
{
	if (!p->spilled)
		return p->next++ == 0 && p->rows > 0;
	if (p->next == 0 && spill(p, e) == -1)
		return -1;
	for (p->rows = 0; p->rows == 0 && p->next < BUCKETS; p->next++)
		if (load_bucket(p, p->bucket[p->next], e) == -1)
			return -1;
	return p->rows > 0;
}

int
plan_next(struct plan *p, const struct plan_row **rows, size_t *n, struct err *e)
{
	int got = load_next(p, e);

	if (got != 1)
		return got;
	sort_rows(p);
	*rows = p->row;
	*n = p->rows;
	return 1;
}
