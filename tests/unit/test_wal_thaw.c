/* Which bundles of WAL a recovery needs: wal_thaw.c. */
#include "job/wal/wal_thaw.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/lib/memstore.h"
#include "tests/lib/piecekit.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define SEGMENT (UINT32_C(1) << 20)
#define START (UINT64_C(0x500000000))
#define AT(n) (START + (uint64_t)(n) * SEGMENT / 2) /* in halves of a segment */

static const struct wal_place place = { .source = "pg.a", .sysid = 77, .epoch = 1 };

static struct wal_thaw found;

static struct walread *
reader(void)
{
	static struct tier *tier[2];
	struct walread_options o = { .repo = repokit.repo, .tier = tier, .tiers = 2, .place = place };
	struct walread *r = NULL;
	struct err e = { 0 };

	tier[0] = &repokit.tier[0];
	tier[1] = &repokit.tier[1];
	assert_int_equal(walread_new(&o, &r, &e), 0);
	return r;
}

static void
find_on(const struct pg_history *h, uint64_t from, uint64_t to)
{
	struct tier *const tier[] = { &repokit.tier[0], &repokit.tier[1] };
	struct walread *r = reader();
	struct err e = { 0 };

	wal_thaw_done(&found);
	assert_int_equal(wal_thaw_find(&(struct wal_thaw_way){ .read = r, .tier = tier, .tiers = 2,
		.history = h, .segment_size = SEGMENT, .from = from, .to = to }, &found, &e), 0);
	walread_free(r);
}

/* Of the first timeline, between the two. */
static void
find(uint64_t from, uint64_t to)
{
	struct pg_history h;

	pg_history_init(&h, 1);
	find_on(&h, from, to);
}

static void
put(int tier, bool bundle, uint64_t from, uint64_t to)
{
	char name[LAYOUT_NAME];

	if (bundle)
		layout_wal_bundle(&place, 1, from, to, name);
	else
		layout_wal_piece(&place, 1, from, to, name);
	repokit_put(repokit.tier[tier].store, name, "by its name alone");
}

/* With the bundles found between the two in such states: the numbers of those needed, as "0,2". */
static void
expect(uint64_t from, uint64_t to, const char *states, const char *needed)
{
	static const enum store_state state[] = { STORE_READABLE, STORE_FROZEN, STORE_THAWING,
		STORE_THAWED };
	const enum store_state *is[8] = { NULL };
	bool need[8] = { false };
	char got[40] = "";

	find(from, to);
	assert_int_equal(found.bundles, strlen(states));
	for (size_t i = 0; i < found.bundles; i++)
		is[i] = states[i] == '-' ? NULL : &state[strchr("rfct", states[i]) - "rfct"];
	wal_thaw_choose(&found, is, need);
	for (size_t i = 0; i < found.bundles; i++)
		if (need[i])
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%zu",
			    got[0] ? "," : "", i);
	assert_string_equal(got, needed);
}

static void
what_lies_on_the_way_by_whole_segments_is_needed_and_nothing_before_or_behind(void **state)
{
	(void)state;
	put(1, true, AT(0), AT(2));
	put(1, true, AT(2), AT(5));
	put(1, true, AT(5), AT(6));
	put(1, true, AT(6), AT(8));
	/* The recovery asks for all of the segment in which it ends. */
	expect(AT(3), AT(5), "ff", "0,1");
	assert_int_equal(found.bundle[0].from, AT(2));
	assert_int_equal(found.bundle[1].to, AT(6));
	expect(AT(2), AT(4), "f", "0");
	expect(AT(8), AT(20), "", "");
}

static void
pieces_of_any_tier_stand_for_a_bundle(void **state)
{
	(void)state;
	put(1, true, AT(0), AT(4));
	put(1, true, AT(4), AT(8));
	put(0, false, AT(0), AT(2));
	put(0, false, AT(2), AT(4));
	expect(AT(0), AT(8), "f", "0");
	assert_int_equal(found.bundle[0].from, AT(4));
	/* A piece that is missing, and the bundle is needed. */
	put(0, false, AT(4), AT(6));
	expect(AT(0), AT(8), "f", "0");
}

static void
what_is_at_hand_or_comes_already_stands_for_what_would_cost(void **state)
{
	(void)state;
	put(0, true, AT(0), AT(4));
	put(1, true, AT(0), AT(4)); /* the same name is one */
	put(0, true, AT(0), AT(2));
	put(0, true, AT(2), AT(8));
	expect(AT(0), AT(8), "fff", "0,2");
	expect(AT(0), AT(8), "rff", "2");
	expect(AT(0), AT(8), "fcc", "1,2");
	expect(AT(0), AT(8), "ftt", "");
	expect(AT(0), AT(8), "-f-", "1");
}

static unsigned of_pieces;

static void
count_listings_of_pieces(void *arg, const char *op, const char *name)
{
	(void)arg;
	of_pieces += strcmp(op, "list") == 0 && strncmp(name, "wal/", 4) == 0;
}

static void
pieces_are_listed_only_where_there_is_a_bundle(void **state)
{
	(void)state;
	put(0, false, AT(0), AT(2));
	memstore_hook(repokit.tier[0].store, count_listings_of_pieces, NULL);
	of_pieces = 0;
	expect(AT(0), AT(4), "", "");
	assert_int_equal(of_pieces, 0);
	put(1, true, AT(0), AT(4));
	expect(AT(0), AT(4), "f", "0");
	assert_int_equal(of_pieces, 1);
}

static void
fall_silent(void *arg, const char *op, const char *name)
{
	if (strcmp(op, "list") == 0 && strncmp(name, "walb/", 5) == 0)
		memstore_away(arg, true);
}

static void
who_falls_silent_is_waited_for_once(void **state)
{
	static const char text[] = "1\t5/00200000\tno recovery target specified\n";
	struct pg_history h;
	struct err e = { 0 };

	(void)state;
	put(1, true, AT(0), AT(4));
	pg_history_init(&h, 2);
	assert_int_equal(pg_history_parse(2, text, sizeof(text) - 1, &h, &e), 0);
	memstore_hook(repokit.tier[0].store, fall_silent, repokit.tier[0].store);
	vclock_install(INT64_C(1700000000) * CLOCK_S);
	find_on(&h, AT(0), AT(20));
	assert_true(vclock_slept() > 0 && vclock_slept() < 40 * CLOCK_S);
	vclock_remove();
	assert_int_equal(found.bundles, 1);
	pg_history_done(&h);
}

static void
a_time_is_looked_for_up_to_the_first_bundle_that_was_put_later(void **state)
{
	struct wal_thaw_bundle list[] = {
		{ .time_ns = 10, .to = AT(2) },
		{ .time_ns = 20, .to = AT(4) },
		{ .time_ns = 30, .to = AT(6) },
	};
	const struct wal_thaw w = { .bundle = list, .bundles = 3 };

	(void)state;
	assert_int_equal(wal_thaw_written_by(&w, 5, AT(9)), AT(2));
	assert_int_equal(wal_thaw_written_by(&w, 20, AT(9)), AT(6));
	assert_int_equal(wal_thaw_written_by(&w, 30, AT(9)), AT(9));
	assert_int_equal(wal_thaw_written_by(&w, 5, AT(1)), AT(1));
}

static int
teardown(void **state)
{
	wal_thaw_done(&found);
	return repokit_teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    what_lies_on_the_way_by_whole_segments_is_needed_and_nothing_before_or_behind,
		    repokit_two_tiers, teardown),
		cmocka_unit_test_setup_teardown(
		    pieces_of_any_tier_stand_for_a_bundle, repokit_two_tiers, teardown),
		cmocka_unit_test_setup_teardown(
		    what_is_at_hand_or_comes_already_stands_for_what_would_cost,
		    repokit_two_tiers, teardown),
		cmocka_unit_test_setup_teardown(
		    pieces_are_listed_only_where_there_is_a_bundle, repokit_two_tiers, teardown),
		cmocka_unit_test_setup_teardown(
		    who_falls_silent_is_waited_for_once, repokit_two_tiers, teardown),
		cmocka_unit_test(a_time_is_looked_for_up_to_the_first_bundle_that_was_put_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
