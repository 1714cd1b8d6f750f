#include "tests/lib/vector.h"

#include <stdlib.h>
#include <string.h>

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
take_end(void *arg, void *entry, struct err *why)
{
	struct thing *t = entry;

	(void)arg;
	assert_int_equal(t->number, ended + dropped);
	assert_int_equal(t->out, t->size);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_goes_in_comes_out_in_grains_with_their_ids),
	    cmocka_unit_test(a_flood_of_entries_without_contents_comes_out),
	    cmocka_unit_test(a_target_that_fails_is_told_and_gets_every_entry_once),
	    cmocka_unit_test(what_is_not_flushed_is_dropped),
	};

	return cmocka_run_group_tests_name("cut", tests, NULL, NULL);
}
