/* What may be reused: the rules alone, and what snapshots then name as time passes. */
#include "tests/lib/lineage.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "repo/parent.h"
#include "tests/lib/chance.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define MIB (UINT64_C(1) << 20)
#define GRAIN (UINT64_C(128) << 10)
#define DAY (INT64_C(86400) * CLOCK_S)
#define HORIZON (30 * DAY) /* repokit's */

#define L lineage

static void
a_pack_is_young_until_the_horizon(void **state)
{
	(void)state;
	assert_true(parent_young(-5, HORIZON));
	assert_true(parent_young(HORIZON - 1, HORIZON));
	assert_false(parent_young(HORIZON, HORIZON));
}

static void
a_pack_is_fresh_until_half_to_nine_tenths_of_it_by_its_name(void **state)
{
	(void)state;
	for (unsigned b = 0; b < 256; b++) {
		double until = (double)HORIZON * (0.5 + 0.4 * b / 255);

		assert_true(parent_fresh((int64_t)(until - 1e6), HORIZON, (uint8_t)b));
		assert_false(parent_fresh((int64_t)(until + 1e6), HORIZON, (uint8_t)b));
	}
}

static void
a_quarter_is_worth_keeping_and_less_is_not(void **state)
{
	(void)state;
	assert_true(parent_worth(1, 4));
	assert_false(parent_worth(1, 5));
	assert_true(parent_worth(25, 100));
	assert_false(parent_worth(24, 100));
	assert_true(parent_worth(UINT32_MAX / 4 + 1, UINT32_MAX));
	assert_true(parent_worth(3, 2)); /* two entries may want one grain */
}

/* The youngest and oldest pack of the snapshot, as age at its start. */
static int64_t
oldest(void)
{
	int64_t age = 0;

	for (size_t i = 0; i < L.newest.packs; i++)
		if (L.newest.started_ns - L.newest.pack[i].time_ns > age)
			age = L.newest.started_ns - L.newest.pack[i].time_ns;
	return age;
}

static void
files_taken_over_unread_are_read_again_at_the_horizon(void **state)
{
	int64_t past = 0;
	unsigned renewed = 0;

	(void)state;
	L.repo.keep = true;
	fileset_add(&L.repo.set, "b", 3 * MIB);
	lineage_next(0);
	for (unsigned day = 0; day < 70; day++) {
		lineage_next(DAY);
		past += DAY;
		assert_true(oldest() < HORIZON);
		if (L.newest.stored_new == 0)
			continue;
		/* Never before the horizon: nothing is read. */
		assert_true(past >= HORIZON - DAY);
		assert_in_range(L.newest.stored_new, MIB, 4 * MIB);
		past = 0;
		renewed++;
	}
	assert_int_equal(renewed, 2);
}

static void
files_of_one_grain_are_stored_again_at_the_horizon(void **state)
{
	unsigned renewed = 0;

	(void)state;
	for (char c = 'b'; c < 'h'; c++)
		fileset_add(&L.repo.set, (char[]){c, '\0'}, 5000);
	lineage_next(0);
	for (unsigned day = 0; day < 70; day += 7) {
		lineage_next(7 * DAY);
		assert_true(oldest() < HORIZON);
		renewed += L.newest.stored_new > 0;
	}
	assert_int_equal(renewed, 2);
}

static void
lines_that_never_change_are_stored_again_at_the_horizon(void **state)
{
	unsigned renewed = 0;

	(void)state;
	fileset_add_many(&L.repo.set, "z", 20000, 100000); /* nothing but lines */
	lineage_next(0);
	assert_true(L.newest.chunks > 1);
	for (unsigned day = 0; day < 35; day += 7) {
		lineage_next(7 * DAY);
		assert_true(oldest() < HORIZON);
		renewed += L.newest.stored_new > 0;
	}
	assert_int_equal(renewed, 1);
}

static void
runs_that_read_everything_renew_between_half_and_nine_tenths(void **state)
{
	unsigned days_with = 0;
	uint64_t most = 0, first;

	(void)state;
	L.repo.options.read_all = true;
	for (char c = 'b'; c < 'm'; c++)
		fileset_add(&L.repo.set, (char[]){c, '\0'}, 2 * MIB);
	lineage_next(0);
	first = L.newest.stored_new;
	for (unsigned day = 1; day < 31; day++) {
		lineage_next(DAY);
		assert_true(oldest() < HORIZON * 9 / 10 + DAY);
		if (day < 15)
			assert_int_equal(L.newest.stored_new, 0);
		days_with += L.newest.stored_new > 0;
		if (L.newest.stored_new > most)
			most = L.newest.stored_new;
	}
	/* Spread by the packs' names: on several days, never all at once. */
	assert_true(days_with >= 5);
	assert_true(most < first * 3 / 4);
}

static void
a_chain_of_patches_ends_when_a_link_is_too_old(void **state)
{
	struct fileset_file *f = fileset_add(&L.repo.set, "b", 8 * MIB);

	(void)state;
	lineage_next(0);
	for (unsigned day = 0; day < 100; day++) {
		fileset_write(&L.repo.set, f, chance_below(1000), 1, false);
		L.repo.keep = chance_one_in(2);
		/* The check inside looks at the age of every pack, of maps, too. */
		lineage_next(DAY);
	}
}

static void
a_pack_wanted_by_less_than_a_quarter_is_given_up(void **state)
{
	struct fileset_file *f = fileset_add(&L.repo.set, "b", 40 * MIB);
	uint32_t first;

	(void)state;
	lineage_next(0);
	first = L.newest.next_pack;
	for (size_t grain = 0; grain < 320; grain++)
		if (grain % 8 > 0) /* one of eight stays */
			fileset_write(&L.repo.set, f, grain * 16, 16, false);
	lineage_next(DAY);
	/* What stays was in packs that had been wanted wholly: it stays there for now. */
	assert_true(L.newest.pack[0].number < first);
	assert_in_range(L.newest.stored_new, 40 * MIB * 7 / 8 / 2 - MIB, 40 * MIB * 7 / 8 / 2 + MIB);
	lineage_next(DAY);
	/* Now they are wanted by an eighth: what is left in them is stored again. */
	assert_in_range(L.newest.stored_new, 40 * MIB / 8 / 2 - MIB, 40 * MIB / 8 / 2 + MIB);
	for (size_t i = 0; i < L.newest.packs; i++)
		if (L.newest.pack[i].number < first)
			assert_true(L.newest.pack[i].wanted * 4 >= L.newest.pack[i].grains);
	lineage_next(DAY);
	assert_int_equal(L.newest.stored_new, 0);
}

static void
files_taken_over_unread_keep_a_pack_however_little_is_wanted(void **state)
{
	(void)state;
	L.repo.keep = true;
	for (unsigned i = 0; i < 30; i++) {
		char path[8];

		snprintf(path, sizeof(path), "s%02u", i);
		fileset_add(&L.repo.set, path, 1000);
	}
	lineage_next(0);
	for (unsigned i = 1; i < 30; i++) {
		char path[8];

		snprintf(path, sizeof(path), "s%02u", i);
		fileset_remove(&L.repo.set, path);
	}
	lineage_next(DAY);
	assert_int_equal(L.newest.stored_new, 0);
	lineage_next(DAY);
	assert_int_equal(L.newest.stored_new, 0);
	assert_int_equal(L.newest.read_bytes, 0);
}

static void
an_entry_is_found_by_its_path_else_by_its_inode(void **state)
{
	struct parent *p = NULL;
	struct reader *r = NULL;
	const struct entry *got;
	struct err e = {0};
	struct entry en = {.type = ENTRY_FILE, .size = 1};

	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		char path[12];

		snprintf(path, sizeof(path), "n/%03u", i);
		fileset_add(&L.repo.set, path, 10);
	}
	lineage_next(0);
	assert_int_equal(reader_open(L.repo.kit.repo, &L.repo.kit.tier[0], L.newest.name, &r, &e), 0);
	p = parent_new(&(struct parent_options){.reader = r, .horizon_ns = HORIZON});
	en.dev = 1;
	for (size_t i = 0; i < L.repo.set.count; i += 1 + chance_below(5)) {
		en.path = L.repo.set.file[i].path;
		en.pathlen = strlen(en.path);
		en.ino = chance_u64(); /* of no matter: the path is there */
		assert_int_equal(parent_find(p, &en, &got, &e), 1);
		assert_string_equal(got->path, en.path);
	}
	en.path = "new";
	en.pathlen = 3;
	for (unsigned i = 0; i < 100; i++) {
		const struct fileset_file *f = &L.repo.set.file[chance_below(L.repo.set.count)];

		en.ino = f->ino;
		en.dev = 2; /* that number of another file system */
		assert_int_equal(parent_find(p, &en, &got, &e), 0);
		en.dev = 1;
		assert_int_equal(parent_find(p, &en, &got, &e), 1);
		assert_string_equal(got->path, f->path);
	}
	en.ino = 7;
	assert_int_equal(parent_find(p, &en, &got, &e), 0);
	parent_free(p);
	reader_free(r);
}

static void
with_any_order_every_path_is_found_and_no_other(void **state)
{
	struct parent *p = NULL;
	struct reader *r = NULL;
	const struct entry *got;
	struct err e = {0};
	struct entry en = {.type = ENTRY_FILE, .size = 1, .dev = 1};

	(void)state;
	fileset_add_many(&L.repo.set, "z", 20000, 2000);
	lineage_next(0);
	assert_in_range(L.newest.chunks, 3, 100);
	assert_int_equal(reader_open(L.repo.kit.repo, &L.repo.kit.tier[0], L.newest.name, &r, &e), 0);
	p = parent_new(&(struct parent_options){
	    .reader = r, .horizon_ns = HORIZON, .any_order = true});
	for (size_t i = 0; i < 2000; i++) {
		const struct fileset_file *f = &L.repo.set.file[chance_below(L.repo.set.count)];
		char other[50];

		en.path = f->path;
		en.pathlen = strlen(en.path);
		en.ino = chance_u64();
		assert_int_equal(parent_find(p, &en, &got, &e), 1);
		assert_string_equal(got->path, f->path);
		assert_int_equal(got->ino, f->ino);
		assert_int_equal(got->size, f->size);
		snprintf(other, sizeof(other), "%sx", f->path);
		en.path = other;
		en.pathlen = strlen(other);
		en.ino = f->ino; /* is not looked for */
		assert_int_equal(parent_find(p, &en, &got, &e), 0);
	}
	en.path = ".";
	en.pathlen = 1;
	assert_int_equal(parent_find(p, &en, &got, &e), 1);
	assert_int_equal(got->type, ENTRY_DIR);
	parent_free(p);
	reader_free(r);
}

#define T(f) cmocka_unit_test_setup_teardown(f, lineage_setup, lineage_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_pack_is_young_until_the_horizon),
	    T(a_pack_is_fresh_until_half_to_nine_tenths_of_it_by_its_name),
	    T(a_quarter_is_worth_keeping_and_less_is_not),
	    T(files_taken_over_unread_are_read_again_at_the_horizon),
	    T(files_of_one_grain_are_stored_again_at_the_horizon),
	    T(lines_that_never_change_are_stored_again_at_the_horizon),
	    T(runs_that_read_everything_renew_between_half_and_nine_tenths),
	    T(a_chain_of_patches_ends_when_a_link_is_too_old),
	    T(a_pack_wanted_by_less_than_a_quarter_is_given_up),
	    T(files_taken_over_unread_keep_a_pack_however_little_is_wanted),
	    T(an_entry_is_found_by_its_path_else_by_its_inode),
	    T(with_any_order_every_path_is_found_and_no_other),
	};

	return cmocka_run_group_tests_name("parent", tests, NULL, NULL);
}
