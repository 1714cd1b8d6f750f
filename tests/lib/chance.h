#ifndef TESTS_LIB_CHANCE_H
#define TESTS_LIB_CHANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Numbers for tests that try many cases: the same after the same seed, so that a failure can be
 * repeated.
 */
void chance_seed(uint64_t seed);
uint64_t chance_u64(void);
uint64_t chance_below(uint64_t n); /* 0 .. n-1 */
bool chance_one_in(uint64_t n);
void chance_bytes(void *out, size_t n);

#endif
