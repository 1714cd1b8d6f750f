/* Known answers come from another implementation (Python's cryptography). */
#include "tests/lib/vector.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/seal.h"

#define OFFSET UINT64_C(0x0123456789abcdef)

static struct seal *
new_seal(uint8_t first)
{
	uint8_t key[SEAL_KEY];

	vector_count(key, sizeof(key), first);
	return seal_new(key);
}

static void
a_sealed_frame_is_aes_256_gcm_with_the_offset_as_nonce(void **state)
{
	struct seal *s = new_seal(0);
	uint8_t p[64] = "the frame itself!";

	(void)state;
	seal_frame(s, OFFSET, "header", 6, p, 17);
	vector_is(p, 17 + SEAL_TAG,
	    "19c84259ee8907df944f41b946fa4158c9d2f8d34964fbd4b4bf25c7a69263974f");
	seal_frame(s, 0, NULL, 0, p, 0);
	vector_is(p, SEAL_TAG, "f05d76ae4ab99fe5a6f69b3148c2363d");
	seal_free(s);
	seal_free(NULL);
}

static void
frames_of_any_length_open_again_in_place_or_elsewhere(void **state)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 4096, 131072, 131089 };
	struct seal *s = new_seal(7);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t n = sizes[i];
		uint8_t *p = xmalloc(n + SEAL_TAG), *raw = xmalloc(n + 1), *out = xmalloc(n + 1);
		struct err e = { 0 };

		vector_noise(raw, n, i);
		memcpy(p, raw, n);
		seal_frame(s, 80 + i, "aad", 3, p, n);
		if (n >= 16)
			assert_memory_not_equal(p, raw, n);
		assert_int_equal(seal_open(s, 80 + i, "aad", 3, p, n, out, &e), 0);
		assert_memory_equal(out, raw, n);
		assert_int_equal(seal_open(s, 80 + i, "aad", 3, p, n, p, &e), 0);
		assert_memory_equal(p, raw, n);
		free(p);
		free(raw);
		free(out);
	}
	seal_free(s);
}

static void
nothing_opens_but_the_same_bytes_at_the_same_place_under_the_same_key(void **state)
{
	struct seal *s = new_seal(0), *other = new_seal(1);
	uint8_t p[100 + SEAL_TAG], bad[sizeof(p)], out[100], zeros[100] = { 0 };
	struct err e = { 0 };

	(void)state;
	vector_noise(p, 100, 9);
	seal_frame(s, OFFSET, "aad", 3, p, 100);
	for (size_t i = 0; i < sizeof(p); i++) {
		memcpy(bad, p, sizeof(p));
		bad[i] ^= 0x40;
		memset(out, 'x', sizeof(out));
		assert_int_equal(seal_open(s, OFFSET, "aad", 3, bad, 100, out, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_memory_equal(out, zeros, sizeof(out));
	}
	assert_int_equal(seal_open(s, OFFSET + 1, "aad", 3, p, 100, out, &e), -1);
	assert_int_equal(seal_open(s, OFFSET, "aae", 3, p, 100, out, &e), -1);
	assert_int_equal(seal_open(s, OFFSET, "aad", 2, p, 100, out, &e), -1);
	assert_int_equal(seal_open(s, OFFSET, "aad", 3, p, 84, out, &e), -1);
	assert_int_equal(seal_open(other, OFFSET, "aad", 3, p, 100, out, &e), -1);
	assert_int_equal(seal_open(s, OFFSET, "aad", 3, p, 100, out, &e), 0);
	seal_free(s);
	seal_free(other);
}

static void
sealing_and_opening_may_alternate_on_one_key(void **state)
{
	struct seal *s = new_seal(3), *fresh;
	uint8_t a[40 + SEAL_TAG], b[40 + SEAL_TAG], out[40];
	struct err e = { 0 };

	(void)state;
	for (uint64_t i = 0; i < 50; i++) {
		vector_noise(a, 40, i);
		memcpy(b, a, 40);
		seal_frame(s, i, NULL, 0, a, 40);
		fresh = new_seal(3);
		seal_frame(fresh, i, NULL, 0, b, 40);
		seal_free(fresh);
		assert_memory_equal(a, b, sizeof(a));
		a[i % 40] ^= (uint8_t)(i % 2);
		assert_int_equal(seal_open(s, i, NULL, 0, a, 40, out, &e), i % 2 == 1 ? -1 : 0);
	}
	seal_free(s);
}

/* By its definition: GMAC is the tag of GCM over nothing, with the message as associated data. */
static void
a_sum_is_gmac_of_all_parts(void **state)
{
	uint8_t key[SEAL_KEY], data[1000], tag[SEAL_TAG], sum[SEAL_SUM];
	struct seal *s;
	struct seal_sum *parts;

	(void)state;
	vector_noise(key, sizeof(key), 7);
	vector_noise(data, sizeof(data), 8);
	s = seal_new(key);
	seal_frame(s, 0, data, sizeof(data), tag, 0);
	seal_free(s);
	parts = seal_sum_new(key);
	seal_sum_add(parts, data, 1);
	seal_sum_add(parts, data + 1, 0);
	seal_sum_add(parts, data + 1, sizeof(data) - 1);
	seal_sum_end(parts, sum);
	assert_memory_equal(sum, tag, SEAL_TAG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_frame_is_aes_256_gcm_with_the_offset_as_nonce),
		cmocka_unit_test(frames_of_any_length_open_again_in_place_or_elsewhere),
		cmocka_unit_test(
		    nothing_opens_but_the_same_bytes_at_the_same_place_under_the_same_key),
		cmocka_unit_test(sealing_and_opening_may_alternate_on_one_key),
		cmocka_unit_test(a_sum_is_gmac_of_all_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
