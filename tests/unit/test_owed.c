/* What one tier has promised to keep does not go from another before it is there. */
#include "job/owed.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "repo/record.h"
#include "tests/lib/memstore.h"
#include "tests/lib/snapkit.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define HOUR LAYOUT_HOUR_NS
#define DAY (24 * HOUR)
#define SNAPS 12
#define KEEP (3 * DAY + 12 * HOUR) /* of the near tier: the last four, and the edge */

static struct repokit k;
static struct prune_report rep;
static struct owed owed;
static struct err e;
static char snap[SNAPS][LAYOUT_NAME];

/* Twelve daily ones on the near tier, the newest made now; the far one keeps for ever, has none. */
static int
begin(void **state)
{
	(void)state;
	snapkit_begin(&k, 2);
	err_clear(&e);
	for (unsigned i = 0; i < SNAPS; i++) {
		vclock_pass(DAY);
		snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { i + 1 } }, snap[i]);
	}
	owed = (struct owed){ .repo = k.repo, .source = "vol.test", .tiers = 1,
		.tier = { { .tier = &k.tier[1], .keep_ns = -1 } } };
	k.tier[1].takes_ms = k.tier[1].rpo_ms = 0;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	prune_done(&rep);
	return snapkit_done(&k);
}

static const char *
id(unsigned i)
{
	return strchr(snap[i], '/') + 1;
}

static void
prune(void)
{
	const struct prune_options o = { .keep_ns = KEEP, .more_than_half = true, .dry_run = true,
		.owed = owed_mark, .owed_arg = &owed };

	prune_done(&rep);
	if (prune_source(k.repo, &k.tier[0], "vol.test", &o, &rep, &e) == -1)
		fail_msg("%s", e.text);
	assert_int_equal(rep.count, SNAPS);
}

/* The far tier has got it. */
static void
give(unsigned i)
{
	size_t n;
	uint8_t *bytes = memstore_bytes(k.tier[0].store, snap[i], &n);

	assert_int_equal(store_put(k.tier[1].store, snap[i], bytes, n, STORE_NEW, &e), 1);
}

/* One letter each: g goes, w waits, s stays for another reason. */
static void
assert_plan(const char *want)
{
	char got[SNAPS + 1] = "";

	prune();
	for (unsigned i = 0; i < SNAPS; i++) {
		const struct prune_item *it = &rep.item[i];

		got[i] = expire_goes(it->reason) ? 'g' : it->reason == EXPIRE_KEEP_OWED ? 'w' : 's';
		if (got[i] == 'w')
			assert_string_equal(it->waits_for, k.tier[1].name);
	}
	assert_string_equal(got, want);
}

static void
what_the_other_tier_lacks_stays_and_what_it_has_goes(void **state)
{
	(void)state;
	assert_plan("wwwwwwwsssss");
	for (unsigned i = 0; i < SNAPS; i += 2)
		give(i);
	assert_plan("gwgwgwgsssss");
	give(1);
	give(3);
	give(5);
	assert_plan("gggggggsssss");
}

static void
what_it_would_not_keep_is_not_waited_for(void **state)
{
	(void)state;
	owed.tier[0].keep_ns = 8 * DAY + HOUR;
	assert_plan("gggwwwwsssss");
	owed.tier[0].keep_ns = DAY;
	assert_plan("gggggggsssss");
}

static void
a_partial_one_there_ends_no_window(void **state)
{
	char name[LAYOUT_NAME];

	(void)state;
	owed.tier[0].keep_ns = 8 * DAY + HOUR;
	vclock_pass(4 * DAY);
	snapkit_put(&k, 1, &(struct snapkit_snap){ .pack = { 30 }, .partial = true }, name);
	assert_plan("gggwwwwsssss");
}

static void
of_each_period_it_waits_for_one(void **state)
{
	(void)state;
	k.tier[1].takes_ms = 7 * DAY / CLOCK_MS;
	/* 15 November 2023 was a Wednesday: of the first two weeks the Sunday is wanted. */
	assert_plan("ggggwggsssss");
	give(2);
	assert_plan("gggggggsssss");
}

static void
of_a_tier_that_is_away_only_what_is_remembered_is_there(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SNAPS; i++)
		give(i);
	snprintf(owed.tier[0].remembered, sizeof(owed.tier[0].remembered), "%s", id(5));
	memstore_away(k.tier[1].store, true);
	assert_plan("wwwwwgwsssss");
	assert_true(rep.item[0].waits_away);
	owed.tier[0].remembered[0] = '\0';
	assert_plan("wwwwwwwsssss");
	/* A period is served by what is remembered, too. */
	k.tier[1].takes_ms = 7 * DAY / CLOCK_MS;
	snprintf(owed.tier[0].remembered, sizeof(owed.tier[0].remembered), "%s", id(3));
	assert_plan("gggggggsssss");
	memstore_away(k.tier[1].store, false);
}

static void
partial_and_broken_ones_are_not_waited_for(void **state)
{
	char at[LAYOUT_NAME], text[300];
	struct buf b;

	(void)state;
	buf_init(&b, sizeof(text));
	snprintf(text, sizeof(text), "snapshot %s\nlevel 1\n", id(2));
	buf_adds(&b, text);
	assert_int_equal(record_put(k.repo, k.tier[0].store, RECORD_BROKEN, "vol.test", clock_real_ns(),
	    &b, at, &e), 0);
	buf_reset(&b);
	/* The newest is known to be good. */
	snprintf(text, sizeof(text), "snapshot %s\nlevel 1\n", id(SNAPS - 1));
	buf_adds(&b, text);
	assert_int_equal(record_put(k.repo, k.tier[0].store, RECORD_VERIFIED, "vol.test",
	    clock_real_ns(), &b, at, &e), 0);
	buf_done(&b);
	assert_plan("wwgwwwwsssss");
}

static void
what_a_person_let_go_of_there_is_not_waited_for(void **state)
{
	char at[LAYOUT_NAME], text[300];
	struct buf b;

	(void)state;
	snprintf(text, sizeof(text), "what " RECORD_DISCARD "\nobject %s\ntier %s\nby root\n", snap[1],
	    k.tier[1].name);
	buf_init(&b, sizeof(text));
	buf_adds(&b, text);
	assert_int_equal(record_put(k.repo, k.tier[1].store, RECORD_RUN, "vol.test", clock_real_ns(),
	    &b, at, &e), 0);
	buf_done(&b);
	assert_plan("wgwwwwwsssss");
}

static void
a_copy_is_late_after_a_day_or_the_rpo(void **state)
{
	(void)state;
	prune();
	assert_true(rep.item[6].waits_late); /* five days old */
	k.tier[1].rpo_ms = 6 * DAY / CLOCK_MS;
	prune();
	assert_false(rep.item[6].waits_late);
	assert_true(rep.item[4].waits_late);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_the_other_tier_lacks_stays_and_what_it_has_goes),
		CASE(what_it_would_not_keep_is_not_waited_for),
		CASE(a_partial_one_there_ends_no_window),
		CASE(of_each_period_it_waits_for_one),
		CASE(of_a_tier_that_is_away_only_what_is_remembered_is_there),
		CASE(partial_and_broken_ones_are_not_waited_for),
		CASE(what_a_person_let_go_of_there_is_not_waited_for),
		CASE(a_copy_is_late_after_a_day_or_the_rpo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
