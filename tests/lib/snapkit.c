#include "tests/lib/snapkit.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "filter/digest.h"
#include "repo/manifest.h"
#include "tests/lib/memstore.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define PACK_BYTES 40

static void
must(int rc, const struct err *e)
{
	if (rc == -1)
		fail_msg("%s: %s", err_word(e->kind), e->text);
}

int
snapkit_begin(struct repokit *k, size_t tiers)
{
	vclock_install(INT64_C(1700000000) * CLOCK_S);
	repokit_init(k, tiers);
	return 0;
}

int
snapkit_done(struct repokit *k)
{
	repokit_done(k);
	vclock_remove();
	return 0;
}

static void
pack_bytes(unsigned pack, char out[PACK_BYTES])
{
	memset(out, 0, PACK_BYTES);
	snprintf(out, PACK_BYTES, "the bytes of pack %u", pack);
}

void
snapkit_sha(unsigned pack, uint8_t sha[LAYOUT_SHA])
{
	char bytes[PACK_BYTES];

	pack_bytes(pack, bytes);
	digest_sha256(bytes, sizeof(bytes), sha);
}

void
snapkit_put_pack(struct repokit *k, size_t tier, unsigned pack)
{
	char bytes[PACK_BYTES], name[LAYOUT_NAME];
	uint8_t sha[LAYOUT_SHA];
	struct err e = { 0 };

	snapkit_sha(pack, sha);
	pack_bytes(pack, bytes);
	must(store_put(k->tier[tier].store, layout_pack(sha, name), bytes, sizeof(bytes), STORE_NEW,
	    &e), &e);
}

bool
snapkit_has(struct repokit *k, size_t tier, const char *name)
{
	return memstore_bytes(k->tier[tier].store, name, NULL) != NULL;
}

bool
snapkit_has_pack(struct repokit *k, size_t tier, unsigned pack)
{
	uint8_t sha[LAYOUT_SHA];
	char name[LAYOUT_NAME];

	snapkit_sha(pack, sha);
	return snapkit_has(k, tier, layout_pack(sha, name));
}

void
snapkit_put(struct repokit *k, size_t tier, const struct snapkit_snap *s, char name[LAYOUT_NAME])
{
	const char *source = s->source == NULL ? "vol.test" : s->source;
	struct manifest m;
	struct err e = { 0 };
	struct buf bytes;

	manifest_init(&m);
	buf_init(&bytes, 1 << 20);
	m.started_ns = m.finished_ns = m.compared_ns = clock_real_ns() / CLOCK_S * CLOCK_S;
	layout_snap_new(source, s->time_ns == 0 ? m.started_ns : s->time_ns, m.name);
	snprintf(m.source, sizeof(m.source), "%s", source);
	m.root = xstrdup("/srv/test");
	m.partial = s->partial;
	while (s->pack[m.packs] != 0) {
		m.pack = mem_grow(m.pack, &m.pack_room, m.packs + 1, sizeof(*m.pack));
		m.pack[m.packs] = (struct manifest_pack){ .number = (uint32_t)m.packs,
			.size = PACK_BYTES, .time_ns = m.started_ns, .grains = 1, .wanted = 1 };
		snapkit_sha(s->pack[m.packs], m.pack[m.packs].sha);
		snapkit_put_pack(k, tier, s->pack[m.packs]);
		m.packs++;
	}
	m.next_pack = (uint32_t)m.packs;
	must(manifest_seal(&m, k->repo->keys, &bytes, &e), &e);
	must(store_put(k->tier[tier].store, m.name, bytes.data, bytes.len, STORE_NEW, &e), &e);
	memcpy(name, m.name, LAYOUT_NAME);
	buf_done(&bytes);
	manifest_done(&m);
}

static int
count_seen(void *arg, const struct store_entry *entry, struct err *e)
{
	(void)entry;
	(void)e;
	++*(size_t *)arg;
	return 0;
}

size_t
snapkit_count(struct repokit *k, size_t tier, const char *prefix)
{
	struct err e = { 0 };
	size_t n = 0;

	must(store_list(k->tier[tier].store, prefix, NULL, count_seen, &n, &e), &e);
	return n;
}
