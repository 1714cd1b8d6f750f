/*
 * Patterns of names to leave out. A pattern is matched by two places to go back to, the newest
 * `*` and the newest `**`: an older one never needs another try, because the newer can
 * take whatever the older would have given up. So the time is bounded by pattern x name
 * squared, whatever a person writes, and nothing recurses.
 */
#include "source/exclude.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct pattern {
	char *text; /* without the leading and the trailing slash */
	bool anchored;
	bool directory;
};

struct exclude {
	struct pattern *pattern;
	size_t count;
};

/* The end of a bracket expression that starts at p, or NULL when it has none. */
static const char *
bracket_end(const char *p)
{
	p++;
	if (*p == '!' || *p == '^')
		p++;
	if (*p == ']')
		p++;
	while (*p && *p != ']' && *p != '/')
		p += *p == '\\' && p[1] && p[1] != '/' ? 2 : 1;
	return *p == ']' ? p : NULL;
}

static bool
bracket_has(const char *p, const char *end, unsigned char c)
{
	unsigned char from, to;
	bool no, in = false;

	p++;
	no = *p == '!' || *p == '^';
	if (no)
		p++;
	while (p < end) {
		if (*p == '\\' && p + 1 < end)
			p++;
		from = to = (unsigned char)*p++;
		if (*p == '-' && p + 1 < end) {
			p++;
			if (*p == '\\' && p + 1 < end)
				p++;
			to = (unsigned char)*p++;
		}
		in = in || (from <= c && c <= to);
	}
	return in != no;
}

/* Matches one element of the pattern (not a star) with one byte; moves *p past it. */
static bool
match_one(const char **p, unsigned char c)
{
	const char *at = *p, *end;

	if (*at == '?' || *at == '[') {
		end = *at == '?' ? at : bracket_end(at);
		*p = end + 1;
		return c != '/' && (*at == '?' || bracket_has(at, end, c));
	}
	if (*at == '\\')
		at++;
	*p = at + 1;
	return (unsigned char)*at == c;
}

/* The byte in the text where a `**` may try next, or NULL. With a slash behind it, it takes whole
 * components. */
static const char *
widen(const char *text, bool components)
{
	if (!*text)
		return NULL;
	if (!components)
		return text + 1;
	text = strchr(text, '/');
	return text ? text + 1 : NULL;
}

static bool
match(const char *p, const char *s)
{
	const char *star = NULL, *star_at = NULL, *deep = NULL, *deep_at = NULL;
	const char *start = p;
	bool components = false;

	for (;;) {
		if (p[0] == '*' && p[1] == '*') {
			components = p[2] == '/' && (p == start || p[-1] == '/');
			p += components ? 3 : 2;
			deep = p;
			deep_at = s;
			star = NULL;
			continue;
		}
		if (*p == '*') {
			star = ++p;
			star_at = s;
			continue;
		}
		if (!*p && !*s)
			return true;
		if (*p && *s && match_one(&p, (unsigned char)*s)) {
			s++;
			continue;
		}
		if (star && *star_at && *star_at != '/') {
			p = star;
			s = ++star_at;
		} else if (deep && (deep_at = widen(deep_at, components)) != NULL) {
			p = deep;
			s = deep_at;
			star = NULL;
		} else {
			return false;
		}
	}
}

/* A whole component that is "." or "..", or nothing at all. */
static bool
odd_component(const char *text)
{
	size_t n;

	for (;; text += n + 1) {
		n = strcspn(text, "/");
		if (n == 0 || (n == 1 && text[0] == '.') || (n == 2 && memcmp(text, "..", 2) == 0))
			return true;
		if (!text[n])
			return false;
	}
}

static const char *
fault_of(const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' && !*++text)
			return "ends with a backslash, expected a byte after it";
		if (*text == '[') {
			text = bracket_end(text);
			if (!text)
				return "has a '[' without its ']'";
		}
	}
	return NULL;
}

static int
compile(const char *text, struct pattern *ret, struct err *e)
{
	const char *fault = NULL;
	size_t n = strlen(text);

	if (n == 0)
		return err_set(e, ERR_CONFIG, "exclude: a pattern is empty");
	if (n > EXCLUDE_PATTERN_MAX)
		return err_set(e, ERR_CONFIG,
			       "exclude: a pattern has %zu bytes, expected at most %d", n,
			       EXCLUDE_PATTERN_MAX);
	if (*text == '!')
		return err_set(e, ERR_CONFIG,
		    "exclude: '%s' starts with '!', but nothing can be taken back in; "
		    "write '\\!' for a name that starts so", text);
	ret->anchored = *text == '/';
	if (ret->anchored)
		text++, n--;
	ret->directory = n > 0 && text[n - 1] == '/';
	if (ret->directory)
		n--;
	ret->text = xstrndup(text, n);
	ret->anchored = ret->anchored || strchr(ret->text, '/');
	if (odd_component(ret->text))
		fault = "has a component that is empty, '.' or '..', expected names";
	if (!fault)
		fault = fault_of(ret->text);
	if (!fault)
		return 0;
	return err_set(e, ERR_CONFIG, "exclude: '%s' %s", ret->text, fault);
}

int
exclude_new(const char *const *pattern, size_t count, struct exclude **ret, struct err *e)
{
	struct exclude *x = xcalloc(1, sizeof(*x));

	x->pattern = xcalloc(count + 1, sizeof(*x->pattern));
	for (x->count = 0; x->count < count;) {
		if (compile(pattern[x->count], &x->pattern[x->count], e) == -1) {
			x->count++;
			exclude_free(x);
			return -1;
		}
		x->count++;
	}
	*ret = x;
	return 0;
}

void
exclude_free(struct exclude *x)
{
	size_t i;

	if (!x)
		return;
	for (i = 0; i < x->count; i++)
		free(x->pattern[i].text);
	free(x->pattern);
	free(x);
}

bool
exclude_match(const struct exclude *x, const char *path, const char *name, bool directory)
{
	const struct pattern *p;
	size_t i;

	for (i = 0; x && i < x->count; i++) {
		p = &x->pattern[i];
		if (p->directory && !directory)
			continue;
		if (match(p->text, p->anchored ? path : name))
			return true;
	}
	return false;
}
