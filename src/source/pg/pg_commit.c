/*
 * What recovery can stop at, from the main data of a few kinds of records. Fixed offsets of a few
 * numbers are all that is read; they are the same in 14 to 18 but for what is said below.
 *
 * What would surprise: a commit's record ends in parts of which a word of flags says which are
 * there, and the xid of a prepared transaction stands behind the lists of what it dropped. Their
 * elements differ: the list of dropped statistics came with 15, and grew with 18.
 */
#include "source/pg/pg_commit.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/lsn.h"

#define OPERATION 0xf0 /* of info; the transaction manager uses its top bit otherwise */
#define XACT_OPERATION 0x70
#define XACT_HAS_INFO 0x80

#define XLOG_SHUTDOWN 0x00
#define XLOG_ONLINE 0x10
#define XLOG_POINT 0x70
#define XLOG_RECOVERED 0x90

#define XACT_COMMIT 0x00
#define XACT_ABORT 0x20
#define XACT_COMMIT_PREPARED 0x30
#define XACT_ABORT_PREPARED 0x40

/* The word of flags. */
#define HAS_DATABASE 0x001
#define HAS_SUBXACTS 0x002
#define HAS_FILES 0x004
#define HAS_INVALIDATIONS 0x008
#define HAS_TWOPHASE 0x010
#define HAS_STATS 0x100

#define PG_EPOCH_S INT64_C(946684800) /* 2000-01-01 */

int64_t
pg_commit_time_ns(int64_t pg_us)
{
	int64_t ns;

	if (__builtin_mul_overflow(pg_us, INT64_C(1000), &ns) ||
	    __builtin_add_overflow(ns, PG_EPOCH_S * INT64_C(1000000000), &ns))
		return pg_us < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

/* Steps over a list: how many stands before it. -1 when it does not end in the n bytes. */
static int
skip_list(const uint8_t *p, size_t n, size_t *off, size_t element)
{
	uint64_t len;

	if (n - *off < 4)
		return -1;
	len = buf_get_u32(p + *off) * (uint64_t)element;
	*off += 4;
	if (len > n - *off)
		return -1;
	*off += (size_t)len;
	return 0;
}

/* The prepared transaction's xid, behind the lists. -1 when they do not fit. */
static int
read_twophase(const struct pg_walrecord *r, struct pg_commit *c)
{
	const struct list {
		uint32_t flag;
		size_t element;
	} lists[] = {
		{ HAS_SUBXACTS, 4 },
		{ HAS_FILES, 12 },
		{ HAS_STATS, r->version < 18 ? 12 : 16 },
		{ HAS_INVALIDATIONS, 16 },
	};
	const uint8_t *p = r->data;
	size_t n = r->data_len, off = 8;
	uint32_t flags;

	if (n < off + 4)
		return -1;
	flags = buf_get_u32(p + off);
	off += 4;
	if (!(flags & HAS_TWOPHASE))
		return -1;
	if (flags & HAS_DATABASE)
		off += 8;
	if (off > n)
		return -1;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (flags & lists[i].flag && skip_list(p, n, &off, lists[i].element) == -1)
			return -1;
	if (n - off < 4)
		return -1;
	c->xid = buf_get_u32(p + off);
	return 0;
}

static int
read_xact(const struct pg_walrecord *r, struct pg_commit *c)
{
	uint8_t operation = r->info & XACT_OPERATION;

	c->prepared = operation == XACT_COMMIT_PREPARED || operation == XACT_ABORT_PREPARED;
	if (operation == XACT_COMMIT || operation == XACT_COMMIT_PREPARED)
		c->kind = PG_COMMIT_DONE;
	else if (operation == XACT_ABORT || operation == XACT_ABORT_PREPARED)
		c->kind = PG_COMMIT_ABORTED;
	else
		return 0;
	if (r->data_len < 8)
		return -1;
	c->time_ns = pg_commit_time_ns((int64_t)buf_get_u64(r->data));
	c->xid = c->prepared ? 0 : r->xid;
	if (!c->prepared)
		return 1;
	if (!(r->info & XACT_HAS_INFO))
		return -1;
	/* Of a giant whose end was not kept the xid is not known. */
	if (read_twophase(r, c) == -1)
		return r->data_len < r->main_len ? 1 : -1;
	return 1;
}

static int
read_checkpoint(const struct pg_walrecord *r, enum pg_commit_kind kind, struct pg_commit *c)
{
	if (r->data_len < 16)
		return -1;
	c->kind = kind;
	c->redo = buf_get_u64(r->data);
	c->timeline = buf_get_u32(r->data + 8);
	c->parent = buf_get_u32(r->data + 12);
	return 1;
}

static int
read_point(const struct pg_walrecord *r, struct pg_commit *c)
{
	if (r->data_len < 8 + PG_COMMIT_NAME || !memchr(r->data + 8, 0, PG_COMMIT_NAME))
		return -1;
	c->kind = PG_COMMIT_POINT;
	c->time_ns = pg_commit_time_ns((int64_t)buf_get_u64(r->data));
	memcpy(c->name, r->data + 8, PG_COMMIT_NAME);
	return 1;
}

static int
read_recovered(const struct pg_walrecord *r, struct pg_commit *c)
{
	if (r->data_len < 16)
		return -1;
	c->kind = PG_COMMIT_RECOVERED;
	c->time_ns = pg_commit_time_ns((int64_t)buf_get_u64(r->data));
	c->timeline = buf_get_u32(r->data + 8);
	c->parent = buf_get_u32(r->data + 12);
	return 1;
}

static int
read_xlog(const struct pg_walrecord *r, struct pg_commit *c)
{
	switch (r->info & OPERATION) {
	case XLOG_SHUTDOWN:
		return read_checkpoint(r, PG_COMMIT_SHUTDOWN, c);
	case XLOG_ONLINE:
		return read_checkpoint(r, PG_COMMIT_CHECKPOINT, c);
	case XLOG_POINT:
		return read_point(r, c);
	case XLOG_RECOVERED:
		return read_recovered(r, c);
	default:
		return 0;
	}
}

int
pg_commit_read(const struct pg_walrecord *r, struct pg_commit *ret, struct err *e)
{
	struct pg_commit c = { .start = r->start, .end = r->end };
	char at[LSN_TEXT];
	int rc = 0;

	if (r->rmgr == PG_WALRECORD_XACT)
		rc = read_xact(r, &c);
	else if (r->rmgr == PG_WALRECORD_XLOG)
		rc = read_xlog(r, &c);
	if (rc == -1)
		return err_set(e, ERR_CORRUPT,
		    "the record at %s has the right checksum, but %zu bytes of data that make no sense",
		    lsn_text(r->start, at), r->main_len);
	if (rc == 1)
		*ret = c;
	return rc;
}

void
pg_commit_count(struct pg_commit_tally *t, const struct pg_commit *c)
{
	t->aborts += c->kind == PG_COMMIT_ABORTED;
	if (c->kind != PG_COMMIT_DONE)
		return;
	t->commits++;
	t->last = c->start;
	if (t->commits == 1 || c->time_ns > t->last_ns)
		t->last_ns = c->time_ns;
}
