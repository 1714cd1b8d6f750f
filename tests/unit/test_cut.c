#include "tests/lib/vector.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "repo/cut.h"
#include "tests/lib/chance.h"

/* One entry as it went in, and how much of it has come out. */
struct thing {
	size_t number;
	uint8_t grain_log2;
	uint8_t *bytes;
	uint64_t size, out; /* of both: zeros of holes, too */
	size_t room;
	bool ended;
	bool loads; /* and what of it must be told: */
	uint64_t loaded, padded;
	bool cut_short;
};

/* What a loader has for one entry. */
struct tape {
	uint64_t seed, size; /* its bytes, and where they end */
	uint64_t fail_off;   /* the stretch that this byte is in fails */
	atomic_size_t *under_way, *most;
};

static struct digest_idkey key;
static struct cut *cut;
static struct err e;
static size_t ended, dropped, fail_at;

static int
take_grain(void *arg, void *entry, const struct cut_grain *g, struct err *why)
{
	static const uint8_t zero[GRAIN_ID_LEN];
	struct thing *t = entry;
	size_t grain = (size_t)1 << t->grain_log2;
	uint64_t n = g->data ? g->len : g->zeros * g->len;
	uint8_t id[GRAIN_ID_LEN];
	bool all_zero = true;

	(void)arg;
	assert_int_equal(t->number, ended + dropped);
	assert_int_equal(t->out % grain, 0);
	assert_true(t->out + n <= t->size);
	if (g->data) {
		/* Full grains, but for the last. */
		assert_true(g->len == grain || t->out + n == t->size);
		assert_memory_equal(g->data, t->bytes + t->out, n);
		digest_id(&key, g->data, n, id);
	} else {
		assert_int_equal(g->len, grain);
		assert_true(g->zeros > 0);
	}
	for (uint64_t i = 0; i < n; i++)
		all_zero = all_zero && t->bytes[t->out + i] == 0;
	assert_true(all_zero || g->data);
	assert_memory_equal(g->id, all_zero ? zero : id, GRAIN_ID_LEN);
	t->out += n;
	if (fail_at > 0 && --fail_at == 0)
		return err_set(why, ERR_FULL, "the target is full");
	return 0;
}

static void
thing_free(struct thing *t)
{
	free(t->bytes);
	free(t);
}

static int
take_end(void *arg, void *entry, const struct cut_loaded *got, struct err *why)
{
	struct thing *t = entry;

	(void)arg;
	assert_int_equal(t->number, ended + dropped);
	assert_int_equal(t->out, t->size);
	assert_int_equal(got->bytes, t->loads ? t->loaded : 0);
	assert_int_equal(got->padded, t->loads ? t->padded : 0);
	assert_int_equal(got->cut_short, t->loads && t->cut_short);
	assert_true(t->ended);
	thing_free(t);
	ended++;
	if (fail_at > 0 && --fail_at == 0)
		return err_set(why, ERR_FULL, "the target is full");
	return 0;
}

static void
drop(void *arg, void *entry)
{
	(void)arg;
	thing_free(entry);
	dropped++;
}

static void
open_cut(unsigned workers)
{
	static const uint8_t secret[32] = {3};
	const struct cut_target target = {.grain = take_grain, .end = take_end, .drop = drop};

	digest_idkey_init(&key, secret);
	cut = cut_new(&key, &target, workers);
	ended = dropped = fail_at = 0;
	err_clear(&e);
}

static void
remember(struct thing *t, const uint8_t *bytes, size_t n)
{
	t->bytes = mem_grow(t->bytes, &t->room, (size_t)t->size + n + 1, 1);
	if (bytes)
		memcpy(t->bytes + t->size, bytes, n);
	else
		memset(t->bytes + t->size, 0, n);
	t->size += n;
}

/* Puts n bytes, noise or zeros, in pieces as they come. */
static int
put(struct thing *t, uint64_t n, bool zeros)
{
	while (n > 0) {
		size_t room;
		uint8_t *p = cut_space(cut, &room, &e);

		if (!p)
			return -1;
		assert_true(room > 0);
		if (room > n)
			room = (size_t)n;
		if (chance_one_in(3))
			room = 1 + chance_below(room);
		if (zeros)
			memset(p, 0, room);
		else
			vector_noise(p, room, chance_u64());
		remember(t, p, room);
		if (cut_filled(cut, room, &e) == -1)
			return -1;
		n -= room;
	}
	return 0;
}

static int
put_thing(size_t number)
{
	struct thing *t = xcalloc(1, sizeof(*t));
	uint64_t n, expected = chance_below(300000);

	t->number = number;
	t->grain_log2 = chance_one_in(3) ? 13 : 17;
	if (chance_one_in(2))
		expected = 0;
	cut_begin(cut, t, t->grain_log2, expected);
	for (uint64_t i = chance_below(5); i > 0; i--) {
		n = chance_one_in(4) ? chance_below(900000) : chance_below(20000);
		if (chance_one_in(3))
			n = UINT64_C(1) << 13 << chance_below(6);
		if (chance_one_in(3)) {
			remember(t, NULL, (size_t)n);
			if (cut_zeros(cut, n, &e) == -1)
				return -1;
		} else if (put(t, n, chance_one_in(3)) == -1) {
			return -1;
		}
	}
	t->ended = true;
	return cut_end(cut, &e);
}

static void
what_goes_in_comes_out_in_grains_with_their_ids(void **state)
{
	(void)state;
	for (unsigned workers = 0; workers < 4; workers++) {
		chance_seed(workers);
		open_cut(workers);
		for (size_t i = 0; i < 300; i++)
			assert_int_equal(put_thing(i), 0);
		assert_int_equal(cut_flush(cut, &e), 0);
		assert_int_equal(ended, 300);
		cut_free(cut);
		assert_int_equal(dropped, 0);
	}
}

static void
a_flood_of_entries_without_contents_comes_out(void **state)
{
	(void)state;
	open_cut(2);
	for (size_t i = 0; i < 20000; i++) {
		struct thing *t = xcalloc(1, sizeof(*t));

		t->number = i;
		t->grain_log2 = 17;
		t->ended = true;
		cut_begin(cut, t, 17, 0);
		assert_int_equal(cut_end(cut, &e), 0);
	}
	assert_int_equal(cut_flush(cut, &e), 0);
	assert_int_equal(ended, 20000);
	cut_free(cut);
}

static void
a_target_that_fails_is_told_and_gets_every_entry_once(void **state)
{
	(void)state;
	for (size_t at = 1; at < 120; at++) {
		size_t begun = 0;
		int rc = 0;

		chance_seed(at);
		open_cut((unsigned)at % 3);
		fail_at = at;
		while (rc == 0 && begun < 200)
			rc = put_thing(begun++);
		if (rc == 0)
			rc = cut_flush(cut, &e);
		assert_int_equal(rc, -1);
		assert_int_equal(e.kind, ERR_FULL);
		assert_int_equal(cut_flush(cut, &e), -1); /* and stays so */
		cut_free(cut);
		assert_int_equal(ended + dropped, begun);
	}
}

static void
what_is_not_flushed_is_dropped(void **state)
{
	(void)state;
	for (unsigned workers = 0; workers < 3; workers++) {
		struct thing *t = xcalloc(1, sizeof(*t));
		size_t room;

		chance_seed(workers + 50);
		open_cut(workers);
		for (size_t i = 0; i < 30; i++)
			assert_int_equal(put_thing(i), 0);
		cut_begin(cut, t, 17, 5);
		assert_non_null(cut_space(cut, &room, &e));
		cut_free(cut);
		assert_int_equal(ended + dropped, 31);
		assert_true(dropped > 0);
	}
}

/* ---- loads ---- */

/* The bytes of a tape do not depend on how they are asked for; now and then a page of zeros. */
static void
tape_bytes(const struct tape *t, uint64_t off, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t x = (off + i + t->seed) * UINT64_C(0x9e3779b97f4a7c15);

		out[i] = (off + i) >> 13 & 3 ? (uint8_t)(x >> 56) : 0;
	}
}

static ssize_t
tape_load(void *arg, uint64_t off, void *buf, size_t n, struct err *why)
{
	const struct tape *t = arg;
	size_t now;

	assert_in_range(n, 1, 1u << 20);
	if (t->under_way) {
		now = atomic_fetch_add(t->under_way, 1) + 1;
		for (size_t most = *t->most; now > most;)
			atomic_compare_exchange_weak(t->most, &most, now);
		usleep(3000);
		atomic_fetch_sub(t->under_way, 1);
	}
	if (t->fail_off >= off && t->fail_off - off < n)
		return err_set(why, ERR_IO, "the tape is torn at %ju", (uintmax_t)off);
	if (off >= t->size)
		return 0;
	if (n > t->size - off)
		n = (size_t)(t->size - off);
	tape_bytes(t, off, buf, n);
	return (ssize_t)n;
}

/* An entry of which n bytes are announced, loaded from the tape in one go or in two. */
static int
load_thing(size_t number, const struct tape *tape, uint64_t n, bool pad)
{
	const struct cut_loader by = {
	    .load = tape_load, .arg = (void *)(uintptr_t)tape, .pad = pad};
	struct thing *t = xcalloc(1, sizeof(*t));
	uint64_t have = n < tape->size ? n : tape->size, part;

	t->number = number;
	t->grain_log2 = chance_one_in(3) ? 17 : 13;
	t->loads = t->ended = true;
	t->size = pad ? n : have;
	t->bytes = xcalloc(1, t->size + 1);
	tape_bytes(tape, 0, t->bytes, (size_t)have);
	t->loaded = have;
	t->padded = pad ? n - have : 0;
	t->cut_short = !pad && have < n;
	cut_begin(cut, t, t->grain_log2, n);
	part = chance_below(n + 1) >> t->grain_log2 << t->grain_log2;
	if (part > 0 && cut_load(cut, part, &by, &e) == -1)
		return -1;
	if (cut_load(cut, n - part, &by, &e) == -1)
		return -1;
	return cut_end(cut, &e);
}

static uint64_t
any_size(void)
{
	if (chance_one_in(12))
		return 0;
	return chance_below(chance_one_in(10) ? 3u << 20 : 100000);
}

static void
what_workers_load_comes_out_like_what_was_put(void **state)
{
	(void)state;
	for (unsigned workers = 0; workers < 4; workers++) {
		struct tape tape[60];

		chance_seed(workers + 70);
		open_cut(workers);
		for (size_t i = 0; i < ARRAY_LEN(tape); i++) {
			uint64_t n = any_size();

			tape[i] = (struct tape){.seed = i, .size = n, .fail_off = UINT64_MAX};
			if (chance_one_in(4))
				assert_int_equal(put_thing(i), 0);
			else
				assert_int_equal(load_thing(i, &tape[i], n, chance_one_in(2)), 0);
		}
		assert_int_equal(cut_flush(cut, &e), 0);
		assert_int_equal(ended, ARRAY_LEN(tape));
		cut_free(cut);
	}
}

static void
a_short_load_ends_the_entry_or_is_padded(void **state)
{
	(void)state;
	for (unsigned workers = 0; workers < 3; workers++) {
		struct tape tape[60];

		chance_seed(workers + 80);
		open_cut(workers);
		for (size_t i = 0; i < ARRAY_LEN(tape); i++) {
			uint64_t n = any_size();

			tape[i] = (struct tape){
			    .seed = i, .size = chance_below(n + 1), .fail_off = UINT64_MAX};
			assert_int_equal(load_thing(i, &tape[i], n, i % 2), 0);
		}
		assert_int_equal(cut_flush(cut, &e), 0);
		assert_int_equal(ended, ARRAY_LEN(tape));
		cut_free(cut);
	}
}

/* The file is whole again behind the hole: without padding that must not close up. */
static ssize_t
gap_load(void *arg, uint64_t off, void *buf, size_t n, struct err *why)
{
	(void)arg;
	(void)why;
	memset(buf, 'x', n);
	return off == 1u << 20 ? 100 : (ssize_t)n;
}

static void
bytes_behind_a_short_load_are_dropped_or_keep_their_place(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const struct cut_loader by = {.load = gap_load, .pad = i % 2};
		struct thing *t = xcalloc(1, sizeof(*t));
		size_t first = (1u << 20) + 100;

		open_cut(i / 2);
		t->grain_log2 = 17;
		t->loads = t->ended = true;
		t->cut_short = !by.pad;
		t->size = by.pad ? 4u << 20 : first;
		t->loaded = by.pad ? (3u << 20) + 100 : first;
		t->padded = t->size - t->loaded;
		t->bytes = xmalloc(t->size);
		memset(t->bytes, 'x', t->size);
		if (by.pad)
			memset(t->bytes + first, 0, (2u << 20) - first);
		cut_begin(cut, t, 17, 0);
		assert_int_equal(cut_load(cut, 3u << 20, &by, &e), 0);
		assert_int_equal(cut_load(cut, 1u << 20, &by, &e), 0);
		assert_int_equal(cut_end(cut, &e), 0);
		assert_int_equal(cut_flush(cut, &e), 0);
		assert_int_equal(ended, 1);
		cut_free(cut);
	}
}

static void
the_first_load_that_fails_ends_the_run_in_order(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		struct tape tape[40];
		size_t begun = 0, bad = i % 10;
		int rc = 0;

		chance_seed(i);
		open_cut(i % 3);
		while (rc == 0 && begun < ARRAY_LEN(tape)) {
			struct tape *t = &tape[begun];
			uint64_t n = 1 + any_size();

			*t = (struct tape){.seed = i, .size = n, .fail_off = UINT64_MAX};
			if (begun == bad)
				t->fail_off = chance_below(n);
			if (begun > bad) /* these fail, too, and perhaps sooner */
				t->fail_off = 0;
			rc = load_thing(begun++, t, n, false);
		}
		assert_true(begun > bad);
		assert_int_equal(cut_flush(cut, &e), -1);
		assert_int_equal(e.kind, ERR_IO);
		cut_free(cut);
		assert_int_equal(ended, bad);
		assert_int_equal(ended + dropped, begun);
	}
}

static void
loads_run_side_by_side(void **state)
{
	atomic_size_t under_way = 0, most = 0;
	struct tape tape = {.size = 16u << 20, .fail_off = UINT64_MAX,
	    .under_way = &under_way, .most = &most};

	(void)state;
	open_cut(3);
	assert_int_equal(load_thing(0, &tape, tape.size, false), 0);
	assert_int_equal(cut_flush(cut, &e), 0);
	cut_free(cut);
	assert_in_range(most, 2, 3);
}

static void
a_load_within_a_grain_is_a_bug_of_the_caller(void **state)
{
	struct tape tape = {.size = 1u << 20, .fail_off = UINT64_MAX};
	const struct cut_loader by = {.load = tape_load, .arg = &tape};
	size_t room;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct thing *t = xcalloc(1, sizeof(*t));

		t->grain_log2 = 17;
		open_cut(0);
		cut_begin(cut, t, 17, 0);
		if (i == 0) {
			assert_non_null(cut_space(cut, &room, &e));
			assert_int_equal(cut_filled(cut, 5, &e), 0);
		} else {
			assert_int_equal(cut_load(cut, 100000, &by, &e), 0);
		}
		assert_int_equal(e.kind, ERR_NONE);
		if (i < 2)
			assert_int_equal(cut_load(cut, 10, &by, &e), -1);
		else if (i == 2)
			assert_null(cut_space(cut, &room, &e));
		else if (i == 3)
			assert_int_equal(cut_zeros(cut, 1u << 20, &e), -1);
		if (i < 4)
			assert_int_equal(e.kind, ERR_BUG);
		t->number = ended + dropped;
		cut_free(cut);
		assert_int_equal(dropped, 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_goes_in_comes_out_in_grains_with_their_ids),
	    cmocka_unit_test(a_flood_of_entries_without_contents_comes_out),
	    cmocka_unit_test(a_target_that_fails_is_told_and_gets_every_entry_once),
	    cmocka_unit_test(what_is_not_flushed_is_dropped),
	    cmocka_unit_test(what_workers_load_comes_out_like_what_was_put),
	    cmocka_unit_test(a_short_load_ends_the_entry_or_is_padded),
	    cmocka_unit_test(bytes_behind_a_short_load_are_dropped_or_keep_their_place),
	    cmocka_unit_test(the_first_load_that_fails_ends_the_run_in_order),
	    cmocka_unit_test(loads_run_side_by_side),
	    cmocka_unit_test(a_load_within_a_grain_is_a_bug_of_the_caller),
	};

	return cmocka_run_group_tests_name("cut", tests, NULL, NULL);
}
