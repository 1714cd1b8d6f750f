/* One run at a time, and whose it is. */
#include "tests/lib/vector.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "job/lock.h"
#include "tests/lib/scratch.h"

static void
the_second_is_told_which_process_holds_it_until_that_lets_go(void **state)
{
	const char *dir = scratch_dir();
	struct err e = { 0 };
	char *process;
	int fd;

	(void)state;
	fd = lock_take(dir, "backup", "vol.a", &e);
	assert_true(fd >= 0);
	assert_int_equal(lock_take(dir, "backup", "vol.a", &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	process = xasprintf("\n  process   %ld, since 20", (long)getpid());
	assert_non_null(strstr(e.text, "another backup of vol.a is running on this host"));
	assert_non_null(strstr(e.text, process));
	assert_non_null(strstr(e.text, "`kill "));
	free(process);
	close(lock_take(dir, "backup", "vol.b", &e)); /* another source is another lock */
	close(fd);
	fd = lock_take(dir, "backup", "vol.a", &e);
	assert_true(fd >= 0);
	close(fd);
}

static void
nobody_is_told_to_end_a_process_that_is_none_of_ours(void **state)
{
	/* Cut short, no number, no process, a stranger: the first process of the system. */
	static const char *const texts[] = { "", "1", "x\n", "-5\n", "0\n", "999999999\n", "1\n" };
	const char *dir = scratch_dir();
	struct err e = { 0 };
	int fd;

	(void)state;
	fd = lock_take(dir, "backup", "vol.a", &e);
	assert_true(fd >= 0);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, texts[i], strlen(texts[i]), 0),
		    (ssize_t)strlen(texts[i]));
		assert_int_equal(lock_take(dir, "backup", "vol.a", &e), -1);
		assert_int_equal(e.kind, ERR_BUSY);
		assert_null(strstr(e.text, "process  "));
		assert_null(strstr(e.text, "kill"));
		assert_non_null(strstr(e.text, "\n  fix       wait for its end"));
	}
	close(fd);
}

static void
where_nothing_can_be_kept_it_is_not_busy_but_an_error(void **state)
{
	char *file = scratch_path(scratch_dir(), "file");
	struct err e = { 0 };

	(void)state;
	assert_int_equal(file_put(AT_FDCWD, file, "x", 1, 0600, FILE_NEW, &e), 1);
	assert_int_equal(lock_take(file, "backup", "vol.a", &e), -1);
	assert_int_not_equal(e.kind, ERR_BUSY);
	free(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_second_is_told_which_process_holds_it_until_that_lets_go),
		cmocka_unit_test(nobody_is_told_to_end_a_process_that_is_none_of_ours),
		cmocka_unit_test(where_nothing_can_be_kept_it_is_not_busy_but_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
