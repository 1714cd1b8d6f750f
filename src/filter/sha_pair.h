#ifndef FILTER_SHA_PAIR_H
#define FILTER_SHA_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * SHA-256 of two messages at once, for filter/digest.c: in the time of one of them, where the
 * processor has the instructions.
 */
bool sha_pair_can(void);
/* Both states go on over so many blocks of 64 bytes. Only where sha_pair_can(). */
void sha_pair_blocks(uint32_t a[8], uint32_t b[8], const uint8_t *from_a, const uint8_t *from_b,
    size_t blocks);

#endif
