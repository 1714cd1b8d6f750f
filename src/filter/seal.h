#ifndef FILTER_SEAL_H
#define FILTER_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * AES-256-GCM over frames of one object: one key per object, nonce = 4 zero bytes and the 64-bit
 * big endian offset of the frame in its object. The cipher context keeps its key schedule; only
 * the nonce changes. One struct seal belongs to one thread.
 */
#define SEAL_TAG 16
#define SEAL_KEY 32

struct seal;
struct seal *seal_new(const uint8_t key[SEAL_KEY]);
void seal_free(struct seal *s); /* cleanses */

/* Encrypts n bytes in place at p and writes the tag behind them (p has room for n + SEAL_TAG). */
void seal_frame(struct seal *s, uint64_t offset, const void *aad, size_t aadlen, uint8_t *p,
    size_t n);
/*
 * Decrypts n bytes of ciphertext (tag behind them at in + n) to out; out may be in. ERR_CORRUPT
 * on a wrong tag, and out then holds zeros.
 */
int seal_open(struct seal *s, uint64_t offset, const void *aad, size_t aadlen, const uint8_t *in,
    size_t n, uint8_t *out, struct err *e);

/*
 * A keyed sum (GMAC) of many bytes, five times as fast as a hash. Who does not know the key cannot
 * find two messages of one sum, unless sums are shown: a sum goes into a MAC of another key and
 * nowhere else.
 */
#define SEAL_SUM 16
struct seal_sum;
struct seal_sum *seal_sum_new(const uint8_t key[SEAL_KEY]);
void seal_sum_add(struct seal_sum *s, const void *data, size_t n);
void seal_sum_end(struct seal_sum *s, uint8_t out[SEAL_SUM]); /* and frees it */

#endif
