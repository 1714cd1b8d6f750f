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
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "source/pg/pg_target_parts.h"

#define NONE SIZE_MAX

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

const struct pg_target_gap *
pg_target_gap_in(
    const struct pg_target_world *w, uint64_t from, uint64_t to, struct lsn_range *ret)
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
first_base(const struct pg_target_world *w, const char *only, uint64_t from, uint64_t to)
{
	const struct pg_target_base *first = NULL;

	for (size_t i = 0; i < w->bases; i++) {
		const struct pg_target_base *b = &w->base[i];

		if (only && strcmp(b->id, only) != 0)
			continue;
		if (on_line(w, b) && b->start >= from && b->stop <= to &&
		    (!first || b->stop < first->stop))
			first = b;
	}
	return first;
}

/* A moment before the newest commit that is known before the gap: the log itself has passed it. */
static int64_t
last_moment(const struct pg_target_world *w, const struct pg_target_gap *gap)
{
	if (!gap)
		return w->frontier_ns;
	return gap->from_ns ? gap->from_ns - PG_TARGET_TICK : 0;
}

size_t
pg_target_ranges(const struct pg_target_world *world, const char *only,
    struct pg_target_range *ret, size_t room)
{
	const struct pg_target_gap *gap;
	const struct pg_target_base *b;
	struct lsn_range hole = { 0, 0 };
	uint64_t from = 0, to;
	size_t n = 0;

	do {
		gap = pg_target_gap_in(world, from, world->frontier, &hole);
		to = gap ? hole.from : world->frontier;
		b = first_base(world, only, from, to);
		if (b && n < room)
			ret[n] = (struct pg_target_range){ b->stop, to, b->stop_ns,
				last_moment(world, gap) };
		n += b != NULL;
		from = hole.to;
	} while (gap);
	return n;
}

/* ---- deciding --------------------------------------------------------------------------------- */

/* The last complete record, when it is replayed all below the frontier has been. */
static enum pg_target_verdict
aim_latest(const struct pg_target_world *w, struct goal *g)
{
	if (w->last == 0)
		return PG_TARGET_NO_RECORD;
	g->plan.bound = PG_TARGET_LSN;
	g->plan.lsn = w->last;
	g->plan.exclusive = false;
	g->plan.until = g->base_stop = w->frontier;
	return PG_TARGET_FITS;
}

static enum pg_target_verdict
aim_time(const struct pg_target *t, const struct pg_target_world *w,
    const struct pg_target_hit *hit, struct goal *g)
{
	if (!hit->found)
		return aim_latest(w, g);
	g->plan.bound = PG_TARGET_TIME;
	g->plan.time_ns = t->time_ns;
	g->plan.until = hit->end;
	g->base_stop = hit->start;
	return PG_TARGET_FITS;
}

/* Where WAL ends that is there, before a hole: nothing that begins there is wanted. */
static bool
begins_gap(const struct pg_target_world *w, uint64_t lsn)
{
	struct lsn_range hole;

	return pg_target_gap_in(w, lsn, lsn + 1, &hole) && hole.from == lsn;
}

static enum pg_target_verdict
aim_lsn(const struct pg_target *t, const struct pg_target_world *w, struct goal *g)
{
	if (t->lsn > w->frontier)
		return PG_TARGET_BEYOND;
	if (t->lsn > w->last)
		return aim_latest(w, g);
	g->plan.bound = PG_TARGET_LSN;
	g->plan.lsn = g->base_stop = t->lsn;
	g->plan.until = t->lsn + !begins_gap(w, t->lsn);
	return PG_TARGET_FITS;
}

static enum pg_target_verdict
aim_hit(const struct pg_target_hit *hit, struct goal *g)
{
	if (!hit->found)
		return PG_TARGET_MISSING;
	g->plan.bound = PG_TARGET_LSN;
	g->plan.lsn = g->base_stop = hit->start;
	g->plan.until = hit->end;
	return PG_TARGET_FITS;
}

static enum pg_target_verdict
aim(const struct pg_target *t, const struct pg_target_world *w, const struct pg_target_hit *hit,
    struct goal *g)
{
	*g = (struct goal){ .plan = { .exclusive = t->exclusive,
				.timeline = w->history->timeline } };
	switch (t->kind) {
	case PG_TARGET_TIME:
		return !hit->found && t->time_ns > w->frontier_ns ? PG_TARGET_BEYOND :
								    aim_time(t, w, hit, g);
	case PG_TARGET_LSN:
		return aim_lsn(t, w, g);
	case PG_TARGET_NAME:
		g->plan.exclusive = false;
		return aim_hit(hit, g);
	case PG_TARGET_XID:
		return aim_hit(hit, g);
	case PG_TARGET_IMMEDIATE:
		g->plan.bound = PG_TARGET_IMMEDIATE;
		g->plan.exclusive = false;
		g->base_stop = w->frontier;
		return PG_TARGET_FITS;
	default:
		return aim_latest(w, g);
	}
}

static uint64_t
needed_until(const struct pg_target *t, const struct goal *g, const struct pg_target_base *b)
{
	return t->kind == PG_TARGET_IMMEDIATE ? b->stop : g->plan.until;
}

static enum pg_target_verdict
judge(const struct pg_target *t, const struct pg_target_world *w, const struct goal *g,
    const struct pg_target_base *b)
{
	struct lsn_range hole;

	if (!on_line(w, b))
		return PG_TARGET_OFF_LINE;
	if (b->stop > g->base_stop || (t->kind == PG_TARGET_TIME && b->stop_ns > t->time_ns))
		return PG_TARGET_TOO_LATE;
	return pg_target_gap_in(w, b->start, needed_until(t, g, b), &hole) ? PG_TARGET_ACROSS_GAP :
									     PG_TARGET_FITS;
}

/*
 * The base to take: the newest that fits. If none does, the one that came nearest: of those too
 * late the first. NONE: there is none at all.
 */
static size_t
pick(const struct pg_target *t, const struct pg_target_world *w, const struct goal *g,
    enum pg_target_verdict *ret)
{
	size_t best = NONE;

	*ret = PG_TARGET_NO_BASE;
	for (size_t i = 0; i < w->bases; i++) {
		const struct pg_target_base *b = &w->base[i];
		enum pg_target_verdict fit;
		bool later;

		if (t->base && strcmp(b->id, t->base) != 0)
			continue;
		fit = judge(t, w, g, b);
		later = best != NONE && b->stop > w->base[best].stop;
		if (best == NONE || fit > *ret ||
		    (fit == *ret && later == (fit != PG_TARGET_TOO_LATE))) {
			best = i;
			*ret = fit;
		}
	}
	return best;
}

/* What only the log can tell. */
static int
ask_log(const struct pg_target *t, const struct pg_target_world *w, struct pg_target_hit *ret,
    struct err *e)
{
	*ret = (struct pg_target_hit){ .found = false };
	if (t->kind == PG_TARGET_TIME || t->kind == PG_TARGET_XID || t->kind == PG_TARGET_NAME)
		return w->look(w->look_arg, t, ret, e);
	return 0;
}

int
pg_target_try(const struct pg_target *want, const struct pg_target_world *world,
    struct pg_target_answer *ret, struct err *e)
{
	struct pg_target_hit hit;
	struct goal g;

	*ret = (struct pg_target_answer){ .verdict = PG_TARGET_NO_BASE };
	if (world->bases == 0)
		return 0;
	if (ask_log(want, world, &hit, e) == -1)
		return -1;
	ret->verdict = aim(want, world, &hit, &g);
	if (ret->verdict != PG_TARGET_FITS)
		return 0;
	ret->plan = g.plan;
	ret->plan.base = pick(want, world, &g, &ret->verdict);
	if (ret->plan.base == NONE)
		return 0;
	ret->plan.until = needed_until(want, &g, &world->base[ret->plan.base]);
	if (g.plan.bound == PG_TARGET_IMMEDIATE)
		ret->plan.lsn = ret->plan.until;
	return 0;
}

int
pg_target_choose(const struct pg_target *want, const struct pg_target_world *world,
    struct pg_target_plan *ret, struct err *e)
{
	struct pg_target_answer a;

	if (pg_target_try(want, world, &a, e) == -1)
		return -1;
	if (a.verdict != PG_TARGET_FITS)
		return pg_target_refuse(want, world, &a, e);
	*ret = a.plan;
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
