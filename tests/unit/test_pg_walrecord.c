#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "source/pg/pg_walpage.h"
#include "source/pg/pg_walrecord.h"
#include "tests/lib/walkit.h"

#define SEG WALKIT_SEGMENT
#define START (7 * SEG)
#define PAGE PG_WALPAGE_LEN

/* What a walk saw, held against what was written. */
struct seen {
	const struct walkit *w;
	size_t next; /* index of the record expected */
	size_t count;
	size_t stop_after; /* 0: never */
	bool fail;
};

static int
see(void *arg, const struct pg_walrecord *r, struct err *e)
{
	struct seen *s = arg;
	const struct walkit_record *is = &s->w->record[s->next];

	assert_true(s->next < s->w->count);
	assert_true(r->start == is->start && r->end == is->end);
	assert_true(r->rmgr == is->rmgr && r->info == is->info && r->xid == is->xid);
	assert_int_equal(r->version, s->w->version);
	assert_int_equal(r->main_len, is->len);
	assert_int_equal(r->data_len, is->len);
	for (size_t i = 0; i < r->data_len; i++)
		if (r->data[i] != walkit_main(is->seed, i))
			fail_msg("byte %zu of the record %zu", i, s->next);
	s->next++;
	s->count++;
	if (s->fail)
		return err_set(e, ERR_CANCELLED, "enough");
	return s->count == s->stop_after;
}

static uint64_t
chance(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static struct pg_walrecords *
walk_from(const struct walkit *w, uint64_t lsn, struct seen *s)
{
	struct pg_walrecord_options o = { .lsn = lsn, .seg_size = w->seg_size,
		.wanted = PG_WALRECORD_ALL };

	*s = (struct seen){ .w = w };
	while (s->next < w->count && w->record[s->next].start < lsn)
		s->next++;
	return pg_walrecord_new(&o, see, s);
}

/* All from `lsn` on in slices of 1 to `most` bytes; most 0: at once. */
static int
feed_all(struct pg_walrecords *p, const struct walkit *w, uint64_t lsn, size_t most, uint64_t *x,
    struct err *e)
{
	int rc = 0;

	for (size_t off = lsn - w->start, n; off < w->bytes.len && rc == 0; off += n) {
		uint8_t *copy;

		n = most ? chance(x) % most + 1 : w->bytes.len - off;
		if (n > w->bytes.len - off)
			n = w->bytes.len - off;
		copy = xmemdup(w->bytes.data + off, n); /* a read behind it shows */
		rc = pg_walrecord_feed(p, copy, n, e);
		free(copy);
	}
	return rc;
}

/* Records of all lengths, switches and records that a crash cut off. */
static void
make_up(struct walkit *w, uint64_t seed, size_t pages)
{
	static const uint32_t most[] = { 40, 300, 9000, 40000 };
	uint64_t x = seed * 2 + 1;

	walkit_begin(w, 15, START, SEG);
	while (w->bytes.len < pages * PAGE) {
		uint64_t kind = chance(&x) % 100;
		uint32_t len = (uint32_t)(chance(&x) % most[chance(&x) % ARRAY_LEN(most)]);

		if (kind == 0 && w->bytes.len)
			walkit_switch(w);
		else if (kind < 3)
			walkit_void(w);
		else
			walkit_add(w, (uint8_t)(chance(&x) % 24), 0x10, (uint32_t)chance(&x),
			    (uint32_t)x, len);
	}
}

static void
records_are_found_as_they_were_written_in_slices_of_any_size(void **state)
{
	static const size_t slices[] = { 0, 1, 9, 5000, 200000 };
	struct pg_walrecord_state st;
	struct pg_walrecords *p;
	struct walkit w;
	struct seen s;
	struct err e = { .kind = ERR_NONE };

	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		make_up(&w, seed, 150);
		for (size_t i = 0; i < ARRAY_LEN(slices); i++) {
			uint64_t x = seed;

			p = walk_from(&w, START, &s);
			assert_int_equal(feed_all(p, &w, START, slices[i], &x, &e), 0);
			pg_walrecord_state(p, &st);
			pg_walrecord_free(p);
			assert_int_equal(s.next, w.count);
			assert_int_equal(st.count, w.count);
			assert_true(st.first == w.record[0].start);
			assert_true(st.last == w.record[w.count - 1].start);
			assert_true(st.end == w.record[w.count - 1].end);
			assert_true(st.fed == walkit_end(&w) && st.open == 0 && !st.ended);
		}
		walkit_done(&w);
	}
}

static void
a_walk_may_begin_anywhere(void **state)
{
	struct pg_walrecords *p;
	struct walkit w;
	struct seen s;
	struct err e = { .kind = ERR_NONE };
	uint64_t x = 4711;

	(void)state;
	make_up(&w, 5, 100);
	for (int i = 0; i < 300; i++) {
		uint64_t lsn = START + chance(&x) % w.bytes.len;
		/* it begins at the next page: those that begin before are not seen */
		uint64_t page = (lsn + PAGE - 1) / PAGE * PAGE;

		p = walk_from(&w, page, &s);
		pg_walrecord_free(p);
		p = pg_walrecord_new(&(struct pg_walrecord_options){ .lsn = lsn, .seg_size = SEG,
			.wanted = PG_WALRECORD_ALL }, see, &s);
		/* behind a switch are zeros: a walk that begins there says so */
		if (feed_all(p, &w, lsn, 3000, &x, &e) == 0)
			assert_int_equal(s.next, w.count);
		else
			assert_int_equal(s.count, 0);
		pg_walrecord_free(p);
	}
	walkit_done(&w);
}

static void
every_way_to_lie_on_a_page_boundary_is_read(void **state)
{
	struct pg_walrecords *p;
	struct walkit w;
	struct seen s;
	struct err e = { .kind = ERR_NONE };
	uint64_t x = 1;

	(void)state;
	/* the second record's header begins 0 .. 64 bytes before the page's end */
	for (uint32_t before = 0; before <= 64; before += 8) {
		walkit_begin(&w, 15, START, SEG);
		walkit_add(&w, 10, 0, 1, 1, PAGE - PG_WALPAGE_LONG - 24 - 5 - before);
		walkit_add(&w, 10, 0, 2, 2, 0);
		walkit_add(&w, 10, 0, 3, 3, 20);
		walkit_add(&w, 10, 0, 4, 4, 3 * PAGE);
		p = walk_from(&w, START, &s);
		assert_int_equal(feed_all(p, &w, START, 5, &x, &e), 0);
		assert_int_equal(s.next, 4);
		pg_walrecord_free(p);
		walkit_done(&w);
	}
}

static void
the_callback_can_stop_or_fail_it(void **state)
{
	struct pg_walrecord_state st;
	struct pg_walrecords *p;
	struct walkit w;
	struct seen s;
	struct err e = { .kind = ERR_NONE };

	(void)state;
	make_up(&w, 3, 20);
	p = walk_from(&w, START, &s);
	s.stop_after = 4;
	assert_int_equal(pg_walrecord_feed(p, w.bytes.data, w.bytes.len, &e), 1);
	assert_int_equal(s.count, 4);
	assert_int_equal(pg_walrecord_feed(p, w.bytes.data, w.bytes.len, &e), 1);
	assert_int_equal(s.count, 4);
	pg_walrecord_state(p, &st);
	assert_true(st.last == w.record[3].start && !st.ended);
	pg_walrecord_free(p);
	p = walk_from(&w, START, &s);
	s.fail = true;
	assert_int_equal(pg_walrecord_feed(p, w.bytes.data, w.bytes.len, &e), -1);
	assert_int_equal(e.kind, ERR_CANCELLED);
	pg_walrecord_free(p);
	walkit_done(&w);
}

static void
an_unfinished_end_leaves_the_last_complete_record(void **state)
{
	struct pg_walrecord_state st;
	struct pg_walrecords *p;
	struct walkit w;
	struct seen s;
	struct err e = { .kind = ERR_NONE };

	(void)state;
	walkit_begin(&w, 17, START, SEG);
	walkit_add(&w, 10, 0, 1, 1, 100);
	walkit_add(&w, 10, 0, 2, 2, 100);
	walkit_add(&w, 10, 0, 3, 3, 5000);
	/* cut in each byte of the third */
	for (uint64_t cut = w.record[1].end; cut < w.record[2].start + 24 + 5 + 5000; cut += 11) {
		p = walk_from(&w, START, &s);
		assert_int_equal(pg_walrecord_feed(p, w.bytes.data, cut - START, &e), 0);
		pg_walrecord_state(p, &st);
		assert_true(st.last == w.record[1].start && st.end == w.record[1].end);
		assert_true(st.open == (cut > w.record[1].end ? w.record[2].start : 0));
		assert_true(st.fed == cut);
		pg_walrecord_free(p);
	}
	walkit_done(&w);
}

static void
zeros_end_the_walk(void **state)
{
	static const uint8_t zeros[2 * PAGE];
	struct pg_walrecord_state st;
	struct pg_walrecords *p;
	struct walkit w;
	struct seen s;
	struct err e = { .kind = ERR_NONE };

	(void)state;
	for (uint32_t len = 50; len < PAGE; len += 1000) {
		walkit_begin(&w, 15, START, SEG);
		walkit_add(&w, 10, 0, 1, 1, len);
		p = walk_from(&w, START, &s);
		assert_int_equal(pg_walrecord_feed(p, w.bytes.data, w.bytes.len, &e), 0);
		assert_int_equal(pg_walrecord_feed(p, zeros, sizeof(zeros), &e), 1);
		pg_walrecord_state(p, &st);
		assert_true(st.ended && st.end == w.record[0].end && st.open == 0);
		pg_walrecord_free(p);
		walkit_done(&w);
	}
}

static void
a_flipped_bit_in_any_record_is_found(void **state)
{
	struct pg_walrecord_options o = { .lsn = START, .seg_size = SEG };
	struct pg_walpage_segment seg;
	struct pg_walrecords *p;
	struct walkit w;
	struct err e = { .kind = ERR_NONE };
	uint64_t x = 99;

	(void)state;
	walkit_begin(&w, 15, START, SEG);
	while (w.bytes.len < 4 * PAGE)
		walkit_add(&w, 10, 0, 7, (uint32_t)chance(&x), (uint32_t)(chance(&x) % 400));
	walkit_switch(&w);
	assert_int_equal(pg_walrecord_check(w.bytes.data, w.bytes.len, 1, START, 0, &seg, &e), 0);
	for (size_t r = 0; r + 1 < w.count; r++) {
		uint64_t from = w.record[r].start, len = w.record[r + 1].start - from - 7;
		uint8_t *byte = &w.bytes.data[from - START + chance(&x) % len];
		uint8_t bit = (uint8_t)(1u << chance(&x) % 8);
		int rc;

		*byte ^= bit;
		p = pg_walrecord_new(&o, NULL, NULL);
		/* a length that grew may run into the zeros at the end: that is found by the caller */
		rc = pg_walrecord_feed(p, w.bytes.data, w.bytes.len, &e);
		pg_walrecord_free(p);
		assert_int_not_equal(rc, 0);
		assert_int_equal(pg_walrecord_check(w.bytes.data, w.bytes.len, 1, START, 0, &seg, &e), -1);
		*byte ^= bit;
	}
	walkit_done(&w);
}

static void
damage_is_named_by_its_place(void **state)
{
	struct pg_walrecord_options o = { .lsn = START, .seg_size = SEG };
	static const struct {
		size_t at; /* in the second record; 0 stands for the page's header */
		const char *says;
	} row[] = {
		{ 30, "has a wrong checksum" },
		{ 16, "has a wrong checksum" },
		{ 8, "does not name the one before it" },
		{ 3, "has an impossible length" },
	};
	struct pg_walrecords *p;
	struct walkit w;
	struct err e;
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		e = (struct err){ .kind = ERR_NONE };
		walkit_begin(&w, 15, START, SEG);
		walkit_add(&w, 10, 0, 1, 1, 100);
		walkit_add(&w, 10, 0, 2, 2, 100);
		w.bytes.data[w.record[1].start - START + row[i].at] ^= 0x80;
		p = pg_walrecord_new(&o, NULL, NULL);
		assert_int_equal(pg_walrecord_feed(p, w.bytes.data, w.bytes.len, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		snprintf(text, sizeof(text), "the record at 0/%jX %s", (uintmax_t)w.record[1].start,
		    row[i].says);
		assert_non_null(strstr(e.text, text));
		pg_walrecord_free(p);
		walkit_done(&w);
	}
}

static void
a_page_that_does_not_go_on_is_refused(void **state)
{
	struct pg_walrecord_options o = { .lsn = START, .seg_size = SEG };
	struct pg_walrecords *p;
	struct walkit w;
	struct err e = { .kind = ERR_NONE };

	(void)state;
	walkit_begin(&w, 15, START, SEG);
	walkit_add(&w, 10, 0, 1, 1, 3 * PAGE);
	buf_put_u32(w.bytes.data + PAGE + 16, 17);
	p = pg_walrecord_new(&o, NULL, NULL);
	assert_int_equal(pg_walrecord_feed(p, w.bytes.data, w.bytes.len, &e), -1);
	assert_non_null(strstr(e.text, "the page at 0/702000: it goes on with 17 bytes, "
				       "but of the record at 0/700028"));
	pg_walrecord_free(p);
	/* another server's segment behind ours */
	o.sysid = 5;
	p = pg_walrecord_new(&o, NULL, NULL);
	assert_int_equal(pg_walrecord_feed(p, w.bytes.data, w.bytes.len, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	pg_walrecord_free(p);
	o = (struct pg_walrecord_options){ .lsn = START, .seg_size = 2 * SEG };
	p = pg_walrecord_new(&o, NULL, NULL);
	assert_int_equal(pg_walrecord_feed(p, w.bytes.data, w.bytes.len, &e), -1);
	assert_non_null(strstr(e.text, "segments are not of 2 MiB"));
	pg_walrecord_free(p);
	walkit_done(&w);
}

/* What stands before the main data must be understood to find it. */
static void
main_data_is_found_behind_blocks_and_images(void **state)
{
	static const uint8_t ref[16] = { 1 };
	struct walkit w;
	struct buf b;

	(void)state;
	for (int v = 14; v <= 15; v++) {
		struct pg_walrecord_options o = { .lsn = START, .seg_size = SEG,
			.wanted = PG_WALRECORD_ALL };
		struct pg_walrecords *p;
		struct seen s;
		struct err e = { .kind = ERR_NONE };

		walkit_begin(&w, v, START, SEG);
		buf_init(&b, 65536);
		buf_addc(&b, (char)253); /* origin */
		buf_add_u16(&b, 3);
		buf_addc(&b, (char)252); /* top xid */
		buf_add_u32(&b, 77);
		buf_addc(&b, 0); /* block 0: compressed image with a hole, 6 bytes of data */
		buf_addc(&b, 0x10 | 0x20);
		buf_add_u16(&b, 6);
		buf_add_u16(&b, 100);
		buf_add_u16(&b, 40);
		buf_addc(&b, v == 14 ? 0x01 | 0x02 : 0x01 | 0x04);
		buf_add_u16(&b, 4000);
		buf_add(&b, ref, 16);
		buf_addc(&b, 1); /* block 1: same file, plain image without a hole */
		buf_addc(&b, (char)0x90);
		buf_add_u16(&b, 0);
		buf_add_u16(&b, 200);
		buf_add_u16(&b, 0);
		buf_addc(&b, v == 14 ? 0x04 : 0x02);
		buf_add(&b, ref, 4);
		buf_addc(&b, (char)255);
		buf_addc(&b, 9);
		for (int i = 0; i < 306; i++)
			buf_addc(&b, 'i');
		for (size_t i = 0; i < 9; i++)
			buf_addc(&b, (char)walkit_main(8, i));
		walkit_add_raw(&w, 10, 0, 1, b.data, b.len);
		w.record[0].seed = 8;
		w.record[0].len = 9;
		s = (struct seen){ .w = &w };
		p = pg_walrecord_new(&o, see, &s);
		assert_int_equal(pg_walrecord_feed(p, w.bytes.data, w.bytes.len, &e), 0);
		assert_int_equal(s.count, 1);
		pg_walrecord_free(p);
		/* one byte more than the parts say: nobody could tell where the data is */
		buf_addc(&b, 'x');
		walkit_add_raw(&w, 10, 0, 1, b.data, b.len);
		p = pg_walrecord_new(&o, NULL, NULL);
		assert_int_equal(pg_walrecord_feed(p, w.bytes.data, w.bytes.len, &e), -1);
		assert_non_null(strstr(e.text, "parts make no sense"));
		pg_walrecord_free(p);
		buf_done(&b);
		walkit_done(&w);
	}
}

static int
count_void(void *arg, const struct pg_walrecord *r, struct err *e)
{
	(void)e;
	*(unsigned *)arg += r->rmgr == PG_WALRECORD_XLOG && r->info == 0xd0;
	return 0;
}

static void
a_record_that_a_real_crash_cut_off_is_void(void **state)
{
	struct pg_walrecord_options o = { .seg_size = SEG, .wanted = PG_WALRECORD_COMMITS };
	struct pg_walrecord_state st;
	struct pg_walrecords *p;
	struct pg_walpage page;
	unsigned declared = 0;
	struct buf b;
	struct err e = { .kind = ERR_NONE };

	(void)state;
	buf_init(&b, 8 * SEG);
	walkit_read("15-void.zst", &b);
	assert_int_equal(b.len, 3 * SEG);
	assert_int_equal(pg_walpage_read(b.data, PG_WALPAGE_LONG, &page, &e), 1);
	o.lsn = page.lsn;
	p = pg_walrecord_new(&o, count_void, &declared);
	assert_int_equal(pg_walrecord_feed(p, b.data, b.len, &e), 0);
	pg_walrecord_state(p, &st);
	assert_int_equal(st.void_count, 1);
	assert_int_equal(declared, 1);
	assert_true(st.last_switches && st.end == page.lsn + 3 * SEG);
	pg_walrecord_free(p);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_found_as_they_were_written_in_slices_of_any_size),
		cmocka_unit_test(a_walk_may_begin_anywhere),
		cmocka_unit_test(every_way_to_lie_on_a_page_boundary_is_read),
		cmocka_unit_test(the_callback_can_stop_or_fail_it),
		cmocka_unit_test(an_unfinished_end_leaves_the_last_complete_record),
		cmocka_unit_test(zeros_end_the_walk),
		cmocka_unit_test(a_flipped_bit_in_any_record_is_found),
		cmocka_unit_test(damage_is_named_by_its_place),
		cmocka_unit_test(a_page_that_does_not_go_on_is_refused),
		cmocka_unit_test(main_data_is_found_behind_blocks_and_images),
		cmocka_unit_test(a_record_that_a_real_crash_cut_off_is_void),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
