/*
 * The rule is the server's own: a page that was never used has no checksum, one that changed since
 * the backup began is made whole by the WAL, every other one must have the checksum it says. A torn
 * read therefore shows as a bad page for the moment it takes to write the page; the caller reads
 * again.
 */
#include "source/pg/pg_page.h"

#include <string.h>

/* Places in the header of a page. */
#define AT_LSN 0
#define AT_CHECKSUM 8
#define AT_UPPER 14

/* The checksum runs over 32 sums side by side, each over every 32nd word, so that it can be
 * computed by vectors. */
#define SUMS 32
#define WORDS (PG_PAGE / 4)
#define PRIME UINT32_C(16777619)

static const uint32_t offsets[SUMS] = {
	0x5B1F36E9,
	0xB8525960,
	0x02AB50AA,
	0x1DE66D2A,
	0x79FF467A,
	0x9BB9F8A3,
	0x217E7CD2,
	0x83E13D2C,
	0xF8D4474F,
	0xE39EB970,
	0x42C6AE16,
	0x993216FA,
	0x7B093B5D,
	0x98DAFF3C,
	0xF718902A,
	0x0B1C9CDB,
	0xE58F764B,
	0x187636BC,
	0x5D7B3BB1,
	0xE73DE7DE,
	0x92BEC979,
	0xCCA6C0B2,
	0x304A0979,
	0x85AA43D4,
	0x783125BB,
	0x6CA8EAA2,
	0xE407EAC6,
	0x4B5CFC3E,
	0x9FBF8C76,
	0x15CA20BE,
	0xF2CA9FD3,
	0x959BD756,
};

static uint16_t
get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

uint64_t
pg_page_lsn(const uint8_t page[PG_PAGE])
{
	uint32_t high, low;

	memcpy(&high, page + AT_LSN, 4);
	memcpy(&low, page + AT_LSN + 4, 4);
	return (uint64_t)high << 32 | low;
}

static inline __attribute__((always_inline)) void
mix(uint32_t sum[SUMS], const uint32_t *word)
{
	for (int i = 0; i < SUMS; i++) {
		uint32_t t = sum[i] ^ word[i];

		sum[i] = t * PRIME ^ (t >> 17);
	}
}

static inline __attribute__((always_inline)) uint32_t
sum_up(const uint8_t page[PG_PAGE])
{
	static const uint32_t zeros[SUMS];
	uint32_t sum[SUMS], row[SUMS], all = 0;

	memcpy(sum, offsets, sizeof(sum));
	for (int at = 0; at < WORDS; at += SUMS) {
		memcpy(row, page + (size_t)at * 4, sizeof(row));
		if (at == 0) /* the checksum itself counts as zero */
			row[AT_CHECKSUM / 4] &= 0xFFFF0000;
		mix(sum, row);
	}
	mix(sum, zeros);
	mix(sum, zeros);
	for (int i = 0; i < SUMS; i++)
		all ^= sum[i];
	return all;
}

/* The thread sanitizer is not there yet when the clone is chosen. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
__attribute__((target_clones("avx2", "default")))
#endif
static uint32_t
sum_of(const uint8_t page[PG_PAGE])
{
	return sum_up(page);
}

uint16_t
pg_page_checksum(const uint8_t page[PG_PAGE], uint32_t block)
{
	/* Never 0, which says that there is none. */
	return (uint16_t)((sum_of(page) ^ block) % 65535 + 1);
}

enum pg_page_state
pg_page_check(const uint8_t page[PG_PAGE], uint32_t block, uint64_t start_lsn)
{
	if (get16(page + AT_UPPER) == 0)
		return PG_PAGE_NEW;
	if (pg_page_lsn(page) >= start_lsn)
		return PG_PAGE_YOUNG;
	return pg_page_checksum(page, block) == get16(page + AT_CHECKSUM) ? PG_PAGE_GOOD :
									    PG_PAGE_BAD;
}

/* ---- names ---- */

static size_t
digits(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i] >= '0' && s[i] <= '9')
		i++;
	return i;
}

/* After `word`, or NULL when the text does not begin with it. */
static const char *
after(const char *s, const char *end, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(end - s) >= n && memcmp(s, word, n) == 0 ? s + n : NULL;
}

/* After one component of digits and its slash. */
static const char *
after_oid(const char *s, const char *end)
{
	size_t n = s ? digits(s, (size_t)(end - s)) : 0;

	return n > 0 && s + n < end && s[n] == '/' ? s + n + 1 : NULL;
}

/* The file's own name, when the directory is one where relations are. */
static const char *
name_in_relations(const char *path, const char *end)
{
	const char *s;

	if ((s = after(path, end, "global/")))
		return s;
	if ((s = after(path, end, "base/")))
		return after_oid(s, end);
	s = after_oid(after(path, end, "pg_tblspc/"), end);
	s = s ? after(s, end, "PG_") : NULL;
	if (!s)
		return NULL;
	s = memchr(s, '/', (size_t)(end - s));
	return s ? after_oid(s + 1, end) : NULL;
}

/* N[_fork][.SEGMENT]; *segment is 0 without one. */
static bool
split(const char *path, size_t len, uint32_t *segment)
{
	static const char *const fork[] = { "_fsm", "_vm", "_init" };
	const char *end = path + len, *s = name_in_relations(path, end), *next;
	size_t n = s ? digits(s, (size_t)(end - s)) : 0;

	*segment = 0;
	if (n == 0 || s[0] == '0')
		return false;
	s += n;
	for (size_t i = 0; i < sizeof(fork) / sizeof(fork[0]); i++)
		if ((next = after(s, end, fork[i])))
			s = next;
	if (s == end)
		return true;
	if (*s++ != '.')
		return false;
	n = digits(s, (size_t)(end - s));
	if (n == 0 || n > 9 || s + n != end)
		return false;
	while (n-- > 0)
		*segment = *segment * 10 + (uint32_t)(*s++ - '0');
	return true;
}

bool
pg_page_is_relation(const char *path, size_t len)
{
	uint32_t segment;

	return split(path, len, &segment);
}

uint32_t
pg_page_first(const char *path, size_t len)
{
	uint32_t segment;

	return split(path, len, &segment) ? segment * (uint32_t)(PG_PAGE_SEGMENT / PG_PAGE) : 0;
}
