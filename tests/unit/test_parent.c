/* What may be reused: the rules alone, and what snapshots then name as time passes. */
#include "tests/lib/testrepo.h"

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

static struct testrepo t;
static struct manifest m, before;

static int
begin(void **state)
{
	(void)state;
	chance_seed(6);
	vclock_install(INT64_C(1700000000) * CLOCK_S);
	testrepo_begin(&t, 1, false);
	manifest_init(&m);
	manifest_init(&before);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	manifest_done(&m);
	manifest_done(&before);
	testrepo_done(&t);
	vclock_remove();
	return 0;
}

static void
next(int64_t later)
{
	manifest_done(&before);
	before = m;
	vclock_pass(later);
	testrepo_snapshot(&t, 0, &m);
}

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

	for (size_t i = 0; i < m.packs; i++)
		if (m.started_ns - m.pack[i].time_ns > age)
			age = m.started_ns - m.pack[i].time_ns;
	return age;
}

static void
files_taken_over_unread_are_read_again_at_the_horizon(void **state)
{
	int64_t past = 0;
	unsigned renewed = 0;

	(void)state;
	t.keep = true;
	fileset_add(&t.set, "b", 3 * MIB);
	next(0);
	for (unsigned day = 0; day < 70; day++) {
		next(DAY);
		past += DAY;
		assert_true(oldest() < HORIZON);
		if (m.stored_new == 0)
			continue;
		/* Never before the horizon: nothing is read. */
		assert_true(past >= HORIZON - DAY);
		assert_in_range(m.stored_new, MIB, 4 * MIB);
		past = 0;
		renewed++;
	}
	assert_int_equal(renewed, 2);
}

static void
runs_that_read_everything_renew_between_half_and_nine_tenths(void **state)
{
	unsigned days_with = 0;
	uint64_t most = 0, first;

	(void)state;
	t.options.read_all = true;
	for (char c = 'b'; c < 'm'; c++)
		fileset_add(&t.set, (char[]){c, '\0'}, 2 * MIB);
	next(0);
	first = m.stored_new;
	for (unsigned day = 1; day < 31; day++) {
		next(DAY);
		assert_true(oldest() < HORIZON * 9 / 10 + DAY);
		if (day < 15)
			assert_int_equal(m.stored_new, 0);
		days_with += m.stored_new > 0;
		if (m.stored_new > most)
			most = m.stored_new;
	}
	/* Spread by the packs' names: on several days, never all at once. */
	assert_true(days_with >= 5);
	assert_true(most < first * 3 / 4);
}

static void
a_chain_of_patches_ends_when_a_link_is_too_old(void **state)
{
	struct fileset_file *f = fileset_add(&t.set, "b", 8 * MIB);

	(void)state;
	next(0);
	for (unsigned day = 0; day < 100; day++) {
		fileset_write(&t.set, f, chance_below(1000), 1, false);
		t.keep = chance_one_in(2);
		next(DAY); /* the check inside looks at the age of every pack, of maps, too */
	}
}

static void
a_pack_wanted_by_less_than_a_quarter_is_given_up(void **state)
{
	struct fileset_file *f = fileset_add(&t.set, "b", 40 * MIB);
	uint32_t first;

	(void)state;
	next(0);
	first = m.next_pack;
	for (size_t grain = 0; grain < 320; grain++)
		if (grain % 8 > 0) /* one of eight stays */
			fileset_write(&t.set, f, grain * 16, 16, false);
	next(DAY);
	/* What stays was in packs that had been wanted wholly: it stays there for now. */
	assert_true(m.pack[0].number < first);
	assert_in_range(m.stored_new, 40 * MIB * 7 / 8 / 2 - MIB, 40 * MIB * 7 / 8 / 2 + MIB);
	next(DAY);
	/* Now they are wanted by an eighth: what is left in them is stored again. */
	assert_in_range(m.stored_new, 40 * MIB / 8 / 2 - MIB, 40 * MIB / 8 / 2 + MIB);
	for (size_t i = 0; i < m.packs; i++)
		if (m.pack[i].number < first)
			assert_true(m.pack[i].wanted * 4 >= m.pack[i].grains);
	next(DAY);
	assert_int_equal(m.stored_new, 0);
}

static void
files_taken_over_unread_keep_a_pack_however_little_is_wanted(void **state)
{
	(void)state;
	t.keep = true;
	for (unsigned i = 0; i < 30; i++) {
		char path[8];

		snprintf(path, sizeof(path), "s%02u", i);
		fileset_add(&t.set, path, 1000);
	}
	next(0);
	for (unsigned i = 1; i < 30; i++) {
		char path[8];

		snprintf(path, sizeof(path), "s%02u", i);
		fileset_remove(&t.set, path);
	}
	next(DAY);
	assert_int_equal(m.stored_new, 0);
	next(DAY);
	assert_int_equal(m.stored_new, 0);
	assert_int_equal(m.read_bytes, 0);
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
		fileset_add(&t.set, path, 10);
	}
	next(0);
	assert_int_equal(reader_open(t.kit.repo, &t.kit.tier[0], m.name, &r, &e), 0);
	p = parent_new(&(struct parent_options){.reader = r, .horizon_ns = HORIZON});
	en.dev = 1;
	for (size_t i = 0; i < t.set.count; i += 1 + chance_below(5)) {
		en.path = t.set.file[i].path;
		en.pathlen = strlen(en.path);
		en.ino = chance_u64(); /* of no matter: the path is there */
		assert_int_equal(parent_find(p, &en, &got, &e), 1);
		assert_string_equal(got->path, en.path);
	}
	en.path = "new";
	en.pathlen = 3;
	for (unsigned i = 0; i < 100; i++) {
		const struct fileset_file *f = &t.set.file[chance_below(t.set.count)];

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

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_pack_is_young_until_the_horizon),
	    T(a_pack_is_fresh_until_half_to_nine_tenths_of_it_by_its_name),
	    T(a_quarter_is_worth_keeping_and_less_is_not),
	    T(files_taken_over_unread_are_read_again_at_the_horizon),
	    T(runs_that_read_everything_renew_between_half_and_nine_tenths),
	    T(a_chain_of_patches_ends_when_a_link_is_too_old),
	    T(a_pack_wanted_by_less_than_a_quarter_is_given_up),
	    T(files_taken_over_unread_keep_a_pack_however_little_is_wanted),
	    T(an_entry_is_found_by_its_path_else_by_its_inode),
	};

	return cmocka_run_group_tests_name("parent", tests, NULL, NULL);
}
