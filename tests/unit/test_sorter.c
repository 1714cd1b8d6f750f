/* Lines in any order, and where in a list a path is: what a source without an order needs. */
#include "tests/lib/vector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/pathindex.h"
#include "repo/sorter.h"
#include "tests/lib/chance.h"
#include "tests/lib/entrygen.h"
#include "tests/lib/scratch.h"

#define ENTRIES 700

/* A tree: every path with its line, and a number to tell them apart. */
static struct thing {
	char path[400];
	enum entry_type type;
	struct buf line;
} thing[ENTRIES];
static struct err e;

/* Names that sort around the slash, in directories as they come. */
static void
make_tree(uint64_t seed)
{
	static const char odd[] = "-!.0aZ\xc3~";
	struct entry en;

	chance_seed(seed);
	for (size_t i = 0; i < ENTRIES; i++) {
		struct thing *t = &thing[i];
		const struct thing *up = &thing[i == 0 ? 0 : chance_below(i)];

		while (up->type != ENTRY_DIR && i > 0)
			up--;
		if (i == 0)
			strcpy(t->path, ".");
		else
			snprintf(t->path, sizeof(t->path), "%.300s%s%c%zu",
			    up == thing ? "" : up->path, up == thing ? "" : "/",
			    odd[chance_below(sizeof(odd) - 1)], i);
		do
			entrygen_any(&en, t->path);
		while (i == 0 && en.type != ENTRY_DIR);
		if (strlen(t->path) >= 200)
			en.type = ENTRY_FIFO;
		else if (chance_one_in(3))
			en.type = ENTRY_DIR;
		t->type = en.type;
		buf_done(&t->line);
		buf_init(&t->line, SIZE_MAX / 2);
		list_encode(&en, &t->line);
	}
}

static int
by_path(const void *a, const void *b)
{
	const struct thing *x = *(struct thing *const *)a, *y = *(struct thing *const *)b;

	return list_path_order(x->path, strlen(x->path), y->path, strlen(y->path));
}

static void
shuffle(struct thing **of, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = chance_below(i);
		struct thing *swap = of[k];

		of[k] = of[i - 1];
		of[i - 1] = swap;
	}
}

static int
add(struct sorter *s, const struct thing *t)
{
	struct list_reader l;
	const struct entry *en;
	int rc;

	list_reader_init(&l);
	list_reader_set(&l, t->line.data, t->line.len);
	assert_int_equal(list_next(&l, &en, &e), 1);
	rc = sorter_add(s, en, &e);
	list_reader_done(&l);
	return rc;
}

static struct sorter *
filled(struct thing **of, size_t n, const char *dir, size_t bound)
{
	struct sorter *s = sorter_new(dir, bound);

	err_clear(&e);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(add(s, of[i]), 0);
	return s;
}

static int
drain(struct sorter *s, size_t *n)
{
	struct sorter_line l;
	int got;

	for (*n = 0; (got = sorter_next(s, &l, &e)) == 1; (*n)++)
		continue;
	return got;
}

static void
begin_tree(struct thing **of, uint64_t seed)
{
	make_tree(seed);
	for (size_t i = 0; i < ENTRIES; i++)
		of[i] = &thing[i];
}

static void
any_order_comes_back_as_path_order(void **state)
{
	static const size_t bound[] = {32u << 20, 100000, 20000, 1};
	struct thing *of[ENTRIES];
	struct sorter_line l;

	(void)state;
	for (unsigned round = 0; round < 24; round++) {
		struct sorter *s;

		begin_tree(of, round);
		shuffle(of, ENTRIES);
		s = filled(of, ENTRIES, round % 5 ? scratch_dir() : NULL, bound[round % 4]);
		assert_int_equal(sorter_end(s, true, &e), 0);
		qsort(of, ENTRIES, sizeof(*of), by_path);
		for (size_t i = 0; i < ENTRIES; i++) {
			assert_int_equal(sorter_next(s, &l, &e), 1);
			assert_int_equal(l.pathlen, strlen(of[i]->path));
			assert_memory_equal(l.path, of[i]->path, l.pathlen);
			assert_int_equal(l.len, of[i]->line.len);
			assert_memory_equal(l.text, of[i]->line.data, l.len);
		}
		assert_int_equal(sorter_next(s, &l, &e), 0);
		sorter_free(s);
	}
}

static void
a_path_that_comes_twice_is_refused_by_name(void **state)
{
	struct thing *of[ENTRIES + 1];
	char says[500];
	size_t n;

	(void)state;
	for (unsigned round = 0; round < 24; round++) {
		struct thing *twice;
		struct sorter *s;

		begin_tree(of, round);
		twice = of[ENTRIES] = of[chance_below(ENTRIES)];
		shuffle(of, ENTRIES + 1);
		s = filled(of, ENTRIES + 1, scratch_dir(), round % 3 ? 5000 : 32u << 20);
		assert_int_equal(sorter_end(s, round % 2, &e), 0);
		assert_int_equal(drain(s, &n), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		snprintf(says, sizeof(says), "'%s' came twice", twice->path);
		assert_non_null(strstr(e.text, says));
		sorter_free(s);
	}
}

static void
a_path_in_no_directory_is_refused_unless_the_list_is_partial(void **state)
{
	struct thing *of[ENTRIES];
	size_t n;

	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		struct sorter *s;
		size_t gone;
		char says[500];
		bool used = false;

		begin_tree(of, round);
		do
			gone = round % 8 == 0 ? 0 : chance_below(ENTRIES);
		while (thing[gone].type != ENTRY_DIR);
		n = strlen(thing[gone].path);
		for (size_t i = 1; i < ENTRIES; i++)
			used |= gone == 0 || (strncmp(thing[i].path, thing[gone].path, n) == 0 &&
			    thing[i].path[n] == '/');
		/* It is not there, or it is there and no directory. */
		if (round % 2) {
			of[gone] = of[ENTRIES - 1];
		} else {
			struct entry en;

			do
				entrygen_any(&en, thing[gone].path);
			while (en.type == ENTRY_DIR);
			thing[gone].type = en.type;
			buf_reset(&thing[gone].line);
			list_encode(&en, &thing[gone].line);
		}
		for (unsigned whole = 0; whole < 2; whole++) {
			shuffle(of, ENTRIES - round % 2);
			s = filled(of, ENTRIES - round % 2, scratch_dir(), 5000);
			assert_int_equal(sorter_end(s, whole, &e), 0);
			assert_int_equal(drain(s, &n), whole && used ? -1 : 0);
			sorter_free(s);
		}
		if (!used)
			continue;
		assert_int_equal(e.kind, ERR_CORRUPT);
		snprintf(says, sizeof(says), "'%s' did not", thing[gone].path);
		assert_non_null(strstr(e.text, says));
	}
}

static void
a_list_without_anything_has_no_root(void **state)
{
	struct sorter *s = sorter_new(NULL, 100);
	size_t n;

	(void)state;
	assert_int_equal(sorter_end(s, true, &e), 0);
	assert_int_equal(drain(s, &n), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	sorter_free(s);
	s = sorter_new(NULL, 100);
	assert_int_equal(sorter_end(s, false, &e), 0);
	assert_int_equal(drain(s, &n), 0);
	sorter_free(s);
}

static void
a_directory_for_the_lines_that_is_not_there_is_told(void **state)
{
	struct sorter *s = sorter_new("/nowhere/at all", 1);

	(void)state;
	make_tree(1);
	assert_int_equal(add(s, &thing[0]), 0);
	assert_int_equal(add(s, &thing[1]), -1);
	assert_int_equal(e.kind, ERR_NOTFOUND);
	assert_non_null(strstr(e.text, "/nowhere/at all"));
	sorter_free(s);
}

static void
an_index_names_the_place_of_every_path(void **state)
{
	const uint32_t paths = 200000;
	struct pathindex *x = pathindex_new(paths);
	struct pathindex_walk w;
	size_t vain = 0;
	char path[40];

	(void)state;
	for (uint32_t i = 0; i < paths; i++) {
		snprintf(path, sizeof(path), "base/%u/%u", i % 7, 16384 + i);
		assert_true(pathindex_add(x, path, strlen(path), i / 1000, i % 1000));
	}
	assert_false(pathindex_add(x, "more", 4, 0, 0));
	for (uint32_t i = 0; i < 2 * paths; i++) {
		bool found = false;

		snprintf(path, sizeof(path), "base/%u/%u", i % 7, 16384 + i);
		w = pathindex_look(x, path, strlen(path));
		while (pathindex_next(x, &w)) {
			if (i < paths && w.chunk == i / 1000 && w.off == i % 1000)
				found = true;
			else
				vain++;
		}
		assert_int_equal(found, i < paths);
	}
	assert_in_range(vain, 0, paths / 1000);
	pathindex_free(x);
}

static int
forget(void **state)
{
	(void)state;
	for (size_t i = 0; i < ENTRIES; i++)
		buf_done(&thing[i].line);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_order_comes_back_as_path_order),
	    cmocka_unit_test(a_path_that_comes_twice_is_refused_by_name),
	    cmocka_unit_test(a_path_in_no_directory_is_refused_unless_the_list_is_partial),
	    cmocka_unit_test(a_list_without_anything_has_no_root),
	    cmocka_unit_test(a_directory_for_the_lines_that_is_not_there_is_told),
	    cmocka_unit_test(an_index_names_the_place_of_every_path),
	};

	return cmocka_run_group_tests_name("sorter", tests, NULL, forget);
}
