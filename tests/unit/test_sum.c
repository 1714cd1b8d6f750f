#include "store/sum.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vector.h"

static void
the_sum_is_that_of_the_bytes_or_where_they_are_frozen_the_one_the_store_keeps(void **state)
{
	uint8_t sha[DIGEST_LEN], other[DIGEST_LEN], *bytes;
	struct store *s = memstore_new();
	struct err e = { 0 };
	struct buf b;
	size_t n;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(store_put(s, "pack/a", "hello", 5, STORE_NEW, &e), 1);
	digest_sha256("hello", 5, sha);
	assert_int_equal(sum_of(s, "pack/a", &b, other, &e), 0);
	assert_memory_equal(sha, other, DIGEST_LEN);
	memstore_freeze(s, "pack/", true);
	memset(other, 0, sizeof(other));
	assert_int_equal(sum_of(s, "pack/a", &b, other, &e), 0);
	assert_memory_equal(sha, other, DIGEST_LEN);
	/* It is not what was hoped for that counts. */
	bytes = memstore_bytes(s, "pack/a", &n);
	bytes[0] ^= 1;
	assert_int_equal(sum_of(s, "pack/a", &b, other, &e), 0);
	assert_memory_not_equal(sha, other, DIGEST_LEN);
	memstore_freeze(s, NULL, false);
	assert_int_equal(sum_of(s, "pack/a", &b, other, &e), 0);
	assert_memory_not_equal(sha, other, DIGEST_LEN);
	buf_done(&b);
	store_close(s);
}

static unsigned gets;

static void
count_gets(void *arg, const char *op, const char *name)
{
	(void)arg;
	(void)name;
	gets += strcmp(op, "get") == 0;
}

/* Is it there as it was sent? */
static int
sent(struct store *s, const char *name, const uint8_t *bytes, size_t len)
{
	uint8_t sha[DIGEST_LEN];
	struct err e = { 0 };
	struct buf b;
	int rc;

	buf_init(&b, STORE_OBJECT_MAX);
	buf_add(&b, bytes, len);
	digest_sha256(bytes, len, sha);
	gets = 0;
	rc = sum_sent(s, name, &b, sha, &e);
	if (rc == -1)
		assert_int_equal(e.kind, ERR_NOTFOUND);
	buf_done(&b);
	return rc;
}

#define LARGE ((5u << 20) / 2)

/* Of stores that are near all is read, of those behind a network what they do not tell. */
static void
what_was_sent_is_read_unless_the_store_compares_and_tells(void **state)
{
	static const size_t lens[] = { 1, 1u << 20, (1u << 20) + 1, LARGE };
	struct store *s = memstore_new();
	uint8_t *bytes = xmalloc(LARGE);
	struct store_ops far = *s->ops;
	const struct store_ops *near = s->ops;
	struct err e = { 0 };

	(void)state;
	far.far = true;
	vector_noise(bytes, LARGE, 1);
	memstore_hook(s, count_gets, NULL);
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		memstore_drop(s, "pack/a");
		assert_int_equal(store_put(s, "pack/a", bytes, lens[i], STORE_NEW, &e), 1);
		for (int how = 0; how < 8; how++) {
			const bool tells = how & 1, told = how == 7;

			s->options.compares = how & 2;
			s->ops = how & 4 ? &far : near;
			memstore_freeze(s, NULL, tells);
			assert_int_equal(sent(s, "pack/a", bytes, lens[i]), 1);
			assert_true(told ? gets == 0 : gets > 0);
			/* Another byte, one less, one more. */
			bytes[lens[i] - 1] ^= 1;
			assert_int_equal(sent(s, "pack/a", bytes, lens[i]), 0);
			bytes[lens[i] - 1] ^= 1;
			assert_int_not_equal(sent(s, "pack/a", bytes, lens[i] + (lens[i] < LARGE)),
			    lens[i] < LARGE);
			if (lens[i] > 1)
				assert_int_equal(sent(s, "pack/a", bytes, lens[i] - 1), 0);
			assert_int_equal(sent(s, "pack/b", bytes, lens[i]), -1);
		}
	}
	s->ops = near;
	store_close(s);
	free(bytes);
}

static void
frozen_and_without_a_sum_nothing_is_proved(void **state)
{
	struct store *s = memstore_new();
	uint8_t sha[DIGEST_LEN];
	struct err e = { 0 };
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	store_put(s, "pack/a", "hello", 5, STORE_NEW, &e);
	memstore_freeze(s, "pack/", false);
	repokit_refused(sum_of(s, "pack/a", &b, sha, &e), &e, ERR_FROZEN, "does not tell the SHA-256");
	err_clear(&e);
	repokit_refused(sum_of(s, "pack/b", &b, sha, &e), &e, ERR_NOTFOUND, "pack/b");
	buf_done(&b);
	store_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    the_sum_is_that_of_the_bytes_or_where_they_are_frozen_the_one_the_store_keeps),
		cmocka_unit_test(what_was_sent_is_read_unless_the_store_compares_and_tells),
		cmocka_unit_test(frozen_and_without_a_sum_nothing_is_proved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
