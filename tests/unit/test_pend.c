#include "tests/lib/snapkit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "repo/gc.h"
#include "repo/packset.h"
#include "repo/pend.h"
#include "repo/tomb.h"
#include "tests/lib/memstore.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define HOUR LAYOUT_HOUR_NS
#define DAY (24 * HOUR)

static struct repokit k;
static struct pend_report rep;
static struct err e;
static char snap[LAYOUT_NAME];
static unsigned asked; /* how often an interruption was asked for; it comes at the stop-th time */
static unsigned stop_at;

static int
begin(void **state)
{
	(void)state;
	err_clear(&e);
	asked = stop_at = 0;
	return snapkit_begin(&k, 3);
}

static int
end(void **state)
{
	(void)state;
	return snapkit_done(&k);
}

static bool
interrupted(void *arg)
{
	(void)arg;
	return ++asked == stop_at;
}

/* The snapshot from the first tier to the second. */
static int
copy(void)
{
	const struct pend_options o = { .interrupted = interrupted };

	err_clear(&e);
	return pend_copy(k.repo, &k.tier[0], &k.tier[1], snap, &o, &rep, &e);
}

static void
copy_well(void)
{
	if (copy() == -1)
		fail_msg("%s", e.text);
	assert_true(snapkit_has(&k, 1, snap));
	assert_int_equal(snapkit_count(&k, 1, "pend/"), 0);
}

static void
a_copy_is_byte_identical_and_leaves_nothing_pending(void **state)
{
	size_t n, other;

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2, 3 } }, snap);
	copy_well();
	assert_int_equal(rep.sent, 3);
	assert_int_equal(rep.sent_bytes, 120);
	assert_int_equal(rep.there, 0);
	assert_false(rep.waited || rep.already);
	assert_true(snapkit_has_pack(&k, 1, 1) && snapkit_has_pack(&k, 1, 2) &&
	    snapkit_has_pack(&k, 1, 3));
	memstore_bytes(k.tier[0].store, snap, &n);
	memstore_bytes(k.tier[1].store, snap, &other);
	assert_int_equal(n, other);
	assert_memory_equal(memstore_bytes(k.tier[0].store, snap, NULL),
	    memstore_bytes(k.tier[1].store, snap, NULL), n);
	copy_well();
	assert_true(rep.already);
	assert_int_equal(rep.sent, 0);
}

static void
packs_that_the_newest_there_names_are_relied_on_without_waiting(void **state)
{
	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	copy_well();
	vclock_pass(HOUR);
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 2, 3 } }, snap);
	copy_well();
	assert_int_equal(rep.sent, 1);
	assert_int_equal(rep.there, 1);
	assert_false(rep.waited);
	assert_int_equal(vclock_slept(), 0);
}

/* A collection's list names a pack of the target. */
static void
condemn(unsigned number)
{
	struct packset set = { 0 };
	uint8_t sha[LAYOUT_SHA];

	snapkit_sha(number, sha);
	packset_add(&set, sha);
	assert_int_equal(tomb_put(k.repo, &k.tier[1], clock_real_ns(), &set, &e), 0);
	packset_done(&set);
}

static void
a_pack_that_nobody_names_and_no_list_condemns_is_relied_on_without_waiting(void **state)
{
	(void)state;
	condemn(9);
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	snapkit_put_pack(&k, 1, 2);
	copy_well();
	assert_int_equal(rep.sent, 1);
	assert_false(rep.waited);
}

static void
relying_on_a_condemned_pack_waits_until_collections_have_ended(void **state)
{
	(void)state;
	condemn(2);
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	snapkit_put_pack(&k, 1, 2);
	copy_well();
	assert_true(rep.waited);
	assert_int_equal(rep.sent, 1);
	assert_true(vclock_slept() >= PEND_SETTLE_NS && vclock_slept() < PEND_SETTLE_NS + HOUR / 60);
}

/* A collection that began before takes a pack away while the copy waits. */
static void
take_away(void *arg, const char *op, const char *name)
{
	uint8_t sha[LAYOUT_SHA];
	char pack[LAYOUT_NAME];

	(void)arg;
	(void)name;
	if (strcmp(op, "clock") != 0 || vclock_slept() == 0)
		return;
	snapkit_sha(2, sha);
	memstore_drop(k.tier[1].store, layout_pack(sha, pack));
	memstore_hook(k.tier[1].store, NULL, NULL);
}

static void
what_was_collected_while_it_waited_is_sent(void **state)
{
	(void)state;
	condemn(2);
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	snapkit_put_pack(&k, 1, 2);
	memstore_hook(k.tier[1].store, take_away, NULL);
	copy_well();
	assert_int_equal(rep.sent, 2);
	assert_true(snapkit_has_pack(&k, 1, 2));
}

static void
sending_what_a_list_condemns_waits_too(void **state)
{
	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	condemn(2);
	copy_well();
	assert_int_equal(rep.sent, 2);
	assert_true(rep.waited);
}

static void
an_interrupted_copy_stays_protected_and_is_taken_up(void **state)
{
	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2, 3 } }, snap);
	condemn(1);
	stop_at = 3;
	repokit_refused(copy(), &e, ERR_CANCELLED, "the same command goes on");
	assert_int_equal(rep.sent, 2);
	assert_false(snapkit_has(&k, 1, snap));
	assert_int_equal(snapkit_count(&k, 1, "pend/"), 1);
	vclock_pass(20 * HOUR);
	copy_well();
	assert_int_equal(rep.sent, 1);
	assert_int_equal(rep.there, 2);
	assert_false(rep.waited); /* its pend/ object is old enough */
}

static void
a_pend_object_that_is_about_to_die_is_not_taken_over(void **state)
{
	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2, 3 } }, snap);
	stop_at = 3;
	assert_int_equal(copy(), -1);
	vclock_pass(3 * DAY);
	condemn(1);
	copy_well();
	assert_true(rep.waited);
}

/* Days go by with each pack. */
static unsigned packs_put;

static void
slow_put(void *arg, const char *op, const char *name)
{
	const int64_t *each_ns = arg;

	if (strcmp(op, "put") == 0 && strncmp(name, "pack/", 5) == 0) {
		packs_put++;
		vclock_pass(*each_ns);
	}
}

static void
a_copy_of_many_days_renews_its_pend_object(void **state)
{
	int64_t each_ns = 2 * DAY;
	const struct gc_options o = { 0 };
	struct gc_report g;

	(void)state;
	packs_put = 0;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2, 3, 4, 5, 6 } }, snap);
	memstore_hook(k.tier[1].store, slow_put, &each_ns);
	stop_at = 6;
	assert_int_equal(copy(), -1);
	memstore_hook(k.tier[1].store, NULL, NULL);
	/* Five packs in ten days, and still a collection spares them. */
	assert_int_equal(packs_put, 5);
	assert_int_equal(gc_collect(k.repo, &k.tier[1], &o, &g, &e), 0);
	assert_int_equal(g.referenced, 5);
	assert_int_equal(g.candidates, 0);
	copy_well();
}

/* Meanwhile the pend/ object has died, and a collection has condemned what was sent under it. */
static void
very_slow_put(void *arg, const char *op, const char *name)
{
	slow_put(arg, op, name);
	if (strcmp(op, "put") == 0 && strncmp(name, "pack/", 5) == 0 && packs_put == 2)
		condemn(1);
}

static void
a_copy_whose_pend_object_died_begins_again(void **state)
{
	int64_t each_ns = 8 * DAY;

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	packs_put = 0;
	memstore_hook(k.tier[1].store, very_slow_put, &each_ns);
	copy_well();
	memstore_hook(k.tier[1].store, NULL, NULL);
	assert_true(rep.waited); /* for what its first half had sent */
	assert_true(snapkit_has_pack(&k, 1, 1) && snapkit_has_pack(&k, 1, 2));
}

/* The first pack takes so long that the pend/ object dies; then all is fast. */
static void
first_put_is_slow(void *arg, const char *op, const char *name)
{
	(void)arg;
	if (strcmp(op, "put") != 0 || strncmp(name, "pack/", 5) != 0)
		return;
	if (++packs_put == 1)
		vclock_pass(8 * DAY);
	else
		condemn(1);
}

static void
a_pend_object_that_died_is_no_hold_though_another_was_put_since(void **state)
{
	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	packs_put = 0;
	memstore_hook(k.tier[1].store, first_put_is_slow, NULL);
	copy_well();
	memstore_hook(k.tier[1].store, NULL, NULL);
	/* A collection of the time between may be about to delete the first: the age begins anew. */
	assert_true(rep.waited);
}

/* Somebody removes the pend/ object right after the last pack was sent; once. */
struct remover {
	char pend[LAYOUT_NAME];
	bool removed, unheld; /* the manifest was put without one */
};

static void
remove_pend(void *arg, const char *op, const char *name)
{
	struct remover *r = arg;

	if (strcmp(op, "put") == 0 && strncmp(name, "pend/", 5) == 0)
		snprintf(r->pend, sizeof(r->pend), "%s", name);
	if (strcmp(op, "put") == 0 && strncmp(name, "pack/", 5) == 0 && !r->removed) {
		memstore_drop(k.tier[1].store, r->pend);
		r->removed = true;
	}
	if (strcmp(op, "put") == 0 && strncmp(name, "snap/", 5) == 0)
		r->unheld = memstore_bytes(k.tier[1].store, r->pend, NULL) == NULL;
}

static void
without_its_pend_object_no_manifest_is_put(void **state)
{
	struct remover r = { .pend = "" };

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1 } }, snap);
	memstore_hook(k.tier[1].store, remove_pend, &r);
	copy_well();
	memstore_hook(k.tier[1].store, NULL, NULL);
	assert_true(r.removed);
	assert_false(r.unheld);
}

static void
a_list_of_the_condemned_that_cannot_be_read_makes_all_doubtful(void **state)
{
	char list[LAYOUT_NAME];

	(void)state;
	layout_gc_new(clock_real_ns(), list);
	assert_int_equal(store_put(k.tier[1].store, list, "rotten", 6, STORE_NEW, &e), 1);
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	snapkit_put_pack(&k, 1, 2);
	copy_well();
	assert_true(rep.waited);
}

/* Another host's snapshot comes to the target while ours is sent, and names what was condemned. */
static void
another_comes(void *arg, const char *op, const char *name)
{
	char other[LAYOUT_NAME];

	(void)arg;
	if (strcmp(op, "put") != 0 || strncmp(name, "pack/", 5) != 0)
		return;
	memstore_hook(k.tier[1].store, NULL, NULL);
	vclock_pass(CLOCK_S);
	snapkit_put(&k, 1, &(struct snapkit_snap){ .pack = { 2 } }, other);
}

static void
what_a_newer_snapshot_there_names_by_now_is_not_waited_for(void **state)
{
	(void)state;
	condemn(2);
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	snapkit_put_pack(&k, 1, 2);
	memstore_hook(k.tier[1].store, another_comes, NULL);
	copy_well();
	assert_false(rep.waited);
}

/* Of the right size, and nothing in it. */
static void
a_damaged_pack_at_the_target_is_not_relied_on(void **state)
{
	uint8_t sha[LAYOUT_SHA], *bytes;
	char pack[LAYOUT_NAME];
	size_t len;

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	snapkit_put_pack(&k, 1, 2);
	snapkit_sha(2, sha);
	bytes = memstore_bytes(k.tier[1].store, layout_pack(sha, pack), &len);
	memset(bytes, 0, len);
	copy_well();
	assert_int_equal(rep.sent, 2);
	assert_int_equal(rep.replaced, 1);
	assert_int_equal(snapkit_count(&k, 1, "bad/pack/"), 1);
	bytes = memstore_bytes(k.tier[1].store, pack, &len);
	assert_memory_equal(bytes, memstore_bytes(k.tier[0].store, pack, &len), len);
	/* What a snapshot there names was read back before: it is not read again. */
	bytes[0] ^= 1;
	vclock_pass(HOUR);
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 2, 3 } }, snap);
	copy_well();
	assert_int_equal(rep.there, 1);
	assert_int_equal(rep.replaced, 0);
}

static void
spoil(void *arg, const char *op, const char *name)
{
	const char *pack = arg;
	uint8_t *bytes;
	size_t len;

	if (strcmp(op, "get") != 0 || strcmp(name, pack) != 0)
		return;
	bytes = memstore_bytes(k.tier[1].store, pack, &len);
	bytes[len / 2] ^= 1;
}

static void
what_does_not_come_back_as_it_was_sent_is_no_copy(void **state)
{
	uint8_t sha[LAYOUT_SHA];
	char pack[LAYOUT_NAME];

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1 } }, snap);
	snapkit_sha(1, sha);
	memstore_hook(k.tier[1].store, spoil, layout_pack(sha, pack));
	repokit_refused(copy(), &e, ERR_CORRUPT, "does not come back");
	memstore_hook(k.tier[1].store, NULL, NULL);
	assert_false(snapkit_has(&k, 1, snap));
}

/* Another host's clock may be anything, and with it the time of what that host has put. */
static void
where_writers_give_the_times_a_pend_object_is_as_old_as_we_know_it(void **state)
{
	struct store_ops ops = *k.tier[1].store->ops;
	const struct store_ops *was = k.tier[1].store->ops;

	(void)state;
	ops.times_by_writer = true;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2, 3 } }, snap);
	condemn(1);
	stop_at = 3;
	assert_int_equal(copy(), -1);
	k.tier[1].store->ops = &ops;
	vclock_pass(20 * HOUR); /* or so it seems */
	copy_well();
	k.tier[1].store->ops = was;
	assert_true(rep.waited);
	assert_true(vclock_slept() >= PEND_SETTLE_NS && vclock_slept() < PEND_SETTLE_NS + HOUR / 60);
}

static void
a_pack_of_another_size_at_the_target_is_set_aside_and_sent_anew(void **state)
{
	uint8_t sha[LAYOUT_SHA];
	char pack[LAYOUT_NAME], aside[LAYOUT_NAME + 8];
	struct store_stat st;

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1 } }, snap);
	snapkit_put_pack(&k, 1, 1);
	snapkit_sha(1, sha);
	memstore_cut(k.tier[1].store, layout_pack(sha, pack), 7);
	assert_int_equal(copy(), 0);
	assert_int_equal(rep.replaced, 1);
	assert_int_equal(rep.sent, 1);
	assert_true(snapkit_has(&k, 1, snap));
	assert_true(store_stat(k.tier[1].store, pack, &st, &e) == 1 && st.size > 7);
	snprintf(aside, sizeof(aside), "bad/%s", pack);
	assert_true(store_stat(k.tier[1].store, aside, &st, &e) == 1 && st.size == 7);
}

static void
a_tier_without_keys_gets_them_first(void **state)
{
	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1 } }, snap);
	assert_true(snapkit_count(&k, 1, "key/") > 0);
	while (snapkit_count(&k, 1, "key/") > 0) {
		/* Found by the name the first tier has. */
		char name[LAYOUT_NAME], id[64];
		uint8_t epoch[LAYOUT_EPOCH];

		memcpy(epoch, k.repo->keys->epoch[0].epoch, sizeof(epoch));
		assert_int_equal(keyring_recipient(k.repo->keys, &k.kek, id, &e), 0);
		memstore_drop(k.tier[1].store, layout_key(epoch, id, name));
	}
	copy_well();
	assert_true(snapkit_count(&k, 1, "key/") > 0);
}

static void
other_bytes_under_its_name_are_no_copy(void **state)
{
	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1 } }, snap);
	assert_int_equal(store_put(k.tier[1].store, snap, "x", 1, STORE_NEW, &e), 1);
	repokit_refused(copy(), &e, ERR_CORRUPT, snap);
	assert_false(rep.already);
	assert_int_equal(rep.sent, 0);
}

/* Somebody is faster at the very end. */
static struct store *faster;
static const char *with;
static size_t with_len;

static void
be_faster(void *arg, const char *op, const char *name)
{
	(void)arg;
	if (strcmp(op, "put") == 0 && strcmp(name, snap) == 0)
		store_put(faster, snap, with, with_len, STORE_NEW, NULL);
}

static int
copy_late(void)
{
	int rc;

	faster = memstore_share(k.tier[1].store);
	memstore_hook(k.tier[1].store, be_faster, NULL);
	rc = copy();
	memstore_hook(k.tier[1].store, NULL, NULL);
	store_close(faster);
	return rc;
}

static void
a_name_taken_in_the_last_moment_counts_only_with_the_same_bytes(void **state)
{
	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1 } }, snap);
	with = "x";
	with_len = 1;
	repokit_refused(copy_late(), &e, ERR_CORRUPT, "verify --repair");
	memstore_drop(k.tier[1].store, snap);
	with = (const char *)memstore_bytes(k.tier[0].store, snap, &with_len);
	assert_int_equal(copy_late(), 0);
	assert_true(snapkit_has(&k, 1, snap));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_copy_is_byte_identical_and_leaves_nothing_pending),
		CASE(packs_that_the_newest_there_names_are_relied_on_without_waiting),
		CASE(a_pack_that_nobody_names_and_no_list_condemns_is_relied_on_without_waiting),
		CASE(relying_on_a_condemned_pack_waits_until_collections_have_ended),
		CASE(what_was_collected_while_it_waited_is_sent),
		CASE(sending_what_a_list_condemns_waits_too),
		CASE(an_interrupted_copy_stays_protected_and_is_taken_up),
		CASE(a_pend_object_that_is_about_to_die_is_not_taken_over),
		CASE(a_copy_of_many_days_renews_its_pend_object),
		CASE(a_copy_whose_pend_object_died_begins_again),
		CASE(a_pend_object_that_died_is_no_hold_though_another_was_put_since),
		CASE(without_its_pend_object_no_manifest_is_put),
		CASE(a_list_of_the_condemned_that_cannot_be_read_makes_all_doubtful),
		CASE(what_a_newer_snapshot_there_names_by_now_is_not_waited_for),
		CASE(a_damaged_pack_at_the_target_is_not_relied_on),
		CASE(what_does_not_come_back_as_it_was_sent_is_no_copy),
		CASE(where_writers_give_the_times_a_pend_object_is_as_old_as_we_know_it),
		CASE(a_pack_of_another_size_at_the_target_is_set_aside_and_sent_anew),
		CASE(other_bytes_under_its_name_are_no_copy),
		CASE(a_name_taken_in_the_last_moment_counts_only_with_the_same_bytes),
		CASE(a_tier_without_keys_gets_them_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
