/*
 * Sealing is called once a frame of at most 128 KiB, thousands of times a gigabyte, so what is the
 * same each time is done once: the cipher is fetched once a process, the key set once an object,
 * and a frame sets only its nonce. The nonce is the frame's place, so a frame moved, repeated or
 * cut out of its object does not open.
 */
#include "filter/seal.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/crypt.h"

#define NONCE_LEN 12

struct seal {
	EVP_CIPHER_CTX *ctx; /* holds the key */
};

static EVP_CIPHER *cipher;
static pthread_once_t cipher_once = PTHREAD_ONCE_INIT;

static void
cipher_fetch(void)
{
	cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	crypt_must(cipher != NULL, "AES-256-GCM");
}

struct seal *
seal_new(const uint8_t key[SEAL_KEY])
{
	struct seal *s = xmalloc(sizeof(*s));

	pthread_once(&cipher_once, cipher_fetch);
	s->ctx = EVP_CIPHER_CTX_new();
	crypt_must(s->ctx != NULL && EVP_EncryptInit_ex2(s->ctx, cipher, key, NULL, NULL) == 1,
	    "a key of AES-256-GCM");
	return s;
}

void
seal_free(struct seal *s)
{
	if (s == NULL)
		return;
	EVP_CIPHER_CTX_free(s->ctx); /* cleanses its key schedule */
	free(s);
}

/* Nonce and associated data: the same steps both ways. */
static void
begin(struct seal *s, bool encrypt, uint64_t offset, const void *aad, size_t aadlen)
{
	uint8_t nonce[NONCE_LEN] = { 0 };
	int len;

	for (size_t i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(offset >> (56 - 8 * i));
	crypt_must(EVP_CipherInit_ex2(s->ctx, NULL, NULL, nonce, encrypt, NULL) == 1, "a nonce");
	crypt_must(aadlen <= INT_MAX &&
	    (aadlen == 0 || EVP_CipherUpdate(s->ctx, NULL, &len, aad, (int)aadlen) == 1),
	    "associated data");
}

void
seal_frame(struct seal *s, uint64_t offset, const void *aad, size_t aadlen, uint8_t *p, size_t n)
{
	int len;

	begin(s, true, offset, aad, aadlen);
	crypt_must(n <= INT_MAX && (n == 0 || EVP_CipherUpdate(s->ctx, p, &len, p, (int)n) == 1),
	    "encryption");
	crypt_must(EVP_CipherFinal_ex(s->ctx, p + n, &len) == 1, "encryption");
	crypt_must(EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG, p + n) == 1,
	    "a tag");
}

int
seal_open(struct seal *s, uint64_t offset, const void *aad, size_t aadlen, const uint8_t *in,
    size_t n, uint8_t *out, struct err *e)
{
	uint8_t tag[SEAL_TAG];
	int len;

	memcpy(tag, in + n, SEAL_TAG);
	begin(s, false, offset, aad, aadlen);
	crypt_must(n <= INT_MAX && (n == 0 || EVP_CipherUpdate(s->ctx, out, &len, in, (int)n) == 1),
	    "decryption");
	crypt_must(EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG, tag) == 1, "a tag");
	if (EVP_CipherFinal_ex(s->ctx, out + n, &len) == 1)
		return 0;
	OPENSSL_cleanse(out, n); /* nobody shall use what was not authenticated */
	crypt_why();
	return err_set(e, ERR_CORRUPT, "frame at %llu does not open: bytes or key are not the ones "
	    "it was sealed with", (unsigned long long)offset);
}

/* ---- sums ---- */

struct seal_sum {
	EVP_MAC *mac;
	EVP_MAC_CTX *ctx;
};

struct seal_sum *
seal_sum_new(const uint8_t key[SEAL_KEY])
{
	static uint8_t nonce[NONCE_LEN];
	struct seal_sum *s = xmalloc(sizeof(*s));
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, (char[]){ "AES-256-GCM" }, 0),
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, nonce, NONCE_LEN),
		OSSL_PARAM_construct_end(),
	};

	s->mac = EVP_MAC_fetch(NULL, "GMAC", NULL);
	s->ctx = EVP_MAC_CTX_new(s->mac);
	crypt_must(s->ctx != NULL && EVP_MAC_init(s->ctx, key, SEAL_KEY, params) == 1, "GMAC");
	return s;
}

void
seal_sum_add(struct seal_sum *s, const void *data, size_t n)
{
	crypt_must(n == 0 || EVP_MAC_update(s->ctx, data, n) == 1, "GMAC");
}

void
seal_sum_end(struct seal_sum *s, uint8_t out[SEAL_SUM])
{
	size_t n = 0;

	crypt_must(EVP_MAC_final(s->ctx, out, &n, SEAL_SUM) == 1 && n == SEAL_SUM, "GMAC");
	EVP_MAC_CTX_free(s->ctx);
	EVP_MAC_free(s->mac);
	free(s);
}
