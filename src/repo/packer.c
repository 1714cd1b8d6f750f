/*
 * Two rows of workers: frames are compressed in one, packs are sealed, put and read back in the
 * other. Both give their work back in the order it went in, and everything that is decided (which
 * frame, which pack, which number) is decided in the owner's thread, so the same input makes the
 * same packs.
 *
 * A frame's place must be known before anybody knows how small it will become. So a pack counts
 * what is still being compressed at its full size, and is closed when that could overflow: it ends
 * up a few frames short of full, and nothing ever has to be moved.
 */
#include "repo/packer.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "filter/pool.h"
#include "filter/zip.h"
#include "repo/layout.h"
#include "repo/proof.h"
#include "repo/scrub.h"

/* Packs on their way at once: one is sealed or written while another is read back. */
#define PACKS_OUT 2
/* Frames being compressed, per worker: enough that none waits for the owner. */
#define FRAMES_OUT 8
/* What a frame costs beside its payload, at most: codec byte, tag, its row in the index. */
#define FRAME_COST (1 + 16 + 16)
#define GRAIN_COST 16
/* Header, index head, the index frame's own codec byte and tag. */
#define PACK_COST (OBJECT_HEADER + 8 + 17)

/* A frame larger than most (a map, a list) does not keep its memory. */
#define FRAME_KEPT (4 * LAYOUT_FRAME_MAX)

/* A pack being filled, or on its way. */
struct pack {
	struct packer *owner;
	uint32_t number;
	struct object_builder built;
	uint32_t *proof; /* of each frame */
	size_t proof_room;
	size_t bound;	  /* what it will be at most */
	uint16_t frames;  /* promised */
	size_t out;	  /* of them still being compressed */
	bool closed;	  /* gets no more frames */
	struct packer_pack done;
	bool stored; /* else: why not, in err */
	struct err err;
	struct pack *spare; /* the next one */
};

/* A frame being filled, or compressed. */
struct frame {
	struct pack *pack;
	enum frame_kind kind;
	int level;
	const uint8_t *bytes; /* of all its grains, in `raw` or in: */
	size_t len;
	struct cut_memory *memory; /* what the cut read; NULL */
	struct buf raw, packed;
	struct object_grain *grain;
	uint32_t *sum; /* of each grain */
	size_t grains, room, sum_room;
	size_t bound;
	struct buf again; /* unpacked */
	uint32_t proof;
	struct err err;	     /* it does not unpack to what went in */
	struct frame *spare; /* the next one */
};

struct packer {
	struct packer_options o;
	struct pool *frames, *packs;
	struct pack *pack;   /* open; NULL */
	struct frame *frame; /* open; NULL */
	struct pack *spare_packs; /* empty ones, kept for their memory */
	struct frame *spare_frames;
	uint64_t stored_bytes;
	bool failed;
	struct err err; /* the first failure */
};

/* Memory that was used before is there at once; new memory comes from the kernel page by page. */
static struct pack *
pack_new(struct packer *p)
{
	struct pack *k = p->spare_packs;

	if (k) {
		p->spare_packs = k->spare;
		object_build_again(&k->built);
		*k = (struct pack){
		    .built = k->built, .proof = k->proof, .proof_room = k->proof_room};
	} else {
		k = xcalloc(1, sizeof(*k));
		object_build(&k->built, OBJECT_PACK, STORE_OBJECT_MAX);
	}
	k->owner = p;
	k->number = p->o.next_number(p->o.arg);
	k->bound = PACK_COST;
	return k;
}

static void
pack_free(struct pack *k)
{
	if (!k)
		return;
	object_build_done(&k->built);
	free(k->proof);
	free(k);
}

static struct frame *
frame_new(struct packer *p)
{
	struct frame *f = p->spare_frames;

	if (f) {
		p->spare_frames = f->spare;
		f->spare = NULL;
		buf_reset(&f->raw);
		buf_reset(&f->packed);
		f->len = f->grains = 0;
		err_clear(&f->err);
	} else {
		f = xcalloc(1, sizeof(*f));
		buf_init(&f->raw, OBJECT_RAW_MAX);
		buf_init(&f->packed, OBJECT_RAW_MAX + 1024);
		buf_init(&f->again, OBJECT_RAW_MAX);
		buf_reserve(&f->raw, LAYOUT_FRAME_MAX);
	}
	f->level = p->o.level;
	f->bound = FRAME_COST;
	return f;
}

static void
let_memory_go(struct frame *f)
{
	if (f->memory)
		cut_release(f->memory);
	f->memory = NULL;
}

static void
frame_free(struct frame *f)
{
	if (!f)
		return;
	let_memory_go(f);
	buf_done(&f->raw);
	buf_done(&f->packed);
	buf_done(&f->again);
	free(f->grain);
	free(f->sum);
	free(f);
}

static void
frame_keep(struct packer *p, struct frame *f)
{
	let_memory_go(f);
	if (f->raw.room > FRAME_KEPT) {
		frame_free(f);
		return;
	}
	f->spare = p->spare_frames;
	p->spare_frames = f;
}

struct packer *
packer_new(const struct packer_options *o)
{
	struct packer *p = xcalloc(1, sizeof(*p));

	p->o = *o;
	p->frames = pool_new(o->workers, o->workers > 0 ? o->workers * FRAMES_OUT : 1);
	p->packs = pool_new(o->workers > 0 ? PACKS_OUT : 0, PACKS_OUT);
	return p;
}

void
packer_free(struct packer *p)
{
	struct pack *k;
	struct frame *f;

	if (!p)
		return;
	while ((f = pool_take(p->frames))) {
		if (--f->pack->out == 0 && f->pack->closed)
			pack_free(f->pack);
		frame_free(f);
	}
	while ((k = pool_take(p->packs)))
		pack_free(k);
	pool_free(p->frames);
	pool_free(p->packs);
	frame_free(p->frame);
	pack_free(p->pack);
	while ((f = p->spare_frames)) {
		p->spare_frames = f->spare;
		frame_free(f);
	}
	while ((k = p->spare_packs)) {
		p->spare_packs = k->spare;
		pack_free(k);
	}
	free(p);
}

uint64_t
packer_stored_bytes(const struct packer *p)
{
	return p->stored_bytes;
}

/* ---- in workers ---- */

/* Nobody has to believe that compression can be undone: it is seen. */
static void
compress_frame(void *task)
{
	struct frame *f = task;
	uint8_t *again;

	zip_pack(f->bytes, f->len, f->level, &f->packed);
	buf_reset(&f->again);
	again = buf_reserve(&f->again, f->len);
	if (proof_unpack(&f->packed, f->len, f->grain, f->sum, f->grains, again, &f->err) == -1) {
		err_in(&f->err, "a frame that was just compressed");
		err_line(&f->err, "fix", "test the memory of this host, then run it again");
		return;
	}
	f->proof = proof_frame(f->kind, f->grain, f->grains, f->packed.data, f->packed.len);
}

/* Seals, puts, reads back. */
static void
store_pack(void *task)
{
	struct pack *k = task;
	const struct packer_options *o = &k->owner->o;
	struct object_header header;
	char name[LAYOUT_NAME];

	if (k->err.kind != ERR_NONE)
		return;
	k->done.number = k->number;
	k->done.grains = (uint32_t)k->built.index.grains;
	if (object_seal(&k->built, o->keys, NULL, k->done.sha, &k->err) == -1 ||
	    object_header_parse(k->built.bytes.data, k->built.bytes.len, &header, &k->err) == -1)
		return;
	memcpy(k->done.epoch, header.epoch, LAYOUT_EPOCH);
	k->done.size = (uint32_t)k->built.bytes.len;
	layout_pack(k->done.sha, name);
	fault_point("pack.sealed");
	if (store_put_known(o->store, name, k->built.bytes.data, k->built.bytes.len, k->done.sha,
		STORE_NEW, &k->err) == -1)
		return;
	fault_point("pack.put");
	if (scrub_written(o->store, k->done.sha, &header, k->proof, o->keys, &k->err) == -1)
		err_in(&k->err, "reading back what was just written");
	else
		k->stored = true;
}

/* ---- the owner's side ---- */

/* Takes the oldest pack that is on its way; false when none is. */
static bool
take_pack(struct packer *p)
{
	struct pack *k = pool_take(p->packs);

	if (!k)
		return false;
	/* The error may speak of a try that was repeated with success. */
	if (k->stored) {
		p->stored_bytes += k->done.size;
		p->o.stored(p->o.arg, &k->done);
	} else if (!p->failed) {
		p->failed = true;
		p->err = k->err;
	}
	k->spare = p->spare_packs;
	p->spare_packs = k;
	return true;
}

static void
send_pack(struct packer *p, struct pack *k)
{
	if (pool_full(p->packs))
		take_pack(p);
	pool_submit(p->packs, store_pack, k);
}

/* A compressed frame goes into its pack; the last one of a closed pack sends it. */
static void
take_frame(struct packer *p, struct frame *f)
{
	struct pack *k = f->pack;
	const size_t number = k->built.index.frames;

	if (f->err.kind != ERR_NONE && k->err.kind == ERR_NONE)
		k->err = f->err;
	k->proof = mem_grow(k->proof, &k->proof_room, number + 1, sizeof(*k->proof));
	k->proof[number] = f->proof;
	object_add(&k->built, f->kind, f->packed.data, f->packed.len, f->len, f->grain, f->grains);
	k->bound -= f->bound - (FRAME_COST - 1 + f->packed.len + GRAIN_COST * f->grains);
	k->out--;
	frame_keep(p, f);
	if (k->out == 0 && k->closed)
		send_pack(p, k);
}

static void
close_pack(struct packer *p)
{
	struct pack *k = p->pack;

	p->pack = NULL;
	if (!k)
		return;
	k->closed = true;
	if (k->out == 0)
		send_pack(p, k);
}

/* Hands the open frame to a worker. */
static void
close_frame(struct packer *p)
{
	struct frame *f = p->frame, *done;

	p->frame = NULL;
	if (!f)
		return;
	if (pool_full(p->frames))
		take_frame(p, pool_take(p->frames));
	f->pack->out++;
	pool_submit(p->frames, compress_frame, f);
	while ((done = pool_take_ready(p->frames)))
		take_frame(p, done);
}

static bool
fits_frame(const struct frame *f, const struct packer_grain *g)
{
	return f->kind == g->kind && f->grains < OBJECT_GRAINS_MAX &&
	    f->len + g->len <= LAYOUT_FRAME_MAX;
}

/* An open frame of the grain's kind, in an open pack, with room for it. */
static void
make_room(struct packer *p, const struct packer_grain *g)
{
	if (p->frame && !fits_frame(p->frame, g))
		close_frame(p);
	if (p->pack && (p->pack->bound + FRAME_COST + GRAIN_COST + g->len > p->o.pack_size ||
			   (!p->frame && p->pack->frames == OBJECT_FRAMES_MAX))) {
		close_frame(p);
		close_pack(p);
	}
	if (!p->pack)
		p->pack = pack_new(p);
	if (!p->frame) {
		p->frame = frame_new(p);
		p->frame->pack = p->pack;
		p->frame->kind = g->kind;
		p->pack->frames++;
		p->pack->bound += FRAME_COST;
	}
}

/* Grains that lie one behind the other are left there; as soon as one does not, all are copied. */
static void
add_bytes(struct frame *f, const struct packer_grain *g)
{
	const bool first = f->len == 0;

	f->len += g->len;
	if (first && g->memory && cut_hold(g->memory)) {
		f->memory = g->memory;
		f->bytes = g->bytes;
		return;
	}
	if (f->memory && g->memory == f->memory && f->bytes + f->len - g->len == g->bytes)
		return;
	if (f->memory)
		buf_add(&f->raw, f->bytes, f->len - g->len);
	let_memory_go(f);
	buf_add(&f->raw, g->bytes, g->len);
	f->bytes = f->raw.data;
}

static int
failed(const struct packer *p, struct err *e)
{
	if (!p->failed)
		return 0;
	*e = p->err;
	return -1;
}

int
packer_place(struct packer *p, const struct packer_grain *g, struct entry_ref *ref, struct err *e)
{
	struct object_grain row = {.len = (uint32_t)g->len};
	struct frame *f;

	if (failed(p, e) == -1)
		return -1;
	make_room(p, g);
	f = p->frame;
	memcpy(row.id, g->id, GRAIN_ID_LEN);
	f->grain = mem_grow(f->grain, &f->room, f->grains + 1, sizeof(row));
	f->sum = mem_grow(f->sum, &f->sum_room, f->grains + 1, sizeof(*f->sum));
	f->grain[f->grains] = row;
	f->sum[f->grains] = g->sum;
	add_bytes(f, g);
	f->bound += g->len + GRAIN_COST;
	p->pack->bound += g->len + GRAIN_COST;
	*ref = (struct entry_ref){.pack = p->pack->number,
	    .frame = (uint16_t)(p->pack->frames - 1),
	    .grain = (uint16_t)f->grains++};
	return 0;
}

int
packer_flush(struct packer *p, struct err *e)
{
	struct frame *f;

	close_frame(p);
	while ((f = pool_take(p->frames)))
		take_frame(p, f);
	close_pack(p);
	while (take_pack(p))
		continue;
	return failed(p, e);
}
