/* The known answer is the check value that every catalogue of checksums has. */
#include "tests/lib/vector.h"

#include <string.h>

#include "filter/crc32c.h"

static void
the_check_value_is_the_published_one(void **state)
{
	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
}

static void
it_goes_on_from_where_it_stopped(void **state)
{
	uint8_t bytes[997];
	uint32_t whole;

	(void)state;
	vector_noise(bytes, sizeof(bytes), 3);
	whole = crc32c(0, bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= sizeof(bytes); cut += 7)
		assert_int_equal(
		    crc32c(crc32c(0, bytes, cut), bytes + cut, sizeof(bytes) - cut), whole);
}

/* Lengths at which lanes begin and end; the other value is made byte by byte, without them. */
static void
long_stretches_have_the_value_of_their_bytes(void **state)
{
	static uint8_t bytes[40000];
	uint32_t each = 0;

	(void)state;
	vector_noise(bytes, sizeof(bytes), 6);
	for (size_t n = 0; n < sizeof(bytes); n++) {
		if (n % 8184 < 2 || n % 8184 > 8182 || n % 997 == 0) {
			assert_int_equal(crc32c(0, bytes, n), each);
			assert_int_equal(crc32c(0x12345678, bytes, n),
			    crc32c_combine(0x12345678, each, n));
		}
		each = crc32c(each, bytes + n, 1);
	}
}

static void
two_values_combine_into_that_of_both(void **state)
{
	uint8_t bytes[997];
	uint32_t whole;

	(void)state;
	vector_noise(bytes, sizeof(bytes), 4);
	whole = crc32c(0, bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= sizeof(bytes); cut++)
		assert_int_equal(
		    crc32c_combine(crc32c(0, bytes, cut),
			crc32c(0, bytes + cut, sizeof(bytes) - cut), sizeof(bytes) - cut),
		    whole);
}

static void
stretches_may_come_in_any_order_as_if_zeros_followed_each(void **state)
{
	uint8_t bytes[5000];
	uint32_t sum = 0;

	(void)state;
	vector_noise(bytes, sizeof(bytes), 5);
	for (size_t at = sizeof(bytes); at > 0; at -= 1000)
		sum ^= crc32c_combine(crc32c(0, bytes + at - 1000, 1000), 0, sizeof(bytes) - at);
	assert_int_equal(sum, crc32c(0, bytes, sizeof(bytes)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_check_value_is_the_published_one),
		cmocka_unit_test(it_goes_on_from_where_it_stopped),
		cmocka_unit_test(long_stretches_have_the_value_of_their_bytes),
		cmocka_unit_test(two_values_combine_into_that_of_both),
		cmocka_unit_test(stretches_may_come_in_any_order_as_if_zeros_followed_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
