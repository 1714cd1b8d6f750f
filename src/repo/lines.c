/*
 * Texts that are signed have one spelling: fields in a fixed order, one blank, no leading zeros,
 * lower case hex. So a reader never has to decide what a strange line may have meant, and two
 * readers cannot decide differently.
 */
#include "repo/lines.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"

#define VALUE_MAX 256 /* of values of a kind; free text has the caller's limit */

void
lines_set(struct lines *l, const struct buf *text)
{
	l->at = buf_str(text);
	l->end = l->at + text->len;
	l->number = 0;
}

bool
lines_next_is(const struct lines *l, const char *key)
{
	size_t n = strlen(key);

	return (size_t)(l->end - l->at) > n && memcmp(l->at, key, n) == 0 && l->at[n] == ' ';
}

int
lines_take(struct lines *l, const char *key, struct buf *out, struct err *e)
{
	const char *start, *stop;

	l->number++;
	if (!lines_next_is(l, key))
		return err_set(e, ERR_CORRUPT, "line %zu: expected '%s ...'", l->number, key);
	start = l->at + strlen(key) + 1;
	stop = memchr(start, '\n', (size_t)(l->end - start));
	if (stop == NULL || memchr(start, '\0', (size_t)(stop - start)) != NULL)
		return err_set(e, ERR_CORRUPT, "line %zu: '%s' does not end as a line of text",
		    l->number, key);
	buf_reset(out);
	buf_add(out, start, (size_t)(stop - start));
	if (out->over)
		return err_set(e, ERR_CORRUPT, "line %zu: '%s' is longer than %zu characters",
		    l->number, key, out->limit);
	l->at = stop + 1;
	return 0;
}

static int
bad_value(const struct lines *l, const char *key, const struct buf *value, const char *expected,
    struct err *e)
{
	return err_set(e, ERR_CORRUPT, "line %zu: '%s %.40s': expected %s", l->number, key,
	    buf_str(value), expected);
}

int
lines_take_hex(struct lines *l, const char *key, uint8_t *out, size_t n, struct err *e)
{
	struct buf value;
	int rc;

	buf_init(&value, VALUE_MAX);
	rc = lines_take(l, key, &value, e);
	if (rc == 0 && (value.len != 2 * n || text_unhex(buf_str(&value), out, n) == -1))
		rc = bad_value(l, key, &value, "lower case hex of its length", e);
	buf_done(&value);
	return rc;
}

int
lines_take_number(struct lines *l, const char *key, uint64_t most, uint64_t *ret, struct err *e)
{
	struct buf value;
	uint64_t n = 0;
	bool over;
	int rc;

	buf_init(&value, VALUE_MAX);
	rc = lines_take(l, key, &value, e);
	if (rc == 0) {
		const char *s = buf_str(&value);

		over = *s == '\0' || (*s == '0' && s[1] != '\0');
		for (; *s >= '0' && *s <= '9' && !over; s++)
			over = __builtin_mul_overflow(n, 10, &n) ||
			    __builtin_add_overflow(n, (unsigned)(*s - '0'), &n);
		if (over || *s != '\0' || n > most)
			rc = bad_value(l, key, &value, "a number in range", e);
		else
			*ret = n;
	}
	buf_done(&value);
	return rc;
}

int
lines_parse_time(const char *s, int64_t *ret_ns)
{
	char again[UNITS_TEXT];
	int64_t ns;

	if (units_parse_time(s, &ns, NULL) == -1 || strcmp(units_time(ns, again), s) != 0)
		return -1;
	*ret_ns = ns;
	return 0;
}

int
lines_take_time(struct lines *l, const char *key, int64_t *ret_ns, struct err *e)
{
	struct buf value;
	int rc;

	buf_init(&value, VALUE_MAX);
	rc = lines_take(l, key, &value, e);
	if (rc == 0 && lines_parse_time(buf_str(&value), ret_ns) == -1)
		rc = bad_value(l, key, &value, "a time as 2026-11-21T02:00:00Z", e);
	buf_done(&value);
	return rc;
}

int
lines_take_word(struct lines *l, const char *key, const char *want, struct err *e)
{
	struct buf value;
	int rc;

	buf_init(&value, VALUE_MAX);
	rc = lines_take(l, key, &value, e);
	if (rc == 0 && strcmp(buf_str(&value), want) != 0)
		rc = bad_value(l, key, &value, want, e);
	buf_done(&value);
	return rc;
}

int
lines_take_text(struct lines *l, const char *key, char *out, size_t room, struct err *e)
{
	struct buf word, plain;
	int rc;

	buf_init(&word, room * strlen("\\xHH"));
	buf_init(&plain, room - 1);
	rc = lines_take(l, key, &word, e);
	if (rc == 0 && (text_unescape(buf_str(&word), word.len, &plain) == -1 || plain.over ||
	    memchr(buf_str(&plain), '\0', plain.len) != NULL))
		rc = bad_value(l, key, &word, "an escaped text of its length", e);
	if (rc == 0)
		memcpy(out, buf_str(&plain), plain.len + 1);
	buf_done(&word);
	buf_done(&plain);
	return rc;
}

void
lines_add_text(struct buf *text, const char *key, const char *value)
{
	buf_adds(text, key);
	buf_addc(text, ' ');
	text_escape(value, strlen(value), text);
	buf_addc(text, '\n');
}

int
lines_take_lsn(struct lines *l, const char *key, uint64_t *ret, struct err *e)
{
	uint8_t bytes[8];

	if (lines_take_hex(l, key, bytes, sizeof(bytes), e) == -1)
		return -1;
	*ret = 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		*ret = *ret << 8 | bytes[i];
	return 0;
}

void
lines_add_lsn(struct buf *text, const char *key, uint64_t lsn)
{
	buf_addf(text, "%s %016llx\n", key, (unsigned long long)lsn);
}

int
lines_end(const struct lines *l, struct err *e)
{
	if (l->at == l->end)
		return 0;
	return err_set(e, ERR_CORRUPT, "line %zu: expected the end of the text", l->number + 1);
}

size_t
lines_offset(const struct lines *l, const struct buf *text)
{
	return text->len - (size_t)(l->end - l->at);
}

void
lines_memory_fix(struct err *e, const char *path, const char *what)
{
	int dir = (int)(strrchr(path, '/') - path);

	if (e->kind == ERR_PERMISSION)
		err_line(e, "fix", "it must belong to whom its directory belongs; as root: "
		    "chown --reference='%.*s' '%s'", dir, path, path);
	else if (e->kind == ERR_CORRUPT)
		err_line(e, "fix", "it remembers %s; remove it to begin anew", what);
}

int
lines_memory_read(const char *path, size_t max, const char *first, const char *what,
    int (*take)(void *arg, struct lines *l, struct err *e), void *arg, struct err *e)
{
	struct err why = { 0 };
	struct buf text;
	struct lines l;
	int rc = -1;

	buf_init(&text, max);
	if (file_get(AT_FDCWD, path, &text, &why) == -1) {
		rc = why.kind == ERR_NOTFOUND ? 0 : -1;
	} else {
		lines_set(&l, &text);
		if (lines_take_word(&l, first, "1", &why) == 0 && take(arg, &l, &why) == 0 &&
		    lines_end(&l, &why) == 0)
			rc = 1;
	}
	if (rc == -1 && e != NULL) {
		*e = why;
		err_in(e, "'%s'", path);
		lines_memory_fix(e, path, what);
	}
	buf_done(&text);
	return rc;
}

int
lines_memory_write(const char *path, const char *first, const struct buf *rest, struct err *e)
{
	char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	struct buf text;
	int rc = -1;

	buf_init(&text, rest->len + strlen(first) + sizeof(" 1\n"));
	buf_addf(&text, "%s 1\n", first);
	buf_add(&text, rest->data, rest->len);
	/* `state` says who comes this far: its group shares what root remembers. */
	if (buf_check(rest, "what is remembered", e) == 0 &&
	    buf_check(&text, "what is remembered", e) == 0 &&
	    file_make_dirs(AT_FDCWD, parent, 0770, e) == 0 &&
	    file_put(AT_FDCWD, path, text.data, text.len, 0640, FILE_REPLACE, e) != -1)
		rc = 0;
	buf_done(&text);
	free(parent);
	return rc;
}
