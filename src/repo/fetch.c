/*
 * The restore engine. A pack is visited once, in stretches of a few MiB: a stretch is read by one
 * row of workers while frames of the one before are opened, checked and written by another, a batch
 * of neighbours at a time (batch.c). The owner only cuts, hands out and takes back.
 *
 * What makes it bounded: the plan goes to files when it grows (plan.c), and a stretch is freed when
 * its last batch was written.
 *
 * A pack's index is compared with the ids that the files' maps named before anything is read, and
 * every grain is hashed again before it is written. A bad or missing copy is replaced from the next
 * tier, frame by frame.
 */
#include "repo/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/pool.h"
#include "repo/batch.h"

/*
 * One request on an object store, and what a disk reads at full speed; three of them are in memory
 * at once.
 */
#define STRETCH_MAX (8u << 20)
/* A hole up to here is read over rather than asked around. */
#define HOLE_MAX (64u << 10)
/* Over 30 % wanted: all of the pack's frames are read. */
#define WHOLE_PERCENT 30
#define STRETCHES_OUT 2
/*
 * While a worker waits for the target's disk another one uses the processor. The batches that are
 * out keep their stretches in memory.
 */
#define THREADS_A_WORKER 2
#define BATCHES_OUT 3 /* a thread */

/* A pack being restored from. */
struct source_pack {
	uint8_t sha[LAYOUT_SHA];
	struct object *object;
	size_t users;
};

struct stretch {
	struct fetch *owner;
	struct source_pack *pack;
	uint64_t off;
	size_t len;
	const struct plan_row *want; /* the rows that lie in it, in order */
	size_t wants;
	struct buf bytes;
	bool read; /* else: why not, in err */
	struct err err;
	size_t users;
};

/* Frames of a stretch that a worker opens and writes. */
struct frames_task {
	struct batch batch;
	struct stretch *stretch;
};

struct fetch {
	struct reader *reader;
	const struct digest_idkey *key;
	struct plan *plan;
	uint64_t wanted, done;
	struct pool *reads, *batches;
	const struct fetch_target *target;
	bool failed;
	struct err err; /* the first failure */
};

struct fetch *
fetch_new(struct reader *r, const char *spill_dir, unsigned workers)
{
	struct fetch *f = xcalloc(1, sizeof(*f));

	f->reader = r;
	f->key = &reader_keys(r)->id;
	f->plan = plan_new(spill_dir, FETCH_PLAN_MAX);
	f->reads = pool_new(workers > 0 ? STRETCHES_OUT : 0, STRETCHES_OUT);
	workers *= THREADS_A_WORKER;
	f->batches = pool_new(workers, workers > 0 ? (size_t)workers * BATCHES_OUT : 1);
	return f;
}

void
fetch_free(struct fetch *f)
{
	if (!f)
		return;
	plan_free(f->plan);
	pool_free(f->reads);
	pool_free(f->batches);
	free(f);
}

void
fetch_bound(struct fetch *f, size_t bytes)
{
	plan_bound(f->plan, bytes);
}

uint64_t
fetch_wanted(const struct fetch *f)
{
	return f->wanted;
}

int
fetch_add(struct fetch *f, uint64_t file, const struct reader_run *run, uint64_t raw_bytes,
    struct err *e)
{
	struct plan_row row = {.pack = run->pack,
	    .frame = run->frame,
	    .first = run->first,
	    .count = run->count,
	    .raw = (uint32_t)raw_bytes,
	    .file = file,
	    .offset = run->offset};
	uint8_t sha[DIGEST_LEN];

	digest_sha256(run->ids, (size_t)run->count * GRAIN_ID_LEN, sha);
	memcpy(row.check, sha, PLAN_CHECK);
	f->wanted += raw_bytes;
	return plan_add(f->plan, &row, e);
}

/* ---- in workers ---- */

static void
read_stretch(void *task)
{
	struct stretch *s = task;
	struct packs *packs = reader_packs(s->owner->reader);
	int got = packs_bytes(packs, s->pack->sha, s->off, s->len, 0, &s->bytes, &s->err);

	if (got == 0)
		err_set(&s->err, ERR_REMOTE, "no tier is reachable");
	s->read = got == 1;
}

static void
run_batch(void *task)
{
	struct frames_task *t = task;

	batch_run(&t->batch);
}

/* ---- the owner's side ---- */

static void
pack_release(struct source_pack *p)
{
	if (--p->users > 0)
		return;
	object_free(p->object);
	free(p);
}

static void
stretch_release(struct stretch *s)
{
	if (--s->users > 0)
		return;
	pack_release(s->pack);
	buf_done(&s->bytes);
	free(s);
}

static void
fail(struct fetch *f, const struct err *why)
{
	if (!f->failed)
		f->err = *why;
	f->failed = true;
}

/* These rows cannot be had from any tier: whether the rest goes on without them. */
static bool
give_up(struct fetch *f, const struct plan_row *w, size_t n, const struct err *why)
{
	if (!f->target->lost ||
	    (why->kind != ERR_CORRUPT && why->kind != ERR_NOTFOUND && why->kind != ERR_IO))
		return false;
	for (size_t i = 0; i < n; i++)
		f->target->lost(f->target->arg, w[i].file, why);
	return true;
}

/* The first copy of a frame was bad: the other tiers' are tried one after the other. */
static bool
second_choice(struct fetch *f, const struct frames_task *t, struct batch *frame)
{
	const struct object_frame *fr = &frame->object->index.frame[frame->want[0].frame];
	struct packs *packs = reader_packs(f->reader);
	struct err first = frame->err, frozen = { 0 };
	char name[LAYOUT_NAME];
	struct buf bytes;
	unsigned choice;

	packs_in_place(packs, t->stretch->pack->sha, 0, &first);
	buf_init(&bytes, OBJECT_RAW_MAX * 2);
	for (choice = 1; frame->done == 0 && frame->err.kind == ERR_CORRUPT; choice++) {
		struct err why = {0};
		int got = packs_bytes(packs, t->stretch->pack->sha, fr->off, fr->len, choice, &bytes,
		    &why);
		if (got == 0)
			break;
		if (got == -1 && why.kind == ERR_FROZEN)
			frozen = why;
		if (got == -1)
			continue;
		frame->sealed = bytes.data;
		frame->off = fr->off;
		batch_run(frame);
	}
	if (frame->done > 0)
		packs_count_fallback(packs, t->stretch->pack->sha, choice - 1, &first);
	else if (frozen.kind != ERR_NONE)
		frame->err = frozen;
	else if (!frame->refused)
		err_in(&frame->err, "%s", layout_pack(t->stretch->pack->sha, name));
	buf_done(&bytes);
	return frame->done > 0;
}

/* The batch stopped at a frame: that one from elsewhere, or without it. */
static void
pass_frame(struct fetch *f, struct frames_task *t)
{
	struct batch *b = &t->batch, frame = *b;

	frame.want += b->done;
	frame.wants = batch_rows(b->want, b->wants, b->done);
	frame.done = 0;
	frame.written = 0;
	if ((b->refused || b->err.kind != ERR_CORRUPT || !second_choice(f, t, &frame)) &&
	    (frame.refused || !give_up(f, frame.want, frame.wants, &frame.err)))
		fail(f, &frame.err);
	b->written += frame.written;
	b->done += frame.wants;
}

static void
take_batch(struct fetch *f, struct frames_task *t)
{
	struct batch *b = &t->batch;

	while (b->done < b->wants && !f->failed) {
		pass_frame(f, t);
		if (b->done < b->wants && !f->failed)
			batch_run(b);
	}
	f->done += b->written;
	if (f->target->progress)
		f->target->progress(f->target->arg, f->done);
	stretch_release(t->stretch);
	free(t);
}

static void
send_batch(struct fetch *f, struct stretch *s, const struct plan_row *w, size_t n)
{
	struct frames_task *t = xcalloc(1, sizeof(*t)), *done;

	t->stretch = s;
	t->batch = (struct batch){.object = s->pack->object,
	    .key = f->key,
	    .target = f->target,
	    .want = w,
	    .wants = n,
	    .sealed = s->bytes.data,
	    .off = s->off};
	s->users++;
	if (pool_full(f->batches))
		take_batch(f, pool_take(f->batches));
	pool_submit(f->batches, run_batch, t);
	while ((done = pool_take_ready(f->batches)))
		take_batch(f, done);
}

/* The rows of one batch: whole frames, as many as there is room for. */
static size_t
cut_batch(const struct object *o, const struct plan_row *w, size_t n)
{
	size_t rows = 0, room = 0;

	while (rows < n) {
		room += batch_room(o, w[rows].frame);
		if (rows > 0 && room > BATCH_RAW)
			break;
		rows += batch_rows(w, n, rows);
	}
	return rows;
}

/* The whole stretch could not be read where it was asked first. */
static int
reread(struct fetch *f, struct stretch *s)
{
	struct packs *packs = reader_packs(f->reader);
	struct err first = s->err;

	for (unsigned choice = 1;; choice++) {
		struct err why = {0};
		int got = packs_bytes(packs, s->pack->sha, s->off, s->len, choice, &s->bytes, &why);

		if (got == 1) {
			packs_count_fallback(packs, s->pack->sha, choice, &first);
			return 0;
		}
		if (got == 0)
			break;
		packs_weigh(&s->err, &why);
	}
	if (s->err.kind == ERR_NOTFOUND)
		packs_nowhere(packs, s->pack->sha, &s->err);
	return -1;
}

static void
take_stretch(struct fetch *f)
{
	struct stretch *s = pool_take(f->reads);
	size_t n;

	if (!s)
		return;
	if (!s->read && !f->failed) {
		s->read = reread(f, s) == 0;
		if (!s->read && !give_up(f, s->want, s->wants, &s->err))
			fail(f, &s->err);
	}
	for (size_t i = 0; i < s->wants && s->read && !f->failed; i += n) {
		n = cut_batch(s->pack->object, &s->want[i], s->wants - i);
		send_batch(f, s, &s->want[i], n);
	}
	stretch_release(s);
}

static void
send_stretch(struct fetch *f, struct source_pack *p, const struct plan_row *w, size_t n)
{
	const struct object_frame *frame = p->object->index.frame;
	const struct object_frame *a = &frame[w[0].frame], *z = &frame[w[n - 1].frame];
	struct stretch *s = xcalloc(1, sizeof(*s));

	s->owner = f;
	s->pack = p;
	s->off = a->off;
	s->len = z->off + z->len - a->off;
	s->want = w;
	s->wants = n;
	s->users = 1;
	p->users++;
	buf_init(&s->bytes, STORE_OBJECT_MAX);
	if (pool_full(f->reads))
		take_stretch(f);
	pool_submit(f->reads, read_stretch, s);
}

static bool
worth_whole(const struct object *o, const struct plan_row *w, size_t n)
{
	uint64_t wanted = 0;

	for (size_t i = 0; i < n; i++)
		if (i == 0 || w[i].frame != w[i - 1].frame)
			wanted += o->index.frame[w[i].frame].len;
	return wanted * 100 > o->header.total * WHOLE_PERCENT;
}

/* Does the pack have this row, with the ids that the map named? */
static bool
has_row(const struct object_index *x, const struct plan_row *w, struct digest *d)
{
	const struct object_frame *frame;
	const struct object_grain *grain;
	uint8_t sha[DIGEST_LEN];

	if (w->frame >= x->frames)
		return false;
	frame = &x->frame[w->frame];
	if (w->first + (uint64_t)w->count > frame->grains)
		return false;
	grain = &x->grain[frame->first_grain + w->first];
	for (uint32_t g = 0; g < w->count; g++)
		digest_add(d, grain[g].id, GRAIN_ID_LEN);
	digest_end(d, sha);
	return memcmp(sha, w->check, PLAN_CHECK) == 0;
}

static int
check_rows(const struct object_index *x, const struct plan_row *w, size_t n, struct err *e)
{
	struct digest *d = digest_new();
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		if (!has_row(x, &w[i], d))
			rc = err_set(e, ERR_CORRUPT, "frame %u holds other grains than the map says",
			    w[i].frame);
	digest_free(d);
	return rc;
}

/* The index that has all these rows, from the first tier where it does. */
static int
find_index(struct fetch *f, struct source_pack *p, const struct plan_row *w, size_t n,
    struct err *e)
{
	struct packs *packs = reader_packs(f->reader);
	struct err first = {.kind = ERR_NONE}, why = {.kind = ERR_NONE};
	char name[LAYOUT_NAME];
	int got;

	layout_pack(p->sha, name);
	for (unsigned choice = 0; (got = packs_index(packs, p->sha, choice, &p->object, &why)) != 0;
	     choice++) {
		if (got == 1 && check_rows(&p->object->index, w, n, &why) == 0) {
			if (choice > 0)
				packs_count_fallback(packs, p->sha, choice, &first);
			return 0;
		}
		if (got == 1) {
			packs_in_place(packs, p->sha, choice, &why);
			object_free(p->object);
		}
		packs_weigh(&first, &why);
	}
	if (first.kind == ERR_NONE)
		return err_set(e, ERR_REMOTE, "%s: no tier is reachable", name);
	if (first.kind == ERR_NOTFOUND)
		return packs_nowhere(packs, p->sha, e);
	*e = first;
	return -1;
}

static int
open_pack(struct fetch *f, const struct plan_row *w, size_t n, struct source_pack **ret,
    struct err *e)
{
	const struct manifest_pack *k = manifest_pack(reader_manifest(f->reader), w[0].pack);
	struct source_pack *p;

	if (!k)
		return err_set(e, ERR_CORRUPT, "%s: its table has no pack %u",
		    reader_manifest(f->reader)->name, w[0].pack);
	p = xcalloc(1, sizeof(*p));
	p->users = 1;
	memcpy(p->sha, k->sha, LAYOUT_SHA);
	if (find_index(f, p, w, n, e) == -1) {
		free(p);
		return -1;
	}
	*ret = p;
	return 0;
}

/* All rows of one pack. */
static int
fetch_pack(struct fetch *f, const struct plan_row *w, size_t n, struct err *e)
{
	struct source_pack *p = NULL;
	size_t from = 0;
	uint32_t hole;

	if (open_pack(f, w, n, &p, e) == -1) {
		if (!give_up(f, w, n, e))
			return -1;
		err_clear(e);
		return 0;
	}
	hole = worth_whole(p->object, w, n) ? STRETCH_MAX : HOLE_MAX;
	for (size_t i = 1; i <= n && !f->failed; i++) {
		const struct object_frame *frame = p->object->index.frame;
		const struct object_frame *last = &frame[w[i - 1].frame];

		if (i < n && w[i].frame == w[i - 1].frame)
			continue;
		if (i < n && frame[w[i].frame].off - (last->off + last->len) <= hole &&
		    frame[w[i].frame].off + frame[w[i].frame].len - frame[w[from].frame].off <=
			STRETCH_MAX)
			continue;
		send_stretch(f, p, w + from, i - from);
		from = i;
	}
	pack_release(p);
	return 0;
}

/* Pack after pack; nothing of the rows is under way any more when this returns. */
static int
fetch_rows(struct fetch *f, const struct plan_row *row, size_t rows, struct err *e)
{
	struct frames_task *t;
	size_t n;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < rows && !f->failed; i += n) {
		for (n = 1; i + n < rows && row[i + n].pack == row[i].pack; n++)
			continue;
		rc = fetch_pack(f, &row[i], n, e);
	}
	for (size_t i = 0; i < STRETCHES_OUT; i++)
		take_stretch(f);
	while ((t = pool_take(f->batches)))
		take_batch(f, t);
	if (rc == 0 && f->failed) {
		*e = f->err;
		rc = -1;
	}
	return rc;
}

int
fetch_run(struct fetch *f, const struct fetch_target *t, struct err *e)
{
	const struct plan_row *row;
	size_t n;
	int got;

	f->target = t;
	while ((got = plan_next(f->plan, &row, &n, e)) == 1)
		if (fetch_rows(f, row, n, e) == -1)
			return -1;
	return got;
}
