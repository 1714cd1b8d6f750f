/* What an entry is beside its contents: read, and put back. */
#include "tests/lib/vector.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "source/attr.h"
#include "tests/lib/scratch.h"

static struct err e;
static const uint8_t acl[] = {2, 0,    0,   0,	 1,   0,   7,  0, 255, 255, 255, 255, 2,   0,  4,
			      0, 0xd2, 4,   0,	 0,   4,   0,  5, 0,   255, 255, 255, 255, 16, 0,
			      7, 0,    255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255};

static int
make(const char *dir, const char *name)
{
	char *path = scratch_path(dir, "%s", name);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	free(path);
	return fd;
}

static const struct entry_xattr *
find(const struct entry *en, const char *name)
{
	for (size_t i = 0; i < en->xattrs; i++)
		if (strcmp(en->xattr[i].name, name) == 0)
			return &en->xattr[i];
	return NULL;
}

static void
acls_and_attributes_are_read_raw_and_each_once(void **state)
{
	const char *dir = scratch_dir();
	struct attr *a = attr_new();
	int fd = make(dir, "f");
	const struct entry_xattr *x;
	struct entry en;
	struct stat st;

	(void)state;
	if (fsetxattr(fd, "system.posix_acl_access", acl, sizeof(acl), 0) == -1 ||
	    fsetxattr(fd, "user.b", "\0\1", 2, 0) == -1) {
		print_message("the file system keeps no ACLs or user attributes\n");
		skip();
	}
	assert_int_equal(fsetxattr(fd, "user.a", "", 0, 0), 0);
	assert_int_equal(fsetxattr(fd, ATTR_RESTORED, "vol.x", 5, 0), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(
	    attr_read(a, &(struct attr_place){.dirfd = -1, .name = "", .fd = fd}, &st, &en, &e), 0);
	assert_int_equal(en.xattrs, 3);
	x = find(&en, "system.posix_acl_access");
	assert_non_null(x);
	assert_int_equal(x->len, sizeof(acl));
	assert_memory_equal(x->value, acl, sizeof(acl));
	x = find(&en, "user.b");
	assert_int_equal(x->len, 2);
	assert_memory_equal(x->value, "\0\1", 2);
	assert_int_equal(find(&en, "user.a")->len, 0);
	attr_free(a);
	close(fd);
}

static void
a_link_has_its_target_and_what_cannot_be_opened_its_attributes(void **state)
{
	const char *dir = scratch_dir();
	struct attr *a = attr_new();
	int d = open(dir, O_RDONLY | O_DIRECTORY);
	struct attr_place at = { .dirfd = d, .name = "l", .fd = -1 };
	struct entry en;
	struct stat st;

	(void)state;
	assert_int_equal(symlinkat("to \xff nowhere", d, "l"), 0);
	assert_int_equal(fstatat(d, "l", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(attr_read(a, &at, &st, &en, &e), 0);
	assert_int_equal(en.type, ENTRY_SYMLINK);
	assert_int_equal(en.targetlen, strlen("to \xff nowhere"));
	assert_memory_equal(en.target, "to \xff nowhere", en.targetlen);
	/* A target as long as Linux has them. */
	{
		char longest[4096];

		memset(longest, 'x', 4095);
		longest[4095] = 0;
		assert_int_equal(symlinkat(longest, d, "m"), 0);
		at.name = "m";
		assert_int_equal(fstatat(d, "m", &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(attr_read(a, &at, &st, &en, &e), 0);
		assert_int_equal(en.targetlen, 4095);
	}
	attr_free(a);
	close(d);
}

static void
applying_gives_exactly_the_attributes_and_takes_the_others_away(void **state)
{
	const char *dir = scratch_dir();
	int fd = make(dir, "f");
	struct entry_xattr x[] = {{.name = "user.keep", .value = (const uint8_t *)"v", .len = 1}};
	struct entry en = {
		.type = ENTRY_FILE, .mode = 0641, .uid = geteuid(), .gid = getegid(),
		.mtime_s = -5, .mtime_ns = 123456789, .xattr = x, .xattrs = 1,
	};
	struct attr_set set = { 0 };
	struct stat st;
	char value[10];

	(void)state;
	if (fsetxattr(fd, "user.gone", "x", 1, 0) == -1) {
		print_message("the file system keeps no user attributes\n");
		skip();
	}
	fsetxattr(fd, "system.posix_acl_access", acl, sizeof(acl), 0);
	assert_int_equal(attr_apply(&(struct attr_place){.dirfd = -1, .fd = fd}, &en, &set, &e), 0);
	assert_int_equal(set.denied, 0);
	assert_int_equal(fgetxattr(fd, "user.gone", value, sizeof(value)), -1);
	assert_int_equal(fgetxattr(fd, "system.posix_acl_access", value, sizeof(value)), -1);
	assert_int_equal(fgetxattr(fd, "user.keep", value, sizeof(value)), 1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0641);
	assert_int_equal(st.st_mtim.tv_sec, -5);
	assert_int_equal(st.st_mtim.tv_nsec, 123456789);
	close(fd);
}

static void
set_id_bits_are_left_out_where_the_owner_could_not_be_set(void **state)
{
	const char *dir = scratch_dir();
	struct entry en = { .type = ENTRY_FILE, .mode = 06755, .uid = 4242, .gid = 4242 };
	struct attr_set set = { .fresh = true };
	struct stat st;
	int status, fd;
	pid_t pid;

	(void)state;
	assert_int_equal(chmod(dir, 0777), 0);
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(12345) == -1 || setuid(12345) == -1))
			_exit(1);
		fd = make(dir, "f");
		if (attr_apply(&(struct attr_place){.dirfd = -1, .fd = fd}, &en, &set, &e) == -1 ||
		    fstat(fd, &st) == -1)
			_exit(2);
		_exit(set.denied == ATTR_OWNER && (st.st_mode & 07777) == 0755 ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
capabilities_survive_the_change_of_owner(void **state)
{
	static const uint8_t cap[20] = { 1, 0, 0, 2, 0, 0x20 };
	const char *dir = scratch_dir();
	struct entry_xattr x[] = {
	    {.name = "security.capability", .value = cap, .len = sizeof(cap)}};
	struct entry en = {
	    .type = ENTRY_FILE,
	    .mode = 04755,
	    .uid = 4242,
	    .gid = 4243,
	    .xattr = x,
	    .xattrs = 1,
	};
	struct attr_set set = { .fresh = true };
	uint8_t value[30];
	struct stat st;
	int fd;

	(void)state;
	if (geteuid() != 0) {
		print_message("needs root to give files away\n");
		skip();
	}
	fd = make(dir, "f");
	assert_int_equal(attr_apply(&(struct attr_place){.dirfd = -1, .fd = fd}, &en, &set, &e), 0);
	assert_int_equal(fgetxattr(fd, "security.capability", value, sizeof(value)), sizeof(cap));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_uid, 4242);
	assert_int_equal(st.st_mode & 07777, 04755);
	close(fd);
}

static void
a_link_gets_its_own_time_and_owner_and_its_target_none(void **state)
{
	const char *dir = scratch_dir();
	int fd = make(dir, "f"), d = open(dir, O_RDONLY | O_DIRECTORY);
	struct entry en = {
	    .type = ENTRY_SYMLINK,
	    .mode = 0777,
	    .uid = geteuid(),
	    .gid = getegid(),
	    .mtime_s = 1000,
	};
	struct attr_set set = { .fresh = true };
	struct stat st;

	(void)state;
	if (geteuid() == 0) /* only root gives away */
		en.uid = en.gid = 4711;
	assert_int_equal(symlinkat("f", d, "l"), 0);
	assert_int_equal(
	    attr_apply(&(struct attr_place){.dirfd = d, .name = "l", .fd = -1}, &en, &set, &e), 0);
	assert_int_equal(fstatat(d, "l", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1000);
	assert_int_equal(st.st_uid, en.uid);
	assert_int_equal(st.st_gid, en.gid);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_not_equal(st.st_mtim.tv_sec, 1000);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(st.st_mode & 0777, 0600);
	close(fd);
	close(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acls_and_attributes_are_read_raw_and_each_once),
		cmocka_unit_test(a_link_has_its_target_and_what_cannot_be_opened_its_attributes),
		cmocka_unit_test(applying_gives_exactly_the_attributes_and_takes_the_others_away),
		cmocka_unit_test(set_id_bits_are_left_out_where_the_owner_could_not_be_set),
		cmocka_unit_test(capabilities_survive_the_change_of_owner),
		cmocka_unit_test(a_link_gets_its_own_time_and_owner_and_its_target_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
