/* splitmix64: any seed is as good as any other, and one line of state. */
#include "tests/lib/chance.h"

static uint64_t state;

void
chance_seed(uint64_t seed)
{
	state = seed;
}

uint64_t
chance_u64(void)
{
	uint64_t x = state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint64_t
chance_below(uint64_t n)
{
	return chance_u64() % n;
}

bool
chance_one_in(uint64_t n)
{
	return chance_below(n) == 0;
}

void
chance_bytes(void *out, size_t n)
{
	uint8_t *p = out;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(chance_u64() >> 32);
}
