/*
 * What has to be shipped is a list of legs, one a timeline: from where, and up to where once it has
 * ended. A tier walks along them; when the oldest byte it lacks became durable is told by marks,
 * taken as the spool grows.
 *
 * A piece is cut, sealed and stored in the tier's worker, from the spool and not from memory: so a
 * tier that was away for a day is served like one that is a second behind. A failed try is repeated
 * with growing pauses, for ever; what is shipped twice agrees with itself.
 */
#include "job/wal/wal_ship.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lsn.h"
#include "base/mem.h"
#include "filter/pool.h"
#include "repo/piece.h"

#define PAUSE_FIRST_NS CLOCK_S
#define PAUSE_MOST_NS (30 * CLOCK_S)
#define WAIT_MOST_MS 1000
#define BUSY_MS 20	      /* how soon a finished task is noticed, at most */
#define MARK_NS (CLOCK_S / 4) /* so exactly is known how long a byte has waited */
#define MARKS 512

struct leg {
	uint32_t tli;
	uint64_t from, end; /* UINT64_MAX while it is being received */
	struct buf history;
};

/* Up to `lsn` of leg `leg` it was durable at that moment. */
struct mark {
	size_t leg;
	uint64_t lsn;
	int64_t boot_ns;
};

/* One deed of a tier's worker. */
struct task {
	const struct wal_ship_options *o;
	struct tier *tier;
	struct buf history; /* borrowed bytes, to be stored first; empty: they are there */
	bool put_from;	    /* so must the epoch's `from` */
	struct piece piece;
	/* What `wal push` would store in place of it; has that to be looked for? out: it is not there */
	uint64_t whole_from, whole_to;
	bool look, unpushed;
	int64_t sample_boot_ns; /* when the server said so */
	bool beat;		 /* and beat/<source> */
	bool reach;		 /* nothing but this: the tier was away when we began */
	struct store *reached;
	bool doubt; /* it did not answer the last time: is it still the one? */
	bool replaced; /* out: it is not */
	struct err why;
	int rc;
};

struct lane {
	struct tier *tier;
	struct pool *pool;
	struct task task;
	bool busy;
	size_t leg;
	uint64_t until;
	uint64_t unpushed; /* nothing was pushed of the whole piece from there; UINT64_MAX: not known */
	bool history_there, from_there;
	int64_t beat_boot_ns, retry_boot_ns, pause_ns;
	uint64_t pieces;
	struct err why;
	bool replaced;
};

struct wal_ship {
	struct wal_ship_options o;
	struct lane *lane;
	struct leg *leg;
	size_t legs, leg_room;
	struct mark mark[MARKS];
	size_t marks;
	struct wal_ship_seen seen;
	bool hurry; /* nothing waits for its time any more */
};

struct wal_ship *
wal_ship_new(const struct wal_ship_options *o)
{
	struct wal_ship *s = xcalloc(1, sizeof(*s));

	s->o = *o;
	s->lane = xcalloc(o->tiers, sizeof(*s->lane));
	for (size_t i = 0; i < o->tiers; i++) {
		s->lane[i].tier = o->tier[i];
		s->lane[i].pool = pool_new(1, 1);
		s->lane[i].unpushed = UINT64_MAX;
		s->lane[i].from_there = o->from == NULL;
	}
	return s;
}

/* Another lane to the same tier may have been quicker. */
static void
take_store(struct wal_ship *s, struct lane *l, struct store *store)
{
	if (l->tier->store) {
		store_close(store);
		return;
	}
	l->tier->store = store;
	err_clear(&l->tier->why);
	if (s->o.reached)
		s->o.reached(s->o.arg, l->tier);
}

void
wal_ship_free(struct wal_ship *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->o.tiers; i++) {
		struct lane *l = &s->lane[i];

		if (l->busy && pool_take(l->pool) && l->task.reach && l->task.rc == 0)
			take_store(s, l, l->task.reached);
		pool_free(l->pool);
	}
	for (size_t i = 0; i < s->legs; i++)
		buf_done(&s->leg[i].history);
	free(s->leg);
	free(s->lane);
	free(s);
}

void
wal_ship_timeline(
    struct wal_ship *s, uint32_t tli, uint64_t from, uint64_t end, const struct buf *history)
{
	struct leg *leg;

	if (s->legs > 0)
		s->leg[s->legs - 1].end = end;
	s->leg = mem_grow(s->leg, &s->leg_room, s->legs + 1, sizeof(*s->leg));
	leg = &s->leg[s->legs++];
	*leg = (struct leg){ .tli = tli, .from = from, .end = UINT64_MAX };
	buf_init(&leg->history, WAL_LINEAGE_HISTORY_MAX);
	buf_add(&leg->history, history->data, history->len);
	for (size_t i = 0; s->legs == 1 && i < s->o.tiers; i++)
		s->lane[i].until = from;
}

void
wal_ship_has(struct wal_ship *s, size_t tier, uint32_t tli, uint64_t until)
{
	struct lane *l = &s->lane[tier];

	if (l->leg < s->legs && s->leg[l->leg].tli == tli && until > l->until)
		l->until = until;
}

/* ---- in the worker ---- */

static int
put_lineage(struct task *t, struct err *e)
{
	const struct wal_ship_options *o = t->o;

	if (t->put_from &&
	    wal_lineage_put_from(o->repo, t->tier->store, &o->place, o->from, e) == -1)
		return -1;
	if (t->history.len > 0 &&
	    wal_lineage_put_history(o->repo, t->tier->store, &o->place, t->piece.at.tli,
		t->history.data, t->history.len, e) == -1)
		return -1;
	return 0;
}

/* The moment the server's position was told, by the clock of the store. */
static int
date_sample(struct task *t, struct err *e)
{
	int64_t now;

	if (!t->piece.sampled)
		return 0;
	if (store_clock_lately(t->tier->store, &now, e) == -1)
		return -1;
	t->piece.sample.time_ns = now - (clock_boot_ns() - t->sample_boot_ns);
	return 0;
}

/*
 * `wal push` stores segments whole. One that is there under its own name must agree with what we
 * have of it, or two servers archive here: 1 it does, and so the piece is there; 0 there is none;
 * -1, ERR_EXISTS when it does not.
 */
static int
check_pushed(struct task *t, const struct buf *wal, struct err *e)
{
	const struct wal_ship_options *o = t->o;
	const struct layout_wal *at = &t->piece.at;
	char name[LAYOUT_NAME], text[LSN_TEXT];
	struct buf sealed, there;
	struct err why = { 0 };
	struct piece p;
	int rc = 0;

	if (!t->look)
		return 0;
	layout_wal_piece(&o->place, at->tli, t->whole_from, t->whole_to, name);
	buf_init(&sealed, STORE_OBJECT_MAX);
	buf_init(&there, PIECE_MAX);
	if (store_get(t->tier->store, name, &sealed, &why) == -1) {
		t->unpushed = why.kind == ERR_NOTFOUND;
		if (!t->unpushed) {
			*e = why;
			rc = -1;
		}
	} else if (piece_open(o->repo->keys, name, &sealed, &p, &there, &why) == 0) {
		rc = memcmp(there.data + (at->start - t->whole_from), wal->data, wal->len) == 0 ? 1 :
		    err_set(e, ERR_EXISTS, "'%s' of '%s' has other bytes than the server, at %s or behind "
			"it", name, p.host, lsn_text(at->start, text));
	}
	/* One that is damaged says nothing: ours is stored beside it. */
	buf_done(&there);
	buf_done(&sealed);
	return rc;
}

static int
put_piece(struct task *t, struct err *e)
{
	const struct wal_ship_options *o = t->o;
	const struct layout_wal *at = &t->piece.at;
	char name[LAYOUT_NAME], text[LSN_TEXT];
	struct buf wal, sealed;
	ssize_t n;
	int rc = -1;

	buf_init(&wal, PIECE_MAX);
	buf_init(&sealed, STORE_OBJECT_MAX);
	n = spool_dir_read(&o->spool, &o->place, at->tli, at->start, at->end, &wal, e);
	if (n == -1)
		goto out;
	if ((uint64_t)n != at->end - at->start) {
		err_set(e, ERR_CORRUPT, "the spool has no WAL of timeline %" PRIu32 " from %s on",
		    at->tli, lsn_text(at->start + (uint64_t)n, text));
		goto out;
	}
	rc = check_pushed(t, &wal, e);
	if (rc == 1)
		rc = 0;
	else if (rc == 0 &&
	    (piece_seal(o->repo->keys, &t->piece, wal.data, wal.len, &sealed, name, e) == -1 ||
		piece_put(o->repo->keys, t->tier->store, name, &sealed, e) == -1))
		rc = -1;
out:
	buf_done(&sealed);
	buf_done(&wal);
	return rc;
}

static int
put_beat(struct task *t, struct err *e)
{
	struct wal_beat b = {
		.place = t->o->place, .tli = t->piece.at.tli, .sample = t->piece.sample
	};

	snprintf(b.host, sizeof(b.host), "%s", t->o->host);
	return wal_beat_put(t->o->repo, t->tier->store, &b, e);
}

static int
store_all(struct task *t, struct err *e)
{
	if (put_lineage(t, e) == -1 || date_sample(t, e) == -1)
		return -1;
	if (t->piece.at.end > t->piece.at.start && put_piece(t, e) == -1)
		return -1;
	return t->beat && t->piece.sampled ? put_beat(t, e) : 0;
}

/* What is below a mount that went is none, and neither is a new disk before `init`. */
static bool
is_replaced(const struct task *t)
{
	struct store *other = NULL;
	struct err why = { 0 };

	if (!store_replaced(t->tier->store) ||
	    repo_reach(t->o->repo, t->tier, &other, &why) == -1)
		return false;
	store_close(other);
	return true;
}

/*
 * Looked at before and behind: a try may last as long as the store's patience, and the pause to the
 * next one, too.
 */
static void
work(void *arg)
{
	struct task *t = arg;

	if (t->reach) {
		t->rc = repo_reach(t->o->repo, t->tier, &t->reached, &t->why);
		return;
	}
	t->replaced = t->doubt && is_replaced(t);
	t->rc = t->replaced ? err_set(&t->why, ERR_REMOTE, "another one stands where '%s' was",
		t->tier->name) : store_all(t, &t->why);
	if (t->rc == -1 && t->why.kind == ERR_REMOTE && !t->replaced)
		t->replaced = is_replaced(t);
}

/* ---- in the owner ---- */

static void
tell_failed(const struct wal_ship *s, const struct lane *l)
{
	char at[LSN_TEXT];
	char *text = xasprintf("WAL does not get to '%s' beyond %s: %s", l->tier->name,
	    lsn_text(l->until, at), l->why.text);

	s->o.event(s->o.arg, "warning", text);
	free(text);
}

static void
tell_recovered(const struct wal_ship *s, const struct lane *l)
{
	char at[LSN_TEXT];
	char *text = xasprintf(
	    "WAL gets to '%s' again, it is there up to %s", l->tier->name, lsn_text(l->until, at));

	s->o.event(s->o.arg, "recovered", text);
	free(text);
}

static void
finish(struct wal_ship *s, struct lane *l, int64_t now)
{
	const struct task *t = &l->task;

	l->busy = false;
	if (t->reach && t->rc == 0) {
		take_store(s, l, t->reached);
		l->pause_ns = 0;
		return; /* `why` stays until something was stored */
	}
	if (t->rc == -1 && t->why.kind == ERR_CANCELLED)
		return; /* it was only not waited for */
	if (t->rc == -1) {
		const bool first = l->why.kind == ERR_NONE;

		l->why = t->why;
		l->replaced = t->replaced;
		l->pause_ns = l->pause_ns ? l->pause_ns * 2 : PAUSE_FIRST_NS;
		if (l->pause_ns > PAUSE_MOST_NS)
			l->pause_ns = PAUSE_MOST_NS;
		l->retry_boot_ns = now + l->pause_ns;
		if (first)
			tell_failed(s, l);
		return;
	}
	l->from_there = true;
	if (t->history.len > 0)
		l->history_there = true;
	if (t->unpushed)
		l->unpushed = t->whole_from;
	if (t->piece.at.end > l->until) {
		l->until = t->piece.at.end;
		l->pieces++;
	}
	if (t->beat)
		l->beat_boot_ns = now;
	if (l->why.kind != ERR_NONE)
		tell_recovered(s, l);
	err_clear(&l->why);
	l->replaced = false;
	l->pause_ns = 0;
}

/* Remembers when what is durable now became so. */
static void
take_mark(struct wal_ship *s, int64_t now)
{
	const size_t leg = s->legs - 1;
	const struct mark *last = s->marks ? &s->mark[s->marks - 1] : NULL;

	if (last && last->leg == leg &&
	    (last->lsn == s->seen.durable || now - last->boot_ns < MARK_NS))
		return;
	if (s->marks == MARKS) {
		/* Every second one will do: what waits so long is late by more than that. */
		for (size_t i = 0; i < MARKS / 2; i++)
			s->mark[i] = s->mark[2 * i + 1];
		s->marks = MARKS / 2;
	}
	s->mark[s->marks++] = (struct mark){ leg, s->seen.durable, now };
}

/*
 * Since when the byte behind what the tier has is waiting. One that no mark has yet came after the
 * last mark was taken, and not much later: it counts from there, for nobody comes by to take one
 * when nothing follows.
 */
static int64_t
waits_since(const struct wal_ship *s, const struct lane *l, int64_t now)
{
	for (size_t i = 0; i < s->marks; i++)
		if (s->mark[i].leg > l->leg ||
		    (s->mark[i].leg == l->leg && s->mark[i].lsn > l->until))
			return s->mark[i].boot_ns;
	return s->marks > 0 ? s->mark[s->marks - 1].boot_ns : now;
}

/* On to the next timeline, when all of this one is there. */
static void
next_leg(const struct wal_ship *s, struct lane *l)
{
	while (l->leg + 1 < s->legs && l->until >= s->leg[l->leg].end) {
		l->leg++;
		l->until = s->leg[l->leg].from;
		l->unpushed = UINT64_MAX;
		l->history_there = false;
	}
}

/* The end of the piece that is due, or 0; *due: when the next one will be. */
static uint64_t
piece_end(const struct wal_ship *s, const struct lane *l, int64_t now, int64_t *due)
{
	const struct leg *leg = &s->leg[l->leg];
	const bool newest = l->leg + 1 == s->legs;
	const uint64_t limit = newest ? s->seen.durable : leg->end;
	uint64_t cut = lsn_segment(l->until, s->o.segment_size) + s->o.segment_size;

	if (cut > l->until + PIECE_MAX)
		cut = l->until + PIECE_MAX;
	if (limit >= cut)
		return cut;
	if (limit <= l->until)
		return 0;
	*due = waits_since(s, l, now) + s->o.every_ns;
	return !newest || s->hurry || now >= *due ? limit : 0;
}

/*
 * One that has the whole piece's own name meets it there. Of the others the first looks, and the last,
 * before which no server has a finished segment to push.
 */
static void
set_whole(const struct wal_ship *s, const struct lane *l, struct task *t)
{
	const struct layout_wal *at = &t->piece.at;
	const uint64_t segment = lsn_segment(at->start, s->o.segment_size);
	const uint64_t end = segment + s->o.segment_size;

	t->whole_from = segment + (at->start - segment) / PIECE_MAX * PIECE_MAX;
	t->whole_to = end - t->whole_from < PIECE_MAX ? end : t->whole_from + PIECE_MAX;
	t->look = (at->start > t->whole_from || at->end < t->whole_to) &&
	    (l->unpushed != t->whole_from || at->end == t->whole_to);
}

static void
hand_out(struct wal_ship *s, struct lane *l, uint64_t end, bool beat)
{
	const struct leg *leg = &s->leg[l->leg];
	struct task *t = &l->task;

	*t = (struct task){
		.o = &s->o,
		.tier = l->tier,
		.put_from = !l->from_there,
		.beat = beat,
		.doubt = l->why.kind == ERR_REMOTE,
		.sample_boot_ns = s->seen.seen_boot_ns,
		.piece = {
			.at = { .place = s->o.place, .kind = LAYOUT_WAL_PIECE, .tli = leg->tli,
			    .start = l->until, .end = end },
			.segment_size = s->o.segment_size,
			.version = s->o.version,
			.sampled = s->seen.seen_boot_ns > 0 && s->seen.server_flush > 0,
			.sample = { .flush_lsn = s->seen.server_flush,
			    .last_commit_ns = s->seen.last_commit_ns, .commits = s->seen.commits },
		},
	};
	snprintf(t->piece.host, sizeof(t->piece.host), "%s", s->o.host);
	set_whole(s, l, t);
	if (!l->history_there)
		t->history = leg->history;
	l->busy = true;
	pool_submit(l->pool, work, t);
}

/* When this lane wants to be looked at again. */
static int64_t
drive(struct wal_ship *s, struct lane *l, int64_t now, bool allowed)
{
	int64_t due = now + WAIT_MOST_MS * CLOCK_MS, beat_due;
	uint64_t end;

	if (l->busy && pool_take_ready(l->pool))
		finish(s, l, now);
	if (l->busy)
		return now + BUSY_MS * CLOCK_MS;
	if (!allowed || (!l->tier->store && s->hurry))
		return due;
	if (l->why.kind != ERR_NONE && now < l->retry_boot_ns)
		return l->retry_boot_ns;
	if (!l->tier->store) {
		l->task = (struct task){ .o = &s->o, .tier = l->tier, .reach = true };
		l->busy = true;
		pool_submit(l->pool, work, &l->task);
		return now + BUSY_MS * CLOCK_MS;
	}
	next_leg(s, l);
	end = piece_end(s, l, now, &due);
	beat_due = l->beat_boot_ns + s->o.every_ns;
	if (s->seen.server_flush == 0 || s->hurry || !wal_beat_kept(l->tier))
		beat_due = INT64_MAX; /* there is nothing to be told, or nowhere */
	if (end == 0 && now < beat_due)
		return due < beat_due ? due : beat_due;
	hand_out(s, l, end ? end : l->until, now >= beat_due);
	return now + BUSY_MS * CLOCK_MS;
}

int
wal_ship_step(struct wal_ship *s, const struct wal_ship_seen *seen, bool allowed)
{
	const int64_t now = clock_boot_ns();
	int64_t first = now + WAIT_MOST_MS * CLOCK_MS;

	if (s->legs == 0)
		return WAIT_MOST_MS;
	s->seen = *seen;
	take_mark(s, now);
	for (size_t i = 0; i < s->o.tiers; i++) {
		int64_t due = drive(s, &s->lane[i], now, allowed);

		if (due < first)
			first = due;
	}
	return first <= now ? 1 : (int)((first - now) / CLOCK_MS) + 1;
}

void
wal_ship_hurry(struct wal_ship *s)
{
	s->hurry = true;
	for (size_t i = 0; i < s->o.tiers; i++)
		s->lane[i].retry_boot_ns = 0;
}

bool
wal_ship_idle(const struct wal_ship *s)
{
	for (size_t i = 0; s->legs > 0 && i < s->o.tiers; i++) {
		const struct lane *l = &s->lane[i];

		if (l->busy)
			return false;
		if (l->why.kind == ERR_NONE && l->tier->store &&
		    (l->leg + 1 < s->legs || l->until < s->seen.durable))
			return false;
	}
	return true;
}

void
wal_ship_tier(const struct wal_ship *s, size_t tier, struct wal_ship_tier *ret)
{
	const struct lane *l = &s->lane[tier];

	*ret = (struct wal_ship_tier){ .tli = s->legs ? s->leg[l->leg].tli : 0,
		.until = l->until,
		.pieces = l->pieces,
		.why = l->why,
		.replaced = l->replaced };
}
