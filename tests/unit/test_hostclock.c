/* The clock of this host against what the host remembers of it. */
#include "tests/lib/vector.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "repo/hostclock.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vclock.h"

#define HOUR LAYOUT_HOUR_NS
#define DAY (24 * HOUR)
#define NOW (INT64_C(1800000000) * CLOCK_S)

static char *path;
static struct err e;

static int
begin(void **state)
{
	(void)state;
	err_clear(&e);
	path = scratch_path(scratch_dir(), "clock");
	vclock_install(NOW);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	vclock_remove();
	free(path);
	return 0;
}

static struct hostclock
at(int64_t real_ns, int64_t boot_ns, uint8_t boot)
{
	struct hostclock c = { .real_ns = real_ns, .boot_ns = boot_ns };

	memset(c.boot, boot, sizeof(c.boot));
	return c;
}

static void
within_a_boot_both_clocks_move_alike(void **state)
{
	static const struct {
		int64_t real, boot;
		enum hostclock_verdict verdict;
	} rows[] = {
		{ 0, 0, HOSTCLOCK_RIGHT },
		{ 400 * DAY, 400 * DAY, HOSTCLOCK_RIGHT }, /* suspended: both go on */
		{ LAYOUT_SKEW_NS, 0, HOSTCLOCK_RIGHT },
		{ LAYOUT_SKEW_NS + 1, 0, HOSTCLOCK_SET },
		{ -LAYOUT_SKEW_NS, 0, HOSTCLOCK_RIGHT },
		{ -LAYOUT_SKEW_NS - 1, 0, HOSTCLOCK_SET },
		{ 365 * DAY, HOUR, HOSTCLOCK_SET },
		{ 0, HOUR, HOSTCLOCK_SET },
	};
	struct hostclock was = at(NOW, DAY, 7);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hostclock now = at(NOW + rows[i].real, DAY + rows[i].boot, 7);

		now.newest_ns = NOW + 900 * DAY; /* is no question within a boot */
		assert_int_equal(hostclock_judge(&was, &now), rows[i].verdict);
	}
}

static void
after_another_start_it_is_not_earlier_and_not_much_later(void **state)
{
	struct hostclock was = at(NOW, DAY, 7), now = at(NOW + 3 * DAY, 0, 8);

	(void)state;
	assert_int_equal(hostclock_judge(&was, &now), HOSTCLOCK_RIGHT);
	now.real_ns = NOW - LAYOUT_SKEW_NS;
	assert_int_equal(hostclock_judge(&was, &now), HOSTCLOCK_RIGHT);
	now.real_ns--;
	assert_int_equal(hostclock_judge(&was, &now), HOSTCLOCK_BACK);
	now.real_ns = NOW + HOSTCLOCK_OFF_NS;
	assert_int_equal(hostclock_judge(&was, &now), HOSTCLOCK_RIGHT);
	now.real_ns++;
	assert_int_equal(hostclock_judge(&was, &now), HOSTCLOCK_AWAY);
}

static void
a_boot_that_is_not_known_is_another_one(void **state)
{
	struct hostclock was = at(NOW, DAY, 0), now = at(NOW + DAY, DAY, 0);

	(void)state;
	assert_int_equal(hostclock_judge(&was, &now), HOSTCLOCK_RIGHT);
	now.real_ns = NOW - HOUR;
	assert_int_equal(hostclock_judge(&was, &now), HOSTCLOCK_BACK);
}

static void
it_is_not_earlier_than_what_is_stored_unless_that_was_seen_before(void **state)
{
	struct hostclock was = at(NOW - HOUR, DAY, 7), now = at(NOW, 0, 8);

	(void)state;
	now.newest_ns = NOW + LAYOUT_SKEW_NS;
	assert_int_equal(hostclock_judge(&was, &now), HOSTCLOCK_RIGHT);
	assert_int_equal(hostclock_judge(NULL, &now), HOSTCLOCK_RIGHT);
	now.newest_ns++;
	assert_int_equal(hostclock_judge(&was, &now), HOSTCLOCK_PAST);
	assert_int_equal(hostclock_judge(NULL, &now), HOSTCLOCK_PAST);
	was.newest_ns = now.newest_ns;
	assert_int_equal(hostclock_judge(&was, &now), HOSTCLOCK_RIGHT);
	now.newest_ns++;
	assert_int_equal(hostclock_judge(&was, &now), HOSTCLOCK_PAST);
}

static void
nothing_remembered_is_nothing_against_it(void **state)
{
	(void)state;
	assert_int_equal(hostclock_check(path, 0, &e), 0);
	assert_int_equal(hostclock_check(path, NOW, &e), 0);
	assert_int_equal(hostclock_check(path, NOW + DAY, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
}

static void
what_is_stored_stands_for_a_memory_that_is_lost(void **state)
{
	struct hostclock now = at(NOW, DAY, 7);

	(void)state;
	now.newest_ns = NOW - HOSTCLOCK_OFF_NS;
	assert_int_equal(hostclock_judge(NULL, &now), HOSTCLOCK_RIGHT);
	now.newest_ns--;
	assert_int_equal(hostclock_judge(NULL, &now), HOSTCLOCK_LATE);
	assert_int_equal(hostclock_check(path, now.newest_ns, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_non_null(strstr(e.text, "ahead of what is stored"));
	/* Doubted once, what is stored now speaks no longer for it; the right time does. */
	assert_false(hostclock_remembered(path));
	assert_int_equal(hostclock_doubt(path, NOW - 400 * DAY, &e), 0);
	assert_true(hostclock_remembered(path));
	assert_int_equal(hostclock_check(path, NOW, &e), -1);
	vclock_install(NOW - 399 * DAY);
	assert_int_equal(hostclock_check(path, NOW - 400 * DAY, &e), 0);
}

/* Another source: real time alone. */
static int64_t set_ns;

static int64_t
real_set(void *arg)
{
	(void)arg;
	return NOW + set_ns;
}

static int64_t
boot_stands(void *arg)
{
	(void)arg;
	return HOUR;
}

static void
a_clock_that_was_set_is_refused_with_both_times_until_told_that_it_is_right(void **state)
{
	const struct clock_source source = { .real_ns = real_set, .boot_ns = boot_stands };

	(void)state;
	clock_install(&source);
	set_ns = 0;
	assert_int_equal(hostclock_remember(path, 0, &e), 0);
	set_ns = 4 * 60 * CLOCK_S;
	assert_int_equal(hostclock_check(path, 0, &e), 0);
	set_ns = 365 * DAY;
	assert_int_equal(hostclock_check(path, 0, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_non_null(strstr(e.text, "2027-01-15T08:00:00Z"));
	assert_non_null(strstr(e.text, "2028-01-15T08:00:00Z"));
	assert_non_null(strstr(e.text, "--yes-the-clock-is-right"));
	assert_int_equal(hostclock_remember(path, 0, &e), 0);
	assert_int_equal(hostclock_check(path, 0, &e), 0);
	set_ns = 0;
	assert_int_equal(hostclock_check(path, 0, &e), -1);
}

static void
what_was_seen_stored_is_remembered_to_the_full_second_above(void **state)
{
	int64_t newest = NOW + DAY + 1;
	struct buf text;

	(void)state;
	assert_int_equal(hostclock_remember(path, newest, &e), 0);
	assert_int_equal(hostclock_remember(path, 0, &e), 0); /* keeps it */
	buf_init(&text, 1000);
	assert_int_equal(file_get(AT_FDCWD, path, &text, &e), 0);
	assert_non_null(strstr(buf_str(&text), "newest 2027-01-16T08:00:01Z\n"));
	/* The next boot sees it again, and it is nothing new. */
	memcpy(strstr(buf_str(&text), "boot ") + 5, "0123456789abcdef", 16);
	assert_int_equal(file_put(AT_FDCWD, path, text.data, text.len, 0600, FILE_REPLACE, &e), 1);
	assert_int_equal(hostclock_check(path, newest, &e), 0);
	assert_int_equal(hostclock_check(path, newest + CLOCK_S, &e), -1);
	buf_done(&text);
}

static void
a_memory_that_cannot_be_read_counts_as_none_and_is_written_anew(void **state)
{
	static const char *const damaged[] = { "", "ffdr-clock 1\nreal x\n", "ffdr-clock 2\n" };
	int64_t now;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		assert_true(file_put(AT_FDCWD, path, damaged[i], strlen(damaged[i]), 0600, FILE_REPLACE,
		    &e) != -1);
		now = clock_real_ns();
		assert_false(hostclock_remembered(path));
		assert_int_equal(hostclock_damaged(path, &e), 1);
		assert_non_null(strstr(e.text, path));
		/* What is stored is asked, as where there is none. */
		err_clear(&e);
		assert_int_equal(hostclock_check(path, now - HOSTCLOCK_OFF_NS - DAY, &e), -1);
		assert_int_equal(e.kind, ERR_REFUSED);
		assert_int_equal(hostclock_check(path, now + DAY, &e), -1);
		assert_int_equal(hostclock_check(path, now - DAY, &e), 0);
		assert_int_equal(hostclock_remember(path, 0, &e), 0);
		assert_int_equal(hostclock_check(path, 0, &e), 0);
		assert_true(hostclock_remembered(path));
		assert_int_equal(hostclock_damaged(path, &e), 0);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(within_a_boot_both_clocks_move_alike),
		TEST(after_another_start_it_is_not_earlier_and_not_much_later),
		TEST(a_boot_that_is_not_known_is_another_one),
		TEST(it_is_not_earlier_than_what_is_stored_unless_that_was_seen_before),
		TEST(nothing_remembered_is_nothing_against_it),
		TEST(what_is_stored_stands_for_a_memory_that_is_lost),
		TEST(a_clock_that_was_set_is_refused_with_both_times_until_told_that_it_is_right),
		TEST(what_was_seen_stored_is_remembered_to_the_full_second_above),
		TEST(a_memory_that_cannot_be_read_counts_as_none_and_is_written_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
