/* What went within a day is counted, hour by hour, and forgotten after it. */
#include "repo/lately.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "repo/layout.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vector.h"

#define NOW (INT64_C(1700000000) * CLOCK_S)
#define HOUR LAYOUT_HOUR_NS

static char *dir;
static struct err e;

static int
setup(void **state)
{
	static unsigned n;

	(void)state;
	dir = scratch_path(scratch_dir(), "%u/expired", n++);
	err_clear(&e);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(dir);
	return 0;
}

static size_t
gone(const char *tier, const char *source, int64_t now_ns)
{
	size_t n;

	if (lately_gone(dir, tier, source, now_ns, &n, &e) == -1)
		fail_msg("%s", e.text);
	return n;
}

static void
goes(int64_t now_ns, size_t n)
{
	if (lately_add(dir, "local", "vol.a", now_ns, n, &e) == -1)
		fail_msg("%s", e.text);
}

static void
each_tier_and_source_has_its_own_count(void **state)
{
	(void)state;
	assert_int_equal(gone("local", "vol.a", NOW), 0);
	goes(NOW, 3);
	goes(NOW + CLOCK_S, 4);
	assert_int_equal(gone("local", "vol.a", NOW + HOUR), 7);
	assert_int_equal(gone("local", "vol.b", NOW + HOUR), 0);
	assert_int_equal(gone("other", "vol.a", NOW + HOUR), 0);
}

static void
hours_leave_one_by_one(void **state)
{
	(void)state;
	for (int h = 0; h < 100; h++) {
		goes(NOW + h * HOUR, 1);
		assert_int_equal(gone("local", "vol.a", NOW + h * HOUR), h < 20 ? h + 1 : 20);
	}
	assert_int_equal(gone("local", "vol.a", NOW + (99 + 10) * HOUR), 10);
	assert_int_equal(gone("local", "vol.a", NOW + (99 + 21) * HOUR), 0);
}

/* Else a clock that was a year ahead once would keep everything for a year. */
static void
an_hour_far_ahead_does_not_count(void **state)
{
	(void)state;
	goes(NOW + 1000 * HOUR, 5);
	assert_int_equal(gone("local", "vol.a", NOW), 0);
}

static void
a_torn_file_is_an_error_with_the_way_out(void **state)
{
	char *path;
	size_t n;

	(void)state;
	goes(NOW, 5);
	path = scratch_path(dir, "local/vol.a");
	assert_int_not_equal(file_put(AT_FDCWD, path, "ffdr-expired 1\nhour x\n", 22, 0640,
	    FILE_REPLACE, &e), -1);
	assert_int_equal(lately_gone(dir, "local", "vol.a", NOW, &n, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, path));
	err_clear(&e);
	assert_int_equal(lately_add(dir, "local", "vol.a", NOW, 1, &e), -1);
	free(path);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_tier_and_source_has_its_own_count),
		CASE(hours_leave_one_by_one),
		CASE(an_hour_far_ahead_does_not_count),
		CASE(a_torn_file_is_an_error_with_the_way_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
