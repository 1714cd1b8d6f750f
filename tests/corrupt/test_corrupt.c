/*
 * The table of mutilations: an object is proved intact, then one thing is done to it, and the
 * reader must say what is wrong, by kind and in words. A mutilation that is not noticed is a
 * backup that lies.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/zip.h"
#include "repo/object.h"
#include "repo/object_trailer.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vector.h"

#define SNAP "snap/vol.a/20261121T020000Z-1a2b3c4d"
#define OTHER "snap/vol.a/20261121T030000Z-1a2b3c4d"
#define LIMIT (8u << 20)

/* Two of each: what is swapped comes from the second. */
static struct keyring *keys, *foreign;
static struct buf pack, pack2, manifest, manifest2;
static size_t index_off; /* of both packs */

static void
make_pack(struct buf *out)
{
	struct object_builder b;
	uint8_t raw[5000], sha[32];
	struct err e = { 0 };

	object_build(&b, OBJECT_PACK, LIMIT);
	vector_noise(raw, sizeof(raw), out == &pack ? 1 : 2);
	object_add_raw(&b, keys, FRAME_DATA, raw, 3000);
	object_add_raw(&b, keys, FRAME_DATA, raw + 1000, 3000);
	assert_int_equal(object_seal(&b, keys, NULL, sha, &e), 0);
	*out = b.bytes;
	buf_init(&b.bytes, LIMIT);
	object_build_done(&b);
}

static void
make_manifest(struct buf *out, const struct keyring *k, const char *name, enum object_type type)
{
	struct object_builder b;
	struct err e = { 0 };
	uint8_t sha[32];

	object_build(&b, type, LIMIT);
	object_add_name(&b, k, name);
	object_add_text(&b, k, "ffdr-manifest 1\n", 16);
	assert_int_equal(object_seal(&b, k, name, sha, &e), 0);
	*out = b.bytes;
	buf_init(&b.bytes, LIMIT);
	object_build_done(&b);
}

static int
make_all(void **state)
{
	struct object_header h;
	struct err e = { 0 };

	(void)state;
	keys = repokit_keyring();
	foreign = repokit_keyring();
	make_pack(&pack);
	make_pack(&pack2);
	make_manifest(&manifest, keys, SNAP, OBJECT_MANIFEST);
	make_manifest(&manifest2, keys, OTHER, OBJECT_MANIFEST);
	assert_int_equal(object_header_parse(pack.data, pack.len, &h, &e), 0);
	index_off = h.index_off;
	return 0;
}

static int
drop_all(void **state)
{
	(void)state;
	buf_done(&pack);
	buf_done(&pack2);
	buf_done(&manifest);
	buf_done(&manifest2);
	keyring_free(keys);
	keyring_free(foreign);
	return 0;
}

/* As a restore reads a pack, without asking its name: what the seal alone notices. */
static int
read_pack(const struct buf *b, const struct keyring *k, struct err *e)
{
	struct object_header h;
	struct object *o = NULL;
	uint8_t *raw = xmalloc(OBJECT_RAW_MAX);
	int rc = -1;

	if (object_check_plain(b->data, b->len, e) == -1 ||
	    object_header_parse(b->data, b->len, &h, e) == -1 ||
	    object_open(&h, b->data + h.index_off, object_index_len(&h), k, &o, e) == -1)
		goto out;
	for (size_t i = 0; i < o->index.frames; i++)
		if (object_frame(o, i, b->data + o->index.frame[i].off, raw, e) == -1 ||
		    object_check_ids(o, i, raw, k, e) == -1)
			goto out;
	rc = 0;
out:
	object_free(o);
	free(raw);
	return rc;
}

static int
read_manifest(const struct buf *b, const char *name, const struct keyring *k, struct err *e)
{
	struct buf text;
	int rc;

	buf_init(&text, LIMIT);
	rc = object_read_signed(b, OBJECT_MANIFEST, name, k, FRAME_TEXT, &text, e);
	if (rc == 0)
		assert_string_equal(buf_str(&text), "ffdr-manifest 1\n");
	buf_done(&text);
	return rc;
}

/* ---- what is done to an object ---- */

/* Somebody with write access, but no key, makes the hash fit again. */
static void
fit_hash(struct buf *b)
{
	size_t before = b->len - object_trailer(OBJECT_MANIFEST);

	digest_sha256(b->data, before, b->data + before);
}

static void
nothing(struct buf *b)
{
	(void)b;
}
static void
magic(struct buf *b)
{
	b->data[0] ^= 1;
}
static void
unknown_type(struct buf *b)
{
	b->data[4] = 'Q';
}
static void
other_type(struct buf *b)
{
	b->data[4] = OBJECT_RECORD;
	fit_hash(b);
}
static void
unknown_suite(struct buf *b)
{
	b->data[5] = 2;
}
static void
future_flag(struct buf *b)
{
	b->data[7] = 0x80;
}
static void
unknown_epoch(struct buf *b)
{
	memcpy(b->data + 8, "\x01\x02\x03\x04", 4);
}
static void
no_frames(struct buf *b)
{
	buf_put_u32(b->data + 12, 0);
}
static void
too_many_frames(struct buf *b)
{
	buf_put_u32(b->data + 12, 65537);
}
static void
one_frame_less(struct buf *b)
{
	buf_put_u32(b->data + 12, buf_get_u32(b->data + 12) - 1);
}
static void
longer_by_header(struct buf *b)
{
	buf_put_u64(b->data + 16, b->len + 1);
}
static void
huge_by_header(struct buf *b)
{
	buf_put_u64(b->data + 16, UINT64_MAX);
}
static void
index_past_the_end(struct buf *b)
{
	buf_put_u64(b->data + 24, b->len - 10);
}
static void
index_in_the_header(struct buf *b)
{
	buf_put_u64(b->data + 24, 79);
}
static void
index_elsewhere(struct buf *b)
{
	buf_put_u64(b->data + 24, buf_get_u64(b->data + 24) - 16);
}
static void
index_at_the_far_end_of_numbers(struct buf *b)
{
	buf_put_u64(b->data + 24, UINT64_MAX - 8);
}
static void
repository_id(struct buf *b)
{
	b->data[32] ^= 1;
}
static void
salt(struct buf *b)
{
	b->data[79] ^= 1;
}
static void
first_frame(struct buf *b)
{
	b->data[80] ^= 1;
}
static void
tag_of_first_frame(struct buf *b)
{
	b->data[80 + 3016] ^= 1;
}
static void
frames_exchanged(struct buf *b)
{
	uint8_t *one = b->data + 80, *two = one + 3017;

	for (size_t i = 0; i < 3017; i++) {
		uint8_t c = one[i];

		one[i] = two[i];
		two[i] = c;
	}
}
static void
frame_of_another_pack(struct buf *b)
{
	memcpy(b->data + 80, pack2.data + 80, 3017);
}
static void
index_of_another_pack(struct buf *b)
{
	memcpy(b->data + index_off, pack2.data + index_off, pack2.len - index_off);
}
static void
index_bit(struct buf *b)
{
	b->data[index_off + 9] ^= 4;
}
static void
last_byte(struct buf *b)
{
	b->data[b->len - 1] ^= 1;
}
static void
truncated(struct buf *b)
{
	b->len -= 1;
}
static void
header_only(struct buf *b)
{
	b->len = 80;
}
static void
shorter_than_a_header(struct buf *b)
{
	b->len = 79;
}
static void
empty(struct buf *b)
{
	b->len = 0;
}
static void
extended(struct buf *b)
{
	buf_addc(b, 0);
}
static void
all_zeros(struct buf *b)
{
	memset(b->data, 0, b->len);
}
static void
hash_byte(struct buf *b)
{
	b->data[b->len - 104] ^= 1;
}
static void
signer_id(struct buf *b)
{
	b->data[b->len - 72] ^= 1;
}
static void
frame_with_hash_made_to_fit(struct buf *b)
{
	b->data[90] ^= 1;
	fit_hash(b);
}
static void
become(struct buf *b, const struct buf *from)
{
	buf_reset(b);
	buf_add(b, from->data, from->len);
}
static void
another_pack(struct buf *b)
{
	become(b, &pack2);
}
static void
another_manifest(struct buf *b)
{
	become(b, &manifest2);
}
static void
remade(struct buf *b, const struct keyring *k, enum object_type type)
{
	struct buf made;

	make_manifest(&made, k, SNAP, type);
	become(b, &made);
	buf_done(&made);
}
static void
a_record_of_that_name(struct buf *b)
{
	remade(b, keys, OBJECT_RECORD);
}
static void
a_foreign_manifest_of_that_name(struct buf *b)
{
	remade(b, foreign, OBJECT_MANIFEST);
}
/* The data key was stolen, the signing key was not. */
static void
sealed_by_a_thief(struct buf *b)
{
	struct sign_key *own = keys->sign;
	struct buf pem;

	buf_init(&pem, 4096);
	keys->sign = sign_key_make(&pem);
	remade(b, keys, OBJECT_MANIFEST);
	sign_key_free(keys->sign);
	keys->sign = own;
	buf_done(&pem);
}
/* The name inside is another one than the signature's: only our own program could do that. */
static void
signed_for_another_name_inside(struct buf *b)
{
	size_t before = manifest2.len - object_trailer(OBJECT_MANIFEST);
	uint8_t sha[DIGEST_LEN];
	struct err e = { 0 };

	become(b, &manifest2);
	memcpy(sha, b->data + before, sizeof(sha));
	b->len = before;
	assert_int_equal(object_trailer_add(b, OBJECT_MANIFEST, keys, SNAP, sha, &e), 0);
}

struct row {
	const char *title;
	void (*act)(struct buf *b);
	enum err_kind kind; /* ERR_NONE: is read */
	const char *says;
};
#define ROW(f, kind, says) { #f, f, kind, says }

static const struct row pack_rows[] = {
	ROW(nothing, ERR_NONE, ""),
	ROW(magic, ERR_CORRUPT, "does not begin with FFD1"),
	ROW(unknown_type, ERR_UNSUPPORTED, "object of type 0x51"),
	ROW(unknown_suite, ERR_UNSUPPORTED, "suite 2"),
	ROW(future_flag, ERR_UNSUPPORTED, "flags 0x8000"),
	ROW(unknown_epoch, ERR_KEY, "bring key/01020304.*"),
	ROW(no_frames, ERR_CORRUPT, "0 frames"),
	ROW(too_many_frames, ERR_CORRUPT, "65537 frames"),
	ROW(one_frame_less, ERR_CORRUPT, "does not open"),
	ROW(longer_by_header, ERR_CORRUPT, "its header says"),
	ROW(huge_by_header, ERR_CORRUPT, "no object has more"),
	ROW(index_past_the_end, ERR_CORRUPT, "where none can be"),
	ROW(index_in_the_header, ERR_CORRUPT, "where none can be"),
	ROW(index_at_the_far_end_of_numbers, ERR_CORRUPT, "where none can be"),
	ROW(index_elsewhere, ERR_CORRUPT, "does not open"),
	ROW(repository_id, ERR_CORRUPT, "belongs to another repository"),
	ROW(salt, ERR_CORRUPT, "does not open"),
	ROW(first_frame, ERR_CORRUPT, "frame at 80 does not open"),
	ROW(tag_of_first_frame, ERR_CORRUPT, "frame at 80 does not open"),
	ROW(frames_exchanged, ERR_CORRUPT, "frame at 80 does not open"),
	ROW(frame_of_another_pack, ERR_CORRUPT, "frame at 80 does not open"),
	ROW(index_of_another_pack, ERR_CORRUPT, "index of the pack"),
	ROW(index_bit, ERR_CORRUPT, "index of the pack"),
	ROW(last_byte, ERR_CORRUPT, "index of the pack"),
	ROW(truncated, ERR_CORRUPT, "its header says"),
	ROW(header_only, ERR_CORRUPT, "its header says"),
	ROW(shorter_than_a_header, ERR_CORRUPT, "the header alone has 80"),
	ROW(empty, ERR_CORRUPT, "0 bytes are no object"),
	ROW(extended, ERR_CORRUPT, "its header says"),
	ROW(all_zeros, ERR_CORRUPT, "does not begin with FFD1"),
	/* Sound in itself: only its name tells, see the scrub's tests. */
	ROW(another_pack, ERR_NONE, ""),
};

static const struct row manifest_rows[] = {
	ROW(nothing, ERR_NONE, ""),
	ROW(magic, ERR_CORRUPT, "does not begin with FFD1"),
	ROW(unknown_type, ERR_UNSUPPORTED, "object of type 0x51"),
	ROW(unknown_suite, ERR_UNSUPPORTED, "suite 2"),
	ROW(future_flag, ERR_UNSUPPORTED, "flags 0x8000"),
	ROW(salt, ERR_CORRUPT, "do not hash"),
	ROW(first_frame, ERR_CORRUPT, "do not hash"),
	ROW(hash_byte, ERR_CORRUPT, "do not hash"),
	ROW(last_byte, ERR_CORRUPT, "stored under another one, or forged"),
	ROW(signer_id, ERR_KEY, "whom the repository does not list"),
	ROW(frame_with_hash_made_to_fit, ERR_CORRUPT, "forged"),
	ROW(other_type, ERR_CORRUPT, "is a record, expected a manifest"),
	ROW(truncated, ERR_CORRUPT, "its header says"),
	ROW(extended, ERR_CORRUPT, "its header says"),
	ROW(empty, ERR_CORRUPT, "0 bytes are no object"),
	ROW(another_manifest, ERR_CORRUPT, "stored under another one"),
	ROW(a_record_of_that_name, ERR_CORRUPT, "is a record, expected a manifest"),
	ROW(a_foreign_manifest_of_that_name, ERR_CORRUPT, "belongs to another repository"),
	ROW(sealed_by_a_thief, ERR_KEY, "whom the repository does not list"),
	ROW(signed_for_another_name_inside, ERR_CORRUPT, "calls itself '" OTHER "'"),
};

static void
check_row(const struct row *r, const struct buf *intact, bool is_pack)
{
	struct err e = { 0 };
	struct buf b;
	int rc;

	buf_init(&b, LIMIT);
	buf_add(&b, intact->data, intact->len);
	rc = is_pack ? read_pack(&b, keys, &e) : read_manifest(&b, SNAP, keys, &e);
	if (rc == -1)
		fail_msg("%s: not intact before: %s", r->title, e.text);
	r->act(&b);
	rc = is_pack ? read_pack(&b, keys, &e) : read_manifest(&b, SNAP, keys, &e);
	if ((rc == 0) != (r->kind == ERR_NONE) || e.kind != r->kind ||
	    strstr(e.text, r->says) == NULL)
		fail_msg("%s: expected %s '%s', got %s '%s'", r->title, err_word(r->kind), r->says,
		    err_word(e.kind), e.text);
	buf_done(&b);
}

static void
every_mutilation_of_a_pack_is_told_as_what_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pack_rows); i++)
		check_row(&pack_rows[i], &pack, true);
}

static void
every_mutilation_of_a_manifest_is_told_as_what_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(manifest_rows); i++)
		check_row(&manifest_rows[i], &manifest, false);
}

static void
no_single_bit_of_a_pack_can_change_unnoticed(void **state)
{
	struct err e = { 0 };

	(void)state;
	for (size_t at = 0; at < pack.len; at += at < 200 || at > index_off ? 1 : 97) {
		pack.data[at] ^= (uint8_t)(1u << (at % 8));
		if (read_pack(&pack, keys, &e) == 0)
			fail_msg("byte %zu", at);
		pack.data[at] ^= (uint8_t)(1u << (at % 8));
	}
	assert_int_equal(read_pack(&pack, keys, &e), 0);
}

static void
no_single_bit_of_a_manifest_can_change_unnoticed(void **state)
{
	struct err e = { 0 };

	(void)state;
	for (size_t at = 0; at < manifest.len; at++) {
		manifest.data[at] ^= (uint8_t)(1u << (at % 8));
		if (read_manifest(&manifest, SNAP, keys, &e) == 0)
			fail_msg("byte %zu", at);
		manifest.data[at] ^= (uint8_t)(1u << (at % 8));
	}
	assert_int_equal(read_manifest(&manifest, SNAP, keys, &e), 0);
}

static void
a_manifest_cut_anywhere_is_refused(void **state)
{
	struct err e = { 0 };

	(void)state;
	for (size_t n = 0; n < manifest.len; n++) {
		struct buf part = { .data = manifest.data, .len = n };

		assert_int_equal(read_manifest(&part, SNAP, keys, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
	}
}

static void
another_repositorys_keys_read_nothing_and_say_why(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(read_pack(&pack, foreign, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "another repository"));
	/* Even when only the keys differ and the id is the same. */
	memcpy(foreign->repo_id, keys->repo_id, LAYOUT_REPO_ID);
	assert_int_equal(read_pack(&pack, foreign, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	assert_non_null(strstr(e.text, "no key object for it opened"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, make_all, drop_all)
		T(every_mutilation_of_a_pack_is_told_as_what_it_is),
		T(every_mutilation_of_a_manifest_is_told_as_what_it_is),
		T(no_single_bit_of_a_pack_can_change_unnoticed),
		T(no_single_bit_of_a_manifest_can_change_unnoticed),
		T(a_manifest_cut_anywhere_is_refused),
		T(another_repositorys_keys_read_nothing_and_say_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
