/*
 * The arithmetic of promises, over the configuration alone. A tier gets a snapshot once in each
 * period of `takes`, so a period above its rpo breaks the promise by design, whatever the schedule
 * does. How often backup and copy run is the schedule's; that is said as unknown and not guessed.
 */
#include "job/check_plan.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "job/session.h"

#define TIERS_MOST 64 /* of one source */

/* How a tier is used by the sources. */
struct use {
	const char *writes; /* a source whose backups go there first, NULL: none */
	const char *copies; /* a source that is copied there, NULL: none */
};

static struct use
use_of(const struct conf *conf, const struct conf_tier *t)
{
	const struct conf_tier *tier[TIERS_MOST];
	struct use ret = { 0 };

	for (size_t i = 0; i < conf->volumes; i++) {
		const struct conf_volume *v = &conf->volume[i];
		size_t n = conf_source_tiers(conf, v->tiers, tier, TIERS_MOST);

		for (size_t k = 0; k < n && k < TIERS_MOST; k++) {
			if (tier[k] != t)
				continue;
			if (k == 0)
				ret.writes = v->name;
			else
				ret.copies = v->name;
		}
	}
	return ret;
}

/* The longest word for `takes` that keeps an rpo. */
static const char *
sound_takes(int64_t rpo)
{
	static const char *const words[] = { "weekly", "daily", "hourly" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (session_period(words[i]) <= rpo)
			return words[i];
	}
	return "all";
}

/* A tier that is fed by copy. */
static void
plan_copied(struct check *c, const char *what, const struct conf_tier *t)
{
	char rpo[UNITS_TEXT], age[UNITS_TEXT], fix[200];
	int64_t takes = session_period(t->takes);

	units_duration(t->rpo, rpo);
	if (takes > t->rpo) {
		snprintf(fix, sizeof(fix), "takes = %s, or rpo = %s", sound_takes(t->rpo),
		    units_duration_key(takes, age));
		check_add(c, CHECK_FAIL, what, fix,
		    "takes %s snapshots, so they are up to %s old, but rpo promises %s", t->takes,
		    units_duration(takes, age), rpo);
	} else if (takes > 0) {
		check_add(c, CHECK_OK, what, NULL, "takes %s snapshots for an rpo of %s: at worst %s "
			  "and the time that one backup and copy take", t->takes, rpo,
		    units_duration(takes, age));
	} else {
		check_add(c, CHECK_UNKNOWN, what, NULL, "takes every snapshot: whether rpo = %s holds "
			  "is decided by the schedule of backup and copy", rpo);
	}
}

static void
plan_tier(struct check *c, const struct conf *conf, const struct conf_tier *t)
{
	struct use use = use_of(conf, t);
	char what[100], keep[UNITS_TEXT], horizon[UNITS_TEXT], rpo[UNITS_TEXT];

	snprintf(what, sizeof(what), "plan %s", t->name);
	if (!use.writes && !use.copies) {
		if (conf->volumes > 0)
			check_add(c, CHECK_WARN, what, "name it in the tiers of a source, or remove it",
			    "no source uses this tier");
		return;
	}
	if (t->rpo > 0 && use.writes)
		check_add(c, CHECK_UNKNOWN, what, NULL, "backups of vol.%s go here: whether rpo = %s "
			  "holds is decided by their schedule", use.writes,
		    units_duration(t->rpo, rpo));
	if (t->rpo > 0 && use.copies)
		plan_copied(c, what, t);
	units_duration(t->keep, keep);
	units_duration(conf->horizon, horizon);
	if (use.copies && t->keep < session_period(t->takes))
		check_add(c, CHECK_WARN, what, "keep = at least one period of takes, better several",
		    "keeps %s but takes %s snapshots: only the newest will be there", keep, t->takes);
	else
		check_add(c, CHECK_OK, what, NULL, "keeps snapshots %s; space is held up to %s longer "
			  "(horizon)", keep, horizon);
}

void
check_plan_tiers(struct check *c, const struct conf *conf)
{
	for (size_t i = 0; i < conf->tiers; i++)
		plan_tier(c, conf, &conf->tier[i]);
}

/* file: belongs to this host unless it is said to be mounted from another. */
static bool
off_host(const struct conf_tier *t)
{
	return t->shared || strncmp(t->url, "file:", strlen("file:")) != 0;
}

static void
plan_source(struct check *c, const struct conf *conf, const struct conf_volume *v)
{
	const struct conf_tier *tier[TIERS_MOST];
	size_t n = conf_source_tiers(conf, v->tiers, tier, TIERS_MOST), away = 0;
	char what[100];

	snprintf(what, sizeof(what), "vol.%s", v->name);
	for (size_t i = 0; i < n && i < TIERS_MOST; i++)
		away += off_host(tier[i]);
	if (away > 0)
		check_add(c, CHECK_OK, what, NULL, "goes to %zu tier%s, %zu of them off this host", n,
		    n == 1 ? "" : "s", away);
	else
		check_add(c, CHECK_WARN, what, "add a tier elsewhere; a mounted one says shared = yes",
		    "no tier of it is off this host: a lost host is lost data");
}

void
check_plan_sources(struct check *c, const struct conf *conf)
{
	if (conf->volumes == 0)
		check_add(c, CHECK_WARN, "plan", "add a [volume NAME] section with a path",
		    "there is no source: nothing is protected");
	for (size_t i = 0; i < conf->volumes; i++)
		plan_source(c, conf, &conf->volume[i]);
}
