/*
 * A life in rounds: connect, see where we stand, receive until the connection or the timeline ends,
 * begin again. Nothing that a server or a tier does ends the service; what would not be mended by
 * time alone (another database under our name, a spool that is damaged) does, because going on
 * would cover it up.
 *
 * One thread: it receives, and the workers of the shipper (wal_ship.h) store. Between two looks at
 * the socket lie microseconds; what takes longer (asking the server for its slots, the coordination
 * place) is done a few times a minute.
 */
#include "job/wal/wal_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/lsn.h"
#include "base/mem.h"
#include "job/wal/wal_stream_parts.h"

#define PAUSE_FIRST_NS (CLOCK_S / 2)
#define PAUSE_MOST_NS (30 * CLOCK_S)
/*
 * While the server answers, a commit may hang that waits for us as its synchronous standby: so many
 * tries follow soon, which is longer than it takes the server to notice that a connection is dead.
 */
#define PAUSE_ANSWERED_NS CLOCK_S
#define TRIES_ANSWERED 90
#define LAST_SHIP_NS (20 * CLOCK_S) /* for what is still to be shipped when we are asked to stop   \
				     */
/* Part of `backlog` that must be free again before receiving goes on. */
#define BACKLOG_AGAIN 10

/* ---- telling ---- */

void
wal_stream_event(struct stream *s, const char *kind, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL, *named;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = xstrdup(fmt);
	va_end(ap);
	named = xasprintf("%s: %s", s->o->source, text);
	s->watch->event(s->watch->arg, kind, named);
	free(named);
	free(text);
}

static bool
stopped(void *arg)
{
	struct stream *s = arg;

	return s->report->anew || s->watch->stop(s->watch->arg);
}

/* ---- waiting ---- */

/* Before anything is received it is the end of what was found. */
static uint64_t
durable_end(const struct stream *s)
{
	uint64_t durable = spool_durable(s->spool);

	return durable > s->found ? durable : s->found;
}

/* One turn of everything but receiving; how long until the next, in ms. */
static int
turn(struct stream *s)
{
	int ms = 1000;

	if (s->ship) {
		s->seen.durable = durable_end(s);
		ms = wal_ship_step(s->ship, &s->seen, wal_stream_keep_lease(s));
		wal_stream_elders_step(s);
		wal_stream_other_look(s);
	}
	wal_stream_keep_up(s);
	wal_stream_conf_look(s);
	wal_stream_due_step(s);
	return ms;
}

static void
rest(struct stream *s, int64_t ns)
{
	const int64_t end = clock_boot_ns() + ns;
	int64_t left;

	while (!stopped(s) && !s->turned && (left = end - clock_boot_ns()) > 0) {
		int ms = turn(s);

		clock_sleep_ns(ms * CLOCK_MS < left ? ms * CLOCK_MS : left);
	}
}

/* ---- connecting ---- */

/*
 * Who holds a lock that we want may be a transaction that is being committed, and its commit may wait
 * for what we confirm: to wait for the lock would hold up both for ever.
 */
#define NEVER_WAITS "SET lock_timeout = '250ms'"

static void
disconnect(struct stream *s)
{
	wal_receive_free(s->receive);
	pg_conn_free(s->conn);
	pg_conn_free(s->sql);
	s->receive = NULL;
	s->conn = s->sql = NULL;
}

static int
connect_both(struct stream *s, struct pg_identity *id, struct err *e)
{
	struct pg_conn_options o = { .conninfo = s->conninfo, .stop = stopped, .arg = s };

	s->answered = false;
	if (pg_conn_open(&o, &s->sql, e) == -1 ||
	    pg_conn_exec(s->sql, NEVER_WAITS, NULL, 0, NULL, e) == -1 ||
	    pg_conn_identify(s->sql, id, e) == -1)
		return -1;
	s->answered = true;
	if (id->standby)
		return err_set(
		    e, ERR_REMOTE, "the server is a standby; WAL is received from the primary");
	o.replication = true;
	return pg_conn_open(&o, &s->conn, e);
}

/* Dropped and made again: what it keeps begins with what the server has. */
static int
make_slot_anew(struct stream *s, const char *name, struct pg_slot *slot, struct err *e)
{
	if (pg_slot_drop(s->sql, name, e) == -1 || pg_slot_create(s->sql, name, false, e) == -1 ||
	    pg_slot_read(s->sql, name, slot, e) != 1)
		return -1;
	return 0;
}

/* Created when missing only: the server logs an error for one that is there. */
static int
make_slot(struct stream *s, const char *name, struct pg_slot *slot, struct err *e)
{
	int got = pg_slot_read(s->sql, name, slot, e);

	if (got == 1 && slot->wal == PG_SLOT_WAL_LOST) {
		wal_stream_event(s, "warning", "slot '%s' had lost its WAL, and is made again", name);
		return make_slot_anew(s, name, slot, e);
	}
	if (got == 0 && pg_slot_create(s->conn, name, false, e) != -1)
		got = pg_slot_read(s->sql, name, slot, e);
	return got == 1 ? 0 : -1;
}

/* Slots first of all: from here on the server keeps what we have not received. */
static int
make_slots(struct stream *s, struct pg_slot *slot, struct err *e)
{
	struct pg_slot hold;

	if (s->o->hold_slot && make_slot(s, s->o->hold_slot, &hold, e) == -1)
		return -1;
	return make_slot(s, s->o->slot, slot, e);
}

/* ---- one round ---- */

static bool
too_full(struct stream *s)
{
	const uint64_t held = spool_held(s->spool),
		       again = s->o->backlog - s->o->backlog / BACKLOG_AGAIN;

	if (!s->full && held > s->o->backlog) {
		s->full = true;
		wal_stream_event(s, "warning",
		    "the spool holds %" PRIu64
		    " bytes, more than `backlog`: receiving waits, the server keeps "
		    "the WAL",
		    held);
	} else if (s->full && held < again) {
		s->full = false;
		wal_stream_event(s, "recovered", "the spool has room again, receiving goes on");
	}
	return s->full;
}

/* A connection that brings nothing is none: the next try waits longer. */
static void
tell_connected(struct stream *s)
{
	char text[LSN_TEXT];

	s->heard = true;
	wal_stream_conf_good(s);
	s->pause_ns = 0;
	s->tries = 0;
	s->unproven = s->unproven_told = false;
	if (s->failed || !s->greeted || s->told_tli != s->at.tli)
		wal_stream_event(s, "connected",
		    "receiving WAL from %s, timeline %" PRIu32 ", from %s on",
		    pg_conn_place(s->conn), s->at.tli, lsn_text(s->at.lsn, text));
	s->failed = false;
	s->greeted = true;
	s->told_tli = s->at.tli;
}

static void
note(struct stream *s)
{
	struct wal_receive_state at;

	wal_receive_state(s->receive, &at);
	if (at.proved && at.server_end > 0 && !s->heard)
		tell_connected(s);
	if (at.durable > s->counted) {
		s->report->bytes += at.durable - s->counted;
		s->counted = at.durable;
	}
	/* Nothing was heard yet of a server that was just connected: what was heard before counts. */
	if (at.proved && at.server_end > 0) {
		s->seen.server_flush = at.server_end;
		s->seen.seen_boot_ns = at.seen_boot_ns;
	}
	s->seen.commits = s->before.commits + at.tally.commits;
	s->seen.last_commit_ns = at.tally.last_ns ? at.tally.last_ns : s->before.last_ns;
	if (at.unread.kind != ERR_NONE && !s->unread_told) {
		s->unread_told = true;
		wal_stream_event(s, "warning",
		    "what the server sends is no sound WAL, and is kept as it is: %s",
		    at.unread.text);
	}
}

/* While the stream runs: 0 it ended, or we were asked to stop, or must wait for room, or another
 * epoch began; -1. */
static int
receive(struct stream *s, struct err *e)
{
	int more = 1;

	while (more == 1 && !stopped(s) && !too_full(s) && !s->moved && !s->turned) {
		struct pollfd p = { .fd = wal_receive_fd(s->receive), .events = POLLIN };
		const uint64_t before = s->counted;
		int ms = turn(s), wait = wal_receive_wait_ms(s->receive);

		if (poll(&p, 1, wait < ms ? wait : ms) == -1 && errno != EINTR)
			return err_sys(e, "waiting for WAL");
		more = wal_receive_step(s->receive, e);
		if (more != -1)
			note(s);
		if (more == 1)
			wal_stream_pace(s, s->counted - before);
	}
	return more == -1 ? -1 : 0;
}

/*
 * The server removed what comes next: a hole, and on from what it has. Its slot may stand before
 * that and keep nothing that is there, after pg_resetwal; one made anew tells.
 */
static int
skip_removed(struct stream *s, const struct wal_resume_at *at, struct pg_slot *slot,
    const char *why, struct err *e)
{
	if ((!slot->reserves || lsn_segment(slot->restart_lsn, s->segment_size) <= at->lsn) &&
	    make_slot_anew(s, s->o->slot, slot, e) == -1)
		return -1;
	if (!slot->reserves || lsn_segment(slot->restart_lsn, s->segment_size) <= at->lsn)
		return err_set(e, ERR_REMOTE,
		    "the server has removed WAL, and slot '%s' keeps none: %s", s->o->slot, why);
	if (wal_stream_where_gap(
		s, at, lsn_segment(slot->restart_lsn, s->segment_size), why, e) == -1)
		return -1;
	return wal_stream_where_skip(
	    s, at, lsn_segment(slot->restart_lsn, s->segment_size), e);
}

/*
 * Nothing came. If it was more than the next byte that was asked for, to be compared, then that is
 * what the server has not.
 */
static int
removed(struct stream *s, const struct wal_resume_at *at, struct pg_slot *slot, struct err *e)
{
	const struct err why = wal_receive_end(s->receive)->why;

	wal_receive_free(s->receive);
	s->receive = NULL;
	if (!s->unproven && s->known.len > 0 && s->known_from < lsn_segment(at->lsn, s->segment_size)) {
		s->unproven = true;
		return 0;
	}
	return skip_removed(s, at, slot, why.text, e);
}

/* One stream after the other, while the connection lives. 0: connect anew; -1. */
static int
stream_from(struct stream *s, struct wal_resume_at at, struct pg_slot *slot, struct err *e)
{
	struct wal_receive_options o = {
		.conn = s->conn,
		.slot = s->o->slot,
		.spool = s->spool,
		.segment_size = s->segment_size,
		.tli = at.tli,
		.sample_ns = s->o->ship_every_ns,
		.from = at.lsn,
		.known = &s->known,
		.known_from = s->known_from,
	};
	const struct pg_stream_end *end;
	struct wal_receive_state state;
	int rc = wal_receive_start(&o, &s->receive, e);

	if (rc == 0) {
		s->report->connections++;
		s->at = at;
		s->heard = false;
		s->waited_boot_ns = 0;
		wal_stream_due_look(s);
		s->counted = at.lsn;
		rc = receive(s, e);
		wal_receive_state(s->receive, &state);
		s->before.commits += state.tally.commits;
		if (state.tally.last_ns)
			s->before.last_ns = state.tally.last_ns;
		end = wal_receive_end(s->receive);
		if (wal_receive_differs(s->receive) != 0)
			s->other = (struct stream_other){ .tli = at.tli,
				.lsn = wal_receive_differs(s->receive), .sure = s->confirmed };
		if (rc == 0 && end->how == PG_STREAM_REMOVED)
			rc = removed(s, &at, slot, e);
		else if (rc == 0 && end->how == PG_STREAM_TIMELINE)
			s->beyond = (struct wal_resume_at){ end->next_tli,
				lsn_segment(end->next_lsn, s->segment_size) };
		else if (rc == 0 && end->how == PG_STREAM_CLOSED)
			wal_stream_event(
			    s, "closed", "the server ended in good order, all of its WAL is here");
	}
	return rc;
}

static int
round_once(struct stream *s, struct err *e)
{
	struct pg_identity id;
	struct pg_slot slot = { 0 };
	struct wal_resume_at at;

	wal_stream_conf_read(s);
	s->turned = false;
	if (connect_both(s, &id, e) == -1 || wal_stream_epoch(s, &id, e) == -1 ||
	    make_slots(s, &slot, e) == -1)
		return -1;
	/* Once more: what the server wrote while the slots were made may be received, too. */
	if (pg_conn_identify(s->sql, &id, e) == -1 || wal_stream_where(s, &id, &slot, &at, e) == -1)
		return -1;
	return stream_from(s, at, &slot, e);
}

/* The connection that was found out is not used any more, and who answers must still be the one. */
static int
settle_other(struct stream *s, struct err *e)
{
	struct wal_place_server server = { 0 };
	struct pg_identity id;
	struct wal_place place;
	int rc;

	disconnect(s);
	rc = connect_both(s, &id, e);
	if (rc == 0)
		rc = wal_stream_epoch_server(s, &id, &server, &place, e);
	if (rc == 0)
		rc = wal_stream_other(s, &id, &server.history, e);
	wal_place_server_done(&server);
	disconnect(s);
	return rc;
}

/*
 * The server's disk goes before our archive, as `backlog-full` says: without slots it may remove
 * what is not here yet. Whether it did is seen when receiving goes on, and is a gap then.
 */
static void
let_slots_go(struct stream *s)
{
	struct pg_conn_options o = { .conninfo = s->conninfo, .stop = stopped, .arg = s };
	struct pg_conn *c = NULL;
	struct err why = { 0 };

	if (pg_conn_open(&o, &c, &why) == -1 || pg_slot_drop(c, s->o->slot, &why) == -1 ||
	    (s->o->hold_slot && pg_slot_drop(c, s->o->hold_slot, &why) == -1))
		wal_stream_event(s, "warning", "the slots are not dropped: %s", why.text);
	else
		wal_stream_event(s, "warning",
		    "the slots were dropped: the server may remove WAL that is "
		    "not here yet\n  fix       bring the tiers back; where WAL is lost a base backup "
		    "is made then");
	pg_conn_free(c);
	s->let_go = true;
}

/* Time mends what others did; it does not mend these. */
static bool
is_final(const struct stream *s, const struct err *e)
{
	/*
	 * A spool that another process has; a slot that is busy gets free once the server notices
	 * who died.
	 */
	if (e->kind == ERR_BUSY)
		return !s->spool;
	return e->kind == ERR_STALE || e->kind == ERR_CORRUPT || e->kind == ERR_KEY ||
	    e->kind == ERR_CONFIG || e->kind == ERR_UNSUPPORTED || e->kind == ERR_BUG;
}

static void
pause_after(struct stream *s, const struct err *e)
{
	int64_t most;

	if (!s->failed)
		wal_stream_event(s, "warning", "receiving is interrupted: %s", e->text);
	s->failed = true;
	s->tries = s->answered ? s->tries + 1 : 0;
	most = s->answered && s->tries <= TRIES_ANSWERED ? PAUSE_ANSWERED_NS : PAUSE_MOST_NS;
	s->pause_ns = s->pause_ns ? s->pause_ns * 2 : PAUSE_FIRST_NS;
	if (s->pause_ns > most)
		s->pause_ns = most;
	rest(s, s->pause_ns);
}

/* Everything that is durable goes to the tiers, as far as there is time. */
static void
ship_the_rest(struct stream *s)
{
	const int64_t end = clock_boot_ns() + LAST_SHIP_NS;

	if (!s->ship || !s->leased)
		return;
	s->seen.durable = durable_end(s);
	wal_ship_hurry(s->ship);
	do
		clock_sleep_ns(CLOCK_MS *
		    (wal_ship_step(s->ship, &s->seen, lease_good(&s->lease)) > 20 ? 20 : 1));
	while (!wal_ship_idle(s->ship) && clock_boot_ns() < end);
}

bool
wal_stream_enough(void *arg)
{
	struct stream *s = arg;

	return atomic_load(&s->enough) || atomic_load(&s->hasty);
}

/* A tier that does not answer holds up nobody who wants to end: what it lacks is in the spool. */
static void
limit_patience(struct stream *s, bool on)
{
	for (size_t i = 0; i < s->o->tiers; i++)
		if (s->o->tier[i]->store)
			store_stop_when(s->o->tier[i]->store, on ? wal_stream_enough : NULL, s);
}

static void
close_all(struct stream *s)
{
	struct err why = { 0 };

	disconnect(s);
	wal_stream_due_end(s);
	ship_the_rest(s);
	atomic_store(&s->enough, true);
	wal_ship_free(s->ship);
	wal_stream_elders_free(s);
	limit_patience(s, false);
	spool_close(s->spool);
	buf_done(&s->known);
	wal_stream_conf_end(s);
	if (s->leased && lease_release(&s->lease, &why) == -1)
		wal_stream_event(s, "warning",
		    "the lease is not given back, others wait until it ends: %s", why.text);
}

int
wal_stream_run(struct repo *repo, const struct wal_stream_options *o, const struct watch *w,
    struct wal_stream_report *ret, struct err *e)
{
	struct stream s = { .repo = repo, .o = o, .watch = w, .report = ret };
	struct err why = { 0 };
	int rc = 0;

	*ret = (struct wal_stream_report){ 0 };
	s.conninfo = xstrdup(o->conninfo);
	limit_patience(&s, true);
	rc = wal_stream_epoch_alone(&s, e);
	while (rc == 0 && !stopped(&s)) {
		err_clear(&why);
		if (s.spool && too_full(&s)) {
			if (o->drop_slot && !s.let_go)
				let_slots_go(&s);
			s.turned = false; /* there is no connection to leave */
			rest(&s, CLOCK_S);
			continue;
		}
		s.let_go = false;
		if (round_once(&s, &why) == 0 || stopped(&s)) {
			disconnect(&s);
			continue;
		}
		disconnect(&s);
		if (s.other.tli != 0) {
			err_clear(&why);
			if (settle_other(&s, &why) == 0)
				continue;
		}
		if (wal_stream_conf_back(&s, &why))
			continue;
		if (is_final(&s, &why) && !wal_stream_conf_waits(&s, &why)) {
			*e = why;
			rc = err_in(e, "%s", o->source);
		} else
			pause_after(&s, &why);
	}
	close_all(&s);
	return rc;
}
