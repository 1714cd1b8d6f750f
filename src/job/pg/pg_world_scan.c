/*
 * Questions to the log itself. A time is found by its commit records, since only they say where in
 * the log it lies; a database that writes much is not read from the base on, but from the segment
 * before the time, found by halving. Transactions and names are looked for from the newest stretch
 * back, for of a name that was used twice the newest counts.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/pg/pg_world_parts.h"
#include "job/wal/wal_segment.h"
#include "source/pg/pg_commit.h"
#include "source/pg/pg_walrecord.h"

#define SLACK_NS (60 * CLOCK_S) /* by how much commit times may go back in the order of the log */
#define HALVE_FROM 8		/* segments; fewer are read in order */
#define QUIET_MOST 16		/* segments before a hole that are asked for a commit */
#define PREPARED_MOST (UINT64_C(512) << 20) /* bytes: more is not read for a setting alone */
#define RECORD_MOST (UINT64_C(1) << 30) /* bytes: no server writes a longer record */
#define COMMIT_MOST (UINT64_C(128) << 20) /* bytes: more is not read only to tell the last commit */

struct scan {
	struct pg_world *w;
	/* 0 goes on, 1 stops. Records that are none of pg_commit.h come with c NULL. */
	int (*each)(struct scan *s, const struct pg_walrecord *r, const struct pg_commit *c);
	const struct pg_target *want;
	struct pg_target_hit hit;
	bool met; /* a record stands at the place that is wanted, or behind it */
	struct pg_commit_tally tally;
	int64_t first_ns;
	int64_t prepared; /* the most that a server was started with */
	struct pg_walrecord_state state;
	uint64_t until; /* as far as was read */
};

static int
see(void *arg, const struct pg_walrecord *r, struct err *e)
{
	struct scan *s = arg;
	struct pg_commit c;
	int got = pg_commit_read(r, &c, e);

	return got == -1 ? -1 : s->each(s, r, got == 1 ? &c : NULL);
}

/* [from, to), which lies in one range and begins a segment. -1 when it cannot be read to its end.
 */
static int
run(struct scan *s, uint64_t from, uint64_t to, struct err *e)
{
	const uint64_t size = s->w->segment_size;
	const struct pg_walrecord_options o = {
		.lsn = from,
		.seg_size = size,
		.sysid = s->w->place.sysid,
		.wanted = PG_WALRECORD_COMMITS,
	};
	struct pg_walrecords *walk = pg_walrecord_new(&o, see, s);
	struct buf bytes;
	int rc = 0;

	buf_init(&bytes, size);
	for (uint64_t at = from; at < to && rc == 0; at += size) {
		uint64_t end = at + size < to ? at + size : to, until;

		if (s->w->watch->stop(s->w->watch->arg)) {
			rc = err_set(e, ERR_CANCELLED, "stopped; nothing was done");
			break;
		}
		rc = wal_segment(s->w->read, pg_history_at(&s->w->history, end - 1), at, size,
		    &bytes, &until, e);
		if (until >= end) /* what is behind does not matter here */
			rc = 0;
		else if (rc == 0)
			rc = err_set(e, ERR_CORRUPT, "WAL that was listed is not there any more");
		if (rc == -1)
			s->w->unread = until;
		if (rc != -1)
			rc = pg_walrecord_feed(walk, bytes.data, (size_t)(end - at), e);
		s->until = end;
	}
	pg_walrecord_state(walk, &s->state);
	pg_walrecord_free(walk);
	buf_done(&bytes);
	return rc == -1 ? -1 : 0;
}

static bool
ends(const struct pg_commit *c)
{
	return c && (c->kind == PG_COMMIT_DONE || c->kind == PG_COMMIT_ABORTED);
}

/* ---- the frontier ---- */

static int
count(struct scan *s, const struct pg_walrecord *r, const struct pg_commit *c)
{
	(void)r;
	if (c)
		pg_commit_count(&s->tally, c);
	return 0;
}

/* How far back is looked: the last record must be known, the last commit is only told. */
static uint64_t
back_most(const struct pg_world *w)
{
	if (w->last == 0)
		return 4 * (RECORD_MOST + w->segment_size);
	return w->commit_ns == 0 ? COMMIT_MOST : 0;
}

/*
 * Twice as much each time: the newest record may be the middle of one that began a thousand segments
 * before; and behind the last commit a server that rests has gone on to a new segment.
 */
int
pg_world_last(struct pg_world *w, struct err *e)
{
	const uint64_t size = w->segment_size;
	const struct lsn_range *newest = &w->have.range[w->have.count - 1];
	const uint64_t end = lsn_segment(w->frontier - 1, size) + size;
	/* The first segment that is there from its beginning. */
	const uint64_t first = lsn_segment(newest->from + size - 1, size);
	uint64_t from = end, back;

	for (back = size; from > first && back <= back_most(w); back *= 2) {
		const uint64_t unread = w->unread;
		struct scan s = { .w = w, .each = count };
		struct err why = { 0 };

		from = end - first > back ? end - back : first;
		if (run(&s, from, w->frontier, w->last == 0 ? e : &why) == -1) {
			if (w->last == 0)
				return err_in(e, "the newest WAL of %s", w->source);
			w->unread = unread;
			break;
		}
		w->last = s.state.last;
		w->last_end = s.state.end;
		w->commit_ns = s.tally.last_ns;
		w->commit_known = w->commit_ns != 0 || from == first;
	}
	if (w->commit_ns > w->frontier_ns)
		w->frontier_ns = w->commit_ns;
	return 0;
}

int64_t
pg_world_newest_commit(struct pg_world *w, const struct pg_world_line *l)
{
	const struct pg_history chosen = w->history;
	struct scan s = { .w = w, .each = count };
	int rc = -1;

	if (l->end > 0) {
		w->history = l->history;
		rc = run(&s, lsn_segment(l->end - 1, w->segment_size), l->end, NULL);
		w->history = chosen;
	}
	return rc == 0 ? s.tally.last_ns : 0;
}

static int
first_commit(struct scan *s, const struct pg_walrecord *r, const struct pg_commit *c)
{
	(void)r;
	if (!ends(c))
		return 0;
	s->first_ns = c->time_ns;
	return 1;
}

/* For a time that is only told. */
static int
run_quietly(struct scan *s, uint64_t from, uint64_t to)
{
	struct err why = { 0 };
	int rc = run(s, from, to, &why);

	if (rc == -1 && why.kind == ERR_FROZEN)
		s->w->cold_gap = true;
	return rc;
}

/* A server that rests writes segments without a commit. */
static int64_t
newest_before(struct pg_world *w, uint64_t lsn)
{
	const uint64_t size = w->segment_size;
	uint64_t from = lsn_segment(lsn - 1, size) + size;

	for (unsigned i = 0; i < QUIET_MOST && from >= size; i++) {
		struct scan s = { .w = w, .each = count };

		from -= size;
		if (!lsn_set_has(&w->have, from, lsn) || run_quietly(&s, from, lsn) == -1)
			break;
		if (s.tally.last_ns)
			return s.tally.last_ns;
		lsn = from;
	}
	return 0;
}

void
pg_world_times(struct pg_world *w, struct pg_target_gap *gap)
{
	struct scan after = { .w = w, .each = first_commit };
	uint64_t to = lsn_segment(gap->to + w->segment_size - 1, w->segment_size);

	gap->from_ns = newest_before(w, gap->from);
	if (lsn_set_has(&w->have, to, to + 1)) {
		uint64_t end = lsn_set_end(&w->have, to);

		if (run_quietly(&after, to,
			end < to + w->segment_size ? end : to + w->segment_size) == 0)
			gap->to_ns = after.first_ns;
	}
	/* What lies behind the newest hole need not have a commit. */
	if (gap->from_ns > w->frontier_ns)
		w->frontier_ns = gap->from_ns;
	if (gap->to_ns > w->frontier_ns)
		w->frontier_ns = gap->to_ns;
}

/* ---- settings ---- */

static int
most_prepared(struct scan *s, const struct pg_walrecord *r, const struct pg_commit *c)
{
	int64_t n;

	(void)c;
	if (pg_walrecord_prepared(r, &n) == 1 && n > s->prepared)
		s->prepared = n;
	return 0;
}

int64_t
pg_world_prepared(struct pg_world *w, uint64_t from, uint64_t to)
{
	struct scan s = { .w = w, .each = most_prepared };

	from = lsn_segment(from, w->segment_size);
	if (to > from && to - from <= PREPARED_MOST)
		run(&s, from, to, NULL);
	return s.prepared;
}

/* ---- targets ---- */

static int
match(struct scan *s, const struct pg_walrecord *r, const struct pg_commit *c)
{
	const struct pg_target *t = s->want;
	bool hit = false, goes_on = false;

	if (!c)
		return 0;
	if (t->kind == PG_TARGET_TIME)
		hit =
		    ends(c) && (t->exclusive ? c->time_ns >= t->time_ns : c->time_ns > t->time_ns);
	else if (t->kind == PG_TARGET_XID)
		hit = ends(c) && c->xid == t->xid;
	else
		hit = goes_on = c->kind == PG_COMMIT_POINT && strcmp(c->name, t->name) == 0;
	if (hit)
		s->hit = (struct pg_target_hit){ .found = true, .start = r->start, .end = r->end };
	return hit && !goes_on;
}

/* All ranges between the two; across a hole with a fresh walk. */
static int
look(struct pg_world *w, const struct pg_target *t, uint64_t from, uint64_t to,
    struct pg_target_hit *ret, struct err *e)
{
	ret->found = false;
	for (size_t i = 0; i < w->have.count && !(ret->found && t->kind != PG_TARGET_NAME); i++) {
		struct scan s = { .w = w, .each = match, .want = t };
		uint64_t a = w->have.range[i].from,
			 b = w->have.range[i].to < to ? w->have.range[i].to : to;

		if (a % w->segment_size != 0)
			a = lsn_segment(a, w->segment_size) + w->segment_size;
		if (a < lsn_segment(from, w->segment_size))
			a = lsn_segment(from, w->segment_size);
		if (a >= b)
			continue;
		if (run(&s, a, b, e) == -1)
			return -1;
		if (s.hit.found)
			*ret = s.hit;
	}
	return 0;
}

/* Does the first commit of the segment lie well before the time? What cannot be told does not. */
static bool
is_before(struct pg_world *w, uint64_t segment, int64_t time_ns)
{
	struct scan s = { .w = w, .each = first_commit };

	return lsn_set_has(&w->have, segment, segment + w->segment_size) &&
	    run(&s, segment, segment + w->segment_size, NULL) == 0 && s.first_ns != 0 &&
	    s.first_ns < time_ns - SLACK_NS;
}

/*
 * Is it known without a look that no commit is later? It is where the newest one before the frontier and
 * before each hole is known; else only of times that are still to come.
 */
static bool
is_later_than_all(const struct pg_world *w, int64_t time_ns)
{
	const int64_t now = clock_real_ns();
	bool known = w->cold.kind == ERR_NONE && w->commit_known;

	for (size_t i = 0; i < w->gaps; i++) {
		const struct pg_target_gap *g = &w->gap[i];

		known &= g->from_ns != 0 || !lsn_set_has(&w->have, g->from - 1, g->from);
	}
	return time_ns > (known || w->frontier_ns > now ? w->frontier_ns : now);
}

static int
look_for_time(
    struct pg_world *w, const struct pg_target *t, struct pg_target_hit *ret, struct err *e)
{
	uint64_t first = UINT64_MAX, from = 0, low, high;

	for (size_t i = 0; i < w->bases; i++) {
		first = w->base[i].start < first ? w->base[i].start : first;
		if (w->base[i].stop_ns < t->time_ns - SLACK_NS && w->base[i].start > from)
			from = w->base[i].start;
	}
	ret->found = false;
	if (is_later_than_all(w, t->time_ns))
		return 0;
	low = (from ? from : first) / w->segment_size;
	high = w->frontier / w->segment_size;
	while (high > low + HALVE_FROM) {
		uint64_t middle = low + (high - low) / 2;

		if (is_before(w, middle * w->segment_size, t->time_ns))
			low = middle;
		else
			high = middle;
	}
	return look(w, t, low * w->segment_size, w->frontier, ret, e);
}

static int
by_start(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x < *y) - (*x > *y);
}

/* From the newest base on, then from the one before it ... */
static int
look_back(struct pg_world *w, const struct pg_target *t, struct pg_target_hit *ret, struct err *e)
{
	uint64_t *start = xcalloc(w->bases + 1, sizeof(*start)), to = w->frontier;
	int rc = 0;

	for (size_t i = 0; i < w->bases; i++)
		start[i] = w->base[i].start;
	qsort(start, w->bases, sizeof(*start), by_start);
	ret->found = false;
	for (size_t i = 0; i < w->bases && rc == 0 && !ret->found; i++) {
		rc = look(w, t, start[i], to, ret, e);
		/* With the record that lies across. */
		to = lsn_segment(start[i], w->segment_size) + w->segment_size;
	}
	free(start);
	return rc;
}

static int
look_up(void *arg, const struct pg_target *t, struct pg_target_hit *ret, struct err *e)
{
	return t->kind == PG_TARGET_TIME ? look_for_time(arg, t, ret, e) : look_back(arg, t, ret, e);
}

/* ---- where a recovery ends ---- */

/* What is replayed last: hit, found or not; the server stops there only when `met`. */
static int
replays(struct scan *s, const struct pg_walrecord *r, const struct pg_commit *c)
{
	const bool met = r->start >= s->want->lsn;

	(void)c;
	s->met |= met;
	if (!met || !s->want->exclusive)
		s->hit = (struct pg_target_hit){ .found = true, .start = r->start, .end = r->end };
	return met;
}

/*
 * The record before it may begin in an older segment, and be very long. A place where a hole begins
 * is read up to.
 */
static int
last_replayed(struct pg_world *w, const struct pg_target_plan *plan, struct scan *s, struct err *e)
{
	const struct pg_target at = { .lsn = plan->lsn, .exclusive = plan->exclusive };
	const uint64_t size = w->segment_size, last = plan->until > at.lsn ? at.lsn : at.lsn - 1;
	const uint64_t newest = lsn_segment(last, size);
	uint64_t from = newest, back = size;
	int rc = 0;

	do {
		*s = (struct scan){ .w = w, .each = replays, .want = &at };
		while (from >= size && newest - from < back &&
		    lsn_set_has(&w->have, from - size, from))
			from -= size;
		rc = run(s, from, lsn_set_end(&w->have, last), e);
		back *= 2;
	} while (rc == 0 && !s->hit.found && newest - from >= back / 2 && back <= 4 * RECORD_MOST);
	return rc;
}

/*
 * No record may begin at that place or behind it before the log ends or has a hole: behind a switch
 * of segments, for one. The server would look for one in vain; all that was written up to there is
 * what ends with the record before.
 */
static int
settle(struct pg_world *w, struct pg_target_plan *plan, struct err *e)
{
	struct scan s;

	if (last_replayed(w, plan, &s, e) == -1)
		return -1;
	if (!s.met && s.hit.found) {
		plan->lsn = s.hit.start;
		plan->exclusive = false;
	}
	if (s.hit.found && s.hit.end > plan->until)
		plan->until = s.hit.end;
	return 0;
}

/* The newest end of a base backup that can be had, tried; count of bases: none. */
static size_t
newest_end(struct pg_world *w, const struct pg_target_world *world)
{
	size_t best = w->bases;

	for (size_t i = 0; i < w->bases; i++) {
		const struct pg_target t = { .kind = PG_TARGET_LSN, .lsn = w->base[i].stop };
		struct pg_target_plan plan;

		if ((best == w->bases || w->base[i].stop > w->base[best].stop) &&
		    pg_target_choose(&t, world, &plan, NULL) == 0 && settle(w, &plan, NULL) == 0)
			best = i;
	}
	return best;
}

/* What was listed cannot be read: a refusal like any other. */
static int
add_ways(struct pg_world *w, const struct pg_target_world *world, struct err *e)
{
	const uint64_t unread = w->unread;
	const size_t i = newest_end(w, world);
	char at[LSN_TEXT], to[LSN_TEXT];

	if (i < w->bases)
		err_line(e, "possible", "--at '%s', the end of %s, and what follows; not what needs the "
		    "WAL from %s on", lsn_text(w->base[i].stop, at), w->base[i].id, lsn_text(unread, to));
	return err_line(e, "fix", "`ffdr verify --repair`, where another tier has it");
}

/*
 * Where the newest WAL lies in an archive, nothing is known of its end: no time is behind it yet, and
 * any place before it may be one at which a record is.
 */
static struct pg_target_world
as_known(struct pg_world *w)
{
	const bool cold = w->cold.kind != ERR_NONE;

	return (struct pg_target_world){
		.source = w->source,
		.tiers = buf_str(&w->places),
		.history = &w->history,
		.frontier = w->frontier,
		.frontier_ns = cold ? clock_real_ns() : w->frontier_ns,
		.last = cold ? w->frontier - 1 : w->last,
		.base = w->base,
		.bases = w->bases,
		.gap = w->gap,
		.gaps = w->gaps,
		.look = look_up,
		.look_arg = w,
	};
}

/* Has it been brought back in the meantime? */
static void
warm_up(struct pg_world *w)
{
	struct err why = { 0 };

	if (w->cold_gap) {
		w->cold_gap = false;
		for (size_t i = 0; i < w->gaps; i++)
			pg_world_times(w, &w->gap[i]);
	}
	if (w->cold.kind == ERR_NONE)
		return;
	if (pg_world_last(w, &why) == 0)
		err_clear(&w->cold);
	else
		w->cold = why;
}

int
pg_world_choose(
    struct pg_world *w, const struct pg_target *want, struct pg_target_plan *ret, struct err *e)
{
	struct pg_target_world world;
	int rc;

	warm_up(w);
	world = as_known(w);
	rc = pg_target_choose(want, &world, ret, e);
	if (rc == 0 && w->cold.kind != ERR_NONE && ret->bound == PG_TARGET_LSN &&
	    ret->lsn == world.last) {
		*e = w->cold;
		return -1;
	}
	if (rc == 0 && want->kind == PG_TARGET_LSN)
		rc = settle(w, ret, e);
	if (rc == -1 && e->kind == ERR_CORRUPT && w->unread > 0)
		add_ways(w, &world, e);
	return rc;
}

static int
met_at(void *arg, const struct pg_target *t, struct pg_target_hit *ret, struct err *e)
{
	const uint64_t *until = arg;

	(void)t;
	(void)e;
	*ret = (struct pg_target_hit){ .found = true, .start = *until, .end = *until };
	return 0;
}

int
pg_world_guess(struct pg_world *w, const struct pg_target *want, uint64_t until,
    struct pg_target_plan *ret, struct err *e)
{
	struct pg_target_world world = as_known(w);
	int rc;

	world.look = met_at;
	world.look_arg = &until;
	rc = pg_target_choose(want, &world, ret, e);
	/* It may be met before a hole as well as behind one. */
	for (size_t i = w->gaps; rc == -1 && want->kind == PG_TARGET_TIME && i-- > 0;) {
		if (w->gap[i].from >= until)
			continue;
		until = w->gap[i].from;
		err_clear(e);
		rc = pg_target_choose(want, &world, ret, e);
	}
	return rc;
}

int
pg_world_end(struct pg_world *w, const struct pg_target_plan *plan, uint64_t *ret, struct err *e)
{
	struct scan s;

	/* A time stops before the first later record, which `until` is the end of. */
	*ret = plan->until;
	if (plan->bound != PG_TARGET_LSN)
		return 0;
	if (last_replayed(w, plan, &s, e) == -1)
		return -1;
	if (s.hit.found)
		*ret = s.hit.end;
	return 0;
}
