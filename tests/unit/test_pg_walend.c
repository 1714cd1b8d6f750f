/* Which segments are finished: made-up ones, cut anywhere, with what a server leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "source/pg/pg_walend.h"
#include "source/pg/pg_walpage.h"
#include "tests/lib/walkit.h"

#define SEG WALKIT_SEGMENT
#define START (7 * SEG)
#define PAGE PG_WALPAGE_LEN

/* More than a segment's bytes of records of up to `most` bytes. */
static void
full(struct walkit *w, uint64_t start, uint32_t most)
{
	uint32_t x = 1;

	walkit_begin(w, 15, start, SEG);
	while (w->bytes.len < SEG + PAGE) {
		x = x * 1103515245 + 12345;
		walkit_add(w, 10, 0, 7, x, (x >> 8) % most);
	}
}

static int
check(const uint8_t *bytes, struct err *e)
{
	*e = (struct err){ .kind = ERR_NONE };
	return pg_walend_check(bytes, SEG, 1, START, 0, e);
}

static void
a_segment_that_is_full_is_finished(void **state)
{
	static const uint32_t most[] = { 40, 400, 9000, 60000 };
	struct walkit w;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(most); i++) {
		full(&w, START, most[i]);
		if (check(w.bytes.data, &e) == -1)
			fail_msg("records of up to %u bytes: %s", most[i], e.text);
		walkit_done(&w);
	}
}

static void
one_that_ends_with_a_switch_is_finished_wherever_that_stands(void **state)
{
	struct walkit w;
	struct err e;

	(void)state;
	for (uint32_t fill = 0; fill < 2 * PAGE; fill += 8) {
		walkit_begin(&w, 15, START, SEG);
		walkit_add(&w, 10, 0, 7, 1, 16000);
		walkit_add(&w, 10, 0, 7, 2, fill);
		walkit_switch(&w);
		if (check(w.bytes.data, &e) == -1)
			fail_msg("behind %u bytes: %s", fill, e.text);
		walkit_done(&w);
	}
}

static void
one_that_is_being_written_is_refused_wherever_it_ends(void **state)
{
	struct walkit w, old;
	struct err e;
	uint8_t *cut = xmalloc(SEG);

	(void)state;
	full(&w, START, 3000);
	full(&old, START - 4 * SEG, 3000);
	for (size_t i = 0; w.record[i].end < START + SEG; i++) {
		const size_t at = w.record[i].end - START, page = (at + PAGE - 1) / PAGE * PAGE;

		/* a new file: zeros */
		memset(cut, 0, SEG);
		memcpy(cut, w.bytes.data, at);
		assert_int_equal(check(cut, &e), -1);
		assert_int_equal(e.kind, ERR_REFUSED);
		assert_non_null(strstr(e.text, "not finished"));
		/* a file that was used before: zeros up to the page's end, then what it held */
		memcpy(cut + page, old.bytes.data + page, SEG - page);
		assert_int_equal(check(cut, &e), -1);
		if (e.kind != ERR_REFUSED)
			fail_msg("%zu bytes written: %s", at, e.text);
		/* what it held ended with a switch */
		memset(cut + SEG - 3 * PAGE, 0, 3 * PAGE);
		assert_int_equal(check(cut, &e), -1);
		assert_int_equal(e.kind, ERR_REFUSED);
	}
	free(cut);
	walkit_done(&w);
	walkit_done(&old);
}

static void
a_page_in_the_wrong_place_is_damage_and_not_an_unfinished_segment(void **state)
{
	struct walkit w;
	struct err e;

	(void)state;
	full(&w, START, 3000);
	memcpy(w.bytes.data + 9 * PAGE, w.bytes.data + 12 * PAGE, PAGE);
	assert_int_equal(check(w.bytes.data, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	walkit_done(&w);
	full(&w, START, 3000);
	memset(w.bytes.data + 9 * PAGE, 0, PAGE);
	assert_int_equal(check(w.bytes.data, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	walkit_done(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_segment_that_is_full_is_finished),
		cmocka_unit_test(one_that_ends_with_a_switch_is_finished_wherever_that_stands),
		cmocka_unit_test(one_that_is_being_written_is_refused_wherever_it_ends),
		cmocka_unit_test(a_page_in_the_wrong_place_is_damage_and_not_an_unfinished_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
