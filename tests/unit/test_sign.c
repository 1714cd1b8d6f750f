/* The known pair and signature come from another implementation (Python's cryptography). */
#include "tests/lib/vector.h"

#include <string.h>

#include "base/text.h"
#include "filter/digest.h"
#include "filter/sign.h"

static const char private_known[] = "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
    "-----END PRIVATE KEY-----\n";
static const char public_known[] = "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n"
    "-----END PUBLIC KEY-----\n";

static void
a_signature_is_ed25519(void **state)
{
	struct sign_key *k = NULL;
	uint8_t sig[SIGN_LEN];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sign_key_parse(private_known, strlen(private_known), &k, &e), 0);
	vector_is(sign_key_public(k), SIGN_PUB,
	    "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
	assert_int_equal(sign_make(k, "message", 7, sig, &e), 0);
	vector_is(sig, sizeof(sig),
	    "7bc0ea578290c8dcf6fc8a6e134a7f3e794ddd7e8922108bccd6202f95de532b"
	    "92c2298dc8e161ac2b5e3653f92c5b0e12adf26b3d46e7bd2057715f25d3e205");
	sign_key_free(k);
	sign_key_free(NULL);
}

static void
a_public_key_checks_and_does_not_sign(void **state)
{
	struct sign_key *public = NULL, *private = NULL;
	uint8_t sig[SIGN_LEN];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sign_key_parse(public_known, strlen(public_known), &public, &e), 0);
	assert_int_equal(sign_key_parse(private_known, strlen(private_known), &private, &e), 0);
	assert_int_equal(sign_key_is_private(public), 0);
	assert_int_equal(sign_key_is_private(private), 1);
	assert_memory_equal(sign_key_public(public), sign_key_public(private), SIGN_PUB);
	assert_int_equal(sign_make(public, "message", 7, sig, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	assert_int_equal(sign_make(private, "message", 7, sig, &e), 0);
	assert_int_equal(sign_check(sign_key_public(public), "message", 7, sig, &e), 0);
	sign_key_free(public);
	sign_key_free(private);
}

static void
a_signature_fits_only_its_bytes_and_its_key(void **state)
{
	struct sign_key *k, *other;
	uint8_t sig[SIGN_LEN];
	struct err e = { 0 };
	struct buf pem;

	(void)state;
	buf_init(&pem, 10000);
	k = sign_key_make(&pem);
	other = sign_key_make(&pem);
	assert_int_equal(sign_make(k, "message", 7, sig, &e), 0);
	assert_int_equal(sign_check(sign_key_public(k), "messagf", 7, sig, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(sign_check(sign_key_public(k), "message", 6, sig, &e), -1);
	assert_int_equal(sign_check(sign_key_public(other), "message", 7, sig, &e), -1);
	for (size_t i = 0; i < sizeof(sig); i++) {
		sig[i] ^= 4;
		assert_int_equal(sign_check(sign_key_public(k), "message", 7, sig, &e), -1);
		sig[i] ^= 4;
	}
	assert_int_equal(sign_check(sign_key_public(k), "message", 7, sig, &e), 0);
	sign_key_free(k);
	sign_key_free(other);
	buf_done(&pem);
}

static void
a_new_pair_reads_back_from_its_pem(void **state)
{
	struct sign_key *made, *read = NULL;
	struct err e = { 0 };
	struct buf pem;

	(void)state;
	buf_init(&pem, 10000);
	made = sign_key_make(&pem);
	assert_non_null(strstr(buf_str(&pem), "BEGIN PRIVATE KEY"));
	assert_int_equal(sign_key_parse(buf_str(&pem), pem.len, &read, &e), 0);
	assert_int_equal(sign_key_is_private(read), 1);
	assert_memory_equal(sign_key_public(read), sign_key_public(made), SIGN_PUB);
	sign_key_free(made);
	sign_key_free(read);
	buf_done(&pem);
}

static void
a_key_id_is_the_start_of_the_hash_of_the_public_key(void **state)
{
	uint8_t pub[SIGN_PUB], id[SIGN_ID], sha[DIGEST_LEN];

	(void)state;
	vector_count(pub, sizeof(pub), 0);
	sign_key_id(pub, id);
	digest_sha256(pub, sizeof(pub), sha);
	assert_memory_equal(id, sha, SIGN_ID);
}

static void
what_is_no_ed25519_key_is_refused_with_the_way_to_make_one(void **state)
{
	/* X25519, of the same length. */
	static const char x25519[] = "-----BEGIN PUBLIC KEY-----\n"
	    "MCowBQYDK2VuAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n"
	    "-----END PUBLIC KEY-----\n";
	struct sign_key *k = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sign_key_parse(x25519, strlen(x25519), &k, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	assert_non_null(strstr(e.text, "X25519"));
	assert_non_null(strstr(e.text, "genpkey"));
	for (size_t n = 0; n < strlen(public_known) - 2; n += 7) {
		assert_int_equal(sign_key_parse(public_known, n, &k, &e), -1);
		assert_int_equal(e.kind, ERR_KEY);
	}
	assert_null(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signature_is_ed25519),
		cmocka_unit_test(a_public_key_checks_and_does_not_sign),
		cmocka_unit_test(a_signature_fits_only_its_bytes_and_its_key),
		cmocka_unit_test(a_new_pair_reads_back_from_its_pem),
		cmocka_unit_test(a_key_id_is_the_start_of_the_hash_of_the_public_key),
		cmocka_unit_test(what_is_no_ed25519_key_is_refused_with_the_way_to_make_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
