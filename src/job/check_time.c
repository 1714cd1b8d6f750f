/*
 * An rto is arithmetic, too: what is to be restored, by the rate at which that tier gave it back when
 * somebody tried. Where nobody did it is unknown and said with the command that measures it; a guess
 * would be believed.
 */
#include "job/check_time.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "job/cold.h"
#include "job/inventory.h"
#include "job/status.h"

#define TIERS_MOST 64 /* of one source */

/* What a tier's line is made of. */
struct times {
	unsigned kept;
	int64_t longest_ms;	    /* of those */
	const char *slowest, *never; /* sources, borrowed */
};

/* `wait_ms`: how much of it an archive takes, which no rate makes shorter. */
static void
exceeds(struct check *c, const char *what, const struct status_line *l, int64_t wait_ms)
{
	char took[UNITS_TEXT], rto[UNITS_TEXT], rate[UNITS_TEXT], key[UNITS_TEXT], fix[200];
	char wait[UNITS_TEXT], thaw[UNITS_TEXT + 60] = "";
	const int64_t minutes = (l->predicted_ms + 59999) / 60000;

	/* What can be written is no shorter than what was found. */
	units_duration_key(minutes * 60000, key);
	units_size(l->pace.restore_ms > 0 ?
	    l->pace.bytes * 1000 / (uint64_t)l->pace.restore_ms : l->pace.bytes, rate);
	snprintf(fix, sizeof(fix), "rto = %s, or what gives it back faster: it gave %s a second", key,
	    rate);
	if (wait_ms > 0)
		snprintf(thaw, sizeof(thaw), ", up to %s of it until the archive gives it back",
		    units_duration(wait_ms, wait));
	check_add(c, CHECK_FAIL, what, fix, "a restore of %s from there takes %s%s, but rto promises %s",
	    l->source, units_duration(l->predicted_ms, took), thaw, units_duration(l->rto_ms, rto));
}

static void
time_source(struct check *c, const char *what, struct session *s, const struct conf_source *source,
    const struct conf_tier *t, struct inventory *inv, const struct watch *w, struct times *ret)
{
	struct status_line l = { .tier = t->name, .rto_ms = t->rto, .open = true };
	const int64_t wait_ms = cold_wait_ms(t->class, cold_speed(t->thaw));
	struct err e = { 0 };

	snprintf(l.source, sizeof(l.source), "%s", source->name);
	if (status_restore(s, &l, inv, w, &e) == -1) {
		check_error(c, CHECK_WARN, what, &e);
		return;
	}
	/* An archive that takes longer by itself has its line already, under "plan". */
	if (l.rto == STATUS_MISSED && wait_ms < t->rto) {
		exceeds(c, what, &l, wait_ms);
	} else if (l.rto == STATUS_UNKNOWN && !l.proved_known) {
		check_add(c, CHECK_UNKNOWN, what, NULL, "how long a restore of %s takes from there is not "
			  "known: what lies there, or what was proved of it, could not be read",
		    source->name);
	} else if (l.rto == STATUS_UNKNOWN) {
		ret->never = source->name;
	} else if (l.rto == STATUS_KEPT) {
		ret->kept++;
		if (l.predicted_ms >= ret->longest_ms) {
			ret->longest_ms = l.predicted_ms;
			ret->slowest = source->name;
		}
	}
}

static void
time_tier(struct check *c, struct session *s, const struct conf_tier *t,
    struct inventory *inv, const struct watch *w)
{
	const struct conf_tier *tier[TIERS_MOST];
	char what[100], longest[UNITS_TEXT], rto[UNITS_TEXT];
	struct times times = { 0 };

	snprintf(what, sizeof(what), "time %s", t->name);
	for (size_t i = 0; i < s->conf->sources; i++) {
		const struct conf_source *source = &s->conf->source[i];
		size_t n = conf_source_tiers(s->conf, source->tiers, tier, TIERS_MOST);

		for (size_t k = 0; k < n && k < TIERS_MOST; k++)
			if (tier[k] == t)
				time_source(c, what, s, source, t, inv, w, &times);
	}
	units_duration(t->rto, rto);
	if (times.kept > 0)
		check_add(c, CHECK_OK, what, NULL, "a restore takes up to %s (%s) of an rto of %s",
		    units_duration(times.longest_ms, longest), times.slowest, rto);
	if (times.never)
		check_add(c, CHECK_UNKNOWN, what, NULL, "how long a restore of %s takes from there was "
			  "not measured, for an rto of %s: `ffdr verify --restore %s --tier %s` does",
		    times.never, rto, times.never, t->name);
}

/* Of one that is away, or is not listed, nothing is known, which has a line of its own. */
static bool
is_listed(const struct session *s, const struct inventory *inv, const struct conf_tier *t)
{
	const struct tier *tier = tier_find(&s->tiers, t->name);

	return tier && !(inv->mute >> (tier - s->tiers.tier) & 1);
}

void
check_time_tiers(struct check *c, struct session *s, struct inventory *inv, const struct watch *w)
{
	if (!s->repo)
		return; /* that it does not open has its own line */
	for (size_t i = 0; i < s->conf->tiers; i++)
		if (s->conf->tier[i].rto > 0 && is_listed(s, inv, &s->conf->tier[i]))
			time_tier(c, s, &s->conf->tier[i], inv, w);
}
