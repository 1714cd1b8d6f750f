/*
 * What a holder of the keys may have sealed. The input is an object in the plain: header, frames
 * and index as they would be before encryption. It is made ours (magic, repository, epoch),
 * sealed wherever its own numbers allow it, and read as any pack is. So the fuzzer's bytes reach
 * the index parser, the frames and the decompressor, past the authentication. The index bytes
 * alone go to their parser, too: what it takes must be written again as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/seal.h"
#include "repo/object.h"

#define MOST (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct keyring *keys;

static void
object_key(const uint8_t *header, uint8_t key[SEAL_KEY])
{
	uint8_t info[1 + LAYOUT_REPO_ID];

	info[0] = header[4];
	memcpy(info + 1, header + 32, LAYOUT_REPO_ID);
	digest_hkdf(keyring_current(keys)->data, header + 48, 32, info, sizeof(info), key);
}

/* Parsed, it is sound in every number; encoded, it is what it was. */
static int
check_index(const uint8_t *raw, size_t n, uint64_t index_off, size_t frames,
    struct object_index *x)
{
	struct buf again;
	uint64_t at = OBJECT_HEADER, grains = 0;

	if (object_index_parse(raw, n, index_off, frames, x, NULL) == -1)
		return -1;
	buf_init(&again, n);
	object_index_encode(x, &again);
	if (again.len != n || memcmp(again.data, raw, n) != 0)
		abort();
	buf_done(&again);
	for (size_t i = 0; i < x->frames; i++) {
		if (x->frame[i].off != at || x->frame[i].first_grain != grains ||
		    x->frame[i].rawlen > OBJECT_RAW_MAX)
			abort();
		at += x->frame[i].len;
		grains += x->frame[i].grains;
	}
	if (at != index_off || grains != x->grains)
		abort();
	return 0;
}

/* Seals in place whatever the index allows, and the index itself. */
static void
seal_all(uint8_t *p, const struct object_header *h, struct seal *s)
{
	uint8_t aad[OBJECT_HEADER + 1];
	size_t index_len = object_index_len(h);
	uint8_t *index = p + h->index_off;
	struct object_index x;

	memcpy(aad, p, OBJECT_HEADER);
	index[0] = 0;
	if (check_index(index + 1, index_len - 1 - SEAL_TAG, h->index_off, h->frames - 1, &x) ==
	    0) {
		for (size_t i = 0; i < x.frames; i++) {
			aad[OBJECT_HEADER] = x.frame[i].kind;
			seal_frame(s, x.frame[i].off, aad, sizeof(aad), p + x.frame[i].off,
			    x.frame[i].len - SEAL_TAG);
		}
		object_index_done(&x);
	}
	aad[OBJECT_HEADER] = FRAME_INDEX;
	seal_frame(s, h->index_off, aad, sizeof(aad), index, index_len - SEAL_TAG);
}

static void
read_all(const uint8_t *p, const struct object_header *h)
{
	uint8_t *raw = xmalloc(OBJECT_RAW_MAX);
	struct object *o = NULL;
	struct err e = { 0 };

	if (object_open(h, p + h->index_off, object_index_len(h), keys, &o, &e) == 0)
		for (size_t i = 0; i < o->index.frames; i++)
			if (object_frame(o, i, p + o->index.frame[i].off, raw, &e) == 0)
				object_check_ids(o, i, raw, keys, &e);
	object_free(o);
	free(raw);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t id[LAYOUT_REPO_ID];
	struct object_header h;
	uint8_t key[SEAL_KEY], *p;
	struct seal *s;

	if (keys == NULL) {
		keys = keyring_new(id);
		keyring_add_epoch(keys, 0);
	}
	object_header_parse(data, n, &h, NULL);
	if (n < OBJECT_HEADER || n > MOST)
		return 0;
	p = xmemdup(data, n);
	memcpy(p, "FFD1", 4);
	memcpy(p + 8, keyring_current(keys)->epoch, LAYOUT_EPOCH);
	memcpy(p + 32, id, sizeof(id));
	buf_put_u64(p + 16, n);
	if (object_header_parse(p, n, &h, NULL) == 0) {
		object_key(p, key);
		s = seal_new(key);
		seal_all(p, &h, s);
		seal_free(s);
		read_all(p, &h);
		object_check_plain(p, n, NULL);
	}
	free(p);
	return 0;
}
