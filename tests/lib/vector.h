#ifndef TESTS_LIB_VECTOR_H
#define TESTS_LIB_VECTOR_H

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Asserts that the n bytes are these hex digits. */
void vector_is(const void *bytes, size_t n, const char *hex);
/* n bytes 0, 1, 2 ... from first on, as keys and salts of known answers. */
void vector_count(uint8_t *bytes, size_t n, uint8_t first);
/* n bytes that do not compress, the same for the same seed. */
void vector_noise(uint8_t *bytes, size_t n, uint64_t seed);

#endif
