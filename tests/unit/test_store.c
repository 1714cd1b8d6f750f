/*
 * The patience above the drivers: on a store that fails as told, under a clock that only sleeping
 * moves.
 */
#include "tests/lib/vector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/vclock.h"

#define SECONDS(ns) ((ns) / CLOCK_S)

static struct store *mem, *store;
static struct err e;

static int
begin(void **state)
{
	(void)state;
	vclock_install(INT64_C(1700000000) * CLOCK_S);
	mem = memstore_new();
	store = faultstore_new(mem);
	err_clear(&e);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	store_close(store);
	vclock_remove();
	return 0;
}

static void
arm(enum fault_kind kind, const char *op, unsigned times)
{
	struct fault f = { .kind = kind, .op = op, .at = 1, .times = times };

	faultstore_arm(store, &f);
}

static void
names_are_checked_before_a_driver_sees_them(void **state)
{
	static const char *const good[] = { "a", "repo/1", "pack/00/ff", "wal/s/7/x-1_2.history",
		"tmpx/a", "a/tmp/b", "a.", "a/b..c", "A.Z" };
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a",
		"a/.", "...", "a/.b", ".DS_Store",
		"a b", "a\nb", "a%b", "\xc3\xa4", "tmp/a", "a:b", "a+b" };
	char longest[STORE_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(store_name_valid(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(store_name_valid(bad[i]));
		assert_int_equal(store_put(store, bad[i], "x", 1, STORE_NEW, &e), -1);
		assert_int_equal(e.kind, ERR_BUG);
	}
	assert_int_equal(memstore_count(mem), 0);
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = i % 200 == 199 ? '/' : 'n';
	longest[STORE_NAME_MAX + 1] = '\0';
	assert_false(store_name_valid(longest));
	longest[STORE_NAME_MAX] = '\0';
	assert_true(store_name_valid(longest));
	longest[199] = 'n'; /* a part of more than 255 */
	assert_false(store_name_valid(longest));
}

static int
count_seen(void *arg, const struct store_entry *entry, struct err *why)
{
	(void)why;
	assert_null(strstr(entry->name, "/."));
	++*(int *)arg;
	return 0;
}

/* As NFS does with a file that is deleted while somebody has it open. */
static void
what_other_programs_leave_with_a_dot_in_front_is_no_object(void **state)
{
	static const char *const names[] = { "snap/.DS_Store", "snap/s/.nfs0000000012345", "snap/s/a",
		".well/known" };
	int seen = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(mem->ops->put(mem, names[i], "x", 1, NULL, STORE_NEW, &e), 1);
	assert_int_equal(store_list(store, "", NULL, count_seen, &seen, &e), 0);
	assert_int_equal(seen, 1);
}

static void
an_unknown_scheme_is_refused_with_the_known_ones(void **state)
{
	static const char *const bad[] = { "ftp://host/x", "/srv/ffdr", "file:/srv", "", "://x",
		"files:///x" };
	struct store *s = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct store_options o = { .url = bad[i] };

		assert_int_equal(store_open(&o, &s, &e), -1);
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_non_null(strstr(e.text, "file://"));
		assert_null(s);
	}
}

static void
a_store_that_comes_back_in_time_was_never_away(void **state)
{
	struct store_stat st;
	int64_t now;

	(void)state;
	arm(FAULT_REMOTE, NULL, 3);
	assert_int_equal(store_put(store, "a", "bytes", 5, STORE_NEW, &e), 1);
	assert_int_equal(faultstore_calls(store), 4);
	assert_true(vclock_slept() >= 350 * CLOCK_MS);
	assert_true(vclock_slept() <= 700 * CLOCK_MS);
	arm(FAULT_REMOTE, NULL, 2);
	assert_int_equal(store_stat(store, "a", &st, &e), 1);
	arm(FAULT_REMOTE, NULL, 2);
	assert_int_equal(store_clock(store, &now, &e), 0);
	arm(FAULT_REMOTE, NULL, 2);
	assert_int_equal(store_del(store, "a", &e), 1);
	assert_int_equal(memstore_count(mem), 0);
}

static void
a_store_that_stays_away_is_given_up_after_half_a_minute(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	arm(FAULT_REMOTE, NULL, 100000);
	assert_int_equal(store_get(store, "a", &out, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.text, "tried"));
	assert_true(SECONDS(vclock_slept()) >= 15);
	assert_true(SECONDS(vclock_slept()) < 30);
	assert_true(faultstore_calls(store) > 5);
	buf_done(&out);
}

static void
a_manifest_gets_half_an_hour_and_not_more(void **state)
{
	(void)state;
	arm(FAULT_REMOTE, NULL, 100000);
	assert_int_equal(store_put(store, "snap/vol.a/x", "bytes", 5, STORE_NEW, &e), -1);
	assert_true(SECONDS(vclock_slept()) > 1780);
	assert_true(SECONDS(vclock_slept()) < 1800);
	assert_true(faultstore_calls(store) < 500);
}

static void
only_silence_is_tried_again(void **state)
{
	static const enum fault_kind kinds[] = { FAULT_IO, FAULT_FULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		arm(kinds[i], NULL, 1);
		assert_int_equal(store_put(store, "a", "bytes", 5, STORE_NEW, &e), -1);
		assert_int_equal(faultstore_calls(store), 1);
		assert_int_equal(vclock_slept(), 0);
	}
}

static void
a_put_whose_answer_was_lost_is_ours_when_the_bytes_are(void **state)
{
	(void)state;
	arm(FAULT_AFTER, "put", 1);
	assert_int_equal(store_put(store, "a", "bytes", 5, STORE_NEW, &e), 1);
	assert_int_equal(faultstore_calls(store), 2);
	arm(FAULT_AFTER, "put", 1);
	assert_int_equal(store_put(store, "empty", "", 0, STORE_NEW, &e), 1);
}

static void
a_put_that_failed_and_then_meets_other_bytes_was_too_late(void **state)
{
	(void)state;
	assert_int_equal(store_put(store, "a", "BYTES", 5, STORE_NEW, &e), 1);
	assert_int_equal(store_put(store, "b", "longer bytes", 12, STORE_NEW, &e), 1);
	arm(FAULT_REMOTE, "put", 1);
	assert_int_equal(store_put(store, "a", "bytes", 5, STORE_NEW, &e), 0);
	arm(FAULT_REMOTE, "put", 1);
	assert_int_equal(store_put(store, "b", "bytes", 5, STORE_NEW, &e), 0);
	assert_memory_equal(memstore_bytes(mem, "a", NULL), "BYTES", 5);
}

static void
a_taken_name_is_taken_without_looking_when_nothing_failed(void **state)
{
	(void)state;
	assert_int_equal(store_put(store, "a", "bytes", 5, STORE_NEW, &e), 1);
	arm(FAULT_IO, "get", 1);
	assert_int_equal(store_put(store, "a", "bytes", 5, STORE_NEW, &e), 0);
	assert_int_equal(faultstore_calls(store), 0);
}

static void
a_delete_whose_answer_was_lost_has_deleted(void **state)
{
	(void)state;
	assert_int_equal(store_put(store, "a", "bytes", 5, STORE_NEW, &e), 1);
	arm(FAULT_AFTER, "del", 1);
	assert_int_equal(store_del(store, "a", &e), 1);
	assert_int_equal(store_del(store, "a", &e), 0);
}

static void
a_get_that_failed_in_the_middle_leaves_no_bytes_behind(void **state)
{
	struct buf out;

	(void)state;
	assert_int_equal(store_put(store, "a", "0123456789", 10, STORE_NEW, &e), 1);
	buf_init(&out, 100);
	buf_adds(&out, "x");
	arm(FAULT_MIDDLE, "get", 2);
	assert_int_equal(store_get(store, "a", &out, &e), 0);
	assert_string_equal(buf_str(&out), "x0123456789");
	arm(FAULT_MIDDLE, "get", 100000);
	assert_int_equal(store_get_range(store, "a", 3, 4, &out, &e), -1);
	assert_int_equal(out.len, 11);
	buf_done(&out);
}

static void
an_object_larger_than_the_buffer_is_an_error(void **state)
{
	struct buf out;

	(void)state;
	assert_int_equal(store_put(store, "a", "0123456789", 10, STORE_NEW, &e), 1);
	buf_init(&out, 9);
	assert_int_equal(store_get(store, "a", &out, &e), -1);
	assert_int_equal(out.len, 0);
	buf_done(&out);
}

struct names {
	char text[1000];
	unsigned count;
	unsigned stop_at;
};

static int
add_name(void *arg, const struct store_entry *entry, struct err *err)
{
	struct names *n = arg;

	snprintf(n->text + strlen(n->text), sizeof(n->text) - strlen(n->text), "%s ", entry->name);
	if (++n->count == n->stop_at)
		return err_set(err, ERR_REMOTE, "enough");
	return 0;
}

static void
a_listing_that_breaks_goes_on_where_it_was(void **state)
{
	struct names n = { 0 };
	char name[20];

	(void)state;
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "p/%d", i);
		assert_int_equal(store_put(store, name, "x", 1, STORE_NEW, &e), 1);
	}
	arm(FAULT_MIDDLE, "list", 3);
	assert_int_equal(store_list(store, "p/", NULL, add_name, &n, &e), 0);
	assert_string_equal(n.text, "p/0 p/1 p/2 p/3 p/4 p/5 p/6 p/7 p/8 ");
	assert_int_equal(faultstore_struck(store), 3);
	/* It got on each time, so each time patience was new. */
	assert_true(vclock_slept() <= 300 * CLOCK_MS);
	n = (struct names){ 0 };
	arm(FAULT_MIDDLE, "list", 1);
	assert_int_equal(store_list(store, "p/", "p/5", add_name, &n, &e), 0);
	assert_string_equal(n.text, "p/6 p/7 p/8 ");
}

static void
a_listing_ended_by_its_reader_is_not_tried_again(void **state)
{
	struct names n = { .stop_at = 1 };

	(void)state;
	assert_int_equal(store_put(store, "a", "x", 1, STORE_NEW, &e), 1);
	assert_int_equal(store_put(store, "b", "x", 1, STORE_NEW, &e), 1);
	assert_int_equal(store_list(store, "", NULL, add_name, &n, &e), -1);
	assert_string_equal(e.text, "enough");
	assert_int_equal(n.count, 1);
	assert_int_equal(vclock_slept(), 0);
}

/* A driver that lists what it must not: names in the order given. */
static const char *const *disorder;

static int
list_disorder(struct store *s, const char *prefix, const char *after, store_seen *seen, void *arg,
    struct err *err)
{
	(void)s;
	(void)prefix;
	(void)after;
	for (size_t i = 0; disorder[i] != NULL; i++) {
		struct store_entry entry = { .name = disorder[i] };

		if (seen(arg, &entry, err) == -1)
			return -1;
	}
	return 0;
}

static void
a_listing_out_of_order_is_an_error(void **state)
{
	static const char *const lists[][4] = {
		{ "b", "a" }, { "a", "a" }, { "a/b", "a.b" }, { "a b" }, { "" }, { "/a" },
	};
	struct store_ops ops = memstore_ops;
	struct store fake = { .ops = &ops };
	struct names n = { 0 };

	(void)state;
	ops.list = list_disorder;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		disorder = lists[i];
		assert_int_equal(store_list(&fake, "", NULL, add_name, &n, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
	}
}

static void
the_rate_holds_on_average_with_a_second_of_credit(void **state)
{
	static uint8_t bytes[100000];
	char name[20];
	struct buf out;

	(void)state;
	mem->options.rate = 0;
	store->options.rate = 1000000;
	for (int i = 0; i < 50; i++) { /* 5 MB at 1 MB/s */
		snprintf(name, sizeof(name), "o%d", i);
		assert_int_equal(store_put(store, name, bytes, sizeof(bytes), STORE_NEW, &e), 1);
	}
	assert_true(vclock_slept() >= 4 * CLOCK_S - CLOCK_MS);
	assert_true(vclock_slept() <= 4 * CLOCK_S + CLOCK_MS);
	vclock_pass(3600 * CLOCK_S); /* an hour of rest is worth a second, too */
	buf_init(&out, 10000000);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "o%d", i);
		assert_int_equal(store_get(store, name, &out, &e), 0);
	}
	assert_true(vclock_slept() >= 8 * CLOCK_S - CLOCK_MS);
	assert_true(vclock_slept() <= 8 * CLOCK_S + CLOCK_MS);
	buf_done(&out);
}

static void
a_slow_store_pays_no_second_time(void **state)
{
	static uint8_t bytes[1000000];
	struct fault slow = { .kind = FAULT_DELAY, .op = "put", .at = 1, .times = 10,
		.delay_ns = 2 * CLOCK_S };

	(void)state;
	store->options.rate = 1000000;
	faultstore_arm(store, &slow);
	for (char name[] = "a"; name[0] < 'f'; name[0]++)
		assert_int_equal(store_put(store, name, bytes, sizeof(bytes), STORE_NEW, &e), 1);
	assert_int_equal(vclock_slept(), 10 * CLOCK_S);
}

/* Says stop once that much time has passed. */
static bool
stop_at(void *arg)
{
	const int64_t *at = arg;

	return clock_boot_ns() >= *at;
}

static void
who_asks_to_stop_does_not_wait_for_the_rate_and_nothing_more_is_put(void **state)
{
	int64_t begun = clock_boot_ns(), at = begun + 3 * CLOCK_S;
	static uint8_t bytes[1000];

	(void)state;
	store->options.rate = 10;
	store_stop_when(store, stop_at, &at);
	assert_int_equal(store_put(store, "pack/00/a", bytes, sizeof(bytes), STORE_NEW, &e), 1);
	assert_in_range(clock_boot_ns() - begun, 3 * CLOCK_S, 4 * CLOCK_S);
	assert_int_equal(store_put(store, "snap/vol.a/b", "m", 1, STORE_NEW, &e), -1);
	assert_int_equal(e.kind, ERR_CANCELLED);
	assert_int_equal(memstore_count(mem), 1);
	/* What was stored can be looked at and cleaned up. */
	assert_int_equal(store_del(store, "pack/00/a", &e), 1);
	store_stop_when(store, NULL, NULL);
	assert_int_equal(store_put(store, "snap/vol.a/b", "m", 1, STORE_NEW, &e), 1);
}

static void
who_asks_to_stop_does_not_wait_for_a_store_that_is_silent(void **state)
{
	int64_t begun = clock_boot_ns(), at = begun + 2 * CLOCK_S;

	(void)state;
	memstore_away(mem, true);
	store_stop_when(store, stop_at, &at);
	assert_int_equal(store_put(store, "snap/vol.a/b", "m", 1, STORE_NEW, &e), -1);
	assert_int_equal(e.kind, ERR_CANCELLED);
	assert_in_range(clock_boot_ns() - begun, 2 * CLOCK_S, 3 * CLOCK_S);
}

static void
who_reads_and_asks_to_stop_waits_for_nothing_and_what_is_noted_still_is(void **state)
{
	int64_t begun = clock_boot_ns(), at = begun + 3 * CLOCK_S;
	static uint8_t bytes[1000];
	struct buf out;

	(void)state;
	assert_int_equal(store_put(store, "pack/00/a", bytes, sizeof(bytes), STORE_NEW, &e), 1);
	buf_init(&out, 10000);
	store->options.rate = 10;
	store_hurry_when(store, stop_at, &at);
	assert_int_equal(store_get(store, "pack/00/a", &out, &e), 0);
	assert_in_range(clock_boot_ns() - begun, 3 * CLOCK_S, 4 * CLOCK_S);
	assert_int_equal(store_put(store, "note", "m", 1, STORE_NEW, &e), 1);
	/* What the store says stays what it is: that somebody asked is known to who asked. */
	memstore_away(mem, true);
	begun = clock_boot_ns();
	assert_int_equal(store_get(store, "pack/00/a", &out, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_int_equal(clock_boot_ns(), begun);
	buf_done(&out);
}

static unsigned frozen_left, asked_back;

static int
frozen_get(struct store *s, const char *name, uint64_t off, uint64_t len, struct buf *out, struct err *why)
{
	(void)s;
	(void)off;
	(void)len;
	buf_adds(out, "half");
	if (frozen_left > 0)
		return err_set(why, ERR_FROZEN, "'%s' lies in an archive", name);
	buf_adds(out, "back");
	return 0;
}

static int
bring_back(void *arg, struct store *s, const char *name, struct err *why)
{
	(void)s;
	asked_back++;
	assert_string_equal(name, "pack/a");
	if (*(bool *)arg)
		return err_set(why, ERR_CANCELLED, "no");
	frozen_left--;
	return 0;
}

static void
a_read_that_meets_the_archive_asks_for_it_and_tries_again(void **state)
{
	struct store_ops ops = memstore_ops;
	struct store fake = { .ops = &ops };
	struct store_cold is;
	bool never = false;
	struct buf out;

	(void)state;
	ops.get = frozen_get;
	buf_init(&out, 100);
	frozen_left = 2;
	asked_back = 0;
	/* Nobody to ask: at once, without patience. */
	assert_int_equal(store_get(&fake, "pack/a", &out, &e), -1);
	assert_int_equal(e.kind, ERR_FROZEN);
	assert_int_equal(out.len, 0);
	assert_non_null(strstr(e.text, "\n  fix "));
	assert_non_null(strstr(e.text, "--yes-thaw"));
	store_when_frozen(&fake, bring_back, &never);
	assert_int_equal(store_get(&fake, "pack/a", &out, &e), 0);
	assert_string_equal(buf_str(&out), "halfback");
	assert_int_equal(asked_back, 2);
	never = true;
	frozen_left = 1;
	assert_int_equal(store_get(&fake, "pack/a", &out, &e), -1);
	assert_int_equal(e.kind, ERR_CANCELLED);
	/* One that is said to be back again and again, and is not. */
	never = false;
	frozen_left = 1000;
	assert_int_equal(store_get(&fake, "pack/a", &out, &e), -1);
	assert_int_equal(e.kind, ERR_FROZEN);
	assert_true(asked_back < 20);
	buf_done(&out);
	/* A store that knows no archive has what it has. */
	assert_int_equal(store_put(store, "pack/b", "xy", 2, STORE_NEW, &e), 1);
	assert_int_equal(store_cold(store, "pack/b", &is, &e), 1);
	assert_int_equal(is.state, STORE_READABLE);
	assert_int_equal(is.size, 2);
	assert_int_equal(store_cold(store, "pack/c", &is, &e), 0);
	assert_int_equal(store_thaw(store, "pack/b", STORE_STANDARD, 1, &e), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(names_are_checked_before_a_driver_sees_them),
		TEST(an_unknown_scheme_is_refused_with_the_known_ones),
		TEST(what_other_programs_leave_with_a_dot_in_front_is_no_object),
		TEST(a_read_that_meets_the_archive_asks_for_it_and_tries_again),
		TEST(a_store_that_comes_back_in_time_was_never_away),
		TEST(a_store_that_stays_away_is_given_up_after_half_a_minute),
		TEST(a_manifest_gets_half_an_hour_and_not_more),
		TEST(only_silence_is_tried_again),
		TEST(a_put_whose_answer_was_lost_is_ours_when_the_bytes_are),
		TEST(a_put_that_failed_and_then_meets_other_bytes_was_too_late),
		TEST(a_taken_name_is_taken_without_looking_when_nothing_failed),
		TEST(a_delete_whose_answer_was_lost_has_deleted),
		TEST(a_get_that_failed_in_the_middle_leaves_no_bytes_behind),
		TEST(an_object_larger_than_the_buffer_is_an_error),
		TEST(a_listing_that_breaks_goes_on_where_it_was),
		TEST(a_listing_ended_by_its_reader_is_not_tried_again),
		TEST(a_listing_out_of_order_is_an_error),
		TEST(who_asks_to_stop_does_not_wait_for_the_rate_and_nothing_more_is_put),
		TEST(who_asks_to_stop_does_not_wait_for_a_store_that_is_silent),
		TEST(who_reads_and_asks_to_stop_waits_for_nothing_and_what_is_noted_still_is),
		TEST(the_rate_holds_on_average_with_a_second_of_credit),
		TEST(a_slow_store_pays_no_second_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
