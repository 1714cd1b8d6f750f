/*
 * Three readers need records, not bytes: the receiver counts commits, a restore must name the last
 * record as its bound, and an archive must know that the zeros at a segment's end are meant. All
 * get WAL in slices (a message, a piece, a segment), so this is a machine that is pushed: it keeps
 * at most one record's bytes, and only of those that somebody wants.
 *
 * What would surprise: a record may begin anywhere, so a walk begins at a page, whose header says
 * how much of an older record stands first; and a record's length must not be trusted before its
 * link to the record before is right, because its checksum comes last. A crash may leave a record
 * without its end for ever: then the next page says so and the record is void.
 */
#include "source/pg/pg_walrecord.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/lsn.h"
#include "base/mem.h"
#include "filter/crc32c.h"
#include "source/pg/pg_walpage.h"

#define HEAD 24u	/* of a record */
#define HEAD_SUMMED 20u /* what of it the checksum covers, after the rest */
#define LEN_KNOWN 4u	/* the length stands first */
#define ALIGN 8u	/* where records begin */
#define PARAMETERS 0x60 /* info & 0xf0; behind connections, workers and senders, four bytes each: */
#define PARAMETERS_PREPARED 12u
/* The server's own limit for one allocation; it refuses to build larger ones. */
#define RECORD_MAX ((UINT32_C(1) << 30) - 1)
/* A commit with four million subtransactions still fits; of more only the beginning is kept. */
#define KEEP_MAX (UINT32_C(16) << 20)

/* What may stand before the data of a record: a byte that says which part follows. */
#define PART_BLOCK_LAST 32
#define PART_TOP_XID 252
#define PART_ORIGIN 253
#define PART_MAIN_LONG 254
#define PART_MAIN 255
#define BLOCK_IMAGE 0x10
#define BLOCK_SAME_FILE 0x80
#define IMAGE_HOLE 0x01

struct pg_walrecords {
	struct pg_walrecord_options o;
	pg_walrecord_fn *each;
	void *arg;
	struct pg_walrecord_state s;

	uint64_t skip_to; /* nothing of interest before this LSN */
	bool stopped;

	bool at_page; /* a page's header comes next */
	uint8_t page[PG_WALPAGE_LONG];
	uint32_t page_have;

	uint32_t rest; /* still to come of a record that began before the first byte fed */

	/* the open record: its bytes so far, header included */
	uint32_t have;
	uint8_t head[HEAD];
	uint32_t crc;
	bool wanted;
	struct buf body; /* behind the header, the first KEEP_MAX of it */
	struct pg_walrecord r;
};

static uint64_t
round_up(uint64_t lsn, uint64_t to)
{
	return (lsn + to - 1) / to * to;
}

struct pg_walrecords *
pg_walrecord_new(const struct pg_walrecord_options *o, pg_walrecord_fn *each, void *arg)
{
	struct pg_walrecords *w = xcalloc(1, sizeof(*w));

	w->o = *o;
	w->each = each;
	w->arg = arg;
	w->s.fed = o->lsn;
	w->s.sysid = o->sysid;
	w->skip_to = round_up(o->lsn, PG_WALPAGE_LEN);
	w->at_page = true;
	buf_init(&w->body, KEEP_MAX);
	return w;
}

void
pg_walrecord_free(struct pg_walrecords *w)
{
	if (!w)
		return;
	buf_done(&w->body);
	free(w);
}

void
pg_walrecord_state(const struct pg_walrecords *w, struct pg_walrecord_state *ret)
{
	*ret = w->s;
}

static void
advance(struct pg_walrecords *w, size_t n)
{
	w->s.fed += n;
	if (w->s.fed % PG_WALPAGE_LEN == 0)
		w->at_page = true;
}

static void
end_here(struct pg_walrecords *w)
{
	w->s.ended = true;
	w->stopped = true;
}

/* ---- pages ------------------------------------------------------------------------------------ */

static int
check_page(struct pg_walrecords *w, const struct pg_walpage *p, uint64_t lsn, struct err *e)
{
	bool begins_segment = lsn % w->o.seg_size == 0;
	char is[LSN_TEXT];

	if (p->lsn != lsn)
		return err_set(e, ERR_CORRUPT, "it is the page of %s", lsn_text(p->lsn, is));
	if (begins_segment != (p->header == PG_WALPAGE_LONG) ||
	    (begins_segment && p->seg_size != w->o.seg_size))
		return err_set(e, ERR_CORRUPT, "segments are not of %" PRIu64 " MiB, as expected",
		    w->o.seg_size >> 20);
	if (begins_segment && w->s.sysid && p->sysid != w->s.sysid)
		return err_set(e, ERR_REFUSED,
		    "WAL of system id %" PRIu64 ", expected %" PRIu64 ": that is another server",
		    p->sysid, w->s.sysid);
	if (w->s.version && (p->version != w->s.version || p->timeline < w->s.timeline))
		return err_set(e, ERR_CORRUPT,
		    "version %d on timeline %" PRIu32 ", expected %d and no timeline before %" PRIu32,
		    p->version, p->timeline, w->s.version, w->s.timeline);
	return 0;
}

/* Does the page go on with what the one before left open? */
static int
join_page(struct pg_walrecords *w, const struct pg_walpage *p, struct err *e)
{
	uint32_t expected = w->have ? w->r.len - w->have : w->rest;
	char at[LSN_TEXT];

	if (p->overwritten) {
		w->s.void_count += expected > 0;
		w->have = w->rest = 0;
		w->s.open = 0;
		return 0;
	}
	if (!w->s.version)
		w->rest = p->rest;
	else if (p->rest != expected && w->have)
		return err_set(e, ERR_CORRUPT,
		    "it goes on with %" PRIu32 " bytes, but of the record at %s %" PRIu32
		    " are missing", p->rest, lsn_text(w->s.open, at), expected);
	else if (p->rest != expected)
		return err_set(e, ERR_CORRUPT, "it goes on with %" PRIu32 " bytes, expected %" PRIu32,
		    p->rest, expected);
	return 0;
}

static int
page_done(struct pg_walrecords *w, uint64_t lsn, struct err *e)
{
	struct pg_walpage p;
	int got;

	got = pg_walpage_read(w->page, w->page_have, &p, e);
	if (got == 0)
		end_here(w);
	if (got <= 0)
		return got;
	if (check_page(w, &p, lsn, e) == -1 || join_page(w, &p, e) == -1)
		return -1;
	w->s.version = p.version;
	w->s.timeline = p.timeline;
	if (p.header == PG_WALPAGE_LONG)
		w->s.sysid = p.sysid;
	return 0;
}

static ssize_t
take_page(struct pg_walrecords *w, const uint8_t *bytes, size_t n, struct err *e)
{
	uint32_t want = PG_WALPAGE_SHORT;
	uint64_t lsn = w->s.fed - w->page_have;
	char at[LSN_TEXT];

	if (w->page_have >= PG_WALPAGE_SHORT)
		want = PG_WALPAGE_LONG;
	if (n > want - w->page_have)
		n = want - w->page_have;
	memcpy(w->page + w->page_have, bytes, n);
	w->page_have += (uint32_t)n;
	w->s.fed += n;
	if (w->page_have < want || (want == PG_WALPAGE_SHORT && pg_walpage_is_long(w->page)))
		return (ssize_t)n;
	if (page_done(w, lsn, e) == -1)
		return err_in(e, "the page at %s", lsn_text(lsn, at));
	w->page_have = 0;
	w->at_page = false;
	return (ssize_t)n;
}

/* ---- records ---------------------------------------------------------------------------------- */

static int
damaged(const struct pg_walrecords *w, const char *how, struct err *e)
{
	char at[LSN_TEXT];

	return err_set(e, ERR_CORRUPT, "the record at %s %s", lsn_text(w->r.start, at), how);
}

/* The next n bytes of what stands before the data; NULL when there are not so many. */
static const uint8_t *
part(const struct buf *body, size_t *off, size_t n)
{
	const uint8_t *p = body->data + *off;

	if (n > body->len - *off)
		return NULL;
	*off += n;
	return p;
}

static bool
is_compressed(int version, uint8_t image_info)
{
	return version == 14 ? image_info & 0x02 : image_info & 0x1c;
}

/* A block's reference, its id already read; adds what it has further back to *data. */
static int
skip_block(const struct buf *body, int version, size_t *off, uint64_t *data)
{
	const uint8_t *p = part(body, off, 3), *image;

	if (!p)
		return -1;
	*data += buf_get_u16(p + 1);
	if (p[0] & BLOCK_IMAGE) {
		image = part(body, off, 5);
		if (!image)
			return -1;
		*data += buf_get_u16(image);
		if (is_compressed(version, image[4]) && image[4] & IMAGE_HOLE &&
		    !part(body, off, 2))
			return -1;
	}
	return part(body, off, p[0] & BLOCK_SAME_FILE ? 4 : 16) ? 0 : -1;
}

/* One of the parts that stand before all data; 1 when it was the last, the main data's. */
static int
skip_part(const struct buf *body, int version, size_t *off, uint64_t *data, size_t *ret_main)
{
	const uint8_t *id = part(body, off, 1), *len;

	if (!id)
		return -1;
	if (*id <= PART_BLOCK_LAST)
		return skip_block(body, version, off, data);
	if (*id == PART_ORIGIN)
		return part(body, off, 2) ? 0 : -1;
	if (*id == PART_TOP_XID)
		return part(body, off, 4) ? 0 : -1;
	if (*id != PART_MAIN && *id != PART_MAIN_LONG)
		return -1;
	len = part(body, off, *id == PART_MAIN ? 1 : 4);
	if (!len)
		return -1;
	*ret_main = *id == PART_MAIN ? *len : buf_get_u32(len);
	*data += *ret_main;
	return 1;
}

/*
 * How long the main data is: it stands last, behind the blocks' data, but how long is said in the
 * last of the parts before. They end where what is left is as long as they say all data is.
 */
static int
main_length(const struct buf *body, int version, size_t total, size_t *ret)
{
	size_t off = 0, n = 0;
	uint64_t data = 0;
	int rc = 0;

	while (rc == 0 && total - off > data)
		rc = skip_part(body, version, &off, &data, &n);
	*ret = n;
	return rc == -1 || total - off != data ? -1 : 0;
}

static int
find_main(struct pg_walrecords *w, struct err *e)
{
	size_t total = w->r.len - HEAD, before;

	if (main_length(&w->body, w->r.version, total, &w->r.main_len) == -1)
		return damaged(w, "has the right checksum, but its parts make no sense", e);
	before = total - w->r.main_len;
	if (before < w->body.len) {
		w->r.data = w->body.data + before;
		w->r.data_len = w->body.len - before;
	}
	return 0;
}

static int
record_done(struct pg_walrecords *w, struct err *e)
{
	int rc;

	if (crc32c(w->crc, w->head, HEAD_SUMMED) != buf_get_u32(w->head + HEAD_SUMMED))
		return damaged(w, "has a wrong checksum", e);
	if (w->wanted && find_main(w, e) == -1)
		return -1;
	w->r.end = round_up(w->s.fed, ALIGN);
	w->s.last_switches = w->r.rmgr == PG_WALRECORD_XLOG &&
	    (w->r.info & 0xf0) == PG_WALRECORD_SWITCH;
	if (w->s.last_switches)
		w->r.end = round_up(w->r.end, w->o.seg_size);
	w->skip_to = w->r.end;
	w->have = 0;
	w->s.open = 0;
	w->s.first = w->s.first ? w->s.first : w->r.start;
	w->s.last = w->r.start;
	w->s.end = w->r.end;
	w->s.count++;
	rc = w->each ? w->each(w->arg, &w->r, e) : 0;
	w->stopped = rc == 1;
	return rc == -1 ? -1 : 0;
}

static int
begin_record(struct pg_walrecords *w, struct err *e)
{
	w->r.len = buf_get_u32(w->head);
	if (w->r.len == 0) {
		w->have = 0;
		w->s.open = 0;
		end_here(w);
		return 0;
	}
	if (w->r.len < HEAD || w->r.len > RECORD_MAX)
		return damaged(w, "has an impossible length", e);
	return 0;
}

static int
head_done(struct pg_walrecords *w, struct err *e)
{
	w->r.xid = buf_get_u32(w->head + 4);
	w->r.prev = buf_get_u64(w->head + 8);
	w->r.info = w->head[16];
	w->r.rmgr = w->head[17];
	w->r.data = NULL;
	w->r.data_len = w->r.main_len = 0;
	if (w->s.last ? w->r.prev != w->s.last : w->r.prev >= w->r.start)
		return damaged(w, "does not name the one before it", e);
	w->wanted = w->r.rmgr < 64 && w->o.wanted >> w->r.rmgr & 1;
	w->crc = 0;
	buf_reset(&w->body);
	return w->r.len == HEAD ? record_done(w, e) : 0;
}

/* The length first: it is known even where the page ends before the header does. */
static ssize_t
take_head(struct pg_walrecords *w, const uint8_t *bytes, size_t n, struct err *e)
{
	uint32_t want = w->have < LEN_KNOWN ? LEN_KNOWN : HEAD;
	int rc = 0;

	if (w->have == 0) {
		w->s.open = w->r.start = w->s.fed;
		w->r.version = w->s.version;
		w->r.timeline = w->s.timeline;
	}
	if (n > want - w->have)
		n = want - w->have;
	memcpy(w->head + w->have, bytes, n);
	w->have += (uint32_t)n;
	advance(w, n);
	if (w->have == LEN_KNOWN && want == LEN_KNOWN)
		rc = begin_record(w, e);
	else if (w->have == HEAD)
		rc = head_done(w, e);
	return rc == -1 ? -1 : (ssize_t)n;
}

static ssize_t
take_body(struct pg_walrecords *w, const uint8_t *bytes, size_t n, struct err *e)
{
	size_t keep;

	if (n > w->r.len - w->have)
		n = w->r.len - w->have;
	w->crc = crc32c(w->crc, bytes, n);
	keep = KEEP_MAX - w->body.len;
	if (w->wanted)
		buf_add(&w->body, bytes, n < keep ? n : keep);
	w->have += (uint32_t)n;
	advance(w, n);
	return w->have == w->r.len && record_done(w, e) == -1 ? -1 : (ssize_t)n;
}

/* The end of a record that began before: it cannot be checked. */
static ssize_t
take_rest(struct pg_walrecords *w, size_t n)
{
	if (n > w->rest)
		n = w->rest;
	w->rest -= (uint32_t)n;
	advance(w, n);
	if (w->rest == 0)
		w->skip_to = round_up(w->s.fed, ALIGN);
	return (ssize_t)n;
}

static ssize_t
take(struct pg_walrecords *w, const uint8_t *bytes, size_t n, struct err *e)
{
	uint64_t left = PG_WALPAGE_LEN - w->s.fed % PG_WALPAGE_LEN;

	if (w->s.fed < w->skip_to) {
		if (n > w->skip_to - w->s.fed)
			n = w->skip_to - w->s.fed;
		advance(w, n);
		return (ssize_t)n;
	}
	if (w->at_page)
		return take_page(w, bytes, n, e);
	if (n > left)
		n = left;
	if (w->rest)
		return take_rest(w, n);
	return w->have < HEAD ? take_head(w, bytes, n, e) : take_body(w, bytes, n, e);
}

int
pg_walrecord_feed(struct pg_walrecords *w, const uint8_t *bytes, size_t n, struct err *e)
{
	ssize_t took;

	while (n > 0 && !w->stopped) {
		took = take(w, bytes, n, e);
		if (took == -1)
			return -1;
		bytes += took;
		n -= (size_t)took;
	}
	return w->stopped;
}

int
pg_walrecord_prepared(const struct pg_walrecord *r, int64_t *ret)
{
	if (r->rmgr != PG_WALRECORD_XLOG || (r->info & 0xf0) != PARAMETERS ||
	    r->data_len < PARAMETERS_PREPARED + 4)
		return 0;
	*ret = buf_get_u32(r->data + PARAMETERS_PREPARED);
	return 1;
}

/* ---- a whole segment -------------------------------------------------------------------------- */

int
pg_walrecord_check(const uint8_t *bytes, size_t n, uint32_t timeline, uint64_t lsn, uint64_t sysid,
    struct pg_walpage_segment *ret, struct err *e)
{
	struct pg_walrecord_options o = { .lsn = lsn, .sysid = sysid };
	struct pg_walrecord_state s;
	struct pg_walpage_segment seg;
	struct pg_walrecords *w;
	char at[LSN_TEXT];
	int rc;

	if (pg_walpage_check_segment(bytes, n, timeline, lsn, sysid, &seg, e) == -1)
		return -1;
	if (n != seg.seg_size)
		return err_set(e, ERR_CORRUPT, "%zu bytes, expected a whole segment of %" PRIu32, n,
		    seg.seg_size);
	o.seg_size = seg.seg_size;
	w = pg_walrecord_new(&o, NULL, NULL);
	rc = pg_walrecord_feed(w, bytes, n, e);
	pg_walrecord_state(w, &s);
	pg_walrecord_free(w);
	if (rc == 1)
		return err_set(e, ERR_CORRUPT,
		    "its WAL ends at %s with zeros, but without a switch to the next segment",
		    lsn_text(s.open ? s.open : s.end, at));
	if (rc == 0)
		*ret = seg;
	return rc;
}
