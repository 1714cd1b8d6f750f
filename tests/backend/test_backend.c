/*
 * What store.h promises, asked of every storage backend. A backend gets a row in `backends`
 * below; what only one of them has (links, permissions, a full disk) has a program of its own.
 */
#include "tests/lib/vector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"
#include "tests/lib/memstore.h"
#include "tests/lib/race.h"
#include "tests/lib/s3place.h"
#include "tests/lib/scratch.h"

struct backend {
	const char *name;
	/*
	 * A new, empty place; returns its url, malloced, or NULL where opening is by again()
	 * alone.
	 */
	char *(*place)(void);
	/* Opens the place of the other handle (NULL: a new one) for another user of it. */
	struct store *(*again)(struct store *other);
	bool processes; /* other processes may open the url as well */
	bool single;	/* has one writer at a time */
	const char *driver;
	const char *(*missing)(void); /* why it cannot be asked here, or NULL; may be NULL */
};

static char *
fs_place(void)
{
	return xasprintf("file://%s", scratch_dir());
}

static struct store *
mem_again(struct store *other)
{
	return other == NULL ? memstore_new() : memstore_share(other);
}

static const struct backend backends[] = {
	{ .name = "fs", .place = fs_place, .processes = true },
	{ .name = "memory", .again = mem_again },
	{ .name = "s3", .place = s3place_url, .processes = true, .missing = s3place_missing },
	{ .name = "libs3", .place = s3place_url, .processes = true, .single = true,
	    .driver = "libs3", .missing = s3place_old_missing },
};

static const struct backend *backend; /* whose turn it is */
static struct store *store;
static char *url;
static struct err e;

static struct store *
open_url(void)
{
	struct store_options o = s3place_options(url, backend->driver);
	struct store *s = NULL;

	assert_int_equal(store_open(&o, &s, &e), 0);
	return s;
}

static struct store *
another(void)
{
	return url == NULL ? backend->again(store) : open_url();
}

static int
begin(void **state)
{
	(void)state;
	err_clear(&e);
	url = backend->place == NULL ? NULL : backend->place();
	store = url == NULL ? backend->again(NULL) : open_url();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	store_close(store);
	store = NULL;
	free(url);
	return 0;
}

static void
put(const char *name, const char *bytes)
{
	assert_int_equal(store_put(store, name, bytes, strlen(bytes), STORE_NEW, &e), 1);
}

static void
assert_holds(struct store *s, const char *name, const char *bytes)
{
	struct buf out;

	buf_init(&out, 1000);
	assert_int_equal(store_get(s, name, &out, &e), 0);
	assert_string_equal(buf_str(&out), bytes);
	buf_done(&out);
}

static void
an_object_reads_back_whole_and_in_exact_ranges(void **state)
{
	struct buf out;

	(void)state;
	put("pack/00/abc", "0123456789");
	assert_holds(store, "pack/00/abc", "0123456789");
	buf_init(&out, 100);
	buf_adds(&out, "<");
	assert_int_equal(store_get_range(store, "pack/00/abc", 0, 1, &out, &e), 0);
	assert_int_equal(store_get_range(store, "pack/00/abc", 4, 3, &out, &e), 0);
	assert_int_equal(store_get_range(store, "pack/00/abc", 9, 1, &out, &e), 0);
	assert_int_equal(store_get_range(store, "pack/00/abc", 7, 0, &out, &e), 0);
	assert_int_equal(store_get_range(store, "pack/00/abc", 0, 10, &out, &e), 0);
	assert_string_equal(buf_str(&out), "<04569789" "0123456789");
	buf_done(&out);
}

static void
a_range_beyond_the_end_is_damage_and_gives_nothing(void **state)
{
	struct buf out;

	(void)state;
	put("a", "0123456789");
	buf_init(&out, 100);
	assert_int_equal(store_get_range(store, "a", 8, 3, &out, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(store_get_range(store, "a", 11, 1, &out, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(store_get_range(store, "a", 5, UINT64_MAX - 2, &out, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(out.len, 0);
	buf_done(&out);
}

static void
objects_of_no_bytes_and_of_many_are_objects(void **state)
{
	size_t large = 33u << 20;
	uint8_t *bytes = xmalloc(large);
	struct store_stat st;
	struct buf out;

	(void)state;
	put("empty", "");
	assert_holds(store, "empty", "");
	assert_int_equal(store_stat(store, "empty", &st, &e), 1);
	assert_int_equal(st.size, 0);
	vector_noise(bytes, large, 5);
	assert_int_equal(store_put(store, "large", bytes, large, STORE_NEW, &e), 1);
	buf_init(&out, large);
	assert_int_equal(store_get(store, "large", &out, &e), 0);
	assert_int_equal(out.len, large);
	assert_memory_equal(out.data, bytes, large);
	buf_done(&out);
	free(bytes);
}

static void
what_is_not_there_is_not_found(void **state)
{
	struct store_stat st;
	struct buf out;

	(void)state;
	put("a/b", "x");
	buf_init(&out, 100);
	for (int i = 0; i < 2; i++) {
		const char *name = i == 0 ? "a/c" : "z/z/z";

		assert_int_equal(store_get(store, name, &out, &e), -1);
		assert_int_equal(e.kind, ERR_NOTFOUND);
		assert_non_null(strstr(e.text, name));
		assert_int_equal(store_stat(store, name, &st, &e), 0);
		assert_int_equal(store_del(store, name, &e), 0);
	}
	assert_int_equal(store_get(store, "a", &out, &e), -1); /* other names begin with it */
	assert_int_equal(e.kind, ERR_NOTFOUND);
	assert_int_equal(store_stat(store, "a", &st, &e), 0);
	buf_done(&out);
}

static void
a_taken_name_is_never_replaced_by_a_new_object(void **state)
{
	(void)state;
	put("a", "first");
	assert_int_equal(store_put(store, "a", "second one", 10, STORE_NEW, &e), 0);
	assert_int_equal(store_put(store, "a", "first", 5, STORE_NEW, &e), 0);
	assert_holds(store, "a", "first");
}

static void
a_beat_replaces_the_one_before(void **state)
{
	(void)state;
	assert_int_equal(store_put(store, "beat/x", "one", 3, STORE_REPLACE, &e), 1);
	assert_int_equal(store_put(store, "beat/x", "number two", 10, STORE_REPLACE, &e), 1);
	assert_holds(store, "beat/x", "number two");
	assert_int_equal(store_put(store, "beat/x", "", 0, STORE_REPLACE, &e), 1);
	assert_holds(store, "beat/x", "");
}

static void
a_deleted_object_is_gone_and_its_name_is_free(void **state)
{
	struct store_stat st;

	(void)state;
	put("pack/00/a", "x");
	put("pack/00/b", "y");
	assert_int_equal(store_del(store, "pack/00/a", &e), 1);
	assert_int_equal(store_stat(store, "pack/00/a", &st, &e), 0);
	assert_int_equal(store_del(store, "pack/00/a", &e), 0);
	assert_holds(store, "pack/00/b", "y");
	put("pack/00/a", "again");
	assert_holds(store, "pack/00/a", "again");
}

static void
an_object_bears_the_time_of_its_put_by_the_clock_of_the_store(void **state)
{
	struct store_stat st;
	int64_t before, after, lately;

	(void)state;
	assert_int_equal(store_clock(store, &before, &e), 0);
	put("a", "bytes");
	assert_int_equal(store_clock(store, &after, &e), 0);
	assert_int_equal(store_stat(store, "a", &st, &e), 1);
	assert_int_equal(st.size, 5);
	/* A store may count in seconds. */
	assert_true(st.time_ns > before - CLOCK_S);
	assert_true(st.time_ns < after + 2 * CLOCK_S);
	assert_true(before <= after);
	/* What it told by the way is never ahead of it, and hardly behind. */
	assert_int_equal(store_clock_lately(store, &lately, &e), 0);
	assert_int_equal(store_clock(store, &after, &e), 0);
	assert_true(before <= lately && lately <= after && after - lately < 5 * CLOCK_S);
}

/* However often it is asked: what it tells is never ahead, and with what may be missing never behind. */
static void
a_clock_says_between_what_it_is(void **state)
{
	int64_t least = INT64_MIN, most = INT64_MAX, now, blur, boot;

	(void)state;
	for (int i = 0; i < 25; i++) {
		assert_int_equal(store_clock_within(store, &now, &blur, &e), 0);
		boot = clock_boot_ns();
		least = now - boot > least ? now - boot : least;
		most = now + blur - boot < most ? now + blur - boot : most;
		clock_sleep_ns(CLOCK_S / 20);
	}
	/* By the time between the two looks at our own clock. */
	assert_true(least <= most + CLOCK_S / 20);
}

struct seen {
	char **name;
	size_t count;
	size_t room;
	size_t stop_at;
	bool stats; /* compare with stat as well */
};

static int
note(void *arg, const struct store_entry *entry, struct err *err)
{
	struct seen *s = arg;
	struct store_stat st;

	if (s->stop_at > 0 && s->count == s->stop_at)
		return err_set(err, ERR_CANCELLED, "enough");
	s->name = mem_grow(s->name, &s->room, s->count + 1, sizeof(*s->name));
	s->name[s->count++] = xstrdup(entry->name);
	if (s->stats) {
		assert_int_equal(store_stat(store, entry->name, &st, err), 1);
		assert_int_equal(entry->size, st.size);
		assert_int_equal(entry->time_ns, st.time_ns);
	}
	return 0;
}

static void
seen_done(struct seen *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->name[i]);
	free(s->name);
	*s = (struct seen){ 0 };
}

static void
assert_lists(const char *prefix, const char *after, const char *expected)
{
	struct seen s = { .stats = true };
	struct buf all;

	buf_init(&all, 10000);
	assert_int_equal(store_list(store, prefix, after, note, &s, &e), 0);
	for (size_t i = 0; i < s.count; i++)
		buf_addf(&all, "%s ", s.name[i]);
	assert_string_equal(buf_str(&all), expected);
	buf_done(&all);
	seen_done(&s);
}

static void
a_listing_is_in_the_byte_order_of_whole_names(void **state)
{
	(void)state;
	assert_lists("", NULL, "");
	put("a/b", "1");
	put("a-b", "22");
	put("a.b", "333");
	put("a0", "4444");
	put("a/b.c/d", "55555");
	put("a/b-c", "6");
	put("a/b0/c", "7");
	put("A", "8");
	put("b/c/d/e/f", "9");
	put("_", "");
	assert_lists("", NULL,
	    "A _ a-b a.b a/b a/b-c a/b.c/d a/b0/c a0 b/c/d/e/f ");
}

static void
a_prefix_is_the_start_of_a_name_and_need_not_end_at_a_slash(void **state)
{
	(void)state;
	put("pack/00/aa", "1");
	put("pack/00/ab", "1");
	put("pack/01/aa", "1");
	put("packs", "1");
	put("snap/x/1", "1");
	assert_lists("pack/", NULL, "pack/00/aa pack/00/ab pack/01/aa ");
	assert_lists("pack", NULL, "pack/00/aa pack/00/ab pack/01/aa packs ");
	assert_lists("pack/00/a", NULL, "pack/00/aa pack/00/ab ");
	assert_lists("pack/0", "pack/00/ab", "pack/01/aa ");
	assert_lists("pack/00/ab", NULL, "pack/00/ab ");
	assert_lists("pack/00/abc", NULL, "");
	assert_lists("zzz/", NULL, "");
	assert_lists("pack/00/aa/", NULL, "");
}

static void
a_listing_goes_on_after_any_name_there_or_not(void **state)
{
	(void)state;
	put("a/1", "1");
	put("a/2/x", "1");
	put("a/3", "1");
	put("b", "1");
	assert_lists("", "a/1", "a/2/x a/3 b ");
	assert_lists("", "a/2", "a/2/x a/3 b ");
	assert_lists("", "a/2/w", "a/2/x a/3 b ");
	assert_lists("", "a/2/x", "a/3 b ");
	assert_lists("", "a/2/y", "a/3 b ");
	assert_lists("a/", "A", "a/1 a/2/x a/3 ");
	assert_lists("a/", "a/3", "");
	assert_lists("a/", "b", "");
	assert_lists("", "b", "");
}

static void
a_reader_may_end_a_listing(void **state)
{
	struct seen s = { .stop_at = 2 };

	(void)state;
	put("a", "1");
	put("b/c", "1");
	put("d", "1");
	assert_int_equal(store_list(store, "", NULL, note, &s, &e), -1);
	assert_int_equal(e.kind, ERR_CANCELLED);
	assert_int_equal(s.count, 2);
	seen_done(&s);
}

static uint32_t
next(uint32_t *x)
{
	*x = *x * 1664525u + 1013904223u;
	return *x >> 16;
}

/*
 * A name of one to three parts over few letters, so that prefixes meet. The last part has two
 * letters and the others one: no object has the name of a directory.
 */
static void
random_name(uint32_t *x, char *name)
{
	static const char letters[] = "-.0aZ_";

	for (uint32_t parts = next(x) % 3; parts > 0; parts--) {
		*name++ = letters[2 + next(x) % 4];
		*name++ = '/';
	}
	*name++ = letters[2 + next(x) % 4];
	*name++ = letters[next(x) % 6];
	*name = '\0';
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
assert_lists_model(char **names, size_t count, const char *prefix, const char *after)
{
	struct seen s = { 0 };
	size_t at = 0;

	assert_int_equal(store_list(store, prefix, after, note, &s, &e), 0);
	for (size_t i = 0; i < count; i++) {
		if (strncmp(names[i], prefix, strlen(prefix)) != 0 ||
		    (after != NULL && strcmp(names[i], after) <= 0))
			continue;
		assert_true(at < s.count);
		assert_string_equal(s.name[at++], names[i]);
	}
	assert_int_equal(at, s.count);
	seen_done(&s);
}

static void
a_listing_equals_that_of_a_sorted_array_for_any_names(void **state)
{
	uint32_t x = 20261121;
	char *names[120], name[20], prefix[20], after[20];
	size_t count = 0;

	(void)state;
	for (int i = 0; i < 120; i++) {
		random_name(&x, name);
		if (store_put(store, name, "x", 1, STORE_NEW, &e) == 1)
			names[count++] = xstrdup(name);
	}
	assert_true(count > 60);
	qsort(names, count, sizeof(names[0]), by_name);
	for (int i = 0; i < 300; i++) {
		random_name(&x, prefix);
		prefix[next(&x) % (strlen(prefix) + 1)] = '\0';
		random_name(&x, after);
		assert_lists_model(names, count, prefix, i % 3 == 0 ? NULL : after);
	}
	for (size_t i = 0; i < count; i++)
		free(names[i]);
}

static void
the_longest_name_and_every_letter_work(void **state)
{
	char name[STORE_NAME_MAX + 1] =
	    "abcdefghijklmnopqrstuvwxyz.ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789-/";
	size_t len = strlen(name);

	(void)state;
	for (size_t i = len; i < STORE_NAME_MAX; i++)
		name[i] = (i - len) % 201 == 200 ? '/' : 'x';
	put(name, "bytes");
	assert_holds(store, name, "bytes");
	assert_int_equal(store_del(store, name, &e), 1);
}

static void
what_one_user_stored_the_other_sees_at_once(void **state)
{
	struct store *other = another();

	(void)state;
	put("a", "bytes");
	assert_holds(other, "a", "bytes");
	assert_int_equal(store_put(other, "a", "other", 5, STORE_NEW, &e), 0);
	assert_int_equal(store_del(other, "a", &e), 1);
	assert_int_equal(store_put(store, "a", "new", 3, STORE_NEW, &e), 1);
	assert_holds(other, "a", "new");
	store_close(other);
}

static void
of_many_writers_of_one_name_exactly_one_wins(void **state)
{
	(void)state;
	race_run(open_url, assert_holds);
}

struct sentence {
	const char *text;
	CMUnitTestFunction test;
	bool processes; /* needs a backend that other processes can open */
};

#define SENTENCE(f) { #f, f, false }
static const struct sentence sentences[] = {
	SENTENCE(an_object_reads_back_whole_and_in_exact_ranges),
	SENTENCE(a_range_beyond_the_end_is_damage_and_gives_nothing),
	SENTENCE(objects_of_no_bytes_and_of_many_are_objects),
	SENTENCE(what_is_not_there_is_not_found),
	SENTENCE(a_taken_name_is_never_replaced_by_a_new_object),
	SENTENCE(a_beat_replaces_the_one_before),
	SENTENCE(a_deleted_object_is_gone_and_its_name_is_free),
	SENTENCE(an_object_bears_the_time_of_its_put_by_the_clock_of_the_store),
	SENTENCE(a_clock_says_between_what_it_is),
	SENTENCE(a_listing_is_in_the_byte_order_of_whole_names),
	SENTENCE(a_prefix_is_the_start_of_a_name_and_need_not_end_at_a_slash),
	SENTENCE(a_listing_goes_on_after_any_name_there_or_not),
	SENTENCE(a_reader_may_end_a_listing),
	SENTENCE(a_listing_equals_that_of_a_sorted_array_for_any_names),
	SENTENCE(the_longest_name_and_every_letter_work),
	SENTENCE(what_one_user_stored_the_other_sees_at_once),
	{ "of_many_writers_of_one_name_exactly_one_wins",
	    of_many_writers_of_one_name_exactly_one_wins, true },
};
#define ROWS (ARRAY_LEN(backends) * ARRAY_LEN(sentences))

static int
begin_row(void **state)
{
	backend = *state;
	return begin(state);
}

/* In place of everything that is asked of it. */
static void
it_cannot_be_asked_here(void **state)
{
	const struct backend *b = *state;

	print_message("%s\n", b->missing());
	skip();
}

int
main(void)
{
	struct CMUnitTest tests[ROWS];
	bool missing = false;
	size_t count = 0;
	int failed;

	for (size_t i = 0; i < ROWS; i++) {
		const struct backend *b = &backends[i / ARRAY_LEN(sentences)];
		const struct sentence *s = &sentences[i % ARRAY_LEN(sentences)];

		if (s == sentences)
			missing = b->missing != NULL && b->missing() != NULL;
		if (missing) {
			/* Where none is named at all, a scenario does it, with a server of each kind. */
			if (s == sentences && s3place_missing() == NULL)
				tests[count++] = (struct CMUnitTest){
					.name = xasprintf("%s: it_cannot_be_asked_here", b->name),
					.test_func = it_cannot_be_asked_here,
					.initial_state = (void *)(uintptr_t)b,
				};
			continue;
		}
		if (s->processes && (!b->processes || b->single))
			continue;
		tests[count++] = (struct CMUnitTest){
			.name = xasprintf("%s: %s", b->name, s->text),
			.test_func = s->test,
			.setup_func = begin_row,
			.teardown_func = end,
			.initial_state = (void *)(uintptr_t)b,
		};
	}
	failed = _cmocka_run_group_tests("backends", tests, count, NULL, NULL);
	for (size_t i = 0; i < count; i++)
		free((void *)(uintptr_t)tests[i].name);
	return failed;
}
