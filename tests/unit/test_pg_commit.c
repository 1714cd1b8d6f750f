#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "base/mem.h"
#include "source/pg/pg_commit.h"
#include "source/pg/pg_walpage.h"
#include "tests/lib/walkit.h"

#define MOST 64

struct list {
	struct pg_commit c[MOST];
	size_t n;
	struct pg_commit_tally tally;
	uint64_t last; /* start of the last record of all */
};

static int
collect(void *arg, const struct pg_walrecord *r, struct err *e)
{
	struct list *l = arg;
	int rc;

	assert_true(l->n < MOST);
	rc = pg_commit_read(r, &l->c[l->n], e);
	if (rc == 1)
		pg_commit_count(&l->tally, &l->c[l->n++]);
	l->last = r->start;
	return rc == -1 ? -1 : 0;
}

static void
walk(int version, struct list *l)
{
	struct pg_walrecord_options o = { .lsn = walkit_start(version),
		.seg_size = WALKIT_SEGMENT, .wanted = PG_WALRECORD_COMMITS };
	struct pg_walrecords *p;
	struct err e = { .kind = ERR_NONE };
	struct buf b;
	char name[32];

	*l = (struct list){ .n = 0 };
	snprintf(name, sizeof(name), "%d.zst", version);
	buf_init(&b, 2 * WALKIT_SEGMENT);
	walkit_read(name, &b);
	p = pg_walrecord_new(&o, collect, l);
	if (pg_walrecord_feed(p, b.data, b.len, &e) != 0)
		fail_msg("%d: %s", version, e.text);
	pg_walrecord_free(p);
	buf_done(&b);
}

static const struct pg_commit *
find(const struct list *l, enum pg_commit_kind kind, uint32_t xid)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->c[i].kind == kind && l->c[i].xid == xid)
			return &l->c[i];
	return NULL;
}

static void
every_commit_is_found_with_the_time_that_its_server_said(void **state)
{
	struct walkit_fact fact[WALKIT_FACTS];
	struct list l;

	(void)state;
	for (int v = 14; v <= 18; v++) {
		size_t n = walkit_facts(v, fact), said = 0;

		walk(v, &l);
		for (size_t i = 0; i < n; i++) {
			uint32_t xid = (uint32_t)strtoul(fact[i].value, NULL, 10);
			const struct pg_commit *c;

			if (strcmp(fact[i].kind, "commit") == 0) {
				c = find(&l, PG_COMMIT_DONE, xid);
				assert_non_null(c);
				assert_true(c->time_ns == (int64_t)fact[i].more * 1000);
				said++;
			} else if (strcmp(fact[i].kind, "elsewhere") == 0) {
				assert_non_null(find(&l, PG_COMMIT_DONE, xid));
				said++;
			} else if (strcmp(fact[i].kind, "abort") == 0) {
				assert_non_null(find(&l, PG_COMMIT_ABORTED, xid));
				assert_null(find(&l, PG_COMMIT_DONE, xid));
				said++;
			} else if (strcmp(fact[i].kind, "prepared") == 0) {
				c = find(&l, PG_COMMIT_DONE, xid);
				if (!c)
					c = find(&l, PG_COMMIT_ABORTED, xid);
				assert_true(c && c->prepared);
				said++;
			}
		}
		assert_int_equal(said, 8);
		/* and two more: the long row and the replication origin */
		assert_int_equal(l.tally.commits, 6);
		assert_int_equal(l.tally.aborts, 2);
		assert_true(l.tally.last_ns == find(&l, PG_COMMIT_DONE,
						   l.c[l.n - 1].xid)->time_ns);
	}
}

static void
a_restore_point_has_its_name_and_place(void **state)
{
	struct walkit_fact fact[WALKIT_FACTS];
	struct list l;

	(void)state;
	for (int v = 14; v <= 18; v++) {
		size_t n = walkit_facts(v, fact), points = 0;
		char end[LSN_TEXT];

		walk(v, &l);
		for (size_t i = 0; i < l.n; i++) {
			if (l.c[i].kind != PG_COMMIT_POINT)
				continue;
			points++;
			assert_string_equal(l.c[i].name, "before the fall");
			assert_true(l.c[i].time_ns > l.c[i - 1].time_ns);
			assert_true(walkit_said(fact, n, "point", lsn_text(l.c[i].end, end), NULL));
		}
		assert_int_equal(points, 1);
	}
}

static void
a_new_timeline_begins_with_the_end_of_a_recovery(void **state)
{
	struct list l;

	(void)state;
	for (int v = 14; v <= 18; v++) {
		size_t i = 0;

		walk(v, &l);
		while (i < l.n && l.c[i].kind != PG_COMMIT_RECOVERED)
			i++;
		assert_true(i < l.n && i > 0);
		assert_int_equal(l.c[i].timeline, 2);
		assert_int_equal(l.c[i].parent, 1);
		/* before it the clean stop on the old one, behind it a checkpoint on the new one */
		assert_int_equal(l.c[i - 1].kind, PG_COMMIT_SHUTDOWN);
		assert_int_equal(l.c[i - 1].timeline, 1);
		assert_true(l.c[i - 1].redo == l.c[i - 1].start);
		assert_int_equal(l.c[i + 1].kind, PG_COMMIT_CHECKPOINT);
		assert_int_equal(l.c[i + 1].timeline, 2);
		assert_true(l.c[i + 1].redo < l.c[i + 1].start && l.c[i + 1].redo >= l.c[i].end);
	}
}

static struct pg_walrecord
record(uint8_t rmgr, uint8_t info, const struct buf *b)
{
	return (struct pg_walrecord){ .start = 0x1000028, .end = 0x1000100, .version = 15,
		.rmgr = rmgr, .info = info, .xid = 9, .data = b->data, .data_len = b->len,
		.main_len = b->len };
}

static void
lists_before_a_prepared_xid_are_stepped_over_as_the_version_has_them(void **state)
{
	struct pg_walrecord r;
	struct pg_commit c;
	struct err e = { .kind = ERR_NONE };
	struct buf b;

	(void)state;
	for (int v = 15; v <= 18; v++) {
		buf_init(&b, 65536);
		buf_add_u64(&b, 1000000); /* a second after 2000 */
		buf_add_u32(&b, 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x100);
		buf_add_u64(&b, 5); /* database and tablespace */
		buf_add_u32(&b, 3);
		for (int i = 0; i < 3; i++)
			buf_add_u32(&b, 1); /* subtransactions */
		buf_add_u32(&b, 1);
		for (int i = 0; i < 3; i++)
			buf_add_u32(&b, 2); /* a file */
		buf_add_u32(&b, 2);
		for (int i = 0; i < 2 * (v < 18 ? 3 : 4); i++)
			buf_add_u32(&b, 3); /* statistics */
		buf_add_u32(&b, 1);
		for (int i = 0; i < 4; i++)
			buf_add_u32(&b, 4); /* an invalidation */
		buf_add_u32(&b, 4242);
		r = record(PG_WALRECORD_XACT, 0x80 | 0x30, &b);
		r.version = v;
		assert_int_equal(pg_commit_read(&r, &c, &e), 1);
		assert_int_equal(c.xid, 4242);
		assert_true(c.prepared && c.time_ns == INT64_C(946684801) * 1000000000);
		/* cut anywhere it is refused, not read beyond */
		for (size_t n = 0; n < b.len; n++) {
			uint8_t *copy = n ? xmemdup(b.data, n) : NULL;

			r.data = copy;
			r.data_len = r.main_len = n;
			assert_int_equal(pg_commit_read(&r, &c, &e), -1);
			/* of a giant only the beginning is there: the commit still counts */
			r.main_len = b.len;
			assert_int_equal(pg_commit_read(&r, &c, &e), n < 8 ? -1 : 1);
			free(copy);
		}
		buf_done(&b);
	}
}

static void
records_of_other_kinds_are_none_of_them(void **state)
{
	static const struct {
		uint8_t rmgr, info;
	} other[] = { { 1, 0x10 }, { 1, 0x50 }, { 1, 0x60 }, { 0, 0x20 }, { 0, 0x40 }, { 0, 0xa0 },
		{ 0, 0xd0 }, { 0, 0xe0 }, { 10, 0 } };
	struct pg_walrecord r;
	struct pg_commit c;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		r = record(other[i].rmgr, other[i].info, &b);
		assert_int_equal(pg_commit_read(&r, &c, &e), 0);
	}
	buf_done(&b);
}

static void
a_name_without_an_end_is_refused(void **state)
{
	struct pg_walrecord r;
	struct pg_commit c;
	struct err e = { .kind = ERR_NONE };
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_add_u64(&b, 1);
	for (int i = 0; i < PG_COMMIT_NAME; i++)
		buf_addc(&b, 'n');
	r = record(PG_WALRECORD_XLOG, 0x70, &b);
	assert_int_equal(pg_commit_read(&r, &c, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "0/1000028"));
	b.data[b.len - 1] = 0;
	assert_int_equal(pg_commit_read(&r, &c, &e), 1);
	assert_int_equal(strlen(c.name), PG_COMMIT_NAME - 1);
	buf_done(&b);
}

static void
times_are_held_in_range(void **state)
{
	(void)state;
	assert_true(pg_commit_time_ns(0) == INT64_C(946684800000000000));
	assert_true(pg_commit_time_ns(-946684800000000) == 0);
	assert_true(pg_commit_time_ns(INT64_MAX) == INT64_MAX);
	assert_true(pg_commit_time_ns(INT64_MIN) == INT64_MIN);
}

static void
the_latest_time_is_not_always_the_last_ones(void **state)
{
	struct pg_commit_tally t = { 0 };

	(void)state;
	pg_commit_count(&t, &(struct pg_commit){ .kind = PG_COMMIT_DONE, .start = 8, .time_ns = -5 });
	assert_true(t.last_ns == -5);
	pg_commit_count(&t, &(struct pg_commit){ .kind = PG_COMMIT_DONE, .start = 16, .time_ns = 70 });
	pg_commit_count(&t, &(struct pg_commit){ .kind = PG_COMMIT_DONE, .start = 24, .time_ns = 60 });
	pg_commit_count(&t, &(struct pg_commit){ .kind = PG_COMMIT_POINT, .start = 32, .time_ns = 90 });
	assert_true(t.commits == 3 && t.aborts == 0 && t.last == 24 && t.last_ns == 70);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_commit_is_found_with_the_time_that_its_server_said),
		cmocka_unit_test(a_restore_point_has_its_name_and_place),
		cmocka_unit_test(a_new_timeline_begins_with_the_end_of_a_recovery),
		cmocka_unit_test(lists_before_a_prepared_xid_are_stepped_over_as_the_version_has_them),
		cmocka_unit_test(records_of_other_kinds_are_none_of_them),
		cmocka_unit_test(a_name_without_an_end_is_refused),
		cmocka_unit_test(times_are_held_in_range),
		cmocka_unit_test(the_latest_time_is_not_always_the_last_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
