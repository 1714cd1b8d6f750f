/*
 * A whole map and a patch of it: the first two bytes say how long the map is, the rest of the input
 * is the patch. What is accepted must be sound, and must be read from its own encoding as the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "repo/map.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
judge(const struct map *m)
{
	static const uint8_t zero[GRAIN_ID_LEN];
	struct map again;
	struct buf bytes;
	struct err e;

	for (uint32_t g = 0; g < m->grains; g++) {
		int is_zero = memcmp(m->id[g], zero, sizeof(zero)) == 0;

		must(is_zero == (m->place[g].pack == MAP_ZERO));
		must(is_zero || m->place[g].pack < m->packs);
	}
	map_init(&again);
	buf_init(&bytes, MAP_RAW_MAX);
	map_encode(m, &bytes);
	must(!bytes.over);
	must(map_decode(bytes.data, bytes.len, &again, &e) == 0);
	must(map_same(m, &again));
	buf_done(&bytes);
	map_done(&again);
}

/* The patch from one to the other makes the other. */
static void
judge_pair(struct map *from, const struct map *to, const uint8_t *base, size_t n)
{
	struct buf patch;
	struct map again;
	struct err e;

	map_init(&again);
	buf_init(&patch, MAP_RAW_MAX);
	from->links = 1;
	map_encode_patch(from, to, &patch);
	must(map_decode(base, n, &again, &e) == 0);
	if (!patch.over) {
		must(map_apply(patch.data, patch.len, &again, &e) == 0);
		must(map_same(to, &again));
	}
	buf_done(&patch);
	map_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct entry_ref link[MAP_CHAIN_MAX];
	struct map base, m;
	size_t len, links = 0;
	struct err e = {.kind = ERR_NONE};

	if (n < 2)
		return 0;
	len = buf_get_u16(data);
	data += 2;
	n -= 2;
	if (len > n)
		len = n;
	map_init(&base);
	map_init(&m);
	if (map_links(data + len, n - len, link, &links, &e) == 0)
		must(links <= MAP_CHAIN_MAX);
	if (map_decode(data, len, &base, &e) == 0 && map_decode(data, len, &m, &e) == 0) {
		judge(&base);
		if (map_apply(data + len, n - len, &m, &e) == 0) {
			judge(&m);
			judge_pair(&base, &m, data, len);
		} else {
			must(e.kind == ERR_CORRUPT && e.text[0]);
		}
	} else {
		must(e.kind == ERR_CORRUPT && e.text[0]);
	}
	map_done(&base);
	map_done(&m);
	return 0;
}
