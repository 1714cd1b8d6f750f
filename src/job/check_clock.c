/*
 * Time is what `keep` counts, so a wrong clock is a wrong promise. Whether it is wrong now is asked
 * as expire asks it. What it did while it was wrong stays on the tiers: a snapshot from the future,
 * and those after it, whose names cannot be earlier. But a name is no snapshot: what does not open was
 * damaged, or put there by somebody, and the clock has nothing to do with it.
 */
#include "job/check_clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "job/check_tier.h"
#include "job/inventory.h"
#include "repo/hostclock.h"
#include "repo/manifest.h"
#include "repo/snapshot.h"
#include "repo/wall.h"

#define FUTURE_OPENED 16 /* of a source on a tier: after a long time with a wrong clock they are many */

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

/* Those of one source that lie in the future and are sound, or were not opened. */
struct future {
	const struct snapshot *last;
	size_t count;
};

static void
tell_future(struct check *c, const struct session *s, const struct tier *t, const struct future *f,
    int64_t now_ns)
{
	char what[100], ahead[UNITS_TEXT];

	if (f->count == 0)
		return;
	snprintf(what, sizeof(what), "tier %s", t->name);
	units_duration((f->last->part.time_ns - now_ns) / CLOCK_MS, ahead);
	check_add(c, CHECK_WARN, what,
	    "see that the clocks of all hosts that back it up are right (NTP)",
	    "%s has %zu snapshot%s in the future, up to %s: a clock was wrong%s, and names go on from "
	    "the newest; expire goes by when they were stored", f->last->part.source, f->count,
	    f->count == 1 ? "" : "s", ahead, s->repo ? "" :
	    ", or they are none (without the keys they were not opened)");
}

/*
 * Does it open? Anybody who can write there makes a name, and then no clock was wrong. What could not be
 * asked was told of where that was tried.
 */
static bool
opens(struct check *c, const struct session *s, const struct tier *t, const struct snapshot *snap)
{
	struct err e = { 0 };
	struct manifest m;
	char what[100];
	int rc;

	if (!s->repo)
		return true;
	rc = manifest_get(t->store, snap->name, s->repo->keys, &m, &e);
	manifest_done(&m);
	if (rc == 0 || e.kind == ERR_REMOTE || e.kind == ERR_NOTFOUND)
		return true;
	snprintf(what, sizeof(what), "tier %s", t->name);
	err_in(&e, "'%s' cannot be read", snap->name);
	snapshot_unreadable(snap->part.id, &e);
	check_error(c, CHECK_FAIL, what, &e);
	return false;
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

static bool
is_ours(const struct session *s, const char *source)
{
	const struct conf_source *found;

	return conf_find_source(s->conf, source, &found, NULL) == 0;
}

/* list->item[from] to [to - 1] are of one source, in order of times. */
static void
check_one(struct check *c, const struct session *s, const struct tier *t,
    const struct snapshot_list *list, size_t from, size_t to, int64_t now_ns)
{
	struct future f = { 0 };
	size_t opened = 0;

	for (size_t i = to; i > from; i--) {
		const struct snapshot *snap = &list->item[i - 1];
		const bool ahead = snap->part.time_ns > now_ns + LAYOUT_SKEW_NS;
		const bool look = ahead ? opened < FUTURE_OPENED : i == to && is_ours(s, snap->part.source);

		if (!ahead && i < to)
			break;
		opened += look;
		if ((look && !opens(c, s, t, snap)) || !ahead)
			continue;
		f.count++;
		if (f.last == NULL)
			f.last = snap;
	}
	tell_future(c, s, t, &f, now_ns);
}

static void
check_tier(struct check *c, const struct session *s, struct tier *t)
{
	struct snapshot_list list = { 0 };
	struct err e = { 0 };
	int64_t now;

	/* What was put and read there when it was tried lies elsewhere, and has other rights. */
	if (store_clock(t->store, &now, &e) == -1 || snapshot_list_known(t->store, NULL, &list, &e) == -1) {
		err_in(&e, "its snapshots cannot be listed");
		check_tier_untold(c, t, &e);
		return;
	}
	for (size_t i = 0, from = 0; i < list.count; i++) {
		if (i + 1 < list.count &&
		    strcmp(list.item[i].part.source, list.item[i + 1].part.source) == 0)
			continue;
		check_one(c, s, t, &list, from, i + 1, now);
		from = i + 1;
	}
	tell_strange(c, t, &list);
	snapshot_list_done(&list);
}

void
check_clock_snapshots(struct check *c, const struct session *s)
{
	for (size_t i = 0; i < s->tiers.count; i++)
		if (tier_tells(&s->tiers.tier[i]))
			check_tier(c, s, &s->tiers.tier[i]);
}
