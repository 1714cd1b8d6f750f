/*
 * What a tier lacks is read off what lies there, snapshot by snapshot, and not off the newest one:
 * one that came by another way, or past one whose copy failed, says nothing of those before it.
 *
 * What would surprise: nothing is remembered of what a tier had. So a window, counted as expiry
 * counts it, must keep what was let go of from coming back; and a snapshot whose name lies in the
 * future counts for the period in which it was stored, or for none.
 */
#include "job/copy_plan.h"

#include "repo/layout.h"

#define DAY_NS (24 * LAYOUT_HOUR_NS)
/* 1 January 1970 was a Thursday; a week of a tier begins on Monday. */
#define MONDAY_NS (4 * DAY_NS)
#define UNKNOWN INT64_MAX

/* The number of the period that it lies in; what nobody knows the time of is of now. */
static int64_t
period_of(const struct copy_plan_item *it, const struct copy_plan_rules *rules)
{
	int64_t t = it->time_ns == UNKNOWN ? rules->now_ns : it->time_ns;

	return (t - MONDAY_NS) / rules->takes_ns;
}

/* Has the tier one of that period, or will it get a newer one? */
static bool
served(const struct copy_plan_item *item, size_t n, size_t i, const struct copy_plan_rules *rules)
{
	const int64_t period = period_of(&item[i], rules);

	for (size_t j = 0; j < n; j++) {
		if (j == i || period_of(&item[j], rules) != period)
			continue;
		if (item[j].there ? item[j].time_ns != UNKNOWN : j > i && !item[j].out)
			return true;
	}
	return false;
}

/* From where on the tier keeps: back from the newest one whose time is known, or from now. */
static int64_t
window(const struct copy_plan_item *item, size_t n, const struct copy_plan_rules *rules)
{
	int64_t end_ns = INT64_MIN;

	if (rules->keep_ns < 0)
		return INT64_MIN;
	for (size_t i = 0; i < n; i++)
		if (item[i].time_ns != UNKNOWN && !item[i].out && item[i].time_ns > end_ns)
			end_ns = item[i].time_ns;
	if (end_ns == INT64_MIN || end_ns > rules->now_ns)
		end_ns = rules->now_ns;
	return end_ns - rules->keep_ns;
}

void
copy_plan(struct copy_plan_item *item, size_t n, const struct copy_plan_rules *rules)
{
	const int64_t from_ns = window(item, n, rules);

	for (size_t i = 0; i < n; i++)
		item[i].wanted = !item[i].there && !item[i].out && item[i].time_ns >= from_ns &&
		    (rules->takes_ns == 0 || !served(item, n, i, rules));
}
