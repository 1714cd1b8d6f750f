/* Bytes with known answers, and bytes nobody has seen before. */
#include "tests/lib/vector.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

void
vector_is(const void *bytes, size_t n, const char *hex)
{
	char *text = xmalloc(TEXT_HEX(n));

	assert_string_equal(text_hex(bytes, n, text), hex);
	free(text);
}

void
vector_count(uint8_t *bytes, size_t n, uint8_t first)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(first + i);
}

void
vector_noise(uint8_t *bytes, size_t n, uint64_t seed)
{
	uint64_t x = seed * 2 + 1;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		bytes[i] = (uint8_t)(x >> 24);
	}
}
