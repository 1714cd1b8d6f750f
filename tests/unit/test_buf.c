/* The growing buffer: what it holds, where it stops, and the byte order of everything on disk. */
#include "tests/lib/vector.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"

static void
what_was_added_is_there_and_ends_in_a_nul(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_string_equal(buf_str(&b), "");
	buf_adds(&b, "one");
	buf_addc(&b, ' ');
	buf_addf(&b, "%d-%s", 2, "x");
	buf_add(&b, "\0z", 2);
	assert_int_equal(b.len, 9);
	assert_memory_equal(b.data, "one 2-x\0z", 10);
	buf_reset(&b);
	assert_int_equal(b.len, 0);
	assert_string_equal(buf_str(&b), "");
	assert_true(b.room > 0);
	buf_done(&b);
	assert_null(b.data);
	assert_int_equal(b.limit, 1000);
	buf_adds(&b, "again");
	assert_string_equal(buf_str(&b), "again");
	buf_done(&b);
}

static void
growing_keeps_every_byte(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100000);
	for (uint32_t i = 0; i < 20000; i++)
		buf_add_u32(&b, i * 2654435761u);
	assert_int_equal(b.len, 80000);
	for (uint32_t i = 0; i < 20000; i++)
		assert_int_equal(buf_get_u32(b.data + 4 * (size_t)i), i * 2654435761u);
	assert_true(b.room <= 100001);
	buf_done(&b);
}

static void
the_limit_is_reached_exactly_and_never_passed(void **state)
{
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_adds(&b, "12345");
	assert_int_equal(buf_check(&b, "a name", &e), 0);
	buf_addc(&b, '6');
	assert_true(b.over);
	assert_string_equal(buf_str(&b), "12345");
	assert_int_equal(buf_check(&b, "a name", &e), -1);
	assert_int_equal(e.kind, ERR_FULL);
	assert_string_equal(e.text, "a name is larger than the 5 bytes allowed for it");
	buf_done(&b);
}

static void
nothing_is_added_behind_a_hole(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_adds(&b, "123");
	buf_adds(&b, "too long");
	buf_adds(&b, "4");
	buf_addf(&b, "%d", 5);
	assert_string_equal(buf_str(&b), "123");
	assert_null(buf_reserve(&b, 1));
	buf_reset(&b);
	buf_adds(&b, "45");
	assert_string_equal(buf_str(&b), "45");
	assert_false(b.over);
	buf_done(&b);
}

static void
lengths_that_overflow_are_refused(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	buf_addc(&b, 'x');
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_null(buf_reserve(&b, SIZE_MAX - 1));
	assert_int_equal(b.len, 1);
	buf_done(&b);
}

static void
reserved_room_counts_only_when_the_caller_says_so(void **state)
{
	struct buf b;
	uint8_t *p;

	(void)state;
	buf_init(&b, 100);
	buf_adds(&b, "a");
	p = buf_reserve(&b, 3);
	assert_int_equal(b.len, 1);
	memcpy(p, "bcd", 3);
	b.len += 3;
	assert_string_equal(buf_str(&b), "abcd");
	buf_done(&b);
}

static void
numbers_are_little_endian(void **state)
{
	static const uint8_t want[14] = { 0x02, 0x01, 0x06, 0x05, 0x04, 0x83, 0x0e, 0x0d, 0x0c,
		0x0b, 0x0a, 0x09, 0x08, 0x87 };
	uint8_t raw[8];
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_add_u16(&b, 0x0102);
	buf_add_u32(&b, 0x83040506);
	buf_add_u64(&b, UINT64_C(0x8708090a0b0c0d0e));
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
	assert_int_equal(buf_get_u16(want), 0x0102);
	assert_int_equal(buf_get_u32(want + 2), 0x83040506);
	assert_true(buf_get_u64(want + 6) == UINT64_C(0x8708090a0b0c0d0e));
	buf_put_u64(raw, UINT64_MAX - 1);
	assert_true(buf_get_u64(raw) == UINT64_MAX - 1);
	buf_put_u32(raw, UINT32_MAX - 1);
	assert_true(buf_get_u32(raw) == UINT32_MAX - 1);
	buf_put_u16(raw, UINT16_MAX - 1);
	assert_true(buf_get_u16(raw) == UINT16_MAX - 1);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_added_is_there_and_ends_in_a_nul),
		cmocka_unit_test(growing_keeps_every_byte),
		cmocka_unit_test(the_limit_is_reached_exactly_and_never_passed),
		cmocka_unit_test(nothing_is_added_behind_a_hole),
		cmocka_unit_test(lengths_that_overflow_are_refused),
		cmocka_unit_test(reserved_room_counts_only_when_the_caller_says_so),
		cmocka_unit_test(numbers_are_little_endian),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
