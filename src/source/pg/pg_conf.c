/*
 * The server's own reader is a lexer with few rules: a name, blanks or one `=`, one value, a
 * comment. A value in quotes may double them or put a backslash before what is meant. That is all
 * that is understood here; a line in any other form would keep the server from starting anyway, and
 * is passed through as it is.
 */
#include "source/pg/pg_conf.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define VALUE_MAX (64u << 10)

void
pg_conf_line_init(struct pg_conf_line *l)
{
	l->key = "";
	l->keylen = 0;
	buf_init(&l->value, VALUE_MAX);
}

void
pg_conf_line_done(struct pg_conf_line *l)
{
	buf_done(&l->value);
}

static bool
is_key(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '$' ||
	    (unsigned char)c >= 0x80;
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\f'))
		p++;
	return p;
}

/* One character behind a backslash. */
static const char *
take_escape(const char *p, const char *end, struct buf *out)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *known;
	unsigned v = 0;
	int digits = 0;

	for (; digits < 3 && p < end && *p >= '0' && *p <= '7'; digits++)
		v = v * 8 + (unsigned)(*p++ - '0');
	if (digits > 0) {
		buf_addc(out, (char)v);
		return p;
	}
	if (p == end)
		return p;
	known = strchr(from, *p);
	buf_addc(out, known && *p ? to[known - from] : *p);
	return p + 1;
}

/* Behind the closing quote; NULL when there is none. */
static const char *
take_quoted(const char *p, const char *end, struct buf *out)
{
	while (p < end) {
		if (*p == '\'' && p + 1 < end && p[1] == '\'') {
			buf_addc(out, '\'');
			p += 2;
		} else if (*p == '\'') {
			return p + 1;
		} else if (*p == '\\') {
			p = take_escape(p + 1, end, out);
		} else {
			buf_addc(out, *p++);
		}
	}
	return NULL;
}

bool
pg_conf_line_read(const char *line, size_t n, struct pg_conf_line *ret)
{
	const char *end = line + n, *p = skip_blanks(line, end);

	ret->key = p;
	while (p < end && is_key(*p))
		p++;
	ret->keylen = (size_t)(p - ret->key);
	buf_reset(&ret->value);
	if (ret->keylen == 0)
		return false;
	p = skip_blanks(p, end);
	if (p < end && *p == '=')
		p = skip_blanks(p + 1, end);
	if (p < end && *p == '\'')
		return take_quoted(p + 1, end, &ret->value) != NULL;
	while (p < end && *p != '#' && !isspace((unsigned char)*p))
		buf_addc(&ret->value, *p++);
	return ret->value.len > 0;
}

bool
pg_conf_line_is(const struct pg_conf_line *l, const char *key)
{
	return l->keylen == strlen(key) && strncasecmp(l->key, key, l->keylen) == 0;
}

size_t
pg_conf_filter(const char *text, size_t n, bool gone,
    bool (*drop)(void *arg, const struct pg_conf_line *l), void *arg, struct buf *out)
{
	const char *end = text + n;
	struct pg_conf_line l;
	size_t dropped = 0;

	pg_conf_line_init(&l);
	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((eol ? eol : end) - text);
		bool drops = pg_conf_line_read(text, len, &l) && drop(arg, &l);

		dropped += drops;
		if (drops && !gone)
			buf_adds(out, PG_CONF_MARK);
		if (!drops || !gone) {
			buf_add(out, text, len);
			buf_addc(out, '\n');
		}
		text = eol ? eol + 1 : end;
	}
	pg_conf_line_done(&l);
	return dropped;
}

/* ---- secrets ---- */

#define PASSWORD "password"

/* The end of a value that begins at p: quoted once, quoted twice (in a file), or a word. */
static const char *
value_end(const char *p, bool uri)
{
	const bool twice = strncmp(p, "''", 2) == 0;
	const char *end;

	if (twice && (!p[2] || isspace((unsigned char)p[2]) || p[2] == '\''))
		return p + 2;
	if (twice)
		return (end = strstr(p + 2, "''")) != NULL ? end + 2 : p + strlen(p);
	if (*p == '\'') {
		for (p++; *p && *p != '\''; p++)
			p += *p == '\\' && p[1];
		return p + (*p == '\'');
	}
	for (; *p && !isspace((unsigned char)*p) && *p != '\'' && *p != '"' && !(uri && *p == '&'); p++)
		p += *p == '\\' && p[1];
	return p;
}

/* Behind `password = value` whose word begins at p; NULL: it is none. */
static const char *
password_end(const char *p, bool uri)
{
	const char *at = p;

	while (isalpha((unsigned char)*at))
		at++;
	if ((size_t)(at - p) < strlen(PASSWORD) ||
	    strncasecmp(at - strlen(PASSWORD), PASSWORD, strlen(PASSWORD)) != 0)
		return NULL;
	at += strspn(at, " \t");
	if (*at != '=')
		return NULL;
	at++;
	return value_end(at + strspn(at, " \t"), uri);
}

/* p stands behind "://": the place of the colon before a password, which ends at *end; NULL. */
static const char *
uri_password(const char *p, const char **end)
{
	const char *at = NULL, *colon = NULL;

	for (; *p && !isspace((unsigned char)*p) && !strchr("/?#'\"", *p); p++) {
		if (*p == '@')
			at = p;
		else if (*p == ':' && !colon)
			colon = p;
	}
	*end = at;
	return at && colon && colon < at ? colon : NULL;
}

void
pg_conf_unsecret(const char *text, struct buf *out)
{
	const char *p = text, *end;

	while (*p) {
		const bool begins = p == text || !isalnum((unsigned char)p[-1]);
		const bool uri = p > text && (p[-1] == '?' || p[-1] == '&');

		if (begins && (end = password_end(p, uri)) != NULL) {
			p = end + strspn(end, " \t");
			continue;
		}
		if (p - text >= 3 && strncmp(p - 3, "://", 3) == 0) {
			const char *colon = uri_password(p, &end);

			if (colon) {
				buf_add(out, p, (size_t)(colon - p));
				p = end;
				continue;
			}
		}
		buf_addc(out, *p++);
	}
}

/* ---- writing ---- */

void
pg_conf_set(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, "%s = '", key);
	for (; *value; value++) {
		if (*value == '\'' || *value == '\\')
			buf_addc(out, *value);
		if (*value == '\n')
			buf_adds(out, "\\n");
		else
			buf_addc(out, *value);
	}
	buf_adds(out, "'\n");
}

void
pg_conf_word(struct buf *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-+=.,/:@%";
	bool quote = !*word || word[strspn(word, plain)] != '\0';

	if (out->len > 0)
		buf_addc(out, ' ');
	if (quote)
		buf_addc(out, '\'');
	for (; *word; word++) {
		if (*word == '%')
			buf_adds(out, "%%");
		else if (*word == '\'')
			buf_adds(out, "'\\''");
		else
			buf_addc(out, *word);
	}
	if (quote)
		buf_addc(out, '\'');
}
