#include "tests/lib/snapkit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "repo/hostclock.h"
#include "repo/prune.h"
#include "repo/record.h"
#include "repo/wall.h"
#include "tests/lib/memstore.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define HOUR LAYOUT_HOUR_NS
#define DAY (24 * HOUR)
#define SNAPS 8

static struct repokit k;
static struct prune_report rep;
static struct err e;
static char snap[SNAPS][LAYOUT_NAME];

/* Eight daily snapshots, the newest made now. */
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
	return 0;
}

static int
end(void **state)
{
	(void)state;
	prune_done(&rep);
	return snapkit_done(&k);
}

static int
prune(const struct prune_options *o)
{
	prune_done(&rep);
	return prune_source(k.repo, &k.tier[0], "vol.test", o, &rep, &e);
}

static size_t
left(void)
{
	return snapkit_count(&k, 0, "snap/");
}

static void
record(const char *kind, const char *fmt, const char *name)
{
	char text[300], at[LAYOUT_NAME];
	struct buf b;

	snprintf(text, sizeof(text), "snapshot %s\n%s\n", name + strlen("snap/"), fmt);
	buf_init(&b, sizeof(text));
	buf_adds(&b, text);
	assert_int_equal(record_put(k.repo, k.tier[0].store, kind, "vol.test", clock_real_ns(), &b,
	    at, &e), 0);
	buf_done(&b);
}

/* Somebody holds the second one when the first is about to go. */
static void
hold_second(void *arg, const char *op, const char *name)
{
	bool *done = arg;

	if (*done || strcmp(op, "del") != 0 || strcmp(name, snap[0]) != 0)
		return;
	*done = true;
	record("hold", "state on", snap[1]);
}

static void
a_hold_that_is_made_meanwhile_is_kept(void **state)
{
	const struct prune_options o = { .keep_ns = 4 * DAY + 12 * HOUR, .more_than_half = true };
	bool done = false;

	(void)state;
	memstore_hook(k.tier[0].store, hold_second, &done);
	assert_int_equal(prune(&o), 0);
	memstore_hook(k.tier[0].store, NULL, NULL);
	assert_true(done);
	assert_false(snapkit_has(&k, 0, snap[0]));
	assert_true(snapkit_has(&k, 0, snap[1]));
	assert_int_equal(rep.item[1].reason, EXPIRE_KEEP_HELD);
	assert_int_equal(rep.going, rep.gone);
}

static void
manifests_go_and_packs_stay(void **state)
{
	const struct prune_options o = { .keep_ns = 4 * DAY + 12 * HOUR };

	(void)state;
	assert_int_equal(prune(&o), 0);
	assert_int_equal(rep.count, SNAPS);
	assert_int_equal(rep.going, 2); /* three are too old, one of them is the edge */
	assert_int_equal(rep.gone, 2);
	for (unsigned i = 0; i < SNAPS; i++)
		assert_int_equal(snapkit_has(&k, 0, snap[i]), i >= 2);
	assert_int_equal(rep.item[2].reason, EXPIRE_KEEP_EDGE);
	assert_int_equal(snapkit_count(&k, 0, "pack/"), SNAPS);
	assert_int_equal(prune(&o), 0);
	assert_int_equal(rep.going, 0);
}

static void
a_dry_run_tells_each_reason_and_removes_nothing(void **state)
{
	const struct prune_options o = { .keep_ns = 4 * DAY + 12 * HOUR, .dry_run = true };

	(void)state;
	assert_int_equal(prune(&o), 0);
	assert_int_equal(rep.going, 2);
	assert_int_equal(rep.gone, 0);
	assert_int_equal(left(), SNAPS);
	assert_int_equal(rep.item[0].reason, EXPIRE_GO_AGE);
	assert_int_equal(rep.item[7].reason, EXPIRE_KEEP_NEWEST);
}

static void
records_on_the_tier_hold_and_verify(void **state)
{
	const struct prune_options o = { .keep_ns = 0, .more_than_half = true };

	(void)state;
	record("hold", "state on", snap[1]);
	record("hold", "state on", snap[1]);
	vclock_pass(CLOCK_S);
	record("hold", "state off", snap[2]);
	record("verified", "level 0", snap[4]); /* has seen names only */
	record("verified", "level 2", snap[3]);
	assert_int_equal(prune(&o), 0);
	/* 5 and 6 may be the parent of a run. */
	assert_int_equal(left(), 5);
	for (unsigned i = 0; i < SNAPS; i++)
		assert_int_equal(snapkit_has(&k, 0, snap[i]), i != 0 && i != 2 && i != 4);
}

static void
verified(unsigned i, const char *level)
{
	record("verified", level, snap[i]);
	vclock_pass(CLOCK_S);
}

static void
broken(unsigned i, const char *level)
{
	record("broken", level, snap[i]);
	vclock_pass(CLOCK_S);
}

static void
one_found_broken_since_is_not_the_last_verified(void **state)
{
	const struct prune_options o = { .keep_ns = DAY, .more_than_half = true, .dry_run = true };

	(void)state;
	vclock_pass(2 * DAY);
	verified(1, "level 2");
	verified(3, "level 2");
	verified(7, "level 1");
	assert_int_equal(prune(&o), 0);
	assert_int_equal(rep.item[1].reason, EXPIRE_GO_AGE);
	broken(7, "level 1");
	broken(3, "level 1");
	assert_int_equal(prune(&o), 0);
	assert_int_equal(rep.item[0].reason, EXPIRE_KEEP_BROKEN);
	assert_int_equal(rep.item[1].reason, EXPIRE_KEEP_VERIFIED);
	assert_int_equal(rep.item[3].reason, EXPIRE_KEEP_BROKEN);
	/* The newest is good again: a look that goes as far says so, a lesser one does not. */
	verified(7, "level 0");
	assert_int_equal(prune(&o), 0);
	assert_int_equal(rep.item[0].reason, EXPIRE_KEEP_BROKEN);
	verified(7, "level 2");
	assert_int_equal(prune(&o), 0);
	assert_int_equal(rep.item[0].reason, EXPIRE_GO_AGE);
	assert_int_equal(rep.item[3].reason, EXPIRE_GO_AGE);
}

static void
a_proof_that_cannot_be_read_protects_nothing_and_stops_nothing(void **state)
{
	const struct prune_options o = { .keep_ns = DAY, .more_than_half = true };
	char text[300], name[LAYOUT_NAME];
	struct buf b;

	(void)state;
	vclock_pass(2 * DAY);
	verified(1, "level 2");
	buf_init(&b, sizeof(text));
	snprintf(text, sizeof(text), "snapshot %s\nlevel 2\n", strchr(snap[2], '/') + 1);
	buf_adds(&b, text);
	assert_int_equal(record_put(k.repo, k.tier[0].store, "verified", "vol.test", clock_real_ns(), &b,
	    name, &e), 0);
	buf_done(&b);
	memstore_bytes(k.tier[0].store, name, NULL)[120] ^= 1;
	assert_int_equal(prune(&o), 0);
	assert_true(snapkit_has(&k, 0, snap[1]));
	assert_false(snapkit_has(&k, 0, snap[2]));
	assert_int_equal(rep.unread, 1);
	assert_non_null(strstr(rep.unread_why.text, name));
	assert_int_equal(rep.tidy.kind, ERR_NONE);
}

/* Eight weekly looks at each snapshot, and then most of them expire. */
static void
proofs_that_say_nothing_any_more_go(void **state)
{
	const struct prune_options o = { .keep_ns = 4 * DAY + 12 * HOUR };
	const struct prune_options dry = { .keep_ns = 4 * DAY + 12 * HOUR, .dry_run = true };

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		for (unsigned s = 0; s < SNAPS; s++) {
			record("verified", i < 2 ? "level 1" : "level 2", snap[s]);
			record("broken", "level 2", snap[s]);
		}
		vclock_pass(CLOCK_S);
	}
	record("hold", "state on", snap[7]);
	vclock_pass(2 * HOUR);
	assert_int_equal(prune(&o), 0);
	assert_int_equal(rep.records, 0); /* too young */
	vclock_pass(DAY);
	record("verified", "level 2", snap[7]);
	assert_int_equal(prune(&dry), 0);
	assert_int_equal(snapkit_count(&k, 0, "rec/verified/"), 8 * SNAPS + 1);
	assert_int_equal(prune(&o), 0);
	assert_int_equal(rep.tidy.kind, ERR_NONE);
	/* Of each that is left the last of both levels; of the newest the one that was just made, too. */
	assert_int_equal(snapkit_count(&k, 0, "rec/verified/"), 2 * left());
	assert_int_equal(snapkit_count(&k, 0, "rec/broken/"), left());
	assert_int_equal(snapkit_count(&k, 0, "rec/hold/"), 1);
	assert_int_equal(rep.records, 8 * SNAPS + 1 - 2 * left() + 8 * SNAPS - left());
	/* Nothing is judged otherwise by what is left. */
	assert_int_equal(prune(&o), 0);
	assert_int_equal(rep.records, 0);
	assert_int_equal(rep.going, 0);
}

static void
partial_ones_are_known_by_their_manifests(void **state)
{
	const struct prune_options o = { .keep_ns = 100 * DAY };
	char partial[LAYOUT_NAME];

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .partial = true, .pack = { 20 },
	    .time_ns = clock_real_ns() - 5 * DAY }, partial);
	assert_int_equal(prune(&o), 0);
	assert_int_equal(rep.gone, 1);
	assert_false(snapkit_has(&k, 0, partial));
}

static void
an_unreadable_manifest_stops_its_source_and_says_the_way_out(void **state)
{
	const struct prune_options o = { .keep_ns = 0 };

	(void)state;
	memstore_bytes(k.tier[0].store, snap[5], NULL)[200] ^= 4;
	repokit_refused(prune(&o), &e, ERR_CORRUPT, "ffdr expire --discard vol.test/");
	assert_int_equal(left(), SNAPS);
}

static void
another_source_is_not_touched(void **state)
{
	const struct prune_options o = { .keep_ns = 0, .retire = true };
	char other[LAYOUT_NAME];

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .source = "vol.test2", .pack = { 1 } }, other);
	assert_int_equal(prune(&o), 0);
	assert_int_equal(rep.gone, SNAPS);
	assert_int_equal(left(), 1);
	assert_true(snapkit_has(&k, 0, other));
}

static void
half_of_what_there_was_a_day_ago_goes_however_many_runs(void **state)
{
	char *lately = scratch_path(scratch_dir(), "expired");
	const struct prune_options o = { .keep_ns = 0, .lately = lately };
	const struct prune_options dry = { .keep_ns = 0, .lately = lately, .dry_run = true };

	(void)state;
	vclock_pass(2 * DAY); /* all but the newest may go, and one for the edge */
	assert_int_equal(prune(&dry), 0);
	assert_int_equal(prune(&o), 0);
	assert_int_equal(left(), SNAPS / 2);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(prune(&o), 0);
		assert_int_equal(left(), SNAPS / 2);
		assert_int_equal(rep.item[0].reason, EXPIRE_KEEP_HALF);
		vclock_pass(6 * HOUR);
	}
	vclock_pass(5 * HOUR);
	assert_int_equal(prune(&o), 0);
	assert_int_equal(left(), SNAPS / 4);
	free(lately);
}

/* Removing takes long: an hour and a little for each. */
static void
dawdle(void *arg, const char *op, const char *name)
{
	(void)arg;
	(void)name;
	if (strcmp(op, "del") == 0)
		vclock_pass(HOUR + CLOCK_S);
}

static void
a_plan_older_than_an_hour_is_not_carried_out_any_further(void **state)
{
	const struct prune_options o = { .keep_ns = 4 * DAY + 12 * HOUR };

	(void)state;
	memstore_hook(k.tier[0].store, dawdle, NULL);
	assert_int_equal(prune(&o), -1);
	memstore_hook(k.tier[0].store, NULL, NULL);
	assert_non_null(strstr(e.text, "over an hour"));
	assert_int_equal(rep.gone, 1);
	assert_int_equal(left(), SNAPS - 1);
}

static int64_t ahead_ns;

static int64_t
real_ahead(void *arg)
{
	(void)arg;
	return INT64_C(1700000000) * CLOCK_S + 30 * DAY + ahead_ns;
}

static int64_t
boot_stands(void *arg)
{
	(void)arg;
	return DAY;
}

/* The clock is set by a year when the first one goes; a run may last for hours. */
static void
set_clock(void *arg, const char *op, const char *name)
{
	(void)arg;
	(void)name;
	if (strcmp(op, "del") == 0)
		ahead_ns = 365 * DAY;
}

static void
a_clock_that_was_set_since_the_run_began_stops_what_comes_next(void **state)
{
	const struct prune_options o = { .keep_ns = 4 * DAY + 12 * HOUR };
	const struct clock_source source = { .real_ns = real_ahead, .boot_ns = boot_stands };

	(void)state;
	k.repo->clock_path = scratch_path(scratch_dir(), "clock");
	clock_install(&source);
	assert_int_equal(hostclock_remember(k.repo->clock_path, 0, &e), 0);
	memstore_hook(k.tier[0].store, set_clock, NULL);
	assert_int_equal(prune(&o), 0);
	memstore_hook(k.tier[0].store, NULL, NULL);
	assert_int_equal(rep.gone, 2);
	repokit_refused(prune(&o), &e, ERR_REFUSED, "was set");
}

static void
who_only_looks_leaves_no_memory_of_the_clock(void **state)
{
	char *path = scratch_path(scratch_dir(), "clock");

	(void)state;
	k.repo->clock_path = path;
	assert_int_equal(wall_begin(k.repo, &(struct wall_options){ .look_only = true }, &e), 0);
	assert_false(hostclock_remembered(path));
	assert_int_equal(wall_begin(k.repo, &(struct wall_options){ .look_only = false }, &e), 0);
	assert_true(hostclock_remembered(path));
}

static void
clocks_that_differ_refuse(void **state)
{
	const struct prune_options o = { .keep_ns = 0 };

	(void)state;
	memstore_skew(k.tier[1].store, 400 * CLOCK_S);
	repokit_refused(prune(&o), &e, ERR_REFUSED, "nothing is removed");
	assert_int_equal(left(), SNAPS);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(manifests_go_and_packs_stay),
		CASE(a_hold_that_is_made_meanwhile_is_kept),
		CASE(a_plan_older_than_an_hour_is_not_carried_out_any_further),
		CASE(a_clock_that_was_set_since_the_run_began_stops_what_comes_next),
		CASE(who_only_looks_leaves_no_memory_of_the_clock),
		CASE(a_dry_run_tells_each_reason_and_removes_nothing),
		CASE(records_on_the_tier_hold_and_verify),
		CASE(one_found_broken_since_is_not_the_last_verified),
		CASE(a_proof_that_cannot_be_read_protects_nothing_and_stops_nothing),
		CASE(proofs_that_say_nothing_any_more_go),
		CASE(partial_ones_are_known_by_their_manifests),
		CASE(an_unreadable_manifest_stops_its_source_and_says_the_way_out),
		CASE(another_source_is_not_touched),
		CASE(half_of_what_there_was_a_day_ago_goes_however_many_runs),
		CASE(clocks_that_differ_refuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
