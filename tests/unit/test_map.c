#include "tests/lib/vector.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/map.h"
#include "tests/lib/chance.h"

static struct digest_idkey key;
static struct map a, b, c;
static struct buf one, two;
static struct err e;

static int
begin(void **state)
{
	static const uint8_t secret[32] = {1};

	(void)state;
	chance_seed(4711);
	digest_idkey_init(&key, secret);
	map_init(&a);
	map_init(&b);
	map_init(&c);
	buf_init(&one, MAP_RAW_MAX);
	buf_init(&two, MAP_RAW_MAX);
	err_clear(&e);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	map_done(&a);
	map_done(&b);
	map_done(&c);
	buf_done(&one);
	buf_done(&two);
	return 0;
}

static struct map_place
some_place(struct map *m)
{
	return (struct map_place){.pack = (uint16_t)map_pack(m, (uint32_t)chance_below(40)),
				  .frame = (uint16_t)chance_below(5),
				  .own = (uint16_t)(1 + chance_below(16)),
				  .first = (uint16_t)chance_below(100)};
}

static void
some_id(uint8_t id[GRAIN_ID_LEN])
{
	chance_bytes(id, GRAIN_ID_LEN);
	id[0] |= 1;
}

/* Grains as backups leave them: runs, single ones, zeros. */
static void
fill(struct map *m, uint8_t grain_log2, uint32_t grains)
{
	uint8_t id[GRAIN_ID_LEN];

	map_reset(m, grain_log2);
	while (m->grains < grains) {
		struct map_place at = some_place(m);
		uint64_t n = 1 + chance_below(20);
		bool zero = chance_one_in(4);

		for (; n > 0 && m->grains < grains; n--, at.first++) {
			some_id(id);
			if (zero)
				map_add_zero(m);
			else
				map_add(m, id, at);
		}
	}
}

/* `to` becomes `from` of another length with some grains changed, moved or made zero. */
static void
edit(const struct map *from, struct map *to, uint32_t grains, unsigned one_in)
{
	uint8_t id[GRAIN_ID_LEN];

	map_reset(to, from->grain_log2);
	for (uint32_t g = 0; g < grains; g++) {
		struct map_place at;

		if (g >= from->grains || chance_one_in(one_in)) {
			some_id(id);
			if (chance_one_in(5))
				map_add_zero(to);
			else
				map_add(to, id, some_place(to));
			continue;
		}
		at = from->place[g];
		if (at.pack == MAP_ZERO) {
			map_add_zero(to);
			continue;
		}
		at.pack = (uint16_t)map_pack(to, from->pack[at.pack]);
		at.frame = (uint16_t)(at.frame + chance_one_in(one_in));
		map_add(to, from->id[g], at);
	}
}

static void
a_map_comes_back_as_it_was_written(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		uint8_t g = (uint8_t)(13 + chance_below(5));

		fill(&a, g, 1 + (uint32_t)chance_below(i < 290 ? 500 : 1u << (30 - g)));
		buf_reset(&one);
		buf_reset(&two);
		map_encode(&a, &one);
		assert_false(one.over);
		assert_int_equal(map_decode(one.data, one.len, &b, &e), 0);
		assert_true(map_same(&a, &b));
		assert_int_equal(b.whole_bytes, one.len);
		map_encode(&b, &two);
		assert_int_equal(one.len, two.len);
		assert_memory_equal(one.data, two.data, one.len);
	}
}

static void
the_largest_map_fits_its_bound(void **state)
{
	uint8_t id[GRAIN_ID_LEN];

	(void)state;
	map_reset(&a, LAYOUT_GRAIN_PAGE_LOG2);
	/* As many packs as a map may name, every grain a run of its own. */
	for (uint32_t g = 0; g < MAP_GRAINS_MAX; g++) {
		struct map_place at = {.own = 1, .first = (uint16_t)(g % 7)};

		if (a.packs < MAP_PACKS_MAX) {
			a.pack = mem_grow(a.pack, &a.pack_room, a.packs + 1, sizeof(*a.pack));
			a.pack[a.packs] = (uint32_t)a.packs;
			a.packs++;
		}
		at.pack = (uint16_t)(g % a.packs);
		some_id(id);
		map_add(&a, id, at);
	}
	assert_int_equal(map_pack(&a, 1u << 20), -1);
	map_encode(&a, &one);
	assert_false(one.over);
	assert_int_equal(map_decode(one.data, 16 + 4 * MAP_PACKS_MAX, &b, &e), -1);
	map_reset(&b, LAYOUT_GRAIN_PAGE_LOG2);
	map_encode_patch(&b, &a, &two);
	/* every grain new: a patch is longer than the map, and no harm done */
	assert_true(two.over);
}

static void
a_patch_makes_the_target_of_its_base(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		uint32_t n = 1 + (uint32_t)chance_below(300), m = n;

		fill(&a, 17, n);
		if (chance_one_in(2))
			m = 1 + (uint32_t)chance_below(400);
		edit(&a, &b, m, 1 + (unsigned)chance_below(50));
		a.link[0] = (struct entry_ref){7, 8, 9};
		a.links = 1;
		a.whole_bytes = 1234;
		buf_reset(&one);
		buf_reset(&two);
		map_encode(&a, &two);
		map_encode_patch(&a, &b, &one);
		assert_int_equal(map_decode(two.data, two.len, &c, &e), 0);
		assert_int_equal(map_apply(one.data, one.len, &c, &e), 0);
		assert_true(map_same(&b, &c));
		assert_int_equal(c.chain_bytes, one.len);
		assert_int_equal(c.whole_bytes, 1234);
	}
}

static void
a_patch_costs_what_changed(void **state)
{
	uint8_t id[GRAIN_ID_LEN];

	(void)state;
	fill(&a, 13, 100000);
	edit(&a, &b, a.grains, 1u << 30);
	a.links = 1;
	assert_int_equal(map_encode_patch(&a, &b, &one), 0);
	assert_int_equal(one.len, 28 + 8);
	some_id(id);
	memcpy(b.id[500], id, sizeof(id));
	b.place[500] = some_place(&b);
	buf_reset(&one);
	assert_int_equal(map_encode_patch(&a, &b, &one), 1);
	assert_int_equal(one.len, 28 + 8 + 4 + 16 + 16);
}

static void
chains_as_long_as_allowed_fold_to_the_newest(void **state)
{
	uint32_t sum = 0;

	(void)state;
	fill(&a, 17, 2000);
	buf_reset(&two);
	map_encode(&a, &two);
	assert_int_equal(map_decode(two.data, two.len, &c, &e), 0);
	c.links = 1;
	for (unsigned i = 0; i < MAP_CHAIN_MAX; i++) {
		struct entry_ref link[MAP_CHAIN_MAX];
		size_t links;

		edit(&a, &b, 1990 + (uint32_t)chance_below(20), 100);
		buf_reset(&one);
		map_encode_patch(&c, &b, &one);
		assert_int_equal(map_links(one.data, one.len, link, &links, &e), 0);
		assert_int_equal(links, i + 1);
		assert_int_equal(map_apply(one.data, one.len, &c, &e), 0);
		sum += (uint32_t)one.len;
		assert_int_equal(c.chain_bytes, sum);
		assert_int_equal(c.whole_bytes, two.len);
		assert_true(map_same(&b, &c));
		c.links = i + 2;
		edit(&b, &a, b.grains, 1u << 30);
	}
	buf_reset(&one);
	map_encode_patch(&c, &b, &one); /* one too many */
	assert_int_equal(map_apply(one.data, one.len, &c, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
}

/* What a user of the map relies on. */
static void
assert_sound(const struct map *m)
{
	static const uint8_t zero[GRAIN_ID_LEN];

	assert_true(m->grains > 0 && m->grains <= 1u << (30 - m->grain_log2));
	for (uint32_t g = 0; g < m->grains; g++) {
		if (m->place[g].pack == MAP_ZERO)
			assert_memory_equal(m->id[g], zero, sizeof(zero));
		else
			assert_true(m->place[g].pack < m->packs);
	}
	buf_reset(&two);
	map_encode(m, &two);
	map_reset(&c, 17);
	assert_int_equal(map_decode(two.data, two.len, &c, &e), 0);
	assert_true(map_same(m, &c));
}

static void
every_changed_byte_is_refused_or_harmless(void **state)
{
	static struct buf bytes, base;

	(void)state;
	buf_init(&bytes, MAP_RAW_MAX);
	buf_init(&base, MAP_RAW_MAX);
	fill(&a, 17, 30);
	edit(&a, &b, 33, 4);
	a.links = 2;
	map_encode(&a, &base);
	map_encode_patch(&a, &b, &bytes);
	for (unsigned patch = 0; patch < 2; patch++) {
		struct buf *x = patch ? &bytes : &base;

		for (size_t i = 0; i < x->len * 8; i++) {
			uint8_t was = x->data[i / 8];
			int rc;

			x->data[i / 8] = (uint8_t)(was ^ (i % 8 == 7 ? 0xff : 1u << i % 8));
			if (patch) {
				base.data[0] = 1;
				assert_int_equal(map_decode(base.data, base.len, &b, &e), 0);
				rc = map_apply(x->data, x->len, &b, &e);
			} else {
				rc = map_decode(x->data, x->len, &b, &e);
			}
			if (rc == 0)
				assert_sound(&b);
			else
				assert_int_equal(e.kind, ERR_CORRUPT);
			x->data[i / 8] = was;
		}
		for (size_t n = 0; n < x->len; n++) {
			uint8_t *exact = xmemdup(x->data, n); /* so that a byte too many is seen */
			assert_int_equal(map_decode(exact, n, &b, &e), -1);
			assert_int_equal(map_apply(exact, n, &a, &e), -1);
			free(exact);
		}
	}
	buf_done(&bytes);
	buf_done(&base);
}

static void
a_patch_may_not_move_what_it_does_not_change(void **state)
{
	uint8_t id[GRAIN_ID_LEN] = {1};

	(void)state;
	map_reset(&a, 17);
	map_add(&a, id, (struct map_place){.pack = (uint16_t)map_pack(&a, 3), .own = 1});
	map_add(&a, id, (struct map_place){.pack = 0, .own = 1, .first = 1});
	a.links = 1;
	edit(&a, &b, 2, 1u << 30);
	b.place[1].first = 9;
	assert_int_equal(map_encode_patch(&a, &b, &one), 1);
	/* head, link, pack, one change; then the run's grain */
	buf_put_u32(one.data + 28 + 8 + 4 + 16, 0);
	assert_int_equal(map_apply(one.data, one.len, &a, &e), -1);
	assert_non_null(strstr(e.text, "not changed"));
}

static void
the_digest_is_that_of_the_ids(void **state)
{
	uint8_t x[GRAIN_ID_LEN], y[GRAIN_ID_LEN];

	(void)state;
	fill(&a, 17, 50);
	edit(&a, &b, 50, 1u << 30);
	b.place[b.grains - 1].own = 77;
	map_digest(&a, &key, x);
	map_digest(&b, &key, y);
	assert_memory_equal(x, y, sizeof(x));
	digest_id(&key, a.id, 50 * GRAIN_ID_LEN, y);
	assert_memory_equal(x, y, sizeof(x));
	b.id[7][3] ^= 1;
	map_digest(&b, &key, y);
	assert_memory_not_equal(x, y, sizeof(x));
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_map_comes_back_as_it_was_written),
	    T(the_largest_map_fits_its_bound),
	    T(a_patch_makes_the_target_of_its_base),
	    T(a_patch_costs_what_changed),
	    T(chains_as_long_as_allowed_fold_to_the_newest),
	    T(every_changed_byte_is_refused_or_harmless),
	    T(a_patch_may_not_move_what_it_does_not_change),
	    T(the_digest_is_that_of_the_ids),
	};

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
