/* The walk: order, depth, what it does not follow, and what it says of what it cannot see. */
#include "tests/lib/vector.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "repo/list.h"
#include "source/walk.h"
#include "tests/lib/scratch.h"
#include "tests/lib/treegen.h"

static struct err e;

static struct walk *
start(const char *root, const struct exclude *x, bool one)
{
	struct walk *w = NULL;

	if (walk_open(&(struct walk_options){.root = root, .exclude = x, .one_file_system = one},
		      &w, &e) == -1)
		fail_msg("%s", e.text);
	return w;
}

static void
make(const char *dir, const char *name, bool directory)
{
	char *path = scratch_path(dir, "%s", name);
	int fd = -1;

	if (directory) {
		assert_int_equal(mkdir(path, 0700), 0);
	} else {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		assert_true(fd != -1);
		close(fd);
	}
	free(path);
}

static void
what_is_ours_is_left_out_and_named(void **state)
{
	const char *dir = scratch_dir();
	const struct walk_entry *en;
	struct own own = { 0 };
	char *link = scratch_path(dir, "link"), seen[64] = "";
	struct walk *w = NULL;

	(void)state;
	make(dir, "a", true);
	make(dir, "a/tier", true);
	make(dir, "a/tier/object", false);
	make(dir, "a/z", false);
	assert_int_equal(symlink("a/tier", link), 0);
	own_add(&own, link); /* another name of it hides nothing */
	assert_int_equal(walk_open(&(struct walk_options){ .root = dir, .own = &own }, &w, &e), 0);
	assert_int_equal(walk_left(w)->count, 0);
	while (walk_next(w, &en) == 1) {
		strcat(seen, en->path);
		strcat(seen, " ");
	}
	assert_string_equal(seen, ". a a/z link ");
	assert_int_equal(walk_left(w)->count, 1);
	assert_string_equal(walk_left(w)->item[0], "a/tier");
	walk_free(w);
	own_done(&own);
	free(link);
}

static void
entries_come_in_the_order_of_the_list(void **state)
{
	const struct walk_entry *en;
	uint64_t seed, count = 0;

	(void)state;
	for (seed = 1; seed < 4; seed++) {
		const char *dir = scratch_dir();
		struct walk *w;
		char *last = NULL;

		treegen_make(dir, &(struct treegen){.seed = seed, .entries = 300, .largest = 1000});
		w = start(dir, NULL, false);
		while (walk_next(w, &en) == 1) {
			assert_int_equal(en->error, 0);
			assert_int_equal(strlen(en->path), en->pathlen);
			if (last)
				assert_true(
				    list_path_order(last, strlen(last), en->path, en->pathlen) < 0);
			else
				assert_string_equal(en->path, ".");
			free(last);
			last = xstrdup(en->path);
			count++;
		}
		free(last);
		walk_free(w);
	}
	assert_true(count > 500);
}

static void
nothing_is_missing_and_links_are_not_followed(void **state)
{
	static const char *const want[] = { ".", "a", "a/x", "a-b", "a.b", "link", "z", "z/in" };
	const char *dir = scratch_dir();
	const struct walk_entry *en;
	struct walk *w;
	char *link = scratch_path(dir, "link");
	size_t n = 0;

	(void)state;
	make(dir, "z", true);
	make(dir, "a", true);
	make(dir, "a/x", false);
	make(dir, "z/in", false);
	make(dir, "a-b", false);
	make(dir, "a.b", false);
	assert_int_equal(symlink("z", link), 0);
	w = start(dir, NULL, false);
	while (walk_next(w, &en) == 1) {
		assert_true(n < ARRAY_LEN(want));
		assert_string_equal(en->path, want[n++]);
		assert_true(en->fd == -1 || S_ISDIR(en->st.st_mode));
	}
	assert_int_equal(n, ARRAY_LEN(want));
	walk_free(w);
	free(link);
}

static void
a_tree_deeper_than_paths_and_descriptors_go_is_walked_whole(void **state)
{
	enum { DEPTH = 3000 };
	const char *dir = scratch_dir();
	const struct rlimit few = { 200, 200 };
	const struct walk_entry *en;
	int at = open(dir, O_RDONLY | O_DIRECTORY), next, i, status;
	size_t longest = 0, files = 0;
	struct walk *w;
	pid_t pid;

	(void)state;
	for (i = 0; i < DEPTH; i++) {
		assert_int_equal(mkdirat(at, "deep", 0700), 0);
		next = openat(at, "z-after", O_WRONLY | O_CREAT, 0600);
		close(next);
		next = openat(at, "deep", O_RDONLY | O_DIRECTORY);
		close(at);
		at = next;
		assert_true(at != -1);
	}
	close(at);
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_NOFILE, &few);
		w = start(dir, NULL, false);
		while (walk_next(w, &en) == 1) {
			if (en->error || !en->looked)
				_exit(2);
			longest = en->pathlen > longest ? en->pathlen : longest;
			files += S_ISREG(en->st.st_mode);
		}
		walk_free(w);
		_exit(longest > 4096 && files == DEPTH ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* scratch removes recursively: bring the tree within its reach. */
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(system("find . -depth -delete 2>/dev/null || rm -rf ./*"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(status, 0);
}

static void
what_is_excluded_is_not_even_looked_into(void **state)
{
	static const char *const patterns[] = { "*.tmp", "cache/" };
	const char *dir = scratch_dir();
	const struct walk_entry *en;
	struct exclude *x = NULL;
	struct walk *w;
	char seen[200] = "";

	(void)state;
	make(dir, "a.tmp", false);
	make(dir, "cache", true);
	make(dir, "cache/x", false);
	make(dir, "d", true);
	make(dir, "d/cache", false);
	make(dir, "d/e.tmp", true);
	make(dir, "d/e.tmp/f", false);
	assert_int_equal(exclude_new(patterns, 2, &x, &e), 0);
	w = start(dir, x, false);
	while (walk_next(w, &en) == 1) {
		strcat(seen, en->path);
		strcat(seen, " ");
	}
	assert_string_equal(seen, ". d d/cache ");
	walk_free(w);
	exclude_free(x);
}

static void
what_vanished_after_it_was_listed_is_told(void **state)
{
	const char *dir = scratch_dir();
	const struct walk_entry *en;
	char *path = scratch_path(dir, "b");
	struct walk *w;

	(void)state;
	make(dir, "a", false);
	make(dir, "b", false);
	make(dir, "c", false);
	w = start(dir, NULL, false);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(walk_next(w, &en), 1);
	assert_int_equal(walk_next(w, &en), 1);
	assert_int_equal(walk_next(w, &en), 1);
	assert_string_equal(en->path, "b");
	assert_false(en->looked);
	assert_int_equal(en->error, ENOENT);
	assert_int_equal(walk_next(w, &en), 1);
	assert_string_equal(en->path, "c");
	assert_int_equal(walk_next(w, &en), 0);
	walk_free(w);
	free(path);
}

/* In a child: what it saw is its exit code. */
static int
look_as_another_user(const char *dir)
{
	const struct walk_entry *en;
	struct walk *w;
	int rc = 2;

	if (geteuid() == 0 && setuid(12345) == -1)
		return 1;
	w = start(dir, NULL, false);
	if (walk_next(w, &en) == 1 && walk_next(w, &en) == 1 && en->error == EACCES &&
	    strcmp(en->path, "shut") == 0 && en->looked && en->fd == -1)
		rc = walk_next(w, &en) == 1 && strcmp(en->path, "z") == 0 ? 0 : 3;
	walk_free(w);
	return rc;
}

static void
a_directory_that_cannot_be_read_is_one_entry_with_its_error(void **state)
{
	const char *dir = scratch_dir();
	char *path = scratch_path(dir, "shut");
	int status;
	pid_t pid;

	(void)state;
	make(dir, "shut", true);
	make(dir, "shut/x", false);
	make(dir, "z", false);
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	pid = fork();
	if (pid == 0) {
		free(path);
		_exit(look_as_another_user(dir));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(chmod(path, 0700), 0);
	assert_int_equal(status, 0);
	free(path);
}

/* All paths of a walk in one line. */
static bool
walks(const char *dir, bool one, const char *expected)
{
	const struct walk_entry *en;
	struct walk *w = start(dir, NULL, one);
	char seen[200] = "";

	while (walk_next(w, &en) == 1)
		strcat(strcat(seen, en->path), " ");
	walk_free(w);
	return strcmp(seen, expected) == 0;
}

/* In a child, in its own mount namespace; 77: not allowed. */
static int
look_with_a_mount(const char *dir)
{
	char *path = scratch_path(dir, "mnt");
	int rc = 77;

	if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("none", path, "tmpfs", 0, "") == 0) {
		make(path, "inside", false);
		rc = !walks(dir, true, ". mnt z ") ? 2
		    : !walks(dir, false, ". mnt mnt/inside z ") ? 3
								: 0;
	}
	free(path);
	return rc;
}

static void
a_mount_point_is_an_empty_directory_when_asked_to_stay(void **state)
{
	const char *dir = scratch_dir();
	int status;
	pid_t pid;

	(void)state;
	make(dir, "mnt", true);
	make(dir, "z", false);
	pid = fork();
	if (pid == 0)
		_exit(look_with_a_mount(dir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("needs the right to mount\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void
a_directory_moved_away_below_the_walk_does_not_lead_it_out(void **state)
{
	enum { DEPTH = 200 }; /* deep enough that the upper levels were closed */
	const char *dir = scratch_dir();
	int at = open(dir, O_RDONLY | O_DIRECTORY), next, i;
	const struct walk_entry *en;
	char *from = scratch_path(dir, "in/deep"), *to = scratch_path(dir, "out");
	bool moved = false, after = false;
	struct walk *w;

	(void)state;
	make(dir, "in", true);
	make(dir, "in/after", false);
	make(dir, "in/z", false);
	next = openat(at, "in", O_RDONLY | O_DIRECTORY);
	close(at);
	at = next;
	for (i = 0; i < DEPTH; i++) {
		assert_int_equal(mkdirat(at, "deep", 0700), 0);
		next = openat(at, "deep", O_RDONLY | O_DIRECTORY);
		close(at);
		at = next;
	}
	close(at);
	w = start(dir, NULL, false);
	while (walk_next(w, &en) == 1) {
		if (!moved && en->pathlen > 190 * 5) {
			assert_int_equal(rename(from, to), 0);
			moved = true;
		}
		after = after || (moved && strcmp(en->path, "in/z") == 0);
		/* ".." of the moved directory is the root by now: its names must not come as those
		 * of "in". */
		assert_true(strcmp(en->path, "in/in") != 0 && strcmp(en->path, "in/out") != 0);
		assert_true(en->looked);
	}
	assert_true(moved);
	assert_true(after);
	walk_free(w);
	free(from);
	free(to);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_ours_is_left_out_and_named),
		cmocka_unit_test(entries_come_in_the_order_of_the_list),
		cmocka_unit_test(nothing_is_missing_and_links_are_not_followed),
		cmocka_unit_test(a_tree_deeper_than_paths_and_descriptors_go_is_walked_whole),
		cmocka_unit_test(what_is_excluded_is_not_even_looked_into),
		cmocka_unit_test(what_vanished_after_it_was_listed_is_told),
		cmocka_unit_test(a_directory_that_cannot_be_read_is_one_entry_with_its_error),
		cmocka_unit_test(a_mount_point_is_an_empty_directory_when_asked_to_stay),
		cmocka_unit_test(a_directory_moved_away_below_the_walk_does_not_lead_it_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
