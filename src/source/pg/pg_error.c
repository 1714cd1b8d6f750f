/*
 * While connecting, libpq gives text only, no fields: its SQLSTATE is asked for by verbosity and
 * cut out again here. The text has a block for each address and each way (with TLS, without) it
 * tried; a refused password of the first is what a person must see, and not that the second way was
 * not allowed at all.
 *
 * Connection strings hold passwords. libpq never prints one that it understood, but quotes what it
 * did not understand; that is dropped.
 */
#include "source/pg/pg_error.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"

/* Longest text looked at: libpq's are a few lines for each address. */
#define TEXT_MAX 8000

/* A whole SQLSTATE, or a class of two characters. In order: the first that fits counts. */
static const struct {
	const char *prefix;
	enum err_kind kind;
} kinds[] = {
	{ "08", ERR_REMOTE },	   /* connection exceptions */
	{ "28", ERR_PERMISSION },  /* authentication */
	{ "42501", ERR_PERMISSION },
	{ "3D000", ERR_NOTFOUND }, /* no such database */
	{ "42704", ERR_NOTFOUND }, /* no such slot, setting, role */
	{ "42P01", ERR_NOTFOUND }, /* no such table */
	{ "58P01", ERR_NOTFOUND }, /* no such file: a WAL segment, a history */
	{ "42710", ERR_EXISTS },
	{ "55006", ERR_BUSY },
	{ "55000", ERR_REFUSED },  /* not in the state for that */
	{ "25", ERR_REFUSED },	   /* read only and the like */
	{ "53100", ERR_FULL },
	{ "53400", ERR_REFUSED },  /* a configured limit: all slots are in use */
	{ "53", ERR_REMOTE },	   /* memory, connections */
	{ "57", ERR_REMOTE },	   /* shutting down, starting, cancelled by somebody there */
	{ "40", ERR_REMOTE },
	{ "0A000", ERR_UNSUPPORTED },
	{ "42601", ERR_UNSUPPORTED }, /* a syntax it does not know */
	{ "42883", ERR_UNSUPPORTED }, /* a function it does not have */
	{ "XX001", ERR_CORRUPT },
	{ "XX002", ERR_CORRUPT },
};

enum err_kind
pg_error_kind(const char *sqlstate)
{
	if (!*sqlstate)
		return ERR_REMOTE;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(sqlstate, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return kinds[i].kind;
	return ERR_IO;
}

/* Up to the end of the line, without the white space around it. */
static int
line_length(const char **line)
{
	size_t n;

	while (**line == ' ' || **line == '\t')
		(*line)++;
	n = strcspn(*line, "\n");
	while (n > 0 && isspace((unsigned char)(*line)[n - 1]))
		n--;
	return (int)n;
}

int
pg_error_server(const char *place, const struct pg_error *what, struct err *e)
{
	const char *line = what->message;
	const int n = line_length(&line);

	if (what->sqlstate && *what->sqlstate)
		err_set(e, pg_error_kind(what->sqlstate), "postgres at %s: %.*s (%s)", place, n,
		    line, what->sqlstate);
	else
		err_set(e, ERR_REMOTE, "postgres at %s: %.*s", place, n, line);
	if (what->detail)
		err_line(e, "detail", "%s", what->detail);
	if (what->hint)
		err_line(e, "hint", "%s", what->hint);
	return -1;
}

/* ---- connecting ---- */

struct block {
	const char *what; /* after "failed: " and what goes before the message */
	int n;
	const char *rest; /* further lines */
	char sqlstate[PG_ERROR_STATE];
};

/* "FATAL:  28P01: text": steps over it and takes the five. The word may be in any language. */
static void
take_state(struct block *b)
{
	const char *at = memchr(b->what, ':', (size_t)b->n);
	size_t i;

	b->sqlstate[0] = '\0';
	if (!at || strncmp(at, ":  ", 3) != 0)
		return;
	at += 3;
	for (i = 0; i < PG_ERROR_STATE - 1; i++)
		if (!isdigit((unsigned char)at[i]) && !isupper((unsigned char)at[i]))
			return;
	if (at[i] != ':' || at[i + 1] != ' ')
		return;
	memcpy(b->sqlstate, at, i);
	b->sqlstate[i] = '\0';
	at += i + 2;
	b->n -= (int)(at - b->what);
	b->what = at;
}

/* One line of libpq's that begins a block: 'connection to server ... failed: what'. */
static void
read_block(const char *line, struct block *ret)
{
	const char *failed = strstr(line, " failed: "), *end = line + strcspn(line, "\n");

	ret->rest = *end ? end + 1 : end;
	ret->what = failed && failed < end ? failed + strlen(" failed: ") : line;
	ret->n = line_length(&ret->what);
	take_state(ret);
}

static bool
begins_block(const char *line)
{
	return strncmp(line, "connection to server ", 21) == 0;
}

/* The lines that belong to the block: detail and hint of the server, advice of libpq. */
static void
add_rest(const struct block *b, struct err *e)
{
	static const char *const left_out[] = { "LOCATION:", "Is the server running" };
	const char *line = b->rest;

	while (*line && !begins_block(line)) {
		const int n = line_length(&line);
		bool show = n > 0;

		for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
			if (strncmp(line, left_out[i], strlen(left_out[i])) == 0)
				show = false;
		if (show && strncmp(line, "DETAIL:  ", 9) == 0)
			err_line(e, "detail", "%.*s", n - 9, line + 9);
		else if (show && strncmp(line, "HINT:  ", 7) == 0)
			err_line(e, "hint", "%.*s", n - 7, line + 7);
		else if (show)
			err_line(e, "note", "%.*s", n, line);
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
}

/* Without a server's word, some of libpq's own reasons are no use to try again. */
static enum err_kind
own_kind(const struct block *b)
{
	static const char *const not_believed[] = {
		"certificate", "fe_sendauth", "SCRAM", "server does not support SSL",
		"authentication method requirement",
	};

	for (size_t i = 0; i < sizeof(not_believed) / sizeof(not_believed[0]); i++) {
		const char *found = strstr(b->what, not_believed[i]);

		if (found && found < b->what + b->n)
			return ERR_PERMISSION;
	}
	return ERR_REMOTE;
}

int
pg_error_connect(const char *place, const char *text, char sqlstate[PG_ERROR_STATE],
    struct err *e)
{
	struct block best, b;
	const char *line = text;
	bool found = false;

	while (*line && line - text < TEXT_MAX) {
		if (!found || begins_block(line)) {
			read_block(line, &b);
			if (!found || strncmp(best.sqlstate, "28", 2) != 0)
				best = b;
			found = true;
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	if (!found)
		read_block("it gives no reason", &best);
	memcpy(sqlstate, best.sqlstate, PG_ERROR_STATE);
	if (*best.sqlstate)
		err_set(e, pg_error_kind(best.sqlstate), "postgres at %s: %.*s (%s)", place, best.n,
		    best.what, best.sqlstate);
	else
		err_set(e, own_kind(&best), "postgres at %s: %.*s", place, best.n, best.what);
	add_rest(&best, e);
	return -1;
}

int
pg_error_conninfo(const char *text, struct err *e)
{
	struct buf b;
	bool inside = false;

	buf_init(&b, sizeof(e->text));
	for (const char *p = text; *p && *p != '\n'; p++) {
		if (*p == '"') {
			inside = !inside;
			buf_adds(&b, inside ? "\"" : "...\"");
		} else if (!inside) {
			buf_addc(&b, *p);
		}
	}
	if (inside)
		buf_adds(&b, "...\"");
	err_set(e, ERR_CONFIG, "the connection string is none: %s", buf_str(&b));
	buf_done(&b);
	return err_line(e, "fix",
	    "expected 'host=... user=... sslmode=verify-full', values with blanks in ''; or a "
	    "postgresql:// URI with %%-escapes");
}
