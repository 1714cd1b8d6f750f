#include "repo/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/spool_file.h"
#include "tests/lib/chance.h"
#include "tests/lib/repokit.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vector.h"

#define SEGMENT (UINT32_C(1) << 20)
#define START UINT64_C(0x500000000)
#define BYTES ((size_t)4 * SEGMENT)

static struct keyring *keys;
static struct spool_options o;
static uint8_t wal[BYTES];
static unsigned made;

static int
setup(void **state)
{
	(void)state;
	keys = repokit_keyring();
	vector_noise(wal, sizeof(wal), 9);
	o = (struct spool_options){
		.dir = { .path = scratch_path(scratch_dir(), "a%u/spool", made++), .keys = keys },
		.place = { .source = "pg.a", .sysid = 77, .epoch = 2 },
		.segment_size = SEGMENT,
	};
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free((char *)(uintptr_t)o.dir.path);
	keyring_free(keys);
	return 0;
}

static struct spool *
open_spool(void)
{
	struct err e = { 0 };
	struct spool *s;

	if (spool_open(&o, &s, &e) == -1)
		fail_msg("%s", e.text);
	return s;
}

/* The next n bytes of the log. */
static void
append(struct spool *s, size_t n)
{
	uint64_t at = spool_received(s);
	struct err e = { 0 };

	if (spool_append(s, at, wal + (at - START), n, &e) == -1)
		fail_msg("%s", e.text);
	assert_int_equal(spool_received(s), at + n);
}

static void
sync_spool(struct spool *s)
{
	struct err e = { 0 };

	if (spool_sync(s, &e) == -1)
		fail_msg("%s", e.text);
	assert_int_equal(spool_durable(s), spool_received(s));
}

static struct spool *
started(uint32_t tli, uint64_t lsn)
{
	struct spool *s = open_spool();
	struct err e = { 0 };

	assert_int_equal(spool_start(s, tli, lsn, &e), 0);
	return s;
}

/* Asked as another process would: [from, to) comes back so far and no further. */
static void
reads(uint32_t tli, uint64_t from, uint64_t to, uint64_t until)
{
	struct err e = { 0 };
	struct buf out;
	ssize_t n;

	buf_init(&out, BYTES);
	n = spool_dir_read(&o.dir, &o.place, tli, from, to, &out, &e);
	if (n == -1)
		fail_msg("%s", e.text);
	assert_int_equal(n, until - from);
	assert_int_equal(out.len, n);
	if (n > 0)
		assert_memory_equal(out.data, wal + (from - START), (size_t)n);
	buf_done(&out);
}

static uint64_t
held_by_listing(void)
{
	struct spool_dir_files files;
	struct err e = { 0 };
	uint64_t held;

	if (spool_dir_list(&o.dir, &files, &e) == -1)
		fail_msg("%s", e.text);
	held = files.held;
	spool_dir_done(&files);
	return held;
}

/* The n-th file by name, with its path; NULL when there are fewer. Caller frees. */
static char *
path_of(size_t n)
{
	struct spool_dir_files files;
	struct err e = { 0 };
	char *path = NULL;

	assert_int_equal(spool_dir_list(&o.dir, &files, &e), 0);
	if (n < files.count)
		path = xasprintf("%s/%s", o.dir.path, files.file[n].name);
	spool_dir_done(&files);
	return path;
}

static void
what_was_synced_is_read_by_another_process_while_the_writer_goes_on(void **state)
{
	struct spool *s = started(1, START);

	(void)state;
	reads(1, START, START + 100, START);
	append(s, 8192);
	sync_spool(s);
	reads(1, START, START + 8192, START + 8192);
	reads(1, START + 100, START + 9000, START + 8192);
	append(s, 10);
	reads(1, START, START + 9000, START + 8192); /* nobody sees what waits */
	sync_spool(s);
	reads(1, START + 8190, START + 8195, START + 8195);
	reads(2, START, START + 1, START); /* another timeline */
	assert_int_equal(held_by_listing(), 8202);
	spool_close(s);
	reads(1, START, START + 9000, START + 8202);
}

static void
a_file_ends_with_its_segment_and_goes_when_it_is_cut(void **state)
{
	struct spool *s = started(1, START + 1000);
	struct err e = { 0 };

	(void)state;
	append(s, 2 * SEGMENT);
	sync_spool(s);
	assert_int_equal(spool_held(s), 2 * SEGMENT);
	assert_int_equal(held_by_listing(), 2 * SEGMENT);
	reads(1, START + 1000, START + BYTES, START + 1000 + 2 * SEGMENT);
	assert_int_equal(spool_cut(s, 2, 1, START + SEGMENT - 1, &e), 0);
	assert_int_equal(spool_cut(s, 2, 2, UINT64_MAX, &e), 0);
	assert_int_equal(spool_cut(s, 3, 1, UINT64_MAX, &e), 0);
	assert_int_equal(spool_cut(s, 2, 1, START + 2 * SEGMENT - 1, &e), 1);
	assert_int_equal(spool_held(s), SEGMENT + 1000);
	reads(1, START + 1000, START + BYTES, START + 1000);
	reads(1, START + SEGMENT, START + BYTES, START + 1000 + 2 * SEGMENT);
	assert_int_equal(spool_cut(s, 2, 1, UINT64_MAX, &e), 1); /* not the one being written */
	assert_int_equal(spool_held(s), 1000);
	append(s, 5);
	sync_spool(s);
	reads(1, START + 2 * SEGMENT, START + BYTES, START + 1005 + 2 * SEGMENT);
	spool_close(s);
}

static void
bytes_must_continue_where_the_last_ones_ended(void **state)
{
	struct spool *s = open_spool();
	struct err e = { 0 };

	(void)state;
	repokit_refused(spool_append(s, START, wal, 10, &e), &e, ERR_BUG, "expected 0/0");
	assert_int_equal(spool_start(s, 1, START, &e), 0);
	append(s, 10);
	repokit_refused(spool_append(s, START + 11, wal, 10, &e), &e, ERR_BUG, "5/B");
	repokit_refused(spool_append(s, START + 9, wal, 10, &e), &e, ERR_BUG, "expected 5/A");
	spool_close(s);
}

static void
one_process_writes(void **state)
{
	struct spool *s = open_spool(), *second;
	struct err e = { 0 };

	(void)state;
	repokit_refused(spool_open(&o, &second, &e), &e, ERR_BUSY, "another process");
	spool_close(s);
	spool_close(open_spool());
}

static void
a_new_process_goes_on_with_a_file_of_its_own(void **state)
{
	struct spool *s = started(1, START);
	char *first, *again;
	struct stat a, b;
	struct err e = { 0 };

	(void)state;
	append(s, 5000);
	sync_spool(s);
	append(s, 70);
	spool_close(s); /* the 70 were never promised */
	first = path_of(0);
	assert_int_equal(stat(first, &a), 0);
	s = open_spool();
	assert_int_equal(spool_frontier(s, 1), START + 5000);
	assert_int_equal(spool_start(s, 1, START + 5000, &e), 0);
	append(s, 3000);
	sync_spool(s);
	assert_int_equal(spool_frontier(s, 1), START + 8000);
	assert_int_equal(spool_held(s), 8000);
	spool_close(s);
	again = path_of(0);
	assert_string_equal(first, again);
	assert_int_equal(stat(again, &b), 0);
	assert_int_equal(a.st_size, b.st_size);
	assert_true(b.st_size < 6000); /* what was reserved was given back */
	reads(1, START, START + BYTES, START + 8000);
	free(first);
	free(again);
}

/* A hole stays a hole: the frontier is where it begins, whatever lies behind. */
static void
a_hole_is_seen(void **state)
{
	struct spool *s = started(1, START);
	struct lsn_set set = { 0 };
	struct err e = { 0 };

	(void)state;
	append(s, 1000);
	assert_int_equal(spool_start(s, 1, START + 5000, &e), 0);
	append(s, 1000);
	sync_spool(s);
	assert_int_equal(spool_frontier(s, 1), START + 1000);
	assert_int_equal(spool_dir_ranges(&o.dir, &o.place, 1, &set, &e), 0);
	assert_int_equal(set.count, 2);
	assert_int_equal(set.range[1].from, START + 5000);
	lsn_set_done(&set);
	reads(1, START, START + 6000, START + 1000);
	reads(1, START + 5500, START + 7000, START + 6000);
	spool_close(s);
}

/* ---- damage ---- */

static void
mutilate(const char *path, off_t at, off_t cut_to)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	assert_int_not_equal(fd, -1);
	if (cut_to >= 0) {
		assert_int_equal(ftruncate(fd, cut_to), 0);
	} else {
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
}

/* Three records of 1000 bytes; the second begins here, the third there. */
#define RECORD (SPOOL_FILE_RECORD + 1000 + SPOOL_FILE_TAG)
#define SECOND (SPOOL_FILE_HEAD + RECORD)
#define THIRD (SECOND + RECORD)

/* The n-th file as a crash leaves it: its name does not say where it ends. Its path. */
static char *
left_open(size_t n)
{
	char *path = path_of(n), *name = xstrdup(path), *tag = strrchr(name, '.');

	memmove(strrchr(name, '-'), tag, strlen(tag) + 1);
	assert_int_equal(rename(path, name), 0);
	free(path);
	return name;
}

static char *
three_records(void)
{
	struct spool *s = started(1, START);

	for (int i = 0; i < 3; i++) {
		append(s, 1000);
		sync_spool(s);
	}
	spool_close(s);
	return left_open(0);
}

static void
a_torn_last_record_was_never_promised_and_does_not_count(void **state)
{
	(void)state;
	chance_seed(4);
	for (int i = 0; i < 12; i++) {
		char *path = three_records();
		struct spool *s;

		if (i < 6)
			mutilate(path, 0, THIRD + (off_t)chance_below(RECORD));
		else
			mutilate(path, THIRD + (off_t)chance_below(RECORD), -1);
		reads(1, START, START + BYTES, START + 2000);
		assert_int_equal(held_by_listing(), 2000);
		s = open_spool();
		assert_int_equal(spool_frontier(s, 1), START + 2000);
		spool_close(s);
		reads(1, START, START + BYTES, START + 2000);
		free(path);
		teardown(state);
		setup(state);
	}
}

static void
damage_before_the_last_record_is_an_error_that_names_the_range(void **state)
{
	struct err e = { 0 };
	struct spool *s;
	struct buf out;
	char *path;

	(void)state;
	chance_seed(5);
	buf_init(&out, BYTES);
	for (int i = 0; i < 12; i++) {
		path = three_records();
		/* A record's header, its bytes or its tag. */
		mutilate(path, SECOND + (i < 6 ? i * 8 : (off_t)chance_below(RECORD)), -1);
		repokit_refused((int)spool_dir_read(&o.dir, &o.place, 1, START, START + BYTES, &out,
		    &e), &e, ERR_CORRUPT, "from 5/3E8 to 5/7D0");
		assert_int_equal(out.len, 0);
		free(path);
		teardown(state);
		setup(state);
	}
	path = three_records();
	mutilate(path, 20, -1); /* the header of the file */
	assert_int_equal(spool_open(&o, &s, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	free(path);
	buf_done(&out);
}

static void
another_repository_cannot_read_it(void **state)
{
	struct keyring *foreign = repokit_keyring();
	struct spool_dir d = { .path = o.dir.path, .keys = foreign };
	struct err e = { 0 };
	struct buf out;

	(void)state;
	free(three_records());
	buf_init(&out, BYTES);
	repokit_refused((int)spool_dir_read(&d, &o.place, 1, START, START + 10, &out, &e), &e,
	    ERR_CORRUPT, "another repository");
	buf_done(&out);
	keyring_free(foreign);
}

static void
nothing_of_the_log_lies_in_clear(void **state)
{
	char *path = three_records();
	struct err e = { 0 };
	struct buf all;

	(void)state;
	buf_init(&all, BYTES);
	assert_int_equal(file_get(AT_FDCWD, path, &all, &e), 0);
	for (size_t i = 0; i + 16 < 3000; i += 16)
		assert_null(memmem(all.data, all.len, wal + i, 16));
	buf_done(&all);
	free(path);
}

/* ---- syncs that fail ---- */

/* The linker leads fdatasync() through here (--wrap). */
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
static unsigned syncs;	/* calls */
static unsigned fail_at; /* the call that fails; 0: none */
static ino_t failed;	/* the file it failed for */

int
__wrap_fdatasync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_true(failed == 0 || st.st_ino != failed); /* never asked again */
	if (++syncs != fail_at)
		return __real_fdatasync(fd);
	failed = st.st_ino;
	errno = EIO;
	return -1;
}

static void
every_sync_reaches_the_disk_and_one_that_failed_is_made_good_by_another_file(void **state)
{
	struct spool *s = started(1, START);
	struct err e = { 0 };

	(void)state;
	syncs = 0;
	append(s, 1000);
	sync_spool(s);
	append(s, 1000);
	sync_spool(s);
	sync_spool(s); /* nothing waits, nothing is asked */
	assert_int_equal(syncs, 2);
	append(s, 500);
	fail_at = syncs + 1;
	repokit_refused(spool_sync(s, &e), &e, ERR_IO, "sync");
	assert_int_equal(spool_durable(s), START + 2000);
	assert_int_equal(spool_received(s), START + 2500);
	reads(1, START, START + BYTES, START + 2000); /* what failed is cut off again */
	append(s, 500);
	sync_spool(s);
	reads(1, START, START + BYTES, START + 3000);
	assert_int_equal(spool_held(s), 3000);
	spool_close(s);
	/* And nobody who adopts what is left may count what could not be synced. */
	failed = 0;
	s = started(1, START + 3000);
	append(s, 10);
	sync_spool(s);
	spool_close(s);
	free(left_open(2));
	syncs = 0;
	fail_at = 1;
	repokit_refused(spool_open(&o, &s, &e), &e, ERR_IO, "sync");
	fail_at = 0;
	failed = 0;
}

/* ---- by chance ---- */

static void
random_appends_syncs_restarts_and_cuts_lose_nothing(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		uint64_t durable = START, cut = START, first;
		struct spool *s;
		struct err e = { 0 };

		chance_seed(seed);
		s = started(1, START);
		for (int step = 0; step < 40; step++) {
			uint64_t at = spool_received(s), room = START + BYTES - at;
			size_t n = chance_below(chance_one_in(4) ? 600000 : 20000) + 1;

			if (n <= room)
				append(s, n);
			if (chance_one_in(2))
				sync_spool(s);
			durable = spool_durable(s);
			if (chance_one_in(8)) {
				cut += chance_below(durable - cut + 1);
				assert_true(spool_cut(s, 2, 1, cut, &e) >= 0);
			}
			if (chance_one_in(10)) {
				spool_close(s);
				s = open_spool();
				assert_true(spool_frontier(s, 1) == durable || spool_held(s) == 0);
				assert_int_equal(spool_start(s, 1, durable, &e), 0);
			}
			first = durable - spool_held(s);
			assert_true(first <= cut || spool_held(s) == 0);
			reads(1, first, START + BYTES, durable);
			assert_int_equal(held_by_listing(), spool_held(s));
		}
		spool_close(s);
		teardown(state);
		setup(state);
	}
}

/* A child that appends and tells how far it is durable, until it is killed. */
static void
child(int tell)
{
	struct spool *s = open_spool();
	uint64_t at = spool_frontier(s, 1) == 0 ? START : spool_frontier(s, 1);
	struct err e = { 0 };

	if (spool_start(s, 1, at, &e) == -1)
		_exit(1);
	chance_seed(at);
	while (spool_received(s) < START + BYTES - 40000) {
		append(s, 1 + chance_below(30000));
		if (chance_one_in(2))
			sync_spool(s);
		at = spool_durable(s);
		if (write(tell, &at, sizeof(at)) != sizeof(at))
			_exit(1);
	}
	_exit(0);
}

static void
what_was_synced_survives_kill_at_any_moment(void **state)
{
	uint64_t last = START;

	(void)state;
	for (int round = 0; round < 15; round++) {
		uint64_t at;
		int tell[2], status;
		struct spool *s;
		pid_t pid;

		assert_int_equal(pipe(tell), 0);
		pid = fork();
		assert_int_not_equal(pid, -1);
		if (pid == 0)
			child(tell[1]);
		close(tell[1]);
		for (uint64_t i = chance_below(12); i > 0; i--)
			if (read(tell[0], &at, sizeof(at)) == sizeof(at))
				last = at;
		usleep((useconds_t)chance_below(2000));
		assert_int_equal(kill(pid, SIGKILL), 0);
		while (read(tell[0], &at, sizeof(at)) == sizeof(at))
			last = at;
		close(tell[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 1);
		s = open_spool();
		if (spool_frontier(s, 1) < last && last > START)
			fail_msg("%llx was promised, %llx is there", (unsigned long long)last,
			    (unsigned long long)spool_frontier(s, 1));
		if (last > START)
			reads(1, START, START + BYTES, spool_frontier(s, 1));
		spool_close(s);
	}
	assert_true(last > START);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_synced_is_read_by_another_process_while_the_writer_goes_on),
		TEST(a_file_ends_with_its_segment_and_goes_when_it_is_cut),
		TEST(bytes_must_continue_where_the_last_ones_ended),
		TEST(one_process_writes),
		TEST(a_new_process_goes_on_with_a_file_of_its_own),
		TEST(a_hole_is_seen),
		TEST(a_torn_last_record_was_never_promised_and_does_not_count),
		TEST(damage_before_the_last_record_is_an_error_that_names_the_range),
		TEST(another_repository_cannot_read_it),
		TEST(nothing_of_the_log_lies_in_clear),
		TEST(every_sync_reaches_the_disk_and_one_that_failed_is_made_good_by_another_file),
		TEST(random_appends_syncs_restarts_and_cuts_lose_nothing),
		TEST(what_was_synced_survives_kill_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
