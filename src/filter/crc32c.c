/*
 * With the processor's own instruction where it has one, else by table. Both run over eight bytes a
 * step. The instruction's answer takes three cycles, and one can be begun in each: so it runs down
 * three lanes at once and is almost three times as fast. Values are combined by multiplying
 * polynomials: appending n zero bytes is a multiplication by x^(8n), so stretches that were read in
 * parallel, or down lanes, give the value of the whole.
 */
#include "filter/crc32c.h"

#include <stdbool.h>
#include <string.h>

#define POLY UINT32_C(0x82F63B78) /* reflected */

/* Three of them and eight bytes are a page of 8 KiB. */
#define LANE 2728

static uint32_t table[8][256];
static uint32_t lane_on[4][256]; /* by byte of a value: what it is a lane further on */
static bool has_instruction;

/* a * b modulo the polynomial; the highest coefficient is the lowest bit. */
static uint32_t
multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (uint32_t bit = UINT32_C(1) << 31; bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = (b >> 1) ^ (b & 1 ? POLY : 0);
	}
	return product;
}

/* x^(8n) */
static uint32_t
shift_by(uint64_t n)
{
	uint32_t power = UINT32_C(1) << 23; /* x^8: one byte */
	uint32_t shift = UINT32_C(1) << 31; /* 1 */

	for (; n; n >>= 1) {
		if (n & 1)
			shift = multiply(shift, power);
		power = multiply(power, power);
	}
	return shift;
}

static void __attribute__((constructor)) set_up(void)
{
	const uint32_t lane = shift_by(LANE);

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = (c >> 1) ^ (c & 1 ? POLY : 0);
		table[0][i] = c;
	}
	for (int k = 1; k < 8; k++)
		for (uint32_t i = 0; i < 256; i++)
			table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 0; k < 4; k++)
			lane_on[k][i] = multiply(i << (8 * k), lane);
#if defined(__x86_64__)
	__builtin_cpu_init();
	has_instruction = __builtin_cpu_supports("sse4.2") != 0;
#endif
}

static uint32_t
by_table(uint32_t c, const uint8_t *p, size_t n)
{
	while (n >= 8) {
		uint64_t v;

		memcpy(&v, p, 8);
		v ^= c;
		c = table[7][v & 0xff] ^ table[6][v >> 8 & 0xff] ^ table[5][v >> 16 & 0xff] ^
		    table[4][v >> 24 & 0xff] ^ table[3][v >> 32 & 0xff] ^ table[2][v >> 40 & 0xff] ^
		    table[1][v >> 48 & 0xff] ^ table[0][v >> 56];
		p += 8;
		n -= 8;
	}
	while (n-- > 0)
		c = (c >> 8) ^ table[0][(c ^ *p++) & 0xff];
	return c;
}

#if defined(__x86_64__)
static uint64_t
eight_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t
on_a_lane(uint32_t c)
{
	return lane_on[0][c & 0xff] ^ lane_on[1][c >> 8 & 0xff] ^ lane_on[2][c >> 16 & 0xff] ^
	    lane_on[3][c >> 24];
}

static uint32_t __attribute__((target("sse4.2")))
by_instruction(uint32_t c, const uint8_t *p, size_t n)
{
	uint64_t wide = c;

	for (; n >= 3 * LANE; p += 3 * LANE, n -= 3 * LANE) {
		uint64_t second = 0, third = 0;

		for (size_t i = 0; i < LANE; i += 8) {
			wide = __builtin_ia32_crc32di(wide, eight_at(p + i));
			second = __builtin_ia32_crc32di(second, eight_at(p + LANE + i));
			third = __builtin_ia32_crc32di(third, eight_at(p + 2 * LANE + i));
		}
		wide = on_a_lane(on_a_lane((uint32_t)wide) ^ (uint32_t)second) ^ third;
	}
	for (; n >= 8; p += 8, n -= 8)
		wide = __builtin_ia32_crc32di(wide, eight_at(p));
	c = (uint32_t)wide;
	while (n-- > 0)
		c = __builtin_ia32_crc32qi(c, *p++);
	return c;
}
#else
#define by_instruction by_table
#endif

uint32_t
crc32c(uint32_t crc, const void *data, size_t n)
{
	return ~(has_instruction ? by_instruction(~crc, data, n) : by_table(~crc, data, n));
}

uint32_t
crc32c_combine(uint32_t a, uint32_t b, uint64_t len_b)
{
	return multiply(a, shift_by(len_b)) ^ b;
}
