/*
 * Recovery without a bound takes every hole for the end of the log and promotes a database that has
 * lost rows; with a bound that it cannot reach it fails after hours; with one before the end of the
 * base backup it quietly stops somewhere else. So the bound is decided here, before a byte is
 * restored, from what is known of bases, WAL and commits, or it is refused with what can be had.
 *
 * What would surprise: `latest` is the start of the last record, not its end, at which no record
 * would ever begin. And clocks go back: for a time, a base must have ended before it by the server's
 * clock and also before the first later commit in the log, else the server would stop too early.
 */
#include "source/pg_target.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/lsn.h"
#include "base/units.h"

#define NONE SIZE_MAX
#define RANGES_SHOWN 4
#define SECOND INT64_C(1000000000)
#define WHAT_TEXT 120

/* Where the target is: the plan's bound, and what a base must do to serve it. */
struct goal {
	struct pg_target_plan plan;
	uint64_t base_stop; /* a base may stop at most there */
};

/* The part of a gap that is on the way to the wanted timeline. */
static bool
gap_on_line(const struct pg_target_world *w, const struct pg_target_gap *g, struct lsn_range *ret)
{
	if (!pg_history_span(w->history, g->timeline, &ret->from, &ret->to))
		return false;
	if (ret->from < g->from)
		ret->from = g->from;
	if (ret->to > g->to)
		ret->to = g->to;
	return ret->from < ret->to;
}

/* The first gap that touches [from, to); NULL: there is none. */
static const struct pg_target_gap *
find_gap(const struct pg_target_world *w, uint64_t from, uint64_t to, struct lsn_range *ret)
{
	const struct pg_target_gap *found = NULL;
	struct lsn_range r;

	for (size_t i = 0; i < w->gaps; i++) {
		if (!gap_on_line(w, &w->gap[i], &r) || r.to <= from || r.from >= to)
			continue;
		if (!found || r.from < ret->from) {
			found = &w->gap[i];
			*ret = r;
		}
	}
	return found;
}

static bool
on_line(const struct pg_target_world *w, const struct pg_target_base *b)
{
	return b->stop <= w->frontier && pg_history_covers(w->history, b->timeline, b->stop);
}

/* The earliest base whose WAL lies in the stretch; NULL: nothing can be made of the stretch. */
static const struct pg_target_base *
first_base(const struct pg_target_world *w, uint64_t from, uint64_t to)
{
	const struct pg_target_base *first = NULL;

	for (size_t i = 0; i < w->bases; i++) {
		const struct pg_target_base *b = &w->base[i];

		if (on_line(w, b) && b->start >= from && b->stop <= to &&
		    (!first || b->stop < first->stop))
			first = b;
	}
	return first;
}

size_t
pg_target_ranges(const struct pg_target_world *world, struct pg_target_range *ret, size_t room)
{
	const struct pg_target_gap *gap;
	const struct pg_target_base *b;
	struct lsn_range hole = { 0, 0 };
	uint64_t from = 0, to;
	size_t n = 0;

	do {
		gap = find_gap(world, from, world->frontier, &hole);
		to = gap ? hole.from : world->frontier;
		b = first_base(world, from, to);
		if (b && n < room)
			ret[n] = (struct pg_target_range){ b->stop, to, b->stop_ns,
				gap ? gap->from_ns : world->frontier_ns };
		n += b != NULL;
		from = hole.to;
	} while (gap);
	return n;
}

/* ---- words ------------------------------------------------------------------------------------ */

static const char *
describe(const struct pg_target *t, char *out)
{
	char at[UNITS_TEXT], lsn[LSN_TEXT];

	switch (t->kind) {
	case PG_TARGET_TIME:
		snprintf(out, WHAT_TEXT, "%s", units_time(t->time_ns, at));
		break;
	case PG_TARGET_LSN:
		snprintf(out, WHAT_TEXT, "%s", lsn_text(t->lsn, lsn));
		break;
	case PG_TARGET_XID:
		snprintf(out, WHAT_TEXT, "transaction %" PRIu32, t->xid);
		break;
	case PG_TARGET_NAME:
		snprintf(out, WHAT_TEXT, "restore point '%.63s'", t->name);
		break;
	default:
		snprintf(out, WHAT_TEXT, "the newest state");
		break;
	}
	return out;
}

/* Rounded inwards to whole seconds, so that what is shown can be asked for. */
static void
add_range(struct buf *b, const struct pg_target_range *r, bool by_lsn)
{
	char from[UNITS_TEXT], to[UNITS_TEXT];

	if (by_lsn)
		buf_addf(b, "%s .. %s", lsn_text(r->from, from), lsn_text(r->to, to));
	else
		buf_addf(b, "%s .. %s", units_time(r->from_ns + SECOND - 1, from),
		    r->to_ns ? units_time(r->to_ns, to) : lsn_text(r->to, to));
}

static int
add_possible(const struct pg_target_world *w, const struct pg_target *t, struct err *e)
{
	struct pg_target_range range[RANGES_SHOWN];
	size_t n = pg_target_ranges(w, range, RANGES_SHOWN);
	struct buf text;

	if (n == 0)
		return err_line(e, "possible", "nothing, from any base backup");
	buf_init(&text, 1000);
	for (size_t i = 0; i < n && i < RANGES_SHOWN; i++) {
		buf_adds(&text, i ? ", " : "");
		add_range(&text, &range[i], t->kind == PG_TARGET_LSN);
	}
	if (n > RANGES_SHOWN)
		buf_addf(&text, " and %zu later", n - RANGES_SHOWN);
	err_line(e, "possible", "%s", buf_str(&text));
	buf_done(&text);
	return -1;
}

/* The newest state before the time that can be had, and what choosing it loses. */
static int
add_fix(const struct pg_target_world *w, const struct pg_target *t, struct err *e)
{
	struct pg_target_range range[RANGES_SHOWN];
	size_t n = pg_target_ranges(w, range, RANGES_SHOWN);
	char at[UNITS_TEXT], lost[UNITS_TEXT];

	if (t->kind != PG_TARGET_TIME || n > RANGES_SHOWN)
		return -1;
	while (n > 0 && (range[n - 1].to_ns == 0 || range[n - 1].to_ns >= t->time_ns))
		n--;
	if (n == 0)
		return -1;
	return err_line(e, "fix", "--at '%s' loses %s", units_time(range[n - 1].to_ns, at),
	    units_duration((t->time_ns - range[n - 1].to_ns) / CLOCK_MS, lost));
}

/* ---- deciding --------------------------------------------------------------------------------- */

static int
refuse_beyond(const struct pg_target *t, const struct pg_target_world *w, struct err *e)
{
	char what[WHAT_TEXT], lsn[LSN_TEXT], at[UNITS_TEXT];

	err_set(e, ERR_REFUSED, "restore refused: %s lies beyond all there is of %s",
	    describe(t, what), w->source);
	err_line(e, "checked", "timeline %" PRIu32 " reaches to %s, %s, on %s",
	    w->history->timeline, lsn_text(w->frontier, lsn), units_time(w->frontier_ns, at),
	    w->tiers);
	add_possible(w, t, e);
	return add_fix(w, t, e);
}

static int
refuse_missing(const struct pg_target *t, const struct pg_target_world *w, struct err *e)
{
	char what[WHAT_TEXT], lsn[LSN_TEXT];

	err_set(e, ERR_NOTFOUND, "restore refused: %s is not in the WAL of %s", describe(t, what),
	    w->source);
	err_line(e, "checked", "timeline %" PRIu32 " up to %s on %s", w->history->timeline,
	    lsn_text(w->frontier, lsn), w->tiers);
	return add_possible(w, t, e);
}

/* The last complete record, when it is replayed all below the frontier has been. */
static int
aim_latest(const struct pg_target_world *w, struct goal *g, struct err *e)
{
	char lsn[LSN_TEXT];

	if (w->last == 0)
		return err_set(e, ERR_REFUSED,
		    "restore refused: no complete record is known in the WAL of %s below %s", w->source,
		    lsn_text(w->frontier, lsn));
	g->plan.bound = PG_TARGET_LSN;
	g->plan.lsn = w->last;
	g->plan.exclusive = false;
	g->plan.until = g->base_stop = w->frontier;
	return 0;
}

static int
aim_time(const struct pg_target *t, const struct pg_target_world *w, struct goal *g, struct err *e)
{
	if (t->time_ns > w->frontier_ns)
		return refuse_beyond(t, w, e);
	if (!w->hit.found)
		return aim_latest(w, g, e);
	g->plan.bound = PG_TARGET_TIME;
	g->plan.time_ns = t->time_ns;
	g->plan.until = w->hit.end;
	g->base_stop = w->hit.start;
	return 0;
}

static int
aim_lsn(const struct pg_target *t, const struct pg_target_world *w, struct goal *g, struct err *e)
{
	if (t->lsn > w->frontier)
		return refuse_beyond(t, w, e);
	if (t->lsn > w->last)
		return aim_latest(w, g, e);
	g->plan.bound = PG_TARGET_LSN;
	g->plan.lsn = g->base_stop = t->lsn;
	g->plan.until = t->lsn + 1;
	return 0;
}

static int
aim_hit(const struct pg_target *t, const struct pg_target_world *w, struct goal *g, struct err *e)
{
	if (!w->hit.found)
		return refuse_missing(t, w, e);
	g->plan.bound = PG_TARGET_LSN;
	g->plan.lsn = g->base_stop = w->hit.start;
	g->plan.until = w->hit.end;
	return 0;
}

static int
aim(const struct pg_target *t, const struct pg_target_world *w, struct goal *g, struct err *e)
{
	*g = (struct goal){ .plan = { .exclusive = t->exclusive,
				.timeline = w->history->timeline } };
	switch (t->kind) {
	case PG_TARGET_TIME:
		return aim_time(t, w, g, e);
	case PG_TARGET_LSN:
		return aim_lsn(t, w, g, e);
	case PG_TARGET_NAME:
		g->plan.exclusive = false;
		return aim_hit(t, w, g, e);
	case PG_TARGET_XID:
		return aim_hit(t, w, g, e);
	case PG_TARGET_IMMEDIATE:
		g->plan.bound = PG_TARGET_IMMEDIATE;
		g->plan.exclusive = false;
		g->base_stop = w->frontier;
		return 0;
	default:
		return aim_latest(w, g, e);
	}
}

/* Why a base will not do, the nearest to doing last. */
enum fitness { OFF_LINE, TOO_LATE, ACROSS_GAP, FITS };

static enum fitness
judge(const struct pg_target *t, const struct pg_target_world *w, const struct goal *g,
    const struct pg_target_base *b)
{
	uint64_t until = t->kind == PG_TARGET_IMMEDIATE ? b->stop : g->plan.until;
	struct lsn_range hole;

	if (!on_line(w, b))
		return OFF_LINE;
	if (b->stop > g->base_stop || (t->kind == PG_TARGET_TIME && b->stop_ns > t->time_ns))
		return TOO_LATE;
	return find_gap(w, b->start, until, &hole) ? ACROSS_GAP : FITS;
}

/*
 * The base to take: the newest that fits. If none does, the one that came nearest: of those too
 * late the first. NONE: there is none at all.
 */
static size_t
pick(const struct pg_target *t, const struct pg_target_world *w, const struct goal *g,
    enum fitness *ret)
{
	size_t best = NONE;

	*ret = OFF_LINE;
	for (size_t i = 0; i < w->bases; i++) {
		const struct pg_target_base *b = &w->base[i];
		enum fitness fit;
		bool later;

		if (t->base && strcmp(b->id, t->base) != 0)
			continue;
		fit = judge(t, w, g, b);
		later = best != NONE && b->stop > w->base[best].stop;
		if (best == NONE || fit > *ret || (fit == *ret && later == (fit != TOO_LATE))) {
			best = i;
			*ret = fit;
		}
	}
	return best;
}

static int
refuse_no_base(const struct pg_target *t, const struct pg_target_world *w, struct err *e)
{
	if (t->base)
		return err_set(e, ERR_NOTFOUND, "restore refused: no base backup '%s' of %s is there",
		    t->base, w->source);
	err_set(e, ERR_NOTFOUND, "restore refused: there is no base backup of %s", w->source);
	err_line(e, "checked", "%s", w->tiers);
	return err_line(e, "fix", "`ffdr backup %s` makes one", w->source);
}

static int
refuse_gap(const struct pg_target *t, const struct pg_target_world *w, const struct goal *g,
    const struct pg_target_base *b, struct err *e)
{
	uint64_t until = t->kind == PG_TARGET_IMMEDIATE ? b->stop : g->plan.until;
	char what[WHAT_TEXT], from[LSN_TEXT], to[LSN_TEXT];
	struct lsn_range hole = { 0, 0 };
	const struct pg_target_gap *gap = find_gap(w, b->start, until, &hole);
	bool behind = t->kind == PG_TARGET_TIME ? gap->to_ns && t->time_ns >= gap->to_ns :
						  until > hole.to;

	err_set(e, ERR_REFUSED, "restore refused: %s lies %s a hole of the WAL of %s",
	    describe(t, what), behind ? "behind" : "in", w->source);
	err_line(e, "checked", "timeline %" PRIu32 ": %s .. %s is on none of %s", gap->timeline,
	    lsn_text(hole.from, from), lsn_text(hole.to, to), w->tiers);
	add_possible(w, t, e);
	return add_fix(w, t, e);
}

static int
refuse(const struct pg_target *t, const struct pg_target_world *w, const struct pg_target_base *b,
    enum fitness fit, struct err *e)
{
	char what[WHAT_TEXT], at[UNITS_TEXT], stop[LSN_TEXT];

	if (fit == TOO_LATE)
		err_set(e, ERR_REFUSED, "restore refused: %s lies before the end of %s base backup%s",
		    describe(t, what), t->base ? "that" : "every",
		    t->base ? "" : " that is there");
	else
		err_set(e, ERR_REFUSED,
		    "restore refused: no base backup of %s leads to timeline %" PRIu32, w->source,
		    w->history->timeline);
	err_line(e, "checked", "%s ended at %s, %s, on timeline %" PRIu32, b->id,
	    units_time(b->stop_ns, at), lsn_text(b->stop, stop), b->timeline);
	return add_possible(w, t, e);
}

int
pg_target_choose(const struct pg_target *want, const struct pg_target_world *world,
    struct pg_target_plan *ret, struct err *e)
{
	enum fitness fit;
	struct goal g;
	size_t i;

	if (world->bases == 0)
		return refuse_no_base(want, world, e);
	if (aim(want, world, &g, e) == -1)
		return -1;
	i = pick(want, world, &g, &fit);
	if (i == NONE)
		return refuse_no_base(want, world, e);
	if (fit == ACROSS_GAP)
		return refuse_gap(want, world, &g, &world->base[i], e);
	if (fit != FITS)
		return refuse(want, world, &world->base[i], fit, e);
	if (g.plan.bound == PG_TARGET_IMMEDIATE)
		g.plan.until = g.plan.lsn = world->base[i].stop;
	g.plan.base = i;
	*ret = g.plan;
	return 0;
}

/* ---- settings --------------------------------------------------------------------------------- */

/* The server counts microseconds; rounded so that the same commits lie before it. */
static void
write_time(const struct pg_target_plan *plan, char *out, size_t room)
{
	int64_t us = plan->time_ns / 1000, rest = plan->time_ns % 1000;
	char day[32];
	struct tm tm;
	time_t s;

	us -= rest < 0;
	us += plan->exclusive && rest != 0;
	s = us / 1000000 - (us % 1000000 < 0);
	gmtime_r(&s, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(out, room, "%s.%06d+00", day, (int)(us - (int64_t)s * 1000000));
}

size_t
pg_target_settings(const struct pg_target_plan *plan, const char *action,
    struct pg_target_setting ret[PG_TARGET_SETTINGS])
{
	const size_t room = sizeof(ret[0].value);
	size_t n = 1;

	if (plan->bound == PG_TARGET_IMMEDIATE) {
		ret[0].key = "recovery_target";
		snprintf(ret[0].value, room, "immediate");
	} else {
		ret[0].key = plan->bound == PG_TARGET_TIME ? "recovery_target_time" :
							     "recovery_target_lsn";
		if (plan->bound == PG_TARGET_TIME)
			write_time(plan, ret[0].value, room);
		else
			lsn_text(plan->lsn, ret[0].value);
		ret[n].key = "recovery_target_inclusive";
		snprintf(ret[n++].value, room, "%s", plan->exclusive ? "off" : "on");
	}
	ret[n].key = "recovery_target_timeline";
	snprintf(ret[n++].value, room, "%" PRIu32, plan->timeline);
	ret[n].key = "recovery_target_action";
	snprintf(ret[n++].value, room, "%s", action);
	return n;
}
