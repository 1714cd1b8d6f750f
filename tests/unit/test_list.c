#include "tests/lib/vector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/list.h"
#include "tests/lib/chance.h"
#include "tests/lib/entrygen.h"

static struct list_reader reader;
static struct buf text, again;
static struct err e;

static int
begin(void **state)
{
	(void)state;
	chance_seed(12);
	list_reader_init(&reader);
	buf_init(&text, 64u << 20);
	buf_init(&again, 64u << 20);
	err_clear(&e);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	list_reader_done(&reader);
	buf_done(&text);
	buf_done(&again);
	return 0;
}

static void
any_entry_comes_back_as_it_was_written(void **state)
{
	const struct entry *got = NULL;
	struct entry en, *copy;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		uint8_t *exact;

		entrygen_any(&en, NULL);
		copy = list_entry_copy(&en);
		entrygen_assert_same(&en, copy);
		buf_reset(&text);
		list_encode(copy, &text);
		exact = xmemdup(text.data, text.len); /* so that a byte too many is seen */
		list_reader_set(&reader, exact, text.len);
		if (list_next(&reader, &got, &e) != 1)
			fail_msg("%s: %s", e.text, buf_str(&text));
		entrygen_assert_same(copy, got);
		assert_int_equal(list_next(&reader, &got, &e), 0);
		free(exact);
		free(copy);
	}
}

static void
many_entries_come_back_in_order_from_one_text(void **state)
{
	const struct entry *got;
	struct entry *copy[200];

	(void)state;
	for (size_t i = 0; i < 200; i++) {
		struct entry en;

		entrygen_any(&en, NULL);
		copy[i] = list_entry_copy(&en);
		list_encode(copy[i], &text);
	}
	list_reader_set(&reader, text.data, text.len);
	for (size_t i = 0; i < 200; i++) {
		assert_int_equal(list_next(&reader, &got, &e), 1);
		entrygen_assert_same(copy[i], got);
		free(copy[i]);
	}
	assert_int_equal(list_next(&reader, &got, &e), 0);
}

static void
every_changed_byte_is_refused_or_read_the_same_again(void **state)
{
	const struct entry *got;
	struct entry en, *copy;

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		entrygen_any(&en, NULL);
		buf_reset(&text);
		list_encode(&en, &text);
		for (size_t k = 0; k < text.len; k++) {
			static const char put[] = {' ', '\n', '0',  '-', 'x',	    'f',
						   '.', ',',  '\\', 0,	 (char)0xff};
			uint8_t was = text.data[k];

			text.data[k] = (uint8_t)put[chance_below(sizeof(put))];
			list_reader_set(&reader, text.data, text.len);
			while (list_next(&reader, &got, &e) == 1) {
				struct list_reader other;
				const struct entry *back;

				copy = list_entry_copy(got);
				buf_reset(&again);
				list_encode(copy, &again);
				list_reader_init(&other);
				list_reader_set(&other, again.data, again.len);
				assert_int_equal(list_next(&other, &back, &e), 1);
				entrygen_assert_same(copy, back);
				list_reader_done(&other);
				free(copy);
			}
			text.data[k] = was;
		}
	}
}

static void
lines_that_are_no_entries_are_refused_with_their_number(void **state)
{
	static const char good[] = "d 0755 0 0 0.000000000 0.000000000 1:2 0 a\n";
	static const char *const bad[] = {
	    "",
	    "d",
	    "d 0755 0 0 0.000000000 0.000000000 1:2 0 ",
	    "d 0755 0 0 0.000000000 0.000000000 1:2 0",
	    "d 755 0 0 0.000000000 0.000000000 1:2 0 a",
	    "d 0785 0 0 0.000000000 0.000000000 1:2 0 a",
	    "d 0755 4294967296 0 0.000000000 0.000000000 1:2 0 a",
	    "d 0755 0 0 0.00000000 0.000000000 1:2 0 a",
	    "d 0755 0 0 9223372036854775808.000000000 0.000000000 1:2 0 a",
	    "d 0755 0 0 -9223372036854775809.000000000 0.000000000 1:2 0 a",
	    "d 0755 0 0 0.000000000 0.000000000 1:2 0 a b",
	    "d 0755 0 0 0.000000000 0.000000000 1:2 0 \\x41",
	    "q 0755 0 0 0.000000000 0.000000000 1:2 0 a",
	    "f 0644 0 0 0.000000000 0.000000000 1:2 0 5 17 - - - - a",
	    "f 0644 0 0 0.000000000 0.000000000 1:2 0 5 17 - g1.2.3 1:1 a",
	    "f 0644 0 0 0.000000000 0.000000000 1:2 0 0 17 0123456789abcdef01234567 g1.2.3 1:1 a",
	    "f 0644 0 0 0.000000000 0.000000000 1:2 0 131073 17 0123456789abcdef01234567 g1.2.3 "
	    "1:1 a",
	    "f 0644 0 0 0.000000000 0.000000000 1:2 0 5 17 0123456789abcdef01234567 - - a",
	    "f 0644 0 0 0.000000000 0.000000000 1:2 0 5 17 0123456789abcdef01234567 m- - a",
	    "f 0644 0 0 0.000000000 0.000000000 1:2 0 1073741825 17 0123456789abcdef01234567 m- - "
	    "a",
	    "f 0644 0 0 0.000000000 0.000000000 1:2 0 5 17 0123456789abcdef01234567 g1.2 1:1 a",
	    "f 0644 0 0 0.000000000 0.000000000 1:2 0 5 17 0123456789abcdef01234567 g1.65536.3 1:1 "
	    "a",
	    "f 0644 0 0 0.000000000 0.000000000 1:2 0 5 17 0123456789abcdef01234567 g1.2.3 1 a",
	    "f 0644 0 0 0.000000000 0.000000000 1:2 0 5 17 0123456789abcdef01234567 g1.2.3 1:1, a",
	    "l 0777 0 0 0.000000000 0.000000000 1:2 0 a",
	    "c 0600 0 0 0.000000000 0.000000000 1:2 0 1 a",
	    "d 0755 0 0 0.000000000 0.000000000 1:2 0 a\nx user.a Q",
	    "d 0755 0 0 0.000000000 0.000000000 1:2 0 a\nx \\- QQ==",
	    "d 0755 0 0 0.000000000 0.000000000 1:2 0 a\nx user.a",
	};
	const struct entry *got;
	char place[40];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		size_t lines = 2;

		buf_reset(&text);
		buf_adds(&text, good);
		buf_adds(&text, bad[i]);
		buf_addc(&text, '\n');
		list_reader_set(&reader, text.data, text.len);
		assert_int_equal(list_next(&reader, &got, &e), 1);
		if (list_next(&reader, &got, &e) != -1)
			fail_msg("taken for an entry: %s", bad[i]);
		assert_int_equal(e.kind, ERR_CORRUPT);
		lines += strchr(bad[i], '\n') != NULL;
		snprintf(place, sizeof(place), "line %zu ", lines);
		/*
		 * 'x' lines right after an entry are its attributes: then it is that entry's fault.
		 */
		if (!strstr(e.text, place))
			fail_msg("'%s' does not name line %zu", e.text, lines);
	}
	list_reader_set(&reader, good, strlen(good) - 1);
	assert_int_equal(list_next(&reader, &got, &e), -1);
	list_reader_set(&reader, "x user.a QQ==\n", 14); /* of no entry */
	assert_int_equal(list_next(&reader, &got, &e), -1);
}

static int
sign(int n)
{
	return (n > 0) - (n < 0);
}

static void
path_order_is_a_total_order(void **state)
{
	char path[60][600];
	size_t len[60];

	(void)state;
	memcpy(path[0], ".", 2);
	len[0] = 1;
	for (size_t i = 1; i < 60; i++) {
		struct entry en;

		do
			entrygen_any(&en, NULL);
		while (en.pathlen > 12 || en.path[en.pathlen - 1] == '/');
		memcpy(path[i], en.path, en.pathlen);
		len[i] = en.pathlen;
	}
	for (size_t i = 0; i < 60; i++) {
		for (size_t k = 0; k < 60; k++) {
			int order = sign(list_path_order(path[i], len[i], path[k], len[k]));
			bool same = len[i] == len[k] && memcmp(path[i], path[k], len[i]) == 0;

			assert_int_equal(order,
					 -sign(list_path_order(path[k], len[k], path[i], len[i])));
			assert_int_equal(order == 0, same);
			for (size_t l = 0; l < 60; l++)
				if (order <= 0 &&
				    list_path_order(path[k], len[k], path[l], len[l]) <= 0)
					assert_true(
					    list_path_order(path[i], len[i], path[l], len[l]) <= 0);
		}
		assert_true(i == 0 || list_path_order(path[0], 1, path[i], len[i]) < 0);
	}
}

static void
path_order_is_that_of_a_walk(void **state)
{
	/*
	 * Names in byte order, a directory before what is in it, and all of that before its
	 * neighbours.
	 */
	static const char *const walk[] = {
	    ".",   "a",	    "a/\x01", "a/b", "a/b/c", "a/b ", "a/b.c",	  "a/bb", "a\x01", "a b",
	    "a.b", "a.b/c", "a0",     "aa",  "aa/b",  "b",    "\xc3\xa4", "\xff", "\xff/a"};

	(void)state;
	for (size_t i = 0; i + 1 < ARRAY_LEN(walk); i++)
		for (size_t k = i + 1; k < ARRAY_LEN(walk); k++)
			if (list_path_order(walk[i], strlen(walk[i]), walk[k], strlen(walk[k])) >=
			    0)
				fail_msg("'%s' does not come before '%s'", walk[i], walk[k]);
}

/* The paths after which a list of these paths is cut. */
static size_t
cuts(size_t paths, size_t line, size_t skip, char (*out)[24])
{
	size_t n = 0, len = 0;

	for (size_t i = 0; i < paths; i++) {
		char path[24];

		if (i == skip)
			continue;
		snprintf(path, sizeof(path), "p%06zu", i);
		len += line;
		if (list_cut_after(path, strlen(path), len)) {
			memcpy(out[n++], path, sizeof(path));
			assert_true(len >= LIST_CHUNK_MIN);
			assert_true(len < LIST_CHUNK_MAX + line);
			len = 0;
		}
	}
	return n;
}

static void
after_a_new_file_the_cuts_soon_fall_together_again(void **state)
{
	static char with[3000][24], without[3000][24];
	size_t n = cuts(60000, 100, SIZE_MAX, with), sum = 0;

	(void)state;
	assert_true(n > 60);
	for (size_t i = 0; i < 50; i++) {
		size_t m = cuts(60000, 100, 5000 + i * 1000, without), same = 0;

		for (size_t k = 0; k < m; k++)
			for (size_t l = 0; l < n; l++)
				same += strcmp(with[l], without[k]) == 0;
		sum += m - same;
	}
	/*
	 * Two chunks on average, as the least length is long against the places that may end a
	 * chunk.
	 */
	assert_true(sum < 50 * 3);
}

static void
nothing_is_cut_below_the_least_length_and_everything_above_the_most(void **state)
{
	unsigned cut = 0;

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		char path[24];

		snprintf(path, sizeof(path), "%u", i);
		assert_false(list_cut_after(path, strlen(path), LIST_CHUNK_MIN - 1));
		assert_true(list_cut_after(path, strlen(path), LIST_CHUNK_MAX));
		cut += list_cut_after(path, strlen(path), LIST_CHUNK_MIN);
		assert_int_equal(list_cut_after(path, strlen(path), LIST_CHUNK_MIN),
				 list_cut_after(path, strlen(path), LIST_CHUNK_MAX - 1));
	}
	/* One in sixteen: 250. */
	assert_true(cut > 170 && cut < 340);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(any_entry_comes_back_as_it_was_written),
	    T(many_entries_come_back_in_order_from_one_text),
	    T(every_changed_byte_is_refused_or_read_the_same_again),
	    T(lines_that_are_no_entries_are_refused_with_their_number),
	    T(path_order_is_a_total_order),
	    T(path_order_is_that_of_a_walk),
	    T(after_a_new_file_the_cuts_soon_fall_together_again),
	    T(nothing_is_cut_below_the_least_length_and_everything_above_the_most),
	};

	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
