/*
 * Durable files. fsync, linkat and openat are our own here: they keep a record of what was synced
 * when, and fail where a test says so.
 */
#include "tests/lib/vector.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "tests/lib/scratch.h"

/* The order of what happened: 'f' a file was synced, 'd' a directory, 'l' a link was made. */
static char record[256];
static int fsync_error;	 /* for files; 0: none */
static bool no_nameless; /* a file system without O_TMPFILE */
static int dir;
static struct err e;

static void
note(char what)
{
	size_t n = strlen(record);

	if (n + 1 < sizeof(record)) {
		record[n] = what;
		record[n + 1] = '\0';
	}
}

int
fsync(int fd)
{
	struct stat st;

	fstat(fd, &st);
	note(S_ISDIR(st.st_mode) ? 'd' : 'f');
	if (!S_ISDIR(st.st_mode) && fsync_error) {
		errno = fsync_error;
		return -1;
	}
	return 0;
}

int
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	note('l');
	return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	note('r');
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

int
openat(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (no_nameless && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_openat, at, path, flags, mode);
}

static int
begin(void **state)
{
	char *path = scratch_path(scratch_dir(), "t%d", rand());

	(void)state;
	mkdir(path, 0700);
	dir = open(path, O_RDONLY | O_DIRECTORY);
	free(path);
	record[0] = '\0';
	fsync_error = 0;
	no_nameless = false;
	err_clear(&e);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	close(dir);
	return 0;
}

/* What path holds, as a string in a static buffer, or the error's kind. */
static const char *
content(const char *path)
{
	static char text[100];
	struct buf b;

	buf_init(&b, sizeof(text) - 1);
	if (file_get(dir, path, &b, &e) == -1)
		snprintf(text, sizeof(text), "(%s)", err_word(e.kind));
	else
		snprintf(text, sizeof(text), "%s", buf_str(&b));
	buf_done(&b);
	return text;
}

/* How many names the directory has. */
static int
names(const char *path)
{
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY), n = 0;
	DIR *d = fdopendir(fd);

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void
put(const char *path, const char *text, enum file_mode mode, int want)
{
	assert_int_equal(file_put(dir, path, text, strlen(text), 0640, mode, &e), want);
}

static void
a_new_file_is_synced_before_it_has_a_name_and_the_directory_after(void **state)
{
	struct stat st;

	(void)state;
	put("a", "bytes", FILE_NEW, 1);
	assert_string_equal(record, "fld");
	assert_string_equal(content("a"), "bytes");
	assert_int_equal(fstatat(dir, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(names("."), 1);
}

static void
a_name_that_is_taken_stays_as_it_is(void **state)
{
	(void)state;
	put("a", "first", FILE_NEW, 1);
	record[0] = '\0';
	put("a", "second", FILE_NEW, 0);
	assert_string_equal(content("a"), "first");
	/* Whoever made it may have died before its sync. */
	assert_string_equal(record, "fld");
	assert_int_equal(names("."), 1);
}

static void
without_nameless_files_the_promise_is_the_same(void **state)
{
	(void)state;
	no_nameless = true;
	put("a", "first", FILE_NEW, 1);
	assert_string_equal(record, "fld");
	put("a", "second", FILE_NEW, 0);
	assert_string_equal(content("a"), "first");
	assert_int_equal(names("."), 1);
}

static void
replacing_goes_by_rename(void **state)
{
	(void)state;
	put("a", "first", FILE_REPLACE, 1);
	put("a", "second", FILE_REPLACE, 1);
	assert_string_equal(record, "frdfrd");
	assert_string_equal(content("a"), "second");
	assert_int_equal(names("."), 1);
}

static void
a_failed_sync_is_not_tried_again_and_leaves_nothing(void **state)
{
	static const bool ways[] = { false, true };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		no_nameless = ways[i];
		fsync_error = EIO;
		record[0] = '\0';
		put("a", "bytes", FILE_NEW, -1);
		assert_int_equal(e.kind, ERR_IO);
		assert_non_null(strstr(e.text, "sync 'a'"));
		assert_string_equal(record, "f");
		assert_int_equal(names("."), 0);
	}
	fsync_error = 0;
	put("a", "old", FILE_REPLACE, 1);
	fsync_error = ENOSPC;
	record[0] = '\0';
	put("a", "new", FILE_REPLACE, -1);
	assert_int_equal(e.kind, ERR_FULL);
	assert_string_equal(record, "f");
	assert_string_equal(content("a"), "old");
	assert_int_equal(names("."), 1);
}

static void
missing_directories_are_made_and_synced_in_their_parents(void **state)
{
	struct stat st;

	(void)state;
	put("x/y/z", "deep", FILE_NEW, 1);
	/* x in ".", y in x, then the file, its link and y. */
	assert_string_equal(record, "ddfld");
	assert_string_equal(content("x/y/z"), "deep");
	assert_int_equal(fstatat(dir, "x", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	record[0] = '\0';
	assert_int_equal(file_make_dirs(dir, "x/y", 0700, &e), 0);
	assert_string_equal(record, "");
	assert_int_equal(file_make_dirs(dir, "x//y/w/", 0700, &e), 0);
	assert_int_equal(names("x/y"), 2);
}

static void
what_root_makes_belongs_to_whom_the_directory_belongs(void **state)
{
	static const char *const made[] = { "h/x", "h/x/y", "h/x/y/z", "h/lock" };
	struct stat st;
	char *path;
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdirat(dir, "h", 0700), 0);
	assert_int_equal(fchownat(dir, "h", 12345, 23456, 0), 0);
	assert_int_equal(file_put(dir, "h/x/y/z", "1", 1, 0640, FILE_NEW, &e), 1);
	assert_int_equal(file_put(dir, "h/x/y/z", "2", 1, 0640, FILE_REPLACE, &e), 1);
	path = xasprintf("/proc/self/fd/%d/h/lock", dir);
	fd = file_open_shared(path, 0660, &e);
	free(path);
	assert_int_not_equal(fd, -1);
	close(fd);
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		assert_int_equal(fstatat(dir, made[i], &st, 0), 0);
		assert_int_equal(st.st_uid, 12345);
		assert_int_equal(st.st_gid, 23456);
	}
	assert_int_equal(st.st_mode & 07777, 0660);
}

static void
a_file_in_the_way_of_a_directory_is_told(void **state)
{
	(void)state;
	put("a", "file", FILE_NEW, 1);
	assert_int_equal(file_make_dirs(dir, "a", 0700, &e), -1);
	assert_non_null(strstr(e.text, "'a'"));
	put("a/b", "x", FILE_NEW, -1);
	assert_string_equal(content("a"), "file");
}

static void
only_a_plain_file_is_read_and_no_pipe_is_waited_for(void **state)
{
	struct buf b;

	(void)state;
	put("plain", "0123456789", FILE_NEW, 1);
	assert_int_equal(mkfifoat(dir, "pipe", 0600), 0);
	assert_int_equal(mkdirat(dir, "directory", 0700), 0);
	assert_int_equal(symlinkat("plain", dir, "link"), 0);
	buf_init(&b, 100);
	for (const char *const *name = (const char *const[]){ "pipe", "directory", "/dev/zero", NULL };
	    *name; name++) {
		assert_int_equal(file_get(dir, *name, &b, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_non_null(strstr(e.text, "is not a plain file"));
	}
	assert_int_equal(file_get(dir, "link", &b, &e), 0);
	assert_string_equal(buf_str(&b), "0123456789");
	buf_done(&b);
}

static void
reading_stops_at_the_limit_and_gives_nothing_then(void **state)
{
	struct buf b;

	(void)state;
	put("a", "0123456789", FILE_NEW, 1);
	buf_init(&b, 12);
	buf_adds(&b, "..");
	assert_int_equal(file_get(dir, "a", &b, &e), 0);
	assert_string_equal(buf_str(&b), "..0123456789");
	buf_done(&b);
	buf_init(&b, 11);
	buf_adds(&b, "..");
	assert_int_equal(file_get(dir, "a", &b, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_string_equal(buf_str(&b), "..");
	buf_done(&b);
	assert_string_equal(content("nothing"), "(not-found)");
}

static void
a_range_is_whole_or_an_error(void **state)
{
	struct buf b;

	(void)state;
	put("a", "0123456789", FILE_NEW, 1);
	buf_init(&b, 100);
	assert_int_equal(file_get_range(dir, "a", 3, 4, &b, &e), 0);
	assert_string_equal(buf_str(&b), "3456");
	assert_int_equal(file_get_range(dir, "a", 8, 3, &b, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "ends at byte 10"));
	assert_int_equal(b.len, 4);
	assert_int_equal(file_get_range(dir, "a", UINT64_MAX - 1, 4, &b, &e), -1);
	assert_int_equal(file_get_range(dir, "a", 10, 0, &b, &e), 0);
	assert_int_equal(file_get_range(dir, "b", 0, 1, &b, &e), -1);
	assert_int_equal(e.kind, ERR_NOTFOUND);
	buf_done(&b);
}

static void
a_range_is_only_read_from_a_plain_file(void **state)
{
	static const char *const names[] = { "fifo", "link", "dir" };
	struct buf b;

	(void)state;
	put("a", "0123456789", FILE_NEW, 1);
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_int_equal(symlinkat("a", dir, "link"), 0);
	assert_int_equal(mkdirat(dir, "dir", 0700), 0);
	buf_init(&b, 100);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(file_get_range(dir, names[i], 0, 0, &b, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_non_null(strstr(e.text, "not a plain file"));
	}
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

static void
large_files_come_back_as_they_were(void **state)
{
	size_t n = 1000003;
	uint8_t *bytes = xmalloc(n);
	struct buf b;

	(void)state;
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 251);
	assert_int_equal(file_put(dir, "big", bytes, n, 0600, FILE_NEW, &e), 1);
	buf_init(&b, n);
	assert_int_equal(file_get(dir, "big", &b, &e), 0);
	assert_int_equal(b.len, n);
	assert_memory_equal(b.data, bytes, n);
	buf_done(&b);
	free(bytes);
}

static void
deleting_is_durable_and_says_whether_there_was_something(void **state)
{
	(void)state;
	put("x/a", "1", FILE_NEW, 1);
	record[0] = '\0';
	assert_int_equal(file_del(dir, "x/a", &e), 1);
	assert_string_equal(record, "d");
	assert_int_equal(file_del(dir, "x/a", &e), 0);
	assert_int_equal(file_del(dir, "x", &e), -1);
}

static void
a_tree_is_removed_without_following_links(void **state)
{
	(void)state;
	put("keep/me", "1", FILE_NEW, 1);
	put("tree/a/b/c", "1", FILE_NEW, 1);
	put("tree/d", "1", FILE_NEW, 1);
	assert_int_equal(symlinkat("../keep", dir, "tree/link"), 0);
	assert_int_equal(mkdirat(dir, "tree/locked", 0700), 0);
	put("tree/locked/f", "1", FILE_NEW, 1);
	assert_int_equal(fchmodat(dir, "tree/locked", 0500, 0), 0);
	assert_int_equal(file_remove_tree(dir, "tree", &e), 0);
	assert_int_equal(names("."), 1);
	assert_string_equal(content("keep/me"), "1");
	assert_int_equal(file_remove_tree(dir, "tree", &e), 0);
	assert_int_equal(symlinkat("keep", dir, "link"), 0);
	assert_int_equal(file_remove_tree(dir, "link", &e), 0);
	assert_string_equal(content("keep/me"), "1");
}

static void
short_reads_and_positions_are_filled_up(void **state)
{
	char got[20];
	int p[2], fd;

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(file_write(p[1], "abc", 3, &e), 0);
	assert_int_equal(file_write(p[1], "def", 3, &e), 0);
	close(p[1]);
	assert_int_equal(file_read(p[0], got, sizeof(got), &e), 6);
	assert_memory_equal(got, "abcdef", 6);
	close(p[0]);
	fd = openat(dir, "s", O_RDWR | O_CREAT, 0600);
	assert_int_equal(file_pwrite(fd, "xy", 2, 3, &e), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 5);
	assert_int_equal(file_pwrite(fd, "xy", 2, UINT64_MAX, &e), -1);
	close(fd);
	assert_int_equal(file_write(fd, "x", 1, &e), -1);
	assert_int_equal(e.kind, ERR_IO);
}

static void
a_crash_at_any_point_leaves_all_or_nothing(void **state)
{
#ifdef FFDR_FAULT_POINTS
	static const char *const point[] = { "file-written", "file-synced", "file-linked" };
	pid_t pid;
	int status;

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(point); i++) {
		pid = fork();
		if (pid == 0) {
			no_nameless = i >= ARRAY_LEN(point);
			/* The second passing: the first file must be made. */
			setenv("FFDR_TEST_STOP", i == 0 ? "other,file-written:2" :
			    xasprintf("%s:2", point[i % 3]), 1);
			put("first", "1", FILE_REPLACE, 1);
			put("second", "22", FILE_NEW, 1);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGKILL);
		assert_string_equal(content("first"), "1");
		assert_string_equal(content("second"), i % 3 == 2 ? "22" : "(not-found)");
		unlinkat(dir, "second", 0);
	}
#else
	(void)state;
	skip();
#endif
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(a_new_file_is_synced_before_it_has_a_name_and_the_directory_after),
		T(a_name_that_is_taken_stays_as_it_is),
		T(without_nameless_files_the_promise_is_the_same),
		T(replacing_goes_by_rename),
		T(a_failed_sync_is_not_tried_again_and_leaves_nothing),
		T(missing_directories_are_made_and_synced_in_their_parents),
		T(what_root_makes_belongs_to_whom_the_directory_belongs),
		T(a_file_in_the_way_of_a_directory_is_told),
		T(only_a_plain_file_is_read_and_no_pipe_is_waited_for),
		T(reading_stops_at_the_limit_and_gives_nothing_then),
		T(a_range_is_whole_or_an_error),
		T(a_range_is_only_read_from_a_plain_file),
		T(large_files_come_back_as_they_were),
		T(deleting_is_durable_and_says_whether_there_was_something),
		T(a_tree_is_removed_without_following_links),
		T(short_reads_and_positions_are_filled_up),
		T(a_crash_at_any_point_leaves_all_or_nothing),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
