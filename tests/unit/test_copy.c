#include "tests/lib/vector.h"

#include <string.h>

#include "base/clock.h"
#include "filter/digest.h"
#include "store/aside.h"
#include "store/copy.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/vclock.h"

static struct store *from, *to, *from_mem, *to_mem;
static struct buf scratch;
static struct err e;
static uint8_t bytes[5000], sha[DIGEST_LEN];

static int
begin(void **state)
{
	(void)state;
	vclock_install(INT64_C(1700000000) * CLOCK_S);
	from_mem = memstore_new();
	to_mem = memstore_new();
	from = faultstore_new(from_mem);
	to = faultstore_new(to_mem);
	buf_init(&scratch, 10000);
	vector_noise(bytes, sizeof(bytes), 1);
	digest_sha256(bytes, sizeof(bytes), sha);
	assert_int_equal(store_put(from_mem, "pack/00/a", bytes, sizeof(bytes), STORE_NEW, &e), 1);
	err_clear(&e);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	store_close(from);
	store_close(to);
	buf_done(&scratch);
	vclock_remove();
	return 0;
}

static void
arm(struct store *s, enum fault_kind kind, const char *op, unsigned times)
{
	struct fault f = { .kind = kind, .op = op, .at = 1, .times = times };

	faultstore_arm(s, &f);
}

static void
assert_copied(void)
{
	size_t len = 0;
	const uint8_t *there = memstore_bytes(to_mem, "pack/00/a", &len);

	assert_non_null(there);
	assert_int_equal(len, sizeof(bytes));
	assert_memory_equal(there, bytes, sizeof(bytes));
}

static int
copy(const char *name, const uint8_t *hash)
{
	if (copy_read(from, name, hash, &scratch, &e) == -1)
		return -1;
	return copy_send(to, name, hash, &scratch, &e);
}

static void
a_copy_is_the_same_bytes_under_the_same_name(void **state)
{
	(void)state;
	buf_adds(&scratch, "what was in it");
	assert_int_equal(copy("pack/00/a", sha), 1);
	assert_copied();
	assert_int_equal(copy("pack/00/a", sha), 0);
	assert_int_equal(copy("pack/00/a", NULL), 0);
	assert_copied();
}

static void
a_damaged_or_short_source_is_found_before_anything_is_sent(void **state)
{
	static const enum fault_kind kinds[] = { FAULT_FLIP, FAULT_SHORT };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		arm(from, kinds[i], "get", 1);
		assert_int_equal(copy("pack/00/a", sha), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_non_null(strstr(e.text, "pack/00/a"));
		assert_int_equal(memstore_count(to_mem), 0);
	}
	assert_int_equal(copy("pack/00/a", sha), 1);
}

static void
an_absent_source_is_not_found(void **state)
{
	(void)state;
	assert_int_equal(copy("pack/00/b", sha), -1);
	assert_int_equal(e.kind, ERR_NOTFOUND);
	assert_int_equal(memstore_count(to_mem), 0);
}

static void
a_target_with_another_length_under_the_name_is_set_aside_and_sent_anew(void **state)
{
	size_t len = 0;

	(void)state;
	assert_int_equal(store_put(to_mem, "pack/00/a", bytes, 4999, STORE_NEW, &e), 1);
	assert_int_equal(copy("pack/00/a", sha), 2);
	assert_int_equal(e.kind, ERR_NONE);
	assert_copied();
	assert_non_null(memstore_bytes(to_mem, "bad/pack/00/a", &len));
	assert_int_equal(len, 4999);
	assert_int_equal(copy("pack/00/a", sha), 0);
}

static void
what_was_set_aside_before_keeps_its_name_and_its_bytes(void **state)
{
	char where[ASIDE_NAME];
	size_t len = 0;

	(void)state;
	for (size_t n = 1; n <= 3; n++) {
		assert_int_equal(store_put(to_mem, "pack/00/a", bytes, 100 * n, STORE_REPLACE, &e), 1);
		assert_int_equal(aside_object(to, "pack/00/a", where, &e), 0);
		assert_null(memstore_bytes(to_mem, "pack/00/a", &len));
	}
	assert_string_equal(where, "bad/pack/00/a.3");
	assert_non_null(memstore_bytes(to_mem, "bad/pack/00/a", &len));
	assert_int_equal(len, 100);
	assert_non_null(memstore_bytes(to_mem, "bad/pack/00/a.2", &len));
	assert_int_equal(len, 200);
	assert_non_null(memstore_bytes(to_mem, "bad/pack/00/a.3", &len));
	assert_int_equal(len, 300);
	/* The same bytes need no second name. */
	assert_int_equal(store_put(to_mem, "pack/00/a", bytes, 200, STORE_NEW, &e), 1);
	assert_int_equal(aside_object(to, "pack/00/a", where, &e), 0);
	assert_string_equal(where, "bad/pack/00/a.2");
	assert_int_equal(memstore_count(to_mem), 3);
	assert_string_equal(aside_plain("bad/pack/00/a.2", where), "pack/00/a");
	assert_string_equal(aside_plain("bad/pack/00/a", where), "pack/00/a");
	assert_string_equal(aside_plain("bad/pend/x/y-0.0123abcd", where), "pend/x/y-0.0123abcd");
}

static void
without_a_hash_nobody_knows_which_of_two_lengths_is_right(void **state)
{
	(void)state;
	assert_int_equal(store_put(to_mem, "pack/00/a", bytes, 4999, STORE_NEW, &e), 1);
	assert_int_equal(copy("pack/00/a", NULL), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "4999"));
	assert_non_null(strstr(e.text, "5000"));
}

static void
silence_on_either_side_is_outlasted(void **state)
{
	(void)state;
	arm(from, FAULT_MIDDLE, "get", 2);
	arm(to, FAULT_AFTER, "put", 1);
	assert_int_equal(copy("pack/00/a", sha), 1);
	assert_int_equal(faultstore_struck(from), 2);
	assert_int_equal(faultstore_struck(to), 1);
	assert_copied();
}

static void
a_full_target_says_so_and_a_dead_one_in_the_end(void **state)
{
	(void)state;
	arm(to, FAULT_FULL, "put", 1);
	assert_int_equal(copy("pack/00/a", sha), -1);
	assert_int_equal(e.kind, ERR_FULL);
	arm(to, FAULT_REMOTE, NULL, 100000);
	assert_int_equal(copy("pack/00/a", sha), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
}

static void
a_target_that_lies_is_found_by_reading_back_and_not_by_the_copy(void **state)
{
	struct store_stat st;

	(void)state;
	arm(to, FAULT_LIE, "put", 1);
	assert_int_equal(copy("pack/00/a", sha), 1);
	assert_int_equal(store_stat(to, "pack/00/a", &st, &e), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(a_copy_is_the_same_bytes_under_the_same_name),
		TEST(a_damaged_or_short_source_is_found_before_anything_is_sent),
		TEST(an_absent_source_is_not_found),
		TEST(a_target_with_another_length_under_the_name_is_set_aside_and_sent_anew),
		TEST(what_was_set_aside_before_keeps_its_name_and_its_bytes),
		TEST(without_a_hash_nobody_knows_which_of_two_lengths_is_right),
		TEST(silence_on_either_side_is_outlasted),
		TEST(a_full_target_says_so_and_a_dead_one_in_the_end),
		TEST(a_target_that_lies_is_found_by_reading_back_and_not_by_the_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
