/*
 * Any text as a manifest: what is accepted is written again as the same, and its table finds what
 * it holds.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "repo/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(int condition)
{
	if (!condition)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = {.kind = ERR_NONE};
	struct manifest m, again;
	struct buf once, twice;

	if (manifest_parse((const char *)data, n, &m, &e) == -1) {
		must((e.kind == ERR_CORRUPT || e.kind == ERR_UNSUPPORTED || e.kind == ERR_FULL) &&
		     e.text[0]);
		return 0;
	}
	for (size_t i = 0; i < m.packs; i++)
		must(manifest_pack(&m, m.pack[i].number) == &m.pack[i] &&
		     m.pack[i].number < m.next_pack);
	for (size_t i = 0; i < m.chunks; i++)
		must(manifest_pack(&m, m.chunk[i].ref.pack) != NULL);
	buf_init(&once, SIZE_MAX / 2);
	buf_init(&twice, SIZE_MAX / 2);
	manifest_encode(&m, &once);
	must(manifest_parse((const char *)once.data, once.len, &again, &e) == 0);
	manifest_encode(&again, &twice);
	must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
	buf_done(&once);
	buf_done(&twice);
	manifest_done(&m);
	manifest_done(&again);
	return 0;
}
