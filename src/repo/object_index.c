/*
 * The index is authenticated before it gets here, but only as "sealed by somebody with the key":
 * a bug of ours, or a host that was taken over, may have sealed anything. Everything that reads a
 * pack trusts these numbers to stay inside buffers, so they are judged once, here, before any of
 * them is used; the sizes of both tables follow from the length of the bytes, so a lie cannot
 * make us allocate more than a small multiple of what was read.
 */
#include "repo/object_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/object.h"

#define COUNTS 8   /* frames, grains */
#define FRAME_ROW 16
#define GRAIN_ROW 16

_Static_assert(GRAIN_ROW == 4 + GRAIN_ID_LEN, "a grain's row is length and id");

size_t
object_index_size(size_t frames, size_t grains)
{
	return COUNTS + frames * FRAME_ROW + grains * GRAIN_ROW;
}

void
object_index_encode(const struct object_index *x, struct buf *out)
{
	uint8_t *p = buf_reserve(out, object_index_size(x->frames, x->grains));

	if (p == NULL)
		return;
	out->len += object_index_size(x->frames, x->grains);
	buf_put_u32(p, (uint32_t)x->frames);
	buf_put_u32(p + 4, (uint32_t)x->grains);
	p += COUNTS;
	for (size_t i = 0; i < x->frames; i++, p += FRAME_ROW) {
		buf_put_u32(p, x->frame[i].off);
		buf_put_u32(p + 4, x->frame[i].len);
		buf_put_u32(p + 8, x->frame[i].rawlen);
		p[12] = x->frame[i].kind;
		p[13] = 0;
		buf_put_u16(p + 14, x->frame[i].grains);
	}
	for (size_t i = 0; i < x->grains; i++, p += GRAIN_ROW) {
		buf_put_u32(p, x->grain[i].len);
		memcpy(p + 4, x->grain[i].id, GRAIN_ID_LEN);
	}
}

static int
parse_frame(const uint8_t *row, struct object_frame *f, size_t number, struct err *e)
{
	f->off = buf_get_u32(row);
	f->len = buf_get_u32(row + 4);
	f->rawlen = buf_get_u32(row + 8);
	f->kind = row[12];
	f->grains = buf_get_u16(row + 14);
	if (f->kind < FRAME_DATA || f->kind > FRAME_NAME)
		return err_set(e, ERR_UNSUPPORTED, "index: frame %zu is of kind %u, known are %d "
		    "to %d", number, f->kind, FRAME_DATA, FRAME_NAME);
	if (row[13] != 0)
		return err_set(e, ERR_UNSUPPORTED, "index: frame %zu uses a field that is reserved",
		    number);
	if (f->len < OBJECT_FRAME_LEAST)
		return err_set(e, ERR_CORRUPT, "index: frame %zu has %u bytes, expected %d or more",
		    number, f->len, OBJECT_FRAME_LEAST);
	if (f->rawlen > OBJECT_RAW_MAX)
		return err_set(e, ERR_CORRUPT, "index: frame %zu says %u raw bytes, at most %u are "
		    "allowed", number, f->rawlen, OBJECT_RAW_MAX);
	/* What does not shrink is stored as it is, so a frame is bounded by its raw bytes. */
	if (f->len > f->rawlen + OBJECT_FRAME_LEAST)
		return err_set(e, ERR_CORRUPT, "index: frame %zu has %u bytes for %u raw ones",
		    number, f->len, f->rawlen);
	if (f->grains == 0)
		return err_set(e, ERR_CORRUPT, "index: frame %zu has no grain", number);
	return 0;
}

/*
 * Frames follow each other from the header to the index, and their counts of grains make the
 * whole count.
 */
static int
parse_frames(const uint8_t *row, uint64_t index_off, struct object_index *x, struct err *e)
{
	uint64_t at = OBJECT_HEADER;
	size_t grains = 0;

	for (size_t i = 0; i < x->frames; i++, row += FRAME_ROW) {
		struct object_frame *f = &x->frame[i];

		if (parse_frame(row, f, i, e) == -1)
			return -1;
		if (f->off != at)
			return err_set(e, ERR_CORRUPT, "index: frame %zu is at %u, expected %llu",
			    i, f->off, (unsigned long long)at);
		at += f->len;
		if (f->grains > x->grains - grains)
			return err_set(e, ERR_CORRUPT, "index: frames have more than the %zu "
			    "grains it lists", x->grains);
		f->first_grain = (uint32_t)grains;
		grains += f->grains;
	}
	if (at != index_off)
		return err_set(e, ERR_CORRUPT,
		    "index: frames end at %llu, the index begins at %llu", (unsigned long long)at,
		    (unsigned long long)index_off);
	if (grains != x->grains)
		return err_set(e, ERR_CORRUPT, "index: frames have %zu grains, it lists %zu",
		    grains, x->grains);
	return 0;
}

/* The lengths of a frame's grains make its raw length. */
static int
parse_grains(const uint8_t *row, struct object_index *x, struct err *e)
{
	for (size_t i = 0; i < x->frames; i++) {
		uint64_t sum = 0;

		for (size_t g = 0; g < x->frame[i].grains; g++, row += GRAIN_ROW) {
			struct object_grain *grain = &x->grain[x->frame[i].first_grain + g];

			grain->len = buf_get_u32(row);
			memcpy(grain->id, row + 4, GRAIN_ID_LEN);
			sum += grain->len;
		}
		if (sum != x->frame[i].rawlen)
			return err_set(e, ERR_CORRUPT, "index: the grains of frame %zu make %llu "
			    "bytes, expected %u", i, (unsigned long long)sum, x->frame[i].rawlen);
	}
	return 0;
}

int
object_index_parse(const uint8_t *raw, size_t n, uint64_t index_off, size_t frames,
    struct object_index *ret, struct err *e)
{
	struct object_index x = { 0 };
	int rc = -1;

	*ret = x;
	if (n < COUNTS)
		return err_set(e, ERR_CORRUPT, "index of %zu bytes is too short", n);
	x.frames = buf_get_u32(raw);
	x.grains = buf_get_u32(raw + 4);
	if (x.frames != frames || frames > OBJECT_FRAMES_MAX)
		return err_set(e, ERR_CORRUPT, "index lists %zu frames, the header %zu", x.frames,
		    frames);
	if (x.grains > n / GRAIN_ROW || object_index_size(x.frames, x.grains) != n)
		return err_set(e, ERR_CORRUPT, "index of %zu bytes does not fit %zu frames and %zu "
		    "grains", n, x.frames, x.grains);
	x.frame = xcalloc(x.frames + 1, sizeof(*x.frame));
	x.grain = xcalloc(x.grains + 1, sizeof(*x.grain));
	if (parse_frames(raw + COUNTS, index_off, &x, e) == -1 ||
	    parse_grains(raw + COUNTS + x.frames * FRAME_ROW, &x, e) == -1)
		goto out;
	*ret = x;
	x = (struct object_index){ 0 };
	rc = 0;
out:
	object_index_done(&x);
	return rc;
}

void
object_index_done(struct object_index *x)
{
	free(x->frame);
	free(x->grain);
	*x = (struct object_index){ 0 };
}
