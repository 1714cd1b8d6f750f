#ifndef FILTER_DIGEST_H
#define FILTER_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/*
 * SHA-256 and HMAC-SHA256 by OpenSSL, with what costs time kept: the states of a prepared key.
 * Any thread.
 */
#define DIGEST_LEN 32

/* One shot. */
void digest_sha256(const void *data, size_t n, uint8_t out[DIGEST_LEN]);

struct digest; /* a running SHA-256 */
struct digest *digest_new(void);
void digest_add(struct digest *d, const void *data, size_t n);
void digest_end(struct digest *d, uint8_t out[DIGEST_LEN]); /* and starts anew */
/* Of what came so far; it goes on. */
void digest_peek(const struct digest *d, uint8_t out[DIGEST_LEN]);
void digest_free(struct digest *d);

void digest_hmac(const uint8_t *key, size_t keylen, const void *data, size_t n,
    uint8_t out[DIGEST_LEN]);

/*
 * The id of a grain: the first 12 bytes of HMAC-SHA256(id key, SHA-256(grain)). The two padded
 * key blocks are hashed once, so an id costs two compressions beside the hash of the grain.
 * Read only after init, so all workers share one.
 */
#define GRAIN_ID_LEN 12
struct digest_idkey {
	uint8_t key[32];
	uint32_t inner[8]; /* SHA-256 state after the inner, outer block */
	uint32_t outer[8];
};
void digest_idkey_init(struct digest_idkey *k, const uint8_t key[32]);
void digest_id(const struct digest_idkey *k, const void *grain, size_t n, uint8_t id[GRAIN_ID_LEN]);
/* The ids of two grains of n bytes each: where the processor can, in little more time than of one. */
void digest_id_pair(const struct digest_idkey *k, const void *a, const void *b, size_t n,
    uint8_t id_a[GRAIN_ID_LEN], uint8_t id_b[GRAIN_ID_LEN]);
/* The ids of `count` grains of n bytes each, back to back: faster than one by one. */
void digest_ids(const struct digest_idkey *k, const void *grains, size_t n, size_t count,
    uint8_t (*id)[GRAIN_ID_LEN]);
void digest_id_of_hash(const struct digest_idkey *k, const uint8_t sha[DIGEST_LEN],
    uint8_t id[GRAIN_ID_LEN]);

/* HKDF-SHA256, 32 bytes out. */
void digest_hkdf(const uint8_t key[32], const uint8_t *salt, size_t saltlen, const void *info,
    size_t infolen, uint8_t out[32]);

/* Constant time. */
int digest_equal(const uint8_t *a, const uint8_t *b, size_t n); /* 1 equal, 0 not */

#endif
