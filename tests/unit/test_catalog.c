#include "repo/catalog.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vector.h"

#define ID "vol.a/20261121T020000Z-1a2b3c4d"
#define OTHER "vol.a/20261121T030000Z-1a2b3c4d"

static const struct catalog_facts facts = {
	.partial = true,
	.sequence = 7,
	.entries = 100,
	.files = 90,
	.bytes = UINT64_MAX,
	.read_bytes = 1,
	.stored_new = 2,
	.started_ns = INT64_C(1795226400000000001),
	.finished_ns = INT64_C(1795226401000000000),
	.compared_ns = 0,
};

static void
must_put(const char *dir, const char *id)
{
	struct err e = { 0 };

	if (catalog_put(dir, id, &facts, &e) == -1)
		fail_msg("%s", e.text);
}

static void
a_snapshot_is_remembered_with_all_its_numbers(void **state)
{
	char *dir = scratch_path(scratch_dir(), "state/catalog");
	struct catalog_facts got = { .sequence = 1 };

	(void)state;
	assert_int_equal(catalog_get(dir, ID, &got), 0);
	must_put(dir, ID);
	assert_int_equal(catalog_get(dir, ID, &got), 1);
	assert_true(got.partial);
	assert_int_equal(got.sequence, 7);
	assert_true(got.bytes == UINT64_MAX);
	assert_true(got.started_ns == facts.started_ns);
	assert_int_equal(got.stored_new, 2);
	assert_int_equal(catalog_get(dir, OTHER, &got), 0);
	free(dir);
}

static void
a_damaged_entry_is_an_unknown_one(void **state)
{
	char *dir = scratch_path(scratch_dir(), "catalog"), *path = scratch_path(dir, ID);
	struct catalog_facts got = { .sequence = 1 };
	struct buf text;
	struct err e = { 0 };

	(void)state;
	must_put(dir, ID);
	buf_init(&text, 10000);
	assert_int_equal(file_get(AT_FDCWD, path, &text, &e), 0);
	for (size_t n = 0; n < text.len; n++) {
		assert_int_equal(file_put(AT_FDCWD, path, text.data, n, 0600, FILE_REPLACE, &e), 1);
		if (catalog_get(dir, ID, &got) != 0)
			fail_msg("cut to %zu of %zu bytes", n, text.len);
		assert_int_equal(got.sequence, 1);
	}
	must_put(dir, ID);
	assert_int_equal(catalog_get(dir, ID, &got), 1);
	buf_done(&text);
	free(path);
	free(dir);
}

static bool
only_other(void *arg, const char *id)
{
	(void)arg;
	return strcmp(id, OTHER) == 0;
}

static void
what_is_on_no_tier_any_more_is_forgotten(void **state)
{
	char *dir = scratch_path(scratch_dir(), "catalog");
	struct catalog_facts got;

	(void)state;
	assert_int_equal(catalog_prune(dir, only_other, NULL), 0);
	must_put(dir, ID);
	must_put(dir, OTHER);
	assert_int_equal(catalog_prune(dir, only_other, NULL), 1);
	assert_int_equal(catalog_get(dir, ID, &got), 0);
	assert_int_equal(catalog_get(dir, OTHER, &got), 1);
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_snapshot_is_remembered_with_all_its_numbers),
		cmocka_unit_test(a_damaged_entry_is_an_unknown_one),
		cmocka_unit_test(what_is_on_no_tier_any_more_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
