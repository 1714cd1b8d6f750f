/* The parts of a restore that stand between a hostile list and the disk, and those that bound
 * memory. */
#include "tests/lib/vector.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "source/delta.h"
#include "source/lay.h"
#include "source/links.h"
#include "source/names.h"
#include "source/place.h"
#include "source/trail.h"
#include "tests/lib/scratch.h"

static struct err e;

static int
step(struct trail *t, enum entry_type type, const char *path, size_t len)
{
	const struct entry en = { .type = type, .path = path, .pathlen = len };

	return trail_step(t, &en, NULL, NULL, &e);
}

/* What the file holds is what was written into it, bit for bit, whichever way it went. */
static void
written_is_what_a_reader_sees(void **state)
{
	static const struct { uint64_t off; size_t n, skew; } part[] = {
		{ 0, 1u << 20, 0 }, { 1u << 20, 300000, 0 }, { 3u << 20, 1u << 20, 1 },
		{ (5u << 20) + 512, 1u << 20, 0 }, { 9u << 20, 100, 0 }, { 10u << 20, 70000, 0 },
		{ 0, 8192, 4096 }, { 64u << 10, 512u << 10, 4096 },
	};
	const size_t size = 11u << 20;
	uint8_t *want = xcalloc(1, size), *got = xmalloc(size), *from = NULL;
	char *path = xasprintf("%s/laid", scratch_dir());

	(void)state;
	assert_int_equal(posix_memalign((void **)&from, 4096, 2u << 20), 0);
	for (size_t i = 0; i < 2u << 20; i++)
		from[i] = (uint8_t)(i * 7 + i / 4096);
	for (int lasting = 0; lasting < 2; lasting++) {
		int dir = open(scratch_dir(), O_RDONLY | O_DIRECTORY);
		int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		struct lay l;

		lay_init(&l, dir, lasting);
		assert_true(lasting || !atomic_load(&l.direct));
		memset(want, 0, size);
		assert_int_equal(ftruncate(fd, (off_t)size), 0);
		for (size_t i = 0; i < ARRAY_LEN(part); i++) {
			memcpy(want + part[i].off, from + part[i].skew, part[i].n);
			assert_int_equal(lay_write(&l, fd, from + part[i].skew, part[i].n,
			    part[i].off, &e), 0);
			assert_int_equal(fcntl(fd, F_GETFL) & O_DIRECT, 0);
		}
		assert_int_equal(pread(fd, got, size, 0), size);
		assert_memory_equal(got, want, size);
		close(fd);
		close(dir);
	}
	free(path);
	free(from);
	free(got);
	free(want);
}

/* The file system said that it takes direct writes, and this file may not. */
static void
a_file_that_refuses_direct_writes_goes_through_the_cache(void **state)
{
	struct lay l = { .lasting = true };
	uint8_t *from = NULL, *got = xmalloc(1u << 20);
	int fd = memfd_create("laid", 0);

	(void)state;
	atomic_init(&l.direct, true);
	assert_int_equal(posix_memalign((void **)&from, 4096, 1u << 20), 0);
	memset(from, 0xa5, 1u << 20);
	assert_int_equal(lay_write(&l, fd, from, 1u << 20, 0, &e), 0);
	assert_int_equal(pread(fd, got, 1u << 20, 0), 1u << 20);
	assert_memory_equal(got, from, 1u << 20);
	close(fd);
	/* A disk that is full is told, not worked around. */
	fd = open("/dev/full", O_WRONLY);
	assert_int_equal(lay_write(&l, fd, from, 1u << 20, 0, &e), -1);
	assert_int_equal(e.kind, ERR_FULL);
	close(fd);
	free(got);
	free(from);
}

#define FILE_AT(t, path) step(t, ENTRY_FILE, path, strlen(path))
#define DIR_AT(t, path) step(t, ENTRY_DIR, path, strlen(path))

static void
paths_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const bad[] = {
		"/etc/passwd", "..", "../x", "a/../b", "a/..", "a//b", "a/", "a/.", "./a", "",
	};
	char *name = xmalloc(400);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct trail t;

		trail_init(&t);
		assert_int_equal(DIR_AT(&t, "."), 0);
		assert_int_equal(FILE_AT(&t, bad[i]), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_int_equal(trail_check_path(bad[i], strlen(bad[i]), &e), -1);
		trail_done(&t);
	}
	assert_int_equal(trail_check_path("a\0b", 3, &e), -1);
	memset(name, 'x', 400);
	assert_int_equal(trail_check_path(name, 256, &e), -1);
	assert_int_equal(trail_check_path(name, 255, &e), 0);
	assert_int_equal(trail_check_path("..x/.y/z..", 10, &e), 0);
	free(name);
}

static void
entries_must_come_in_order_once_and_below_a_directory(void **state)
{
	struct trail t;

	(void)state;
	trail_init(&t);
	assert_int_equal(FILE_AT(&t, "a"), -1); /* no root first */
	assert_int_equal(DIR_AT(&t, "."), 0);
	assert_int_equal(DIR_AT(&t, "."), -1);
	assert_int_equal(step(&t, ENTRY_SYMLINK, "a", 1), 0);
	assert_int_equal(FILE_AT(&t, "a"), -1);	  /* twice */
	assert_int_equal(FILE_AT(&t, "a/b"), -1); /* below a link */
	assert_int_equal(FILE_AT(&t, "A"), -1);	  /* back */
	assert_int_equal(DIR_AT(&t, "b"), 0);
	assert_int_equal(DIR_AT(&t, "b/c"), 0);
	assert_int_equal(t.depth, 3);
	assert_int_equal(FILE_AT(&t, "b/c/d"), 0);
	assert_string_equal(t.name, "d");
	assert_int_equal(t.parentlen, 3);
	assert_int_equal(FILE_AT(&t, "bb"), 0);
	assert_int_equal(t.depth, 1);
	assert_int_equal(FILE_AT(&t, "x/y"), -1); /* x was never listed */
	trail_done(&t);
}

static int
note(void *arg, const char *path, size_t len, size_t depth, struct err *err)
{
	char *seen = arg;

	(void)err;
	sprintf(seen + strlen(seen), "%.*s:%zu ", (int)len, path, depth);
	return 0;
}

static void
directories_are_left_deepest_first(void **state)
{
	static const struct entry list[] = {
		{ .type = ENTRY_DIR, .path = ".", .pathlen = 1 },
		{ .type = ENTRY_DIR, .path = "a", .pathlen = 1 },
		{ .type = ENTRY_DIR, .path = "a/b", .pathlen = 3 },
		{ .type = ENTRY_FILE, .path = "a/b/c", .pathlen = 5 },
		{ .type = ENTRY_DIR, .path = "ab", .pathlen = 2 },
	};
	char seen[200] = "";
	struct trail t;

	(void)state;
	trail_init(&t);
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		assert_int_equal(trail_step(&t, &list[i], note, seen, &e), 0);
	assert_string_equal(seen, "a/b:2 a:1 ");
	assert_int_equal(trail_end(&t, note, seen, &e), 0);
	assert_string_equal(seen, "a/b:2 a:1 ab:1 .:0 ");
	trail_done(&t);
}

static void
a_place_is_never_reached_through_a_link_or_outside(void **state)
{
	const char *dir = scratch_dir();
	int root = open(dir, O_RDONLY | O_DIRECTORY);
	struct place p;

	(void)state;
	assert_int_equal(mkdirat(root, "d", 0700), 0);
	assert_int_equal(mkdirat(root, "d/e", 0700), 0);
	assert_int_equal(symlinkat("d", root, "link"), 0);
	assert_int_equal(symlinkat("/etc/passwd", root, "d/out"), 0);
	assert_int_equal(place_open(root, "link/e", 6, O_RDONLY, 0), -1);
	assert_int_equal(errno, ELOOP);
	assert_int_equal(place_open(root, "d/out", 5, O_RDONLY, 0), -1);
	assert_int_equal(place_open(root, "../x", 4, O_WRONLY | O_CREAT, 0600), -1);
	assert_int_equal(place_open(root, "/etc/passwd", 11, O_RDONLY, 0), -1);
	place_init(&p, root);
	assert_true(place_go(&p, "d/e", 3) != -1);
	assert_true(place_go(&p, "d", 1) != -1);
	assert_true(place_go(&p, "", 0) != -1);
	assert_int_equal(place_go(&p, "link", 4), -1);
	assert_true(place_go(&p, "d", 1) != -1);
	assert_int_equal(faccessat(p.fd, "e", F_OK, 0), 0);
	/* A name that only begins like the one where we stand is not below it. */
	assert_int_equal(mkdirat(root, "dxe", 0700), 0);
	assert_int_equal(mkdirat(root, "dxe/here", 0700), 0);
	assert_true(place_go(&p, "dxe", 3) != -1);
	assert_int_equal(faccessat(p.fd, "here", F_OK, 0), 0);
	place_done(&p);
	close(root);
}

static void
a_path_longer_than_the_kernel_takes_is_reached_in_pieces(void **state)
{
	const char *dir = scratch_dir();
	int root = open(dir, O_RDONLY | O_DIRECTORY), at = dup(root), next, fd;
	char *path = xcalloc(1, 30 * 251 + 10);
	size_t len = 0;
	struct place p;

	(void)state;
	place_init(&p, root);
	for (int i = 0; i < 30; i++) {
		if (i > 0)
			path[len++] = '/';
		memset(path + len, 'a' + i % 26, 250);
		len += 250;
		assert_int_equal(mkdirat(at, path + len - 250, 0700), 0);
		next = openat(at, path + len - 250, O_RDONLY | O_DIRECTORY);
		close(at);
		at = next;
		assert_true(place_go(&p, path, len) != -1);
	}
	assert_true(place_go(&p, "", 0) != -1);
	assert_true(place_go(&p, path, len) != -1);
	memcpy(path + len, "/file", 5);
	fd = place_open(root, path, len + 5, O_WRONLY | O_CREAT, 0600);
	assert_true(fd != -1);
	close(fd);
	assert_int_equal(faccessat(at, "file", F_OK, 0), 0);
	place_done(&p);
	close(at);
	close(root);
	free(path);
}

static void
names_are_found_again_in_memory_and_beyond_it(void **state)
{
	const char *dir = scratch_dir();
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	struct names *n = names_new(fd, 1000);
	uint64_t id[300];
	char path[6000];
	struct names_record rec;
	struct buf got;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		const size_t len = 1 + i * 19;

		memset(path, 'a' + (int)(i % 26), len);
		rec = (struct names_record){ .mode = i, .mtime_s = -(int64_t)i };
		assert_int_equal(names_add(n, &rec, path, len, &id[i], &e), 0);
	}
	assert_int_equal(names_seal(n, &e), 0);
	buf_init(&got, 10000);
	for (unsigned i = 300; i-- > 0;) {
		assert_int_equal(names_get(n, id[i], &rec, &got, &e), 0);
		assert_int_equal(got.len, 1 + i * 19);
		assert_int_equal(buf_str(&got)[0], 'a' + (int)(i % 26));
		assert_int_equal(strlen(buf_str(&got)), got.len);
		assert_int_equal(rec.mode, i);
		assert_int_equal(rec.mtime_s, -(int64_t)i);
	}
	assert_int_equal(names_get(n, UINT64_C(1) << 40, &rec, &got, &e), -1);
	buf_done(&got);
	names_free(n);
	close(fd);
}

static void
removing_goes_through_no_link(void **state)
{
	const char *dir = scratch_dir(), *other = scratch_dir();
	int fd = open(dir, O_RDONLY | O_DIRECTORY), out = open(other, O_RDONLY | O_DIRECTORY);
	const struct delta_spare none = { 0 };
	struct delta_kept kept = { 0 };

	(void)state;
	close(openat(out, "precious", O_WRONLY | O_CREAT, 0600));
	assert_int_equal(mkdirat(fd, "d", 0700), 0);
	assert_int_equal(mkdirat(fd, "d/e", 0700), 0);
	close(openat(fd, "d/e/f", O_WRONLY | O_CREAT, 0600));
	assert_int_equal(symlinkat(other, fd, "d/link"), 0);
	assert_int_equal(symlinkat(other, fd, "top"), 0);
	assert_int_equal(fchmodat(fd, "d/e", 0, 0), 0);
	assert_int_equal(delta_remove(fd, "d", 1, &none, &kept, &e), 0);
	assert_int_equal(delta_remove(fd, "top", 3, &none, &kept, &e), 0);
	assert_int_equal(delta_remove(fd, "absent", 6, &none, &kept, &e), 0);
	assert_int_equal(kept.mounts, 0);
	assert_int_equal(faccessat(fd, "d", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(faccessat(fd, "top", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(faccessat(out, "precious", F_OK, 0), 0);
	close(fd);
	close(out);
}

static void
removing_keeps_what_is_ours_and_the_way_to_it(void **state)
{
	const char *dir = scratch_dir();
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	char *tier = xasprintf("%s/d/e/tier", dir);
	struct delta_kept kept = { 0 };
	struct own own = { 0 };
	const struct delta_spare spare = { .own = &own };

	(void)state;
	assert_int_equal(mkdirat(fd, "d", 0700), 0);
	assert_int_equal(mkdirat(fd, "d/e", 0700), 0);
	assert_int_equal(mkdirat(fd, "d/e/tier", 0), 0);
	close(openat(fd, "d/e/tier/object", O_WRONLY | O_CREAT, 0600));
	close(openat(fd, "d/f", O_WRONLY | O_CREAT, 0600));
	own_add(&own, tier);
	own_add(&own, tier);
	own_add(&own, "/nonexistent/at/all");
	own_add(&own, NULL);
	assert_int_equal(own.count, 1);
	assert_int_equal(delta_remove(fd, "d", 1, &spare, &kept, &e), 0);
	assert_int_equal(kept.own, 1);
	assert_int_equal(kept.mounts, 0);
	assert_int_equal(faccessat(fd, "d/f", F_OK, 0), -1);
	assert_int_equal(faccessat(fd, "d/e/tier/object", F_OK, 0), 0);
	own_done(&own);
	assert_int_equal(delta_remove(fd, "d", 1, &spare, &kept, &e), 0);
	assert_int_equal(faccessat(fd, "d", F_OK, 0), -1);
	free(tier);
	close(fd);
}

static void
further_names_are_known_until_the_last_was_seen(void **state)
{
	struct stat st = {
	    .st_dev = 1, .st_ino = 7, .st_mode = S_IFREG, .st_nlink = 3, .st_size = 5};
	struct links *l = links_new();

	(void)state;
	assert_null(links_seen(l, &st));
	links_add(l, &st, "first");
	assert_string_equal(links_seen(l, &st), "first");
	assert_string_equal(links_seen(l, &st), "first");
	assert_null(links_seen(l, &st)); /* all three were seen: forgotten */

	links_add(l, &st, "again");
	st.st_size = 6; /* the number was given to another file */
	assert_null(links_seen(l, &st));
	for (ino_t i = 0; i < 5000; i++) {
		st.st_ino = i;
		assert_null(links_seen(l, &st));
		links_add(l, &st, i % 2 ? "odd" : "even");
	}
	for (ino_t i = 0; i < 5000; i++) {
		st.st_ino = i;
		assert_string_equal(links_seen(l, &st), i % 2 ? "odd" : "even");
	}
	links_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_is_what_a_reader_sees),
		cmocka_unit_test(a_file_that_refuses_direct_writes_goes_through_the_cache),
		cmocka_unit_test(paths_that_lead_elsewhere_are_refused),
		cmocka_unit_test(entries_must_come_in_order_once_and_below_a_directory),
		cmocka_unit_test(directories_are_left_deepest_first),
		cmocka_unit_test(a_place_is_never_reached_through_a_link_or_outside),
		cmocka_unit_test(a_path_longer_than_the_kernel_takes_is_reached_in_pieces),
		cmocka_unit_test(names_are_found_again_in_memory_and_beyond_it),
		cmocka_unit_test(removing_goes_through_no_link),
		cmocka_unit_test(removing_keeps_what_is_ours_and_the_way_to_it),
		cmocka_unit_test(further_names_are_known_until_the_last_was_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
