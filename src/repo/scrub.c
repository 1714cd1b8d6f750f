/*
 * A pack is proved in one pass from front to back, in stretches, with the hash running along;
 * only the index is fetched ahead, because it says where frames end, and is hashed when its turn
 * comes. So a pack of any size takes the memory of a stretch and of its index, and each byte is
 * read once from the store (the index apart: its bytes are kept). At level 2 a wrong grain is
 * found before the hash is complete, and is what gets reported: it says more.
 */
#include "repo/scrub.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/seal.h"
#include "repo/identity.h"
#include "repo/object.h"
#include "repo/proof.h"
#include "store/sum.h"

/*
 * Large enough that a request to a far store is not all latency; the largest frame is about as
 * long.
 */
#define STRETCH (4u << 20)
#define TEXT_MAX (256u << 20)

struct scrub {
	struct store *store;
	char name[LAYOUT_NAME];
	const struct keyring *keys;
	struct digest *digest;
	struct buf bytes, index;
	uint8_t *raw;
	/* Of a pack that was just written; else NULL. */
	const struct object_header *header;
	const uint32_t *proof;
};

static void
scrub_init(struct scrub *c, struct store *s, const char *name, const struct keyring *k)
{
	memset(c, 0, sizeof(*c));
	c->store = s;
	c->keys = k;
	memcpy(c->name, name, strlen(name) + 1);
	c->digest = digest_new();
	buf_init(&c->bytes, 2 * (size_t)STRETCH + OBJECT_RAW_MAX);
	buf_init(&c->index, STORE_OBJECT_MAX);
}

static void
scrub_done(struct scrub *c)
{
	digest_free(c->digest);
	buf_done(&c->bytes);
	buf_done(&c->index);
	free(c->raw);
}

/* Bytes [off, off+len) into c->bytes. */
static int
read_stretch(struct scrub *c, uint64_t off, uint64_t len, struct err *e)
{
	buf_reset(&c->bytes);
	if (store_get_range(c->store, c->name, off, len, &c->bytes, e) == -1)
		return -1;
	if (c->bytes.len != len)
		return err_set(e, ERR_CORRUPT, "ends early: %zu bytes at %llu, expected %llu",
		    c->bytes.len, (unsigned long long)off, (unsigned long long)len);
	return 0;
}

static int
hash_all(struct scrub *c, uint64_t size, struct err *e)
{
	for (uint64_t off = 0; off < size; off += STRETCH) {
		if (read_stretch(c, off, size - off < STRETCH ? size - off : STRETCH, e) == -1)
			return -1;
		digest_add(c->digest, c->bytes.data, c->bytes.len);
	}
	return 0;
}

static int
check_written(struct scrub *c, const struct object *o, struct seal *s, size_t i,
    const uint8_t *sealed, struct err *e)
{
	const struct object_frame *f = &o->index.frame[i];

	if (object_payload(o, s, i, sealed, c->raw, e) == -1)
		return -1;
	if (proof_frame(f->kind, &o->index.grain[f->first_grain], f->grains, c->raw,
		f->len - SEAL_TAG) == c->proof[i])
		return 0;
	return err_set(e, ERR_CORRUPT, "frame %zu is another one than was compressed", i);
}

/* Frames first .. next-1, which lie in c->bytes. */
static int
open_frames(struct scrub *c, const struct object *o, struct seal *s, size_t first, size_t next,
    struct err *e)
{
	const struct object_frame *f = o->index.frame;

	for (size_t i = first; i < next; i++) {
		const uint8_t *sealed = c->bytes.data + (f[i].off - f[first].off);

		if (c->proof ? check_written(c, o, s, i, sealed, e) == -1 :
			       object_frame(o, i, sealed, c->raw, e) == -1 ||
			object_check_ids(o, i, c->raw, c->keys, e) == -1)
			return -1;
	}
	return 0;
}

static void
hash_bytes(struct scrub *c, const void *bytes, size_t n)
{
	if (!c->proof)
		digest_add(c->digest, bytes, n);
}

static int
open_groups(struct scrub *c, const struct object *o, struct seal *s, struct err *e)
{
	const struct object_frame *f = o->index.frame;
	size_t next;

	for (size_t i = 0; i < o->index.frames; i = next) {
		uint64_t len = f[i].len;

		for (next = i + 1; next < o->index.frames && len + f[next].len <= STRETCH; next++)
			len += f[next].len;
		if (read_stretch(c, f[i].off, len, e) == -1)
			return -1;
		hash_bytes(c, c->bytes.data, c->bytes.len);
		if (open_frames(c, o, s, i, next, e) == -1)
			return -1;
	}
	return 0;
}

static int
open_all(struct scrub *c, uint64_t size, struct err *e)
{
	struct object_header h;
	struct object *o = NULL;
	struct seal *s = NULL;
	int rc = -1;

	if (read_stretch(c, 0, size < OBJECT_HEADER ? size : OBJECT_HEADER, e) == -1 ||
	    object_header_parse(c->bytes.data, c->bytes.len, &h, e) == -1)
		goto out;
	if (h.type != OBJECT_PACK || h.total != size) {
		err_set(e, ERR_CORRUPT, "is a %s of %llu bytes by its header, expected a pack of "
		    "%llu", object_type_word(h.type), (unsigned long long)h.total,
		    (unsigned long long)size);
		goto out;
	}
	if (c->header && memcmp(h.bytes, c->header->bytes, OBJECT_HEADER) != 0) {
		err_set(e, ERR_CORRUPT, "does not have the header it was sealed with");
		goto out;
	}
	hash_bytes(c, h.bytes, OBJECT_HEADER);
	if (store_get_range(c->store, c->name, h.index_off, object_index_len(&h), &c->index, e) ==
	    -1 || object_open(&h, c->index.data, c->index.len, c->keys, &o, e) == -1)
		goto out;
	c->raw = xmalloc(OBJECT_RAW_MAX + 1);
	s = object_opener(o);
	if (open_groups(c, o, s, e) == -1)
		goto out;
	hash_bytes(c, c->index.data, c->index.len);
	rc = 0;
out:
	seal_free(s);
	object_free(o);
	return rc;
}

/* There, and of the right size. */
static int
stat_size(struct store *s, const char *name, uint64_t want, uint64_t *ret, struct err *e)
{
	struct store_stat st;
	int rc = store_stat(s, name, &st, e);

	if (rc == -1)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_NOTFOUND, "'%s' is not there", name);
	if (want != 0 && st.size != want)
		return err_set(e, ERR_CORRUPT, "'%s' has %llu bytes, expected %llu", name,
		    (unsigned long long)st.size, (unsigned long long)want);
	if (st.size > STORE_OBJECT_MAX)
		return err_set(e, ERR_CORRUPT, "'%s' has %llu bytes, no object has more than %u",
		    name, (unsigned long long)st.size, STORE_OBJECT_MAX);
	*ret = st.size;
	return 0;
}

int
scrub_pack(struct store *s, const uint8_t sha[LAYOUT_SHA], uint64_t want, const struct keyring *k,
    enum scrub_level level, struct err *e)
{
	uint8_t got[DIGEST_LEN];
	char name[LAYOUT_NAME];
	uint64_t size = 0;
	struct scrub c;
	int rc;

	if (stat_size(s, layout_pack(sha, name), want, &size, e) == -1)
		return -1;
	if (level == SCRUB_LISTED)
		return 0;
	scrub_init(&c, s, name, k);
	rc = level == SCRUB_HASHED ? hash_all(&c, size, e) : open_all(&c, size, e);
	digest_end(c.digest, got);
	if (rc == 0 && memcmp(got, sha, DIGEST_LEN) != 0)
		rc = err_set(e, ERR_CORRUPT, "bytes do not hash to its name");
	scrub_done(&c);
	return rc == -1 ? err_in(e, "'%s'", name) : 0;
}

int
scrub_written(struct store *s, const uint8_t sha[LAYOUT_SHA], const struct object_header *header,
    const uint32_t *proof, const struct keyring *k, struct err *e)
{
	char name[LAYOUT_NAME];
	uint8_t kept[DIGEST_LEN];
	uint64_t size = 0;
	struct scrub c;
	int rc;

	if (stat_size(s, layout_pack(sha, name), header->total, &size, e) == -1)
		return -1;
	scrub_init(&c, s, name, k);
	c.header = header;
	c.proof = proof;
	rc = open_all(&c, size, e);
	scrub_done(&c);
	if (rc == -1 && e && e->kind == ERR_FROZEN) {
		rc = sum_kept(s, name, kept, e);
		if (rc == 0 && !digest_equal(kept, sha, DIGEST_LEN))
			rc = err_set(e, ERR_CORRUPT, "the store holds another object than was sent");
	}
	return rc == -1 ? err_in(e, "'%s'", name) : 0;
}

/* A container that carries its hash; level 2 reads it as anybody would. */
static int
check_container(const char *name, const struct buf *bytes, const struct keyring *k,
    enum scrub_level level, struct err *e)
{
	struct object_header h;
	struct buf text;
	int rc;

	if (object_check_plain(bytes->data, bytes->len, e) == -1)
		return -1;
	if (level < SCRUB_OPENED || object_header_parse(bytes->data, bytes->len, &h, e) == -1)
		return level < SCRUB_OPENED ? 0 : -1;
	if (h.type == OBJECT_PACK)
		return err_set(e, ERR_CORRUPT, "is a pack, which does not belong under this name");
	buf_init(&text, TEXT_MAX);
	rc = object_read_signed(bytes, h.type, name, k,
	    h.type == OBJECT_WAL ? FRAME_WAL : FRAME_TEXT, &text, e);
	buf_done(&text);
	return rc;
}

/* repo/<n> and key/ are clear text: their form, and with keys their signature. */
static int
check_text(const char *name, const struct buf *bytes, const struct keyring *k, struct err *e)
{
	struct identity it = { 0 };
	unsigned n;
	int rc;

	if (layout_repo_parse(name, &n) == -1)
		return k == NULL ? 0 : keyring_check(k, name, bytes, e);
	rc = identity_parse(bytes, &it, e);
	if (rc == 0 && it.number != n)
		rc = err_set(e, ERR_CORRUPT, "says it is repo/%u", it.number);
	identity_done(&it);
	return rc;
}

int
scrub_object(struct store *s, const char *name, const struct keyring *k, enum scrub_level level,
    struct err *e)
{
	uint8_t sha[LAYOUT_SHA], epoch[LAYOUT_EPOCH];
	char recipient[32];
	struct buf bytes;
	uint64_t size;
	unsigned n;
	int rc;

	if (layout_pack_parse(name, sha) == 0)
		return scrub_pack(s, sha, 0, k, level, e);
	if (stat_size(s, name, 0, &size, e) == -1)
		return -1;
	if (level == SCRUB_LISTED)
		return 0;
	buf_init(&bytes, STORE_OBJECT_MAX);
	rc = store_get(s, name, &bytes, e);
	if (rc == 0 && (layout_repo_parse(name, &n) == 0 ||
	    layout_key_parse(name, epoch, recipient, sizeof(recipient)) == 0))
		rc = check_text(name, &bytes, k, e);
	else if (rc == 0)
		rc = check_container(name, &bytes, k, level, e);
	buf_done(&bytes);
	return rc == -1 ? err_in(e, "'%s'", name) : 0;
}
