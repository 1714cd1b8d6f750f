/* The end of a backup, and everything that a store can do to it on the way there. */
#include "tests/lib/testrepo.h"

#include <string.h>

#include "base/clock.h"
#include "repo/publish.h"
#include "repo/snapshot.h"
#include "tests/lib/chance.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define MIB (UINT64_C(1) << 20)
#define FOREVER 1000000

static struct testrepo t;
static struct fileset was; /* what the first snapshot holds */
static struct manifest first, m;
static struct err e;

static int
begin(void **state)
{
	(void)state;
	chance_seed(3);
	vclock_install(INT64_C(1700000000) * CLOCK_S);
	testrepo_begin(&t, 1, false);
	fileset_add(&t.set, "b", 2 * MIB);
	fileset_add(&t.set, "c", 100);
	testrepo_snapshot(&t, 0, &first);
	/* Its files are the same but for the one that changes from now on. */
	fileset_add(&was, "a", t.set.file[0].size);
	fileset_add(&was, "b", t.set.file[1].size);
	fileset_add(&was, "c", t.set.file[2].size);
	for (size_t i = 0; i < 3; i++) {
		memcpy(was.file[i].cell, t.set.file[i].cell,
		       fileset_cells(&was.file[i]) * sizeof(*was.file[i].cell));
		was.file[i].ino = t.set.file[i].ino;
	}
	fileset_write(&t.set, fileset_find(&t.set, "b"), 20, 30, false);
	fileset_add(&t.set, "d", 300000);
	manifest_init(&m);
	err_clear(&e);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	manifest_done(&first);
	manifest_done(&m);
	fileset_done(&was);
	testrepo_done(&t);
	vclock_remove();
	return 0;
}

static void
arm(enum fault_kind kind, const char *op, unsigned at, unsigned times)
{
	faultstore_arm(t.fault[0],
		       &(struct fault){.kind = kind, .op = op, .at = at, .times = times});
}

/* Whatever is listed is whole; returns how many are. */
static size_t
assert_all_whole(void)
{
	struct snapshot_list l = {0};
	size_t n;

	arm(FAULT_NONE, NULL, 0, 0);
	assert_int_equal(snapshot_list(t.kit.tier[0].store, "vol.test", &l, &e), 0);
	n = l.count;
	for (size_t i = 0; i < n; i++) {
		t.numbers = 0; /* a run that could not read its parent begins a lineage */
		testrepo_check(&t, 0, l.item[i].name,
			       strcmp(l.item[i].name, first.name) == 0 ? &was : &t.set, 0);
	}
	snapshot_list_done(&l);
	return n;
}

/* Takes away what a run left behind, so that the next begins as this one did. */
static void
undo(void)
{
	struct snapshot_list l = {0};

	assert_int_equal(snapshot_list(t.kit.tier[0].store, "vol.test", &l, &e), 0);
	for (size_t i = 0; i < l.count; i++)
		if (strcmp(l.item[i].name, first.name) != 0)
			memstore_drop(testrepo_mem(&t, 0), l.item[i].name);
	snapshot_list_done(&l);
	t.numbers = 0;
}

/*
 * Strikes at call 1, 2, 3 ... until a run goes through untouched; returns how many runs succeeded
 * though struck.
 */
static unsigned
torture(enum fault_kind kind, const char *op, unsigned times)
{
	unsigned survived = 0;

	for (unsigned at = 1;; at++) {
		bool struck;
		int rc;

		vclock_pass(CLOCK_S);
		arm(kind, op, at, times);
		rc = testrepo_write(&t, 0, &m, &e);
		struck = faultstore_struck(t.fault[0]) > 0;
		assert_all_whole();
		if (rc == 0)
			testrepo_check(&t, 0, m.name, &t.set, 0);
		manifest_done(&m);
		undo();
		survived += struck && rc == 0;
		if (!struck) {
			assert_int_equal(rc, 0);
			assert_true(at > 1);
			return survived;
		}
		assert_true(at < 200);
	}
}

static void
a_store_that_fails_once_anywhere_leaves_no_half_snapshot(void **state)
{
	(void)state;
	torture(FAULT_IO, NULL, 1);
	torture(FAULT_FULL, "put", 1);
}

static void
a_store_that_stays_away_from_any_call_on_leaves_no_half_snapshot(void **state)
{
	(void)state;
	assert_int_equal(torture(FAULT_REMOTE, NULL, FOREVER), 0);
}

static void
silence_of_a_moment_fails_nothing(void **state)
{
	unsigned calls;

	(void)state;
	arm(FAULT_REMOTE, NULL, FOREVER, 1);
	assert_int_equal(testrepo_write(&t, 0, &m, &e), 0);
	calls = faultstore_calls(t.fault[0]);
	manifest_done(&m);
	undo();
	assert_int_equal(torture(FAULT_REMOTE, NULL, 2), calls);
	assert_int_equal(torture(FAULT_AFTER, NULL, 1), calls);
}

static void
bytes_that_were_not_stored_are_missed_when_read_back(void **state)
{
	(void)state;
	assert_int_equal(torture(FAULT_LIE, "put", 1), 0);
}

static void
bytes_that_come_back_wrong_fail_the_run(void **state)
{
	(void)state;
	torture(FAULT_FLIP, "get", 1);
	torture(FAULT_SHORT, "get", 1);
	torture(FAULT_MIDDLE, NULL, 1);
}

/* Loses one pack once the manifest is there, as a wrong collection would. */
struct thief {
	char pack[LAYOUT_NAME], snap[LAYOUT_NAME];
	bool cut;
};

static void
steal(void *arg, const char *op, const char *name)
{
	struct thief *th = arg;

	if (strcmp(op, "put") == 0 && strncmp(name, "snap/", 5) == 0)
		memcpy(th->snap, name, strlen(name) + 1);
	if (th->snap[0] && strcmp(op, "stat") == 0 && !th->pack[0])
		memcpy(th->pack, name, strlen(name) + 1);
	if (!th->snap[0] || !th->pack[0] || strcmp(op, "stat") != 0)
		return;
	if (th->cut)
		memstore_cut(testrepo_mem(&t, 0), th->pack, 5);
	else
		memstore_drop(testrepo_mem(&t, 0), th->pack);
}

static void
a_pack_that_is_gone_right_after_the_commit_withdraws_it(void **state)
{
	(void)state;
	for (int cut = 0; cut < 2; cut++) {
		struct thief th = {.cut = cut};
		size_t n;

		vclock_pass(CLOCK_S);
		memstore_hook(testrepo_mem(&t, 0), steal, &th);
		assert_int_equal(testrepo_write(&t, 0, &m, &e), -1);
		memstore_hook(testrepo_mem(&t, 0), NULL, NULL);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_non_null(strstr(e.text, th.pack));
		assert_non_null(strstr(e.text, "withdrawn"));
		assert_null(memstore_bytes(testrepo_mem(&t, 0), th.snap, &n));
	}
}

static void
a_manifest_that_cannot_be_withdrawn_is_named(void **state)
{
	struct thief th = {.cut = true};

	(void)state;
	memstore_hook(testrepo_mem(&t, 0), steal, &th);
	arm(FAULT_IO, "del", 1, 1);
	assert_int_equal(testrepo_write(&t, 0, &m, &e), -1);
	memstore_hook(testrepo_mem(&t, 0), NULL, NULL);
	assert_non_null(strstr(e.text, th.snap));
	assert_non_null(strstr(e.text, "could not be removed"));
}

static void
a_name_that_is_taken_stays_what_it_is(void **state)
{
	struct store *s = t.kit.tier[0].store;
	struct manifest again = { .next_pack = 0 };
	struct buf before, after;

	(void)state;
	buf_init(&before, STORE_OBJECT_MAX);
	buf_init(&after, STORE_OBJECT_MAX);
	assert_int_equal(store_get(s, first.name, &before, &e), 0);
	assert_int_equal(manifest_get(s, first.name, t.kit.repo->keys, &again, &e), 0);
	again.sequence++;
	assert_int_equal(publish_manifest(s, &again, t.kit.repo->keys, &e), -1);
	assert_int_equal(e.kind, ERR_EXISTS);
	assert_int_equal(store_get(s, first.name, &after, &e), 0);
	assert_int_equal(after.len, before.len);
	assert_memory_equal(after.data, before.data, before.len);
	manifest_done(&again);
	buf_done(&before);
	buf_done(&after);
}

static bool
once_it_was_put(void *arg)
{
	return faultstore_calls(arg) > 0;
}

/* The first snapshot is committed once more, by somebody who asks to stop as soon as that has begun. */
static int
publish_and_stop(enum fault_kind kind, const char *op, unsigned times)
{
	struct store *s = t.kit.tier[0].store;
	struct manifest again = { .next_pack = 0 };
	int rc;

	arm(FAULT_NONE, NULL, 0, 0);
	assert_int_equal(manifest_get(s, first.name, t.kit.repo->keys, &again, &e), 0);
	assert_int_equal(store_del(s, first.name, &e), 1);
	arm(kind, op, 1, times);
	store_stop_when(s, once_it_was_put, t.fault[0]);
	rc = publish_manifest(s, &again, t.kit.repo->keys, &e);
	store_stop_when(s, NULL, NULL);
	manifest_done(&again);
	return rc;
}

static void
who_asks_to_stop_is_told_what_became_of_a_commit_that_had_begun(void **state)
{
	size_t n;

	(void)state;
	/* Its answer was lost, and it is there. */
	assert_int_equal(publish_and_stop(FAULT_AFTER, "put", 1), 0);
	assert_non_null(memstore_bytes(testrepo_mem(&t, 0), first.name, &n));
	/* It is there, and does not come back at once: that is no reason to take it away. */
	assert_int_equal(publish_and_stop(FAULT_REMOTE, "get", 1), 0);
	assert_non_null(memstore_bytes(testrepo_mem(&t, 0), first.name, &n));
	/* Nobody knows. */
	assert_int_equal(publish_and_stop(FAULT_REMOTE, NULL, FOREVER), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.text, "was committed is not known"));
}

static void
many_packs_are_looked_for_by_one_listing(void **state)
{
	(void)state;
	for (char c = 'f'; c < 'p'; c++)
		fileset_add(&t.set, (char[]){c, '\0'}, 14 * MIB);
	arm(FAULT_NONE, NULL, 0, 0);
	assert_int_equal(testrepo_write(&t, 0, &m, &e), 0);
	assert_true(m.packs > 64);
	manifest_done(&m);
	vclock_pass(CLOCK_S);
	arm(FAULT_IO, "stat", FOREVER, 1);
	assert_int_equal(testrepo_write(&t, 0, &m, &e), 0);
	/* Nothing new was written, and nothing asked for one by one. */
	assert_int_equal(faultstore_calls(t.fault[0]), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_store_that_fails_once_anywhere_leaves_no_half_snapshot),
	    T(a_store_that_stays_away_from_any_call_on_leaves_no_half_snapshot),
	    T(silence_of_a_moment_fails_nothing),
	    T(bytes_that_were_not_stored_are_missed_when_read_back),
	    T(bytes_that_come_back_wrong_fail_the_run),
	    T(a_pack_that_is_gone_right_after_the_commit_withdraws_it),
	    T(a_manifest_that_cannot_be_withdrawn_is_named),
	    T(a_name_that_is_taken_stays_what_it_is),
	    T(who_asks_to_stop_is_told_what_became_of_a_commit_that_had_begun),
	    T(many_packs_are_looked_for_by_one_listing),
	};

	return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
