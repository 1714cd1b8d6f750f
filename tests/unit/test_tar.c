/* Export: a tar that the usual programs unpack to the same tree. */
#include "tests/lib/vector.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "source/tar.h"
#include "tests/lib/scratch.h"
#include "tests/lib/treecmp.h"
#include "tests/lib/treegen.h"
#include "tests/lib/volumekit.h"

#define K volumekit

#define TEST(f) cmocka_unit_test_setup_teardown(f, volumekit_begin, volumekit_end)

static void
tar_progress(void *arg, uint64_t done)
{
	(void)arg;
	(void)done;
}

static void
export_to(const char *file, const struct tar_options *how, struct tar_report *report)
{
	struct tar_options o = *how;
	struct reader *r;

	o.fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	o.warn = volumekit_warn;
	o.stop = volumekit_stop;
	o.progress = tar_progress;
	assert_int_equal(reader_open(K.repo, &K.tier, K.last, &r, &K.e), 0);
	if (tar_export(r, &o, report, &K.e) == -1)
		fail_msg("%s", K.e.text);
	reader_free(r);
	close(o.fd);
}

static void
gnu_tar_and_bsdtar_unpack_what_was_exported(void **state)
{
	char *file = scratch_path(K.top, "x.tar"), why[2000];
	struct tar_report report;

	(void)state;
	if (geteuid() != 0) {
		print_message("needs root to unpack owners\n");
		skip();
	}
	treegen_make(K.volume, &(struct treegen){ .seed = 31, .entries = 200, .plain = true });
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	export_to(file, &(struct tar_options){ 0 }, &report);
	assert_int_equal(report.warnings, 0);
	assert_int_equal(mkdir(K.target, 0700), 0);
	assert_int_equal(
	    volumekit_sh("tar -xpf %s --numeric-owner -C %s 2>/dev/null", file, K.target), 0);
	if (treecmp(K.volume, K.target, 0, why, sizeof(why)) != 0)
		fail_msg("GNU tar: %s", why);
	assert_int_equal(file_remove_tree(AT_FDCWD, K.target, &K.e), 0);
	if (volumekit_sh("command -v bsdtar >/dev/null") == 0) {
		assert_int_equal(mkdir(K.target, 0700), 0);
		assert_int_equal(
		    volumekit_sh("bsdtar -xpf %s --numeric-owner -C %s", file, K.target), 0);
		if (treecmp(K.volume, K.target, TREECMP_NO_ROOT, why, sizeof(why)) != 0)
			fail_msg("bsdtar: %s", why);
	}
	free(file);
}

static bool
has_xattr(struct archive_entry *entry, const char *name, const char *value)
{
	const char *is;
	const void *bytes;
	size_t n;

	archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &is, &bytes, &n) == ARCHIVE_OK)
		if (strcmp(is, name) == 0)
			return !value || (n == strlen(value) && memcmp(bytes, value, n) == 0);
	return false;
}

static void
the_exported_acls_and_attributes_are_those_of_the_files(void **state)
{
	char *file = scratch_path(K.top, "x.tar"), *there = scratch_path(K.volume, "d");
	/* Owner rwx, user 1234 r--, group r-x, mask rwx, others nothing. */
	static const uint8_t acl[] = {2,   0,	0,   0,	  1,   0,    7,	 0,   255, 255, 255,
				      255, 2,	0,   4,	  0,   0xd2, 4,	 0,   0,   4,	0,
				      5,   0,	255, 255, 255, 255,  16, 0,   7,   0,	255,
				      255, 255, 255, 32,  0,   0,    0,	 255, 255, 255, 255};
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	struct tar_report report;
	char *text;
	bool found = false;

	(void)state;
	assert_int_equal(mkdir(there, 0750), 0);
	if (setxattr(there, "system.posix_acl_access", acl, sizeof(acl), 0) == -1) {
		print_message("the file system keeps no ACLs\n");
		skip();
	}
	assert_int_equal(setxattr(there, "user.color", "red", 3, 0), 0);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	export_to(file, &(struct tar_options){ 0 }, &report);
	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_filename(a, file, 10240), ARCHIVE_OK);
	while (archive_read_next_header(a, &entry) == ARCHIVE_OK) {
		if (strncmp(archive_entry_pathname(entry), "d", 1) != 0)
			continue;
		found = true;
		text = archive_entry_acl_to_text(entry, NULL, ARCHIVE_ENTRY_ACL_STYLE_EXTRA_ID |
		    ARCHIVE_ENTRY_ACL_TYPE_ACCESS | ARCHIVE_ENTRY_ACL_STYLE_SEPARATOR_COMMA);
		assert_non_null(strstr(text, "user:1234:r--"));
		assert_non_null(strstr(text, "mask::rwx"));
		free(text);
		assert_true(has_xattr(entry, "user.color", "red"));
		assert_false(has_xattr(entry, "system.posix_acl_access", NULL));
		assert_int_equal(archive_entry_perm(entry), 0770);
	}
	assert_true(found);
	archive_read_free(a);
	free(file);
	free(there);
}

static void
a_big_hole_is_small_in_the_tar(void **state)
{
	char *file = scratch_path(K.top, "x.tar"), *path = scratch_path(K.volume, "sparse");
	struct tar_report report;
	struct stat st;
	int fd;

	(void)state;
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, 300 << 20), 0);
	assert_int_equal(pwrite(fd, "middle", 6, 100 << 20), 6);
	close(fd);
	volumekit_put(K.volume, "after", "x");
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	export_to(file, &(struct tar_options){ 0 }, &report);
	assert_int_equal(stat(file, &st), 0);
	assert_true(st.st_size < 1 << 20);
	assert_int_equal(mkdir(K.target, 0700), 0);
	assert_int_equal(volumekit_sh("tar -xpf %s -C %s", file, K.target), 0);
	volumekit_same(K.volume, K.target);
	free(file);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gnu_tar_and_bsdtar_unpack_what_was_exported),
		TEST(the_exported_acls_and_attributes_are_those_of_the_files),
		TEST(a_big_hole_is_small_in_the_tar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
