/*
 * LSNs are plain 64-bit offsets everywhere in here; only people see the form with the slash. A set
 * of ranges answers the two questions that are asked of WAL: how far does it go without a hole, and
 * where are the holes. It is filled from listings, which come in order, so adding looks at the
 * end first; a year of pieces without a hole is one range.
 */
#include "base/lsn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SEGMENT_LEAST (UINT64_C(1) << 20)
#define SEGMENT_MOST (UINT64_C(1) << 30)

char *
lsn_text(uint64_t lsn, char out[LSN_TEXT])
{
	snprintf(out, LSN_TEXT, "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
	return out;
}

/* One to eight hex digits at *s, which moves behind them; 0 or -1. */
static int
half(const char **s, uint64_t *ret)
{
	uint64_t v = 0;
	int digits = 0;

	for (; digits <= 8; digits++, (*s)++) {
		char c = **s;

		if (c >= '0' && c <= '9')
			v = v * 16 + (uint64_t)(c - '0');
		else if (c >= 'A' && c <= 'F')
			v = v * 16 + (uint64_t)(c - 'A') + 10;
		else if (c >= 'a' && c <= 'f')
			v = v * 16 + (uint64_t)(c - 'a') + 10;
		else
			break;
	}
	*ret = v;
	return digits >= 1 && digits <= 8 ? 0 : -1;
}

int
lsn_parse(const char *s, uint64_t *ret)
{
	uint64_t high, low;

	if (half(&s, &high) == -1 || *s++ != '/' || half(&s, &low) == -1 || *s != '\0')
		return -1;
	*ret = high << 32 | low;
	return 0;
}

bool
lsn_segment_valid(uint64_t segment_size)
{
	return segment_size >= SEGMENT_LEAST && segment_size <= SEGMENT_MOST &&
	    (segment_size & (segment_size - 1)) == 0;
}

uint64_t
lsn_segment(uint64_t lsn, uint64_t segment_size)
{
	return lsn & ~(segment_size - 1);
}

/* The first range that ends at or after lsn; count when none does. */
static size_t
first_at(const struct lsn_set *s, uint64_t lsn)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->range[mid].to < lsn)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void
lsn_set_add(struct lsn_set *s, uint64_t from, uint64_t to)
{
	size_t i, n;

	if (from >= to)
		return;
	i = first_at(s, from);
	for (n = i; n < s->count && s->range[n].from <= to; n++) {
		if (s->range[n].from < from)
			from = s->range[n].from;
		if (s->range[n].to > to)
			to = s->range[n].to;
	}
	if (n == i)
		s->range = mem_grow(s->range, &s->room, s->count + 1, sizeof(*s->range));
	/* Ranges i to n - 1 become one. */
	memmove(s->range + i + 1, s->range + n, (s->count - n) * sizeof(*s->range));
	s->count = s->count - (n - i) + 1;
	s->range[i] = (struct lsn_range){ .from = from, .to = to };
}

void
lsn_set_join(struct lsn_set *s, const struct lsn_set *other)
{
	for (size_t i = 0; i < other->count; i++)
		lsn_set_add(s, other->range[i].from, other->range[i].to);
}

uint64_t
lsn_set_end(const struct lsn_set *s, uint64_t lsn)
{
	size_t i = first_at(s, lsn);

	return i < s->count && s->range[i].from <= lsn ? s->range[i].to : lsn;
}

bool
lsn_set_has(const struct lsn_set *s, uint64_t from, uint64_t to)
{
	return from >= to || lsn_set_end(s, from) >= to;
}

void
lsn_set_done(struct lsn_set *s)
{
	free(s->range);
	*s = (struct lsn_set){ 0 };
}
