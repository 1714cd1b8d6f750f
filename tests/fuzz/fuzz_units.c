/*
 * The small parsers: sizes, durations, times, escaped words, base64. The first byte of the input
 * chooses one, the rest is its text. Whatever is accepted must come back from its writer.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
try_size(const char *s)
{
	char text[UNITS_TEXT], people[UNITS_TEXT];
	uint64_t v, again;
	struct err e;

	if (units_parse_size(s, &v, &e) == -1) {
		must(e.kind == ERR_USAGE);
		return;
	}
	must(units_parse_size(units_size_key(v, text), &again, &e) == 0 && again == v);
	must(strlen(units_size(v, people)) < UNITS_TEXT);
}

static void
try_duration(const char *s)
{
	char text[UNITS_TEXT], people[UNITS_TEXT];
	int64_t v, again;
	struct err e;

	if (units_parse_duration(s, &v, &e) == -1) {
		must(e.kind == ERR_USAGE);
		return;
	}
	must(v >= 0);
	must(units_parse_duration(units_duration_key(v, text), &again, &e) == 0 && again == v);
	must(strlen(units_duration(v, people)) < UNITS_TEXT);
}

static void
try_time(const char *s)
{
	int64_t v, again, second = INT64_C(1000000000);
	char text[UNITS_TEXT];
	struct err e;

	if (units_parse_time(s, &v, &e) == 0) {
		/* An offset may lead just out of the years that can be read. */
		if (units_parse_time(units_time(v, text), &again, &e) == 0)
			must(v - again >= 0 && v - again < second);
	}
	if (units_parse_time_compact(s, &v) == 0) {
		units_time_compact(v, text);
		must(strncmp(text, s, strlen(text)) == 0);
	}
}

static void
try_escape(const char *bytes, size_t n)
{
	struct buf word, back;

	buf_init(&word, 4 * n + 2);
	buf_init(&back, n + 1);
	text_escape(bytes, n, &word);
	must(!word.over && word.len > 0);
	must(!memchr(word.data, ' ', word.len) && !memchr(word.data, '\n', word.len));
	must(text_utf8_valid(buf_str(&word), word.len));
	must(text_unescape(buf_str(&word), word.len, &back) == 0);
	must(back.len == n && (n == 0 || memcmp(back.data, bytes, n) == 0));
	/* The input as a word: accepted only when it is the one form of what it says. */
	buf_reset(&word);
	buf_reset(&back);
	if (text_unescape(bytes, n, &back) == 0) {
		text_escape(buf_str(&back), back.len, &word);
		must(word.len == n && memcmp(word.data, bytes, n) == 0);
	}
	buf_done(&word);
	buf_done(&back);
}

static void
try_base64(const char *bytes, size_t n)
{
	struct buf text, back;

	buf_init(&text, 2 * n + 4);
	buf_init(&back, n + 1);
	text_base64((const uint8_t *)bytes, n, &text);
	must(text_unbase64(buf_str(&text), text.len, &back) == 0);
	must(back.len == n && (n == 0 || memcmp(back.data, bytes, n) == 0));
	buf_reset(&text);
	buf_reset(&back);
	if (text_unbase64(bytes, n, &back) == 0) {
		text_base64((const uint8_t *)buf_str(&back), back.len, &text);
		must(text.len == n && (n == 0 || memcmp(text.data, bytes, n) == 0));
	}
	buf_done(&text);
	buf_done(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *s;

	if (n == 0)
		return 0;
	s = xstrndup((const char *)data + 1, n - 1);
	switch (data[0]) {
	case 's':
		try_size(s);
		break;
	case 'd':
		try_duration(s);
		break;
	case 't':
		try_time(s);
		break;
	case 'e':
		try_escape((const char *)data + 1, n - 1);
		break;
	case 'b':
		try_base64((const char *)data + 1, n - 1);
		break;
	default:
		break;
	}
	free(s);
	return 0;
}
