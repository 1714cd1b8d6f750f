/*
 * The first byte is the timeline, the rest its history. What is accepted must rise, and each byte
 * of the log must belong to the one timeline whose span holds it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "source/pg/pg_history.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
judge(const struct pg_history *h)
{
	uint64_t from, to, before = 0;

	for (size_t i = 0; i <= h->count; i++) {
		uint32_t timeline = i < h->count ? h->step[i].timeline : h->timeline;

		must(pg_history_span(h, timeline, &from, &to));
		must(from == before && to >= from);
		must(i == 0 || timeline > h->step[i - 1].timeline);
		must(from == to || pg_history_at(h, from) == timeline);
		must(from == to || pg_history_at(h, to - 1) == timeline);
		must(pg_history_covers(h, timeline, to));
		before = to;
	}
	must(before == UINT64_MAX);
	must(pg_history_extends(h, h));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = { .kind = ERR_NONE };
	struct pg_history h;

	if (n == 0)
		return 0;
	pg_history_init(&h, data[0]);
	if (pg_history_parse(data[0], (const char *)data + 1, n - 1, &h, &e) == 0)
		judge(&h);
	else
		must(e.kind == ERR_CORRUPT && e.text[0] && h.count == 0);
	pg_history_done(&h);
	return 0;
}
