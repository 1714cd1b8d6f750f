/* How long a restore will take, out of how long one took; and whether what was promised is kept. */
#include "tests/lib/vector.h"

#include <stdio.h>

#include "base/clock.h"
#include "job/cold.h"
#include "job/status.h"
#include "tests/lib/repokit.h"

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)

static struct proved_pace
took(int64_t ms, uint64_t bytes)
{
	return (struct proved_pace){ .known = true, .bytes = bytes, .restore_ms = ms };
}

static void
what_was_never_measured_is_not_known(void **state)
{
	const struct proved_pace never = { 0 };

	(void)state;
	assert_int_equal(proved_predict(&never, 1, 0), -1);
}

static void
what_grew_takes_longer_at_the_same_rate(void **state)
{
	const struct proved_pace p = took(60000, 10 * GIB);

	(void)state;
	assert_int_equal(proved_predict(&p, 10 * GIB, 0), 60000);
	assert_int_equal(proved_predict(&p, 30 * GIB, 0), 180000);
}

static void
what_shrank_takes_no_less_than_it_did(void **state)
{
	const struct proved_pace p = took(60000, 10 * GIB);

	(void)state;
	assert_int_equal(proved_predict(&p, GIB, 0), 60000);
}

static void
a_few_bytes_are_no_rate(void **state)
{
	const struct proved_pace p = took(50, 20 * MIB);

	(void)state;
	assert_int_equal(proved_predict(&p, 40 * MIB, 0), 100);
	assert_int_equal(proved_predict(&p, 41 * MIB, 0), -1);
	assert_int_equal(proved_predict(&p, 1000 * GIB, 0), -1);
}

static void
the_wal_that_is_replayed_counts_by_its_own_rate(void **state)
{
	struct proved_pace p = took(60000, 10 * GIB);

	(void)state;
	p.recovery_ms = 8000;
	p.wal_bytes = GIB;
	assert_int_equal(proved_predict(&p, 10 * GIB, 0), 68000);
	assert_int_equal(proved_predict(&p, 20 * GIB, 4 * GIB), 152000);
	p.wal_bytes = 0;
	assert_int_equal(proved_predict(&p, 10 * GIB, 16 * MIB), 68000);
	assert_int_equal(proved_predict(&p, 10 * GIB, GIB), -1);
}

/* ---- out of records ---- */

#define AT (INT64_C(1795226400) * CLOCK_S) /* 20261121T020000Z */
#define DAY (24 * LAYOUT_HOUR_NS)
#define SNAP "vol.a/20261121T020000Z-1a2b3c4d"

static void
say(const char *kind, int64_t time_ns, const char *id, int level, const char *more)
{
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf b;

	buf_init(&b, RECORD_MAX);
	buf_addf(&b, "snapshot %s\nlevel %d\ntier one\n%s", id, level, more);
	if (record_put(repokit.repo, repokit.tier[0].store, kind, "vol.a", time_ns, &b, name, &e) == -1)
		fail_msg("%s", e.text);
	buf_done(&b);
}

static void
unread(void *arg, const char *name, const struct err *why)
{
	(void)arg;
	fail_msg("%s: %s", name, why->text);
}

static struct proved
proved(const char *id)
{
	char name[LAYOUT_NAME];
	struct layout_snap snap;
	struct err e = { 0 };
	struct proved p;

	snprintf(name, sizeof(name), "snap/%s", id);
	assert_int_equal(layout_snap_parse(name, &snap), 0);
	if (proved_read(repokit.repo, &repokit.tier[0], &snap, unread, &p, &e) == -1)
		fail_msg("%s", e.text);
	return p;
}

static void
the_highest_level_counts_and_what_was_found_bad_until_it_is_seen_good(void **state)
{
	struct proved p;

	(void)state;
	p = proved(SNAP);
	assert_true(p.level == -1 && p.broken == -1 && p.last_ns == 0 && !p.restored[0]);
	say("verified", AT + 60 * CLOCK_S, SNAP, 2, "");
	say("verified", AT + 120 * CLOCK_S, SNAP, 1, "");
	p = proved(SNAP);
	assert_true(p.level == 2 && p.time_ns == AT + 60 * CLOCK_S);
	assert_true(p.last_ns == AT + 120 * CLOCK_S && p.last_level == 1);
	say("broken", AT + 180 * CLOCK_S, SNAP, 2, "");
	assert_int_equal(proved(SNAP).broken, 2);
	say("verified", AT + 240 * CLOCK_S, SNAP, 1, ""); /* a look that goes less deep */
	assert_int_equal(proved(SNAP).broken, 2);
	say("verified", AT + 300 * CLOCK_S, SNAP, 2, "");
	assert_int_equal(proved(SNAP).broken, -1);
	assert_int_equal(proved("vol.a/20261121T030000Z-1a2b3c4d").level, -1);
}

static void
the_newest_restore_is_found_behind_younger_proofs_of_others(void **state)
{
	const char *old = "vol.a/20261101T020000Z-1a2b3c4d";
	struct proved_pace pace;
	struct err e = { 0 };
	struct proved p;

	(void)state;
	say("verified", AT - 12 * DAY, old, 3, "bytes 7\nrestore-ms 9\n");
	say("verified", AT - 10 * DAY, old, 3,
	    "bytes 1000\nrestore-ms 250\nwal-bytes 64\nrecovery-ms 30\n");
	for (int i = 0; i < 20; i++)
		say("verified", AT - 9 * DAY + i * CLOCK_S, old, 1, "");
	say("verified", AT, SNAP, 1, "");
	p = proved(SNAP);
	assert_int_equal(p.level, 1);
	assert_int_equal(proved_pace(repokit.repo, &repokit.tier[0], &p, &pace, &e), 0);
	assert_true(pace.known && pace.bytes == 1000 && pace.restore_ms == 250);
	assert_true(pace.wal_bytes == 64 && pace.recovery_ms == 30 && pace.time_ns == AT - 10 * DAY);
	assert_string_equal(pace.id, old);
	/* A record of before, that tells no time. */
	say("verified", AT + DAY, SNAP, 3, "");
	p = proved(SNAP);
	assert_int_equal(proved_pace(repokit.repo, &repokit.tier[0], &p, &pace, &e), 0);
	assert_false(pace.known);
}

static void
the_proofs_of_an_old_snapshot_are_found_behind_all_that_came_since(void **state)
{
	const char *old = "vol.a/20261101T020000Z-1a2b3c4d";

	(void)state;
	say("verified", AT - 20 * DAY, old, 2, "");
	for (int i = 0; i < 120; i++)
		say("verified", AT + i * CLOCK_S, SNAP, 3, "bytes 1\nrestore-ms 1\n");
	assert_int_equal(proved(old).level, 2);
	assert_int_equal(proved(SNAP).level, 3);
}

static void
a_promise_is_kept_up_to_its_last_moment(void **state)
{
	const struct exposure unknown = { 0 };
	struct exposure is = { .known = true, .ns = 60 * CLOCK_S };

	(void)state;
	assert_int_equal(status_judge_rpo(&is, 0), STATUS_NONE);
	assert_int_equal(status_judge_rpo(&is, 60 * CLOCK_S), STATUS_KEPT);
	assert_int_equal(status_judge_rpo(&is, 60 * CLOCK_S - 1), STATUS_MISSED);
	/* What nobody knows is never within a promise, and breaks none that was not made. */
	assert_int_equal(status_judge_rpo(&unknown, 60 * CLOCK_S), STATUS_UNKNOWN);
	assert_int_equal(status_judge_rpo(&unknown, 0), STATUS_NONE);
	assert_int_equal(status_judge_rto(1000, 0), STATUS_NONE);
	assert_int_equal(status_judge_rto(1000, 1000), STATUS_KEPT);
	assert_int_equal(status_judge_rto(1001, 1000), STATUS_MISSED);
	assert_int_equal(status_judge_rto(-1, 1000), STATUS_UNKNOWN);
}

static void
an_archive_is_waited_for_and_other_classes_are_not(void **state)
{
	const int64_t hour = INT64_C(3600) * 1000;

	(void)state;
	const enum store_speed soon = STORE_EXPEDITED, usual = STORE_STANDARD, cheap = STORE_BULK;

	assert_int_equal(cold_wait_ms(NULL, usual), 0);
	assert_int_equal(cold_wait_ms("STANDARD_IA", usual), 0);
	assert_int_equal(cold_wait_ms("GLACIER_IR", usual), 0);
	assert_int_equal(cold_wait_ms("GLACIER", usual), 5 * hour);
	assert_int_equal(cold_wait_ms("GLACIER", soon), hour / 12);
	assert_int_equal(cold_wait_ms("GLACIER", cheap), 12 * hour);
	assert_int_equal(cold_wait_ms("DEEP_ARCHIVE", usual), 12 * hour);
	assert_int_equal(cold_wait_ms("DEEP_ARCHIVE", cheap), 48 * hour);
	/* There is none there, so it is an ordinary one. */
	assert_int_equal(cold_wait_ms("DEEP_ARCHIVE", soon), 12 * hour);
	assert_int_equal(cold_speed_had("DEEP_ARCHIVE", soon), usual);
	assert_int_equal(cold_speed_had("DEEP_ARCHIVE", cheap), cheap);
	assert_int_equal(cold_speed_had("GLACIER", soon), soon);
	assert_int_equal(cold_speed_had("COLDER_STILL", soon), soon);
	/* What opens just then is not read by then. */
	assert_string_equal(cold_class_within(12 * hour + 1, usual), "DEEP_ARCHIVE");
	assert_string_equal(cold_class_within(12 * hour, usual), "GLACIER");
	assert_string_equal(cold_class_within(hour, soon), "GLACIER");
	assert_null(cold_class_within(5 * hour, usual));
}

#define T(f) cmocka_unit_test_setup_teardown(f, repokit_two_tiers, repokit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_never_measured_is_not_known),
		cmocka_unit_test(what_grew_takes_longer_at_the_same_rate),
		cmocka_unit_test(what_shrank_takes_no_less_than_it_did),
		cmocka_unit_test(a_few_bytes_are_no_rate),
		T(the_highest_level_counts_and_what_was_found_bad_until_it_is_seen_good),
		T(the_newest_restore_is_found_behind_younger_proofs_of_others),
		T(the_proofs_of_an_old_snapshot_are_found_behind_all_that_came_since),
		cmocka_unit_test(a_promise_is_kept_up_to_its_last_moment),
		cmocka_unit_test(an_archive_is_waited_for_and_other_classes_are_not),
		cmocka_unit_test(the_wal_that_is_replayed_counts_by_its_own_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
