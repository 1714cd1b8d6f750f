/*
 * The order is all: append, sync, confirm. The server may forget what was confirmed, and a commit
 * that waits for us has been told to its client a moment later.
 *
 * A server that was restored from an older state goes on under the same timeline with other WAL, and
 * a copy of it that pushes is listed like the server itself. So a stream begins with bytes that are
 * there already, at least with the segment of the last one, and they must be the same.
 */
#include "job/wal/wal_receive.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lsn.h"
#include "base/mem.h"

struct wal_receive {
	struct wal_receive_options o;
	struct pg_stream *stream;
	uint64_t differs;
	struct pg_walrecords *records;
	struct pg_commit_tally tally;
	struct err unread;
};

/* ---- what came ---- */

static int
count(void *arg, const struct pg_walrecord *record, struct err *e)
{
	struct wal_receive *r = arg;
	struct pg_commit c;
	int got = pg_commit_read(record, &c, e);

	if (got == 1 && record->start >= r->o.from)
		pg_commit_count(&r->tally, &c);
	return got == -1 ? -1 : 0;
}

/* The log is walked for the number of commits only; what cannot be walked is kept all the same, and
 * told. */
static void
look_through(struct wal_receive *r, const uint8_t *data, size_t n)
{
	if (r->unread.kind == ERR_NONE && pg_walrecord_feed(r->records, data, n, &r->unread) != -1)
		err_clear(&r->unread);
}

/* Where two stretches of the same length part; n when they do not. */
static size_t
common(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t i = 0;

	while (i < n && a[i] == b[i])
		i++;
	return i;
}

/* The part that was there before this connection. */
static int
compare(struct wal_receive *r, uint64_t lsn, const uint8_t *data, size_t n, struct err *e)
{
	const uint64_t begin = r->o.known_from, end = begin + r->o.known->len;
	const uint64_t from = lsn > begin ? lsn : begin, to = lsn + n < end ? lsn + n : end;
	const uint8_t *theirs = data + (from - lsn), *ours = r->o.known->data + (from - begin);
	char text[LSN_TEXT];

	if (from >= to || memcmp(theirs, ours, (size_t)(to - from)) == 0)
		return 0;
	r->differs = from + common(theirs, ours, (size_t)(to - from));
	return err_set(e, ERR_CORRUPT,
	    "the server's WAL is not the one there is, from %s of timeline %" PRIu32 " on",
	    lsn_text(r->differs, text), r->o.tli);
}

static int
take(void *arg, uint64_t lsn, const uint8_t *data, size_t n, uint64_t server_end, struct err *e)
{
	struct wal_receive *r = arg;
	uint64_t skip = 0;

	(void)server_end;
	if (compare(r, lsn, data, n, e) == -1)
		return -1;
	if (lsn < r->o.from)
		skip = r->o.from - lsn < n ? r->o.from - lsn : n;
	look_through(r, data, n);
	if (skip == n)
		return 0;
	return spool_append(r->o.spool, lsn + skip, data + skip, n - (size_t)skip, e);
}

/* ---- opening ---- */

int
wal_receive_start(const struct wal_receive_options *o, struct wal_receive **ret, struct err *e)
{
	struct wal_receive *r = xcalloc(1, sizeof(*r));
	const uint64_t first = o->known->len > 0 && o->known_from < o->from ? o->known_from : o->from;
	const uint64_t start = lsn_segment(first, o->segment_size);
	const struct pg_stream_options so = {
		.slot = o->slot,
		.from = start,
		.tli = o->tli,
		/* A promise is made when the server has sent so much, and it was the same. */
		.durable = 0,
		.eager = true,
		.ask_ms = (int)(o->sample_ns / CLOCK_MS),
		.wal = take,
		.arg = r,
	};
	const struct pg_walrecord_options wo = {
		.lsn = start,
		.seg_size = o->segment_size,
		.wanted = PG_WALRECORD_COMMITS,
	};

	r->o = *o;
	r->records = pg_walrecord_new(&wo, count, r);
	if (spool_start(o->spool, o->tli, o->from, e) == -1 ||
	    pg_stream_start(o->conn, &so, &r->stream, e) == -1) {
		wal_receive_free(r);
		return -1;
	}
	*ret = r;
	return 0;
}

void
wal_receive_free(struct wal_receive *r)
{
	if (!r)
		return;
	pg_stream_free(r->stream);
	pg_walrecord_free(r->records);
	free(r);
}

/* ---- going on ---- */

int
wal_receive_fd(const struct wal_receive *r)
{
	return pg_stream_fd(r->stream);
}

int
wal_receive_wait_ms(const struct wal_receive *r)
{
	return pg_stream_wait_ms(r->stream);
}

int
wal_receive_step(struct wal_receive *r, struct err *e)
{
	int more = pg_stream_step(r->stream, e);
	struct pg_stream_state at;

	if (more == -1 || spool_sync(r->o.spool, e) == -1)
		return -1;
	pg_stream_state(r->stream, &at);
	if (at.received >= r->o.from && more == 1 &&
	    pg_stream_confirm(r->stream, spool_durable(r->o.spool), e) == -1)
		return -1;
	return more;
}

int
wal_receive_waited(const struct wal_receive *r, struct pg_conn *sql, struct err *e)
{
	return pg_stream_waited(r->stream, sql, e);
}

const struct pg_stream_end *
wal_receive_end(const struct wal_receive *r)
{
	return pg_stream_end(r->stream);
}

uint64_t
wal_receive_differs(const struct wal_receive *r)
{
	return r->differs;
}

/*
 * When it was said, and not when it was read: what waited behind a line that was out is as old as the
 * server's own clock says. Of a server whose clock is ahead the moment of reading counts.
 */
static int64_t
seen(const struct pg_stream_state *s)
{
	const int64_t said = clock_boot_ns() - (clock_real_ns() - s->server_time_ns);

	return s->server_time_ns > 0 && said < s->heard_boot_ns ? said : s->heard_boot_ns;
}

void
wal_receive_state(const struct wal_receive *r, struct wal_receive_state *ret)
{
	struct pg_stream_state s;

	pg_stream_state(r->stream, &s);
	*ret = (struct wal_receive_state){
		.durable = spool_durable(r->o.spool),
		.proved = s.received >= r->o.from,
		.server_end = s.server_end,
		.seen_boot_ns = seen(&s),
		.tally = r->tally,
		.unread = r->unread,
	};
}
