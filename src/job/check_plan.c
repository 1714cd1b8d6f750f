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
#include "job/cold.h"
#include "job/session.h"
#include "job/tiers.h"

#define TIERS_MOST 64 /* of one source */
/* No base backup is made more often: it reads all that the server has. */
#define BASE_MS (INT64_C(3600) * 1000)

/* How a tier is used by the sources; each NULL where none does. */
struct use {
	const char *writes; /* a source whose backups go there first */
	const char *copies; /* a source that is copied there */
	/* The same of those whose WAL does not come: only the schedule keeps their rpo. */
	const char *writes_alone, *copies_alone;
	const char *copied_base; /* copies_alone is this database, and no volume is */
	const struct conf_source *wal; /* one whose WAL comes, the slowest */
	const char *bare; /* a database that comes there, and its WAL does not */
};

/* A volume before any database: naming the tier in `wal` does nothing for it. */
static void
copied_alone(struct use *u, const struct conf_source *s)
{
	if (s->postgres && u->copies_alone)
		return;
	u->copies_alone = s->name;
	u->copied_base = s->postgres ? s->bare : NULL;
}

static struct use
use_of(const struct conf *conf, const struct conf_tier *t)
{
	const struct conf_tier *tier[TIERS_MOST];
	struct use ret = { 0 };

	for (size_t i = 0; i < conf->sources; i++) {
		const struct conf_source *s = &conf->source[i];
		size_t n = conf_source_tiers(conf, s->tiers, tier, TIERS_MOST);
		bool wal = s->postgres && conf_wal_goes_to(conf, s->postgres, t);

		if (wal && (!ret.wal || s->postgres->ship_every > ret.wal->postgres->ship_every))
			ret.wal = s;
		for (size_t k = 0; k < n && k < TIERS_MOST; k++) {
			if (tier[k] != t)
				continue;
			*(k == 0 ? &ret.writes : &ret.copies) = s->name;
			/* By snapshots alone a database keeps no rpo of minutes. */
			if (!wal && s->postgres && t->rpo > 0 && t->rpo < BASE_MS)
				ret.bare = s->bare;
			else if (!wal && k == 0)
				ret.writes_alone = s->name;
			else if (!wal)
				copied_alone(&ret, s);
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
		if (tiers_period(words[i]) <= rpo)
			return words[i];
	}
	return "all";
}

/*
 * A tier that is fed by copy. Where the WAL of another comes, its rpo was promised for that, and what
 * has none is worth a word and no refusal.
 */
static void
plan_copied(struct check *c, const char *what, const struct conf_tier *t, const struct use *use)
{
	char rpo[UNITS_TEXT], age[UNITS_TEXT], wal[120] = "", fix[200];
	int64_t takes = tiers_period(t->takes);

	units_duration(t->rpo, rpo);
	if (takes > t->rpo) {
		/* A cold one gets it by copies, which keep no promise of hours. */
		if (use->copied_base && cold_wait_ms(t->class, STORE_STANDARD) == 0)
			snprintf(wal, sizeof(wal), "name it in wal of [postgres %s], or ",
			    use->copied_base);
		snprintf(fix, sizeof(fix), "%stakes = %s, or rpo = %s", wal, sound_takes(t->rpo),
		    units_duration_key(takes, age));
		check_add(c, use->wal ? CHECK_WARN : CHECK_FAIL, what, fix,
		    "takes %s snapshots, so those of %s are up to %s old, but rpo promises %s",
		    t->takes, use->copies_alone, units_duration(takes, age), rpo);
	} else if (takes > 0) {
		check_add(c, CHECK_OK, what, NULL, "takes %s snapshots for an rpo of %s: at worst %s "
			  "and the time that one backup and copy take", t->takes, rpo,
		    units_duration(takes, age));
	} else {
		check_add(c, CHECK_UNKNOWN, what, NULL, "takes every snapshot: whether rpo = %s holds "
			  "is decided by the schedule of backup and copy", rpo);
	}
}

/* A tier that WAL comes to: it is as old as what waits to be shipped. */
static void
plan_wal(struct check *c, const char *what, const struct conf_tier *t, const struct conf_source *s)
{
	char rpo[UNITS_TEXT], every[UNITS_TEXT], fix[100];
	const struct conf_postgres *p = s->postgres;

	units_duration(t->rpo, rpo);
	units_duration_key(p->ship_every, every);
	if (cold_wait_ms(t->class, STORE_STANDARD) > 0) {
		check_add(c, CHECK_UNKNOWN, what, NULL, "the WAL of %s goes to class %s in bundles, by "
			  "copies: whether rpo = %s holds is decided by their schedule", s->name,
		    t->class, rpo);
	} else if (strcmp(p->wal_from, "push") == 0) {
		check_add(c, CHECK_UNKNOWN, what, NULL, "the server pushes the WAL of %s: whether rpo = %s "
			  "holds is decided by its archive_timeout", s->name, rpo);
	} else if (p->ship_every > t->rpo) {
		snprintf(fix, sizeof(fix), "ship-every = %s, or less", units_duration_key(t->rpo, rpo));
		check_add(c, CHECK_FAIL, what, fix, "the WAL of %s is shipped every %s, but rpo promises "
			  "%s", s->name, every, units_duration(t->rpo, rpo));
	} else {
		check_add(c, CHECK_OK, what, NULL, "the WAL of %s is shipped every %s for an rpo of %s",
		    s->name, every, rpo);
	}
}

/* A database whose snapshots come there without its WAL, against an rpo of minutes. */
static void
plan_bare(struct check *c, const char *what, const struct conf_tier *t, const char *bare)
{
	const int64_t takes = tiers_period(t->takes);
	char rpo[UNITS_TEXT], least[UNITS_TEXT], fix[200];

	snprintf(fix, sizeof(fix), "name it in wal of [postgres %s], or rpo = %s or more", bare,
	    units_duration_key(takes > BASE_MS ? takes : BASE_MS, least));
	check_add(c, CHECK_FAIL, what, fix, "no WAL of pg.%s comes there, only snapshots, but rpo "
		  "promises %s", bare, units_duration(t->rpo, rpo));
}

/* How it would have to be ordered to be there in time; NULL: that class is too slow for it. */
static const char *
fast_enough(const struct conf_tier *t)
{
	static const enum store_speed faster[] = { STORE_STANDARD, STORE_EXPEDITED };

	for (size_t i = 0; i < ARRAY_LEN(faster); i++)
		if (cold_wait_ms(t->class, faster[i]) < t->rto)
			return cold_speed_word(faster[i]);
	return NULL;
}

/* What lies in an archive is ordered back first. */
static void
plan_cold(struct check *c, const char *what, const struct conf_tier *t, const struct use *use)
{
	const int64_t wait = cold_wait_ms(t->class, cold_speed(t->thaw));
	const char *other = cold_class_within(t->rto, cold_speed(t->thaw)), *speed = fast_enough(t);
	char text[UNITS_TEXT], rto[UNITS_TEXT], fix[200], thaw[60] = "";

	if (wait > 0 && use->writes)
		check_add(c, CHECK_WARN, what, "name another tier first in tiers; copy brings it here",
		    "backups of %s come here first, and one that cannot read the snapshot before it, which "
		    "class %s keeps in an archive, fails", use->writes, t->class);
	if (cold_speed_had(t->class, cold_speed(t->thaw)) != cold_speed(t->thaw))
		check_add(c, CHECK_WARN, what, "thaw = standard, or class = GLACIER",
		    "thaw = %s is not to be had of class %s: standard is ordered", t->thaw, t->class);
	if (wait == 0 || t->rto == 0)
		return;
	units_duration(t->rto, rto);
	if (wait < t->rto) {
		check_add(c, CHECK_OK, what, NULL, "what is of class %s can be read after up to %s of an "
			  "rto of %s", t->class, units_duration(wait, text), rto);
		return;
	}
	if (speed)
		snprintf(thaw, sizeof(thaw), "thaw = %s (`--dry-run` prices it), or ", speed);
	snprintf(fix, sizeof(fix), "%sclass = %s, or rto = more than %s", thaw,
	    other ? other : "one that is read at once, such as STANDARD_IA",
	    units_duration_key(wait, text));
	check_add(c, CHECK_FAIL, what, fix, "what is of class %s can be read after up to %s only, but "
		  "rto promises %s", t->class, units_duration(wait, text), rto);
}

static void
plan_tier(struct check *c, const struct conf *conf, const struct conf_tier *t)
{
	struct use use = use_of(conf, t);
	char what[100], keep[UNITS_TEXT], horizon[UNITS_TEXT], rpo[UNITS_TEXT];

	snprintf(what, sizeof(what), "plan %s", t->name);
	if (!use.writes && !use.copies && !use.wal) {
		if (conf->sources > 0)
			check_add(c, CHECK_WARN, what, "name it in the tiers of a source, or remove it",
			    "no source uses this tier");
		return;
	}
	if (t->rpo > 0 && use.writes_alone)
		check_add(c, CHECK_UNKNOWN, what, NULL, "backups of %s go here: whether rpo = %s "
			  "holds is decided by their schedule", use.writes_alone,
		    units_duration(t->rpo, rpo));
	if (t->rpo > 0 && use.copies_alone)
		plan_copied(c, what, t, &use);
	if (use.bare)
		plan_bare(c, what, t, use.bare);
	plan_cold(c, what, t, &use);
	if (t->rpo > 0 && use.wal)
		plan_wal(c, what, t, use.wal);
	units_duration(t->keep, keep);
	units_duration(conf->horizon, horizon);
	if (use.copies && t->keep < tiers_period(t->takes))
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

static size_t
count_off_host(const struct conf_tier **tier, size_t n)
{
	size_t away = 0;

	for (size_t i = 0; i < n && i < TIERS_MOST; i++)
		away += off_host(tier[i]);
	return away;
}

/* WAL is of use only where a snapshot is that it goes on from. */
static void
plan_wal_tier(struct check *c, const struct conf *conf, const struct conf_source *s,
    const struct conf_tier *t)
{
	const struct conf_tier *tier[TIERS_MOST];
	size_t n = conf_source_tiers(conf, s->tiers, tier, TIERS_MOST);

	for (size_t i = 0; i < n && i < TIERS_MOST; i++)
		if (tier[i] == t)
			return;
	check_add(c, CHECK_WARN, s->name, "name it in tiers too, or take it out of wal",
	    "its WAL goes to '%s', its snapshots do not: nothing can be restored from there alone",
	    t->name);
}

/* Those that get WAL as it comes, to the front: a cold one gets it by copies. */
static size_t
warm_first(const struct conf_tier **tier, size_t n)
{
	size_t warm = 0;

	for (size_t i = 0; i < n && i < TIERS_MOST; i++)
		if (cold_wait_ms(tier[i]->class, STORE_STANDARD) == 0) {
			const struct conf_tier *t = tier[i];

			tier[i] = tier[warm];
			tier[warm++] = t;
		}
	return warm;
}

/* Where it goes as it is written. */
static void
plan_shipping(struct check *c, const struct conf_source *s, const struct conf_tier **tier, size_t n)
{
	const size_t warm = warm_first(tier, n), away = count_off_host(tier, warm);
	char fix[100];

	if (warm == 0) {
		snprintf(fix, sizeof(fix), "name one in wal of [postgres %s] that is read at once",
		    s->bare);
		check_add(c, CHECK_FAIL, s->name, fix, "every tier of its WAL is of an archive class, and "
			  "gets it by copies alone: from where?");
	} else if (strcmp(s->postgres->wal_from, "push") == 0 && s->postgres->push_ack > (int64_t)warm) {
		snprintf(fix, sizeof(fix), "push-ack = %zu or less", warm);
		check_add(c, CHECK_FAIL, s->name, fix, "push-ack = %lld, and only %zu of the tiers of "
			  "its WAL get it as it comes: no push would ever be done",
		    (long long)s->postgres->push_ack, warm);
	} else if (away == 0) {
		check_add(c, CHECK_WARN, s->name, "add a tier elsewhere to wal; a mounted one says "
			  "shared = yes", "no tier of its WAL is off this host: what was written since "
			  "the last copy can be lost with it");
	} else {
		check_add(c, CHECK_OK, s->name, NULL, "its WAL goes to %zu tier%s, %zu of them off this "
			  "host", warm, warm == 1 ? "" : "s", away);
	}
}

static void
plan_source_wal(struct check *c, const struct conf *conf, const struct conf_source *s)
{
	const struct conf_tier *tier[TIERS_MOST];
	size_t n = conf_wal_tiers(conf, s->postgres, tier, TIERS_MOST);

	for (size_t i = 0; i < n && i < TIERS_MOST; i++)
		plan_wal_tier(c, conf, s, tier[i]);
	if (n == 0)
		check_add(c, CHECK_WARN, s->name, "wal = the tiers that shall receive it",
		    "its WAL goes nowhere: what was written since the last snapshot can be lost");
	else
		plan_shipping(c, s, tier, n);
}

static void
plan_source(struct check *c, const struct conf *conf, const struct conf_source *s)
{
	const struct conf_tier *tier[TIERS_MOST];
	size_t n = conf_source_tiers(conf, s->tiers, tier, TIERS_MOST);
	size_t away = count_off_host(tier, n);

	if (away > 0)
		check_add(c, CHECK_OK, s->name, NULL, "goes to %zu tier%s, %zu of them off this host", n,
		    n == 1 ? "" : "s", away);
	else
		check_add(c, CHECK_WARN, s->name, "add a tier elsewhere; a mounted one says shared = yes",
		    "no tier of it is off this host: a lost host is lost data");
	if (s->postgres)
		plan_source_wal(c, conf, s);
}

void
check_plan_sources(struct check *c, const struct conf *conf)
{
	if (conf->sources == 0)
		check_add(c, CHECK_WARN, "plan", "add a section [volume NAME] or [postgres NAME]",
		    "there is no source: nothing is protected");
	for (size_t i = 0; i < conf->sources; i++)
		plan_source(c, conf, &conf->source[i]);
}
