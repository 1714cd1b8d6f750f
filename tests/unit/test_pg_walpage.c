#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "source/pg/pg_walpage.h"
#include "source/pg/pg_walrecord.h"
#include "tests/lib/walkit.h"

#define START UINT64_C(0x900000) /* of the segments of 15 and 16 */
#define PAGE PG_WALPAGE_LEN

static const int versions[] = { 14, 15, 16, 17, 18 };

static int
check(const struct buf *b, struct pg_walpage_segment *seg, struct err *e)
{
	*e = (struct err){ .kind = ERR_NONE };
	return pg_walpage_check_segment(b->data, b->len, 2, START, 0, seg, e);
}

static void
each_versions_segment_is_read(void **state)
{
	struct walkit_fact fact[WALKIT_FACTS];
	struct pg_walpage_segment seg;
	struct buf b;
	struct err e;
	uint64_t start;
	char sysid[32];

	(void)state;
	buf_init(&b, 2 * WALKIT_SEGMENT);
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		size_t n = walkit_facts(versions[i], fact);
		char name[32];

		snprintf(name, sizeof(name), "%d.zst", versions[i]);
		buf_reset(&b);
		walkit_read(name, &b);
		start = walkit_start(versions[i]);
		assert_int_equal(pg_walpage_check_segment(b.data, b.len, 2, start, 0, &seg, &e), 0);
		assert_int_equal(seg.version, versions[i]);
		assert_int_equal(seg.seg_size, WALKIT_SEGMENT);
		assert_int_equal(seg.first_timeline, 1); /* it began inside */
		assert_true(seg.end > start && seg.end < start + WALKIT_SEGMENT);
		snprintf(sysid, sizeof(sysid), "%ju", (uintmax_t)seg.sysid);
		assert_true(walkit_said(fact, n, "sysid", sysid, NULL));
		assert_int_equal(pg_walrecord_check(b.data, b.len, 2, start, seg.sysid, &seg, &e), 0);
	}
	buf_done(&b);
}

/* What is done to a sound segment, and what must be said of it. */
static void
wrong_version(uint8_t *p)
{
	buf_put_u16(p, 0xd106);
}

static void
big_endian(uint8_t *p)
{
	buf_put_u16(p, 0x10d1);
}

static void
no_wal(uint8_t *p)
{
	memset(p, 'x', PAGE);
}

static void
first_zero(uint8_t *p)
{
	memset(p, 0, PAGE);
}

static void
middle_zero(uint8_t *p)
{
	memset(p + 3 * PAGE, 0, PAGE);
}

static void
header_zero(uint8_t *p)
{
	memset(p + 3 * PAGE, 0, 64);
}

static void
foreign_page(uint8_t *p)
{
	buf_put_u64(p + 3 * PAGE + 8, START - WALKIT_SEGMENT + 3 * PAGE);
}

static void
other_segment(uint8_t *p)
{
	buf_put_u64(p + 8, START + WALKIT_SEGMENT);
}

static void
future_timeline(uint8_t *p)
{
	buf_put_u32(p + 4, 3);
	for (size_t off = PAGE; off < WALKIT_SEGMENT; off += PAGE)
		if (p[off])
			buf_put_u32(p + off + 4, 3);
}

static void
timeline_goes_back(uint8_t *p)
{
	buf_put_u32(p + 3 * PAGE + 4, 2);
}

static void
other_blocks(uint8_t *p)
{
	buf_put_u32(p + 36, 32768);
}

static void
no_size(uint8_t *p)
{
	buf_put_u32(p + 32, 12345);
}

static void
short_first(uint8_t *p)
{
	p[2] &= (uint8_t)~2;
}

static void
unknown_flag(uint8_t *p)
{
	p[2] |= 0x40;
}

static void
flag_without_rest(uint8_t *p)
{
	p[3 * PAGE + 2] ^= 1;
}

static void
each_mutilation_is_named(void **state)
{
	static const struct {
		void (*how)(uint8_t *);
		enum err_kind kind;
		const char *says;
	} row[] = {
		{ wrong_version, ERR_UNSUPPORTED, "D106" },
		{ big_endian, ERR_UNSUPPORTED, "big-endian" },
		{ no_wal, ERR_CORRUPT, "not a page of WAL" },
		{ first_zero, ERR_CORRUPT, "begins with zeros" },
		{ middle_zero, ERR_CORRUPT, "zeros from 0/906000 to 0/908000" },
		{ header_zero, ERR_CORRUPT, "0/906000 lacks its header" },
		{ foreign_page, ERR_CORRUPT, "the page at 0/906000 is that of 0/806000" },
		{ other_segment, ERR_CORRUPT, "WAL from 0/A00000, expected 0/900000" },
		{ future_timeline, ERR_CORRUPT, "timeline 3, expected 2" },
		{ timeline_goes_back, ERR_CORRUPT, "is of timeline 1, the one before of 2" },
		{ other_blocks, ERR_UNSUPPORTED, "pages of 32768 bytes" },
		{ no_size, ERR_CORRUPT, "12345" },
		{ short_first, ERR_CORRUPT, "does not begin as a segment" },
		{ unknown_flag, ERR_CORRUPT, "makes no sense" },
		{ flag_without_rest, ERR_CORRUPT, "0/906000: a page's header makes no sense" },
	};
	struct pg_walpage_segment seg;
	struct buf b;
	struct err e;

	(void)state;
	buf_init(&b, 2 * WALKIT_SEGMENT);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		buf_reset(&b);
		walkit_read("15.zst", &b);
		assert_int_equal(check(&b, &seg, &e), 0);
		row[i].how(b.data);
		assert_int_equal(check(&b, &seg, &e), -1);
		if (e.kind != row[i].kind || !strstr(e.text, row[i].says))
			fail_msg("row %zu: %s: %s", i, err_word(e.kind), e.text);
	}
	buf_done(&b);
}

static void
another_servers_segment_is_refused(void **state)
{
	struct pg_walpage_segment seg;
	struct buf b;
	struct err e = { .kind = ERR_NONE };

	(void)state;
	buf_init(&b, 2 * WALKIT_SEGMENT);
	walkit_read("16.zst", &b);
	assert_int_equal(pg_walpage_check_segment(b.data, b.len, 2, START, 4711, &seg, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_non_null(strstr(e.text, "4711"));
	buf_done(&b);
}

static void
a_length_that_is_no_segments_is_refused(void **state)
{
	struct pg_walpage_segment seg;
	struct buf b;
	struct err e;

	(void)state;
	buf_init(&b, 2 * WALKIT_SEGMENT);
	walkit_read("15.zst", &b);
	b.len = 0;
	assert_int_equal(check(&b, &seg, &e), -1);
	b.len = 3 * PAGE + 1;
	assert_int_equal(check(&b, &seg, &e), -1);
	b.len = 2 * PAGE; /* a part is fine for the pages ... */
	assert_int_equal(check(&b, &seg, &e), 0);
	assert_int_equal(seg.end, START + 2 * PAGE);
	/* ... but is no finished segment */
	assert_int_equal(pg_walrecord_check(b.data, b.len, 2, START, 0, &seg, &e), -1);
	assert_non_null(strstr(e.text, "whole segment"));
	b.len = WALKIT_SEGMENT;
	for (size_t i = 0; i < PAGE; i++)
		buf_addc(&b, 0);
	assert_int_equal(check(&b, &seg, &e), -1);
	assert_non_null(strstr(e.text, "have 1048576"));
	buf_done(&b);
}

static void
zeros_at_the_end_are_only_right_behind_a_switch(void **state)
{
	struct pg_walpage_segment seg;
	struct buf b;
	struct err e = { .kind = ERR_NONE };

	(void)state;
	buf_init(&b, 2 * WALKIT_SEGMENT);
	walkit_read("15.zst", &b);
	assert_int_equal(check(&b, &seg, &e), 0);
	/* what a padded stub of an unfinished segment looks like: pages are right, the end is not */
	memset(b.data + 5 * PAGE, 0, WALKIT_SEGMENT - 5 * PAGE);
	assert_int_equal(check(&b, &seg, &e), 0);
	assert_int_equal(seg.end, START + 5 * PAGE);
	assert_int_equal(pg_walrecord_check(b.data, b.len, 2, START, 0, &seg, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "without a switch"));
	buf_done(&b);
}

static void
a_magic_belongs_to_one_version(void **state)
{
	(void)state;
	for (int v = 0; v < 30; v++)
		if (pg_walpage_magic(v))
			assert_int_equal(pg_walpage_version(pg_walpage_magic(v)), v);
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		assert_int_not_equal(pg_walpage_magic(versions[i]), 0);
	assert_int_equal(pg_walpage_version(0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_versions_segment_is_read),
		cmocka_unit_test(each_mutilation_is_named),
		cmocka_unit_test(another_servers_segment_is_refused),
		cmocka_unit_test(a_length_that_is_no_segments_is_refused),
		cmocka_unit_test(zeros_at_the_end_are_only_right_behind_a_switch),
		cmocka_unit_test(a_magic_belongs_to_one_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
