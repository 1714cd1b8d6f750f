/* Any text as a file list: what is an entry must come back from its own line as the same entry. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "repo/list.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
judge(const struct entry *en)
{
	struct entry *copy = list_entry_copy(en);
	struct list_reader r;
	const struct entry *back;
	struct buf once, twice;
	struct err e;

	must(en->pathlen > 0 &&
	     list_path_order(en->path, en->pathlen, copy->path, copy->pathlen) == 0);
	buf_init(&once, SIZE_MAX / 2);
	buf_init(&twice, SIZE_MAX / 2);
	list_encode(copy, &once);
	list_reader_init(&r);
	list_reader_set(&r, once.data, once.len);
	must(list_next(&r, &back, &e) == 1);
	list_encode(back, &twice);
	must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
	must(list_next(&r, &back, &e) == 0);
	list_reader_done(&r);
	buf_done(&once);
	buf_done(&twice);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = {.kind = ERR_NONE};
	const struct entry *en;
	struct list_reader r;
	int got;

	list_reader_init(&r);
	list_reader_set(&r, data, n);
	while ((got = list_next(&r, &en, &e)) == 1)
		judge(en);
	must(got == 0 || (e.kind == ERR_CORRUPT && e.text[0]));
	list_reader_done(&r);
	return 0;
}
