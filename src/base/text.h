#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Text forms of bytes, and the small questions asked of words. */

#define TEXT_HEX(n) ((n) * 2 + 1)
/* Lower case, NUL at the end; out holds TEXT_HEX(n) bytes and is returned. */
char *text_hex(const uint8_t *bytes, size_t n, char *out);
/* Exactly n bytes from 2n lower case hex digits at s (what follows is not looked at); 0 or -1. */
int text_unhex(const char *s, uint8_t *out, size_t n);

void text_base64(const uint8_t *bytes, size_t n, struct buf *out);
int text_unbase64(const char *s, size_t n, struct buf *out); /* strict; 0 or -1 */

/*
 * Any bytes as one word without blanks: printable ASCII and valid UTF-8 stand as they are, but
 * blank, control characters, backslash and stray bytes become \xHH. The empty string is "\-".
 */
void text_escape(const char *bytes, size_t n, struct buf *out);
/* Strict: only what text_escape() would have written; 0, or -1 with out as before. */
int text_unescape(const char *word, size_t n, struct buf *out);

/* fnmatch(3) with * ? [..] and backslash; neither of them matches a '/'. */
bool text_match(const char *pattern, const char *name);
bool text_utf8_valid(const char *s, size_t n);

/* The candidate nearest to word when near enough to be meant, else NULL. list ends with NULL. */
const char *text_nearest(const char *word, const char *const *list);

/* Splits at commas, trims blanks, drops empty parts; one allocation per part. */
struct text_list {
	char **item;
	size_t count;
};
void text_split(const char *s, struct text_list *ret);
void text_list_done(struct text_list *list);

#endif
