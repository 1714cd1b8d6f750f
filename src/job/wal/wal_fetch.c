/*
 * A temporary slot on a connection of its own makes the server keep its WAL from before the base
 * backup begins until we have it. It is asked for nothing meanwhile: an idle connection has no
 * timeout there, and the WAL of a backup is streamed in a fraction of the backup's time. When the
 * connection breaks, the slot is gone, and what the server still has decides.
 *
 * All of it is asked for, also what the tier has: what lies there under the same names may be a
 * copy's, and a base backup with the WAL of another life cannot be restored.
 */
#include "job/wal/wal_fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/lsn.h"
#include "base/mem.h"
#include "repo/piece.h"
#include "repo/wal_lineage.h"
#include "repo/walread.h"
#include "source/pg/pg_slot.h"
#include "source/pg/pg_stream.h"

struct wal_fetch {
	struct wal_fetch_options o;
	struct pg_conn *conn;
	char slot[PG_SLOT_NAME];

	/* the piece being collected */
	struct buf bytes;
	uint64_t at; /* where it begins */
	uint32_t tli;
	uint64_t stop; /* nothing is needed behind */

	/* what the tier has of the segment it lies in */
	struct walread *read;
	struct buf there;
	uint64_t there_from; /* UINT64_MAX: not asked yet */
	uint64_t brought;
};

/* ---- opening ---- */

int
wal_fetch_open(const struct wal_fetch_options *o, struct wal_fetch **ret, struct err *e)
{
	struct wal_fetch *f = xcalloc(1, sizeof(*f));

	f->o = *o;
	f->o.conn.replication = true;
	f->there_from = UINT64_MAX;
	buf_init(&f->bytes, PIECE_MAX);
	buf_init(&f->there, o->segment_size);
	snprintf(f->slot, sizeof(f->slot), "ffdr_backup_%ld", (long)getpid());
	if (pg_conn_open(&f->o.conn, &f->conn, e) == -1 ||
	    pg_slot_create(f->conn, f->slot, true, e) == -1) {
		wal_fetch_free(f);
		return err_in(e, "the connection that brings the WAL of the backup");
	}
	*ret = f;
	return 0;
}

void
wal_fetch_free(struct wal_fetch *f)
{
	if (!f)
		return;
	pg_conn_free(f->conn); /* and with it the slot */
	walread_free(f->read);
	buf_done(&f->bytes);
	buf_done(&f->there);
	free(f);
}

/* ---- storing ---- */

static int
put_piece(struct wal_fetch *f, uint64_t from, uint64_t end, struct err *e)
{
	struct piece p = {
		.at = { .place = f->o.place,
		    .kind = LAYOUT_WAL_PIECE,
		    .tli = f->tli,
		    .start = from,
		    .end = end },
		.segment_size = f->o.segment_size,
		.version = (uint32_t)pg_conn_version(f->conn),
	};
	char name[LAYOUT_NAME];
	struct buf sealed;
	int rc = -1;

	snprintf(p.host, sizeof(p.host), "%s", f->o.host);
	buf_init(&sealed, STORE_OBJECT_MAX);
	if (piece_seal(f->o.repo->keys, &p, f->bytes.data + (from - f->at), (size_t)(end - from),
		&sealed, name, e) == 0 &&
	    piece_put(f->o.repo->keys, f->o.tier->store, name, &sealed, e) != -1) {
		f->brought += end - from;
		rc = 0;
	}
	buf_done(&sealed);
	return rc;
}

/* What the tier has of the segment that begins there, before anything of ours came. */
static int
ask_tier(struct wal_fetch *f, uint64_t segment, struct err *e)
{
	uint64_t until;

	if (f->there_from == segment)
		return 0;
	if (walread_segment(f->read, f->tli, segment, f->o.segment_size, &f->there, &until, e) ==
	    -1)
		return -1;
	f->there_from = segment;
	return 0;
}

static int
refuse_other(const struct wal_fetch *f, uint64_t at, struct err *e)
{
	char text[LSN_TEXT];

	err_set(e, ERR_REFUSED,
	    "the WAL that '%s' has of %s is not this server's: they differ from %s "
	    "of timeline %" PRIu32 " on",
	    f->o.tier->name, f->o.place.source, lsn_text(at, text), f->tli);
	err_line(e, "because", "the server was set back, or a copy of it pushes its WAL there");
	return err_line(e, "fix", "turn off archive_command of the copy; then `ffdr backup "
	    "--new-system %s` begins a new epoch for this server", f->o.place.source);
}

/*
 * What was collected becomes a piece, as far as the tier has it not. What it has must be the same:
 * a copy of the server has our system id and timeline, and other bytes.
 */
static int
store_piece(struct wal_fetch *f, struct err *e)
{
	const uint64_t end = f->at + f->bytes.len, segment = lsn_segment(f->at, f->o.segment_size);
	uint64_t from = f->at, known;
	int rc;

	if (f->bytes.len == 0)
		return 0;
	rc = ask_tier(f, segment, e);
	known = segment + f->there.len;
	while (rc == 0 && from < end && from < known) {
		if (f->bytes.data[from - f->at] != f->there.data[from - segment])
			return refuse_other(f, from, e);
		from++;
	}
	if (rc == 0 && from < end)
		rc = put_piece(f, from, end, e);
	f->at = end;
	buf_reset(&f->bytes);
	return rc;
}

/* Bytes of one segment, in pieces that end where it does. */
static int
collect(void *arg, uint64_t lsn, const uint8_t *data, size_t n, uint64_t server_end, struct err *e)
{
	struct wal_fetch *f = arg;

	(void)lsn;
	(void)server_end;
	while (n > 0) {
		uint64_t here = f->at + f->bytes.len;
		uint64_t room = lsn_segment(here, f->o.segment_size) + f->o.segment_size - here;

		if (room > PIECE_MAX - f->bytes.len)
			room = PIECE_MAX - f->bytes.len;
		if (room > n)
			room = n;
		buf_add(&f->bytes, data, (size_t)room);
		data += room;
		n -= (size_t)room;
		here += room;
		if ((here % f->o.segment_size == 0 || f->bytes.len == PIECE_MAX) &&
		    store_piece(f, e) == -1)
			return -1;
	}
	return 0;
}

static int
store_history(struct wal_fetch *f, uint32_t tli, struct err *e)
{
	struct buf text;
	int rc = 0;

	buf_init(&text, WAL_LINEAGE_HISTORY_MAX);
	if (tli > 1)
		rc = pg_stream_history(f->conn, tli, &text, e);
	if (rc == 1)
		rc = wal_lineage_put_history(
		    f->o.repo, f->o.tier->store, &f->o.place, tli, text.data, text.len, e);
	else if (rc == 0 && tli > 1)
		rc = err_set(
		    e, ERR_NOTFOUND, "the server has no history of its own timeline %" PRIu32, tli);
	buf_done(&text);
	return rc == -1 ? -1 : 0;
}

/* ---- receiving ---- */

static int
wait_for(struct wal_fetch *f, struct pg_stream *s, struct err *e)
{
	struct pollfd p = { .fd = pg_stream_fd(s), .events = POLLIN };

	if (f->o.watch->stop(f->o.watch->arg))
		return err_set(e, ERR_CANCELLED, "stopped; nothing was committed");
	if (poll(&p, 1, pg_stream_wait_ms(s)) == -1 && errno != EINTR)
		return err_sys(e, "waiting for WAL");
	return 0;
}

/* Until `stop` has come, or the timeline ends: 1, *end says where it goes on. */
static int
receive(struct wal_fetch *f, bool last, struct pg_stream_end *end, struct err *e)
{
	const struct pg_stream_options so = {
		.slot = f->slot,
		.from = f->at,
		.tli = f->tli,
		.wal = collect,
		.arg = f,
	};
	struct pg_stream *s = NULL;
	int rc = 0, more = 1;

	if (pg_stream_start(f->conn, &so, &s, e) == -1)
		return -1;
	while (rc == 0 && more == 1 && !(last && f->at + f->bytes.len >= f->stop)) {
		rc = wait_for(f, s, e);
		more = rc == 0 ? pg_stream_step(s, e) : -1;
		if (more == -1)
			rc = -1;
	}
	if (rc == 0)
		rc = store_piece(f, e);
	*end = *pg_stream_end(s);
	pg_stream_free(s);
	if (rc == 0 && more == 0 && end->how != PG_STREAM_TIMELINE) {
		*e = end->why;
		if (end->how == PG_STREAM_CLOSED)
			err_set(e, ERR_REMOTE,
			    "the server shut down before the WAL of the backup was here");
		rc = -1;
	}
	return rc == -1 ? -1 : more == 0;
}

/* From the segment it starts in, along the timelines. */
static int
bring(struct wal_fetch *f, const struct wal_prove_range *range, struct err *e)
{
	struct pg_stream_end end;
	int rc;

	f->at = lsn_segment(range->start, f->o.segment_size);
	for (f->tli = range->start_tli;; f->tli = end.next_tli) {
		const bool last = f->tli == range->stop_tli;

		f->there_from = UINT64_MAX;
		if (store_history(f, f->tli, e) == -1)
			return -1;
		rc = receive(f, last, &end, e);
		if (rc != 1)
			return rc;
		if (last || end.next_tli > range->stop_tli)
			return err_set(e, ERR_REFUSED,
			    "timeline %" PRIu32 " ended before the backup's last WAL", f->tli);
		f->at = lsn_segment(end.next_lsn, f->o.segment_size);
	}
}

/* ---- all of it ---- */

int
wal_fetch_bring(
    struct wal_fetch *f, const struct wal_prove_range *range, uint64_t *brought, struct err *e)
{
	struct tier *const only[] = { f->o.tier };
	const struct walread_options ro = {
		.repo = f->o.repo, .tier = only, .tiers = 1, .place = f->o.place
	};
	int rc = -1;

	f->stop = range->stop;
	f->o.watch->progress(f->o.watch->arg, "bringing WAL", 0, 0);
	if (walread_new(&ro, &f->read, e) == 0 && bring(f, range, e) == 0 &&
	    wal_prove(f->o.repo, f->o.tier, &f->o.place, f->o.segment_size, range, e) == 0)
		rc = 0;
	if (brought)
		*brought = f->brought;
	return rc == -1 ? err_in(e, "the WAL of the backup") : 0;
}
