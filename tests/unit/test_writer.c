#include "tests/lib/lineage.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "repo/reader.h"
#include "repo/snapshot.h"
#include "tests/lib/chance.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define MIB (UINT64_C(1) << 20)
#define GRAIN (UINT64_C(128) << 10)
#define DAY (INT64_C(86400) * CLOCK_S)
/* What a small map, its pack's head and index weigh at most. */
#define SMALL 3000

#define L lineage

static struct err e;

static int
begin(void **state)
{
	err_clear(&e);
	return lineage_setup(state);
}

static void
next(void)
{
	lineage_next(3600 * CLOCK_S);
}

static size_t
snapshots(void)
{
	struct snapshot_list l = {0};
	size_t n;

	assert_int_equal(snapshot_list(testrepo_mem(&L.repo, 0), "vol.test", &l, &e), 0);
	n = l.count;
	snapshot_list_done(&l);
	return n;
}

static void
files_of_every_size_come_back(void **state)
{
	static const uint64_t size[] = {0,	   1,	      4095,    GRAIN - 1,   GRAIN,
					GRAIN + 1, 2 * GRAIN, 3 * MIB, 5 * MIB + 17};
	char path[20];

	(void)state;
	for (size_t i = 0; i < 9; i++) {
		snprintf(path, sizeof(path), "size/%zu", i);
		fileset_add(&L.repo.set, path, size[i]);
	}
	next();
	assert_int_equal(L.newest.files, 10);
	assert_int_equal(L.newest.changed_files, 10);
	assert_int_equal(L.newest.sequence, 1);
	assert_string_equal(L.newest.parent, "");
	L.repo.holes = false;
	next();
	assert_int_equal(L.newest.sequence, 2);
	assert_string_equal(L.newest.parent, L.before.name);
	assert_memory_equal(L.newest.parent_sha, L.before.sha, LAYOUT_SHA);
	assert_int_equal(L.newest.changed_files, 0);
}

static void
zeros_are_not_stored_whether_read_or_skipped(void **state)
{
	struct fileset_file *f = fileset_add(&L.repo.set, "zeros", 3 * MIB);

	(void)state;
	fileset_write(&L.repo.set, f, 0, SIZE_MAX / 2, true);
	f = fileset_add(&L.repo.set, "one grain of zeros", 1000);
	fileset_write(&L.repo.set, f, 0, 1, true);
	f = fileset_add(&L.repo.set, "stretches", 3 * MIB + 5);
	fileset_write(&L.repo.set, f, 3, 200, true);
	fileset_write(&L.repo.set, f, 220, 16, true);
	fileset_write(&L.repo.set, f, 350, 100, true);
	next();
	L.repo.holes = false;
	next();
	assert_int_equal(L.newest.stored_new, 0);
	/* Zeros become data and data become zeros. */
	fileset_write(&L.repo.set, fileset_find(&L.repo.set, "zeros"), 100, 1, false);
	fileset_write(&L.repo.set, fileset_find(&L.repo.set, "stretches"), 0, 16, true);
	next();
	assert_in_range(L.newest.stored_new, 4000, GRAIN + 2 * SMALL);
	fileset_write(&L.repo.set, fileset_find(&L.repo.set, "zeros"), 100, 1, true);
	L.repo.holes = true;
	next();
	assert_in_range(L.newest.stored_new, 0, SMALL);
}

static void
sparse_files_of_gigabytes_come_back(void **state)
{
	struct fileset_file *f;

	(void)state;
	fileset_add(&L.repo.set, "all zero", 1);
	fileset_resize(&L.repo.set, fileset_find(&L.repo.set, "all zero"), 2500 * MIB + 1, true);
	fileset_write(&L.repo.set, fileset_find(&L.repo.set, "all zero"), 0, 1, true);
	f = fileset_add(&L.repo.set, "sparse", 1000);
	fileset_resize(&L.repo.set, f, 5000 * MIB + 77, true);
	fileset_write(&L.repo.set, f, 131071, 3, false);	    /* over the end of the first GiB */
	fileset_write(&L.repo.set, f, 4 * 131072 - 1, 1, false); /* the last cell of the fourth */
	next();
	assert_int_equal(L.newest.stored_new > 0, 1);
	next();
	assert_int_equal(L.newest.stored_new, 0);
	/* A GiB that was zeros gets data, another one loses all. */
	f = fileset_find(&L.repo.set, "sparse");
	fileset_write(&L.repo.set, f, 2 * 131072 + 5, 1, false);
	fileset_write(&L.repo.set, f, 4 * 131072 - 1, 1, true);
	next();
	assert_in_range(L.newest.stored_new, 1, GRAIN + SMALL);
	fileset_resize(&L.repo.set, fileset_find(&L.repo.set, "sparse"), 1024 * MIB, false);
	next();
	fileset_resize(&L.repo.set, fileset_find(&L.repo.set, "sparse"), 1024 * MIB + 1, true);
	next();
	fileset_resize(&L.repo.set, fileset_find(&L.repo.set, "sparse"), 100, true);
	next();
}

static void
files_longer_than_the_list_can_tell_are_refused_by_name(void **state)
{
	const struct entry meta = {.type = ENTRY_FILE, .path = "huge", .pathlen = 4};
	const struct entry *was;
	struct writer *w = NULL;

	(void)state;
	assert_int_equal(writer_open_snapshot(L.repo.kit.repo, &L.repo.kit.tier[0],
	    &L.repo.options, &w, &e), 0);
	assert_int_equal(writer_begin(w, &meta, &was, &e), 0);
	assert_int_equal(writer_hole(w, LIST_FILE_MAX, &e), 0);
	assert_int_equal(writer_end(w, &meta, &e), 0);
	assert_int_equal(writer_commit(w, false, &L.before, &e), 0);
	writer_free(w);
	assert_int_equal(writer_open_snapshot(L.repo.kit.repo, &L.repo.kit.tier[0],
	    &L.repo.options, &w, &e), 0);
	assert_int_equal(writer_begin(w, &meta, &was, &e), 0);
	if (writer_hole(w, INT64_MAX - 1, &e) == 0 && writer_end(w, &meta, &e) == 0)
		assert_int_equal(writer_commit(w, false, &L.newest, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.text, "64 TiB"));
	writer_free(w);
}

static void
an_unchanged_tree_stores_nothing(void **state)
{
	(void)state;
	fileset_add(&L.repo.set, "b", 7 * MIB);
	fileset_add(&L.repo.set, "c", 100);
	next();
	assert_in_range(L.newest.stored_new, 3 * MIB, 8 * MIB);
	for (unsigned i = 0; i < 3; i++) {
		L.repo.keep = i == 1;
		next();
		assert_int_equal(L.newest.stored_new, 0);
		assert_int_equal(L.newest.changed_files, 0);
		assert_int_equal(L.newest.read_bytes, L.repo.keep ? 0 : L.newest.bytes);
		assert_int_equal(L.newest.packs, L.before.packs);
		assert_int_equal(L.newest.next_pack, L.before.next_pack);
	}
}

static void
a_changed_cell_stores_its_grain_and_a_patch(void **state)
{
	struct fileset_file *f = fileset_add(&L.repo.set, "b", 40 * MIB);

	(void)state;
	next();
	for (unsigned i = 0; i < 40; i++) {
		fileset_write(&L.repo.set, f, chance_below(5000), 1, false);
		next();
		assert_in_range(L.newest.stored_new, GRAIN / 3, GRAIN + SMALL);
		assert_int_equal(L.newest.changed_files, 1);
	}
}

static void
growing_and_shrinking_store_the_new_end_only(void **state)
{
	struct fileset_file *f = fileset_add(&L.repo.set, "b", 20 * MIB + 5);

	(void)state;
	next();
	fileset_resize(&L.repo.set, f, 21 * MIB, false);
	next();
	assert_in_range(L.newest.stored_new, MIB / 3, MIB + GRAIN + SMALL);
	fileset_resize(&L.repo.set, f, 10 * MIB, false); /* at the end of a grain */
	next();
	assert_in_range(L.newest.stored_new, 1, SMALL);
	fileset_resize(&L.repo.set, f, 9 * MIB + 100, false);
	next();
	assert_in_range(L.newest.stored_new, 1, GRAIN + SMALL);
	fileset_resize(&L.repo.set, f, 100, false); /* one grain: no map any more */
	next();
	assert_in_range(L.newest.stored_new, 1, SMALL);
	fileset_resize(&L.repo.set, f, GRAIN, false);
	next();
	fileset_resize(&L.repo.set, f, GRAIN + 1, false); /* from one grain, unchanged, to two */
	next();
	assert_in_range(L.newest.stored_new, 1, SMALL);
	fileset_resize(&L.repo.set, f, GRAIN, false); /* and back: the map's first is the only one */
	next();
	assert_int_equal(L.newest.stored_new, 0);
	fileset_resize(&L.repo.set, f, 0, false);
	next();
	assert_int_equal(L.newest.stored_new, 0);
}

static void
a_renamed_file_stores_nothing(void **state)
{
	(void)state;
	fileset_add(&L.repo.set, "log", 3 * MIB);
	fileset_add(&L.repo.set, "small", 1000);
	next();
	fileset_rename(&L.repo.set, "log", "log.1");
	fileset_rename(&L.repo.set, "small", "very/small");
	fileset_add(&L.repo.set, "log", 10);
	next();
	assert_in_range(L.newest.stored_new, 1, 1000);
	assert_int_equal(L.newest.changed_files, 1);
}

static void
a_writer_given_up_leaves_the_last_snapshot_alone(void **state)
{
	const struct entry meta = {.type = ENTRY_FILE, .path = "b", .pathlen = 1, .size = 1};
	const struct entry *was;
	struct writer *w = NULL;
	size_t room, objects;

	(void)state;
	next();
	objects = memstore_count(testrepo_mem(&L.repo, 0));
	for (unsigned stage = 0; stage < 4; stage++) {
		assert_int_equal(
		    writer_open_snapshot(L.repo.kit.repo, &L.repo.kit.tier[0], &L.repo.options, &w, &e), 0);
		assert_string_equal(writer_parent(w)->name, L.newest.name);
		if (stage > 0)
			assert_int_equal(writer_begin(w, &meta, &was, &e), 0);
		if (stage > 1) {
			*writer_space(w, &room, &e) = 'x';
			assert_int_equal(writer_filled(w, 1, &e), 0);
		}
		if (stage > 2)
			assert_int_equal(writer_end(w, &meta, &e), 0);
		writer_free(w);
	}
	assert_int_equal(memstore_count(testrepo_mem(&L.repo, 0)), objects);
	assert_int_equal(snapshots(), 1);
	testrepo_check(&L.repo, 0, L.newest.name, &L.repo.set, 0);
}

static void
a_manifest_that_is_damaged_costs_a_full_backup(void **state)
{
	uint8_t *bytes;
	size_t n;

	(void)state;
	fileset_add(&L.repo.set, "b", 2 * MIB);
	next();
	next();
	bytes = memstore_bytes(testrepo_mem(&L.repo, 0), L.newest.name, &n);
	bytes[n / 2] ^= 1;
	L.repo.keep = true;
	L.repo.numbers = 0; /* what the damaged one counted is lost, and nobody's parent */
	next();
	assert_in_range(L.newest.stored_new, MIB / 3, 3 * MIB);
	assert_true(L.repo.troubled);
	assert_int_equal(L.newest.sequence, 3);
	assert_string_not_equal(L.newest.parent, L.before.name);
	assert_int_equal(L.newest.compared_ns / CLOCK_S, L.newest.started_ns / CLOCK_S);
	memstore_bytes(testrepo_mem(&L.repo, 0), L.newest.name, &n)[100] ^= 1;
	memstore_drop(testrepo_mem(&L.repo, 0), L.newest.parent);
	L.repo.numbers = 0;
	next();
	assert_int_equal(L.newest.sequence, 3); /* both that are left are damaged */
	assert_string_equal(L.newest.parent, "");
}

static void
a_lost_or_damaged_pack_of_the_parent_is_healed(void **state)
{
	char name[LAYOUT_NAME];
	unsigned troubles = 0, rounds = 0;

	(void)state;
	fileset_add(&L.repo.set, "b", 5 * MIB);
	fileset_add(&L.repo.set, "c", 5 * MIB);
	next();
	assert_true(L.newest.packs > 6);
	for (size_t i = 0; i < L.newest.packs; i++) {
		vclock_pass(CLOCK_S);
		layout_pack(L.newest.pack[i].sha, name);
		if (i % 2)
			memstore_drop(testrepo_mem(&L.repo, 0), name);
		else
			memstore_cut(testrepo_mem(&L.repo, 0), name, 50);
		L.repo.keep = chance_one_in(2);
		next();
		/* With a pack of maps the ids are lost, too. */
		assert_in_range(L.newest.stored_new, 1, 6 * MIB);
		troubles += L.repo.troubled;
		rounds++;
		next();
		assert_false(L.repo.troubled);
		assert_int_equal(L.newest.stored_new, 0);
	}
	/* Each is told, a pack of data as well, though nothing had to be read from it. */
	assert_int_equal(troubles, rounds);
}

static void
a_run_longer_than_allowed_is_not_committed(void **state)
{
	struct writer *w = NULL;

	(void)state;
	next();
	for (int64_t over = -1; over <= 1; over++) {
		vclock_pass(CLOCK_S);
		assert_int_equal(
		    writer_open_snapshot(L.repo.kit.repo, &L.repo.kit.tier[0], &L.repo.options, &w, &e), 0);
		assert_false(writer_late(w));
		vclock_pass(LAYOUT_W_NS - 2 * LAYOUT_HOUR_NS);
		assert_false(writer_late(w));
		vclock_pass(2 * LAYOUT_HOUR_NS + over);
		assert_true(writer_late(w));
		manifest_done(&L.before);
		assert_int_equal(writer_commit(w, true, &L.before, &e), over > 0 ? -1 : 0);
		writer_free(w);
	}
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_int_equal(snapshots(), 3);
}

static void
a_clock_of_the_store_that_jumped_refuses_the_commit(void **state)
{
	struct writer *w = NULL;

	(void)state;
	assert_int_equal(writer_open_snapshot(L.repo.kit.repo, &L.repo.kit.tier[0],
	    &L.repo.options, &w, &e), 0);
	memstore_skew(testrepo_mem(&L.repo, 0), LAYOUT_W_NS + CLOCK_S);
	assert_int_equal(writer_commit(w, false, &L.newest, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_int_equal(snapshots(), 0);
	writer_free(w);
}

/* The time in its name would be of years to come, and it the newest for as long. */
static void
a_clock_of_the_store_that_was_ahead_for_a_moment_names_no_snapshot(void **state)
{
	struct writer *w = NULL;

	(void)state;
	memstore_skew(testrepo_mem(&L.repo, 0), INT64_C(3650) * 24 * LAYOUT_HOUR_NS);
	assert_int_equal(writer_open_snapshot(L.repo.kit.repo, &L.repo.kit.tier[0],
	    &L.repo.options, &w, &e), 0);
	memstore_skew(testrepo_mem(&L.repo, 0), 0);
	assert_int_equal(writer_commit(w, false, &L.newest, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_non_null(strstr(e.text, "went back"));
	assert_int_equal(snapshots(), 0);
	writer_free(w);
}

/* Or that was set back while the run lasted: what passed by the boot clock counts, too. */
static void
a_clock_of_the_store_that_stands_still_does_not_make_a_run_shorter(void **state)
{
	struct writer *w = NULL;
	struct manifest none;

	(void)state;
	manifest_init(&none);
	next();
	assert_int_equal(writer_open_snapshot(L.repo.kit.repo, &L.repo.kit.tier[0],
	    &L.repo.options, &w, &e), 0);
	vclock_pass(LAYOUT_W_NS + CLOCK_S);
	memstore_skew(testrepo_mem(&L.repo, 0), -LAYOUT_W_NS);
	assert_int_equal(writer_commit(w, false, &none, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	manifest_done(&none);
	writer_free(w);
	memstore_skew(testrepo_mem(&L.repo, 0), 0);
}

static void
a_partial_run_is_the_parent_of_the_next(void **state)
{
	(void)state;
	for (char c = 'b'; c < 'h'; c++)
		fileset_add(&L.repo.set, (char[]){c, '\0'}, MIB);
	L.repo.partial = true;
	L.repo.stop_at = 4;
	next();
	assert_true(L.newest.partial);
	assert_int_equal(L.newest.files, 4);
	L.repo.partial = false;
	L.repo.stop_at = 0;
	next();
	assert_false(L.newest.partial);
	assert_int_equal(L.newest.files, 7);
	assert_string_equal(L.newest.parent, L.before.name);
	assert_in_range(L.newest.stored_new, MIB, 3 * MIB + SMALL); /* e f g; a-d lay there */
}

static void
what_compared_everything_last_is_handed_down(void **state)
{
	int64_t first;

	(void)state;
	next();
	first = L.newest.compared_ns;
	assert_int_equal(first, L.newest.started_ns);
	L.repo.keep = true;
	next();
	assert_int_equal(L.newest.compared_ns, first - first % CLOCK_S);
	L.repo.options.read_all = true;
	L.repo.keep = false;
	next();
	assert_int_equal(L.newest.compared_ns, L.newest.started_ns);
}

static void
no_parent_stores_everything_anew_in_the_same_lineage(void **state)
{
	(void)state;
	next();
	L.repo.options.no_parent = true;
	next();
	assert_int_equal(L.newest.stored_new > GRAIN, 1);
	assert_int_equal(L.newest.sequence, 2);
	assert_string_equal(L.newest.parent, L.before.name);
	assert_true(L.newest.pack[0].number >= L.before.next_pack);
	assert_int_equal(L.newest.compared_ns, L.newest.started_ns);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, lineage_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(files_of_every_size_come_back),
	    T(zeros_are_not_stored_whether_read_or_skipped),
	    T(sparse_files_of_gigabytes_come_back),
	    T(files_longer_than_the_list_can_tell_are_refused_by_name),
	    T(an_unchanged_tree_stores_nothing),
	    T(a_changed_cell_stores_its_grain_and_a_patch),
	    T(growing_and_shrinking_store_the_new_end_only),
	    T(a_renamed_file_stores_nothing),
	    T(a_writer_given_up_leaves_the_last_snapshot_alone),
	    T(a_manifest_that_is_damaged_costs_a_full_backup),
	    T(a_lost_or_damaged_pack_of_the_parent_is_healed),
	    T(a_run_longer_than_allowed_is_not_committed),
	    T(a_clock_of_the_store_that_jumped_refuses_the_commit),
	    T(a_clock_of_the_store_that_was_ahead_for_a_moment_names_no_snapshot),
	    T(a_clock_of_the_store_that_stands_still_does_not_make_a_run_shorter),
	    T(a_partial_run_is_the_parent_of_the_next),
	    T(what_compared_everything_last_is_handed_down),
	    T(no_parent_stores_everything_anew_in_the_same_lineage),
	};

	return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
