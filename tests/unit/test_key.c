#include "tests/lib/vector.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "filter/digest.h"
#include "filter/key.h"

/* Made once: 4096 bits take their time. */
static struct buf public_pem, private_pem;

static int
make_pair(void **state)
{
	struct err e = { 0 };

	(void)state;
	buf_init(&public_pem, 10000);
	buf_init(&private_pem, 10000);
	return key_escrow_make(&public_pem, &private_pem, &e);
}

static int
drop_pair(void **state)
{
	(void)state;
	buf_done(&public_pem);
	buf_done(&private_pem);
	return 0;
}

static void
wrapping_is_rfc_3394(void **state)
{
	uint8_t kek[KEY_LEN], key[KEY_LEN], wrapped[KEY_WRAPPED], back[KEY_LEN];
	struct err e = { 0 };

	(void)state;
	vector_count(kek, sizeof(kek), 0);
	text_unhex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f", key,
	    sizeof(key));
	key_wrap(kek, key, wrapped);
	vector_is(wrapped, sizeof(wrapped), "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326"
	    "cbc7f0e71a99f43bfb988b9b7a02dd21");
	assert_int_equal(key_unwrap(kek, wrapped, back, &e), 0);
	assert_memory_equal(back, key, sizeof(key));
}

static void
a_wrapped_key_opens_under_no_other_and_not_when_damaged(void **state)
{
	uint8_t kek[KEY_LEN], key[KEY_LEN], wrapped[KEY_WRAPPED], back[KEY_LEN];
	struct err e = { 0 };

	(void)state;
	key_random(kek, sizeof(kek));
	key_random(key, sizeof(key));
	key_wrap(kek, key, wrapped);
	kek[5] ^= 1;
	assert_int_equal(key_unwrap(kek, wrapped, back, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	kek[5] ^= 1;
	for (size_t i = 0; i < sizeof(wrapped); i++) {
		wrapped[i] ^= 0x80;
		assert_int_equal(key_unwrap(kek, wrapped, back, &e), -1);
		wrapped[i] ^= 0x80;
	}
	assert_int_equal(key_unwrap(kek, wrapped, back, &e), 0);
	assert_memory_equal(back, key, sizeof(key));
}

static void
a_passphrase_gives_the_scrypt_key_of_128_mib(void **state)
{
	uint8_t salt[KEY_SALT], kek[KEY_LEN];
	struct err e = { 0 };

	(void)state;
	vector_count(salt, sizeof(salt), 32);
	assert_int_equal(key_from_passphrase("correct horse", 13, salt, kek, &e), 0);
	vector_is(kek, sizeof(kek),
	    "3c2afe7a8e74328e906ae69bc751cecb3801947ce1ee734a576367f5e49f6710");
	assert_int_equal(key_from_passphrase("", 0, salt, kek, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
}

static void
random_bytes_differ_and_wiped_bytes_are_gone(void **state)
{
	uint8_t a[64], b[64], zeros[64] = { 0 };

	(void)state;
	key_random(a, sizeof(a));
	key_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	key_wipe(a, sizeof(a));
	assert_memory_equal(a, zeros, sizeof(a));
}

static void
the_private_half_opens_what_the_public_half_wrapped(void **state)
{
	uint8_t secret[64];
	struct buf out, back;
	struct err e = { 0 };

	(void)state;
	vector_noise(secret, sizeof(secret), 4);
	buf_init(&out, 1000);
	buf_init(&back, 1000);
	assert_int_equal(key_escrow_wrap(buf_str(&public_pem), secret, sizeof(secret), &out, &e),
	    0);
	assert_int_equal(out.len, 512);
	assert_int_equal(key_escrow_unwrap(buf_str(&private_pem), out.data, out.len, &back, &e), 0);
	assert_int_equal(back.len, sizeof(secret));
	assert_memory_equal(back.data, secret, sizeof(secret));

	out.data[100] ^= 1;
	assert_int_equal(key_escrow_unwrap(buf_str(&private_pem), out.data, out.len, &back, &e),
	    -1);
	assert_int_equal(e.kind, ERR_KEY);
	out.data[100] ^= 1;
	assert_int_equal(key_escrow_unwrap(buf_str(&public_pem), out.data, out.len, &back, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	assert_non_null(strstr(e.text, "public half"));
	assert_int_equal(back.len, sizeof(secret));
	buf_done(&out);
	buf_done(&back);
}

static void
too_much_for_the_escrow_key_is_refused(void **state)
{
	static uint8_t much[600];
	struct err e = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	assert_int_equal(key_escrow_wrap(buf_str(&public_pem), much, sizeof(much), &out, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	assert_int_equal(out.len, 0);
	buf_done(&out);
}

static void
both_halves_have_the_id_of_the_public_der(void **state)
{
	uint8_t a[8], b[8], sha[DIGEST_LEN];
	const char *begin = strchr(buf_str(&public_pem), '\n'), *end = strstr(begin, "\n-----END");
	struct err e = { 0 };
	struct buf text, der;

	(void)state;
	assert_int_equal(key_escrow_id(buf_str(&public_pem), a, &e), 0);
	assert_int_equal(key_escrow_id(buf_str(&private_pem), b, &e), 0);
	assert_memory_equal(a, b, sizeof(a));

	buf_init(&text, 10000);
	buf_init(&der, 10000);
	for (const char *c = begin; c < end; c++)
		if (*c != '\n')
			buf_addc(&text, *c);
	assert_int_equal(text_unbase64(buf_str(&text), text.len, &der), 0);
	digest_sha256(der.data, der.len, sha);
	assert_memory_equal(a, sha, sizeof(a));
	buf_done(&text);
	buf_done(&der);
}

static void
the_public_half_follows_from_the_private_one(void **state)
{
	struct err e = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	assert_int_equal(key_escrow_public(buf_str(&private_pem), &out, &e), 0);
	assert_string_equal(buf_str(&out), buf_str(&public_pem));
	assert_int_equal(key_escrow_public(buf_str(&public_pem), &out, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	buf_done(&out);
}

/* The PEM of another key, to be refused; encrypted when there is a passphrase. */
static char *
pem_of(EVP_PKEY *key, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *copy;
	long n;

	assert_non_null(key);
	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key,
	    passphrase == NULL ? NULL : EVP_aes_256_cbc(), passphrase,
	    passphrase == NULL ? 0 : (int)strlen(passphrase), NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &text);
	copy = strndup(text, (size_t)n);
	BIO_free(bio);
	EVP_PKEY_free(key);
	return copy;
}

static void
short_other_encrypted_and_broken_escrow_keys_are_refused(void **state)
{
	struct {
		char *pem;
		const char *says;
	} bad[] = {
		{ pem_of(EVP_RSA_gen(2048), NULL), "2048 bits" },
		{ pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL), "ED25519" },
		{ pem_of(EVP_RSA_gen(3072), "secret"), "passphrase" },
		{ strdup("hello"), "PEM" },
		{ strdup(""), "PEM" },
		{ strdup("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "PEM" },
	};
	struct err e = { 0 };
	uint8_t id[8];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(key_escrow_id(bad[i].pem, id, &e), -1);
		assert_int_equal(e.kind, ERR_KEY);
		assert_non_null(strstr(e.text, bad[i].says));
		free(bad[i].pem);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrapping_is_rfc_3394),
		cmocka_unit_test(a_wrapped_key_opens_under_no_other_and_not_when_damaged),
		cmocka_unit_test(a_passphrase_gives_the_scrypt_key_of_128_mib),
		cmocka_unit_test(random_bytes_differ_and_wiped_bytes_are_gone),
		cmocka_unit_test(the_private_half_opens_what_the_public_half_wrapped),
		cmocka_unit_test(too_much_for_the_escrow_key_is_refused),
		cmocka_unit_test(both_halves_have_the_id_of_the_public_der),
		cmocka_unit_test(the_public_half_follows_from_the_private_one),
		cmocka_unit_test(short_other_encrypted_and_broken_escrow_keys_are_refused),
	};

	return cmocka_run_group_tests(tests, make_pair, drop_pair);
}
