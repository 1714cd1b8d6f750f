/*
 * Frames hold 128 KiB, and a write of that size is a poor one. So frames are opened one behind the
 * other into one buffer; where neighbours in it are neighbours in their file, too, they are one
 * write. Every frame begins on a page of the buffer, because a target may want to write past the
 * page cache.
 *
 * A frame that does not open ends the batch there: what came before is written, and the owner looks
 * for another copy and goes on behind it.
 */
#include "repo/batch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Stretches of one file that lie apart are handed over together, up to so many. */
#define PIECES 64

/* What the target gets next. */
struct parcel {
	uint64_t file;
	struct fetch_piece piece[PIECES];
	size_t pieces;
};

/* ---- the buffer, one a thread ---- */

static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

static void
buffer_key_make(void)
{
	if (pthread_key_create(&buffer_key, free) != 0)
		abort();
}

static void *
aligned(size_t n)
{
	void *p;

	if (posix_memalign(&p, FETCH_ALIGN, n) != 0)
		abort();
	return p;
}

/* BATCH_RAW bytes, this thread's own until it ends. */
static uint8_t *
buffer_get(void)
{
	uint8_t *p;

	pthread_once(&buffer_once, buffer_key_make);
	p = pthread_getspecific(buffer_key);
	if (p)
		return p;
	p = aligned(BATCH_RAW);
	if (pthread_setspecific(buffer_key, p) != 0)
		abort();
	return p;
}

/* ---- what is handed over ---- */

static int
deliver(struct batch *b, struct parcel *p, struct err *e)
{
	int rc;

	if (p->pieces == 0)
		return 0;
	rc = b->target->write(b->target->arg, p->file, p->piece, p->pieces, e);
	for (size_t i = 0; i < p->pieces && rc == 0; i++)
		b->written += p->piece[i].n;
	p->pieces = 0;
	b->refused = rc == -1;
	return rc;
}

static int
add_piece(struct batch *b, struct parcel *p, const struct plan_row *w, const uint8_t *raw, size_t n,
    struct err *e)
{
	struct fetch_piece *last = p->pieces > 0 ? &p->piece[p->pieces - 1] : NULL;

	if (last && p->file == w->file && last->data + last->n == raw &&
	    last->off + last->n == w->offset) {
		last->n += n;
		return 0;
	}
	if ((p->file != w->file || p->pieces == PIECES) && deliver(b, p, e) == -1)
		return -1;
	p->file = w->file;
	p->piece[p->pieces++] = (struct fetch_piece){ .off = w->offset, .data = raw, .n = n };
	return 0;
}

/* ---- frames ---- */

size_t
batch_rows(const struct plan_row *want, size_t wants, size_t at)
{
	size_t n = 1;

	while (at + n < wants && want[at + n].frame == want[at].frame)
		n++;
	return n;
}

size_t
batch_room(const struct object *o, uint16_t frame)
{
	const size_t n = o->index.frame[frame].rawlen;

	return (n + FETCH_ALIGN - 1) / FETCH_ALIGN * FETCH_ALIGN;
}

/*
 * A row's bytes begin at raw; each grain is what the index says, and that was compared with the
 * map. The tag of the frame has authenticated the bytes already, but whoever holds the data key can
 * make a frame that opens: only the ids lead from the signed manifest to the bytes.
 */
static int
check_row(const struct batch *b, const struct plan_row *w, const struct object_grain *grain,
    const uint8_t *raw, struct err *e)
{
	const size_t same = object_ids_same(b->key, grain, w->count, raw);
	size_t n = 0;

	if (same < w->count)
		return err_set(e, ERR_CORRUPT, "grain %u of frame %u is another one",
		    w->first + (uint32_t)same, w->frame);
	for (uint32_t i = 0; i < w->count; i++)
		n += grain[i].len;
	if (w->raw != 0 && n != w->raw)
		return err_set(e, ERR_CORRUPT, "%zu bytes lie where the list has %u", n, w->raw);
	return 0;
}

/* Bytes of the grains [from, to). */
static size_t
length(const struct object_grain *grain, uint32_t from, uint32_t to)
{
	size_t n = 0;

	for (; from < to; from++)
		n += grain[from].len;
	return n;
}

/* Opens the frame of want[at] into raw; if all of its `rows` are sound they go into the parcel. */
static int
do_frame(struct batch *b, size_t at, size_t rows, uint8_t *raw, struct parcel *p)
{
	const struct object_index *x = &b->object->index;
	const struct plan_row *w = &b->want[at];
	const struct object_frame *fr = &x->frame[w->frame];
	const struct object_grain *grain = x->grain + fr->first_grain;

	if (object_frame(b->object, w->frame, b->sealed + (fr->off - b->off), raw, &b->err) == -1)
		return -1;
	for (size_t i = 0; i < rows; i++)
		if (check_row(b, &w[i], grain + w[i].first, raw + length(grain, 0, w[i].first),
			&b->err) == -1)
			return -1;
	for (size_t i = 0; i < rows; i++)
		if (add_piece(b, p, &w[i], raw + length(grain, 0, w[i].first),
			length(grain, w[i].first, w[i].first + w[i].count), &b->err) == -1)
			return -1;
	return 0;
}

/* The rows from `done` on, in a buffer that has room for all their frames. */
static void
do_frames(struct batch *b, uint8_t *buffer)
{
	struct parcel p = { .pieces = 0 };
	size_t at = b->done, rows, used = 0;
	struct err e = { .kind = ERR_NONE };

	for (; at < b->wants; at += rows) {
		rows = batch_rows(b->want, b->wants, at);
		if (do_frame(b, at, rows, buffer + used, &p) == -1)
			break;
		used += batch_room(b->object, b->want[at].frame);
	}
	if (!b->refused && deliver(b, &p, &e) == -1)
		b->err = e;
	if (!b->refused)
		b->done = at;
}

void
batch_run(void *batch)
{
	struct batch *b = batch;
	size_t room = 0;
	uint8_t *big;

	b->err = (struct err){ .kind = ERR_NONE };
	for (size_t i = b->done; i < b->wants; i += batch_rows(b->want, b->wants, i))
		room += batch_room(b->object, b->want[i].frame);
	if (room <= BATCH_RAW) {
		do_frames(b, buffer_get());
		return;
	}
	big = aligned(room); /* one frame, larger than ours are */
	do_frames(b, big);
	free(big);
}
