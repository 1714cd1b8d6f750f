/*
 * Known answers come from the standards and from another implementation (Python's hashlib and
 * hmac).
 */
#include "tests/lib/vector.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/digest.h"

static void
a_hash_is_sha256(void **state)
{
	uint8_t out[DIGEST_LEN];

	(void)state;
	digest_sha256("", 0, out);
	vector_is(out, sizeof(out),
	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digest_sha256("abc", 3, out);
	vector_is(out, sizeof(out),
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void
a_running_hash_does_not_care_about_the_pieces_and_starts_anew_at_its_end(void **state)
{
	uint8_t bytes[1000], whole[DIGEST_LEN], parts[DIGEST_LEN];
	struct digest *d = digest_new();

	(void)state;
	vector_noise(bytes, sizeof(bytes), 1);
	digest_sha256(bytes, sizeof(bytes), whole);
	for (size_t step = 1; step < sizeof(bytes); step += 37) {
		for (size_t at = 0; at < sizeof(bytes); at += step) {
			digest_add(d, bytes + at,
			    at + step > sizeof(bytes) ? sizeof(bytes) - at : step);
			digest_peek(d, parts); /* a look on the way changes nothing */
		}
		assert_memory_equal(parts, whole, DIGEST_LEN);
		digest_end(d, parts);
		assert_memory_equal(parts, whole, DIGEST_LEN);
	}
	digest_free(d);
	digest_free(NULL);
}

static void
an_hmac_takes_keys_of_any_length(void **state)
{
	uint8_t out[DIGEST_LEN], key[100];

	(void)state;
	digest_hmac((const uint8_t *)"Jefe", 4, "what do ya want for nothing?", 28, out);
	vector_is(out, sizeof(out),
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 'k', sizeof(key));
	digest_hmac(key, sizeof(key), "what do ya want for nothing?", 28, out);
	vector_is(out, sizeof(out),
	    "06b9b5e08093497ed4602d9cabe2a43555c2b5c75d437c35369e27d7ff8e5bca");
	digest_hmac(NULL, 0, "", 0, out);
	vector_is(out, sizeof(out),
	    "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void
an_id_is_the_hmac_of_the_hash_cut_to_twelve_bytes(void **state)
{
	static const struct {
		size_t n;
		const char *id;
	} known[] = {
		{ 0, "d43ab268ace84897c7c38db8" },
		{ 8192, "09711ef14e0ccb903e49daa7" },
	};
	static uint8_t zeros[8192];
	uint8_t key[32], id[GRAIN_ID_LEN], *ramp = xmalloc(256 * 512);
	struct digest_idkey k;

	(void)state;
	vector_count(key, sizeof(key), 0);
	digest_idkey_init(&k, key);
	assert_memory_equal(k.key, key, sizeof(key));
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		digest_id(&k, zeros, known[i].n, id);
		vector_is(id, sizeof(id), known[i].id);
	}
	digest_id(&k, "grain", 5, id);
	vector_is(id, sizeof(id), "6f397d53e5951370155291b0");
	vector_count(ramp, 256 * 512, 0);
	digest_id(&k, ramp, 256 * 512, id);
	vector_is(id, sizeof(id), "c305502aa2a7ad8f71a7d7bd");
	free(ramp);
}

static void
an_id_of_a_hash_is_the_id_of_what_was_hashed(void **state)
{
	uint8_t key[32], bytes[777], sha[DIGEST_LEN], mac[DIGEST_LEN], a[GRAIN_ID_LEN],
	    b[GRAIN_ID_LEN];
	struct digest_idkey k;

	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		vector_noise(key, sizeof(key), seed);
		vector_noise(bytes, sizeof(bytes), seed + 1000);
		digest_idkey_init(&k, key);
		digest_id(&k, bytes, sizeof(bytes), a);
		digest_sha256(bytes, sizeof(bytes), sha);
		digest_id_of_hash(&k, sha, b);
		assert_memory_equal(a, b, sizeof(a));
		digest_hmac(key, sizeof(key), sha, sizeof(sha), mac);
		assert_memory_equal(a, mac, sizeof(a));
	}
}

static void
ids_of_many_grains_are_those_of_each(void **state)
{
	static const size_t length[] = { 1, 63, 64, 8192, 8191, 131072 };
	uint8_t id[7][GRAIN_ID_LEN], one[GRAIN_ID_LEN], key[32] = { 5 }, *grains;
	struct digest_idkey k;

	(void)state;
	digest_idkey_init(&k, key);
	for (size_t l = 0; l < ARRAY_LEN(length); l++) {
		const size_t n = length[l];

		grains = xmalloc(7 * n);
		for (size_t i = 0; i < 7 * n; i++)
			grains[i] = (uint8_t)(i * 2654435761u >> 11);
		for (size_t count = 0; count <= 7; count++) {
			memset(id, 0xee, sizeof(id));
			digest_ids(&k, grains, n, count, id);
			for (size_t i = 0; i < count; i++) {
				digest_id(&k, grains + i * n, n, one);
				assert_memory_equal(id[i], one, sizeof(one));
			}
			for (size_t i = count; i < 7; i++)
				assert_int_equal(id[i][0], 0xee);
		}
		free(grains);
	}
}

static void
a_derived_key_is_hkdf_sha256(void **state)
{
	uint8_t key[32], salt[32], info[17] = "P", out[32];

	(void)state;
	vector_count(key, sizeof(key), 0);
	vector_count(salt, sizeof(salt), 32);
	digest_hkdf(key, salt, sizeof(salt), info, sizeof(info), out);
	vector_is(out, sizeof(out),
	    "78322889651acd81ec158630d7f43636b231e438432fdc7dee17f53f4e9bdf72");
	digest_hkdf(key, NULL, 0, NULL, 0, out);
	vector_is(out, sizeof(out),
	    "37ad29109f43265287804b674e2653d0a513718907f97fca97c95bded8104bbf");
}

static void
equal_means_every_byte(void **state)
{
	uint8_t a[32], b[32];

	(void)state;
	vector_count(a, sizeof(a), 0);
	memcpy(b, a, sizeof(b));
	assert_int_equal(digest_equal(a, b, sizeof(a)), 1);
	b[31] ^= 1;
	assert_int_equal(digest_equal(a, b, sizeof(a)), 0);
	assert_int_equal(digest_equal(a, b, 31), 1);
}

static void *
ids_in_a_thread(void *arg)
{
	const struct digest_idkey *k = arg;
	uint8_t id[GRAIN_ID_LEN];
	uintptr_t wrong = 0;

	for (int i = 0; i < 1000; i++) {
		digest_id(k, "grain", 5, id);
		wrong += memcmp(id, "\x6f\x39\x7d\x53\xe5\x95\x13\x70\x15\x52\x91\xb0", 12) != 0;
	}
	return (void *)wrong;
}

static void
one_id_key_serves_many_threads(void **state)
{
	struct digest_idkey k;
	uint8_t key[32];
	pthread_t thread[4];
	void *wrong;

	(void)state;
	vector_count(key, sizeof(key), 0);
	digest_idkey_init(&k, key);
	for (size_t i = 0; i < ARRAY_LEN(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, ids_in_a_thread, &k), 0);
	for (size_t i = 0; i < ARRAY_LEN(thread); i++) {
		assert_int_equal(pthread_join(thread[i], &wrong), 0);
		assert_null(wrong);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hash_is_sha256),
		cmocka_unit_test(
		    a_running_hash_does_not_care_about_the_pieces_and_starts_anew_at_its_end),
		cmocka_unit_test(an_hmac_takes_keys_of_any_length),
		cmocka_unit_test(an_id_is_the_hmac_of_the_hash_cut_to_twelve_bytes),
		cmocka_unit_test(an_id_of_a_hash_is_the_id_of_what_was_hashed),
		cmocka_unit_test(ids_of_many_grains_are_those_of_each),
		cmocka_unit_test(a_derived_key_is_hkdf_sha256),
		cmocka_unit_test(equal_means_every_byte),
		cmocka_unit_test(one_id_key_serves_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
