#include "repo/record.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vector.h"

#define AT (INT64_C(1795226400) * CLOCK_S)
#define SNAP "vol.a/20261121T020000Z-1a2b3c4d"
#define OTHER "vol.a/20261121T030000Z-1a2b3c4d"

#define K repokit

static void
put(const char *kind, int64_t time_ns, char name[LAYOUT_NAME], const char *text)
{
	struct err e = { 0 };
	struct buf b;

	buf_init(&b, RECORD_MAX);
	buf_adds(&b, text);
	if (record_put(K.repo, K.tier[0].store, kind, "vol.a", time_ns, &b, name, &e) == -1)
		fail_msg("%s", e.text);
	buf_done(&b);
}

static void
hold(int64_t time_ns, const char *id, const char *state)
{
	char name[LAYOUT_NAME], text[200];

	snprintf(text, sizeof(text), "snapshot %s\nstate %s\nby root\nwhy trial\n", id, state);
	put("hold", time_ns, name, text);
}

static void
a_record_comes_back_as_it_was_and_only_under_its_name(void **state)
{
	char name[LAYOUT_NAME], again[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf got;
	uint8_t *bytes;
	size_t len;

	(void)state;
	put("run", AT, name, "job trial\n");
	buf_init(&got, RECORD_MAX);
	assert_int_equal(record_get(K.repo, K.tier[0].store, name, &got, &e), 0);
	assert_string_equal(buf_str(&got), "job trial\n");
	bytes = memstore_bytes(K.tier[0].store, name, &len);
	layout_record_new("hold", "vol.a", AT, again);
	assert_int_equal(store_put(K.tier[0].store, again, bytes, len, STORE_NEW, &e), 1);
	buf_reset(&got);
	assert_int_equal(record_get(K.repo, K.tier[0].store, again, &got, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(got.len, 0);
	buf_done(&got);
}

static void
a_tombstone_list_keeps_its_name_and_is_not_replaced(void **state)
{
	struct err e = { 0 };
	struct buf b, got;

	(void)state;
	buf_init(&b, RECORD_MAX);
	buf_init(&got, RECORD_MAX);
	buf_adds(&b, "tier one\n");
	assert_int_equal(record_put_as(K.repo, K.tier[0].store, "gc/20261121T020000Z", &b, &e), 1);
	buf_adds(&b, "pack 00\n");
	assert_int_equal(record_put_as(K.repo, K.tier[0].store, "gc/20261121T020000Z", &b, &e), 0);
	assert_int_equal(record_get(K.repo, K.tier[0].store, "gc/20261121T020000Z", &got, &e), 0);
	assert_string_equal(buf_str(&got), "tier one\n");
	buf_done(&b);
	buf_done(&got);
}

static void
a_value_is_the_rest_of_its_line(void **state)
{
	char out[8];
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	buf_adds(&b, "snapshot x\nwhy a b c\nwhy second\nempty \nlong 12345678\nkeys 1\nlast end");
	assert_int_equal(record_value(&b, "why", out, sizeof(out)), 1);
	assert_string_equal(out, "a b c");
	assert_int_equal(record_value(&b, "key", out, sizeof(out)), 0);
	assert_int_equal(record_value(&b, "x", out, sizeof(out)), 0);
	assert_int_equal(record_value(&b, "empty", out, sizeof(out)), 1);
	assert_string_equal(out, "");
	assert_int_equal(record_value(&b, "long", out, sizeof(out)), 0);
	assert_int_equal(record_value(&b, "last", out, sizeof(out)), 1);
	assert_string_equal(out, "end");
	buf_done(&b);
	assert_int_equal(record_value(&b, "last", out, sizeof(out)), 0);
}

static void
the_newest_record_about_a_snapshot_decides_whether_it_is_held(void **state)
{
	struct record_holds h;
	struct err e = { 0 };

	(void)state;
	hold(AT + 2 * CLOCK_S, SNAP, "off");
	hold(AT, SNAP, "on");
	hold(AT + CLOCK_S, OTHER, "on");
	assert_int_equal(record_holds(K.repo, &K.tier[0], &h, &e), 0);
	assert_int_equal(h.count, 1);
	assert_true(record_held(&h, OTHER));
	assert_false(record_held(&h, SNAP));
	record_holds_done(&h);
	hold(AT + 3 * CLOCK_S, SNAP, "on");
	assert_int_equal(record_holds(K.repo, &K.tier[0], &h, &e), 0);
	assert_int_equal(h.count, 2);
	assert_true(record_held(&h, SNAP));
	record_holds_done(&h);
}

static void
a_hold_that_cannot_be_read_is_an_error_and_not_no_hold(void **state)
{
	char name[LAYOUT_NAME];
	struct record_holds h;
	struct err e = { 0 };
	size_t len;

	(void)state;
	hold(AT, SNAP, "on");
	put("hold", AT + CLOCK_S, name, "snapshot " OTHER "\nstate on\n");
	memstore_bytes(K.tier[0].store, name, &len)[120] ^= 1;
	assert_int_equal(record_holds(K.repo, &K.tier[0], &h, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, name));
	record_holds_done(&h);
	/* Nor for another tier, which may have lost it. */
	assert_int_equal(record_holds(K.repo, &K.tier[1], &h, &e), -1);
	record_holds_done(&h);
	memstore_drop(K.tier[0].store, name);
	hold(AT + CLOCK_S, OTHER, "maybe");
	assert_int_equal(record_holds(K.repo, &K.tier[0], &h, &e), -1);
	assert_non_null(strstr(e.text, "state on"));
	record_holds_done(&h);
}

/* The same record as on the first tier, as a hold tells it to all. */
static void
tell_second(const char *name)
{
	struct err e = { 0 };
	size_t len;
	uint8_t *bytes = memstore_bytes(K.tier[0].store, name, &len);

	assert_int_equal(store_put(K.tier[1].store, name, bytes, len, STORE_NEW, &e), 1);
}

static void
a_hold_counts_on_every_tier_and_is_brought_to_one_that_lost_it(void **state)
{
	char name[LAYOUT_NAME], second[LAYOUT_NAME];
	struct record_holds h;
	struct err e = { 0 };
	size_t len;

	(void)state;
	put("hold", AT, name, "snapshot " SNAP "\nstate on\n");
	put("hold", AT, second, "snapshot " OTHER "\nstate on\n");
	tell_second(second);
	assert_int_equal(record_holds(K.repo, &K.tier[1], &h, &e), 0);
	assert_true(record_held(&h, SNAP));
	assert_true(record_held(&h, OTHER));
	assert_int_equal(h.missings, 1);
	assert_int_equal(record_holds_bring(K.repo, &K.tier[1], &h, &e), 1);
	record_holds_done(&h);
	assert_non_null(memstore_bytes(K.tier[1].store, name, &len));
	memstore_away(K.tier[0].store, true);
	assert_int_equal(record_holds(K.repo, &K.tier[1], &h, &e), 0);
	assert_true(record_held(&h, SNAP));
	assert_int_equal(h.missings, 0);
	record_holds_done(&h);
}

static void
a_release_that_only_one_tier_knows_is_the_later_word_on_all(void **state)
{
	char name[LAYOUT_NAME];
	struct record_holds h;
	struct err e = { 0 };

	(void)state;
	put("hold", AT, name, "snapshot " SNAP "\nstate on\n");
	tell_second(name);
	hold(AT + CLOCK_S, SNAP, "off");
	for (size_t t = 0; t < 2; t++) {
		assert_int_equal(record_holds(K.repo, &K.tier[t], &h, &e), 0);
		assert_false(record_held(&h, SNAP));
		record_holds_done(&h);
	}
	assert_int_equal(record_holds(K.repo, NULL, &h, &e), 0);
	assert_int_equal(h.count, 0);
	record_holds_done(&h);
}

static void
a_damaged_record_of_a_hold_is_read_from_the_other_tier(void **state)
{
	char name[LAYOUT_NAME];
	struct record_holds h;
	struct err e = { 0 };
	size_t len;

	(void)state;
	put("hold", AT, name, "snapshot " SNAP "\nstate on\n");
	tell_second(name);
	memstore_bytes(K.tier[0].store, name, &len)[120] ^= 1;
	assert_int_equal(record_holds(K.repo, &K.tier[0], &h, &e), 0);
	assert_true(record_held(&h, SNAP));
	record_holds_done(&h);
}

static int
collect(void *arg, const struct record_proved *p)
{
	char line[160];

	snprintf(line, sizeof(line), "%s %d", p->id, p->level);
	buf_adds(arg, line);
	if (p->asked != p->level)
		buf_addf(arg, "/%d", p->asked);
	buf_addf(arg, " %lld;", (long long)((p->time_ns - AT) / CLOCK_S));
	return p->level == 9 ? -1 : 0;
}

static void
unread(void *arg, const char *name, const struct err *why)
{
	assert_int_equal(strncmp(name, "rec/verified/vol.a/", 19), 0);
	assert_int_equal(why->kind, ERR_CORRUPT);
	buf_adds(arg, "bad;");
}

static void
proofs_of_a_source_are_told_oldest_first(void **state)
{
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf got;

	(void)state;
	buf_init(&got, 1000);
	put("verified", AT + 60 * CLOCK_S, name, "snapshot " OTHER "\nlevel 1\nasked 2\ntier one\n");
	put("verified", AT, name, "snapshot " SNAP "\nlevel 1\ntier one\n");
	assert_int_equal(record_proofs(K.repo, K.tier[0].store, RECORD_VERIFIED, "vol.a", collect,
	    unread, &got, &e), 0);
	assert_string_equal(buf_str(&got), SNAP " 1 0;" OTHER " 1/2 60;");
	buf_reset(&got);
	assert_int_equal(record_proofs_back(K.repo, K.tier[0].store, RECORD_VERIFIED, "vol.a", collect,
	    unread, &got, &e), 0);
	assert_string_equal(buf_str(&got), OTHER " 1/2 60;" SNAP " 1 0;");
	buf_reset(&got);
	assert_int_equal(record_proofs(K.repo, K.tier[0].store, RECORD_VERIFIED, "vol.b", collect,
	    unread, &got, &e), 0);
	assert_int_equal(got.len, 0);
	put("verified", AT + 70 * CLOCK_S, name, "snapshot " SNAP "\nlevel 9\n");
	assert_int_equal(record_proofs(K.repo, K.tier[0].store, RECORD_VERIFIED, "vol.a", collect,
	    unread, &got, &e), -1);
	assert_int_equal(e.kind, ERR_CANCELLED);
	buf_done(&got);
}

static void
a_proof_that_cannot_be_read_is_told_and_the_others_count(void **state)
{
	char bad[LAYOUT_NAME], name[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf got;

	(void)state;
	buf_init(&got, 1000);
	put("verified", AT, name, "snapshot " SNAP "\nlevel high\n");
	put("verified", AT + 30 * CLOCK_S, bad, "snapshot " OTHER "\nlevel 2\n");
	put("verified", AT + 60 * CLOCK_S, name, "snapshot " SNAP "\nlevel 1\n");
	memstore_bytes(K.tier[0].store, bad, NULL)[120] ^= 1;
	assert_int_equal(store_put(K.tier[0].store, "rec/verified/vol.a/README", "x", 1, STORE_NEW, &e),
	    1);
	assert_int_equal(record_proofs(K.repo, K.tier[0].store, RECORD_VERIFIED, "vol.a", collect,
	    unread, &got, &e), 0);
	assert_string_equal(buf_str(&got), "bad;bad;" SNAP " 1 60;bad;");
	/* What the tier does not give is no rotten record. */
	buf_reset(&got);
	memstore_away(K.tier[0].store, true);
	assert_int_equal(record_proofs(K.repo, K.tier[0].store, RECORD_VERIFIED, "vol.a", collect,
	    unread, &got, &e), -1);
	assert_int_equal(got.len, 0);
	memstore_away(K.tier[0].store, false);
	buf_done(&got);
}

/* The clock was a year ahead when the source was let go of. */
static void
a_record_from_the_future_speaks_of_what_was_there_when_it_was_stored(void **state)
{
	const int64_t now = clock_real_ns();
	char name[LAYOUT_NAME], early[LAYOUT_NAME], late[LAYOUT_NAME];
	const char *text = "what " RECORD_RETIRE "\nobject vol.a\ntier one\nby root\n";

	(void)state;
	K.tier[0].name = "one";
	layout_snap_new("vol.a", now - 7200 * CLOCK_S, early);
	layout_snap_new("vol.a", now - 60 * CLOCK_S, late);
	put("run", now + 365 * 24 * LAYOUT_HOUR_NS, name, text);
	memstore_set_time(K.tier[0].store, name, now - 3600 * CLOCK_S);
	assert_true(record_let_go(K.repo, &K.tier[0], early + strlen("snap/")));
	assert_false(record_let_go(K.repo, &K.tier[0], late + strlen("snap/")));
	/* Where the tier's clock was wrong as well nobody knows when it was. */
	memstore_set_time(K.tier[0].store, name, now + 365 * 24 * LAYOUT_HOUR_NS);
	assert_false(record_let_go(K.repo, &K.tier[0], early + strlen("snap/")));
	put("run", now - 3600 * CLOCK_S, name, text);
	assert_true(record_let_go(K.repo, &K.tier[0], early + strlen("snap/")));
	assert_false(record_let_go(K.repo, &K.tier[0], late + strlen("snap/")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, repokit_two_tiers, repokit_teardown)
		T(a_record_comes_back_as_it_was_and_only_under_its_name),
		T(a_tombstone_list_keeps_its_name_and_is_not_replaced),
		T(a_value_is_the_rest_of_its_line),
		T(the_newest_record_about_a_snapshot_decides_whether_it_is_held),
		T(a_hold_that_cannot_be_read_is_an_error_and_not_no_hold),
		T(a_hold_counts_on_every_tier_and_is_brought_to_one_that_lost_it),
		T(a_release_that_only_one_tier_knows_is_the_later_word_on_all),
		T(a_damaged_record_of_a_hold_is_read_from_the_other_tier),
		T(proofs_of_a_source_are_told_oldest_first),
		T(a_proof_that_cannot_be_read_is_told_and_the_others_count),
		T(a_record_from_the_future_speaks_of_what_was_there_when_it_was_stored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
