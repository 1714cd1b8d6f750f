/*
 * What servers as sources need of the writer: entries in their own order, files that workers load,
 * grains of a page.
 */
#include "tests/lib/testrepo.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/reader.h"
#include "repo/snapshot.h"
#include "tests/lib/chance.h"
#include "tests/lib/memstore.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vector.h"

#define MOST 400

/* An entry to be written: a file of the set, or a directory. */
struct item {
	char path[40];
	const struct fileset_file *file;
};

/* How a file is loaded, and what its loader heard. */
struct tape {
	const struct fileset_file *file;
	uint64_t ends; /* it is shorter by now */
	bool pad, touched; /* its done changes the entry */
	unsigned told, lost;
	struct writer_loaded got;
};

static struct testrepo t;
static struct manifest m;
static struct err e;
static struct item item[MOST];
static size_t items;
static struct tape tape[MOST];
static atomic_uint calls;
static unsigned fail_at; /* call of load; 0: never */

static int
begin(void **state)
{
	(void)state;
	chance_seed(9);
	testrepo_begin(&t, 1, true);
	manifest_init(&m);
	err_clear(&e);
	t.options.any_order = true;
	t.options.spill_dir = scratch_dir();
	fail_at = 0;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	manifest_done(&m);
	testrepo_done(&t);
	return 0;
}

static int
by_path(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return list_path_order(x->path, strlen(x->path), y->path, strlen(y->path));
}

static void
add_item(const char *path, size_t n, const struct fileset_file *f)
{
	for (size_t i = 0; i < items; i++)
		if (strlen(item[i].path) == n && memcmp(item[i].path, path, n) == 0)
			return;
	assert_true(items < MOST);
	snprintf(item[items].path, sizeof(item->path), "%.*s", (int)n, path);
	item[items++].file = f;
}

/* The files of the set and all directories above them, in path order or in none. */
static void
make_items(bool in_order)
{
	items = 0;
	add_item(".", 1, NULL);
	for (size_t i = 0; i < t.set.count; i++) {
		const char *path = t.set.file[i].path;

		for (const char *p = path; (p = strchr(p, '/')); p++)
			add_item(path, (size_t)(p - path), NULL);
		add_item(path, strlen(path), &t.set.file[i]);
	}
	if (in_order) {
		qsort(item, items, sizeof(*item), by_path);
		return;
	}
	for (size_t i = items; i > 1; i--) {
		size_t k = chance_below(i);
		struct item swap = item[k];

		item[k] = item[i - 1];
		item[i - 1] = swap;
	}
}

static ssize_t
load(void *arg, uint64_t off, void *buf, size_t n, struct err *why)
{
	const struct tape *tp = arg;

	if (atomic_fetch_add(&calls, 1) + 1 == fail_at)
		return err_set(why, ERR_IO, "'%s' is torn", tp->file->path);
	if (off >= tp->ends)
		return 0;
	if (n > tp->ends - off)
		n = (size_t)(tp->ends - off);
	fileset_bytes(tp->file, off, buf, n);
	return (ssize_t)n;
}

static void
told(void *arg, struct entry *meta, const struct writer_loaded *got)
{
	struct tape *tp = arg;

	tp->told++;
	tp->lost += meta == NULL;
	tp->got = *got;
	if (!meta)
		return;
	assert_int_equal(meta->size, got->bytes + got->padded);
	if (!tp->touched)
		return;
	meta->note |= ENTRY_CHANGED;
	meta->mtime_s = 77;
}

static int
write_item(struct writer *w, struct item *it, struct tape *tp)
{
	struct entry meta = {.type = it->file ? ENTRY_FILE : ENTRY_DIR,
	    .path = it->path, .pathlen = strlen(it->path), .mode = 0700};
	struct writer_loader l = {.load = load, .done = told, .arg = tp, .pad = tp->pad};
	const struct entry *was;

	if (it->file) {
		meta.size = it->file->size;
		meta.ino = it->file->ino;
		meta.grain_log2 = it->file->ino % 3 == 0 ? 0 : LAYOUT_GRAIN_PAGE_LOG2;
	}
	if (writer_begin(w, &meta, &was, &e) == -1)
		return -1;
	tp->told = tp->lost = 0;
	tp->file = it->file;
	if (it->file && writer_load(w, it->file->size, &l, &e) == -1)
		return -1;
	return writer_end(w, &meta, &e);
}

/* All items, then the commit; *done: how many were begun. */
static int
try_write(bool partial, size_t *done)
{
	struct writer *w = NULL;
	int rc = 0;

	manifest_done(&m);
	atomic_store(&calls, 0);
	assert_int_equal(writer_open_snapshot(t.kit.repo, &t.kit.tier[0], &t.options, &w, &e), 0);
	for (*done = 0; rc == 0 && *done < items; (*done)++)
		rc = write_item(w, &item[*done], &tape[*done]);
	if (rc == 0)
		rc = writer_commit(w, partial, &m, &e);
	writer_free(w);
	return rc;
}

/* Nothing special of any file. */
static void
plain_tapes(void)
{
	for (size_t i = 0; i < MOST; i++)
		tape[i] = (struct tape){.ends = UINT64_MAX};
}

static void
snapshot(bool any_order)
{
	size_t done;

	t.options.any_order = any_order;
	t.options.workers = (unsigned)chance_below(3);
	t.options.spill_above = chance_one_in(2) ? 600 : 0;
	make_items(!any_order);
	plain_tapes();
	if (try_write(false, &done) == -1)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < items; i++) {
		assert_int_equal(tape[i].told, item[i].file != NULL);
		assert_int_equal(tape[i].lost, 0);
	}
	testrepo_check(&t, 0, m.name, &t.set, t.options.workers);
	fileset_settle(&t.set);
}

/* All of the list of m. */
static void
list_text(struct buf *out)
{
	struct reader *r = NULL;
	const char *text;
	size_t n;

	buf_init(out, SIZE_MAX / 2);
	assert_int_equal(reader_open(t.kit.repo, &t.kit.tier[0], m.name, &r, &e), 0);
	for (size_t i = 0; i < reader_chunks(r); i++) {
		assert_int_equal(reader_chunk(r, i, &text, &n, &e), 0);
		buf_add(out, text, n);
	}
	reader_free(r);
}

static void
any_order_makes_the_list_of_path_order_and_finds_its_parent(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		struct buf first, same;

		fileset_stir(&t.set);
		if (round == 3)
			fileset_add(&t.set, "base/1/16384", 3u << 20);
		snapshot(true);
		/* Anew, so that nothing is so little wanted that the next one gives it up. */
		t.options.no_parent = true;
		snapshot(true);
		t.options.no_parent = false;
		list_text(&first);
		for (unsigned i = 0; i < 3; i++) {
			snapshot(i == 1);
			assert_int_equal(m.stored_new, 0);
			assert_int_equal(m.changed_files, 0);
			list_text(&same);
			assert_int_equal(first.len, same.len);
			assert_memory_equal(first.data, same.data, first.len);
			buf_done(&same);
		}
		buf_done(&first);
	}
}

static void
a_page_that_changed_costs_a_page(void **state)
{
	struct fileset_file *f;

	(void)state;
	while (t.set.next_ino % 3 != 1)
		t.set.next_ino++;
	f = fileset_add(&t.set, "base/1/1", 4u << 20);
	assert_int_not_equal(f->ino % 3, 0);
	snapshot(true);
	for (unsigned i = 0; i < 3; i++) {
		f = fileset_find(&t.set, "base/1/1");
		fileset_write(&t.set, f, chance_below(512), 1, false);
		snapshot(true);
		assert_in_range(m.stored_new, 4000, 8192 + 2000);
	}
}

static size_t
snapshots(void)
{
	struct snapshot_list l = {0};
	size_t n;

	assert_int_equal(snapshot_list(t.kit.tier[0].store, "vol.test", &l, &e), 0);
	n = l.count;
	snapshot_list_done(&l);
	return n;
}

static void
a_list_that_could_not_be_restored_is_not_committed(void **state)
{
	size_t done;

	(void)state;
	plain_tapes();
	fileset_add(&t.set, "base/1/2", 10);
	make_items(false);
	item[items] = item[chance_below(items)];
	items++;
	assert_int_equal(try_write(false, &done), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, item[items - 1].path));
	assert_int_equal(try_write(true, &done), -1);
	make_items(true);
	assert_string_equal(item[2].path, "base");
	item[2] = item[--items];
	assert_int_equal(try_write(false, &done), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "'base' did not"));
	assert_int_equal(snapshots(), 0);
	/* A partial one is never restored. */
	assert_int_equal(try_write(true, &done), 0);
	assert_int_equal(snapshots(), 1);
	/* And gives the next its contents. */
	make_items(false);
	assert_int_equal(try_write(false, &done), 0);
	assert_int_equal(m.stored_new, 0);
	testrepo_check(&t, 0, m.name, &t.set, 0);
}

static void
a_file_that_shrank_is_told_and_ends_there_or_is_padded(void **state)
{
	struct reader *r = NULL;
	const struct entry *en;
	size_t done;

	(void)state;
	for (unsigned pad = 0; pad < 2; pad++) {
		struct tape *tp = &tape[1];

		fileset_resize(&t.set, fileset_find(&t.set, "a"), 3000000, false);
		make_items(true);
		plain_tapes();
		assert_ptr_equal(item[1].file, fileset_find(&t.set, "a"));
		tp->ends = 2500000;
		tp->pad = pad;
		tp->touched = true;
		t.options.workers = pad * 2;
		assert_int_equal(try_write(false, &done), 0);
		assert_int_equal(tp->told, 1);
		assert_int_equal(tp->lost, 0);
		assert_int_equal(tp->got.bytes, 2500000);
		assert_int_equal(tp->got.padded, pad ? 500000 : 0);
		assert_int_equal(tp->got.cut_short, !pad);
		assert_int_equal(reader_open(t.kit.repo, &t.kit.tier[0], m.name, &r, &e), 0);
		assert_int_equal(reader_find(r, "a", 1, &en, &e), 1);
		assert_int_equal(en->size, pad ? 3000000 : 2500000);
		assert_int_equal(en->note, ENTRY_CHANGED);
		assert_int_equal(en->mtime_s, 77);
		reader_free(r);
	}
	/* What was padded are zeros: the same bytes as of a file that has zeros there. */
	fileset_write(&t.set, fileset_find(&t.set, "a"), 2500000 / FILESET_CELL + 1, 1000, true);
	fileset_resize(&t.set, fileset_find(&t.set, "a"), 2500000, false);
	make_items(true);
	plain_tapes();
	assert_int_equal(try_write(false, &done), 0);
	testrepo_check(&t, 0, m.name, &t.set, 0);
}

static void
a_load_that_fails_ends_the_run_and_every_loader_is_told_once(void **state)
{
	unsigned all;
	size_t done;

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		char path[20];

		snprintf(path, sizeof(path), "b/%u", i);
		fileset_add(&t.set, path, i % 3 ? chance_below(20000) : 1500000);
	}
	make_items(false);
	plain_tapes();
	assert_int_equal(try_write(true, &done), 0);
	all = atomic_load(&calls);
	assert_in_range(all, 13, 30);
	for (fail_at = 1; fail_at <= all; fail_at++) {
		size_t files = 0;

		t.options.workers = fail_at % 3;
		make_items(false);
		plain_tapes();
		assert_int_equal(try_write(false, &done), -1);
		assert_int_equal(e.kind, ERR_IO);
		assert_non_null(strstr(e.text, "is torn"));
		for (size_t i = 0; i < done; i++) {
			assert_int_equal(tape[i].told, item[i].file != NULL);
			files += tape[i].lost;
		}
		assert_true(files > 0);
	}
	assert_int_equal(snapshots(), 1);
}

static void
grains_that_no_map_can_tell_of_are_refused(void **state)
{
	struct entry meta = {.type = ENTRY_FILE, .path = "x", .pathlen = 1, .grain_log2 = 18};
	const struct entry *was;
	struct writer *w = NULL;

	(void)state;
	assert_int_equal(writer_open_snapshot(t.kit.repo, &t.kit.tier[0], &t.options, &w, &e), 0);
	assert_int_equal(writer_begin(w, &meta, &was, &e), -1);
	assert_int_equal(e.kind, ERR_BUG);
	meta.grain_log2 = 12;
	assert_int_equal(writer_begin(w, &meta, &was, &e), -1);
	writer_free(w);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(any_order_makes_the_list_of_path_order_and_finds_its_parent),
	    T(a_page_that_changed_costs_a_page),
	    T(a_list_that_could_not_be_restored_is_not_committed),
	    T(a_file_that_shrank_is_told_and_ends_there_or_is_padded),
	    T(a_load_that_fails_ends_the_run_and_every_loader_is_told_once),
	    T(grains_that_no_map_can_tell_of_are_refused),
	};

	return cmocka_run_group_tests_name("any_order", tests, NULL, NULL);
}
