/* Volumes through a real repository on a file tier: what goes in comes out, whatever stood there
 * before. */
#include "tests/lib/vector.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "source/attr.h"
#include "tests/lib/scratch.h"
#include "tests/lib/treegen.h"
#include "tests/lib/volumekit.h"

#define K volumekit

#define TEST(f) cmocka_unit_test_setup_teardown(f, volumekit_begin, volumekit_end)

/* ---- round trips ---- */

static void
random_trees_come_back_as_they_were(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= volumekit_seeds(6); seed++) {
		const struct treegen g = { .seed = seed, .entries = 150 };

		treegen_make(K.volume, &g);
		assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
		assert_int_equal(K.seen.warnings, 0);
		volumekit_restore(false);
		if (K.made.warnings > 0)
			fail_msg("seed %llu: %s", (unsigned long long)seed, K.warned);
		volumekit_same(K.volume, K.target);
		assert_int_equal(file_remove_tree(AT_FDCWD, K.target, &K.e), 0);
		assert_int_equal(file_remove_tree(AT_FDCWD, K.volume, &K.e), 0);
		assert_int_equal(mkdir(K.volume, 0755), 0);
	}
}

static void
a_delta_makes_any_tree_the_snapshot(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= volumekit_seeds(5); seed++) {
		const struct treegen g = { .seed = 100 + seed, .entries = 120 };

		treegen_make(K.volume, &g);
		assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
		volumekit_restore(false);
		treegen_change(K.target, 200 + seed, 40);
		volumekit_restore(true);
		volumekit_same(K.volume, K.target);
		volumekit_restore(true);
		assert_int_equal(K.made.fetched, 0);
		/* Over something else altogether. */
		assert_int_equal(file_remove_tree(AT_FDCWD, K.target, &K.e), 0);
		assert_int_equal(mkdir(K.target, 0700), 0);
		treegen_make(K.target, &(struct treegen){ .seed = 300 + seed, .entries = 120 });
		volumekit_restore(true);
		volumekit_same(K.volume, K.target);
		assert_int_equal(file_remove_tree(AT_FDCWD, K.target, &K.e), 0);
		assert_int_equal(file_remove_tree(AT_FDCWD, K.volume, &K.e), 0);
		assert_int_equal(mkdir(K.volume, 0755), 0);
	}
}

static void
a_delta_fetches_only_what_differs(void **state)
{
	char *path = scratch_path(K.volume, "big");
	int fd;

	(void)state;
	treegen_make(K.volume, &(struct treegen){ .seed = 5, .entries = 60 });
	fd = open(path, O_RDWR | O_CREAT, 0600);
	for (int i = 0; i < 40; i++) {
		char block[1 << 17];

		vector_noise((uint8_t *)block, sizeof(block), (uint64_t)i);
		assert_int_equal(pwrite(fd, block, sizeof(block), (off_t)i << 17), sizeof(block));
	}
	close(fd);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	volumekit_restore(false);
	volumekit_restore(true);
	assert_int_equal(K.made.fetched, 0);
	assert_int_equal(K.made.removed, 0);
	free(path);
	path = scratch_path(K.target, "big");
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, "x", 1, 7 << 17), 1);
	close(fd);
	volumekit_restore(true);
	assert_int_equal(K.made.fetched, 1 << 17);
	volumekit_same(K.volume, K.target);
	/* Grains on both sides of what is compared at once, a hole, and no end. */
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, "xy", 2, (8 << 17) - 1), 2);
	assert_int_equal(
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 20 << 17, 3 << 17), 0);
	assert_int_equal(ftruncate(fd, (38 << 17) + 5), 0);
	close(fd);
	volumekit_restore(true);
	assert_int_equal(K.made.fetched, 7 << 17);
	volumekit_same(K.volume, K.target);
	free(path);
}

/* ---- restore ---- */

static void
a_stopped_restore_is_completed_by_a_delta(void **state)
{
	(void)state;
	treegen_make(K.volume, &(struct treegen){ .seed = 77, .entries = 150 });
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	K.stop_after = 2;
	assert_int_equal(volumekit_restore_with(&(struct tree_options){ 0 }), -1);
	assert_int_equal(K.e.kind, ERR_CANCELLED);
	K.stop_after = 0;
	volumekit_restore(true);
	volumekit_same(K.volume, K.target);
}

static void
a_full_directory_is_refused_and_the_message_tells_the_way_out(void **state)
{
	(void)state;
	volumekit_put(K.volume, "a", "x");
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	assert_int_equal(mkdir(K.target, 0700), 0);
	assert_int_equal(tree_empty(K.target, &K.e), 1);
	volumekit_put(K.target, "mine", "y");
	assert_int_equal(tree_empty(K.target, &K.e), 0);
	assert_int_equal(volumekit_restore_with(&(struct tree_options){ 0 }), -1);
	assert_int_equal(K.e.kind, ERR_REFUSED);
	assert_non_null(strstr(K.e.text, "--delta"));
	assert_false(volumekit_has(K.target, "a"));
	assert_true(volumekit_has(K.target, "mine"));
}

static void
the_target_is_marked_and_the_mark_is_not_captured(void **state)
{
	char name[100];

	(void)state;
	volumekit_put(K.volume, "a", "x");
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	volumekit_restore(false);
	if (tree_restored_from(K.target, name, sizeof(name), &K.e) != 1) {
		print_message("the file system keeps no user attributes\n");
		skip();
	}
	assert_string_equal(name, VOLUMEKIT_SOURCE);
	assert_int_equal(setxattr(K.volume, ATTR_RESTORED, "vol.else", 8, 0), 0);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	volumekit_restore(true);
	assert_int_equal(tree_restored_from(K.target, name, sizeof(name), &K.e), 1);
	assert_string_equal(name, VOLUMEKIT_SOURCE);
	/* A tree that was there before the restore is none that a restore made. */
	assert_int_equal(removexattr(K.target, ATTR_RESTORED), 0);
	volumekit_restore(true);
	assert_int_equal(tree_restored_from(K.target, name, sizeof(name), &K.e), 0);
}

static void
paths_restore_a_part_with_its_hard_links(void **state)
{
	static const char *const paths[] = { "b/in", "c" };
	struct stat one, two;
	char *x, *y;

	(void)state;
	assert_int_equal(volumekit_sh("mkdir -p %s/a %s/b/in", K.volume, K.volume), 0);
	volumekit_put(K.volume, "a/first", "contents of both");
	volumekit_put(K.volume, "b/out", "not wanted");
	volumekit_put(K.volume, "c", "wanted");
	assert_int_equal(volumekit_sh("ln %s/a/first %s/b/in/second", K.volume, K.volume), 0);
	assert_int_equal(volumekit_sh("ln %s/a/first %s/b/in/third", K.volume, K.volume), 0);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	assert_int_equal(volumekit_restore_with(&(struct tree_options){.path = paths, .paths = 2}),
			 0);
	assert_false(volumekit_has(K.target, "a"));
	assert_false(volumekit_has(K.target, "b/out"));
	assert_true(volumekit_has(K.target, "c"));
	x = scratch_path(K.target, "b/in/second");
	y = scratch_path(K.target, "b/in/third");
	assert_int_equal(stat(x, &one), 0);
	assert_int_equal(stat(y, &two), 0);
	assert_int_equal(one.st_ino, two.st_ino);
	assert_int_equal(one.st_size, strlen("contents of both"));
	free(x);
	free(y);

	volumekit_put(K.target, "extra", "stays, nobody asked for the root");
	volumekit_put(K.target, "b/in/extra", "goes");
	assert_int_equal(volumekit_restore_with(
			     &(struct tree_options){.path = paths, .paths = 2, .delta = true}),
			 0);
	assert_true(volumekit_has(K.target, "extra"));
	assert_false(volumekit_has(K.target, "b/in/extra"));
	assert_int_equal(volumekit_restore_with(&(struct tree_options){
		.path = (const char *const[]){ "b/nowhere" }, .paths = 1, .delta = true }), -1);
	assert_int_equal(K.e.kind, ERR_NOTFOUND);
	assert_int_equal(volumekit_restore_with(&(struct tree_options){
		.path = (const char *const[]){ "../x" }, .paths = 1, .delta = true }), -1);
	assert_int_equal(K.e.kind, ERR_USAGE);
}

static void
a_delta_goes_through_no_link_and_leaves_what_is_outside(void **state)
{
	char *outside = scratch_path(K.top, "outside");

	(void)state;
	assert_int_equal(volumekit_sh("mkdir %s/d", K.volume), 0);
	volumekit_put(K.volume, "d/f", "inside");
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	assert_int_equal(mkdir(outside, 0700), 0);
	volumekit_put(outside, "f", "precious");
	volumekit_put(outside, "g", "precious");
	assert_int_equal(mkdir(K.target, 0700), 0);
	assert_int_equal(volumekit_sh("ln -s %s %s/d", outside, K.target), 0);
	assert_int_equal(volumekit_sh("ln -s %s %s/extra", outside, K.target), 0);
	volumekit_restore(true);
	volumekit_same(K.volume, K.target);
	assert_true(volumekit_has(outside, "f") && volumekit_has(outside, "g"));
	free(outside);
}

static void
a_delta_takes_nothing_for_the_same_that_only_looks_alike(void **state)
{
	char *outside = scratch_path(K.top, "outside");
	const bool root = geteuid() == 0;

	(void)state;
	assert_int_equal(volumekit_sh("ln -s to-one %s/link", K.volume), 0);
	volumekit_put(K.volume, "file", "inside");
	if (root) /* who else makes devices? */
		assert_int_equal(volumekit_sh("mknod %s/node c 1 3", K.volume), 0);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	assert_int_equal(mkdir(outside, 0700), 0);
	volumekit_put(outside, "f", "precious");
	assert_int_equal(mkdir(K.target, 0700), 0);
	assert_int_equal(volumekit_sh("ln -s to-two %s/link", K.target), 0);
	if (root)
		assert_int_equal(volumekit_sh("mknod %s/node c 1 5", K.target), 0);
	/* A further name of what is outside: to write to it would write there. */
	assert_int_equal(volumekit_sh("ln %s/f %s/file", outside, K.target), 0);
	volumekit_restore(true);
	volumekit_same(K.volume, K.target);
	assert_int_equal(volumekit_sh("grep -qx precious %s/f", outside), 0);
	free(outside);
}

/* rwx for a stranger, by the raw form that Linux keeps. */
static void
what_the_target_hands_down_does_not_come_into_the_tree(void **state)
{
	static const uint8_t acl[] = { 2, 0, 0, 0,
		1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 0x67, 0x12, 0, 0,
		4, 0, 5, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255,
		32, 0, 0, 0, 255, 255, 255, 255 };

	(void)state;
	assert_int_equal(volumekit_sh("mkdir %s/d", K.volume), 0);
	volumekit_put(K.volume, "d/f", "mine");
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	assert_int_equal(mkdir(K.target, 0700), 0);
	if (setxattr(K.target, "system.posix_acl_default", acl, sizeof(acl), 0) == -1) {
		print_message("the file system keeps no ACLs\n");
		skip();
	}
	volumekit_restore(false);
	volumekit_same(K.volume, K.target);
}

/* ---- durable ---- */

static unsigned syncs;
static int sync_error;
static bool all_was_there; /* when it was synced */

int __real_syncfs(int fd);
int __wrap_syncfs(int fd);

int
__wrap_syncfs(int fd)
{
	char *path = scratch_path(K.target, "d");
	struct stat st;

	syncs++;
	all_was_there = stat(path, &st) == 0 && st.st_mtim.tv_sec == 1000 && volumekit_has(path, "f");
	free(path);
	errno = sync_error;
	return sync_error ? -1 : __real_syncfs(fd);
}

static void
nothing_is_called_restored_before_all_of_it_is_synced(void **state)
{
	(void)state;
	assert_int_equal(volumekit_sh("mkdir %s/d", K.volume), 0);
	volumekit_put(K.volume, "d/f", "mine");
	assert_int_equal(volumekit_sh("touch -d @1000 %s/d", K.volume), 0);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	K.sync = true;
	syncs = 0;
	sync_error = EIO;
	assert_int_equal(volumekit_restore_with(&(struct tree_options){ 0 }), -1);
	assert_int_equal(K.e.kind, ERR_IO);
	assert_int_equal(syncs, 1);
	assert_true(all_was_there);
	sync_error = 0;
	assert_int_equal(volumekit_restore_with(&(struct tree_options){ .delta = true }), 0);
	assert_int_equal(syncs, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(random_trees_come_back_as_they_were),
		TEST(a_delta_makes_any_tree_the_snapshot),
		TEST(a_delta_fetches_only_what_differs),
		TEST(a_stopped_restore_is_completed_by_a_delta),
		TEST(a_full_directory_is_refused_and_the_message_tells_the_way_out),
		TEST(the_target_is_marked_and_the_mark_is_not_captured),
		TEST(paths_restore_a_part_with_its_hard_links),
		TEST(a_delta_goes_through_no_link_and_leaves_what_is_outside),
		TEST(a_delta_takes_nothing_for_the_same_that_only_looks_alike),
		TEST(what_the_target_hands_down_does_not_come_into_the_tree),
		TEST(nothing_is_called_restored_before_all_of_it_is_synced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
