/* Packs on their way to a tier: which tier gives them. */
#include "tests/lib/snapkit.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "repo/pend.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

static struct repokit k;
static struct pend_report rep;
static struct err e;
static char snap[LAYOUT_NAME];

static int
begin(void **state)
{
	(void)state;
	return snapkit_begin(&k, 3);
}

static int
end(void **state)
{
	(void)state;
	return snapkit_done(&k);
}

/* The snapshot from the first tier to the second. */
static int
copy(void)
{
	const struct pend_options o = { .workers = 0 };

	err_clear(&e);
	return pend_copy(k.repo, &k.tier[0], &k.tier[1], snap, &o, &rep, &e);
}

static void
copy_well(void)
{
	if (copy() == -1)
		fail_msg("%s", e.text);
	assert_true(snapkit_has(&k, 1, snap));
}

static void
a_damaged_pack_is_not_sent_but_taken_from_another_tier(void **state)
{
	uint8_t sha[LAYOUT_SHA];
	char pack[LAYOUT_NAME];

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	snapkit_sha(2, sha);
	memstore_bytes(k.tier[0].store, layout_pack(sha, pack), NULL)[3] ^= 1;
	repokit_refused(copy(), &e, ERR_CORRUPT, pack);
	assert_false(snapkit_has(&k, 1, snap));
	assert_false(snapkit_has_pack(&k, 1, 2));
	snapkit_put_pack(&k, 2, 2);
	vclock_pass(2 * LAYOUT_HOUR_NS);
	copy_well();
	assert_true(snapkit_has_pack(&k, 1, 2));
}

static void
a_tier_that_cannot_read_a_pack_is_no_end_while_another_one_has_it(void **state)
{
	/* The manifest is read, and no pack is. */
	const struct fault bad_sectors = { .kind = FAULT_IO, .op = "get", .at = 2, .times = 1000 };

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	k.tier[0].store = faultstore_new(k.tier[0].store);
	faultstore_arm(k.tier[0].store, &bad_sectors);
	assert_int_equal(copy(), -1);
	assert_int_equal(e.kind, ERR_IO);
	vclock_pass(2 * LAYOUT_HOUR_NS);
	for (unsigned n = 1; n <= 2; n++)
		snapkit_put_pack(&k, 2, n);
	faultstore_arm(k.tier[0].store, &bad_sectors);
	copy_well();
	assert_int_equal(rep.sent, 2);
	assert_true(faultstore_struck(k.tier[0].store) > 0);
}

static char first_asked[LAYOUT_NAME];
static unsigned others_asked;

/* From the first pack that is asked for on. */
static void
fall_silent(void *arg, const char *op, const char *name)
{
	if (strcmp(op, "get") != 0 || strncmp(name, "pack/", 5) != 0)
		return;
	if (first_asked[0] == '\0')
		snprintf(first_asked, sizeof(first_asked), "%s", name);
	others_asked += strcmp(name, first_asked) != 0;
	memstore_away(arg, true);
}

static void
a_tier_that_fell_silent_is_not_waited_for_at_every_pack(void **state)
{
	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2, 3, 4 } }, snap);
	for (unsigned n = 1; n <= 4; n++)
		snapkit_put_pack(&k, 2, n);
	first_asked[0] = '\0';
	others_asked = 0;
	memstore_hook(k.tier[0].store, fall_silent, k.tier[0].store);
	copy_well();
	memstore_hook(k.tier[0].store, NULL, NULL);
	assert_int_equal(rep.sent, 4);
	assert_true(first_asked[0] != '\0');
	assert_int_equal(others_asked, 0);
}

static unsigned gets[3];

static void
count_gets(void *arg, const char *op, const char *name)
{
	gets[(struct tier *)arg - k.tier] += strcmp(op, "get") == 0 && strncmp(name, "pack/", 5) == 0;
}

/* Six packs, which the first tier and the third have. */
static void
six_packs(void)
{
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2, 3, 4, 5, 6 } }, snap);
	for (unsigned n = 1; n <= 6; n++)
		snapkit_put_pack(&k, 2, n);
	memset(gets, 0, sizeof(gets));
	memstore_hook(k.tier[0].store, count_gets, &k.tier[0]);
	memstore_hook(k.tier[2].store, count_gets, &k.tier[2]);
}

static int64_t away_until;
static unsigned tries;

static void
fall_silent_at_the_first_pack(void *arg, const char *op, const char *name)
{
	if (strcmp(op, "put") != 0 || strncmp(name, "pack/", 5) != 0)
		return;
	if (tries++ == 0)
		away_until = clock_boot_ns() + away_until;
	memstore_away(arg, clock_boot_ns() < away_until);
}

/* For so long from the first pack on; how often each source was read. */
static int
copy_to_one_that_falls_silent(int64_t ns)
{
	six_packs();
	tries = 0;
	away_until = ns;
	memstore_hook(k.tier[1].store, fall_silent_at_the_first_pack, k.tier[1].store);
	return copy();
}

static void
a_target_that_falls_silent_says_nothing_of_the_source(void **state)
{
	(void)state;
	assert_int_equal(copy_to_one_that_falls_silent(20 * CLOCK_S), 0);
	assert_int_equal(gets[0], 6);
	assert_int_equal(gets[2], 0);
}

static void
what_cannot_be_put_is_not_read_from_everybody(void **state)
{
	(void)state;
	assert_int_equal(copy_to_one_that_falls_silent(1000 * CLOCK_S), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.text, k.tier[1].name));
	assert_int_equal(gets[0], 1);
	assert_int_equal(gets[2], 0);
}

/* The target lies behind a network, and tells the sum of what it took. */
static void
be_far(void)
{
	static struct store_ops far;

	far = *k.tier[1].store->ops;
	far.far = true;
	k.tier[1].store->ops = &far;
	memstore_freeze(k.tier[1].store, NULL, true);
}

static void
what_the_target_has_compared_is_not_read_back(void **state)
{
	(void)state;
	six_packs();
	be_far();
	memstore_hook(k.tier[1].store, count_gets, &k.tier[1]);
	copy_well();
	assert_int_equal(gets[1], 6);
	k.tier[1].store->options.compares = true;
	for (unsigned n = 1; n <= 6; n++) {
		uint8_t sha[LAYOUT_SHA];
		char pack[LAYOUT_NAME];

		snapkit_sha(n, sha);
		memstore_drop(k.tier[1].store, layout_pack(sha, pack));
	}
	memstore_drop(k.tier[1].store, snap);
	gets[1] = 0;
	copy_well();
	assert_int_equal(gets[1], 0);
	assert_int_equal(rep.sent, 6);
}

static void
damage_it(void *arg, const char *op, const char *name)
{
	if (strcmp(op, "cold") == 0)
		memstore_bytes(arg, name, NULL)[3] ^= 1;
}

static void
what_the_target_says_to_have_taken_must_be_what_was_sent(void **state)
{
	(void)state;
	six_packs();
	be_far();
	k.tier[1].store->options.compares = true;
	memstore_hook(k.tier[1].store, damage_it, k.tier[1].store);
	repokit_refused(copy(), &e, ERR_CORRUPT, "as it was sent");
	assert_false(snapkit_has(&k, 1, snap));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_damaged_pack_is_not_sent_but_taken_from_another_tier),
		CASE(a_tier_that_cannot_read_a_pack_is_no_end_while_another_one_has_it),
		CASE(a_tier_that_fell_silent_is_not_waited_for_at_every_pack),
		CASE(a_target_that_falls_silent_says_nothing_of_the_source),
		CASE(what_cannot_be_put_is_not_read_from_everybody),
		CASE(what_the_target_has_compared_is_not_read_back),
		CASE(what_the_target_says_to_have_taken_must_be_what_was_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
