#ifndef SOURCE_PG_CONF_H
#define SOURCE_PG_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * The text of postgresql.conf and postgresql.auto.conf, read and written as far as a restore has
 * to. Pure.
 */

struct pg_conf_line {
	const char *key; /* as written; not ended by a NUL */
	size_t keylen;
	struct buf value; /* without quotes */
};
void pg_conf_line_init(struct pg_conf_line *l);
void pg_conf_line_done(struct pg_conf_line *l);
/*
 * `key = value`, `key value`, include directives as well: true. Blank lines, comments and what no
 * server would take: false.
 */
bool pg_conf_line_read(const char *line, size_t n, struct pg_conf_line *ret);
/* Names of settings are the same in upper and lower case. */
bool pg_conf_line_is(const struct pg_conf_line *l, const char *key);

/*
 * Copies the text to out. A line for which drop() says true becomes a comment that begins with
 * PG_CONF_MARK; with `gone` set it is left out. Returns how many there were.
 */
#define PG_CONF_MARK "#ffdr: "
size_t pg_conf_filter(const char *text, size_t n, bool gone,
    bool (*drop)(void *arg, const struct pg_conf_line *l), void *arg, struct buf *out);

/*
 * The text without what stands behind password= (sslpassword=, PGPASSWORD=) and between user and host
 * of a URI: a connection string goes on without it, and asks a password file.
 */
void pg_conf_unsecret(const char *text, struct buf *out);

/* `key = 'value'` and a newline, quoted. */
void pg_conf_set(struct buf *out, const char *key, const char *value);
/*
 * A word of a command that the server gives to a shell after it has put file names in for %f and
 * %p: quoted for the shell where it must be, % doubled. A blank goes before it unless out is empty.
 */
void pg_conf_word(struct buf *out, const char *word);

#endif
