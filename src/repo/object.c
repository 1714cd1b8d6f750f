/*
 * The container is built in memory and sealed in one go: plain frames are laid out with room for
 * their tags, and only when the last one is there is anything encrypted, in place. Two things
 * follow. The salt, and with it the object's key, hangs on every byte that will be sealed, so
 * that a machine that was cloned or rolled back cannot use one key for two contents. And a pack
 * of 32 MiB costs one pass of GMAC over what is sealed, one of AES, one of SHA-256 over the result
 * and no copy: each frame is hashed right after it was sealed, while it is in the cache.
 *
 * Reading trusts nothing: lengths of the header are judged before they are used, those of the
 * index in object_index.c. Header and kind are authenticated with every frame, so a changed
 * header opens nothing.
 */
#include "repo/object.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "filter/key.h"
#include "filter/seal.h"
#include "filter/zip.h"
#include "repo/object_trailer.h"
#include "store/store.h"

#define SUITE_1 1   /* HKDF-SHA256, AES-256-GCM, zstd */
#define AAD_LEN (OBJECT_HEADER + 1)
#define SALT_LEN 32
#define SUM_INFO "ffdr/salt-sum"
/* Texts, lists and maps are small beside data and read at every step: worth more than level 1. */
#define OWN_LEVEL 3
/* Codec byte, counts of an empty index, tag. */
#define INDEX_LEAST (OBJECT_FRAME_LEAST + 8)

enum header_at {
	AT_TYPE = 4,
	AT_SUITE = 5,
	AT_FLAGS = 6,
	AT_EPOCH = 8,
	AT_FRAMES = 12,
	AT_TOTAL = 16,
	AT_INDEX = 24,
	AT_REPO = 32,
	AT_SALT = 48,
};
static const uint8_t magic[4] = { 'F', 'F', 'D', '1' };

const char *
object_type_word(enum object_type type)
{
	switch (type) {
	case OBJECT_PACK:
		return "pack";
	case OBJECT_MANIFEST:
		return "manifest";
	case OBJECT_WAL:
		return "WAL piece";
	case OBJECT_RECORD:
		return "record";
	}
	return "object of unknown type";
}

/* hkdf(data key, salt, type || repository id) */
static void
object_key(const struct keyring_epoch *ep, const uint8_t header[OBJECT_HEADER],
    uint8_t key[SEAL_KEY])
{
	uint8_t info[1 + LAYOUT_REPO_ID];

	info[0] = header[AT_TYPE];
	memcpy(info + 1, header + AT_REPO, LAYOUT_REPO_ID);
	digest_hkdf(ep->data, header + AT_SALT, SALT_LEN, info, sizeof(info), key);
}

/* ---- building ---- */

void
object_build(struct object_builder *b, enum object_type type, size_t limit)
{
	memset(b, 0, sizeof(*b));
	b->type = type;
	buf_init(&b->bytes, limit);
	object_build_again(b);
}

void
object_build_done(struct object_builder *b)
{
	buf_done(&b->bytes);
	object_index_done(&b->index);
	b->frame_room = b->grain_room = 0;
}

void
object_build_again(struct object_builder *b)
{
	static const uint8_t place[OBJECT_HEADER];

	buf_reset(&b->bytes);
	buf_add(&b->bytes, place, sizeof(place));
	b->index.frames = b->index.grains = 0;
}

/*
 * Codec byte and payload are there from `start` on: leaves room for the tag and makes the index
 * rows.
 */
static void
end_frame(struct object_builder *b, enum frame_kind kind, size_t start, size_t rawlen,
    const struct object_grain *grain, size_t grains)
{
	struct object_index *x = &b->index;

	if (rawlen > OBJECT_RAW_MAX || grains == 0 || grains > OBJECT_GRAINS_MAX ||
	    x->frames == OBJECT_FRAMES_MAX)
		b->bytes.over = true;
	if (buf_reserve(&b->bytes, SEAL_TAG) == NULL)
		return;
	b->bytes.len += SEAL_TAG;
	x->frame = mem_grow(x->frame, &b->frame_room, x->frames + 1, sizeof(*x->frame));
	x->grain = mem_grow(x->grain, &b->grain_room, x->grains + grains, sizeof(*x->grain));
	x->frame[x->frames++] = (struct object_frame){
		.off = (uint32_t)start,
		.len = (uint32_t)(b->bytes.len - start),
		.rawlen = (uint32_t)rawlen,
		.kind = (uint8_t)kind,
		.grains = (uint16_t)grains,
		.first_grain = (uint32_t)x->grains,
	};
	memcpy(x->grain + x->grains, grain, grains * sizeof(*grain));
	x->grains += grains;
}

void
object_add(struct object_builder *b, enum frame_kind kind, const void *packed, size_t n,
    size_t rawlen, const struct object_grain *grain, size_t grains)
{
	size_t start = b->bytes.len;

	buf_add(&b->bytes, packed, n);
	end_frame(b, kind, start, rawlen, grain, grains);
}

void
object_add_raw(struct object_builder *b, const struct keyring *k, enum frame_kind kind,
    const void *raw, size_t n)
{
	struct object_grain grain = { .len = (uint32_t)n };
	size_t start = b->bytes.len;

	digest_id(&k->id, raw, n, grain.id);
	zip_pack(raw, n, OWN_LEVEL, &b->bytes);
	end_frame(b, kind, start, n, &grain, 1);
}

void
object_add_name(struct object_builder *b, const struct keyring *k, const char *name)
{
	struct object_grain grain = { .len = (uint32_t)strlen(name) };
	size_t start = b->bytes.len;

	digest_id(&k->id, name, grain.len, grain.id);
	buf_addc(&b->bytes, ZIP_RAW);
	buf_adds(&b->bytes, name);
	end_frame(b, FRAME_NAME, start, grain.len, &grain, 1);
}

void
object_add_text(struct object_builder *b, const struct keyring *k, const void *text, size_t n)
{
	const uint8_t *p = text;

	do {
		size_t part = n < OBJECT_RAW_MAX ? n : OBJECT_RAW_MAX;

		object_add_raw(b, k, FRAME_TEXT, p, part);
		p += part;
		n -= part;
	} while (n > 0);
}

size_t
object_size(const struct object_builder *b)
{
	return b->bytes.len + 1 + object_index_size(b->index.frames, b->index.grains) + SEAL_TAG +
	    object_trailer(b->type);
}

/* M, W and R begin with the name they are signed for; a pack has no name before it is sealed. */
static int
check_name(const struct object_builder *b, const char *name, struct err *e)
{
	const struct object_frame *first = b->index.frame;
	size_t len = name == NULL ? 0 : strlen(name);

	if (b->type == OBJECT_PACK)
		return name == NULL ? 0 : err_set(e, ERR_BUG, "a pack is not signed");
	if (name == NULL || b->index.frames == 0 || first->kind != FRAME_NAME ||
	    first->len != 1 + len + SEAL_TAG ||
	    memcmp(b->bytes.data + first->off + 1, name, len) != 0)
		return err_set(e, ERR_BUG, "a %s must begin with its name '%s'",
		    object_type_word(b->type), name == NULL ? "" : name);
	return 0;
}

/* The bytes of a frame in the builder; the index frame is number index.frames. */
static uint8_t *
frame_at(const struct object_builder *b, size_t i, size_t index_off, size_t *plain, uint8_t *kind)
{
	if (i == b->index.frames) {
		*plain = 1 + object_index_size(b->index.frames, b->index.grains);
		*kind = FRAME_INDEX;
		return b->bytes.data + index_off;
	}
	*plain = b->index.frame[i].len - SEAL_TAG;
	*kind = b->index.frame[i].kind;
	return b->bytes.data + b->index.frame[i].off;
}

/*
 * The sum is a second line of defence: it matters when random bytes, time and process id are all
 * what they were before. Its key is made of the salt key, and it is seen by nobody.
 */
static void
make_salt(const struct object_builder *b, size_t index_off, const uint8_t salt_key[32],
    uint8_t salt[SALT_LEN])
{
	uint8_t seed[32 + 8 + 4 + SEAL_SUM], key[SEAL_KEY], kind;
	struct seal_sum *sum;
	size_t plain;

	digest_hkdf(salt_key, NULL, 0, SUM_INFO, strlen(SUM_INFO), key);
	sum = seal_sum_new(key);
	for (size_t i = 0; i <= b->index.frames; i++) {
		const uint8_t *p = frame_at(b, i, index_off, &plain, &kind);

		seal_sum_add(sum, &kind, 1);
		seal_sum_add(sum, p, plain);
	}
	key_random(seed, 32);
	buf_put_u64(seed + 32, (uint64_t)clock_real_ns());
	buf_put_u32(seed + 40, (uint32_t)getpid());
	seal_sum_end(sum, seed + 44);
	digest_hmac(salt_key, 32, seed, sizeof(seed), salt);
	key_wipe(seed, sizeof(seed));
	key_wipe(key, sizeof(key));
}

static void
make_header(struct object_builder *b, const struct keyring *k, const struct keyring_epoch *ep,
    size_t index_off)
{
	uint8_t salt[SALT_LEN], *h = b->bytes.data;

	make_salt(b, index_off, ep->salt, salt);
	memcpy(h, magic, sizeof(magic));
	h[AT_TYPE] = (uint8_t)b->type;
	h[AT_SUITE] = SUITE_1;
	buf_put_u16(h + AT_FLAGS, 0);
	memcpy(h + AT_EPOCH, ep->epoch, LAYOUT_EPOCH);
	buf_put_u32(h + AT_FRAMES, (uint32_t)b->index.frames + 1);
	buf_put_u64(h + AT_TOTAL, b->bytes.len + object_trailer(b->type));
	buf_put_u64(h + AT_INDEX, index_off);
	memcpy(h + AT_REPO, k->repo_id, LAYOUT_REPO_ID);
	memcpy(h + AT_SALT, salt, SALT_LEN);
}

/* Every frame in place, the hash running behind. */
static void
encrypt(struct object_builder *b, const struct keyring_epoch *ep, size_t index_off,
    struct digest *d)
{
	uint8_t aad[AAD_LEN], key[SEAL_KEY];
	struct seal *s;

	memcpy(aad, b->bytes.data, OBJECT_HEADER);
	object_key(ep, aad, key);
	s = seal_new(key);
	digest_add(d, aad, OBJECT_HEADER);
	for (size_t i = 0; i <= b->index.frames; i++) {
		size_t plain;
		uint8_t *p = frame_at(b, i, index_off, &plain, &aad[OBJECT_HEADER]);

		seal_frame(s, (uint64_t)(p - b->bytes.data), aad, sizeof(aad), p, plain);
		digest_add(d, p, plain + SEAL_TAG);
	}
	seal_free(s);
	key_wipe(key, sizeof(key));
}

int
object_seal(struct object_builder *b, const struct keyring *k, const char *name,
    uint8_t sha[LAYOUT_SHA], struct err *e)
{
	const struct keyring_epoch *ep = keyring_current(k);
	size_t index_off = b->bytes.len, before;
	struct digest *d;
	int rc = 0;

	if (ep == NULL)
		return err_set(e, ERR_KEY, "no data key to seal with");
	/* All that can be too long is known now, before anything is encrypted. */
	if (object_size(b) > b->bytes.limit || object_size(b) > STORE_OBJECT_MAX)
		b->bytes.over = true;
	buf_addc(&b->bytes, ZIP_RAW);
	object_index_encode(&b->index, &b->bytes);
	if (buf_reserve(&b->bytes, SEAL_TAG) != NULL)
		b->bytes.len += SEAL_TAG;
	if (buf_check(&b->bytes, object_type_word(b->type), e) == -1 ||
	    check_name(b, name, e) == -1)
		return -1;
	make_header(b, k, ep, index_off);
	d = digest_new();
	encrypt(b, ep, index_off, d);
	digest_peek(d, sha);
	before = b->bytes.len;
	if (b->type != OBJECT_PACK)
		rc = object_trailer_add(&b->bytes, b->type, k, name, sha, e);
	if (rc == 0) {
		digest_add(d, b->bytes.data + before, b->bytes.len - before);
		digest_end(d, sha);
	}
	digest_free(d);
	return rc;
}

/* ---- reading ---- */

/* Places and lengths of the header against each other. */
static int
check_bounds(const struct object_header *h, struct err *e)
{
	size_t trailer = object_trailer(h->type);

	if (h->frames == 0 || h->frames > OBJECT_FRAMES_MAX + 1)
		return err_set(e, ERR_CORRUPT, "header says %u frames, expected 1 to %d", h->frames,
		    OBJECT_FRAMES_MAX + 1);
	if (h->total > STORE_OBJECT_MAX)
		return err_set(e, ERR_CORRUPT, "header says %llu bytes, no object has more than %u",
		    (unsigned long long)h->total, STORE_OBJECT_MAX);
	if (h->index_off < OBJECT_HEADER || h->total < INDEX_LEAST + trailer ||
	    h->index_off > h->total - INDEX_LEAST - trailer)
		return err_set(e, ERR_CORRUPT, "header puts the index at %llu of %llu bytes, where "
		    "none can be", (unsigned long long)h->index_off,
		    (unsigned long long)h->total);
	return 0;
}

int
object_header_parse(const void *bytes, size_t n, struct object_header *ret, struct err *e)
{
	struct object_header h = { 0 };
	const uint8_t *p = bytes;

	if (n < OBJECT_HEADER)
		return err_set(e, ERR_CORRUPT, "%zu bytes are no object, the header alone has %d",
		    n, OBJECT_HEADER);
	if (memcmp(p, magic, sizeof(magic)) != 0)
		return err_set(e, ERR_CORRUPT, "does not begin with FFD1: not an object of this "
		    "format");
	if (memchr("PMWR", p[AT_TYPE], 4) == NULL)
		return err_set(e, ERR_UNSUPPORTED, "object of type 0x%02x, known are P, M, W and R",
		    p[AT_TYPE]);
	if (p[AT_SUITE] != SUITE_1)
		return err_set(e, ERR_UNSUPPORTED,
		    "object of suite %u, this program knows suite %d", p[AT_SUITE], SUITE_1);
	if (buf_get_u16(p + AT_FLAGS) != 0)
		return err_set(e, ERR_UNSUPPORTED, "object with flags 0x%04x, this program knows "
		    "none", buf_get_u16(p + AT_FLAGS));
	memcpy(h.bytes, p, OBJECT_HEADER);
	h.type = (enum object_type)p[AT_TYPE];
	memcpy(h.epoch, p + AT_EPOCH, LAYOUT_EPOCH);
	h.frames = buf_get_u32(p + AT_FRAMES);
	h.total = buf_get_u64(p + AT_TOTAL);
	h.index_off = buf_get_u64(p + AT_INDEX);
	if (check_bounds(&h, e) == -1)
		return -1;
	*ret = h;
	return 0;
}

size_t
object_index_len(const struct object_header *h)
{
	return (size_t)(h->total - h->index_off) - object_trailer(h->type);
}

int
object_check_home(const struct object_header *h, const struct keyring *k, struct err *e)
{
	char theirs[TEXT_HEX(LAYOUT_REPO_ID)], ours[TEXT_HEX(LAYOUT_REPO_ID)];

	if (memcmp(h->bytes + AT_REPO, k->repo_id, LAYOUT_REPO_ID) == 0)
		return 0;
	return err_set(e, ERR_CORRUPT, "%s belongs to another repository: %s, this one is %s",
	    object_type_word(h->type), text_hex(h->bytes + AT_REPO, LAYOUT_REPO_ID, theirs),
	    text_hex(k->repo_id, LAYOUT_REPO_ID, ours));
}

/* The key of the epoch it was sealed under. */
static int
find_epoch(const struct object_header *h, const struct keyring *k, const struct keyring_epoch **ret,
    struct err *e)
{
	const struct keyring_epoch *ep = keyring_find(k, h->epoch);
	char epoch[TEXT_HEX(LAYOUT_EPOCH)];

	if (ep == NULL) {
		text_hex(h->epoch, LAYOUT_EPOCH, epoch);
		err_set(e, ERR_KEY, "%s is sealed under epoch %s, and no key object for it opened",
		    object_type_word(h->type), epoch);
		return err_line(e, "fix", "bring key/%s.* back from another tier, or use the key "
		    "or escrow it is wrapped for", epoch);
	}
	*ret = ep;
	return 0;
}

/* A frame's plain bytes (codec byte, payload) into out, len - SEAL_TAG of them. */
static int
unseal_by(struct seal *s, const struct object *o, uint64_t off, uint8_t kind,
    const uint8_t *sealed, size_t len, uint8_t *out, struct err *e)
{
	uint8_t aad[AAD_LEN];

	memcpy(aad, o->header.bytes, OBJECT_HEADER);
	aad[OBJECT_HEADER] = kind;
	return seal_open(s, off, aad, sizeof(aad), sealed, len - SEAL_TAG, out, e);
}

static int
unseal(const struct object *o, uint64_t off, uint8_t kind, const uint8_t *sealed, size_t len,
    uint8_t *out, struct err *e)
{
	struct seal *s = seal_new(o->key);
	int rc = unseal_by(s, o, off, kind, sealed, len, out, e);

	seal_free(s);
	return rc;
}

int
object_open(const struct object_header *h, const void *index_bytes, size_t n,
    const struct keyring *k, struct object **ret, struct err *e)
{
	const struct keyring_epoch *ep = NULL;
	struct object *o = NULL;
	uint8_t *plain = NULL;
	int rc = -1;

	if (object_check_home(h, k, e) == -1 || find_epoch(h, k, &ep, e) == -1)
		return -1;
	if (n != object_index_len(h))
		return err_set(e, ERR_CORRUPT, "index of %zu bytes, the header leaves %zu for it",
		    n, object_index_len(h));
	o = xcalloc(1, sizeof(*o));
	o->header = *h;
	object_key(ep, h->bytes, o->key);
	plain = xmalloc(n);
	if (unseal(o, h->index_off, FRAME_INDEX, index_bytes, n, plain, e) == -1) {
		err_in(e, "index of the %s", object_type_word(h->type));
		goto out;
	}
	if (plain[0] != ZIP_RAW) {
		err_set(e, ERR_UNSUPPORTED, "index with codec %u, expected 0", plain[0]);
		goto out;
	}
	if (object_index_parse(plain + 1, n - 1 - SEAL_TAG, h->index_off, h->frames - 1, &o->index,
	    e) == -1)
		goto out;
	*ret = o;
	o = NULL;
	rc = 0;
out:
	free(plain);
	object_free(o);
	return rc;
}

void
object_free(struct object *o)
{
	if (o == NULL)
		return;
	object_index_done(&o->index);
	key_wipe(o->key, sizeof(o->key));
	free(o);
}

int
object_frame(const struct object *o, size_t frame, const uint8_t *sealed, uint8_t *out,
    struct err *e)
{
	const struct object_frame *f = &o->index.frame[frame];
	uint8_t *plain = xmalloc(f->len);
	int rc = unseal(o, f->off, f->kind, sealed, f->len, plain, e);

	if (rc == 0)
		rc = zip_unpack(plain, f->len - SEAL_TAG, out, f->rawlen, e);
	free(plain);
	return rc;
}

struct seal *
object_opener(const struct object *o)
{
	return seal_new(o->key);
}

int
object_payload(const struct object *o, struct seal *opener, size_t frame, const uint8_t *sealed,
    uint8_t *out, struct err *e)
{
	const struct object_frame *f = &o->index.frame[frame];

	return unseal_by(opener, o, f->off, f->kind, sealed, f->len, out, e);
}

size_t
object_ids_same(
    const struct digest_idkey *k, const struct object_grain *g, size_t grains, const uint8_t *raw)
{
	uint8_t id[2][GRAIN_ID_LEN];
	size_t i = 0, n;

	for (; i < grains; i += n) {
		n = i + 1 < grains && g[i + 1].len == g[i].len ? 2 : 1;
		if (n == 2)
			digest_id_pair(k, raw, raw + g[i].len, g[i].len, id[0], id[1]);
		else
			digest_id(k, raw, g[i].len, id[0]);
		for (size_t j = 0; j < n; j++, raw += g[i].len)
			if (memcmp(id[j], g[i + j].id, GRAIN_ID_LEN) != 0)
				return i + j;
	}
	return grains;
}

int
object_check_ids(const struct object *o, size_t frame, const uint8_t *raw, const struct keyring *k,
    struct err *e)
{
	const struct object_frame *f = &o->index.frame[frame];
	size_t same = object_ids_same(&k->id, &o->index.grain[f->first_grain], f->grains, raw);

	if (same == f->grains)
		return 0;
	return err_set(e, ERR_CORRUPT, "grain %zu of frame %zu has another id than the index says", same,
	    frame);
}

int
object_check_plain(const void *bytes, size_t n, struct err *e)
{
	struct object_header h;
	uint8_t sha[DIGEST_LEN];
	size_t before;

	if (object_header_parse(bytes, n, &h, e) == -1)
		return -1;
	if (h.total != n)
		return err_set(e, ERR_CORRUPT, "%s has %zu bytes, its header says %llu",
		    object_type_word(h.type), n, (unsigned long long)h.total);
	if (h.type == OBJECT_PACK)
		return 0;
	before = n - object_trailer(h.type);
	digest_sha256(bytes, before, sha);
	if (!digest_equal(sha, (const uint8_t *)bytes + before, DIGEST_LEN))
		return err_set(e, ERR_CORRUPT, "%s is damaged: its bytes do not hash to what its "
		    "trailer says", object_type_word(h.type));
	return 0;
}
