/*
 * Who is refused stands before a database that is gone, and types what the message names. So every
 * end of a range and every fix is put to the same question as what was refused, and is named only
 * if the answer is yes.
 *
 * What would surprise: the last moment before a hole is not that of the last commit there. A recovery
 * ends at a time only when the log shows a later commit; so it is a moment before that commit, to
 * the second where that will do. Where no moment can be had (no commit lies behind the base) there
 * are LSNs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "source/pg/pg_target_parts.h"

#define RANGES_SHOWN 4
#define POSSIBLE_TEXT 1000
#define WHAT_TEXT 120

/* A range as it is shown, and can be asked for. */
struct offer {
	const struct pg_target_range *range;
	int64_t from_ns, to_ns; /* to_ns 0: by LSN */
};

/* ---- words ---- */

static const char *
describe(const struct pg_target *t, char *out)
{
	char at[UNITS_TEXT], lsn[LSN_TEXT];

	switch (t->kind) {
	case PG_TARGET_TIME:
		snprintf(out, WHAT_TEXT, "%s", units_time_exact(t->time_ns, at));
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
	case PG_TARGET_IMMEDIATE:
		snprintf(out, WHAT_TEXT, "the end of the base backup");
		break;
	default:
		snprintf(out, WHAT_TEXT, "the newest state");
		break;
	}
	return out;
}

/* As --at takes it. */
static const char *
ask_for(const struct pg_target *t, char *out)
{
	switch (t->kind) {
	case PG_TARGET_XID:
		snprintf(out, WHAT_TEXT, "xid:%" PRIu32, t->xid);
		break;
	case PG_TARGET_NAME:
		snprintf(out, WHAT_TEXT, "name:%.63s", t->name);
		break;
	case PG_TARGET_LATEST:
	case PG_TARGET_IMMEDIATE:
		snprintf(out, WHAT_TEXT, "latest");
		break;
	default:
		describe(t, out);
		break;
	}
	return out;
}

static const char *
end_of(const struct offer *o, bool last, char *out)
{
	if (o->to_ns)
		return units_time_exact(last ? o->to_ns : o->from_ns, out);
	return lsn_text(last ? o->range->to : o->range->from, out);
}

/* ---- what can be had ---- */

static bool
fits(const struct pg_target *t, const struct pg_target_world *w, struct pg_target_plan *ret)
{
	struct pg_target_answer a;
	struct err why = { .kind = ERR_NONE };

	if (pg_target_try(t, w, &a, &why) == -1 || a.verdict != PG_TARGET_FITS)
		return false;
	*ret = a.plan;
	return true;
}

/* One end, from the WAL of that very range. */
static bool
end_fits(const struct pg_target *want, const struct pg_target_world *w, const struct pg_target *end,
    const struct pg_target_range *r)
{
	struct pg_target t = *end;
	struct pg_target_plan p;

	t.base = want->base;
	t.exclusive = want->exclusive &&
	    (want->kind == PG_TARGET_TIME || want->kind == PG_TARGET_LSN);
	return fits(&t, w, &p) && p.until >= r->from && p.until <= r->to;
}

static bool
time_fits(const struct pg_target *want, const struct pg_target_world *w, struct offer *o,
    int64_t unit)
{
	const struct pg_target_range *r = o->range;
	struct pg_target from = { .kind = PG_TARGET_TIME }, to = from;

	from.time_ns = (r->from_ns + unit - 1) / unit * unit;
	to.time_ns = r->to_ns / unit * unit;
	if (r->to_ns == 0 || from.time_ns > to.time_ns || !end_fits(want, w, &from, r) ||
	    !end_fits(want, w, &to, r))
		return false;
	o->from_ns = from.time_ns;
	o->to_ns = to.time_ns;
	return true;
}

/* To the second, inwards; where there is none, to the microsecond; else by LSN. */
static bool
offer(const struct pg_target *want, const struct pg_target_world *w,
    const struct pg_target_range *r, struct offer *ret)
{
	const struct pg_target from = { .kind = PG_TARGET_LSN, .lsn = r->from };
	const struct pg_target to = { .kind = PG_TARGET_LSN, .lsn = r->to };

	*ret = (struct offer){ .range = r };
	if (want->kind != PG_TARGET_LSN &&
	    (time_fits(want, w, ret, CLOCK_S) || time_fits(want, w, ret, PG_TARGET_TICK)))
		return true;
	return end_fits(want, w, &from, r) && end_fits(want, w, &to, r);
}

/* All there are, the oldest first; the caller frees. */
static struct pg_target_range *
all_ranges(const struct pg_target *want, const struct pg_target_world *w, size_t *count)
{
	struct pg_target_range *range;

	*count = pg_target_ranges(w, want->base, NULL, 0);
	range = xcalloc(*count + 1, sizeof(*range));
	pg_target_ranges(w, want->base, range, *count);
	return range;
}

static void
add_possible(const struct pg_target *want, const struct pg_target_world *w,
    const struct pg_target_range *range, size_t count, struct err *e)
{
	char from[UNITS_TEXT], to[UNITS_TEXT];
	struct offer o;
	struct buf text;
	size_t i = 0, shown = 0;

	buf_init(&text, POSSIBLE_TEXT);
	for (; i < count && shown < RANGES_SHOWN; i++) {
		if (!offer(want, w, &range[i], &o))
			continue;
		buf_addf(&text, "%s%s .. %s", shown++ > 0 ? ", " : "", end_of(&o, false, from),
		    end_of(&o, true, to));
	}
	if (i < count)
		buf_addf(&text, " and %zu later", count - i);
	err_line(e, "possible", "%s", shown > 0 ? buf_str(&text) :
	    want->base ? "nothing, from that base backup" : "nothing, from any base backup");
	buf_done(&text);
}

/* ---- the way out ---- */

/* Another base backup than the one that was named, and nothing is lost: all else as it was asked for. */
static bool
add_other_base(const struct pg_target *want, const struct pg_target_world *w, struct err *e)
{
	struct pg_target t = *want;
	struct pg_target_plan p;
	char at[WHAT_TEXT], line[32] = "";

	t.base = NULL;
	if (t.kind == PG_TARGET_IMMEDIATE)
		t.kind = PG_TARGET_LATEST;
	if (!want->base || !fits(&t, w, &p))
		return false;
	if (t.timeline)
		snprintf(line, sizeof(line), " --timeline %" PRIu32, t.timeline);
	err_line(e, "fix", "`restore %s --at '%s'%s%s` takes %s", w->source, ask_for(&t, at),
	    t.exclusive ? " --before" : "", line, w->base[p.base].id);
	return true;
}

static bool
lies_before(const struct pg_target *want, const struct pg_target_answer *a, const struct offer *o)
{
	if (want->kind == PG_TARGET_TIME && (o->to_ns ? o->to_ns : o->range->from_ns) > want->time_ns)
		return false;
	return a->verdict != PG_TARGET_ACROSS_GAP || o->range->to <= a->plan.until;
}

/* The newest state before it that can be had, and what choosing it loses. */
static bool
add_newest_before(const struct pg_target *want, const struct pg_target_world *w,
    const struct pg_target_answer *a, const struct pg_target_range *range, size_t count, struct err *e)
{
	char at[UNITS_TEXT], lost[UNITS_TEXT];
	struct offer o;

	for (size_t i = count; i > 0; i--) {
		if (!offer(want, w, &range[i - 1], &o) || !lies_before(want, a, &o))
			continue;
		if (want->kind == PG_TARGET_TIME && o.to_ns)
			err_line(e, "fix", "--at '%s' loses %s", end_of(&o, true, at),
			    units_duration((want->time_ns - o.to_ns) / CLOCK_MS, lost));
		else if (a->verdict == PG_TARGET_MISSING)
			err_line(e, "fix", "--at '%s' is the newest there is", end_of(&o, true, at));
		else
			err_line(e, "fix", "--at '%s' loses what came after it", end_of(&o, true, at));
		return true;
	}
	return false;
}

static void
add_oldest(const struct pg_target *want, const struct pg_target_world *w,
    const struct pg_target_range *range, size_t count, struct err *e)
{
	char at[UNITS_TEXT];
	struct offer o;

	for (size_t i = 0; i < count; i++)
		if (offer(want, w, &range[i], &o)) {
			err_line(e, "fix", "--at '%s' is the oldest there is%s", end_of(&o, false, at),
			    want->base ? ", from that base backup" : "");
			return;
		}
}

static int
add_ways(const struct pg_target *want, const struct pg_target_world *w,
    const struct pg_target_answer *a, struct err *e)
{
	size_t count;
	struct pg_target_range *range = all_ranges(want, w, &count);

	add_possible(want, w, range, count, e);
	if (!add_other_base(want, w, e) &&
	    (a->verdict == PG_TARGET_TOO_LATE ||
		!add_newest_before(want, w, a, range, count, e)))
		add_oldest(want, w, range, count, e);
	free(range);
	return -1;
}

/* ---- refusals ---- */

static int
refuse_no_base(const struct pg_target *t, const struct pg_target_world *w, struct err *e)
{
	if (t->base && w->bases > 0)
		return err_set(e, ERR_NOTFOUND, "restore refused: no base backup '%s' of %s is there",
		    t->base, w->source);
	err_set(e, ERR_NOTFOUND, "restore refused: there is no base backup of %s", w->source);
	err_line(e, "checked", "%s", w->tiers);
	return err_line(e, "fix", "`ffdr backup %s` makes one", w->source);
}

static void
say_beyond(const struct pg_target *t, const struct pg_target_world *w, struct err *e)
{
	char what[WHAT_TEXT], lsn[LSN_TEXT], at[UNITS_TEXT];

	err_set(e, ERR_REFUSED, "restore refused: %s lies beyond all there is of %s",
	    describe(t, what), w->source);
	err_line(e, "checked", "timeline %" PRIu32 " reaches to %s, %s, on %s",
	    w->history->timeline, lsn_text(w->frontier, lsn), units_time(w->frontier_ns, at),
	    w->tiers);
}

static void
say_missing(const struct pg_target *t, const struct pg_target_world *w, struct err *e)
{
	char what[WHAT_TEXT], lsn[LSN_TEXT];

	err_set(e, ERR_REFUSED, "restore refused: %s is not in the WAL of %s", describe(t, what),
	    w->source);
	err_line(e, "checked", "timeline %" PRIu32 " up to %s on %s", w->history->timeline,
	    lsn_text(w->frontier, lsn), w->tiers);
}

static void
say_gap(const struct pg_target *t, const struct pg_target_world *w,
    const struct pg_target_plan *p, struct err *e)
{
	char what[WHAT_TEXT], from[LSN_TEXT], to[LSN_TEXT];
	struct lsn_range hole = { 0, 0 };
	const struct pg_target_gap *gap =
	    pg_target_gap_in(w, w->base[p->base].start, p->until, &hole);
	bool behind = t->kind == PG_TARGET_TIME ? gap->to_ns && t->time_ns >= gap->to_ns :
						  p->until > hole.to;

	err_set(e, ERR_REFUSED, "restore refused: %s lies %s a hole of the WAL of %s",
	    describe(t, what), behind ? "behind" : "in", w->source);
	err_line(e, "checked", "timeline %" PRIu32 ": %s .. %s is on none of %s", gap->timeline,
	    lsn_text(hole.from, from), lsn_text(hole.to, to), w->tiers);
}

static void
say_base(const struct pg_target *t, const struct pg_target_world *w, bool too_late,
    const struct pg_target_base *b, struct err *e)
{
	char what[WHAT_TEXT], at[UNITS_TEXT], stop[LSN_TEXT];

	if (too_late)
		err_set(e, ERR_REFUSED, "restore refused: %s lies before the end of %s base backup%s",
		    describe(t, what), t->base ? "that" : "every",
		    t->base ? "" : " that is there");
	else
		err_set(e, ERR_REFUSED,
		    "restore refused: no base backup of %s leads to timeline %" PRIu32, w->source,
		    w->history->timeline);
	err_line(e, "checked", "%s ended at %s, %s, on timeline %" PRIu32, b->id,
	    units_time(b->stop_ns, at), lsn_text(b->stop, stop), b->timeline);
}

int
pg_target_refuse(const struct pg_target *want, const struct pg_target_world *world,
    const struct pg_target_answer *a, struct err *e)
{
	char lsn[LSN_TEXT];

	switch (a->verdict) {
	case PG_TARGET_NO_BASE:
		return refuse_no_base(want, world, e);
	case PG_TARGET_NO_RECORD:
		return err_set(e, ERR_REFUSED,
		    "restore refused: no complete record is known in the WAL of %s below %s", world->source,
		    lsn_text(world->frontier, lsn));
	case PG_TARGET_BEYOND:
		say_beyond(want, world, e);
		break;
	case PG_TARGET_MISSING:
		say_missing(want, world, e);
		break;
	case PG_TARGET_ACROSS_GAP:
		say_gap(want, world, &a->plan, e);
		break;
	default:
		say_base(want, world, a->verdict == PG_TARGET_TOO_LATE,
		    &world->base[a->plan.base], e);
		break;
	}
	return add_ways(want, world, a, e);
}
