/*
 * SHA-256 is the most called function of a backup, so this file alone speaks to the low-level
 * interface, deprecated in OpenSSL 3.0 but present in all of 3.x: it lets the state after the two
 * padded key blocks of HMAC be kept and copied. An id of a grain then costs 111 ns beside the hash
 * where EVP_MAC with a kept key takes 256 and HMAC() 1,491; for a page of 8 KiB that is 2 % against
 * 5 and 27. It uses the same assembly (SHA extensions included), needs no context of a thread,
 * cannot fail, and hashes grains as fast as EVP does. A record of the spool wants a key of its own, so
 * HMAC and HKDF go the same way: 2 us beside the 9 us of EVP's, which looks them up by name.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "filter/digest.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/sha_pair.h"

#define INNER_PAD 0x36 /* of HMAC */
#define OUTER_PAD 0x5c

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

/* One of the two hashes of HMAC: the padded key, then what it is given. */
static void
keyed(const uint8_t key[SHA256_CBLOCK], uint8_t pad, const void *data, size_t n,
    uint8_t out[DIGEST_LEN])
{
	uint8_t block[SHA256_CBLOCK];
	SHA256_CTX ctx;

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = key[i] ^ pad;
	SHA256_Init(&ctx);
	SHA256_Update(&ctx, block, sizeof(block));
	SHA256_Update(&ctx, data, n);
	SHA256_Final(out, &ctx);
	OPENSSL_cleanse(block, sizeof(block));
	OPENSSL_cleanse(&ctx, sizeof(ctx));
}

void
digest_hmac(const uint8_t *key, size_t keylen, const void *data, size_t n, uint8_t out[DIGEST_LEN])
{
	uint8_t block[SHA256_CBLOCK] = { 0 }, inner[DIGEST_LEN];

	if (keylen > sizeof(block))
		digest_sha256(key, keylen, block);
	else if (keylen > 0)
		memcpy(block, key, keylen);
	keyed(block, INNER_PAD, data, n, inner);
	keyed(block, OUTER_PAD, inner, sizeof(inner), out);
	OPENSSL_cleanse(block, sizeof(block));
	OPENSSL_cleanse(inner, sizeof(inner));
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
	key_state(key, INNER_PAD, k->inner);
	key_state(key, OUTER_PAD, k->outer);
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

/* Of whole blocks only: the rest of a message has its length behind it. */
static bool
goes_in_pairs(size_t n)
{
	return n % SHA256_CBLOCK == 0 && sha_pair_can();
}

void
digest_id_pair(const struct digest_idkey *k, const void *a, const void *b, size_t n,
    uint8_t id_a[GRAIN_ID_LEN], uint8_t id_b[GRAIN_ID_LEN])
{
	uint8_t sha[DIGEST_LEN];
	SHA256_CTX x, y;

	if (!goes_in_pairs(n)) {
		digest_id(k, a, n, id_a);
		digest_id(k, b, n, id_b);
		return;
	}
	SHA256_Init(&x);
	SHA256_Init(&y);
	sha_pair_blocks(x.h, y.h, a, b, n / SHA256_CBLOCK);
	x.Nl = y.Nl = (SHA_LONG)(n << 3);
	x.Nh = y.Nh = (SHA_LONG)(n >> 29);
	SHA256_Final(sha, &x);
	digest_id_of_hash(k, sha, id_a);
	SHA256_Final(sha, &y);
	digest_id_of_hash(k, sha, id_b);
}

void
digest_ids(const struct digest_idkey *k, const void *grains, size_t n, size_t count,
    uint8_t (*id)[GRAIN_ID_LEN])
{
	const uint8_t *p = grains;
	size_t i = 0;

	for (; i + 1 < count; i += 2)
		digest_id_pair(k, p + i * n, p + (i + 1) * n, n, id[i], id[i + 1]);
	if (i < count)
		digest_id(k, p + i * n, n, id[i]);
}

/* RFC 5869; one block comes out, so expanding is one hash. */
void
digest_hkdf(const uint8_t key[32], const uint8_t *salt, size_t saltlen, const void *info,
    size_t infolen, uint8_t out[32])
{
	uint8_t drawn[DIGEST_LEN], *text = xmalloc(infolen + 1);

	if (infolen > 0)
		memcpy(text, info, infolen);
	text[infolen] = 1;
	digest_hmac(salt, saltlen, key, 32, drawn);
	digest_hmac(drawn, sizeof(drawn), text, infolen + 1, out);
	OPENSSL_cleanse(drawn, sizeof(drawn));
	free(text);
}

int
digest_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}
