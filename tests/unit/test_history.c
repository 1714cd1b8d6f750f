/*
 * Random histories: whatever happens to the files, every snapshot is whole, and so are those before
 * it.
 */
#include "tests/lib/testrepo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/reader.h"
#include "tests/lib/chance.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define MIB (UINT64_C(1) << 20)
#define DAY (INT64_C(86400) * CLOCK_S)
#define KEPT 4

static struct testrepo t;
static struct manifest m;
static struct fileset old[KEPT];
static char old_name[KEPT][LAYOUT_NAME];

static void
copy_set(const struct fileset *from, struct fileset *to)
{
	fileset_done(to);
	*to = *from;
	to->file = xmemdup(from->file, from->count * sizeof(*from->file));
	to->room = from->count;
	for (size_t i = 0; i < to->count; i++)
		to->file[i].cell =
		    xmemdup(from->file[i].cell, from->file[i].room * sizeof(*from->file[i].cell));
}

static void
forget(void)
{
	for (size_t i = 0; i < KEPT; i++) {
		fileset_done(&old[i]);
		old_name[i][0] = '\0';
	}
	manifest_done(&m);
}

static void
live(uint64_t seed, unsigned steps, bool files, unsigned workers)
{
	chance_seed(seed);
	if (!files)
		vclock_install(INT64_C(1700000000) * CLOCK_S);
	testrepo_begin(&t, 1, files);
	t.options.workers = workers;
	for (unsigned i = 0; i < steps; i++) {
		size_t slot = chance_below(KEPT);

		if (!files)
			vclock_pass(chance_one_in(6) ? (int64_t)chance_below(20) * DAY : DAY / 24);
		fileset_stir(&t.set);
		t.keep = chance_one_in(2);
		t.holes = chance_one_in(2);
		t.options.read_all = !t.keep && chance_one_in(2);
		t.partial = chance_one_in(9);
		t.stop_at = t.partial ? 1 + chance_below(5) : 0;
		manifest_done(&m);
		testrepo_snapshot(&t, 0, &m);
		if (t.partial)
			continue;
		copy_set(&t.set, &old[slot]);
		memcpy(old_name[slot], m.name, sizeof(m.name));
		slot = chance_below(KEPT);
		if (old_name[slot][0])
			testrepo_check(&t, 0, old_name[slot], &old[slot], workers);
	}
	forget();
	testrepo_done(&t);
	vclock_remove();
}

static void
snapshots_are_whole_whatever_happened_before(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++)
		live(seed, 40, false, 0);
}

static void
so_they_are_with_several_workers_over_files(void **state)
{
	(void)state;
	live(7, 25, true, 3);
}

static void
a_run_given_up_anywhere_stops_its_workers(void **state)
{
	const struct entry *was;
	struct err e = {0};
	size_t room;

	(void)state;
	chance_seed(11);
	testrepo_begin(&t, 1, true);
	t.options.workers = 3;
	for (unsigned i = 0; i < 30; i++) {
		struct entry meta = {.type = ENTRY_FILE, .path = "x", .pathlen = 1};
		struct writer *w = NULL;

		assert_int_equal(
		    writer_open_snapshot(t.kit.repo, &t.kit.tier[0], &t.options, &w, &e), 0);
		assert_int_equal(writer_begin(w, &meta, &was, &e), 0);
		for (unsigned k = 0; k < i; k++) {
			uint8_t *p = writer_space(w, &room, &e);
			assert_non_null(p);
			room = 1 + chance_below(room);
			vector_noise(p, room, chance_u64());
			assert_int_equal(writer_filled(w, room, &e), 0);
		}
		if (i % 2)
			assert_int_equal(writer_end(w, &meta, &e), 0);
		writer_free(w);
	}
	testrepo_done(&t);
}

/* The entries' lines but for where things lie. */
static void
tell_contents(struct testrepo *r, const char *snap, struct buf *out)
{
	struct reader *x = NULL;
	const struct entry *en;
	struct err e = {0};
	int got;

	assert_int_equal(reader_open(r->kit.repo, &r->kit.tier[0], snap, &x, &e), 0);
	while ((got = reader_next(x, &en, &e)) == 1) {
		struct entry bare = *en;

		bare.single = false;
		bare.maps = bare.needs = 0;
		list_encode(&bare, out);
	}
	assert_int_equal(got, 0);
	reader_free(x);
}

static void
the_number_of_workers_changes_no_contents(void **state)
{
	struct buf with, without;

	(void)state;
	buf_init(&with, 1u << 20);
	buf_init(&without, 1u << 20);
	chance_seed(8);
	testrepo_begin(&t, 1, true);
	for (unsigned i = 0; i < 5; i++) {
		fileset_stir(&t.set);
		fileset_add(&t.set, (char[]){(char)('p' + i), '\0'}, 3 * MIB + i);
		t.options.workers = 0;
		t.options.no_parent = true;
		testrepo_snapshot(&t, 0, &m);
		buf_reset(&without);
		tell_contents(&t, m.name, &without);
		manifest_done(&m);
		t.options.workers = 3;
		testrepo_snapshot(&t, 0, &m);
		buf_reset(&with);
		tell_contents(&t, m.name, &with);
		manifest_done(&m);
		assert_string_equal(buf_str(&with), buf_str(&without));
	}
	testrepo_done(&t);
	buf_done(&with);
	buf_done(&without);
}

static void
a_long_list_is_cut_and_its_unchanged_chunks_are_kept(void **state)
{
	struct manifest before;
	size_t same = 0;
	char path[40];

	(void)state;
	manifest_init(&before);
	chance_seed(9);
	vclock_install(INT64_C(1700000000) * CLOCK_S);
	testrepo_begin(&t, 1, false);
	fileset_add_many(&t.set, "many/files/with/rather/long/names", 12000, 7);
	testrepo_snapshot(&t, 0, &m);
	assert_true(m.chunks > 10);
	assert_int_equal(m.inline_list.len, 0);
	for (unsigned round = 0; round < 3; round++) {
		vclock_pass(CLOCK_S);
		manifest_done(&before);
		before = m;
		testrepo_snapshot(&t, 0, &m);
		assert_int_equal(m.stored_new, 0);
		snprintf(path, sizeof(path), "many/files/with/rather/long/names/%05u",
			 6000 + round * 14);
		fileset_write(&t.set, fileset_find(&t.set, path), 0, 1, false);
		fileset_resize(&t.set, fileset_find(&t.set, path), 50, false);
		vclock_pass(CLOCK_S);
		manifest_done(&before);
		before = m;
		testrepo_snapshot(&t, 0, &m);
		same = 0;
		for (size_t i = 0; i < m.chunks; i++)
			for (size_t k = 0; k < before.chunks; k++)
				same +=
				    memcmp(m.chunk[i].id, before.chunk[k].id, GRAIN_ID_LEN) == 0 &&
				    m.chunk[i].ref.pack == before.chunk[k].ref.pack;
		assert_true(same + 5 >= m.chunks);
		assert_in_range(m.stored_new, 1000, 100000);
	}
	manifest_done(&before);
	forget();
	testrepo_done(&t);
	vclock_remove();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(snapshots_are_whole_whatever_happened_before),
	    cmocka_unit_test(so_they_are_with_several_workers_over_files),
	    cmocka_unit_test(a_run_given_up_anywhere_stops_its_workers),
	    cmocka_unit_test(the_number_of_workers_changes_no_contents),
	    cmocka_unit_test(a_long_list_is_cut_and_its_unchanged_chunks_are_kept),
	};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
