/*
 * Is an object there after a power cut? Not by cutting power, but by recording what the file
 * system backend asks of the file system and judging every prefix of that: at each cut an
 * object's name may exist only with all its bytes synced, and when put has answered, the name and
 * every directory above it must be synced, too. Then every call fails once, and every call is the
 * last of a killed process.
 */
#include "tests/lib/vector.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/store.h"
#include "tests/lib/iorecord.h"
#include "tests/lib/scratch.h"

#define LEN 100000

static char *dir, *url;
static struct store *store;
static struct err e;
static uint8_t bytes[LEN];
static bool read_only; /* what statvfs is told */

int __real_fstatvfs(int fd, struct statvfs *v);
int __wrap_fstatvfs(int fd, struct statvfs *v);

int
__wrap_fstatvfs(int fd, struct statvfs *v)
{
	int rc = __real_fstatvfs(fd, v);

	if (rc == 0 && read_only)
		v->f_flag |= ST_RDONLY;
	return rc;
}

static void
reopen(void)
{
	struct store_options o = { .url = url };

	store_close(store);
	store = NULL;
	assert_int_equal(store_open(&o, &store, &e), 0);
}

/* A new root; recording is on. */
static int
begin(void **state)
{
	char *whole;

	(void)state;
	err_clear(&e);
	read_only = false;
	whole = realpath(scratch_dir(), NULL);
	dir = scratch_path(whole, "root");
	free(whole);
	if (mkdir(dir, 0700) == -1)
		return -1;
	url = xasprintf("file://%s", dir);
	reopen();
	vector_noise(bytes, LEN, 1);
	iorecord_begin(dir);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	iorecord_begin(NULL);
	store_close(store);
	store = NULL;
	free(dir);
	free(url);
	return 0;
}

/* What the judge knows of a file or directory after some of the calls. */
struct node {
	char path[1000];
	size_t written;
	size_t synced;	 /* bytes that an fsync has covered */
	bool is_dir;
	bool here;	 /* the name exists */
	bool durable;	 /* the entry was covered by an fsync of the directory above */
};

struct judge {
	struct node node[200];
	size_t count;
};

static struct node *
node_of(struct judge *j, const char *path)
{
	for (size_t i = 0; i < j->count; i++)
		if (strcmp(j->node[i].path, path) == 0)
			return &j->node[i];
	assert_true(j->count < ARRAY_LEN(j->node));
	snprintf(j->node[j->count].path, sizeof(j->node[0].path), "%s", path);
	return &j->node[j->count++];
}

static bool
directly_in(const char *path, const char *parent)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - path);

	if (slash == NULL)
		return strcmp(parent, ".") == 0;
	return strlen(parent) == len && strncmp(path, parent, len) == 0;
}

static void
judge_sync(struct judge *j, const char *path)
{
	struct node *n = node_of(j, path);

	n->synced = n->written;
	for (size_t i = 0; i < j->count; i++)
		if (j->node[i].here && directly_in(j->node[i].path, path))
			j->node[i].durable = true;
}

static void
judge_name(struct judge *j, const struct io_event *ev)
{
	struct node *from = node_of(j, ev->path), *to = node_of(j, ev->to);

	to->written = from->written;
	to->synced = from->synced;
	to->here = true;
	to->durable = false;
	if (ev->call == IO_RENAME)
		from->here = false;
}

static void
judge_call(struct judge *j, const struct io_event *ev)
{
	struct node *n = node_of(j, ev->path);

	if (ev->error != 0)
		return;
	switch (ev->call) {
	case IO_CREATE:
	case IO_MKDIR:
		n->here = true;
		n->is_dir = ev->call == IO_MKDIR;
		break;
	case IO_WRITE:
		n->written += ev->len;
		break;
	case IO_FSYNC:
		judge_sync(j, ev->path);
		break;
	case IO_LINK:
	case IO_RENAME:
		judge_name(j, ev);
		break;
	case IO_UNLINK:
		n->here = false;
		break;
	case IO_OPEN_DIR:
		break;
	}
}

/*
 * The invariant at a cut. A name not yet synced may be on the disk or not, so it counts as there.
 * Its bytes must be synced; and so must its directories, or it would hang in the air after the
 * cut while others rely on it.
 */
static void
judge_cut(const struct judge *j)
{
	for (size_t i = 0; i < j->count; i++) {
		const struct node *n = &j->node[i];

		if (!n->here || n->is_dir || strncmp(n->path, "tmp/", 4) == 0)
			continue;
		assert_int_equal(n->written, LEN);
		assert_int_equal(n->synced, LEN);
		for (size_t k = 0; k < j->count; k++) {
			const struct node *d = &j->node[k];
			size_t len = strlen(d->path);

			if (d->is_dir && d->here && strncmp(n->path, d->path, len) == 0 &&
			    n->path[len] == '/')
				assert_true(d->durable);
		}
	}
}

/*
 * Judges every prefix of what was recorded, from an empty root; true when `name` is durable at
 * the end.
 */
static bool
judge_all(const char *name)
{
	struct judge *j = xcalloc(1, sizeof(*j));
	const struct node *n;
	bool durable;

	for (size_t i = 0; i < iorecord_count(); i++) {
		judge_call(j, iorecord_event(i));
		judge_cut(j);
	}
	n = node_of(j, name);
	durable = n->here && n->durable;
	free(j);
	return durable;
}

static size_t
calls(enum io_call call, const char *path)
{
	size_t n = 0;

	for (size_t i = 0; i < iorecord_count(); i++)
		if (iorecord_event(i)->call == call &&
		    strcmp(path, iorecord_event(i)->path) == 0)
			n++;
	return n;
}

static int
put(const char *name)
{
	return store_put(store, name, bytes, LEN, STORE_NEW, &e);
}

static void
the_recorder_sees_every_call_of_a_put_in_order(void **state)
{
	static const enum io_call expected[] = { IO_CREATE, IO_WRITE, IO_FSYNC, IO_LINK, IO_FSYNC,
		IO_UNLINK };
	size_t at = 0, from;

	(void)state;
	assert_int_equal(put("first"), 1);
	from = iorecord_count();
	assert_int_equal(put("second"), 1);
	for (size_t i = from; i < iorecord_count(); i++) {
		if (iorecord_event(i)->call == IO_OPEN_DIR)
			continue;
		assert_true(at < ARRAY_LEN(expected));
		assert_int_equal(iorecord_event(i)->call, expected[at++]);
	}
	assert_int_equal(at, ARRAY_LEN(expected));
}

static void
at_every_cut_a_name_has_all_its_bytes_and_its_directories(void **state)
{
	static const char *const names[] = { "pack/00/a", "pack/00/b", "pack/01/a", "top",
		"wal/pg.x/1/2/3/a-b" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		iorecord_short_writes(i == 0 ? 1000 : 0);
		assert_int_equal(put(names[i]), 1);
		assert_true(judge_all(names[i]));
	}
	assert_int_equal(store_put(store, "beat/x", bytes, LEN, STORE_REPLACE, &e), 1);
	assert_true(judge_all("beat/x"));
	assert_int_equal(store_put(store, "beat/x", bytes, LEN, STORE_REPLACE, &e), 1);
	assert_true(judge_all("beat/x"));
}

static void
a_name_that_is_taken_is_made_durable_before_it_is_relied_on(void **state)
{
	size_t syncs;

	(void)state;
	assert_int_equal(put("pack/00/a"), 1);
	syncs = calls(IO_FSYNC, "pack/00");
	assert_int_equal(put("pack/00/a"), 0);
	assert_int_equal(calls(IO_FSYNC, "pack/00"), syncs + 1);
}

static void
directories_that_a_dead_process_made_are_synced_by_the_next(void **state)
{
	char *path = scratch_path(dir, "pack");
	char *deeper = scratch_path(dir, "pack/00");

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mkdir(deeper, 0700), 0);
	iorecord_begin(dir);
	assert_int_equal(put("pack/00/a"), 1);
	assert_int_equal(calls(IO_FSYNC, "."), 2); /* for tmp, too */
	assert_int_equal(calls(IO_FSYNC, "pack"), 1);
	assert_int_equal(calls(IO_FSYNC, "pack/00"), 1);
	assert_int_equal(put("pack/00/b"), 1);
	assert_int_equal(calls(IO_FSYNC, "."), 2); /* once is enough */
	free(path);
	free(deeper);
}

static void
a_delete_is_durable_when_it_answers(void **state)
{
	size_t syncs;

	(void)state;
	assert_int_equal(put("pack/00/a"), 1);
	syncs = calls(IO_FSYNC, "pack/00");
	assert_int_equal(store_del(store, "pack/00/a", &e), 1);
	assert_int_equal(calls(IO_FSYNC, "pack/00"), syncs + 1);
	assert_int_equal(iorecord_event(iorecord_count() - 1)->call, IO_FSYNC);
}

static void
what_is_no_object_is_moved_away_durably(void **state)
{
	char *path = scratch_path(dir, "pack/00/a");
	size_t syncs;

	(void)state;
	assert_int_equal(put("pack/00/b"), 1);
	assert_int_equal(mkfifo(path, 0600), 0);
	syncs = calls(IO_FSYNC, "pack/00");
	assert_int_equal(store_del(store, "pack/00/a", &e), 1);
	assert_int_equal(calls(IO_RENAME, "pack/00/a"), 1);
	assert_int_equal(calls(IO_FSYNC, "pack/00"), syncs + 1);
	for (size_t i = 0, moved = 0; i < iorecord_count(); i++) {
		const struct io_event *ev = iorecord_event(i);

		moved |= ev->call == IO_RENAME;
		if (moved && ev->call == IO_FSYNC && strcmp(ev->path, "bad/pack/00") == 0)
			break;
		assert_true(i + 1 < iorecord_count());
	}
	free(path);
}

static size_t
left_in_tmp(void)
{
	char *path = scratch_path(dir, "tmp");
	DIR *d = opendir(path);
	size_t n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	free(path);
	return n < 2 ? 0 : n - 2;
}

/* 1 when the object is there with all its bytes, 0 when it is not there; anything else fails. */
static int
whole(const char *name)
{
	struct buf out;
	int rc;

	buf_init(&out, 2 * LEN);
	rc = store_get(store, name, &out, &e);
	if (rc == -1) {
		assert_int_equal(e.kind, ERR_NOTFOUND);
		return 0;
	}
	assert_int_equal(out.len, LEN);
	assert_memory_equal(out.data, bytes, LEN);
	buf_done(&out);
	return 1;
}

static void
a_failed_sync_is_final_and_its_file_is_gone(void **state)
{
	const struct io_event *sync = NULL;

	(void)state;
	assert_int_equal(put("first"), 1);
	iorecord_begin(dir);
	iorecord_fail_call(IO_FSYNC, 1, EIO);
	assert_int_equal(put("a"), -1);
	assert_true(iorecord_struck());
	assert_int_equal(e.kind, ERR_IO);
	for (size_t i = 0; i < iorecord_count() && sync == NULL; i++)
		if (iorecord_event(i)->call == IO_FSYNC)
			sync = iorecord_event(i);
	assert_non_null(sync);
	assert_int_equal(strncmp(sync->path, "tmp/", 4), 0);
	assert_int_equal(calls(IO_FSYNC, sync->path), 1);
	assert_int_equal(calls(IO_LINK, sync->path), 0);
	assert_int_equal(left_in_tmp(), 0);
	assert_int_equal(whole("a"), 0);
	assert_int_equal(put("a"), 1);
}

static void
a_full_disk_says_how_much_is_free_and_leaves_nothing(void **state)
{
	static const int errors[] = { ENOSPC, EDQUOT };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		iorecord_fail_call(IO_WRITE, 1, errors[i]);
		assert_int_equal(put("a"), -1);
		assert_int_equal(e.kind, ERR_FULL);
		assert_non_null(strstr(e.text, "free "));
		assert_non_null(strstr(e.text, dir));
		assert_int_equal(left_in_tmp(), 0);
		assert_int_equal(whole("a"), 0);
	}
	iorecord_fail_call(IO_MKDIR, 1, ENOSPC);
	assert_int_equal(put("b/a"), -1);
	assert_int_equal(e.kind, ERR_FULL);
}

static void
a_read_only_disk_is_a_matter_of_permission_and_says_so(void **state)
{
	(void)state;
	read_only = true;
	iorecord_fail_call(IO_MKDIR, 1, EROFS);
	assert_int_equal(put("a"), -1);
	assert_int_equal(e.kind, ERR_PERMISSION);
	assert_non_null(strstr(e.text, "read-only"));
	read_only = false;
	assert_int_equal(put("a"), 1);
	read_only = true;
	iorecord_fail_call(IO_UNLINK, 1, EROFS);
	assert_int_equal(store_del(store, "a", &e), -1);
	assert_int_equal(e.kind, ERR_PERMISSION);
	assert_non_null(strstr(e.text, "read-only"));
	read_only = false;
	iorecord_fail_call(IO_CREATE, 1, EACCES);
	assert_int_equal(put("b"), -1);
	assert_int_equal(e.kind, ERR_PERMISSION);
	assert_non_null(strstr(e.text, "writable"));
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

static void
a_listing_that_may_not_look_everywhere_is_an_error_and_not_short(void **state)
{
	unsigned failed = 0;

	(void)state;
	assert_int_equal(put("a/x"), 1);
	assert_int_equal(put("b/c/x"), 1);
	assert_int_equal(put("d"), 1);
	for (unsigned n = 1;; n++) {
		size_t seen = 0;
		int rc;

		iorecord_fail_call(IO_OPEN_DIR, n, n % 2 == 0 ? EACCES : EIO);
		rc = store_list(store, "", NULL, count_name, &seen, &e);
		if (!iorecord_struck()) {
			assert_int_equal(rc, 0);
			assert_int_equal(seen, 3);
			break;
		}
		assert_int_equal(rc, -1);
		failed++;
	}
	assert_int_equal(failed, 4); /* the root, a, b, b/c */
}

/*
 * What must hold whatever happened to the put of pack/00/b: it is whole or absent, can be put,
 * and others stand.
 */
static void
assert_sound(bool answered)
{
	int there = whole("pack/00/b");

	if (answered)
		assert_int_equal(there, 1);
	assert_int_equal(put("pack/00/b"), there == 1 ? 0 : 1);
	assert_int_equal(whole("pack/00/b"), 1);
	assert_int_equal(whole("pack/01/a"), 1);
}

static void
any_call_may_fail_and_nothing_is_lost_or_torn(void **state)
{
	static const int errors[] = { EIO, ENOSPC, ESTALE };
	bool more = true;
	unsigned n;

	for (n = 1; more; n++) {
		int rc;

		if (n > 1) {
			end(state);
			begin(state);
		}
		assert_int_equal(put("pack/01/a"), 1);
		reopen();
		iorecord_begin(dir);
		iorecord_fail(n, errors[n % ARRAY_LEN(errors)]);
		rc = put("pack/00/b");
		more = iorecord_struck();
		if (!more)
			assert_int_equal(rc, 1);
		iorecord_begin(dir);
		assert_sound(rc == 1);
	}
	assert_true(n > 10);
}

static void
any_call_may_be_the_last_of_a_process(void **state)
{
	bool more = true;
	unsigned n;

	for (n = 1; more; n++) {
		int status;
		pid_t pid;

		if (n > 1) {
			end(state);
			begin(state);
		}
		assert_int_equal(put("pack/01/a"), 1);
		reopen();
		pid = fork();
		if (pid == 0) {
			iorecord_kill(n);
			_exit(put("pack/00/b") == 1 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		more = WIFSIGNALED(status);
		if (!more)
			assert_int_equal(status, 0);
		iorecord_begin(dir);
		assert_sound(!more);
	}
	assert_true(n > 10);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(the_recorder_sees_every_call_of_a_put_in_order),
		TEST(at_every_cut_a_name_has_all_its_bytes_and_its_directories),
		TEST(a_name_that_is_taken_is_made_durable_before_it_is_relied_on),
		TEST(directories_that_a_dead_process_made_are_synced_by_the_next),
		TEST(a_delete_is_durable_when_it_answers),
		TEST(what_is_no_object_is_moved_away_durably),
		TEST(a_failed_sync_is_final_and_its_file_is_gone),
		TEST(a_full_disk_says_how_much_is_free_and_leaves_nothing),
		TEST(a_read_only_disk_is_a_matter_of_permission_and_says_so),
		TEST(a_listing_that_may_not_look_everywhere_is_an_error_and_not_short),
		TEST(any_call_may_fail_and_nothing_is_lost_or_torn),
		TEST(any_call_may_be_the_last_of_a_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
