/*
 * Removing is the only thing that trusts a clock, so it asks several. Where a tier is a directory
 * of this host its clock is ours and agrees with itself whatever it says: then the other tiers are
 * the judges. They are asked without insisting; one that does not answer says nothing about the
 * time. Where all of them are such there is only what this host remembers, which is asked each
 * time: a run may last for hours.
 */
#include "repo/wall.h"

#include "base/clock.h"
#include "base/units.h"
#include "repo/hostclock.h"

static int
compare(const struct tier *t, int64_t theirs, struct err *e)
{
	int64_t ours = clock_real_ns();
	int64_t apart = theirs > ours ? theirs - ours : ours - theirs;
	char a[UNITS_TEXT], b[UNITS_TEXT];

	if (apart <= LAYOUT_SKEW_NS)
		return 0;
	err_set(e, ERR_REFUSED, "clocks differ by %s, so no age can be trusted and nothing is removed",
	    units_duration(apart / CLOCK_MS, a));
	err_line(e, "checked", "this host %s, tier '%s' %s", units_time(ours, a), t->name,
	    units_time(theirs, b));
	return err_line(e, "fix", "set the wrong clock right (NTP); %s apart are tolerated",
	    units_duration(LAYOUT_SKEW_NS / CLOCK_MS, a));
}

static int
newest_seen(void *arg, const struct store_entry *entry, struct err *e)
{
	int64_t *newest = arg;

	(void)e;
	if (entry->time_ns > *newest)
		*newest = entry->time_ns;
	return 0;
}

int64_t
wall_newest(const struct tier_set *tiers)
{
	int64_t newest = 0;

	for (size_t i = 0; i < tiers->count; i++)
		if (tiers->tier[i].store != NULL && tiers->tier[i].why.kind == ERR_NONE)
			store_list(tiers->tier[i].store, "snap/", NULL, newest_seen, &newest, NULL);
	return newest;
}

int
wall_begin(const struct repo *r, const struct wall_options *o, struct err *e)
{
	int64_t newest;

	if (r->clock_path == NULL)
		return 0;
	newest = wall_newest(r->tiers);
	if (!o->trusted && hostclock_check(r->clock_path, newest, e) == -1)
		return -1;
	/* What a person says counts from now on, whatever this run does. */
	return o->look_only && !o->trusted ? 0 : hostclock_remember(r->clock_path, newest, e);
}

int
wall_witness(const struct repo *r, struct err *e)
{
	struct err why = { 0 };
	int64_t newest = 0;
	bool first;

	if (r->clock_path == NULL)
		return 0;
	first = !hostclock_remembered(r->clock_path);
	if (first)
		newest = wall_newest(r->tiers);
	if (hostclock_check(r->clock_path, newest, &why) == -1) {
		if (first)
			(void)!hostclock_doubt(r->clock_path, newest, NULL);
		*e = why;
		return -1;
	}
	(void)!hostclock_remember(r->clock_path, newest, NULL);
	return 0;
}

int
wall_now(const struct repo *r, struct tier *t, int64_t *ret_ns, struct err *e)
{
	int64_t now, other;

	if (r->clock_path != NULL && hostclock_check(r->clock_path, 0, e) == -1)
		return -1;
	for (size_t i = 0; i < r->tiers->count; i++) {
		struct tier *o = &r->tiers->tier[i];

		if (o == t || !o->store || o->why.kind != ERR_NONE)
			continue;
		if (store_clock(o->store, &other, &o->why) == 0 && compare(o, other, e) == -1)
			return -1;
	}
	if (store_clock(t->store, &now, e) == -1)
		return err_in(e, "tier '%s'", t->name);
	if (compare(t, now, e) == -1)
		return -1;
	*ret_ns = now;
	return 0;
}
