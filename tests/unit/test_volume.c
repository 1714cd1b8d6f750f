/* Capture: what goes into a snapshot, what it costs the second time, and a volume in use meanwhile.
 */
#include "tests/lib/vector.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "repo/snapshot.h"
#include "tests/lib/scratch.h"
#include "tests/lib/treegen.h"
#include "tests/lib/volumekit.h"

#define K volumekit

/* In the place of the C library's: a file system that fails to say which attributes there are. */
static bool no_names;

ssize_t
flistxattr(int fd, char *list, size_t size)
{
	if (no_names) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_flistxattr, fd, list, size);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, volumekit_begin, volumekit_end)

static void
a_second_run_stores_nothing(void **state)
{
	struct manifest m;

	(void)state;
	treegen_make(K.volume, &(struct treegen){ .seed = 9, .entries = 200 });
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .ret = &m }), 1);
	assert_int_equal(m.stored_new, 0);
	assert_true(m.read_bytes > 0);
	manifest_done(&m);
	volumekit_restore(false);
	volumekit_same(K.volume, K.target);
}

static void
a_rename_stores_no_contents(void **state)
{
	struct manifest m;
	char *from, *to;

	(void)state;
	volumekit_put(K.volume, "one", "some text that stays");
	from = scratch_path(K.volume, "big");
	assert_int_equal(volumekit_sh("head -c 3000000 /dev/urandom >%s", from), 0);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	to = scratch_path(K.volume, "other");
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .ret = &m }), 1);
	assert_int_equal(m.stored_new, 0);
	manifest_done(&m);
	volumekit_restore(false);
	volumekit_same(K.volume, K.target);
	free(from);
	free(to);
}

/* The parent's start is moved by a clock of ours, so that nothing has to wait. */
static int64_t ahead_ns;

static int64_t
later(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * CLOCK_S + ts.tv_nsec + ahead_ns;
}

static int64_t
boot(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * CLOCK_S + ts.tv_nsec + ahead_ns;
}

static void
no_sleep(void *arg, int64_t ns)
{
	(void)arg;
	(void)ns;
}

static void
unchanged_files_are_kept_unread_only_when_their_time_had_settled(void **state)
{
	const struct clock_source c = { .real_ns = later, .boot_ns = boot, .sleep_ns = no_sleep };
	struct stat st;
	char *path;

	(void)state;
	treegen_make(K.volume, &(struct treegen){ .seed = 11, .entries = 100 });
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	/* The files are as young as the parent: all are read. */
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .by_stat = true }), 1);
	assert_int_equal(K.seen.kept, 0);
	ahead_ns = 10 * CLOCK_S;
	clock_install(&c);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .by_stat = true }), 1);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .by_stat = true }), 1);
	assert_true(K.seen.kept > 10);
	assert_int_equal(K.seen.kept, K.seen.files);
	/* By the tier's clock the parent may have begun before they were made. */
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .by_stat = true,
	    .skew_ns = 60 * CLOCK_S }), 1);
	assert_int_equal(K.seen.kept, 0);
	/* The same size and time, other contents: ctime tells. */
	path = scratch_path(K.volume, "sly");
	volumekit_put(K.volume, "sly", "before");
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .by_stat = true }), 1);
	assert_int_equal(stat(path, &st), 0);
	volumekit_put(K.volume, "sly", "behind");
	assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[]){st.st_mtim, st.st_mtim}, 0),
			 0);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .by_stat = true }), 1);
	clock_install(NULL);
	volumekit_restore(false);
	volumekit_same(K.volume, K.target);
	free(path);
}

/* A file with an attribute, as old as all others; false: the file system keeps none. */
static bool
put_with_attribute(const struct clock_source *c)
{
	char *path = scratch_path(K.volume, "with");
	bool kept;

	ahead_ns = 10 * CLOCK_S;
	clock_install(c);
	volumekit_put(K.volume, "with", "contents");
	kept = setxattr(path, "user.acl", "important", 9, 0) == 0;
	free(path);
	if (!kept)
		print_message("the file system of the test keeps no attributes\n");
	return kept;
}

static void
attributes_that_could_not_be_read_are_read_by_the_next_run(void **state)
{
	const struct clock_source c = { .real_ns = later, .boot_ns = boot, .sleep_ns = no_sleep };

	(void)state;
	if (!put_with_attribute(&c))
		skip();
	no_names = true;
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	no_names = false;
	assert_true(K.seen.degraded > 0);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .by_stat = true }), 1);
	assert_int_equal(K.seen.kept, 0);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .by_stat = true }), 1);
	assert_int_equal(K.seen.kept, 1);
	clock_install(NULL);
	volumekit_restore(false);
	volumekit_same(K.volume, K.target);
}

static void
attributes_that_could_not_be_read_stay_in_a_restore_in_place(void **state)
{
	const struct clock_source c = { .real_ns = later, .boot_ns = boot, .sleep_ns = no_sleep };

	(void)state;
	if (!put_with_attribute(&c))
		skip();
	no_names = true;
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	no_names = false;
	clock_install(NULL);
	assert_int_equal(volumekit_sh("rm -rf %s; cp -a %s %s && echo other >%s/with", K.target,
	    K.volume, K.target, K.target), 0);
	volumekit_restore(true);
	volumekit_same(K.volume, K.target);
	assert_non_null(strstr(K.warned, "'with': some attributes could not be read"));
}

/* ---- what is in use ---- */

static struct {
	char *path;
	bool rewrite;
	int looks;
} meddle;

static bool
meddling_stop(void *arg)
{
	(void)arg;
	if (meddle.path && meddle.rewrite && meddle.looks++ < 1)
		return false; /* not before it is open */
	if (meddle.path && meddle.rewrite)
		volumekit_put(K.volume, "z-long", "more than it was");
	else if (meddle.path)
		unlink(meddle.path);
	return false;
}

static void
a_file_that_vanishes_is_left_out_with_a_warning(void **state)
{
	(void)state;
	volumekit_put(K.volume, "a", "stays");
	volumekit_put(K.volume, "z", "goes");
	meddle.path = scratch_path(K.volume, "z");
	meddle.rewrite = false;
	/* The root is listed before the first look at the outside. */
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .stop = meddling_stop }), 1);
	assert_int_equal(K.seen.vanished, 1);
	assert_int_equal(K.seen.degraded, 0);
	assert_non_null(strstr(K.warned, "'z' vanished"));
	volumekit_restore(false);
	assert_false(volumekit_has(K.target, "z"));
	assert_true(volumekit_has(K.target, "a"));
	free(meddle.path);
	meddle.path = NULL;
}

static void
a_file_that_changes_while_it_is_read_is_noted_and_read_again(void **state)
{
	char *path;

	(void)state;
	/* Long enough for a look at the outside in the middle of it, which then changes it. */
	meddle.path = path = scratch_path(K.volume, "z-long");
	meddle.rewrite = true;
	assert_int_equal(volumekit_sh("head -c 40000000 /dev/zero | tr '\\0' x >%s", path), 0);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .stop = meddling_stop }), 1);
	meddle.path = NULL;
	assert_int_equal(K.seen.changed, 1);
	assert_non_null(strstr(K.warned, "shrank"));
	volumekit_restore(false);
	assert_true(volumekit_has(K.target, "z-long"));
	free(path);
}

/* In the middle of the file: it grows (rewrite), or only its ctime tells of something. */
static bool
touching_stop(void *arg)
{
	int fd;

	(void)arg;
	if (meddle.looks++ != 1)
		return false;
	fd = open(meddle.path, O_WRONLY | O_APPEND);
	if (meddle.rewrite)
		assert_int_equal(write(fd, "more", 4), 4);
	else
		assert_int_equal(fchmod(fd, 0640), 0);
	close(fd);
	return false;
}

static void
of_a_file_that_grows_while_it_is_read_the_first_size_is_kept(void **state)
{
	const struct volumekit_how how = { .stop = touching_stop };
	char *path = scratch_path(K.volume, "z-long");
	struct stat st;

	(void)state;
	meddle.path = path;
	assert_int_equal(volumekit_sh("head -c 40000000 /dev/zero | tr '\\0' x >%s", path), 0);
	for (int grows = 0; grows < 2; grows++) {
		meddle.rewrite = grows == 1;
		meddle.looks = 0;
		K.warned[0] = '\0';
		assert_int_equal(volumekit_backup(&how), 1);
		assert_int_equal(K.seen.changed, 1);
		assert_non_null(strstr(K.warned, grows ? "it grew" : "its time changed"));
	}
	free(path);
	meddle.path = NULL;
	volumekit_restore(false);
	path = scratch_path(K.target, "z-long");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 40000000);
	free(path);
}

static void
what_cannot_be_read_is_listed_without_contents_and_the_run_degraded(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	if (geteuid() != 0) {
		print_message("needs root to become another user\n");
		skip();
	}
	volumekit_put(K.volume, "a", "open");
	volumekit_put(K.volume, "closed", "secret");
	assert_int_equal(volumekit_sh("mkdir %s/shut && touch %s/shut/x", K.volume, K.volume), 0);
	assert_int_equal(volumekit_sh("chmod 0 %s/shut %s/closed", K.volume, K.volume), 0);
	assert_int_equal(volumekit_sh("chmod 755 %s && chmod -R a+rwX %s/tier", K.top, K.top), 0);
	pid = fork();
	if (pid == 0) {
		if (setuid(12345) == -1 || volumekit_backup(&(struct volumekit_how){ 0 }) != 1)
			_exit(1);
		_exit(K.seen.unreadable == 2 && K.seen.degraded == 2 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	{
		struct snapshot_list l = { 0 };

		assert_int_equal(snapshot_list(K.tier.store, VOLUMEKIT_SOURCE, &l, &K.e), 0);
		memcpy(K.last, snapshot_newest(&l, VOLUMEKIT_SOURCE)->name, sizeof(K.last));
		snapshot_list_done(&l);
	}
	volumekit_restore(false);
	assert_int_equal(K.made.missing, 2); /* the file, and what is in the directory */
	assert_true(volumekit_has(K.target, "a"));
	assert_true(volumekit_has(K.target, "shut"));
	assert_false(volumekit_has(K.target, "closed"));
	assert_non_null(strstr(K.warned, "not restored"));
}

/* Disks of today have no such file, memory has. */
static int
begin_in_memory(void **state)
{
	const char *was = getenv("TMPDIR");
	char *old = was ? xstrdup(was) : NULL;
	int rc;

	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	rc = volumekit_begin(state);
	if (old)
		setenv("TMPDIR", old, 1);
	else
		unsetenv("TMPDIR");
	free(old);
	return rc;
}

static void
a_file_larger_than_a_list_can_say_is_one_unreadable_file(void **state)
{
	char *large = scratch_path(K.volume, "large");
	int fd = open(large, O_RDWR | O_CREAT, 0600);

	(void)state;
	volumekit_put(K.volume, "before", "b");
	volumekit_put(K.volume, "other", "o");
	if (ftruncate(fd, (off_t)(LIST_FILE_MAX + 1)) == -1) {
		print_message("the file system has no file of 64 TiB\n");
		skip();
	}
	close(fd);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	assert_int_equal(K.seen.unreadable, 1);
	assert_int_equal(K.seen.degraded, 1);
	assert_non_null(strstr(K.warned, "'large' could not be read: File too large"));
	/* The next run meets it again, and compares by its time. */
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .by_stat = true }), 1);
	assert_int_equal(K.seen.unreadable, 1);
	volumekit_restore(false);
	assert_int_equal(K.made.missing, 1);
	assert_true(volumekit_has(K.target, "before"));
	assert_true(volumekit_has(K.target, "other"));
	assert_false(volumekit_has(K.target, "large"));
	free(large);
}

/* Each GiB with data has a map, and each map takes some forty bytes of the line. */
static void
of_a_file_whose_line_would_not_fit_the_beginning_is_had(void **state)
{
	(void)state;
	volumekit_put(K.volume, "other", "o");
	assert_int_equal(volumekit_sh("cd %s && for i in $(seq 0 39); do dd if=/dev/urandom of=long "
	    "bs=1M count=1 seek=$((i * 1024)) conv=notrunc status=none; done", K.volume), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(volumekit_backup(&(struct volumekit_how){ .line_max = 1000 }), 1);
		assert_int_equal(K.seen.unreadable, 1);
		assert_int_equal(K.seen.degraded, 1);
		assert_non_null(strstr(K.warned, "'long' could not be read: File too large"));
	}
	volumekit_restore(false);
	assert_int_equal(K.made.missing, 0); /* its beginning is there */
	assert_true(volumekit_has(K.target, "other"));
	assert_int_equal(volumekit_sh("cd %s && n=$(stat -c %%s long) && [ $n -gt 8600000000 ] && "
	    "[ $n -lt 40000000000 ] && cmp -i 8589934592 -n 1048576 long %s/long", K.target,
	    K.volume), 0);
	/* With a line that fits all of it is there. */
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .line_max = 10000 }), 1);
	assert_int_equal(K.seen.unreadable, 0);
}

static void
attributes_that_no_line_holds_are_left_out_with_a_warning(void **state)
{
	char *path = scratch_path(K.volume, "loaded");
	static char value[60000];
	char name[32];

	(void)state;
	volumekit_put(K.volume, "loaded", "contents");
	memset(value, 'v', sizeof(value));
	for (int i = 0; i < 70; i++) {
		snprintf(name, sizeof(name), "user.n%02d", i);
		if (setxattr(path, name, value, sizeof(value), 0) == -1) {
			print_message("the file system has no room for 4 MB of attributes\n");
			free(path);
			skip();
		}
	}
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), 1);
	assert_int_equal(K.seen.degraded, 1);
	assert_non_null(strstr(K.warned, "'loaded' loses some attributes: 26 of 70 fit"));
	volumekit_restore(false);
	free(path);
	path = scratch_path(K.target, "loaded");
	assert_int_equal(getxattr(path, "user.n25", value, sizeof(value)), sizeof(value));
	assert_int_equal(getxattr(path, "user.n26", value, sizeof(value)), -1);
	free(path);
}

/* The second look at the outside finds that a day has nearly gone by. */
static bool
late_stop(void *arg)
{
	static int looks;

	(void)arg;
	if (looks++ == 1)
		ahead_ns += 235 * CLOCK_S / 10;
	return false;
}

static void
a_late_run_ends_as_a_partial_that_the_next_completes(void **state)
{
	const struct clock_source c = { .real_ns = later, .boot_ns = boot, .sleep_ns = no_sleep };
	struct manifest m;

	(void)state;
	assert_int_equal(volumekit_sh("cd %s && for i in $(seq 600); do echo $i >f$i; done", K.volume), 0);
	clock_install(&c);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){
		.stop = late_stop, .longest_ns = 24 * CLOCK_S, .ret = &m }), 0);
	assert_true(m.partial);
	assert_true(m.entries > 100 && m.entries < 500);
	manifest_done(&m);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .ret = &m }), 1);
	clock_install(NULL);
	assert_false(m.partial);
	assert_int_equal(m.files, 600);
	manifest_done(&m);
	volumekit_restore(false);
	volumekit_same(K.volume, K.target);
}

static void
a_stopped_run_leaves_no_snapshot(void **state)
{
	struct snapshot_list l = { 0 };

	(void)state;
	treegen_make(K.volume, &(struct treegen){ .seed = 21, .entries = 30 });
	K.stop_after = 1;
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ 0 }), -1);
	assert_int_equal(K.e.kind, ERR_CANCELLED);
	assert_int_equal(snapshot_list(K.tier.store, NULL, &l, &K.e), 0);
	assert_int_equal(l.count, 0);
	snapshot_list_done(&l);
}

static void
excluded_names_are_not_in_the_snapshot(void **state)
{
	static const char *const exclude[] = { "*.tmp", "cache/", "/top" };

	(void)state;
	assert_int_equal(volumekit_sh("mkdir -p %s/d/cache/x %s/d/top", K.volume, K.volume), 0);
	volumekit_put(K.volume, "a.tmp", "");
	volumekit_put(K.volume, "d/b.tmp", "");
	volumekit_put(K.volume, "d/cache/y", "");
	volumekit_put(K.volume, "top", "");
	volumekit_put(K.volume, "d/kept", "");
	assert_int_equal(
	    volumekit_backup(&(struct volumekit_how){.exclude = exclude, .excludes = 3}), 1);
	volumekit_restore(false);
	assert_false(volumekit_has(K.target, "a.tmp"));
	assert_false(volumekit_has(K.target, "d/b.tmp"));
	assert_false(volumekit_has(K.target, "d/cache"));
	assert_false(volumekit_has(K.target, "top"));
	assert_true(volumekit_has(K.target, "d/top"));
	assert_true(volumekit_has(K.target, "d/kept"));
}

static void
hooks_run_around_the_capture_and_after_also_when_it_failed(void **state)
{
	char *log = scratch_path(K.top, "log"), *before, *after;
	struct buf text;

	(void)state;
	before = xasprintf("echo before $FFDR_SOURCE >>%s; test ! -e %s/broken", log, K.top);
	after = xasprintf("echo after $FFDR_RESULT $FFDR_PATH >>%s", log);
	assert_int_equal(
	    volumekit_backup(&(struct volumekit_how){.before = before, .after = after}), 1);
	volumekit_put(K.top, "broken", "");
	assert_int_equal(
	    volumekit_backup(&(struct volumekit_how){.before = before, .after = after}), -1);
	assert_int_equal(volumekit_backup(&(struct volumekit_how){ .after = "exit 3" }), 1);
	assert_int_equal(K.seen.degraded, 1);
	buf_init(&text, 10000);
	assert_int_equal(file_get(AT_FDCWD, log, &text, &K.e), 0);
	free(before);
	before = xasprintf("before " VOLUMEKIT_SOURCE "\nafter done %s\nbefore " VOLUMEKIT_SOURCE
			   "\nafter failed %s\n",
			   K.volume, K.volume);
	assert_string_equal(buf_str(&text), before);
	buf_done(&text);
	free(log);
	free(before);
	free(after);
}

static void
reading_everything_is_due_after_a_week_or_when_asked(void **state)
{
	const int64_t day = INT64_C(86400) * CLOCK_S, now = 1000 * day;

	(void)state;
	assert_false(volume_reads_all(now - 6 * day, now, true, false));
	assert_true(volume_reads_all(now - 7 * day, now, true, false));
	assert_true(volume_reads_all(now - day, now, false, false));
	assert_true(volume_reads_all(now - day, now, true, true));
	assert_true(volume_reads_all(0, now, true, false));
	assert_true(volume_reads_all(now + day, now, true, false));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_second_run_stores_nothing),
		TEST(a_rename_stores_no_contents),
		TEST(unchanged_files_are_kept_unread_only_when_their_time_had_settled),
		TEST(attributes_that_could_not_be_read_are_read_by_the_next_run),
		TEST(attributes_that_could_not_be_read_stay_in_a_restore_in_place),
		TEST(a_file_that_vanishes_is_left_out_with_a_warning),
		TEST(a_file_that_changes_while_it_is_read_is_noted_and_read_again),
		TEST(of_a_file_that_grows_while_it_is_read_the_first_size_is_kept),
		TEST(what_cannot_be_read_is_listed_without_contents_and_the_run_degraded),
		cmocka_unit_test_setup_teardown(
		    of_a_file_whose_line_would_not_fit_the_beginning_is_had,
		    volumekit_begin, volumekit_end),
		cmocka_unit_test_setup_teardown(
		    attributes_that_no_line_holds_are_left_out_with_a_warning,
		    begin_in_memory, volumekit_end),
		cmocka_unit_test_setup_teardown(a_file_larger_than_a_list_can_say_is_one_unreadable_file,
		    begin_in_memory, volumekit_end),
		TEST(a_late_run_ends_as_a_partial_that_the_next_completes),
		TEST(a_stopped_run_leaves_no_snapshot),
		TEST(excluded_names_are_not_in_the_snapshot),
		TEST(hooks_run_around_the_capture_and_after_also_when_it_failed),
		cmocka_unit_test(reading_everything_is_due_after_a_week_or_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
