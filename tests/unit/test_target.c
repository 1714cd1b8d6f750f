/*
 * Where a restore may write. The rows are the ways in which people point at the wrong directory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "job/preview.h"
#include "job/target.h"
#include "source/attr.h"
#include "tests/lib/scratch.h"

static const char *top;

/* A directory below the scratch one, with a file in it when `name` is given. */
static char *
make_dir(const char *dir, const char *name)
{
	char *path = scratch_path(top, "%s", dir), *file;

	assert_int_equal(mkdir(path, 0700), 0);
	if (name) {
		file = scratch_path(path, "%s", name);
		assert_int_equal(file_put(AT_FDCWD, file, "x", 1, 0600, FILE_NEW, NULL), 1);
		free(file);
	}
	return path;
}

static int
judge(const char *to, const char *origin, bool delta, struct err *e)
{
	const struct target_wish wish = {
		.to = to, .source = "vol.data", .origin = origin, .delta = delta
	};
	char *path = NULL;
	int rc;

	*e = (struct err){ 0 };
	rc = target_judge(&wish, &path, e);
	assert_int_equal(path != NULL, rc == 0);
	if (path)
		assert_int_equal(path[0], '/');
	free(path);
	return rc;
}

static void
an_absent_or_empty_directory_may_always_be_written(void **state)
{
	char *empty = make_dir("empty", NULL), *absent = scratch_path(top, "not/there/yet");
	struct err e;

	(void)state;
	assert_int_equal(judge(empty, NULL, false, &e), 0);
	assert_int_equal(judge(absent, NULL, false, &e), 0);
	assert_int_equal(access(absent, F_OK), -1); /* judged, not made */
	free(empty);
	free(absent);
}

static void
a_strange_directory_is_refused_with_and_without_delta(void **state)
{
	char *full = make_dir("full", "precious");
	struct err e;

	(void)state;
	assert_int_equal(judge(full, "/srv/elsewhere", false, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_int_equal(judge(full, "/srv/elsewhere", true, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_non_null(strstr(e.text, "checked"));
	assert_non_null(strstr(e.text, "fix"));
	free(full);
}

static void
the_source_itself_needs_delta_to_be_said(void **state)
{
	char *full = make_dir("origin", "file"), *link = scratch_path(top, "link");
	struct err e;

	(void)state;
	assert_int_equal(symlink(full, link), 0);
	assert_int_equal(judge(full, full, false, &e), -1);
	assert_non_null(strstr(e.text, "--delta"));
	assert_int_equal(judge(full, full, true, &e), 0);
	assert_int_equal(judge(link, full, true, &e), 0);
	assert_int_equal(judge(full, link, true, &e), 0);
	free(link);
	free(full);
}

static void
only_the_mark_of_the_same_source_counts(void **state)
{
	char *full = make_dir("marked", "file");
	struct err e;

	(void)state;
	if (setxattr(full, ATTR_RESTORED, "vol.data", 8, 0) == -1) {
		free(full);
		skip(); /* a file system without such attributes */
	}
	assert_int_equal(judge(full, NULL, true, &e), 0);
	assert_int_equal(judge(full, NULL, false, &e), -1);
	assert_int_equal(setxattr(full, ATTR_RESTORED, "vol.data2", 9, 0), 0);
	assert_int_equal(judge(full, NULL, true, &e), -1);
	assert_non_null(strstr(e.text, "vol.data2"));
	assert_int_equal(setxattr(full, ATTR_RESTORED, "vol.dat", 7, 0), 0);
	assert_int_equal(judge(full, NULL, true, &e), -1);
	free(full);
}

static void
a_snapshot_of_another_host_comes_over_the_source_only_when_that_is_said(void **state)
{
	char *full = make_dir("shared-name", "file"), *path = NULL;
	struct target_wish wish = {
		.to = full, .source = "vol.data", .origin = full, .delta = true,
		.id = "vol.data/20261121T020000Z-1a2b3c4d", .other = "was captured on 'b' from '/x'",
	};
	struct err e = { 0 };

	(void)state;
	assert_int_equal(target_judge(&wish, &path, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_non_null(strstr(e.text, "vol.data/20261121T020000Z-1a2b3c4d was captured on 'b'"));
	assert_non_null(strstr(e.text, "--from-another-host"));
	assert_null(path);
	wish.other_wanted = true;
	assert_int_equal(target_judge(&wish, &path, &e), 0);
	free(path);
	/* It does not open a strange directory. */
	wish.origin = "/srv/elsewhere";
	assert_int_equal(target_judge(&wish, &path, &e), -1);
	free(path);
	/* What a restore of the source made is the restore's to go on with. */
	wish.other_wanted = false;
	if (setxattr(full, ATTR_RESTORED, "vol.data", 8, 0) == 0) {
		assert_int_equal(target_judge(&wish, &path, &e), 0);
		free(path);
	}
	free(full);
}

static void
a_file_is_no_target(void **state)
{
	char *dir = make_dir("dir", "file"), *file = scratch_path(dir, "file");
	struct err e;

	(void)state;
	assert_int_equal(judge(file, NULL, false, &e), -1);
	assert_int_equal(judge(file, NULL, true, &e), -1);
	free(file);
	free(dir);
}

static bool
wants(const char *wanted, const char *path)
{
	return preview_wants(&wanted, 1, path, strlen(path));
}

static void
a_wanted_path_takes_what_is_below_it_and_nothing_that_only_begins_alike(void **state)
{
	(void)state;
	assert_true(wants("a/b", "a/b"));
	assert_true(wants("a/b", "a/b/c"));
	assert_false(wants("a/b", "a/bc"));
	assert_false(wants("a/b", "a"));
	assert_true(wants(".", "anything"));
	assert_true(preview_wants(NULL, 0, "anything", 8));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_absent_or_empty_directory_may_always_be_written),
		cmocka_unit_test(a_strange_directory_is_refused_with_and_without_delta),
		cmocka_unit_test(the_source_itself_needs_delta_to_be_said),
		cmocka_unit_test(only_the_mark_of_the_same_source_counts),
		cmocka_unit_test(a_snapshot_of_another_host_comes_over_the_source_only_when_that_is_said),
		cmocka_unit_test(a_file_is_no_target),
		cmocka_unit_test(a_wanted_path_takes_what_is_below_it_and_nothing_that_only_begins_alike),
	};

	top = scratch_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
