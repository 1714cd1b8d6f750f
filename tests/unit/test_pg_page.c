/*
 * The two checksums were computed by a PostgreSQL 15 (page_checksum of the extension pageinspect)
 * over the same bytes.
 */
#include "tests/lib/vector.h"

#include <string.h>

#include "base/mem.h"
#include "source/pg/pg_page.h"

#define LSN(high, low) ((uint64_t)(high) << 32 | (low))

/* A page in use with the right checksum. */
static void
make_page(uint8_t page[PG_PAGE], uint64_t lsn, uint32_t block)
{
	uint32_t high = (uint32_t)(lsn >> 32), low = (uint32_t)lsn;
	uint16_t sum;

	vector_noise(page, PG_PAGE, block);
	memcpy(page, &high, 4);
	memcpy(page + 4, &low, 4);
	page[14] = 0x80;
	sum = pg_page_checksum(page, block);
	memcpy(page + 8, &sum, 2);
}

static void
a_checksum_is_the_servers(void **state)
{
	uint8_t page[PG_PAGE];

	(void)state;
	for (int i = 0; i < PG_PAGE; i++)
		page[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(pg_page_checksum(page, 0), 15923);
	assert_int_equal(pg_page_checksum(page, 131073), 15924);
	/* what is stored as checksum is no part of it */
	page[8] = 0x55;
	page[9] = 0x44;
	assert_int_equal(pg_page_checksum(page, 0), 15923);
}

static void
every_flipped_bit_makes_a_page_bad(void **state)
{
	uint8_t page[PG_PAGE];

	(void)state;
	make_page(page, LSN(0, 100), 5);
	assert_int_equal(pg_page_check(page, 5, LSN(1, 0)), PG_PAGE_GOOD);
	assert_int_equal(pg_page_check(page, 6, LSN(1, 0)), PG_PAGE_BAD);
	for (size_t at = 16; at < PG_PAGE; at += 61) {
		page[at] ^= 0x10;
		assert_int_equal(pg_page_check(page, 5, LSN(1, 0)), PG_PAGE_BAD);
		page[at] ^= 0x10;
	}
}

static void
a_page_that_was_never_used_or_is_younger_than_the_backup_is_not_judged(void **state)
{
	uint8_t page[PG_PAGE] = { 0 };

	(void)state;
	assert_int_equal(pg_page_check(page, 0, LSN(1, 0)), PG_PAGE_NEW);
	make_page(page, LSN(1, 0), 0);
	page[100] ^= 1;
	assert_int_equal(pg_page_check(page, 0, LSN(1, 0)), PG_PAGE_YOUNG);
	assert_int_equal(pg_page_check(page, 0, LSN(1, 1)), PG_PAGE_BAD);
}

static const struct {
	const char *path;
	bool relation;
	uint32_t first;
} names[] = {
	{ "base/5/16384", true, 0 },
	{ "base/5/16384.1", true, 131072 },
	{ "base/5/16384.17", true, 17 * 131072 },
	{ "base/5/16384_fsm", true, 0 },
	{ "base/5/16384_vm.2", true, 262144 },
	{ "base/5/16384_init", true, 0 },
	{ "global/1262", true, 0 },
	{ "pg_tblspc/16400/PG_15_202209061/5/16401", true, 0 },
	{ "pg_tblspc/16400/PG_15_202209061/5/16401.3", true, 3 * 131072 },
	{ "global/pg_control", false, 0 },
	{ "global/pg_filenode.map", false, 0 },
	{ "base/5/PG_VERSION", false, 0 },
	{ "base/5/pg_internal.init", false, 0 },
	{ "base/5/t3_16384", false, 0 },
	{ "base/5/16384.", false, 0 },
	{ "base/5/16384.x", false, 0 },
	{ "base/5/16384_main", false, 0 },
	{ "base/5/16384_fsmx", false, 0 },
	{ "base/5/0123", false, 0 },
	{ "base/5/sub/16384", false, 0 },
	{ "base/16384", false, 0 },
	{ "pg_xact/0000", false, 0 },
	{ "pg_wal/000000010000000000000001", false, 0 },
	{ "pg_tblspc/16400/5/16401", false, 0 },
	{ "pg_tblspc/16400", false, 0 },
	{ "16384", false, 0 },
	{ "", false, 0 },
};

static void
relations_are_known_by_their_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const size_t n = strlen(names[i].path);

		if (pg_page_is_relation(names[i].path, n) != names[i].relation)
			fail_msg("'%s'", names[i].path);
		assert_int_equal(pg_page_first(names[i].path, n), names[i].first);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_checksum_is_the_servers),
		cmocka_unit_test(every_flipped_bit_makes_a_page_bad),
		cmocka_unit_test(
		    a_page_that_was_never_used_or_is_younger_than_the_backup_is_not_judged),
		cmocka_unit_test(relations_are_known_by_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
