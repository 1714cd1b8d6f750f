/*
 * A configuration is read by many, kept in version control and shown by `config show`; a password is
 * none of their business, and libpq has three better places for it. So a connection string is read
 * here only as far as it takes to find one, by libpq's own rules for quotes and backslashes:
 * application_name='password=x' holds none. What the words mean is the server's business, later.
 *
 * A string that cannot be read may hold a password too, so messages count characters instead of
 * quoting.
 */
#include "conf/conninfo.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"

#define BLANKS " \t\n\r\f\v"

static bool
is_secret(const char *word, size_t n)
{
	static const char *const words[] = { "password", "sslpassword" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strlen(words[i]) == n && strncmp(words[i], word, n) == 0)
			return true;
	return false;
}

static int
holds_password(struct err *e)
{
	return err_set(e, ERR_CONFIG, "holds a password (not shown), expected it in ~/.pgpass, in the "
	    "file that passfile= names, or behind service=");
}

static int
unreadable(const char *text, const char *at, const char *why, struct err *e)
{
	return err_set(e, ERR_CONFIG, "cannot be read: %s at character %zu, expected "
	    "KEY=VALUE ... or postgresql://", why, (size_t)(at - text) + 1);
}

/* The end of a value, which may be quoted; NULL: the quote does not end. */
static const char *
value_end(const char *p)
{
	bool quoted = *p == '\'';

	for (p += quoted; *p; p++) {
		if (*p == '\\' && p[1])
			p++;
		else if (quoted ? *p == '\'' : strchr(BLANKS, *p) != NULL)
			return p + quoted;
	}
	return quoted ? NULL : p;
}

static int
check_words(const char *text, struct err *e)
{
	const char *p = text + strspn(text, BLANKS), *value;
	size_t n;

	while (*p) {
		n = strcspn(p, "=" BLANKS);
		value = p + n + strspn(p + n, BLANKS);
		if (n == 0 || *value != '=')
			return unreadable(text, p, "a word without =", e);
		if (is_secret(p, n))
			return holds_password(e);
		value += 1 + strspn(value + 1, BLANKS);
		p = value_end(value);
		if (!p)
			return unreadable(text, value, "a quote without its end", e);
		p += strspn(p, BLANKS);
	}
	return 0;
}

/*
 * user:PASSWORD@host/name?key=value&key=value. libpq ends the password at a slash; who forgot to
 * escape one has it in here all the same.
 */
static int
check_uri(const char *rest, struct err *e)
{
	size_t slash = strcspn(rest, "/"), query = strcspn(rest, "?");
	const char *at = memchr(rest, '@', slash > query ? slash : query);
	const char *colon = at ? memchr(rest, ':', (size_t)(at - rest)) : NULL;
	const char *p = strchr(rest, '?');

	if (colon && colon + 1 < at)
		return holds_password(e);
	while (p) {
		p++;
		if (is_secret(p, strcspn(p, "=&")))
			return holds_password(e);
		p = strchr(p, '&');
	}
	return 0;
}

int
conninfo_check(const char *text, struct err *e)
{
	static const char *const schemes[] = { "postgresql://", "postgres://" };

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
			return check_uri(text + strlen(schemes[i]), e);
	return check_words(text, e);
}
