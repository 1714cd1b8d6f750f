#include "store/sum.h"

#include <string.h>

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

static void
what_was_just_put_is_read_unless_the_store_compares_and_tells(void **state)
{
	uint8_t sha[DIGEST_LEN], other[DIGEST_LEN];
	struct store *s = memstore_new();
	struct err e = { 0 };
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	store_put(s, "pack/a", "hello", 5, STORE_NEW, &e);
	digest_sha256("hello", 5, sha);
	memstore_hook(s, count_gets, NULL);
	for (int compares = 0; compares <= 1; compares++)
		for (int tells = 0; tells <= 1; tells++) {
			s->options.compares = compares;
			memstore_freeze(s, NULL, tells);
			gets = 0;
			memset(other, 0, sizeof(other));
			assert_int_equal(sum_put(s, "pack/a", &b, other, &e), 0);
			assert_memory_equal(sha, other, DIGEST_LEN);
			assert_int_equal(gets, !(compares && tells));
		}
	repokit_refused(sum_put(s, "pack/b", &b, sha, &e), &e, ERR_NOTFOUND, "pack/b");
	buf_done(&b);
	store_close(s);
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
		cmocka_unit_test(what_was_just_put_is_read_unless_the_store_compares_and_tells),
		cmocka_unit_test(frozen_and_without_a_sum_nothing_is_proved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
