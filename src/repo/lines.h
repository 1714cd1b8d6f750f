#ifndef REPO_LINES_H
#define REPO_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Clear texts of lines `key value`, read strictly in order. Used for key objects, repo/<n>,
 * records.
 */
struct lines {
	const char *at, *end;
	size_t number; /* of the line read last */
};

void lines_set(struct lines *l, const struct buf *text); /* borrowed */
/* True when the next line's key is this one. */
bool lines_next_is(const struct lines *l, const char *key);
/*
 * The value of the next line, which must have this key; out is a string afterwards (emptied
 * first, its limit holds). ERR_CORRUPT with the line's number when it is another line, has a NUL
 * byte or no line break.
 */
int lines_take(struct lines *l, const char *key, struct buf *out, struct err *e);
/*
 * As lines_take, for values of one kind. Their text has one form only: what would be written
 * again.
 */
int lines_take_hex(struct lines *l, const char *key, uint8_t *out, size_t n, struct err *e);
int lines_take_number(struct lines *l, const char *key, uint64_t most, uint64_t *ret,
    struct err *e);
int lines_take_time(struct lines *l, const char *key, int64_t *ret_ns, struct err *e);
int lines_take_word(struct lines *l, const char *key, const char *want, struct err *e);
/* Words of people: escaped in the text, out (room bytes) gets the string. */
int lines_take_text(struct lines *l, const char *key, char *out, size_t room, struct err *e);
void lines_add_text(struct buf *text, const char *key, const char *value);
/* An LSN, in 16 digits as in names. */
int lines_take_lsn(struct lines *l, const char *key, uint64_t *ret, struct err *e);
void lines_add_lsn(struct buf *text, const char *key, uint64_t lsn);
/* ERR_CORRUPT unless all was read. */
int lines_end(const struct lines *l, struct err *e);
/* Where the next line starts, as an offset into the text. */
size_t lines_offset(const struct lines *l, const struct buf *text);

/*
 * The way out for a file of `state` that cannot be used; `what` it remembers. Where rights are what
 * is wrong, throwing the memory away is no cure.
 */
void lines_memory_fix(struct err *e, const char *path, const char *what);

/*
 * A file of `state` that remembers something: `first` and 1 on its first line, the rest is what
 * `take` reads. 1 read, 0 it is not there, -1 with the way out. e may be NULL.
 */
int lines_memory_read(const char *path, size_t max, const char *first, const char *what,
    int (*take)(void *arg, struct lines *l, struct err *e), void *arg, struct err *e);
/* The same written anew, its directory made where it is not there. `rest`: what follows the first line. */
int lines_memory_write(const char *path, const char *first, const struct buf *rest, struct err *e);

/* A time in the one form used in texts, "2026-11-21T02:00:00Z"; 0 or -1. */
int lines_parse_time(const char *s, int64_t *ret_ns);

#endif
