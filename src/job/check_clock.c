/*
 * Time is what `keep` counts, so a wrong clock is a wrong promise. Whether it is wrong now is asked
 * as expire asks it. What it did while it was wrong stays on the tiers: a snapshot from the future,
 * and those after it, whose names cannot be earlier.
 */
#include "job/check_clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "job/inventory.h"
#include "repo/hostclock.h"
#include "repo/snapshot.h"
#include "repo/wall.h"

void
check_clock_host(struct check *c, const struct session *s)
{
	char *path = session_clock(s->conf), text[UNITS_TEXT];
	struct err e = { 0 };

	if (hostclock_damaged(path, &e) == 1)
		check_error(c, CHECK_WARN, "clock", &e);
	err_clear(&e);
	if (hostclock_check(path, wall_newest(&s->tiers), &e) == -1)
		check_error(c, CHECK_FAIL, "clock", &e);
	else
		check_add(c, CHECK_OK, "clock", NULL, "this host says %s, and neither what it "
			  "remembers nor what is stored speaks against it",
		    units_time(clock_real_ns(), text));
	free(path);
}

/* Those of one source that lie in the future; the list is in order of sources, then times. */
static void
tell_future(struct check *c, const struct tier *t, const struct snapshot *last, size_t count,
    int64_t now_ns)
{
	char what[100], ahead[UNITS_TEXT];

	if (count == 0)
		return;
	snprintf(what, sizeof(what), "tier %s", t->name);
	units_duration((last->part.time_ns - now_ns) / CLOCK_MS, ahead);
	check_add(c, CHECK_WARN, what,
	    "see that the clocks of all hosts that back it up are right (NTP)",
	    "%s has %zu snapshot%s in the future, up to %s: a clock was wrong, and names go on from "
	    "the newest; expire goes by when they were stored", last->part.source, count,
	    count == 1 ? "" : "s", ahead);
}

static void
tell_strange(struct check *c, const struct tier *t, const struct snapshot_list *list)
{
	char what[100];

	if (list->strange == 0)
		return;
	snprintf(what, sizeof(what), "tier %s", t->name);
	check_add(c, CHECK_WARN, what, INVENTORY_STRANGE_FIX, "'%s' is no name of a snapshot",
	    list->first_strange);
}

static void
check_tier(struct check *c, const struct tier *t)
{
	struct snapshot_list list = { 0 };
	struct err e = { 0 };
	size_t count = 0;
	int64_t now;

	/* A tier that fails here was told of when it was tried. */
	if (store_clock(t->store, &now, &e) == -1 || snapshot_list_known(t->store, NULL, &list, &e) == -1)
		return;
	for (size_t i = 0; i < list.count; i++) {
		const struct snapshot *s = &list.item[i];

		if (i > 0 && strcmp(s->part.source, s[-1].part.source) != 0) {
			tell_future(c, t, s - 1, count, now);
			count = 0;
		}
		count += s->part.time_ns > now + LAYOUT_SKEW_NS;
	}
	if (list.count > 0)
		tell_future(c, t, &list.item[list.count - 1], count, now);
	tell_strange(c, t, &list);
	snapshot_list_done(&list);
}

void
check_clock_snapshots(struct check *c, const struct session *s)
{
	for (size_t i = 0; i < s->tiers.count; i++)
		if (s->tiers.tier[i].store != NULL)
			check_tier(c, &s->tiers.tier[i]);
}
