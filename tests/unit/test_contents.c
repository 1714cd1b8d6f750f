/*
 * What a file costs from one snapshot to the next, with grains of a page: sixteen to a frame, so
 * that frames can be judged and patches grow long.
 */
#include "tests/lib/testrepo.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/contents.h"
#include "repo/ledger.h"
#include "repo/proof.h"
#include "repo/snapshot.h"
#include "tests/lib/chance.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define PAGE LAYOUT_GRAIN_PAGE_LOG2
#define PER_FRAME 16

static struct testrepo t;
static struct fileset_file *file;
static struct manifest m;
static struct ledger *ledger;
static struct contents_sums sums;
static struct err e;
static size_t pack_size;

static void
must(int rc)
{
	if (rc == -1)
		fail_msg("%s", e.text);
}

static uint32_t
number_pack(void *arg)
{
	(void)arg;
	return ledger_next(ledger);
}

static void
stored_pack(void *arg, const struct packer_pack *pack)
{
	(void)arg;
	ledger_stored(ledger, pack, clock_real_ns());
}

static int
begin(void **state)
{
	(void)state;
	chance_seed(40);
	pack_size = 256u << 10;
	vclock_install(INT64_C(1700000000) * CLOCK_S);
	testrepo_begin(&t, 1, false);
	fileset_remove(&t.set, "a");
	file = fileset_add(&t.set, "rel", 600 * FILESET_CELL);
	manifest_init(&m);
	err_clear(&e);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	manifest_done(&m);
	testrepo_done(&t);
	vclock_remove();
	return 0;
}

/* All grains of the file, zeros now and then in one piece. */
static void
give_grains(struct contents *c)
{
	uint8_t bytes[FILESET_CELL];

	for (size_t i = 0; i < fileset_cells(file); i++) {
		uint64_t off = i * FILESET_CELL;
		struct cut_grain g = {.data = bytes, .len = (uint32_t)FILESET_CELL};

		if (g.len > file->size - off)
			g.len = (uint32_t)(file->size - off);
		fileset_bytes(file, off, bytes, g.len);
		if (file->cell[i] != 0) {
			digest_id(&t.kit.repo->keys->id, bytes, g.len, g.id);
			g.sum = proof_grain(g.id, bytes, g.len);
		} else if (g.len == FILESET_CELL && chance_one_in(2)) {
			g.data = NULL;
			g.zeros = 1;
		}
		must(contents_grain(c, &g, &e));
	}
}

/* A snapshot of the one file, put together from the parts that a writer is made of. */
static void
next(void)
{
	struct packer_options po = {.keys = t.kit.repo->keys,
				    .store = t.kit.tier[0].store,
				    .pack_size = pack_size,
				    .level = 1,
				    .next_number = number_pack,
				    .stored = stored_pack};
	struct entry en = {.type = ENTRY_FILE,
			   .path = file->path,
			   .pathlen = strlen(file->path),
			   .ino = file->ino};
	struct contents_options co = {.key = &t.kit.repo->keys->id};
	struct reader *r = NULL;
	const struct entry *was = NULL;
	struct contents *c;
	struct buf bytes;
	struct manifest out;

	vclock_pass(CLOCK_S);
	manifest_init(&out);
	memcpy(out.source, "vol.test", 9);
	layout_snap_new(out.source, clock_real_ns(), out.name);
	out.started_ns = clock_real_ns();
	out.root = xstrdup("/");
	if (m.name[0])
		must(reader_open(t.kit.repo, &t.kit.tier[0], m.name, &r, &e));
	ledger = ledger_new(r ? reader_manifest(r) : NULL);
	co.parent = parent_new(&(struct parent_options){
	    .reader = r, .now_ns = out.started_ns, .horizon_ns = t.kit.repo->horizon_ns});
	co.data = packer_new(&po);
	co.maps = packer_new(&po);
	c = contents_new(&co);
	must(parent_find(co.parent, &en, &was, &e));
	contents_begin(c, PAGE, was);
	give_grains(c);
	must(contents_end(c, &en, &e));
	list_encode(&en, &out.inline_list);
	must(packer_flush(co.data, &e));
	must(packer_flush(co.maps, &e));
	for (size_t i = 0; i < en.needs; i++)
		must(ledger_want(ledger, en.need[i].pack, en.need[i].grains, &e));
	out.entries = out.files = 1;
	out.bytes = en.size;
	ledger_end(ledger, &out);
	buf_init(&bytes, STORE_OBJECT_MAX);
	must(manifest_seal(&out, t.kit.repo->keys, &bytes, &e));
	must(store_put(t.kit.tier[0].store, out.name, bytes.data, bytes.len, STORE_NEW, &e));
	buf_done(&bytes);
	sums = *contents_sums(c);
	contents_free(c);
	packer_free(co.data);
	packer_free(co.maps);
	ledger_free(ledger);
	parent_free(co.parent);
	reader_free(r);
	manifest_done(&m);
	m = out;
	testrepo_check(&t, 0, m.name, &t.set, 0);
}

/* The file's only map, as the newest snapshot has it. */
static void
load_map(struct map *map)
{
	struct reader *r = NULL;
	const struct entry *en;

	map_init(map);
	must(reader_open(t.kit.repo, &t.kit.tier[0], m.name, &r, &e));
	assert_int_equal(reader_next(r, &en, &e), 1);
	assert_int_equal(en->maps, 1);
	must(reader_map(r, en, 0, map, &e));
	reader_free(r);
}

static void
only_changed_pages_are_stored(void **state)
{
	(void)state;
	pack_size = 32u << 20; /* so that frames are full, and half of each stays wanted */
	next();
	assert_int_equal(sums.fresh, file->size);
	next();
	assert_int_equal(sums.fresh, 0);
	assert_int_equal(sums.kept, file->size);
	for (unsigned i = 0; i < 20; i++) {
		size_t n = 1 + chance_below(4);

		for (size_t k = 0; k < n; k++)
			fileset_write(&t.set, file, i * 29 + k, 1, false);
		next();
		assert_int_equal(sums.fresh, n * FILESET_CELL);
		assert_int_equal(sums.read, file->size);
	}
}

static void
a_chain_of_patches_is_never_longer_than_the_map(void **state)
{
	size_t longest = 0, wholes = 0;

	(void)state;
	fileset_resize(&t.set, file, 3000 * FILESET_CELL, false);
	for (unsigned i = 0; i < 80; i++) {
		struct map map;

		next();
		load_map(&map);
		assert_true(map.links >= 1 && map.links <= MAP_CHAIN_MAX + 1);
		assert_true(map.chain_bytes <= map.whole_bytes);
		longest = map.links > longest ? map.links : longest;
		wholes += map.links == 1;
		map_done(&map);
		/*
		 * A few at first: chains as long as they may be; then many: as heavy as they may
		 * be.
		 */
		for (size_t k = 0; k < (i < 45 ? 2 : 300); k++)
			fileset_write(&t.set, file, chance_below(3000), 1, chance_one_in(9));
	}
	assert_int_equal(longest, MAP_CHAIN_MAX + 1);
	assert_in_range(wholes, 4, 20);
}

/* Grains of the map that lie in packs numbered below this. */
static size_t
grains_below(uint32_t number)
{
	struct map map;
	size_t n = 0;

	load_map(&map);
	for (uint32_t g = 0; g < map.grains; g++)
		n += map.place[g].pack != MAP_ZERO && map.pack[map.place[g].pack] < number;
	map_done(&map);
	return n;
}

static void
a_frame_wanted_by_less_than_a_quarter_is_given_up(void **state)
{
	size_t frames = 600 / PER_FRAME; /* and a part of one */
	uint32_t first;

	(void)state;
	/* one pack, of which more than a quarter stays: this is about frames */
	pack_size = 32u << 20;
	next();
	first = m.next_pack;
	/* Every other frame stays whole; of the others four of sixteen or three. */
	for (size_t f = 0; f < frames; f++)
		if (f % 2 == 0)
			fileset_write(&t.set, file, f * PER_FRAME + (f % 4 == 0 ? 4 : 3),
				      f % 4 == 0 ? 12 : 13, false);
	next();
	assert_int_equal(grains_below(first), 600 - 10 * 12 - 9 * 13);
	assert_int_equal(sums.fresh, (10 * 12 + 9 * 13) * FILESET_CELL);
	next();
	/* Frames with three of sixteen are given up, those with four stay. */
	assert_int_equal(sums.fresh, 9 * 3 * FILESET_CELL);
	assert_int_equal(grains_below(first), 600 - 10 * 12 - 9 * 16);
	next();
	assert_int_equal(sums.fresh, 0);
}

static void
any_history_of_a_file_is_read_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 120; i++) {
		uint64_t size = file->size;

		for (uint64_t k = chance_below(6); k > 0 && size > 0; k--)
			fileset_write(&t.set, file, chance_below(size / FILESET_CELL + 1),
				      1 + chance_below(chance_one_in(4) ? 200 : 3),
				      chance_one_in(3));
		if (chance_one_in(3))
			fileset_resize(&t.set, file,
				       chance_one_in(4) ? chance_below(3 * FILESET_CELL)
							: chance_below(800 * FILESET_CELL),
				       chance_one_in(2));
		if (chance_one_in(8))
			vclock_pass(INT64_C(10 * 86400) * CLOCK_S);
		next();
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(only_changed_pages_are_stored),
	    T(a_chain_of_patches_is_never_longer_than_the_map),
	    T(a_frame_wanted_by_less_than_a_quarter_is_given_up),
	    T(any_history_of_a_file_is_read_back),
	};

	return cmocka_run_group_tests_name("contents", tests, NULL, NULL);
}
