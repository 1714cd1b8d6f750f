/*
 * The headline is that of a site, because that is what burns: of all sources there the one that
 * loses most, each by the best tier that stands elsewhere. A tier beside the database is listed and
 * does not count for it.
 *
 * A tier that receives no WAL, and any tier of a volume, is as old as the newest complete snapshot
 * on it, counted from when that was begun. Of a database one that a restore would take; and when one
 * was read from a standby, nobody knows how far behind that was.
 */
#include "job/exposure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "job/pg/pg_facts.h"
#include "job/wal/wal_look.h"
#include "job/wal/wal_source.h"
#include "repo/snapshot.h"
#include "repo/wal_lineage.h"

#define FRESH_TIMES 2

struct telling {
	struct session *s;
	const struct watch *w;
	struct exposure_report *report;
};

static struct exposure_line *
add_line(struct telling *t, const char *source, const struct conf_tier *tier, bool wal)
{
	struct exposure_report *r = t->report;
	struct exposure_line *l;

	r->line = mem_grow(r->line, &r->room, r->count + 1, sizeof(*r->line));
	l = &r->line[r->count++];
	*l = (struct exposure_line){
		.tier = tier->name, .site = tier->site, .wal = wal, .rpo_ns = tier->rpo * CLOCK_MS
	};
	snprintf(l->source, sizeof(l->source), "%s", source);
	return l;
}

/* ---- by WAL ---- */

static struct exposure_sample
sample(const struct wal_sample *s)
{
	return (struct exposure_sample){ s->time_ns, s->flush_lsn, s->commits };
}

/*
 * Two samples are comparable when one receiver counted. The counts of two hosts are not; times of
 * another tier's clock only say how much of it nobody has seen, the whole is by the tier's own.
 */
static void
judge_tier(const struct wal_look *look, const struct wal_look_tier *t, int64_t fresh_ns,
	   struct exposure_line *l)
{
	struct exposure_facts f = {
		/* At the latest, so that no age is too short. */
		.now_ns = t->now_ns + t->blur_ns,
		.fresh_ns = fresh_ns + t->blur_ns,
		.here = t->reach > 0,
		.reach = t->reach,
		.sampled = t->sampled,
		.durable = sample(&t->durable),
		.primary = look->server.reached ? EXPOSURE_REACHED : EXPOSURE_UNREACHABLE,
		.primary_lsn = look->server.flush,
	};
	struct wal_beat newest;

	/* What the server wrote behind a fork is not what lies there under the same LSN. */
	if (look->server.reached && wal_look_common(look, t) < f.reach) {
		f.reach = wal_look_common(look, t);
		f.sampled = t->sampled && t->durable.flush_lsn <= f.reach;
	}
	if (wal_look_set_back(look, t)) {
		err_set(&l->why, ERR_STALE, "the server has less than is there: it was set back, or is a "
			"copy");
		return;
	}
	/* Another system, or a standby, is not the primary: nobody has seen that. */
	if (look->server.reached &&
	    (look->server.sysid != look->place.sysid || look->server.standby))
		f.primary = EXPOSURE_UNREACHABLE;
	f.seen = wal_look_newest(look, &newest);
	if (f.seen)
		f.newest = sample(&newest.sample);
	if (t->sampled && (!f.seen || f.newest.time_ns < f.durable.time_ns)) {
		f.newest = f.durable;
		f.seen = true;
	}
	exposure_judge(&f, &l->is);
	if (!f.here)
		err_set(&l->why, ERR_NOTFOUND,
			t->based ? "the WAL of its newest base backup is not whole there"
				 : "there is no base backup that its WAL goes on from");
	else if (!l->is.known)
		err_set(&l->why, ERR_NOTFOUND,
			"no sample tells when the server had written what is there");
}

static int
tell_wal(struct telling *t, const struct conf_source *source, struct err *e)
{
	struct wal_look look;
	int rc = wal_look_load(t->s, source, t->w, &look, e);

	for (size_t i = 0; rc == 0 && i < look.tiers; i++) {
		const struct wal_look_tier *at = &look.tier[i];
		struct exposure_line *l =
		    add_line(t, source->name, conf_find_tier(t->s->conf, at->tier->name), true);

		if (at->based && at->reach > at->newest.facts.start)
			l->replay = at->reach - at->newest.facts.start;
		if (at->why.kind != ERR_NONE)
			l->why = at->why;
		else
			judge_tier(&look, at, FRESH_TIMES * source->postgres->ship_every * CLOCK_MS,
				   l);
	}
	wal_look_done(&look);
	return rc;
}

/* ---- by snapshots ---- */

/* Which snapshots of a database say how old it would be. */
struct counting {
	struct wal_source w;
	struct wal_lineage lineage;
	bool placed; /* it is known which history is the database's */
};

static void
counting_begin(struct counting *c, struct session *s, const struct conf_source *source)
{
	*c = (struct counting){ 0 };
	if (source->postgres && wal_source_open(s, source, &c->w, NULL) == 0 && *c->w.active.etag)
		c->placed = wal_lineage_load(s->repo, c->w.tier, c->w.tiers, &c->w.place, &c->lineage,
		    NULL) == 0;
}

static void
counting_end(struct counting *c)
{
	wal_lineage_done(&c->lineage);
	wal_source_done(&c->w);
}

/* Of the history that is the database's now, and not from a standby, which may have been behind. */
static bool
counts(const struct counting *c, const struct manifest *m)
{
	struct pg_facts f;

	if (m->partial)
		return false;
	if (pg_facts_read(m, &f, NULL) != 1)
		return true; /* no database */
	return !f.standby && (!c->placed || (f.sysid == c->w.place.sysid &&
	    wal_lineage_has(&c->lineage, f.epoch, f.stop_tli, f.stop)));
}

/* When the newest one there that counts was begun: 1, 0 there is none, -1. */
static int
newest_begun(struct telling *t, struct tier *tier, const struct conf_source *source, int64_t *ret,
    struct err *e)
{
	struct snapshot_list list = { 0 };
	struct counting c;
	int found = 0, rc = snapshot_list_known(tier->store, source->name, &list, e);

	if (rc == -1)
		tier_untold(tier, e);
	counting_begin(&c, t->s, source);
	for (size_t i = list.count; rc == 0 && found == 0 && i > 0; i--) {
		struct manifest m;

		manifest_init(&m);
		if (manifest_get(tier->store, list.item[i - 1].name, t->s->repo->keys, &m, e) ==
			0 &&
		    counts(&c, &m)) {
			*ret = m.started_ns;
			found = 1;
		} else if (tier_leaves_open(e->kind)) {
			rc = -1; /* it may be the one */
		}
		manifest_done(&m);
	}
	counting_end(&c);
	snapshot_list_done(&list);
	return rc == -1 ? -1 : found;
}

/* Of a snapshot from the future no age is known. */
static void
judge_begun(int64_t begun_ns, int64_t now_ns, struct exposure_line *l)
{
	char ahead[UNITS_TEXT];

	err_clear(&l->why);
	exposure_judge_snapshot(begun_ns, now_ns, &l->is);
	if (!l->is.known)
		err_set(&l->why, ERR_STALE, "by the clock of the tier the newest snapshot was begun "
		    "%s from now: that clock is wrong, or that of who made it was (`ffdr check`)",
		    units_duration((begun_ns - now_ns) / CLOCK_MS, ahead));
}

static void
tell_snapshot(struct telling *t, const struct conf_source *source, const struct conf_tier *ct)
{
	struct tier *tier = tier_find(&t->s->tiers, ct->name);
	struct exposure_line *l = add_line(t, source->name, ct, false);
	int64_t begun, now, blur;
	int got;

	if (!tier || !tier->store || !tier_answers(tier)) {
		err_set(&l->why, ERR_REMOTE, "%s",
			tier && tier->why.kind != ERR_NONE ? tier->why.text : "it does not answer");
		return;
	}
	got = newest_begun(t, tier, source, &begun, &l->why);
	if (got == 1 && store_clock_within(tier->store, &now, &blur, &l->why) == -1)
		got = -1;
	if (got == 1) {
		judge_begun(begun, now + blur, l);
	} else if (got == 0) {
		err_set(&l->why, ERR_NOTFOUND, source->postgres ?
			"there is no complete snapshot of what is the database now, from a primary" :
			"there is no complete snapshot");
	} else if (l->why.kind == ERR_REMOTE) {
		tier_untold(tier, &l->why);
	}
}

static int
tell_source(struct telling *t, const struct conf_source *source, struct err *e)
{
	const struct conf_tier *tier[WAL_SOURCE_TIERS];
	size_t n = conf_source_tiers(t->s->conf, source->tiers, tier, WAL_SOURCE_TIERS);
	const bool wal = source->postgres && source->postgres->wal;

	if (wal && tell_wal(t, source, e) == -1)
		return -1;
	for (size_t i = 0; i < n && i < WAL_SOURCE_TIERS; i++)
		if (!wal || !conf_wal_goes_to(t->s->conf, source->postgres, tier[i]))
			tell_snapshot(t, source, tier[i]);
	return 0;
}

/* ---- sites ---- */

static struct exposure_site *
site_of(struct exposure_report *r, const char *site)
{
	for (size_t i = 0; i < r->sites; i++)
		if (strcmp(r->site[i].site, site) == 0)
			return &r->site[i];
	r->site = xreallocarray(r->site, r->sites + 1, sizeof(*r->site));
	r->site[r->sites] = (struct exposure_site){ .site = site, .is = { .known = true } };
	return &r->site[r->sites++];
}

static void
add_to_site(struct exposure_report *r, const struct conf_source *source)
{
	struct exposure_site *site = site_of(r, source->site);
	const struct exposure_line *best = NULL;
	struct exposure is = { 0 };

	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->line[i].source, source->name) == 0 &&
		    strcmp(r->line[i].site, source->site) != 0 &&
		    (!best || exposure_judge_less(&r->line[i].is, &best->is)))
			best = &r->line[i];
	if (best)
		is = best->is;
	if (*site->source && !exposure_judge_less(&site->is, &is))
		return;
	site->is = is;
	site->tier = best ? best->tier : NULL;
	snprintf(site->source, sizeof(site->source), "%s", source->name);
}

int
exposure_run(struct session *s, const struct conf_source *source, const struct watch *w,
	     struct exposure_report *ret, struct err *e)
{
	struct telling t = { .s = s, .w = w, .report = ret };

	*ret = (struct exposure_report){ 0 };
	for (size_t i = 0; i < s->conf->sources; i++) {
		if (source && source != &s->conf->source[i])
			continue;
		if (tell_source(&t, &s->conf->source[i], e) == -1)
			return err_in(e, "%s", s->conf->source[i].name);
		add_to_site(ret, &s->conf->source[i]);
	}
	return 0;
}

void
exposure_done(struct exposure_report *r)
{
	free(r->line);
	free(r->site);
	*r = (struct exposure_report){ 0 };
}
