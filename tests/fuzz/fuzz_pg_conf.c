/*
 * A line that is read and written again says the same, and a text filtered once has nothing left to
 * be filtered.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "source/pg/pg_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static bool
again(void *arg, const struct pg_conf_line *l)
{
	struct pg_conf_line back;
	struct buf text;

	(void)arg;
	pg_conf_line_init(&back);
	buf_init(&text, 1u << 20);
	/* No value of a server has a NUL in it. */
	if (strlen(buf_str(&l->value)) == l->value.len) {
		pg_conf_set(&text, "key", buf_str(&l->value));
		must(pg_conf_line_read(buf_str(&text), text.len - 1, &back));
		must(strcmp(buf_str(&back.value), buf_str(&l->value)) == 0);
	}
	pg_conf_line_done(&back);
	buf_done(&text);
	return l->keylen % 2 == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf once, twice;

	if (n > 4096)
		return 0;
	buf_init(&once, 1u << 20);
	buf_init(&twice, 1u << 20);
	pg_conf_filter((const char *)data, n, n % 2, again, NULL, &once);
	must(pg_conf_filter(buf_str(&once), once.len, false, again, NULL, &twice) == 0);
	must(twice.len == once.len);
	buf_done(&once);
	buf_done(&twice);
	return 0;
}
