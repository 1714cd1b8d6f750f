#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "repo/spool.h"
#include "tests/lib/repokit.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vector.h"

#define SEGMENT (UINT32_C(1) << 20)
#define START UINT64_C(0x500000000)
#define BYTES (2 * (size_t)SEGMENT + 5000)

static uint8_t wal[BYTES];

static void
reads(const struct spool_dir *d, const struct wal_place *p, uint64_t from, size_t n)
{
	struct err e = { 0 };
	struct buf out;

	buf_init(&out, BYTES);
	assert_int_equal(spool_dir_read(d, p, 1, from, START + 2 * BYTES, &out, &e), n);
	assert_memory_equal(out.data, wal + (from - START), n);
	buf_done(&out);
}

/* Files that were closed and the one that is being written, those of the range alone. */
static void
a_copy_of_a_range_is_a_spool_of_its_own(void **state)
{
	struct keyring *keys = repokit_keyring();
	struct spool_options o = {
		.dir = { .path = scratch_path(scratch_dir(), "spool"), .keys = keys },
		.place = { .source = "pg.a", .sysid = 77, .epoch = 2 },
		.segment_size = SEGMENT,
	};
	struct spool_dir copy = { scratch_path(scratch_dir(), "copy"), keys };
	struct spool_dir_files files;
	struct err e = { 0 };
	struct spool *s;

	(void)state;
	vector_noise(wal, sizeof(wal), 9);
	assert_int_equal(spool_open(&o, &s, &e), 0);
	assert_int_equal(spool_start(s, 1, START, &e), 0);
	assert_int_equal(spool_append(s, START, wal, BYTES, &e), 0);
	assert_int_equal(spool_sync(s, &e), 0);
	assert_int_equal(spool_dir_copy(&o.dir, 77, 1, START + SEGMENT + 7, START + 2 * SEGMENT + 1,
			     copy.path, &e), 0);
	/* Another system, another timeline, and a range that nobody has. */
	assert_int_equal(spool_dir_copy(&o.dir, 78, 1, START, START + BYTES, copy.path, &e), 0);
	assert_int_equal(spool_dir_copy(&o.dir, 77, 2, START, START + BYTES, copy.path, &e), 0);
	assert_int_equal(spool_dir_copy(&o.dir, 77, 1, START - 9, START, copy.path, &e), 0);
	assert_int_equal(spool_dir_list(&copy, &files, &e), 0);
	assert_int_equal(files.count, 2);
	spool_dir_done(&files);
	spool_close(s);
	assert_int_equal(file_remove_tree(AT_FDCWD, o.dir.path, &e), 0);
	reads(&copy, &o.place, START + SEGMENT, BYTES - SEGMENT);
	reads(&copy, &o.place, START, 0);
	free((char *)(uintptr_t)copy.path);
	free((char *)(uintptr_t)o.dir.path);
	keyring_free(keys);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_copy_of_a_range_is_a_spool_of_its_own) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
