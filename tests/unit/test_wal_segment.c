#include "job/wal/wal_segment.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

/* Timeline 2 of epoch 2 left timeline 1 of epoch 1 at FORK; timeline 3 left that in the same segment. */
#define AT (INT64_C(1795226400) * 1000000000)
#define SEGMENT (UINT32_C(1) << 20)
#define START (UINT64_C(0x500000000))
#define FORK (START + 0x81f78)
#define FORK3 (START + 0xa0000)
#define END (START + SEGMENT)

static struct repokit k;
static struct tier *tiers[REPOKIT_TIERS];
static uint8_t wal[SEGMENT], other[SEGMENT];
static const struct wal_place epoch2 = { .source = "pg.a", .sysid = 77, .epoch = 2 };

static void
put_history(uint32_t tli, const char *text)
{
	struct err e = { 0 };

	if (wal_lineage_put_history(k.repo, k.tier[0].store, &epoch2, tli, text, strlen(text), &e) ==
	    -1)
		fail_msg("%s", e.text);
}

static int
setup(void **state)
{
	const struct wal_from from = { .parent = 1, .tli = 1, .fork = FORK, .reason = "test" };
	struct err e = { 0 };

	(void)state;
	repokit_init(&k, 1);
	tiers[0] = &k.tier[0];
	vclock_install(AT);
	vector_noise(wal, sizeof(wal), 5);
	vector_noise(other, sizeof(other), 6);
	if (wal_lineage_put_from(k.repo, k.tier[0].store, &epoch2, &from, &e) == -1)
		fail_msg("%s", e.text);
	put_history(2, "1\t5/81F78\tno recovery target specified\n");
	put_history(3, "1\t5/81F78\tno recovery target specified\n\n"
	    "2\t5/A0000\tno recovery target specified\n");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vclock_remove();
	repokit_done(&k);
	return 0;
}

static void
put(uint32_t epoch, uint32_t tli, uint64_t from, uint64_t to, const uint8_t *bytes)
{
	struct piece p = {
		.at = { .place = epoch2, .kind = LAYOUT_WAL_PIECE, .tli = tli, .start = from, .end = to },
		.segment_size = SEGMENT,
		.host = "h",
	};
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf sealed;

	p.at.place.epoch = epoch;
	buf_init(&sealed, STORE_OBJECT_MAX);
	if (piece_seal(k.repo->keys, &p, bytes + (from - START), to - from, &sealed, name, &e) == -1 ||
	    piece_put(k.repo->keys, k.tier[0].store, name, &sealed, &e) == -1)
		fail_msg("%s", e.text);
	buf_done(&sealed);
}

/* What comes must be what is in `wal`, as far as is said. */
static int
get(uint32_t tli, uint64_t *until, struct err *e)
{
	const struct walread_options o = {
		.repo = k.repo, .tier = tiers, .tiers = 1, .place = epoch2
	};
	struct walread *r = NULL;
	struct buf out;
	int got;

	err_clear(e);
	buf_init(&out, SEGMENT);
	if (walread_new(&o, &r, e) == -1)
		fail_msg("%s", e->text);
	got = wal_segment(r, tli, START, SEGMENT, &out, until, e);
	assert_int_equal(out.len, *until - START);
	assert_memory_equal(out.data ? out.data : wal, wal, out.len);
	walread_free(r);
	buf_done(&out);
	return got;
}

static void
the_bytes_before_the_fork_are_the_parents(void **state)
{
	struct err e = { 0 };
	uint64_t until;

	(void)state;
	put(1, 1, START, FORK + 100, wal);
	put(2, 2, FORK, END, wal);
	assert_int_equal(get(2, &until, &e), 1);
}

static void
so_they_are_through_two_forks_in_one_segment(void **state)
{
	struct err e = { 0 };
	uint64_t until;

	(void)state;
	put(1, 1, START, FORK, wal);
	put(2, 2, FORK, FORK3, wal);
	put(2, 3, FORK3, FORK3 + 4096, wal);
	assert_int_equal(get(3, &until, &e), 0);
	assert_int_equal(until, FORK3 + 4096);
}

static void
a_hole_behind_the_fork_stays_one(void **state)
{
	struct err e = { 0 };
	uint64_t until;

	(void)state;
	put(1, 1, START, END, wal);
	put(2, 2, FORK + 1, END, wal);
	assert_int_equal(get(2, &until, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
}

static void
a_hole_in_the_parent_stays_one(void **state)
{
	struct err e = { 0 };
	uint64_t until;

	(void)state;
	put(1, 1, START, FORK - 1, wal);
	put(2, 2, FORK, END, wal);
	assert_int_equal(get(2, &until, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
}

static void
with_nothing_of_the_timeline_it_is_absent(void **state)
{
	struct err e = { 0 };
	uint64_t until;

	(void)state;
	put(1, 1, START, FORK, wal);
	assert_int_equal(get(2, &until, &e), 0);
	assert_int_equal(until, START);
}

static void
a_copy_of_its_own_that_differs_from_the_parents_is_two_histories(void **state)
{
	struct err e = { 0 };
	uint64_t until;

	(void)state;
	put(1, 1, START, FORK, wal);
	put(2, 2, START + 4096, END, other);
	assert_int_equal(get(2, &until, &e), -1);
	assert_non_null(strstr(e.text, "two histories"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_bytes_before_the_fork_are_the_parents),
		TEST(so_they_are_through_two_forks_in_one_segment),
		TEST(a_hole_behind_the_fork_stays_one),
		TEST(a_hole_in_the_parent_stays_one),
		TEST(with_nothing_of_the_timeline_it_is_absent),
		TEST(a_copy_of_its_own_that_differs_from_the_parents_is_two_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
