#include "tests/lib/snapkit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "repo/gc.h"
#include "repo/packset.h"
#include "repo/record.h"
#include "tests/lib/memstore.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define HOUR LAYOUT_HOUR_NS
#define DAY (24 * HOUR)

static struct repokit k;
static struct gc_report rep;
static struct err e;
static char snap[LAYOUT_NAME];

static int
begin(void **state)
{
	(void)state;
	err_clear(&e);
	return snapkit_begin(&k, 2);
}

static int
end(void **state)
{
	(void)state;
	return snapkit_done(&k);
}

/* Most cases need no snapshot for what they are about. */
static int
collect(void)
{
	const struct gc_options o = { .empty_is_right = true };

	err_clear(&e);
	return gc_collect(k.repo, &k.tier[0], &o, &rep, &e);
}

static void
collect_well(void)
{
	if (collect() == -1)
		fail_msg("%s", e.text);
}

static void
packs_are_judged_by_reference_then_age_then_lists(void **state)
{
	struct gc_pack p = { .age_ns = 25 * HOUR + 1, .named = true, .condemned = true };

	(void)state;
	assert_int_equal(gc_judge(&p, DAY), GC_NAMED);
	p.named = false;
	assert_int_equal(gc_judge(&p, DAY), GC_DELETE);
	p.age_ns = 25 * HOUR;
	assert_int_equal(gc_judge(&p, DAY), GC_YOUNG);
	p = (struct gc_pack){ .age_ns = 26 * HOUR, .waiting = true };
	assert_int_equal(gc_judge(&p, DAY), GC_WAITING);
	p.waiting = false;
	assert_int_equal(gc_judge(&p, DAY), GC_CANDIDATE);
}

static void
garbage_goes_in_the_second_run_a_day_after_the_first(void **state)
{
	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	snapkit_put_pack(&k, 0, 3);
	collect_well();
	assert_int_equal(rep.referenced, 2);
	assert_int_equal(rep.young, 1);
	vclock_pass(26 * HOUR);
	collect_well();
	assert_int_equal(rep.candidates, 1);
	assert_int_equal(rep.candidate_bytes, 40);
	vclock_pass(23 * HOUR);
	collect_well();
	assert_int_equal(rep.waiting, 1);
	assert_int_equal(rep.candidates, 0);
	assert_true(snapkit_has_pack(&k, 0, 3));
	vclock_pass(HOUR);
	collect_well();
	assert_int_equal(rep.deleted, 1);
	assert_int_equal(rep.deleted_bytes, 40);
	assert_false(snapkit_has_pack(&k, 0, 3));
	assert_true(snapkit_has_pack(&k, 0, 1) && snapkit_has_pack(&k, 0, 2));
	vclock_pass(DAY);
	collect_well();
	assert_int_equal(snapkit_count(&k, 0, "gc/"), 0);
}

static void
packs_without_a_snapshot_go_only_when_somebody_says_so(void **state)
{
	const struct gc_options o = { 0 };

	(void)state;
	snapkit_put_pack(&k, 0, 3);
	/* Of a first backup that has not committed yet. */
	assert_int_equal(gc_collect(k.repo, &k.tier[0], &o, &rep, &e), 0);
	vclock_pass(26 * HOUR);
	assert_int_equal(gc_collect(k.repo, &k.tier[0], &o, &rep, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_non_null(strstr(e.text, "not one snapshot"));
	assert_int_equal(snapkit_count(&k, 0, "gc/"), 0);
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1 } }, snap);
	assert_int_equal(gc_collect(k.repo, &k.tier[0], &o, &rep, &e), 0);
	assert_int_equal(rep.candidates, 1);
}

static void
what_is_named_again_is_spared(void **state)
{
	(void)state;
	snapkit_put_pack(&k, 0, 3);
	vclock_pass(26 * HOUR);
	collect_well();
	assert_int_equal(rep.candidates, 1);
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 3 } }, snap);
	vclock_pass(DAY);
	collect_well();
	assert_int_equal(rep.deleted, 0);
	assert_true(snapkit_has_pack(&k, 0, 3));
}

/* Moves the manifest to pend/, as a copier would have put it. */
static void
make_pend(char pend[LAYOUT_NAME])
{
	struct store *s = k.tier[0].store;
	struct buf bytes;

	buf_init(&bytes, 1 << 20);
	assert_int_equal(store_get(s, snap, &bytes, &e), 0);
	layout_pend_new(snap, pend);
	assert_int_equal(store_put(s, pend, bytes.data, bytes.len, STORE_NEW, &e), 1);
	memstore_drop(s, snap);
	buf_done(&bytes);
}

static void
a_copy_under_way_is_a_reference_for_seven_days(void **state)
{
	char pend[LAYOUT_NAME];

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 5 } }, snap);
	vclock_pass(2 * DAY);
	make_pend(pend);
	for (int day = 0; day < 7; day++) {
		collect_well();
		assert_int_equal(rep.referenced, 1);
		assert_int_equal(rep.pends_dropped, 0);
		vclock_pass(DAY);
	}
	vclock_pass(1);
	collect_well();
	assert_int_equal(rep.pends_dropped, 1);
	assert_false(snapkit_has(&k, 0, pend));
	assert_int_equal(rep.candidates, 1);
}

static void
a_manifest_that_cannot_be_read_stops_everything_and_says_the_way_out(void **state)
{
	(void)state;
	snapkit_put_pack(&k, 0, 3);
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1 } }, snap);
	vclock_pass(26 * HOUR);
	collect_well();
	vclock_pass(25 * HOUR);
	memstore_bytes(k.tier[0].store, snap, NULL)[300] ^= 1;
	repokit_refused(collect(), &e, ERR_CORRUPT, snap);
	assert_non_null(strstr(e.text, "ffdr verify --repair vol.test/"));
	assert_non_null(strstr(e.text, "ffdr expire --discard vol.test/"));
	assert_true(snapkit_has_pack(&k, 0, 3));
	memstore_drop(k.tier[0].store, snap);
	collect_well();
	assert_false(snapkit_has_pack(&k, 0, 3));
}

static void
a_name_nobody_knows_below_snap_stops_everything(void **state)
{
	(void)state;
	repokit_put(k.tier[0].store, "snap/vol.test/README", "hello");
	repokit_refused(collect(), &e, ERR_CORRUPT, "snap/vol.test/README");
}

static void
an_unknown_name_below_pack_is_left_alone(void **state)
{
	(void)state;
	repokit_put(k.tier[0].store, "pack/aa/README", "hello");
	vclock_pass(10 * DAY);
	collect_well();
	assert_int_equal(rep.packs, 0);
	assert_true(snapkit_has(&k, 0, "pack/aa/README"));
}

static void
clocks_that_differ_refuse(void **state)
{
	(void)state;
	memstore_skew(k.tier[0].store, 301 * CLOCK_S);
	repokit_refused(collect(), &e, ERR_REFUSED, "clocks differ");
	memstore_skew(k.tier[0].store, -301 * CLOCK_S);
	repokit_refused(collect(), &e, ERR_REFUSED, "clocks differ");
	memstore_skew(k.tier[0].store, 299 * CLOCK_S);
	collect_well();
	memstore_skew(k.tier[1].store, 301 * CLOCK_S); /* another tier may be right */
	repokit_refused(collect(), &e, ERR_REFUSED, "two");
	memstore_away(k.tier[1].store, true);
	collect_well();
}

static void
a_hold_of_the_tier_refuses(void **state)
{
	char name[LAYOUT_NAME];
	struct buf text;

	(void)state;
	buf_init(&text, 100);
	buf_adds(&text, "snapshot *\nstate on\n");
	assert_int_equal(record_put(k.repo, k.tier[0].store, "hold", "vol.test", clock_real_ns(),
	    &text, name, &e), 0);
	repokit_refused(collect(), &e, ERR_REFUSED, "on hold");
	buf_done(&text);
}

static void
a_damaged_list_condemns_nothing_and_goes(void **state)
{
	(void)state;
	snapkit_put_pack(&k, 0, 3);
	repokit_put(k.tier[0].store, "gc/20231101T000000Z", "pack all of them");
	vclock_pass(26 * HOUR);
	collect_well();
	assert_int_equal(rep.deleted, 0);
	assert_int_equal(rep.candidates, 1);
	assert_int_equal(snapkit_count(&k, 0, "gc/"), 1);
	assert_false(snapkit_has(&k, 0, "gc/20231101T000000Z"));
}

static void
a_dry_run_counts_and_changes_nothing(void **state)
{
	const struct gc_options o = { .dry_run = true, .empty_is_right = true };
	size_t before;

	(void)state;
	snapkit_put_pack(&k, 0, 3);
	vclock_pass(26 * HOUR);
	collect_well();
	vclock_pass(25 * HOUR);
	snapkit_put_pack(&k, 0, 4);
	before = memstore_count(k.tier[0].store);
	assert_int_equal(gc_collect(k.repo, &k.tier[0], &o, &rep, &e), 0);
	assert_int_equal(rep.deleted, 1);
	assert_int_equal(memstore_count(k.tier[0].store), before);
}

/* Each delete takes a while; what is left after an hour must not go in that run. */
static void
slow_delete(void *arg, const char *op, const char *name)
{
	(void)arg;
	(void)name;
	if (strcmp(op, "del") == 0)
		vclock_pass(25 * HOUR / 60);
}

static void
nothing_is_deleted_an_hour_after_the_listing(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 8; i++)
		snapkit_put_pack(&k, 0, i);
	vclock_pass(26 * HOUR);
	collect_well();
	vclock_pass(25 * HOUR);
	memstore_hook(k.tier[0].store, slow_delete, NULL);
	collect_well();
	memstore_hook(k.tier[0].store, NULL, NULL);
	assert_int_equal(rep.deleted, 3);
	assert_non_null(strstr(rep.stopped, "5 packs were left"));
	assert_int_equal(snapkit_count(&k, 0, "pack/"), 5);
	collect_well(); /* the lists are still there */
	assert_int_equal(rep.deleted, 5);
	assert_string_equal(rep.stopped, "");
}

/* The lists of what may be deleted now, seen when the first manifest is looked for. */
static size_t lists_then;

static void
count_lists(void *arg, const char *op, const char *name)
{
	struct store *s = arg;

	if (strcmp(op, "list") != 0 || strcmp(name, "pend/") != 0)
		return;
	memstore_hook(s, NULL, NULL);
	lists_then = snapkit_count(&k, 0, "gc/");
	memstore_hook(s, count_lists, s);
}

static void
what_may_be_deleted_is_listed_anew_before_manifests_are_looked_at(void **state)
{
	struct store *s = k.tier[0].store;

	(void)state;
	snapkit_put_pack(&k, 0, 3);
	vclock_pass(26 * HOUR);
	collect_well();
	vclock_pass(25 * HOUR);
	memstore_hook(s, count_lists, s);
	collect_well();
	memstore_hook(s, NULL, NULL);
	assert_int_equal(lists_then, 2);
	assert_int_equal(rep.deleted, 1);
	assert_int_equal(snapkit_count(&k, 0, "gc/"), 1); /* it stays for copiers to see */
}

/*
 * A copy that ends while the collection looks: its pend/ name goes when its snap/ name is there. It
 * does so between the two listings, whichever comes first.
 */
static unsigned lists_before;

static void
finish_copy(void *arg, const char *op, const char *name)
{
	const char *pend = arg;
	struct store *s = k.tier[0].store;
	struct buf bytes;

	if (strcmp(op, "list") != 0 || (strcmp(name, "snap/") != 0 && strcmp(name, "pend/") != 0) ||
	    ++lists_before < 2)
		return;
	memstore_hook(s, NULL, NULL);
	buf_init(&bytes, 1 << 20);
	assert_int_equal(store_get(s, pend, &bytes, &e), 0);
	assert_int_equal(store_put(s, snap, bytes.data, bytes.len, STORE_NEW, &e), 1);
	memstore_drop(s, pend);
	buf_done(&bytes);
}

static void
a_copy_that_ends_meanwhile_is_seen_under_one_of_its_names(void **state)
{
	char pend[LAYOUT_NAME];

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 5 } }, snap);
	vclock_pass(2 * DAY);
	make_pend(pend);
	lists_before = 0;
	memstore_hook(k.tier[0].store, finish_copy, pend);
	collect_well();
	assert_true(snapkit_has(&k, 0, snap));
	assert_int_equal(rep.referenced, 1);
	assert_int_equal(rep.candidates, 0);
}

static void
a_set_of_packs_holds_what_was_added_and_nothing_else(void **state)
{
	struct packset s = { 0 };
	uint8_t sha[LAYOUT_SHA], zeros[LAYOUT_SHA] = { 0 };
	size_t at = 0, walked = 0;

	(void)state;
	assert_false(packset_has(&s, zeros));
	for (unsigned i = 0; i < 5000; i++) {
		snapkit_sha(i, sha);
		assert_int_equal(packset_add(&s, sha), 1);
		assert_int_equal(packset_add(&s, sha), 0);
	}
	assert_int_equal(packset_add(&s, zeros), 1);
	for (unsigned i = 0; i < 10000; i++) {
		snapkit_sha(i, sha);
		assert_int_equal(packset_has(&s, sha), i < 5000);
	}
	while (packset_next(&s, &at) != NULL)
		walked++;
	assert_int_equal(walked, 5001);
	assert_int_equal(s.count, 5001);
	packset_done(&s);
}

/* ---- what was set aside ---- */

static void
put_aside(const char *name)
{
	char aside[LAYOUT_NAME + 10];

	snprintf(aside, sizeof(aside), "bad/%s", name);
	repokit_put(k.tier[0].store, aside, "bad bytes");
}

static size_t
collect_a_month_later(void)
{
	vclock_pass(31 * DAY);
	collect_well();
	return rep.aside;
}

static void
a_bad_pack_goes_after_a_month_when_its_name_is_good_again_or_nothing_needs_it(void **state)
{
	uint8_t sha[LAYOUT_SHA], *bytes;
	char name[LAYOUT_NAME];
	size_t len;

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	for (unsigned i = 1; i <= 3; i++) {
		snapkit_sha(i, sha);
		put_aside(layout_pack(sha, name));
	}
	snapkit_sha(1, sha);
	memstore_drop(k.tier[0].store, layout_pack(sha, name));
	vclock_pass(30 * DAY);
	collect_well();
	assert_int_equal(rep.aside, 0);
	/* 1 is named and gone from its place: the only one. 2 is good there. 3 nobody names. */
	assert_int_equal(collect_a_month_later(), 2);
	assert_int_equal(snapkit_count(&k, 0, "bad/"), 1);
	snapkit_put_pack(&k, 0, 1);
	bytes = memstore_bytes(k.tier[0].store, name, &len);
	bytes[len / 2] ^= 1; /* it is there again, and not good */
	assert_int_equal(collect_a_month_later(), 0);
	bytes[len / 2] ^= 1;
	assert_int_equal(collect_a_month_later(), 1);
	assert_int_equal(snapkit_count(&k, 0, "bad/"), 0);
}

static void
a_bad_manifest_or_key_goes_when_a_good_one_is_in_its_place(void **state)
{
	static const char gone[] = "snap/vol.test/20200101T000000Z-00000000";
	uint8_t *bytes;
	size_t len;

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1 } }, snap);
	put_aside(snap);
	put_aside("repo/0");
	put_aside("repo/7"); /* who knows what that was */
	put_aside(gone);     /* a snapshot that was let go of */
	put_aside("who/knows");
	bytes = memstore_bytes(k.tier[0].store, "repo/0", &len);
	bytes[0] ^= 1;
	assert_int_equal(collect_a_month_later(), 2);
	assert_int_equal(snapkit_count(&k, 0, "bad/snap/"), 0);
	bytes[0] ^= 1;
	assert_int_equal(collect_a_month_later(), 1);
	assert_int_equal(snapkit_count(&k, 0, "bad/"), 2);
}

static void
a_dry_run_counts_what_was_set_aside_and_leaves_it(void **state)
{
	const struct gc_options o = { .dry_run = true, .empty_is_right = true };

	(void)state;
	put_aside("snap/vol.test/20200101T000000Z-00000000");
	vclock_pass(31 * DAY);
	assert_int_equal(gc_collect(k.repo, &k.tier[0], &o, &rep, &e), 0);
	assert_int_equal(rep.aside, 1);
	assert_int_equal(snapkit_count(&k, 0, "bad/"), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packs_are_judged_by_reference_then_age_then_lists),
		cmocka_unit_test(a_set_of_packs_holds_what_was_added_and_nothing_else),
		CASE(garbage_goes_in_the_second_run_a_day_after_the_first),
		CASE(packs_without_a_snapshot_go_only_when_somebody_says_so),
		CASE(what_is_named_again_is_spared),
		CASE(a_copy_under_way_is_a_reference_for_seven_days),
		CASE(a_manifest_that_cannot_be_read_stops_everything_and_says_the_way_out),
		CASE(a_name_nobody_knows_below_snap_stops_everything),
		CASE(an_unknown_name_below_pack_is_left_alone),
		CASE(clocks_that_differ_refuse),
		CASE(a_hold_of_the_tier_refuses),
		CASE(a_damaged_list_condemns_nothing_and_goes),
		CASE(a_dry_run_counts_and_changes_nothing),
		CASE(nothing_is_deleted_an_hour_after_the_listing),
		CASE(what_may_be_deleted_is_listed_anew_before_manifests_are_looked_at),
		CASE(a_bad_pack_goes_after_a_month_when_its_name_is_good_again_or_nothing_needs_it),
		CASE(a_bad_manifest_or_key_goes_when_a_good_one_is_in_its_place),
		CASE(a_dry_run_counts_what_was_set_aside_and_leaves_it),
		CASE(a_copy_that_ends_meanwhile_is_seen_under_one_of_its_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
