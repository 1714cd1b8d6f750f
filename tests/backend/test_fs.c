/*
 * What only the file system backend has: a root that can go away, other people's files,
 * permissions.
 */
#include "tests/lib/vector.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/store.h"
#include "storage-backends/fs.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vclock.h"

static char *dir, *url;
static struct store *store;
static struct err e;

static int
begin(void **state)
{
	struct store_options o = { 0 };

	(void)state;
	err_clear(&e);
	dir = scratch_path(scratch_dir(), "root");
	if (mkdir(dir, 0700) == -1)
		return -1;
	url = xasprintf("file://%s", dir);
	o.url = url;
	return store_open(&o, &store, &e);
}

static int
end(void **state)
{
	(void)state;
	store_close(store);
	vclock_remove();
	free(dir);
	free(url);
	return 0;
}

static void
put(const char *name)
{
	assert_int_equal(store_put(store, name, "bytes", 5, STORE_NEW, &e), 1);
}

/* A file of somebody else below the root, with the directories it needs. */
static void
litter(const char *name)
{
	char *path = scratch_path(dir, "%s", name);

	assert_int_equal(file_put(AT_FDCWD, path, "litter", 6, 0600, FILE_NEW, &e), 1);
	free(path);
}

static size_t
entries(const char *below)
{
	char *path = scratch_path(dir, "%s", below);
	DIR *d = opendir(path);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	free(path);
	return n - 2; /* . and .. */
}

static int
count_name(void *arg, const struct store_entry *entry, struct err *err)
{
	size_t *n = arg;

	(void)entry;
	(void)err;
	(*n)++;
	return 0;
}

static size_t
listed(const char *prefix)
{
	size_t n = 0;

	assert_int_equal(store_list(store, prefix, NULL, count_name, &n, &e), 0);
	return n;
}

static void
a_root_that_is_not_there_is_away_and_is_not_made(void **state)
{
	char *gone = xasprintf("%s/none", url);
	struct store_options o = { .url = gone };
	struct store *s = NULL;

	(void)state;
	assert_int_equal(store_open(&o, &s, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.text, "/none"));
	assert_non_null(strstr(e.text, "mount"));
	assert_int_equal(entries("."), 0);
	free(gone);
}

static void
opening_and_reading_make_nothing(void **state)
{
	struct store_stat st;

	(void)state;
	assert_int_equal(store_stat(store, "a/b", &st, &e), 0);
	assert_int_equal(store_del(store, "a/b", &e), 0);
	assert_int_equal(listed(""), 0);
	assert_int_equal(entries("."), 0);
}

static void
urls_that_are_no_absolute_path_are_refused(void **state)
{
	static const char *const bad[] = { "file://", "file://srv/ffdr", "file://host/srv",
		"file:///srv/%66fdr" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct store_options o = { .url = bad[i] };
		struct store *s = NULL;

		assert_int_equal(store_open(&o, &s, &e), -1);
		assert_int_equal(e.kind, ERR_CONFIG);
	}
}

static void
assert_away(int rc)
{
	assert_int_equal(rc, -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	err_clear(&e);
}

/* One try of everything: none may say that something is not there. */
static void
assert_all_away(void)
{
	struct store_stat st;
	struct buf out;
	int64_t now;
	size_t n = 0;

	buf_init(&out, 100);
	assert_away(store_fs.put(store, "a/b", "x", 1, NULL, STORE_NEW, &e));
	assert_away(store_fs.get(store, "a/c", 0, 0, &out, &e));
	assert_away(store_fs.stat(store, "a/c", &st, &e));
	assert_away(store_fs.list(store, "", NULL, count_name, &n, &e));
	assert_away(store_fs.del(store, "a/c", &e));
	assert_away(store_fs.clock(store, &now, &e));
	buf_done(&out);
}

static void
a_root_that_went_away_says_so_and_not_that_objects_are_gone(void **state)
{
	char *elsewhere = xasprintf("%s.away", dir);

	(void)state;
	put("a/b");
	assert_int_equal(rename(dir, elsewhere), 0);
	assert_all_away();
	/* An empty directory in its place is what an unmounted disk leaves. */
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_all_away();
	assert_int_equal(entries("."), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(rename(elsewhere, dir), 0);
	assert_int_equal(listed(""), 1);
	free(elsewhere);
}

static void
what_is_being_written_is_never_listed_nor_readable(void **state)
{
	struct store_stat st;

	(void)state;
	put("a");
	litter("tmp/half");
	assert_int_equal(listed(""), 1);
	assert_int_equal(listed("tmp"), 0);
	assert_int_equal(store_stat(store, "tmp/half", &st, &e), -1);
	assert_int_equal(e.kind, ERR_BUG);
}

static void
files_that_cannot_be_objects_are_not_listed(void **state)
{
	(void)state;
	put("pack/00/a");
	litter("lost+found/x");
	litter("pack/00/a file~");
	assert_int_equal(listed(""), 1);
	assert_int_equal(listed("pack"), 1);
}

/*
 * Something in the place of an object: a fifo, a socket, links to a file, to a directory, to
 * nothing.
 */
static const char *const intruders[] = { "fifo", "socket", "link", "dirlink", "dangling" };

static void
intrude(const char *what, const char *name)
{
	char *path = scratch_path(dir, "%s", name);

	if (strcmp(what, "fifo") == 0)
		assert_int_equal(mkfifo(path, 0600), 0);
	else if (strcmp(what, "socket") == 0)
		assert_int_equal(mknod(path, S_IFSOCK | 0600, 0), 0);
	else
		assert_int_equal(symlink(strcmp(what, "link") == 0 ? "plain" :
		    strcmp(what, "dirlink") == 0 ? "." : "nowhere", path), 0);
	free(path);
}

static void
assert_not_plain(int rc)
{
	assert_int_equal(rc, -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "not a plain file"));
	assert_non_null(strstr(e.text, "snap/x"));
	err_clear(&e);
}

static int
note_size(void *arg, const struct store_entry *entry, struct err *err)
{
	(void)err;
	if (strcmp(entry->name, "snap/x") == 0)
		*(int64_t *)arg = (int64_t)entry->size;
	return 0;
}

static void
what_is_no_plain_file_is_listed_but_neither_followed_nor_taken_for_an_object(void **state)
{
	struct store_stat st;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	put("snap/plain");
	for (size_t i = 0; i < ARRAY_LEN(intruders); i++) {
		int64_t size = -1;

		intrude(intruders[i], "snap/x");
		assert_int_equal(listed("snap/"), 2);
		assert_int_equal(store_list(store, "snap/x", NULL, note_size, &size, &e), 0);
		assert_int_equal(size, 0);
		assert_not_plain(store_stat(store, "snap/x", &st, &e));
		assert_not_plain(store_get(store, "snap/x", &out, &e));
		assert_not_plain(store_put(store, "snap/x", "bytes", 5, STORE_NEW, &e));
		assert_not_plain(store_put(store, "snap/x", "bytes", 5, STORE_REPLACE, &e));
		assert_int_equal(out.len, 0);
		assert_int_equal(store_del(store, "snap/x", &e), 1);
		assert_int_equal(listed("snap/"), 1);
		assert_int_equal(entries("bad/snap"), i + 1); /* not ours to destroy */
	}
	put("snap/x");
	assert_int_equal(entries("tmp"), 0);
	buf_done(&out);
}

static void
what_has_grown_beyond_an_object_is_moved_aside_and_never_lost(void **state)
{
	char *path = scratch_path(dir, "pack/00/a");
	struct buf out;

	(void)state;
	put("pack/00/a");
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, (off_t)STORE_OBJECT_MAX + 1), 0);
	buf_init(&out, STORE_OBJECT_MAX);
	assert_int_equal(store_get(store, "pack/00/a", &out, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(store_put(store, "pack/00/a", "good", 4, STORE_REPLACE, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(store_del(store, "pack/00/a", &e), 1);
	assert_int_equal(entries("bad/pack/00"), 1);
	put("pack/00/a");
	buf_done(&out);
	free(path);
}

/* In the place of the C library's: a server whose clock is an hour ahead gives new files its time. */
static bool on_a_server;

int
fstat(int fd, struct stat *st)
{
	int rc = fstatat(fd, "", st, AT_EMPTY_PATH);

	if (rc == 0 && on_a_server && S_ISREG(st->st_mode) &&
	    st->st_mtim.tv_sec < clock_real_ns() / CLOCK_S + 60)
		st->st_mtim.tv_sec += 3600;
	return rc;
}

static void
where_files_lie_on_a_server_its_clock_counts(void **state)
{
	int64_t here = clock_real_ns(), now;
	struct store_stat st;

	(void)state;
	assert_int_equal(store_clock(store, &now, &e), 0);
	assert_true(now - here >= 0 && now - here < 60 * CLOCK_S);
	store_close(store);
	assert_int_equal(store_open(&(struct store_options){ .url = url }, &store, &e), 0);
	on_a_server = true;
	assert_int_equal(store_clock(store, &now, &e), 0);
	assert_true(now - here > 3590 * CLOCK_S && now - here < 3660 * CLOCK_S);
	put("snap/x");
	on_a_server = false;
	assert_int_equal(store_stat(store, "snap/x", &st, &e), 1);
	assert_true(st.time_ns - here > 3590 * CLOCK_S && st.time_ns - here < 3660 * CLOCK_S);
	assert_int_equal(entries("tmp"), 0);
}

static void
right_below_the_root_a_link_may_lead_to_another_disk(void **state)
{
	char *other = scratch_path(dir, "../other"), *link = scratch_path(dir, "pack");

	(void)state;
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(symlink("../other", link), 0);
	put("pack/00/a");
	assert_int_equal(listed("pack/"), 1);
	free(other);
	free(link);
}

static void
set_age(const char *name, int64_t ns)
{
	char *path = scratch_path(dir, "%s", name);
	int64_t then = clock_real_ns() - ns;
	struct timespec t[2] = { { .tv_sec = then / CLOCK_S }, { .tv_sec = then / CLOCK_S } };

	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
	free(path);
}

static void
the_first_put_removes_what_dead_writers_left_and_nothing_younger(void **state)
{
	(void)state;
	litter("tmp/0123456789abcdef01234567");
	litter("tmp/0123456789abcdef01234568");
	set_age("tmp/0123456789abcdef01234567", 8 * 24 * 3600 * CLOCK_S);
	set_age("tmp/0123456789abcdef01234568", 6 * 24 * 3600 * CLOCK_S);
	assert_int_equal(listed(""), 0);
	assert_int_equal(entries("tmp"), 2);
	put("a");
	assert_int_equal(entries("tmp"), 1);
	put("b");
	assert_int_equal(entries("tmp"), 1);
}

static void
what_others_keep_in_tmp_stays_and_a_link_there_is_refused(void **state)
{
	char *tmp = scratch_path(dir, "tmp"), *elsewhere = scratch_path(dir, "elsewhere");

	(void)state;
	litter("tmp/thesis.tex");
	set_age("tmp/thesis.tex", 40 * 24 * 3600 * CLOCK_S);
	put("a");
	assert_int_equal(entries("tmp"), 1);
	store_close(store);
	assert_int_equal(rename(tmp, elsewhere), 0);
	litter("elsewhere/0123456789abcdef01234567");
	set_age("elsewhere/0123456789abcdef01234567", 40 * 24 * 3600 * CLOCK_S);
	assert_int_equal(symlink(elsewhere, tmp), 0);
	assert_int_equal(store_open(&(struct store_options){ .url = url }, &store, &e), 0);
	assert_int_equal(store_put(store, "b", "x", 1, STORE_NEW, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_int_equal(entries("elsewhere"), 2);
	free(tmp);
	free(elsewhere);
}

/* An empty listing would make garbage of everything. */
static void
a_link_below_the_root_that_leads_nowhere_is_no_empty_listing(void **state)
{
	char *snap = scratch_path(dir, "snap");
	size_t n = 0;

	(void)state;
	put("pack/00/a");
	assert_int_equal(symlink("/not/mounted", snap), 0);
	assert_int_equal(listed("pack/"), 1);
	/* Without the patience of store_list(). */
	assert_int_equal(store->ops->list(store, "snap/", NULL, count_name, &n, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	free(snap);
}

static void
a_put_leaves_nothing_in_tmp_whatever_it_answers(void **state)
{
	(void)state;
	put("a/b");
	assert_int_equal(store_put(store, "a/b", "other", 5, STORE_NEW, &e), 0);
	assert_int_equal(store_put(store, "beat/x", "1", 1, STORE_REPLACE, &e), 1);
	assert_int_equal(store_put(store, "beat/x", "2", 1, STORE_REPLACE, &e), 1);
	assert_int_equal(store_put(store, "a/b/c", "x", 1, STORE_NEW, &e), -1);
	assert_int_equal(entries("tmp"), 0);
}

static mode_t
mode_of(const char *name)
{
	char *path = scratch_path(dir, "%s", name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	free(path);
	return st.st_mode & 07777;
}

static void
objects_are_read_only_and_permissions_follow_the_root(void **state)
{
	static const struct {
		mode_t root, dir, object;
	} rows[] = {
		{ 0700, 0700, 0400 },
		{ 02770, 02770, 0440 },
		{ 0755, 0755, 0444 },
	};
	mode_t mask = umask(0);
	char name[20];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct store_options o = { .url = url };

		store_close(store);
		assert_int_equal(chmod(dir, rows[i].root), 0);
		assert_int_equal(store_open(&o, &store, &e), 0);
		snprintf(name, sizeof(name), "d%zu/object", i);
		put(name);
		assert_int_equal(mode_of(name), rows[i].object);
		*strchr(name, '/') = '\0';
		assert_int_equal(mode_of(name), rows[i].dir);
	}
	umask(mask);
}

static void
times_follow_the_clock_of_the_program(void **state)
{
	int64_t then = INT64_C(1700000000) * CLOCK_S + 123456789, now;
	struct store_stat st;

	(void)state;
	vclock_install(then);
	put("a");
	vclock_pass(3600 * CLOCK_S);
	put("b");
	assert_int_equal(store_stat(store, "a", &st, &e), 1);
	assert_int_equal(st.time_ns, then);
	assert_int_equal(store_stat(store, "b", &st, &e), 1);
	assert_int_equal(st.time_ns, then + 3600 * CLOCK_S);
	assert_int_equal(store_clock(store, &now, &e), 0);
	assert_int_equal(now, st.time_ns);
}

static void
a_directory_in_the_place_of_an_object_is_told_and_goes_only_when_it_is_empty(void **state)
{
	struct store_stat st;
	struct buf out;

	(void)state;
	put("snap/x/b");
	buf_init(&out, 100);
	assert_int_equal(store_stat(store, "snap/x", &st, &e), 0);
	assert_not_plain(store_put(store, "snap/x", "x", 1, STORE_NEW, &e));
	assert_not_plain(store_put(store, "snap/x", "x", 1, STORE_REPLACE, &e));
	assert_not_plain(store_del(store, "snap/x", &e));
	assert_int_equal(listed(""), 1);
	assert_int_equal(store_del(store, "snap/x/b", &e), 1);
	assert_not_plain(store_stat(store, "snap/x", &st, &e));
	assert_not_plain(store_get(store, "snap/x", &out, &e));
	assert_not_plain(store_put(store, "snap/x", "x", 1, STORE_NEW, &e));
	assert_int_equal(store_del(store, "snap/x", &e), 0);
	put("snap/x");
	buf_done(&out);
}

static void
a_deleted_object_leaves_its_directory(void **state)
{
	(void)state;
	put("pack/00/a");
	assert_int_equal(store_del(store, "pack/00/a", &e), 1);
	assert_int_equal(entries("pack"), 1);
	assert_int_equal(listed(""), 0);
}

#define MANY 20000

struct order {
	char last[STORE_NAME_MAX + 1];
	size_t count;
};

static int
in_order(void *arg, const struct store_entry *entry, struct err *err)
{
	struct order *o = arg;

	(void)err;
	assert_true(strcmp(entry->name, o->last) > 0);
	snprintf(o->last, sizeof(o->last), "%s", entry->name);
	o->count++;
	return 0;
}

static void
many_objects_are_listed_in_order(void **state)
{
	struct order o = { 0 };
	int at;

	(void)state;
	put("pack/00/first");
	at = open(dir, O_PATH | O_DIRECTORY);
	for (unsigned i = 0; i < MANY; i++) {
		char name[40];
		int fd;

		snprintf(name, sizeof(name), "pack/00/%08x", i * 2654435761u);
		fd = openat(at, name, O_CREAT | O_EXCL | O_WRONLY, 0400);
		assert_true(fd >= 0);
		close(fd);
	}
	close(at);
	assert_int_equal(store_list(store, "pack/", NULL, in_order, &o, &e), 0);
	assert_int_equal(o.count, MANY + 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(a_root_that_is_not_there_is_away_and_is_not_made),
		TEST(opening_and_reading_make_nothing),
		TEST(urls_that_are_no_absolute_path_are_refused),
		TEST(a_root_that_went_away_says_so_and_not_that_objects_are_gone),
		TEST(what_is_being_written_is_never_listed_nor_readable),
		TEST(files_that_cannot_be_objects_are_not_listed),
		TEST(what_is_no_plain_file_is_listed_but_neither_followed_nor_taken_for_an_object),
		TEST(what_has_grown_beyond_an_object_is_moved_aside_and_never_lost),
		TEST(right_below_the_root_a_link_may_lead_to_another_disk),
		TEST(where_files_lie_on_a_server_its_clock_counts),
		TEST(the_first_put_removes_what_dead_writers_left_and_nothing_younger),
		TEST(what_others_keep_in_tmp_stays_and_a_link_there_is_refused),
		TEST(a_link_below_the_root_that_leads_nowhere_is_no_empty_listing),
		TEST(a_put_leaves_nothing_in_tmp_whatever_it_answers),
		TEST(objects_are_read_only_and_permissions_follow_the_root),
		TEST(times_follow_the_clock_of_the_program),
		TEST(a_directory_in_the_place_of_an_object_is_told_and_goes_only_when_it_is_empty),
		TEST(a_deleted_object_leaves_its_directory),
		TEST(many_objects_are_listed_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
