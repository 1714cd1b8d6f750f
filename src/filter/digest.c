/*
 * SHA-256 is the most called function of a backup, so this file alone speaks to the low-level
 * interface, deprecated in OpenSSL 3.0 but present in all of 3.x: it lets the state after the two
 * padded key blocks of HMAC be kept and copied. An id of a grain then costs 111 ns beside the hash
 * where EVP_MAC with a kept key takes 256 and HMAC() 1,491; for a page of 8 KiB that is 2 % against
 * 5 and 27. It uses the same assembly (SHA extensions included), needs no context of a thread,
 * cannot fail, and hashes grains as fast as EVP does. Everything that is rare goes through EVP.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "filter/digest.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/crypt.h"

_Static_assert(DIGEST_LEN == SHA256_DIGEST_LENGTH, "a digest is a SHA-256");
_Static_assert(sizeof(SHA_LONG) == sizeof(uint32_t), "a state of SHA-256 is eight words");

struct digest {
	SHA256_CTX ctx;
};

void
digest_sha256(const void *data, size_t n, uint8_t out[DIGEST_LEN])
{
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, data, n);
	SHA256_Final(out, &ctx);
}

struct digest *
digest_new(void)
{
	struct digest *d = xmalloc(sizeof(*d));

	SHA256_Init(&d->ctx);
	return d;
}

void
digest_add(struct digest *d, const void *data, size_t n)
{
	SHA256_Update(&d->ctx, data, n);
}

void
digest_end(struct digest *d, uint8_t out[DIGEST_LEN])
{
	SHA256_Final(out, &d->ctx);
	SHA256_Init(&d->ctx);
}

void
digest_peek(const struct digest *d, uint8_t out[DIGEST_LEN])
{
	SHA256_CTX ctx = d->ctx;

	SHA256_Final(out, &ctx);
}

void
digest_free(struct digest *d)
{
	free(d);
}

void
digest_hmac(const uint8_t *key, size_t keylen, const void *data, size_t n, uint8_t out[DIGEST_LEN])
{
	/* HMAC() takes a null key for "the one before". */
	static const uint8_t none;

	crypt_must(HMAC(EVP_sha256(), keylen == 0 ? &none : key, (int)keylen, data, n, out,
	    NULL) != NULL, "HMAC-SHA256");
}

/* The state after one block of the key xored with the pad of HMAC. */
static void
key_state(const uint8_t key[32], uint8_t pad, uint32_t state[8])
{
	uint8_t block[SHA256_CBLOCK];
	SHA256_CTX ctx;

	memset(block, pad, sizeof(block));
	for (size_t i = 0; i < 32; i++)
		block[i] ^= key[i];
	SHA256_Init(&ctx);
	SHA256_Update(&ctx, block, sizeof(block));
	memcpy(state, ctx.h, sizeof(ctx.h));
	OPENSSL_cleanse(block, sizeof(block));
	OPENSSL_cleanse(&ctx, sizeof(ctx));
}

void
digest_idkey_init(struct digest_idkey *k, const uint8_t key[32])
{
	memcpy(k->key, key, sizeof(k->key));
	key_state(key, 0x36, k->inner);
	key_state(key, 0x5c, k->outer);
}

/* Goes on from a kept state, one block in, with the 32 bytes of msg. */
static void
finish_from(const uint32_t state[8], const uint8_t msg[DIGEST_LEN], uint8_t out[DIGEST_LEN])
{
	SHA256_CTX ctx = { .Nl = SHA256_CBLOCK * 8, .md_len = SHA256_DIGEST_LENGTH };

	memcpy(ctx.h, state, sizeof(ctx.h));
	SHA256_Update(&ctx, msg, DIGEST_LEN);
	SHA256_Final(out, &ctx);
}

void
digest_id_of_hash(const struct digest_idkey *k, const uint8_t sha[DIGEST_LEN],
    uint8_t id[GRAIN_ID_LEN])
{
	uint8_t mac[DIGEST_LEN];

	finish_from(k->inner, sha, mac);
	finish_from(k->outer, mac, mac);
	memcpy(id, mac, GRAIN_ID_LEN);
}

void
digest_id(const struct digest_idkey *k, const void *grain, size_t n, uint8_t id[GRAIN_ID_LEN])
{
	uint8_t sha[DIGEST_LEN];

	digest_sha256(grain, n, sha);
	digest_id_of_hash(k, sha, id);
}

void
digest_hkdf(const uint8_t key[32], const uint8_t *salt, size_t saltlen, const void *info,
    size_t infolen, uint8_t out[32])
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[5], *p = params;

	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char[]){ "SHA256" }, 0);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key, 32);
	if (saltlen > 0) /* an empty one is refused, not given is the same */
		*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
		    (void *)(uintptr_t)salt, saltlen);
	if (infolen > 0)
		*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO,
		    (void *)(uintptr_t)info, infolen);
	*p = OSSL_PARAM_construct_end();
	crypt_must(ctx != NULL && EVP_KDF_derive(ctx, out, 32, params) == 1, "HKDF-SHA256");
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

int
digest_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}
