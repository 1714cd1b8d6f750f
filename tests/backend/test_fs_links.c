/* What no listing shows no stat finds and no put makes: one view of a tier for all who ask. */
#include "tests/lib/vector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/store.h"
#include "tests/lib/scratch.h"

static struct err e;

static void
assert_refused(int rc)
{
	assert_int_equal(rc, -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "is a link, expected a directory"));
	err_clear(&e);
}

static int
count(void *arg, const struct store_entry *entry, struct err *err)
{
	(void)entry;
	(void)err;
	++*(size_t *)arg;
	return 0;
}

static void
a_link_below_the_first_level_is_passed_by_nobody(void **state)
{
	const char *dir = scratch_dir();
	char *url, *link, *other;
	struct store *s = NULL;
	struct store_stat st;
	struct buf out;
	size_t n = 0;

	(void)state;
	url = xasprintf("file://%s", dir);
	link = scratch_path(dir, "pack/00");
	other = scratch_path(dir, "elsewhere");
	buf_init(&out, 100);
	assert_int_equal(store_open(&(struct store_options){ .url = url }, &s, &e), 0);
	assert_int_equal(store_put(s, "pack/00/a", "x", 1, STORE_NEW, &e), 1);
	assert_int_equal(rename(link, other), 0);
	assert_int_equal(symlink("../elsewhere", link), 0);
	assert_int_equal(store_list(s, "pack/00/", NULL, count, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_refused(store_stat(s, "pack/00/a", &st, &e));
	assert_refused(store_get(s, "pack/00/a", &out, &e));
	assert_refused(store_put(s, "pack/00/b", "x", 1, STORE_NEW, &e));
	assert_refused(store_del(s, "pack/00/a", &e));
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rename(other, link), 0);
	assert_int_equal(store_stat(s, "pack/00/a", &st, &e), 1);
	store_close(s);
	buf_done(&out);
	free(url);
	free(link);
	free(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_below_the_first_level_is_passed_by_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
