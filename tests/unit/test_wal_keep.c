#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <string.h>

#include "job/wal/wal_keep.h"
#include "repo/layout.h"

#define SEG (UINT64_C(1) << 20)

static struct wal_keep_base
base(uint32_t epoch, uint32_t tli, uint64_t start, uint64_t stop)
{
	return (struct wal_keep_base){ "b",
				       { .sysid = 7,
					 .segment_size = SEG,
					 .epoch = epoch,
					 .start_tli = tli,
					 .stop_tli = tli,
					 .start = start,
					 .stop = stop } };
}

static struct layout_wal
object(enum layout_wal_kind kind, uint32_t epoch, uint32_t tli, uint64_t start, uint64_t end)
{
	return (struct layout_wal){ .place = { "pg.pay", 7, epoch },
				    .kind = kind,
				    .tli = tli,
				    .start = start,
				    .end = end };
}

static struct wal_lineage_level one_level[] = { { 1, UINT32_MAX, UINT64_MAX } };
/* Epoch 2 left timeline 1 of epoch 1 in the middle of segment 10. */
static struct wal_lineage_level two_levels[] = { { 2, UINT32_MAX, UINT64_MAX },
						 { 1, 1, 10 * SEG + 500 } };
static const struct wal_keep_epoch epochs[] = { { 7, 1, { .level = one_level, .levels = 1 } },
						{ 7, 2, { .level = two_levels, .levels = 2 } } };

static enum wal_keep_reason
judge_one(const struct wal_keep_base *b, const struct wal_keep_history *h, struct layout_wal at)
{
	const struct wal_keep k = { b, b ? 1 : 0, epochs, 2, h, h ? 1 : 0, 1000 };

	return wal_keep_judge(&k, &at, 999, NULL);
}

static void
the_segment_that_a_base_begins_in_is_the_first_to_stay(void **state)
{
	struct wal_keep_base b = base(1, 1, 5 * SEG + 40, 6 * SEG);

	(void)state;
	assert_int_equal(judge_one(&b, NULL, object(LAYOUT_WAL_PIECE, 1, 1, 5 * SEG, 5 * SEG + 8)),
			 WAL_KEEP_NEEDED);
	assert_int_equal(judge_one(&b, NULL, object(LAYOUT_WAL_PIECE, 1, 1, 4 * SEG, 5 * SEG)),
			 WAL_KEEP_GO_BEFORE);
	assert_int_equal(judge_one(&b, NULL, object(LAYOUT_WAL_PIECE, 1, 1, 90 * SEG, 91 * SEG)),
			 WAL_KEEP_NEEDED);
}

static void
what_an_old_primary_wrote_behind_the_fork_goes_with_its_last_base(void **state)
{
	struct wal_keep_base b = base(2, 2, 11 * SEG, 12 * SEG);

	(void)state;
	assert_int_equal(judge_one(&b, NULL, object(LAYOUT_WAL_PIECE, 1, 1, 20 * SEG, 21 * SEG)),
			 WAL_KEEP_GO_NOWHERE);
	b = base(1, 1, 5 * SEG, 6 * SEG);
	assert_int_equal(judge_one(&b, NULL, object(LAYOUT_WAL_PIECE, 1, 1, 20 * SEG, 21 * SEG)),
			 WAL_KEEP_NEEDED);
}

static void
a_base_before_the_fork_needs_the_epoch_behind_it_and_one_after_it_does_not(void **state)
{
	struct wal_keep_base b = base(1, 1, 5 * SEG, 6 * SEG);
	struct pg_history_step step[] = { { 1, 10 * SEG + 500 } };
	struct wal_keep_history h = { 7, 2, { .timeline = 2, .step = step, .count = 1 } };

	(void)state;
	assert_int_equal(judge_one(&b, &h, object(LAYOUT_WAL_PIECE, 2, 2, 10 * SEG, 11 * SEG)),
			 WAL_KEEP_NEEDED);
	assert_int_equal(judge_one(&b, &h, object(LAYOUT_WAL_HISTORY, 2, 2, 0, 0)),
			 WAL_KEEP_NEEDED);
	assert_int_equal(judge_one(&b, &h, object(LAYOUT_WAL_FROM, 2, 0, 0, 0)), WAL_KEEP_NEEDED);
	b = base(1, 1, 10 * SEG, 10 * SEG + 501);
	assert_int_equal(judge_one(&b, &h, object(LAYOUT_WAL_PIECE, 2, 2, 10 * SEG, 11 * SEG)),
			 WAL_KEEP_GO_NOWHERE);
	assert_int_equal(judge_one(&b, &h, object(LAYOUT_WAL_FROM, 2, 0, 0, 0)),
			 WAL_KEEP_GO_NOWHERE);
}

static void
a_timeline_whose_history_is_missing_may_grow_out_of_anything(void **state)
{
	struct wal_keep_base b = base(1, 1, 5 * SEG, 6 * SEG);

	(void)state;
	assert_int_equal(judge_one(&b, NULL, object(LAYOUT_WAL_PIECE, 1, 3, 8 * SEG, 9 * SEG)),
			 WAL_KEEP_NEEDED);
	assert_int_equal(judge_one(&b, NULL, object(LAYOUT_WAL_PIECE, 1, 3, 4 * SEG, 5 * SEG)),
			 WAL_KEEP_GO_BEFORE);
}

static void
a_higher_number_is_not_a_later_timeline(void **state)
{
	/* Timeline 3 forked from 1 before the base that was made on 2. */
	struct wal_keep_base b = base(1, 2, 9 * SEG, 10 * SEG);
	struct pg_history_step step[] = { { 1, 5 * SEG } };
	struct wal_keep_history h = { 7, 1, { .timeline = 3, .step = step, .count = 1 } };

	(void)state;
	assert_int_equal(judge_one(&b, &h, object(LAYOUT_WAL_PIECE, 1, 3, 20 * SEG, 21 * SEG)),
			 WAL_KEEP_GO_NOWHERE);
}

static void
of_the_bases_before_the_window_the_newest_that_leads_there_is_the_root(void **state)
{
	struct wal_keep_base b[] = { base(1, 1, 2 * SEG, 3 * SEG), base(1, 1, 5 * SEG, 6 * SEG),
				     base(1, 1, 7 * SEG, 8 * SEG), base(2, 2, 11 * SEG, 12 * SEG) };
	struct pg_history_step step[] = { { 1, 10 * SEG + 500 } };
	struct wal_keep_history h = { 7, 2, { .timeline = 2, .step = step, .count = 1 } };
	const struct wal_keep k = { b, 4, epochs, 2, &h, 1, 0 };
	const struct wal_keep_timeline t[] = { { { "pg.pay", 7, 1 }, 1, 90 },
					       { { "pg.pay", 7, 2 }, 2, 150 } };
	bool root[4] = { 0 };

	(void)state;
	b[0].facts.ready_ns = 50;
	b[1].facts.ready_ns = 80;
	b[2].facts.ready_ns = 101;
	b[3].facts.ready_ns = 140;
	assert_true(wal_keep_roots(&k, t, 2, 100, root));
	assert_true(!root[0] && root[1] && !root[2] && !root[3]);
	root[1] = false;
	assert_true(wal_keep_roots(
	    &k, t, 1, 100, root)); /* its WAL is older than the window: nothing is asked of it */
	assert_false(root[0] || root[1]);
	assert_false(wal_keep_roots(&k, t, 2, 40, root)); /* none is so old */
}

static void
another_system_goes_only_when_it_is_old_and_no_base_of_it_is_left(void **state)
{
	struct wal_keep_base b = base(1, 1, 5 * SEG, 6 * SEG);
	struct layout_wal at = object(LAYOUT_WAL_PIECE, 1, 1, 20 * SEG, 21 * SEG);
	struct wal_keep k = { &b, 1, epochs, 2, NULL, 0, 1000 };

	(void)state;
	at.place.sysid = 8;
	assert_int_equal(wal_keep_judge(&k, &at, 999, NULL), WAL_KEEP_GO_SYSTEM);
	assert_int_equal(wal_keep_judge(&k, &at, 1000, NULL), WAL_KEEP_YOUNG);
	b.facts.sysid = 8;
	assert_int_equal(wal_keep_judge(&k, &at, 999, NULL), WAL_KEEP_NEEDED);
	k.bases = 0;
	k.before_ns = INT64_MAX; /* retired: age protects nothing */
	assert_int_equal(wal_keep_judge(&k, &at, INT64_MAX - 1, NULL), WAL_KEEP_GO_SYSTEM);
	k.before_ns = INT64_MIN; /* forever */
	assert_int_equal(wal_keep_judge(&k, &at, INT64_MIN, NULL), WAL_KEEP_YOUNG);
}

static void
files_of_the_archive_go_with_their_segment(void **state)
{
	struct wal_keep_base b = base(1, 1, 5 * SEG + 40, 6 * SEG);
	struct layout_wal at = object(LAYOUT_WAL_OTHER, 1, 0, 0, 0);

	(void)state;
	strcpy(at.file, "000000010000000000000004.partial");
	assert_int_equal(judge_one(&b, NULL, at), WAL_KEEP_GO_NOWHERE);
	strcpy(at.file, "000000010000000000000005.00000028.backup");
	assert_int_equal(judge_one(&b, NULL, at), WAL_KEEP_NEEDED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_segment_that_a_base_begins_in_is_the_first_to_stay),
		cmocka_unit_test(what_an_old_primary_wrote_behind_the_fork_goes_with_its_last_base),
		cmocka_unit_test(
		    a_base_before_the_fork_needs_the_epoch_behind_it_and_one_after_it_does_not),
		cmocka_unit_test(a_timeline_whose_history_is_missing_may_grow_out_of_anything),
		cmocka_unit_test(a_higher_number_is_not_a_later_timeline),
		cmocka_unit_test(
		    of_the_bases_before_the_window_the_newest_that_leads_there_is_the_root),
		cmocka_unit_test(another_system_goes_only_when_it_is_old_and_no_base_of_it_is_left),
		cmocka_unit_test(files_of_the_archive_go_with_their_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
