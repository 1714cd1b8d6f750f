/*
 * Texts of the coordination place. People look at them with cat and kubectl when things are bad, so
 * they are words; programs of several hosts compare them, so a value has one spelling: what is read
 * is written again and must come out the same.
 */
#include "coord/fields.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "base/text.h"

#define US INT64_C(1000)

static void
write_one(const struct fields *f, const void *from, struct buf *out)
{
	const char *at = (const char *)from + f->offset;
	char lsn[LSN_TEXT];
	uint32_t u32;
	uint64_t u64;
	int64_t ns;

	buf_addf(out, "%s ", f->key);
	switch (f->type) {
	case FIELDS_TEXT:
		text_escape(at, strnlen(at, f->size), out);
		break;
	case FIELDS_U32:
		memcpy(&u32, at, sizeof(u32));
		buf_addf(out, "%" PRIu32, u32);
		break;
	case FIELDS_U64:
		memcpy(&u64, at, sizeof(u64));
		buf_addf(out, "%" PRIu64, u64);
		break;
	case FIELDS_LSN:
		memcpy(&u64, at, sizeof(u64));
		buf_adds(out, lsn_text(u64, lsn));
		break;
	case FIELDS_TIME:
		memcpy(&ns, at, sizeof(ns));
		buf_addf(out, "%" PRId64, ns / US);
		break;
	}
	buf_addc(out, '\n');
}

void
fields_write(const struct fields *table, const void *from, struct buf *out)
{
	for (; table->key != NULL; table++)
		write_one(table, from, out);
}

/* Decimal digits alone, at most `most`; 0 or -1. */
static int
number(const char *s, uint64_t most, uint64_t *ret)
{
	uint64_t v = 0;

	if (*s == '\0')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -1;
	*ret = v;
	return *s == '\0' && v <= most ? 0 : -1;
}

static int
read_text(const struct fields *f, const char *value, char *at)
{
	struct buf plain;
	int rc = -1;

	buf_init(&plain, f->size - 1);
	if (text_unescape(value, strlen(value), &plain) == 0 && !plain.over &&
	    memchr(buf_str(&plain), '\0', plain.len) == NULL) {
		memset(at, 0, f->size);
		memcpy(at, buf_str(&plain), plain.len);
		rc = 0;
	}
	buf_done(&plain);
	return rc;
}

static int
read_one(const struct fields *f, const char *value, void *into)
{
	char *at = (char *)into + f->offset;
	uint64_t u64;
	uint32_t u32;
	int64_t ns;

	switch (f->type) {
	case FIELDS_TEXT:
		return read_text(f, value, at);
	case FIELDS_U32:
		if (number(value, UINT32_MAX, &u64) == -1)
			return -1;
		u32 = (uint32_t)u64;
		memcpy(at, &u32, sizeof(u32));
		return 0;
	case FIELDS_U64:
	case FIELDS_LSN:
		if ((f->type == FIELDS_U64 ? number(value, UINT64_MAX, &u64) :
		    lsn_parse(value, &u64)) == -1)
			return -1;
		memcpy(at, &u64, sizeof(u64));
		return 0;
	case FIELDS_TIME:
		if (number(value, (uint64_t)(INT64_MAX / US), &u64) == -1)
			return -1;
		ns = (int64_t)u64 * US;
		memcpy(at, &ns, sizeof(ns));
		return 0;
	}
	return -1;
}

int
fields_read(const struct fields *table, const struct buf *text, void *into, struct err *e)
{
	const char *p = buf_str(text), *end = p + text->len;
	struct buf again;
	int line = 1;

	for (const struct fields *f = table; f->key != NULL; f++, line++) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t key = strlen(f->key);
		struct buf value;
		int rc = -1;

		if (stop == NULL || (size_t)(stop - p) <= key || memcmp(p, f->key, key) != 0 ||
		    p[key] != ' ')
			return err_set(e, ERR_CORRUPT, "line %d: expected '%s ...'", line, f->key);
		buf_init(&value, text->len);
		buf_add(&value, p + key + 1, (size_t)(stop - p) - key - 1);
		if (strlen(buf_str(&value)) == value.len)
			rc = read_one(f, buf_str(&value), into);
		buf_done(&value);
		if (rc == -1)
			return err_set(e, ERR_CORRUPT, "line %d: '%s' has a value that it cannot "
			    "have", line, f->key);
		p = stop + 1;
	}
	buf_init(&again, text->len);
	fields_write(table, into, &again);
	line = p == end && !again.over && again.len == text->len &&
	    memcmp(buf_str(&again), buf_str(text), text->len) == 0 ? 0 : -1;
	buf_done(&again);
	return line == 0 ? 0 : err_set(e, ERR_CORRUPT, "text is not spelled as it must be");
}
