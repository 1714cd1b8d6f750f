#include "repo/scrub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/zip.h"
#include "repo/object.h"
#include "repo/record.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vector.h"

#define K repokit

/*
 * A pack of so many frames of 100,000 bytes that do not compress; bad: one grain's id is wrong.
 */
static size_t
put_pack(size_t frames, bool bad, uint8_t sha[LAYOUT_SHA], char name[LAYOUT_NAME])
{
	struct object_builder b;
	uint8_t *raw = xmalloc(100000);
	struct buf packed;
	struct err e = { 0 };
	size_t size;

	object_build(&b, OBJECT_PACK, STORE_OBJECT_MAX);
	buf_init(&packed, 200000);
	for (size_t i = 0; i < frames; i++) {
		struct object_grain g = { .len = 100000 };

		vector_noise(raw, 100000, i);
		digest_id(&K.repo->keys->id, raw, 100000, g.id);
		g.id[3] ^= bad && i == frames / 2;
		buf_reset(&packed);
		zip_pack(raw, 100000, 1, &packed);
		object_add(&b, FRAME_DATA, packed.data, packed.len, 100000, &g, 1);
	}
	assert_int_equal(object_seal(&b, K.repo->keys, NULL, sha, &e), 0);
	assert_int_equal(store_put(K.tier[0].store, layout_pack(sha, name), b.bytes.data,
	    b.bytes.len, STORE_NEW, &e), 1);
	size = b.bytes.len;
	buf_done(&packed);
	object_build_done(&b);
	free(raw);
	return size;
}

static int
scrub(const uint8_t sha[LAYOUT_SHA], uint64_t want, enum scrub_level level, struct err *e)
{
	return scrub_pack(K.tier[0].store, sha, want, K.repo->keys, level, e);
}

static void
a_sound_pack_passes_every_level(void **state)
{
	uint8_t sha[LAYOUT_SHA];
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	size_t size;

	(void)state;
	for (size_t frames = 1; frames < 130; frames += 64) { /* less and more than a stretch */
		size = put_pack(frames, false, sha, name);
		for (int level = SCRUB_LISTED; level <= SCRUB_OPENED; level++) {
			if (scrub(sha, size, (enum scrub_level)level, &e) == -1)
				fail_msg("level %d: %s", level, e.text);
			assert_int_equal(scrub(sha, 0, (enum scrub_level)level, &e), 0);
		}
	}
}

static void
a_flipped_bit_anywhere_is_found_by_hash_and_by_opening(void **state)
{
	static const int levels[] = { SCRUB_HASHED, SCRUB_OPENED };
	uint8_t sha[LAYOUT_SHA], *bytes;
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	size_t size, len;

	(void)state;
	size = put_pack(90, false, sha, name);
	bytes = memstore_bytes(K.tier[0].store, name, &len);
	for (size_t at = 0; at < size; at += at < 100 || at + 2000 > size ? 1 : size / 40) {
		for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
			if (i == 0 && at % 16 != 0)
				continue;
			bytes[at] ^= 0x10;
			assert_int_equal(scrub(sha, size, (enum scrub_level)levels[i], &e), -1);
			assert_true(e.kind == ERR_CORRUPT || e.kind == ERR_UNSUPPORTED ||
			    e.kind == ERR_KEY);
			assert_non_null(strstr(e.text, name));
			bytes[at] ^= 0x10;
		}
	}
	assert_int_equal(scrub(sha, size, SCRUB_OPENED, &e), 0);
}

static void
a_missing_shorter_or_longer_pack_is_found_by_listing_alone(void **state)
{
	uint8_t sha[LAYOUT_SHA], none[LAYOUT_SHA] = { 9 };
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	size_t size;

	(void)state;
	size = put_pack(2, false, sha, name);
	assert_int_equal(scrub(none, 0, SCRUB_LISTED, &e), -1);
	assert_int_equal(e.kind, ERR_NOTFOUND);
	assert_int_equal(scrub(sha, size + 1, SCRUB_LISTED, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	memstore_cut(K.tier[0].store, name, size - 1);
	assert_int_equal(scrub(sha, size, SCRUB_LISTED, &e), -1);
	assert_non_null(strstr(e.text, "expected"));
	/* Without knowing the size it takes reading. */
	assert_int_equal(scrub(sha, 0, SCRUB_LISTED, &e), 0);
	assert_int_equal(scrub(sha, 0, SCRUB_HASHED, &e), -1);
	assert_int_equal(scrub(sha, 0, SCRUB_OPENED, &e), -1);
	memstore_cut(K.tier[0].store, name, 0);
	assert_int_equal(scrub(sha, 0, SCRUB_HASHED, &e), -1);
	assert_int_equal(scrub(sha, 0, SCRUB_OPENED, &e), -1);
}

static void
what_was_wrong_before_it_was_sealed_only_opening_finds(void **state)
{
	uint8_t sha[LAYOUT_SHA];
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	size_t size;

	(void)state;
	size = put_pack(8, true, sha, name);
	assert_int_equal(scrub(sha, size, SCRUB_HASHED, &e), 0);
	assert_int_equal(scrub(sha, size, SCRUB_OPENED, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "grain 0 of frame 4"));
}

static void
a_pack_under_another_packs_name_is_found(void **state)
{
	uint8_t sha[LAYOUT_SHA], other[LAYOUT_SHA], *bytes;
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	size_t size;

	(void)state;
	size = put_pack(2, false, sha, name);
	bytes = memstore_bytes(K.tier[0].store, name, &size);
	memcpy(other, sha, sizeof(other));
	other[5] ^= 1;
	assert_int_equal(store_put(K.tier[0].store, layout_pack(other, name), bytes, size,
	    STORE_NEW, &e), 1);
	for (int level = SCRUB_HASHED; level <= SCRUB_OPENED; level++) {
		assert_int_equal(scrub(other, size, (enum scrub_level)level, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_non_null(strstr(e.text, "do not hash to its name"));
	}
}

static void
a_store_that_gives_less_than_asked_is_noticed(void **state)
{
	uint8_t sha[LAYOUT_SHA];
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	size_t size;

	(void)state;
	size = put_pack(90, false, sha, name);
	K.tier[0].store = faultstore_new(K.tier[0].store);
	for (unsigned at = 1; at <= 5; at++)
		for (int flip = 0; flip < 2; flip++) {
			struct fault f = { .kind = flip ? FAULT_FLIP : FAULT_SHORT, .op = "get",
				.at = at };

			faultstore_arm(K.tier[0].store, &f);
			assert_int_equal(scrub(sha, size, SCRUB_OPENED, &e), -1);
			assert_int_equal(faultstore_struck(K.tier[0].store), 1);
		}
}

/* A store that notes the most it was asked for at once. */
struct noting {
	struct store store;
	struct store *inner;
	uint64_t most, all;
};

static int
noting_get(struct store *s, const char *name, uint64_t off, uint64_t len, struct buf *out,
    struct err *e)
{
	struct noting *n = (struct noting *)s;

	n->most = len == 0 ? UINT64_MAX : len > n->most ? len : n->most;
	n->all += len;
	return n->inner->ops->get(n->inner, name, off, len, out, e);
}

static int
noting_stat(struct store *s, const char *name, struct store_stat *ret, struct err *e)
{
	struct noting *n = (struct noting *)s;

	return n->inner->ops->stat(n->inner, name, ret, e);
}

static void
a_pack_is_read_once_in_stretches_that_do_not_grow_with_it(void **state)
{
	static const struct store_ops ops = { .scheme = "noting", .get = noting_get,
		.stat = noting_stat };
	struct noting n = { .store = { .ops = &ops }, .inner = K.tier[0].store };
	uint8_t sha[LAYOUT_SHA];
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	size_t size;

	(void)state;
	size = put_pack(300, false, sha, name); /* 30 MB */
	for (int level = SCRUB_HASHED; level <= SCRUB_OPENED; level++) {
		n.most = n.all = 0;
		if (scrub_pack(&n.store, sha, size, K.repo->keys, (enum scrub_level)level, &e) ==
		    -1)
			fail_msg("%s", e.text);
		assert_true(n.most <= 4u << 20);
		assert_int_equal(n.all, size);
	}
}

static void
other_objects_are_scrubbed_by_what_they_carry_themselves(void **state)
{
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf text;
	uint8_t *bytes;
	size_t len;

	(void)state;
	buf_init(&text, 100);
	buf_adds(&text, "job trial\n");
	assert_int_equal(record_put(K.repo, K.tier[0].store, "run", "vol.a", 0, &text, name, &e),
	    0);
	buf_done(&text);
	/* Its hash needs no key; what is in it does. */
	assert_int_equal(scrub_object(K.tier[0].store, name, NULL, SCRUB_HASHED, &e), 0);
	assert_int_equal(scrub_object(K.tier[0].store, name, K.repo->keys, SCRUB_OPENED, &e), 0);
	bytes = memstore_bytes(K.tier[0].store, name, &len);
	bytes[len - 150] ^= 1;
	assert_int_equal(scrub_object(K.tier[0].store, name, NULL, SCRUB_HASHED, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(scrub_object(K.tier[0].store, "repo/0", K.repo->keys, SCRUB_OPENED, &e),
	    0);
	bytes = memstore_bytes(K.tier[0].store, "repo/0", &len);
	bytes[20] ^= 0x40;
	assert_int_equal(scrub_object(K.tier[0].store, "repo/0", K.repo->keys, SCRUB_OPENED, &e),
	    -1);
	assert_int_equal(scrub_object(K.tier[0].store, "repo/1", K.repo->keys, SCRUB_LISTED, &e),
	    -1);
	assert_int_equal(e.kind, ERR_NOTFOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, repokit_one_tier, repokit_teardown)
		T(a_sound_pack_passes_every_level),
		T(a_flipped_bit_anywhere_is_found_by_hash_and_by_opening),
		T(a_missing_shorter_or_longer_pack_is_found_by_listing_alone),
		T(what_was_wrong_before_it_was_sealed_only_opening_finds),
		T(a_pack_under_another_packs_name_is_found),
		T(a_store_that_gives_less_than_asked_is_noticed),
		T(a_pack_is_read_once_in_stretches_that_do_not_grow_with_it),
		T(other_objects_are_scrubbed_by_what_they_carry_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
