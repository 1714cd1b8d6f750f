/*
 * Lines of a configuration by inih, with its silences filled in. inih cuts a line or a section's
 * name that is too long, does not mention a section without keys, and tells of the first bad line
 * only. So it gets its lines from a reader here that counts them, refuses what would be cut, and
 * takes the section lines out; and a line that it made nothing of is a bad one.
 *
 * Its settings are variables of the library (as Debian builds it): one line in a heap buffer of
 * fixed size, and an indented line is a key like any other, not the rest of the one above.
 */
#include "conf/conf_ini.h"

#include <ctype.h>
#include <ini.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

#define BLANKS " \t\r\n\v\f"
#define LINE_ROOM (CONF_INI_LINE + 3) /* inih wants room for the line's end and a NUL */

struct reading {
	const char *at, *end;
	unsigned line;
	bool open; /* the line given last should become a key, and has not yet */
	conf_ini_seen *seen;
	void *arg;
};

static void
problem(struct reading *r, const char *what)
{
	r->seen(r->arg, CONF_INI_PROBLEM, r->line, what, NULL);
}

static void
lost(struct reading *r, const char *what)
{
	r->seen(r->arg, CONF_INI_LOST, r->line, what, NULL);
}

/* What is wrong with the bytes of a line, or NULL. */
static const char *
bad_bytes(const char *s, size_t n)
{
	size_t i;

	if (n > CONF_INI_LINE)
		return "the line is longer than 8000 characters";
	if (!text_utf8_valid(s, n))
		return "the line is not UTF-8";
	for (i = 0; i < n; i++)
		if (iscntrl((unsigned char)s[i]) && !strchr(BLANKS, s[i]))
			return "the line has a control character in it";
	/* strchr() finds the NUL of BLANKS too. */
	return memchr(s, '\0', n) ? "the line has a control character in it" : NULL;
}

/* A line that begins with '[': its name up to the bracket, and nothing but a comment behind. */
static void
section_line(struct reading *r, char *s)
{
	char *end = strchr(s, ']'), *rest;

	if (!end) {
		lost(r, "']' is missing");
		return;
	}
	rest = end + 1 + strspn(end + 1, BLANKS);
	if (*rest && *rest != ';' && *rest != '#') {
		lost(r, "something stands behind ']', expected the end of the line");
		return;
	}
	*end = '\0';
	s += 1 + strspn(s + 1, BLANKS);
	while (end > s && strchr(BLANKS, end[-1]))
		*--end = '\0';
	r->seen(r->arg, CONF_INI_SECTION, r->line, s, NULL);
}

/* The key line before the one read now led to nothing. */
static void
end_line(struct reading *r)
{
	if (r->open)
		problem(r, "expected KEY = VALUE, [SECTION] or a comment");
	r->open = false;
}

/* inih's reader: the next line into str, NULL at the end. */
static char *
next_line(char *str, int room, void *arg)
{
	struct reading *r = arg;
	const char *start = r->at, *newline, *bad;
	size_t n;
	char *s;

	end_line(r);
	if (start == r->end)
		return NULL;
	newline = memchr(start, '\n', (size_t)(r->end - start));
	n = (size_t)((newline ? newline : r->end) - start);
	r->at = newline ? newline + 1 : r->end;
	r->line++;
	str[0] = '\0';
	bad = bad_bytes(start, n);
	if (!bad && n + 2 >= (size_t)room)
		bad = "the line is too long for the library that reads it";
	if (bad) {
		problem(r, bad);
		return str;
	}
	memcpy(str, start, n);
	str[n] = '\0';
	s = str + (r->line == 1 && strncmp(str, "\xef\xbb\xbf", 3) == 0 ? 3 : 0);
	s += strspn(s, BLANKS);
	if (*s == '[') {
		section_line(r, s);
		str[0] = '\0';
	} else if (*s && *s != ';' && *s != '#') {
		r->open = true;
	}
	return str;
}

static int
seen_key(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *r = arg;

	(void)section; /* inih never saw one */
	r->open = false;
	r->seen(r->arg, CONF_INI_KEY, r->line, name, value);
	return 1;
}

void
conf_ini_parse(const char *text, size_t n, conf_ini_seen *seen, void *arg)
{
	struct reading r = { .at = text, .end = text + n, .seen = seen, .arg = arg };

	ini_allow_multiline = false;
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_max_line = LINE_ROOM;
	ini_initial_alloc = LINE_ROOM;
	/* Other negative answers there are none; positive ones are lines already told of. */
	if (ini_parse_stream(next_line, &r, seen_key, &r) < 0)
		problem(&r, "no memory to read it");
	end_line(&r);
}
