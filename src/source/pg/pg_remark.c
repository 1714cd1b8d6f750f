/*
 * What a server remarks comes in its own language, and only a superuser may ask for another one. So
 * the words are not looked at, but what no language changes: the path is the only thing with a slash,
 * and behind it come the number of the block, and two checksums in capital hex digits. The other
 * remarks about checksums have fewer numbers; or, of a file that got shorter meanwhile, the size
 * of a page in the place of the second one.
 */
#include "source/pg/pg_remark.h"

#include <stdlib.h>
#include <string.h>

#include "source/pg/pg_page.h"

#define DIGITS "0123456789"
#define HEX DIGITS "ABCDEF"
#define FORK "_abcdefghijklmnopqrstuvwxyz"

/* 16384, 16384_fsm, 16384.1, 16384_vm.2: how long. */
static size_t
file_name(const char *p)
{
	size_t n = strspn(p, DIGITS), more;

	if (n == 0)
		return 0;
	n += strspn(p + n, FORK);
	more = p[n] == '.' ? strspn(p + n + 1, DIGITS) : 0;
	return more > 0 ? n + 1 + more : n;
}

static bool
is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    c == '_';
}

/* The next number made of these digits that is no part of a word, or NULL; *p goes behind it. */
static const char *
number(const char **p, const char *digits)
{
	const char *at = *p;

	while (*at) {
		size_t n = 0;

		while (is_word(at[n]))
			n++;
		if (n > 0 && strspn(at, digits) == n) {
			*p = at + n;
			return at;
		}
		at += n > 0 ? n : 1;
	}
	return NULL;
}

bool
pg_remark_bad_page(const char *text, size_t *at, size_t *len, uint32_t *block)
{
	const char *first = strchr(text, '/'), *last = strrchr(text, '/'), *p, *found, *sum;
	size_t n = last ? file_name(last + 1) : 0;

	if (n == 0)
		return false;
	p = last + 1 + n;
	if (first > text && first[-1] == '.')
		first++;
	found = number(&p, DIGITS);
	if (!found || !number(&p, HEX))
		return false;
	sum = number(&p, HEX);
	if (!sum || strtoul(sum, NULL, 10) == PG_PAGE)
		return false;
	*at = (size_t)(first - text);
	*len = (size_t)(last + 1 + n - first);
	*block = (uint32_t)strtoul(found, NULL, 10);
	return true;
}
