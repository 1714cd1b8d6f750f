#include "repo/object.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "filter/key.h"
#include "filter/zip.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define LIMIT (64u << 20)
#define NAME "rec/run/vol.a/20261121T020000Z-1a2b3c4d"

static struct keyring *keys;

static int
setup(void **state)
{
	(void)state;
	keys = repokit_keyring();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	keyring_free(keys);
	return 0;
}

/* A data frame of two grains, the first of them compressible. */
static void
add_two_grains(struct object_builder *b, uint8_t raw[3000])
{
	struct object_grain g[2] = { { .len = 2000 }, { .len = 1000 } };
	struct buf packed;

	memset(raw, 'x', 2000);
	vector_noise(raw + 2000, 1000, 7);
	digest_id(&keys->id, raw, 2000, g[0].id);
	digest_id(&keys->id, raw + 2000, 1000, g[1].id);
	buf_init(&packed, LIMIT);
	zip_pack(raw, 3000, 1, &packed);
	object_add(b, FRAME_DATA, packed.data, packed.len, 3000, g, 2);
	buf_done(&packed);
}

static struct object *
must_open(const struct buf *bytes)
{
	struct object_header h;
	struct object *o = NULL;
	struct err e = { 0 };

	if (object_header_parse(bytes->data, bytes->len, &h, &e) == -1 ||
	    object_open(&h, bytes->data + h.index_off, object_index_len(&h), keys, &o, &e) == -1)
		fail_msg("%s", e.text);
	return o;
}

static void
a_pack_gives_back_what_was_put_into_it_and_is_named_by_its_hash(void **state)
{
	uint8_t raw[3000], got[3000], sha[32], again[32];
	struct object_builder b;
	struct object *o;
	struct err e = { 0 };
	size_t size;

	(void)state;
	object_build(&b, OBJECT_PACK, LIMIT);
	add_two_grains(&b, raw);
	object_add_raw(&b, keys, FRAME_MAP, "a map", 5);
	size = object_size(&b);
	assert_int_equal(object_seal(&b, keys, NULL, sha, &e), 0);
	assert_int_equal(b.bytes.len, size);
	digest_sha256(b.bytes.data, b.bytes.len, again);
	assert_memory_equal(sha, again, 32);

	o = must_open(&b.bytes);
	assert_int_equal(o->index.frames, 2);
	assert_int_equal(o->index.grains, 3);
	assert_int_equal(o->index.frame[0].off, OBJECT_HEADER);
	assert_int_equal(o->index.frame[1].first_grain, 2);
	assert_int_equal(object_frame(o, 0, b.bytes.data + o->index.frame[0].off, got, &e), 0);
	assert_memory_equal(got, raw, 3000);
	assert_int_equal(object_check_ids(o, 0, got, keys, &e), 0);
	got[2500] ^= 1;
	assert_int_equal(object_check_ids(o, 0, got, keys, &e), -1);
	assert_non_null(strstr(e.text, "grain 1 of frame 0"));
	assert_int_equal(object_frame(o, 1, b.bytes.data + o->index.frame[1].off, got, &e), 0);
	assert_memory_equal(got, "a map", 5);
	object_free(o);
	object_build_done(&b);
}

static void
no_plain_byte_of_the_contents_stands_in_the_object(void **state)
{
	uint8_t sha[32], noise[600];
	struct object_builder b;
	struct err e = { 0 };

	(void)state;
	vector_noise(noise, sizeof(noise), 3);
	object_build(&b, OBJECT_PACK, LIMIT);
	object_add_raw(&b, keys, FRAME_DATA, noise, sizeof(noise));
	assert_non_null(memmem(b.bytes.data, b.bytes.len, noise, 16));
	assert_int_equal(object_seal(&b, keys, NULL, sha, &e), 0);
	for (size_t i = 0; i + 16 <= sizeof(noise); i++)
		assert_null(memmem(b.bytes.data, b.bytes.len, noise + i, 16));
	/* Nor the ids, which tell equal contents apart from different ones. */
	digest_id(&keys->id, noise, sizeof(noise), sha);
	assert_null(memmem(b.bytes.data, b.bytes.len, sha, GRAIN_ID_LEN));
	object_build_done(&b);
}

static void
the_same_contents_are_sealed_under_another_key_each_time(void **state)
{
	struct object_builder b[2];
	uint8_t sha[2][32];
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		object_build(&b[i], OBJECT_PACK, LIMIT);
		object_add_raw(&b[i], keys, FRAME_DATA, "same", 4);
		assert_int_equal(object_seal(&b[i], keys, NULL, sha[i], &e), 0);
	}
	assert_memory_not_equal(b[0].bytes.data + 48, b[1].bytes.data + 48, 32);
	assert_memory_not_equal(b[0].bytes.data + 80, b[1].bytes.data + 80, 20);
	object_build_done(&b[0]);
	object_build_done(&b[1]);
}

/* ---- salts ---- */

static bool stuck; /* random bytes are what they were before, as on a machine set back */

void __real_key_random(void *out, size_t n);
void __wrap_key_random(void *out, size_t n);

void
__wrap_key_random(void *out, size_t n)
{
	if (stuck)
		memset(out, 7, n);
	else
		__real_key_random(out, n);
}

static void
salt_of(const char *text, uint8_t salt[32])
{
	struct object_builder b;
	struct err e = { 0 };
	uint8_t sha[32];

	object_build(&b, OBJECT_PACK, LIMIT);
	object_add_raw(&b, keys, FRAME_DATA, text, strlen(text));
	assert_int_equal(object_seal(&b, keys, NULL, sha, &e), 0);
	memcpy(salt, b.bytes.data + 48, 32);
	object_build_done(&b);
}

static void
a_machine_set_back_does_not_repeat_a_salt_for_other_bytes(void **state)
{
	uint8_t a[32], b[32];

	(void)state;
	vclock_install(INT64_C(1700000000) * CLOCK_S); /* stands */
	stuck = true;
	salt_of("one", a);
	salt_of("one", b);
	assert_memory_equal(a, b, 32); /* nothing else makes them differ */
	salt_of("two", b);
	assert_memory_not_equal(a, b, 32);
	vclock_pass(1);
	salt_of("one", b);
	assert_memory_not_equal(a, b, 32);
	salt_of("one", a);
	stuck = false;
	salt_of("one", b);
	assert_memory_not_equal(a, b, 32);
	vclock_remove();
}

static void
a_record_comes_back_under_its_own_name_with_all_of_its_text(void **state)
{
	size_t n = (4u << 20) + 100; /* more than a frame holds */
	uint8_t *text = xmalloc(n), sha[32];
	struct object_builder b;
	struct buf got;
	struct err e = { 0 };

	(void)state;
	vector_noise(text, n, 11);
	buf_init(&got, LIMIT);
	object_build(&b, OBJECT_RECORD, LIMIT);
	object_add_name(&b, keys, NAME);
	object_add_text(&b, keys, text, n);
	assert_int_equal(object_seal(&b, keys, NAME, sha, &e), 0);
	assert_int_equal(object_check_plain(b.bytes.data, b.bytes.len, &e), 0);
	assert_int_equal(object_read_signed(&b.bytes, OBJECT_RECORD, NAME, keys, FRAME_TEXT, &got,
	    &e), 0);
	assert_int_equal(got.len, n);
	assert_memory_equal(got.data, text, n);
	buf_done(&got);
	object_build_done(&b);
	free(text);
}

static void
an_empty_text_is_a_text(void **state)
{
	struct object_builder b;
	uint8_t sha[32];
	struct buf got;
	struct err e = { 0 };

	(void)state;
	buf_init(&got, 10);
	object_build(&b, OBJECT_RECORD, LIMIT);
	object_add_name(&b, keys, NAME);
	object_add_text(&b, keys, "", 0);
	assert_int_equal(object_seal(&b, keys, NAME, sha, &e), 0);
	if (object_read_signed(&b.bytes, OBJECT_RECORD, NAME, keys, FRAME_TEXT, &got, &e) == -1)
		fail_msg("%s", e.text);
	assert_int_equal(got.len, 0);
	buf_done(&got);
	object_build_done(&b);
}

static void
a_manifest_under_pend_bears_its_snap_name(void **state)
{
	static const char snap[] = "snap/vol.a/20261121T020000Z-1a2b3c4d";
	static const char pend[] = "pend/vol.a/20261121T020000Z-1a2b3c4d.00112233";
	struct object_builder b;
	uint8_t sha[32];
	struct buf got;
	struct err e = { 0 };

	(void)state;
	buf_init(&got, 100);
	object_build(&b, OBJECT_MANIFEST, LIMIT);
	object_add_name(&b, keys, snap);
	object_add_text(&b, keys, "text", 4);
	assert_int_equal(object_seal(&b, keys, snap, sha, &e), 0);
	assert_int_equal(object_read_signed(&b.bytes, OBJECT_MANIFEST, pend, keys, FRAME_TEXT, &got,
	    &e), 0);
	assert_string_equal(buf_str(&got), "text");
	buf_done(&got);
	object_build_done(&b);
}

static void
sealing_refuses_what_a_reader_would_refuse(void **state)
{
	struct object_builder b;
	uint8_t sha[32];
	struct err e = { 0 };
	uint8_t *much = xcalloc(1, OBJECT_RAW_MAX + 1);

	(void)state;
	object_build(&b, OBJECT_RECORD, LIMIT);
	object_add_name(&b, keys, NAME);
	assert_int_equal(object_seal(&b, keys, "rec/run/vol.b/20261121T020000Z-1a2b3c4d", sha, &e),
	    -1);
	assert_int_equal(e.kind, ERR_BUG);
	object_build_done(&b);

	object_build(&b, OBJECT_PACK, LIMIT);
	object_add_raw(&b, keys, FRAME_DATA, much, OBJECT_RAW_MAX + 1);
	assert_int_equal(object_seal(&b, keys, NULL, sha, &e), -1);
	assert_int_equal(e.kind, ERR_FULL);
	object_build_done(&b);

	object_build(&b, OBJECT_PACK, 200);
	vector_noise(much, 100, 1);
	object_add_raw(&b, keys, FRAME_DATA, much, 100);
	assert_int_equal(object_seal(&b, keys, NULL, sha, &e), -1);
	assert_int_equal(e.kind, ERR_FULL);
	object_build_done(&b);
	free(much);
}

static void
whose_it_is_can_be_told_without_the_key_it_is_sealed_under(void **state)
{
	struct object_builder b;
	struct buf got;
	uint8_t sha[32];
	struct err e = { 0 };
	const size_t epochs = keys->epochs, signers = keys->signers;

	(void)state;
	buf_init(&got, LIMIT);
	object_build(&b, OBJECT_RECORD, LIMIT);
	object_add_name(&b, keys, NAME);
	object_add_text(&b, keys, "x", 1);
	assert_int_equal(object_seal(&b, keys, NAME, sha, &e), 0);
	keys->epochs = 0;
	assert_int_equal(object_read_signed(&b.bytes, OBJECT_RECORD, NAME, keys, FRAME_TEXT, &got, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	assert_int_equal(object_check_signed(&b.bytes, OBJECT_RECORD, NAME, keys, &e), 0);
	assert_int_equal(object_check_signed(&b.bytes, OBJECT_RECORD, "rec/other", keys, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	keys->signers = 0;
	assert_int_equal(object_check_signed(&b.bytes, OBJECT_RECORD, NAME, keys, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	keys->signers = signers;
	b.bytes.data[b.bytes.len / 2] ^= 1;
	assert_int_equal(object_check_signed(&b.bytes, OBJECT_RECORD, NAME, keys, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	keys->epochs = epochs;
	object_build_done(&b);
	buf_done(&got);
}

static void
a_host_with_only_a_public_key_cannot_sign_but_can_make_packs(void **state)
{
	struct object_builder b;
	uint8_t sha[32];
	struct err e = { 0 };

	(void)state;
	sign_key_free(keys->sign);
	keys->sign = NULL;
	object_build(&b, OBJECT_RECORD, LIMIT);
	object_add_name(&b, keys, NAME);
	assert_int_equal(object_seal(&b, keys, NAME, sha, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	object_build_done(&b);
	object_build(&b, OBJECT_PACK, LIMIT);
	object_add_raw(&b, keys, FRAME_DATA, "x", 1);
	assert_int_equal(object_seal(&b, keys, NULL, sha, &e), 0);
	object_build_done(&b);
}

static void
a_builder_used_again_makes_a_sound_object(void **state)
{
	struct object_builder b;
	struct object *o;
	uint8_t sha[32], raw[3000];
	struct err e = { 0 };

	(void)state;
	object_build(&b, OBJECT_PACK, LIMIT);
	for (int i = 0; i < 3; i++) {
		object_build_again(&b);
		add_two_grains(&b, raw);
		assert_int_equal(object_seal(&b, keys, NULL, sha, &e), 0);
		o = must_open(&b.bytes);
		assert_int_equal(o->index.frames, 1);
		object_free(o);
	}
	object_build_done(&b);
}

/* ---- the index, after decryption: what a holder of the keys may have sealed ---- */

struct bend {
	const char *says;
	size_t at; /* in the raw index of one frame (two grains of 5 and 7) */
	uint32_t value;
	int width;
	enum err_kind kind;
};

static void
an_index_with_any_number_bent_is_refused(void **state)
{
	static const struct bend table[] = {
		{ "lists 2 frames", 0, 2, 4, ERR_CORRUPT },
		{ "does not fit", 4, 3, 4, ERR_CORRUPT },
		{ "does not fit", 4, UINT32_MAX, 4, ERR_CORRUPT },
		{ "expected 80", 8, 81, 4, ERR_CORRUPT },
		{ "has 16 bytes", 12, 16, 4, ERR_CORRUPT },
		{ "frames end at", 12, 28, 4, ERR_CORRUPT },
		{ "bytes for 12 raw", 12, 30, 4, ERR_CORRUPT },
		{ "raw bytes, at most", 16, (4u << 20) + 1, 4, ERR_CORRUPT },
		{ "expected 13", 16, 13, 4, ERR_CORRUPT },
		{ "of kind 0", 20, 0, 1, ERR_UNSUPPORTED },
		{ "of kind 7", 20, 7, 1, ERR_UNSUPPORTED },
		{ "of kind 255", 20, 255, 1, ERR_UNSUPPORTED },
		{ "reserved", 21, 1, 1, ERR_UNSUPPORTED },
		{ "has no grain", 22, 0, 2, ERR_CORRUPT },
		{ "frames have 1 grains", 22, 1, 2, ERR_CORRUPT },
		{ "more than the 2 grains", 22, 3, 2, ERR_CORRUPT },
		{ "expected 12", 24, 6, 4, ERR_CORRUPT },
		{ "expected 12", 24, UINT32_MAX, 4, ERR_CORRUPT },
	};
	struct object_grain g[2] = { { .len = 5 }, { .len = 7 } };
	struct object_frame f = { .off = 80, .len = 29, .rawlen = 12, .kind = FRAME_DATA,
		.grains = 2 };
	struct object_index x = { .frame = &f, .frames = 1, .grain = g, .grains = 2 }, got;
	struct buf raw;

	(void)state;
	buf_init(&raw, 1000);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct err e = { 0 };

		buf_reset(&raw);
		object_index_encode(&x, &raw);
		assert_int_equal(raw.len, object_index_size(1, 2));
		assert_int_equal(object_index_parse(raw.data, raw.len, 109, 1, &got, &e), 0);
		assert_int_equal(got.grain[1].len, 7);
		object_index_done(&got);
		if (table[i].width == 4)
			buf_put_u32(raw.data + table[i].at, table[i].value);
		else if (table[i].width == 2)
			buf_put_u16(raw.data + table[i].at, (uint16_t)table[i].value);
		else
			raw.data[table[i].at] = (uint8_t)table[i].value;
		assert_int_equal(object_index_parse(raw.data, raw.len, 109, 1, &got, &e), -1);
		if (strstr(e.text, table[i].says) == NULL || e.kind != table[i].kind)
			fail_msg("row %zu: %s", i, e.text);
		assert_null(got.frame);
	}
	for (size_t n = 0; n < raw.len; n++)
		assert_int_equal(object_index_parse(raw.data, n, 109, 1, &got, NULL), -1);
	buf_done(&raw);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(a_pack_gives_back_what_was_put_into_it_and_is_named_by_its_hash),
		T(no_plain_byte_of_the_contents_stands_in_the_object),
		T(the_same_contents_are_sealed_under_another_key_each_time),
		T(a_machine_set_back_does_not_repeat_a_salt_for_other_bytes),
		T(a_record_comes_back_under_its_own_name_with_all_of_its_text),
		T(an_empty_text_is_a_text),
		T(a_manifest_under_pend_bears_its_snap_name),
		T(sealing_refuses_what_a_reader_would_refuse),
		T(whose_it_is_can_be_told_without_the_key_it_is_sealed_under),
		T(a_host_with_only_a_public_key_cannot_sign_but_can_make_packs),
		T(a_builder_used_again_makes_a_sound_object),
		T(an_index_with_any_number_bent_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
