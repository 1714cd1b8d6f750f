#include "tests/lib/testrepo.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "repo/packs.h"
#include "repo/reader.h"
#include "store/aside.h"
#include "tests/lib/chance.h"
#include "tests/lib/memstore.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define MIB (UINT64_C(1) << 20)
#define ODD "odd names \x01\xff too, and quite long"

static struct testrepo t;
static struct manifest m;
static struct reader *r;
static struct err e;

static int
begin(void **state)
{
	(void)state;
	chance_seed(10);
	vclock_install(INT64_C(1700000000) * CLOCK_S);
	testrepo_begin(&t, 2, false);
	err_clear(&e);
	r = NULL;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	reader_free(r);
	manifest_done(&m);
	testrepo_done(&t);
	vclock_remove();
	return 0;
}

static void
open_newest(void)
{
	testrepo_snapshot(&t, 0, &m);
	assert_int_equal(reader_open(t.kit.repo, NULL, m.name, &r, &e), 0);
}

static void
a_path_is_found_in_a_long_list(void **state)
{
	const struct entry *en;
	char path[40];

	(void)state;
	fileset_add_many(&t.set, ODD, 11000, UINT32_MAX);
	open_newest();
	assert_true(reader_chunks(r) > 5);
	for (unsigned i = 0; i < 200; i++) {
		unsigned n = (unsigned)chance_below(22010);
		bool there = n % 2 == 0 && n < 22000;

		snprintf(path, sizeof(path), ODD "/%05u", n);
		assert_int_equal(reader_find(r, path, strlen(path), &en, &e), there);
		if (there)
			assert_string_equal(en->path, path);
	}
	assert_int_equal(reader_find(r, ".", 1, &en, &e), 1);
	assert_int_equal(reader_find(r, "a", 1, &en, &e), 1);
	assert_int_equal(reader_find(r, "A", 1, &en, &e), 0);
	assert_int_equal(reader_find(r, "z", 1, &en, &e), 0);
}

static void
a_search_does_not_disturb_the_walk(void **state)
{
	const struct entry *en;

	(void)state;
	fileset_add_many(&t.set, ODD, 11000, UINT32_MAX);
	open_newest();
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(reader_next(r, &en, &e), 1);
		assert_string_equal(en->path, ".");
		assert_int_equal(reader_find(r, ODD "/20000", strlen(ODD) + 6, &en, &e), 1);
		assert_int_equal(reader_next(r, &en, &e), 1);
		assert_string_equal(en->path, "a");
		reader_rewind(r);
	}
}

static void
a_grain_with_another_id_is_refused(void **state)
{
	const uint8_t *bytes;
	const struct entry *en;
	struct entry_ref ref;
	uint8_t id[GRAIN_ID_LEN];
	size_t n;

	(void)state;
	fileset_add(&t.set, "b", 100);
	open_newest();
	assert_int_equal(reader_find(r, "b", 1, &en, &e), 1);
	assert_true(en->single);
	ref = en->ref;
	memcpy(id, en->id, sizeof(id));
	assert_int_equal(reader_grain(r, ref, id, &bytes, &n, &e), 0);
	assert_int_equal(n, 100);
	assert_true(fileset_equal(fileset_find(&t.set, "b"), 0, bytes, n));
	id[11] ^= 1;
	assert_int_equal(reader_grain(r, ref, id, &bytes, &n, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(reader_grain(r, ref, NULL, &bytes, &n, &e), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct entry_ref bad = ref;

		bad.pack += i == 0 ? 1000 : 0;
		bad.frame = (uint16_t)(bad.frame + (i == 1 ? 1000 : 0));
		bad.grain = (uint16_t)(bad.grain + (i == 2 ? 1000 : 0));
		assert_int_equal(reader_grain(r, bad, NULL, &bytes, &n, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
	}
}

static int
count_run(void *arg, const struct reader_run *run, struct err *why)
{
	(void)run;
	if (--*(int *)arg == 0)
		return err_set(why, ERR_CANCELLED, "enough");
	return 0;
}

static void
the_error_of_a_caller_ends_the_walk_of_a_file(void **state)
{
	const struct entry *en;
	int left = 3;

	(void)state;
	fileset_add(&t.set, "b", 2 * MIB);
	open_newest();
	assert_int_equal(reader_find(r, "b", 1, &en, &e), 1);
	assert_int_equal(reader_runs(r, en, count_run, &left, &e), -1);
	assert_int_equal(e.kind, ERR_CANCELLED);
	assert_int_equal(left, 0);
}

static void
maps_exchanged_between_files_are_found_out(void **state)
{
	const struct entry *b, *en;
	struct entry_map map;
	struct entry mixed;
	int left = 1000;

	(void)state;
	fileset_add(&t.set, "b", 2 * MIB);
	fileset_add(&t.set, "c", 2 * MIB);
	open_newest();
	assert_int_equal(reader_find(r, "b", 1, &b, &e), 1);
	map = b->map[0];
	assert_int_equal(reader_find(r, "c", 1, &en, &e), 1);
	mixed = *en;
	mixed.map = &map; /* with its digest: then the file's id is wrong */
	assert_int_equal(reader_runs(r, &mixed, count_run, &left, &e), -1);
	assert_non_null(strstr(e.text, "do not make its id"));
	memcpy(map.digest, en->map[0].digest, GRAIN_ID_LEN);
	assert_int_equal(reader_runs(r, &mixed, count_run, &left, &e), -1);
	assert_non_null(strstr(e.text, "another file's"));
	assert_int_equal(left, 1000);
}

static void
a_manifest_is_taken_from_the_tier_that_has_a_good_one(void **state)
{
	struct store *two = testrepo_mem(&t, 1);
	struct buf bytes;
	size_t n;

	(void)state;
	buf_init(&bytes, STORE_OBJECT_MAX);
	testrepo_snapshot(&t, 0, &m);
	assert_int_equal(reader_open(t.kit.repo, &t.kit.tier[1], m.name, &r, &e), 0);
	reader_free(r);
	r = NULL;
	assert_int_equal(store_get(testrepo_mem(&t, 0), m.name, &bytes, &e), 0);
	assert_int_equal(store_put(two, m.name, bytes.data, bytes.len, STORE_NEW, &e), 1);
	buf_done(&bytes);
	memstore_bytes(testrepo_mem(&t, 0), m.name, &n)[300] ^= 1;
	assert_int_equal(reader_open(t.kit.repo, NULL, m.name, &r, &e), 0);
	assert_memory_equal(reader_manifest(r)->sha, m.sha, LAYOUT_SHA);
	reader_free(r);
	r = NULL;
	/* Damage is told before absence. */
	memstore_drop(two, m.name);
	assert_int_equal(reader_open(t.kit.repo, &t.kit.tier[1], m.name, &r, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
}

static void
a_fallback_to_another_tier_is_counted(void **state)
{
	const uint8_t *bytes;
	const struct entry *en;
	const char *text;
	unsigned asides;
	size_t n;

	(void)state;
	open_newest();
	assert_int_equal(reader_find(r, "a", 1, &en, &e), 1);
	assert_int_equal(packs_fallbacks(reader_packs(r), &asides, &text), 0);
	assert_string_equal(text, "");
	reader_free(r);
	/* The first tier asked has nothing. */
	assert_int_equal(reader_open(t.kit.repo, &t.kit.tier[1], m.name, &r, &e), 0);
	assert_int_equal(
	    reader_grain(r, (struct entry_ref){m.pack[0].number, 0, 0}, NULL, &bytes, &n, &e), 0);
	assert_true(packs_fallbacks(reader_packs(r), &asides, &text) > 0);
	assert_int_equal(asides, 0);
	assert_non_null(strstr(text, "two"));
}

/* It is no damage that another tier gives what lies in an archive, nor that it has not got it. */
static void
an_archive_is_read_when_no_other_tier_has_it(void **state)
{
	struct store *two = testrepo_mem(&t, 1);
	const uint8_t *bytes;
	struct buf pack;
	const char *text;
	unsigned asides;
	char name[LAYOUT_NAME];
	size_t n;

	(void)state;
	open_newest();
	reader_free(r);
	t.kit.tier[0].last = true;
	assert_int_equal(reader_open(t.kit.repo, &t.kit.tier[0], m.name, &r, &e), 0);
	assert_int_equal(
	    reader_grain(r, (struct entry_ref){m.pack[0].number, 0, 0}, NULL, &bytes, &n, &e), 0);
	assert_int_equal(packs_fallbacks(reader_packs(r), &asides, &text), 0);
	reader_free(r);
	buf_init(&pack, STORE_OBJECT_MAX);
	layout_pack(m.pack[0].sha, name);
	assert_int_equal(store_get(testrepo_mem(&t, 0), name, &pack, &e), 0);
	assert_int_equal(store_put(two, name, pack.data, pack.len, STORE_NEW, &e), 1);
	buf_done(&pack);
	memstore_drop(testrepo_mem(&t, 0), name);
	assert_int_equal(reader_open(t.kit.repo, &t.kit.tier[0], m.name, &r, &e), 0);
	assert_int_equal(
	    reader_grain(r, (struct entry_ref){m.pack[0].number, 0, 0}, NULL, &bytes, &n, &e), 0);
	assert_int_equal(packs_fallbacks(reader_packs(r), &asides, &text), 1);
	assert_int_equal(packs_frozen(reader_packs(r)), 1);
	t.kit.tier[0].last = false;
}

/* No other tier gave it, so nobody may say so. */
static void
what_was_set_aside_is_counted_apart(void **state)
{
	const uint8_t *bytes;
	const char *text;
	unsigned asides, count;
	char name[LAYOUT_NAME];
	size_t n;

	(void)state;
	open_newest();
	reader_free(r);
	assert_int_equal(aside_object(t.kit.tier[0].store, layout_pack(m.pack[0].sha, name), NULL,
	    &e), 0);
	for (int archive = 0; archive <= 1; archive++) {
		t.kit.tier[0].last = archive;
		assert_int_equal(reader_open(t.kit.repo, &t.kit.tier[0], m.name, &r, &e), 0);
		assert_int_equal(reader_grain(r, (struct entry_ref){m.pack[0].number, 0, 0}, NULL, &bytes,
		    &n, &e), 0);
		count = packs_fallbacks(reader_packs(r), &asides, &text);
		assert_true(count > 0);
		assert_int_equal(asides, count);
		if (archive == 0)
			reader_free(r);
	}
	t.kit.tier[0].last = false;
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_path_is_found_in_a_long_list),
	    T(a_search_does_not_disturb_the_walk),
	    T(a_grain_with_another_id_is_refused),
	    T(the_error_of_a_caller_ends_the_walk_of_a_file),
	    T(maps_exchanged_between_files_are_found_out),
	    T(a_manifest_is_taken_from_the_tier_that_has_a_good_one),
	    T(a_fallback_to_another_tier_is_counted),
	    T(an_archive_is_read_when_no_other_tier_has_it),
	    T(what_was_set_aside_is_counted_apart),
	};

	return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
