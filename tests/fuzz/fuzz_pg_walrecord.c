/*
 * The first byte: 0 to 4 takes the rest, behind two bytes for manager and info, as the inside of a
 * record of version 14 to 18 with the right checksum, which no fuzzer would hit; others take it as
 * WAL as it stands. Fed whole and in slices, the same must be seen.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/crc32c.h"
#include "source/pg/pg_commit.h"
#include "source/pg/pg_walpage.h"
#include "source/pg/pg_walrecord.h"
#include "tests/lib/walkit.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* What a walk saw, as one number. */
struct seen {
	uint32_t sum;
	uint64_t last;
};

static void
must(int condition)
{
	if (!condition)
		abort();
}

static int
see(void *arg, const struct pg_walrecord *r, struct err *e)
{
	struct seen *s = arg;
	struct pg_commit c;
	int rc;

	must(r->start >= s->last && r->end > r->start && r->end % 8 == 0);
	must(r->data_len <= r->main_len && r->main_len < r->len);
	s->last = r->end;
	s->sum = crc32c(s->sum, &r->start, sizeof(r->start));
	s->sum = crc32c(s->sum, &r->end, sizeof(r->end));
	s->sum = crc32c(s->sum, r->data, r->data_len);
	rc = pg_commit_read(r, &c, e);
	if (rc == 1)
		must(memchr(c.name, 0, sizeof(c.name)) != NULL);
	return rc == -1 ? -1 : 0;
}

static int
walk(const uint8_t *bytes, size_t n, size_t slice, uint64_t lsn, struct seen *s,
    struct pg_walrecord_state *st)
{
	struct pg_walrecord_options o = { .lsn = lsn, .seg_size = WALKIT_SEGMENT,
		.wanted = PG_WALRECORD_ALL };
	struct pg_walrecords *w = pg_walrecord_new(&o, see, s);
	struct err e = { .kind = ERR_NONE };
	int rc = 0;

	*s = (struct seen){ 0, 0 };
	for (size_t off = 0, k; off < n && rc == 0; off += k) {
		k = n - off < slice ? n - off : slice;
		rc = pg_walrecord_feed(w, bytes + off, k, &e);
	}
	if (rc == -1)
		must(e.kind != ERR_NONE && e.text[0]);
	pg_walrecord_state(w, st);
	must(st->fed >= lsn && st->fed <= lsn + n);
	must(st->count == 0 || (st->first <= st->last && st->last < st->end));
	pg_walrecord_free(w);
	return rc;
}

static void
compare(const uint8_t *bytes, size_t n, uint64_t lsn)
{
	static const size_t slices[] = { 1, 7, 4097 };
	struct pg_walrecord_state whole, part;
	struct seen all, some;
	int rc = walk(bytes, n, SIZE_MAX, lsn, &all, &whole);

	for (size_t i = 0; i < ARRAY_LEN(slices); i++) {
		must(walk(bytes, n, slices[i], lsn, &some, &part) == rc);
		must(some.sum == all.sum && part.count == whole.count && part.end == whole.end);
		must(part.void_count == whole.void_count && part.ended == whole.ended);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct pg_walpage_segment seg;
	struct pg_walpage page;
	struct walkit w;
	struct err e;

	if (n < 3)
		return 0;
	if (data[0] < 5) {
		walkit_begin(&w, 14 + data[0], WALKIT_SEGMENT, WALKIT_SEGMENT);
		walkit_add_raw(&w, data[1], data[2], 3, data + 3, n - 3);
		compare(w.bytes.data, w.bytes.len, WALKIT_SEGMENT);
		walkit_done(&w);
		return 0;
	}
	if (pg_walpage_read(data + 1, n - 1, &page, &e) != 1 || page.lsn > INT64_MAX)
		page.lsn = WALKIT_SEGMENT;
	compare(data + 1, n - 1, page.lsn);
	if (n - 1 >= PG_WALPAGE_LEN)
		pg_walpage_check_segment(data + 1, (n - 1) / PG_WALPAGE_LEN * PG_WALPAGE_LEN, 2,
		    page.lsn, 0, &seg, &e);
	return 0;
}
