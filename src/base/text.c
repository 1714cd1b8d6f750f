/*
 * Bytes as text. Everything that reads is strict: one byte string has one text form, so a form
 * that was signed, hashed or used as a name cannot come back in other clothes.
 */
#include "base/text.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NEAREST_LONGEST 64 /* words of a configuration or command line are shorter */

static const char hex_digit[] = "0123456789abcdef";

char *
text_hex(const uint8_t *bytes, size_t n, char *out)
{
	size_t i;

	for (i = 0; i < n; i++) {
		out[2 * i] = hex_digit[bytes[i] >> 4];
		out[2 * i + 1] = hex_digit[bytes[i] & 15];
	}
	out[2 * n] = '\0';
	return out;
}

/* The value of a lower case hex digit, or -1. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
text_unhex(const char *s, uint8_t *out, size_t n)
{
	size_t i;
	int hi, lo;

	for (i = 0; i < n; i++) {
		hi = hex_value(s[2 * i]);
		lo = hi == -1 ? -1 : hex_value(s[2 * i + 1]);
		if (lo == -1)
			return -1;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

static const char base64_digit[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
text_base64(const uint8_t *bytes, size_t n, struct buf *out)
{
	uint32_t v;
	size_t i, left;
	char four[4];

	for (i = 0; i < n; i += 3) {
		left = n - i;
		v = (uint32_t)bytes[i] << 16;
		v |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
		v |= left > 2 ? (uint32_t)bytes[i + 2] : 0;
		four[0] = base64_digit[v >> 18];
		four[1] = base64_digit[v >> 12 & 63];
		four[2] = left > 1 ? base64_digit[v >> 6 & 63] : '=';
		four[3] = left > 2 ? base64_digit[v & 63] : '=';
		buf_add(out, four, sizeof(four));
	}
}

static int
base64_value(char c)
{
	const char *p = c ? strchr(base64_digit, c) : NULL;

	return p ? (int)(p - base64_digit) : -1;
}

int
text_unbase64(const char *s, size_t n, struct buf *out)
{
	size_t i, k, pad = 0;
	uint8_t three[3];
	uint32_t v;
	int digit;

	if (n % 4 != 0)
		return -1;
	if (n > 0 && s[n - 1] == '=')
		pad = s[n - 2] == '=' ? 2 : 1;
	for (i = 0; i < n; i += 4) {
		v = 0;
		for (k = 0; k < 4; k++) {
			digit = i + k >= n - pad ? 0 : base64_value(s[i + k]);
			if (digit == -1)
				return -1;
			v = v << 6 | (uint32_t)digit;
		}
		three[0] = (uint8_t)(v >> 16);
		three[1] = (uint8_t)(v >> 8);
		three[2] = (uint8_t)v;
		k = i + 4 == n ? 3 - pad : 3;
		/* Bits under the padding must be zero, or two texts would mean the same bytes. */
		if (k < 3 && three[k] != 0)
			return -1;
		buf_add(out, three, k);
	}
	return 0;
}

/* Length of the valid UTF-8 character at s (n bytes left), or 0. */
static size_t
utf8_length(const char *s, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char c = (unsigned char)s[0];
	size_t len, i;
	uint32_t v;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (len > n)
		return 0;
	v = c & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | ((unsigned char)s[i] & 0x3fu);
	}
	if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	return len;
}

bool
text_utf8_valid(const char *s, size_t n)
{
	size_t i, len;

	for (i = 0; i < n; i += len) {
		len = utf8_length(s + i, n - i);
		if (len == 0)
			return false;
	}
	return true;
}

/* Length of the character at s when it may stand as it is, or 0. */
static size_t
plain_length(const char *s, size_t n)
{
	unsigned char c = (unsigned char)s[0];
	size_t len;

	if (c <= ' ' || c == 0x7f || c == '\\')
		return 0;
	len = utf8_length(s, n);
	/* U+0080 to U+009F are control characters too. */
	if (len == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0)
		return 0;
	return len;
}

void
text_escape(const char *bytes, size_t n, struct buf *out)
{
	char code[4] = { '\\', 'x' };
	size_t i = 0, len;

	if (n == 0)
		buf_adds(out, "\\-");
	while (i < n) {
		len = plain_length(bytes + i, n - i);
		if (len > 0) {
			buf_add(out, bytes + i, len);
			i += len;
			continue;
		}
		code[2] = hex_digit[(unsigned char)bytes[i] >> 4];
		code[3] = hex_digit[(unsigned char)bytes[i] & 15];
		buf_add(out, code, sizeof(code));
		i++;
	}
}

int
text_unescape(const char *word, size_t n, struct buf *out)
{
	size_t start = out->len, i = 0, len;
	struct buf again;
	uint8_t byte;
	int rc = -1;

	if (n == 2 && memcmp(word, "\\-", 2) == 0)
		return 0;
	buf_init(&again, n);
	while (i < n) {
		len = plain_length(word + i, n - i);
		if (len > 0) {
			buf_add(out, word + i, len);
			i += len;
			continue;
		}
		if (n - i < 4 || word[i] != '\\' || word[i + 1] != 'x' ||
		    text_unhex(word + i + 2, &byte, 1) == -1)
			goto out;
		buf_add(out, &byte, 1);
		i += 4;
	}
	if (n == 0 || out->over)
		goto out;
	/* Only what text_escape() writes: a needless \x41 would be a second form of 'A'. */
	text_escape((const char *)out->data + start, out->len - start, &again);
	if (!again.over && again.len == n && memcmp(again.data, word, n) == 0)
		rc = 0;
out:
	if (rc == -1 && out->len > start) {
		out->len = start;
		out->data[start] = '\0';
	}
	buf_done(&again);
	return rc;
}

bool
text_match(const char *pattern, const char *name)
{
	return fnmatch(pattern, name, FNM_PATHNAME) == 0;
}

static size_t
min_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits between two words: insert, delete, change, swap neighbours. Lengths are bounded. */
static size_t
distance(const char *a, size_t an, const char *b, size_t bn)
{
	size_t row[3][NEAREST_LONGEST + 1], i, k, best;
	size_t *before = row[0], *last = row[1], *now = row[2], *turn;

	for (k = 0; k <= bn; k++)
		last[k] = k;
	for (i = 1; i <= an; i++) {
		now[0] = i;
		for (k = 1; k <= bn; k++) {
			best = last[k - 1] + (a[i - 1] != b[k - 1]);
			best = min_of(best, min_of(last[k], now[k - 1]) + 1);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				best = min_of(best, before[k - 2] + 1);
			now[k] = best;
		}
		turn = before;
		before = last;
		last = now;
		now = turn;
	}
	return last[bn];
}

const char *
text_nearest(const char *word, const char *const *list)
{
	size_t an = strlen(word), bn, d, best, limit;
	const char *ret = NULL;

	if (an == 0 || an > NEAREST_LONGEST)
		return NULL;
	/* One slip in a short word, one more for each four letters: beyond that it is a guess. */
	limit = 1 + an / 4;
	best = min_of(limit, an - 1) + 1;
	for (; *list; list++) {
		bn = strlen(*list);
		if (bn > NEAREST_LONGEST || (bn > an ? bn - an : an - bn) >= best)
			continue;
		d = distance(word, an, *list, bn);
		if (d < best) {
			best = d;
			ret = *list;
		}
	}
	return ret;
}

void
text_split(const char *s, struct text_list *ret)
{
	const char *end, *next;
	size_t room = 0;

	*ret = (struct text_list){ 0 };
	for (; s; s = next) {
		end = strchrnul(s, ',');
		next = *end ? end + 1 : NULL;
		s += strspn(s, " \t");
		while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		if (end <= s)
			continue;
		ret->item = mem_grow(ret->item, &room, ret->count + 1, sizeof(*ret->item));
		ret->item[ret->count++] = xstrndup(s, (size_t)(end - s));
	}
}

void
text_list_done(struct text_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		free(list->item[i]);
	free(list->item);
	*list = (struct text_list){ 0 };
}
