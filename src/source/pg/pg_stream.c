/*
 * The receiving end of physical replication. Two things decide whether WAL can ever be lost here:
 * nothing is reported as flushed that the caller did not confirm, because the server throws away
 * what was; and every message must begin where the last one ended, because a server that skips (a
 * slot made anew, a proxy that went to another server) sends a hole as readily as WAL.
 *
 * A server that shuts down or hands over waits for our confirmation of the last byte. It asks by a
 * keepalive. That is answered at once with what is known, and remembered, so that the confirm which
 * follows is sent at once, too.
 */
#include "source/pg/pg_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lsn.h"
#include "base/mem.h"
#include "source/pg/pg_conn_parts.h"
#include "source/pg/pg_slot.h"
#include "source/pg/pg_stream_msg.h"

/* A segment that is gone, a timeline the server has no history of. */
#define STATE_NO_FILE "58P01"
/* A slot that was invalidated because it kept too much. */
#define STATE_INVALIDATED "55000"
/* The server has no better code for a start that is not in its history. */
#define STATE_INTERNAL "XX000"
/* For the server to answer the end of the copy when we leave. */
#define LEAVE_MS 2000

struct pg_stream {
	struct pg_conn *c;
	struct pg_stream_options o;
	struct pg_stream_state state;
	struct pg_stream_end end;
	bool copying;
	bool asked;	   /* by the server, and not confirmed since */
	bool probed;	   /* it was asked for a sign of life, and none came since */
	bool more;	   /* a step ended before the messages did */
	int64_t reported;  /* boot time */
	uint64_t reported_flush;
};

/* ---- reports ---- */

static int
report(struct pg_stream *s, bool want_reply, struct err *e)
{
	uint8_t msg[PG_STREAM_MSG_STATUS];

	pg_stream_msg_status(&(struct pg_stream_status){ .write = s->state.received,
		.flush = s->state.confirmed, .apply = s->state.confirmed,
		.time_ns = clock_real_ns(), .reply = want_reply }, msg);
	if (PQputCopyData(s->c->pq, (const char *)msg, (int)sizeof(msg)) != 1 ||
	    PQflush(s->c->pq) == -1)
		return pg_conn_fail(s->c, NULL, e);
	s->reported = clock_boot_ns();
	s->reported_flush = s->state.confirmed;
	return 0;
}

int
pg_stream_confirm(struct pg_stream *s, uint64_t lsn, struct err *e)
{
	if (lsn > s->state.received)
		return err_set(e, ERR_BUG, "WAL was confirmed that never came");
	if (lsn > s->state.confirmed)
		s->state.confirmed = lsn;
	if (s->copying && s->state.confirmed > s->reported_flush && (s->o.eager || s->asked)) {
		if (report(s, false, e) == -1)
			return -1;
	}
	if (s->state.confirmed == s->state.received)
		s->asked = false;
	return 0;
}

/* What is due by time alone. */
static int
tend(struct pg_stream *s, struct err *e)
{
	const int64_t now = clock_boot_ns(), silent = (now - s->state.heard_boot_ns) / CLOCK_MS;

	if (silent >= 2 * (int64_t)s->o.silence_ms)
		return err_set(e, ERR_REMOTE, "postgres at %s: nothing came for %" PRId64 " s",
		    s->c->place, silent / 1000);
	if (silent >= s->o.ask_ms && !s->probed) {
		s->probed = true;
		return report(s, true, e);
	}
	if (now - s->reported >= s->o.status_ms * CLOCK_MS)
		return report(s, false, e);
	return 0;
}

/* ---- messages ---- */

static int
take_wal(struct pg_stream *s, const struct pg_stream_msg *m, struct err *e)
{
	char got[LSN_TEXT], want[LSN_TEXT];

	if (m->lsn != s->state.received)
		return err_set(e, ERR_CORRUPT,
		    "postgres at %s: WAL at %s came, expected %s: the stream has a %s", s->c->place,
		    lsn_text(m->lsn, got), lsn_text(s->state.received, want),
		    m->lsn > s->state.received ? "hole" : "repetition");
	s->state.received += m->len;
	return s->o.wal(s->o.arg, m->lsn, m->data, m->len, m->server_end, e);
}

static int
take(struct pg_stream *s, const char *bytes, size_t n, struct err *e)
{
	struct pg_stream_msg m;
	int r = pg_stream_msg_read(bytes, n, &m, e);

	if (r == -1)
		return err_in(e, "postgres at %s", s->c->place);
	s->state.messages++;
	s->state.heard_boot_ns = clock_boot_ns();
	s->probed = false;
	if (r == 0) {
		s->state.unknown++;
		s->state.unknown_type = m.type;
		return 0;
	}
	s->state.server_end = m.server_end;
	s->state.server_time_ns = m.time_ns;
	if (m.type == PG_STREAM_MSG_WAL)
		return take_wal(s, &m, e);
	if (!m.reply)
		return 0;
	s->asked = s->state.confirmed < s->state.received;
	return report(s, false, e);
}

/* ---- the end ---- */

static int
end_timeline(struct pg_stream *s, const PGresult *r, struct err *e)
{
	const char *tli = PQnfields(r) > 1 && PQntuples(r) == 1 ? PQgetvalue(r, 0, 0) : "";
	char *rest;
	const unsigned long next = strtoul(tli, &rest, 10);

	if (!*tli || *rest || next <= s->o.tli || next > UINT32_MAX ||
	    lsn_parse(PQgetvalue(r, 0, 1), &s->end.next_lsn) == -1 ||
	    s->end.next_lsn > s->state.received)
		return err_set(e, ERR_CORRUPT,
		    "postgres at %s: timeline %" PRIu32 " ended and it does not say in what",
		    s->c->place, s->o.tli);
	s->end.next_tli = (uint32_t)next;
	s->end.how = PG_STREAM_TIMELINE;
	return 0;
}

/*
 * Servers 18 refuse a slot that was invalidated, with the code that a logical slot would get, too.
 */
static bool
slot_lost(struct pg_stream *s)
{
	char state[PG_ERROR_STATE];
	struct pg_slot slot;
	bool lost;

	if (!s->o.slot || strcmp(s->c->sqlstate, STATE_INVALIDATED) != 0)
		return false;
	memcpy(state, s->c->sqlstate, sizeof(state));
	lost = pg_conn_drain(s->c, LEAVE_MS) == 0 &&
	    pg_slot_read(s->c, s->o.slot, &slot, NULL) == 1 && slot.physical;
	memcpy(s->c->sqlstate, state, sizeof(state));
	return lost;
}

/* An error: is it that what we wanted is gone? */
static int
end_error(struct pg_stream *s, const PGresult *r, struct err *e)
{
	struct err why;

	err_clear(&why);
	pg_conn_fail(s->c, r, &why);
	if (strcmp(s->c->sqlstate, STATE_NO_FILE) == 0 || slot_lost(s)) {
		s->end.how = PG_STREAM_REMOVED;
		s->end.why = why;
		return 0;
	}
	if (strcmp(s->c->sqlstate, STATE_INTERNAL) == 0)
		why.kind = ERR_REFUSED;
	*e = why;
	return -1;
}

/* The results after the copy, or instead of one. 0, -1. */
static int
take_end(struct pg_stream *s, struct err *e)
{
	struct err lost = { 0 };
	PGresult *r = NULL;
	int rc = 0;

	s->copying = false;
	while (rc == 0) {
		if (pg_conn_result(s->c, &r, &lost) == -1 && s->end.how == PG_STREAM_RUNS) {
			*e = lost;
			return -1;
		}
		if (lost.kind != ERR_NONE || !r)
			break;
		switch (PQresultStatus(r)) {
		case PGRES_COPY_IN: /* the server's end of the copy; now ours */
			if (PQputCopyEnd(s->c->pq, NULL) != 1)
				rc = pg_conn_fail(s->c, NULL, e);
			else
				rc = pg_conn_flush(s->c, e);
			break;
		case PGRES_TUPLES_OK:
			rc = end_timeline(s, r, e);
			break;
		case PGRES_COMMAND_OK:
			if (s->end.how == PG_STREAM_RUNS)
				s->end.how = PG_STREAM_CLOSED;
			break;
		default:
			/* A server that closed in good order may be gone by now. */
			if (s->end.how == PG_STREAM_RUNS)
				rc = end_error(s, r, e);
		}
		PQclear(r);
	}
	return rc;
}

/* ---- the stream ---- */

static char *
start_command(const struct pg_stream_options *o)
{
	char from[LSN_TEXT];

	lsn_text(o->from, from);
	if (o->slot)
		return xasprintf("START_REPLICATION SLOT \"%s\" PHYSICAL %s TIMELINE %" PRIu32,
		    o->slot, from, o->tli);
	return xasprintf("START_REPLICATION PHYSICAL %s TIMELINE %" PRIu32, from, o->tli);
}

static int
start(struct pg_stream *s, struct err *e)
{
	char *command = start_command(&s->o);
	PGresult *r = NULL;
	int rc = pg_conn_send(s->c, command, e);

	free(command);
	if (rc == -1 || pg_conn_result(s->c, &r, e) == -1)
		return -1;
	switch (PQresultStatus(r)) {
	case PGRES_COPY_BOTH:
		s->copying = true;
		break;
	case PGRES_TUPLES_OK: /* the timeline ended right where we would begin */
		rc = end_timeline(s, r, e);
		if (rc == 0)
			rc = take_end(s, e);
		break;
	default:
		rc = end_error(s, r, e);
		pg_conn_drain(s->c, LEAVE_MS);
	}
	PQclear(r);
	return rc;
}

int
pg_stream_start(struct pg_conn *c, const struct pg_stream_options *o, struct pg_stream **ret,
    struct err *e)
{
	struct pg_stream *s;

	if (!c->replication)
		return err_set(e, ERR_BUG, "a stream of WAL needs a replication connection");
	if (o->slot && !pg_slot_name_valid(o->slot))
		return err_set(e, ERR_CONFIG,
		    "'%.80s' is no name of a replication slot, expected a-z, 0-9 and _", o->slot);
	s = xcalloc(1, sizeof(*s));
	s->c = c;
	s->o = *o;
	s->o.slot = o->slot ? xstrdup(o->slot) : NULL;
	if (s->o.status_ms <= 0)
		s->o.status_ms = PG_STREAM_STATUS_MS;
	if (s->o.silence_ms <= 0)
		s->o.silence_ms = PG_STREAM_SILENCE_MS;
	if (s->o.ask_ms <= 0 || s->o.ask_ms > s->o.silence_ms)
		s->o.ask_ms = s->o.silence_ms;
	s->state.received = o->from;
	s->state.confirmed = o->durable < o->from ? o->durable : o->from;
	s->state.heard_boot_ns = s->reported = clock_boot_ns();
	/* The first messages may have come with the answer, and poll would not tell. */
	s->more = true;
	if (start(s, e) == -1) {
		pg_stream_free(s);
		return -1;
	}
	*ret = s;
	return 0;
}

/* Messages that are here, up to a step's worth. 1 goes on, 0 the copy is over, -1. */
static int
take_messages(struct pg_stream *s, struct err *e)
{
	const uint64_t until = s->state.received + PG_STREAM_STEP;
	char *data;
	int n, rc;

	while (s->state.received < until) {
		n = PQgetCopyData(s->c->pq, &data, 1);
		if (n == 0)
			return 1;
		if (n < 0)
			return n == -1 ? 0 : pg_conn_fail(s->c, NULL, e);
		rc = take(s, data, (size_t)n, e);
		PQfreemem(data);
		if (rc == -1)
			return -1;
	}
	s->more = true;
	return 1;
}

int
pg_stream_step(struct pg_stream *s, struct err *e)
{
	bool lost;
	int r;

	if (s->end.how != PG_STREAM_RUNS)
		return 0;
	s->more = false;
	/* What has come counts, also when the connection is lost behind it. */
	lost = !PQconsumeInput(s->c->pq);
	r = take_messages(s, e);
	if (r == 0)
		return take_end(s, e);
	if (r == 1 && lost && !s->more)
		return pg_conn_fail(s->c, NULL, e);
	if (r == 1 && tend(s, e) == -1)
		return -1;
	return r;
}

const struct pg_stream_end *
pg_stream_end(const struct pg_stream *s)
{
	return &s->end;
}

int
pg_stream_fd(const struct pg_stream *s)
{
	return PQsocket(s->c->pq);
}

int
pg_stream_wait_ms(const struct pg_stream *s)
{
	const int64_t now = clock_boot_ns();
	int64_t due = s->reported + s->o.status_ms * CLOCK_MS;
	const int64_t silent = s->state.heard_boot_ns +
	    (s->probed ? 2 * (int64_t)s->o.silence_ms : s->o.ask_ms) * CLOCK_MS;

	if (s->more || s->end.how != PG_STREAM_RUNS)
		return 0;
	if (silent < due)
		due = silent;
	/* Rounded up: else the last millisecond is spent spinning. */
	return due <= now ? 0 : (int)((due - now + CLOCK_MS - 1) / CLOCK_MS);
}

bool
pg_stream_asked(const struct pg_stream *s)
{
	return s->asked;
}

/* By the function below pg_stat_replication: the view reads pg_authid, and waits where that is locked. */
int
pg_stream_waited(const struct pg_stream *s, struct pg_conn *sql, struct err *e)
{
	static const char *const query =
	    "SELECT coalesce(current_setting('synchronized_standby_slots', true), '') = ''"
	    " AND (current_setting('synchronous_standby_names') = ''"
	    " OR (SELECT sync_state FROM pg_stat_get_wal_senders() WHERE pid = $1::int) = 'async')";
	char pid[16];
	const char *param = pid, *nobody;
	struct pg_rows *r = NULL;
	int rc;

	snprintf(pid, sizeof(pid), "%d", PQbackendPID(s->c->pq));
	if (pg_conn_row(sql, query, &param, 1, &r, e) == -1)
		return -1;
	nobody = pg_conn_value(r, 0, 0, NULL);
	rc = !nobody || *nobody != 't';
	pg_conn_rows_free(r);
	return rc;
}

void
pg_stream_state(const struct pg_stream *s, struct pg_stream_state *ret)
{
	*ret = s->state;
}

void
pg_stream_free(struct pg_stream *s)
{
	if (!s)
		return;
	if (s->copying && s->state.confirmed > s->reported_flush)
		report(s, false, NULL);
	if (s->copying && PQputCopyEnd(s->c->pq, NULL) == 1 && PQflush(s->c->pq) != -1)
		pg_conn_drain(s->c, LEAVE_MS);
	free((char *)s->o.slot);
	free(s);
}

/* ---- histories ---- */

int
pg_stream_history(struct pg_conn *c, uint32_t tli, struct buf *out, struct err *e)
{
	struct pg_rows *r = NULL;
	const char *bytes;
	char command[40];
	size_t n = 0;

	if (tli <= 1)
		return 0;
	snprintf(command, sizeof(command), "TIMELINE_HISTORY %" PRIu32, tli);
	if (pg_conn_row(c, command, NULL, 0, &r, e) == -1)
		return strcmp(c->sqlstate, STATE_NO_FILE) == 0 ? 0 : -1;
	bytes = pg_conn_value(r, 0, 1, &n);
	if (bytes)
		buf_add(out, bytes, n);
	pg_conn_rows_free(r);
	if (!bytes)
		return err_set(e, ERR_CORRUPT,
		    "postgres at %s: its history of timeline %" PRIu32 " is empty", c->place, tli);
	return buf_check(out, "the history of a timeline", e) == -1 ? -1 : 1;
}
