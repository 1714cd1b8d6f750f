/*
 * One screen for the question whether the promises are kept. Nothing is judged anew here: what
 * would be lost is what `exposure` says, what is owed is what `copy` would bring, and how long a
 * restore takes is what the last one took; so no two commands have two opinions.
 *
 * What would surprise: an rto that nobody ever measured is unknown and needs no attention, while an
 * exposure that is not known does, because a backup that may not be there is none.
 */
#include "job/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "job/cold.h"
#include "job/copy.h"
#include "job/owed.h"
#include "job/rehearse.h"
#include "job/wal/wal_owed.h"
#include "job/wal/wal_status.h"

struct looking {
	struct session *s;
	const struct watch *w;
	struct status *ret;
	struct err *untold; /* what each tier of the session kept back first; kind ERR_NONE: nothing */
};

/* ---- the promises ---- */

enum status_verdict
status_judge_rpo(const struct exposure *is, int64_t rpo_ns)
{
	if (rpo_ns <= 0)
		return STATUS_NONE;
	if (!is->known)
		return STATUS_UNKNOWN;
	return exposure_judge_within(is, rpo_ns) ? STATUS_KEPT : STATUS_MISSED;
}

enum status_verdict
status_judge_rto(int64_t predicted_ms, int64_t rto_ms)
{
	if (rto_ms <= 0)
		return STATUS_NONE;
	if (predicted_ms < 0)
		return STATUS_UNKNOWN;
	return predicted_ms <= rto_ms ? STATUS_KEPT : STATUS_MISSED;
}

/* ---- what would be lost ---- */

/*
 * Did it tell all it was asked? Whatever one that did not tells later, what it kept back is not known. The
 * reason is said once, of the tier.
 */
static bool
told_all(struct looking *k, const struct tier *t)
{
	struct err *untold = &k->untold[t - k->s->tiers.tier];

	if (untold->kind == ERR_NONE && !tier_tells(t)) {
		*untold = t->why;
		if (untold->kind == ERR_NONE)
			err_set(untold, ERR_REMOTE, "it is not open");
	}
	return untold->kind == ERR_NONE;
}

static bool
answers(struct looking *k, const struct tier *t)
{
	if (told_all(k, t))
		return true;
	return t->store ? k->untold[t - k->s->tiers.tier].kind != ERR_REMOTE : tier_answers(t);
}

/* What they have told by now, of the lines from there on. */
static void
see_open(struct looking *k, size_t from)
{
	for (size_t i = from; i < k->ret->count; i++) {
		struct status_line *l = &k->ret->line[i];
		const struct tier *t = tier_find(&k->s->tiers, l->tier);

		l->answers = t && answers(k, t);
		l->open = t && told_all(k, t);
	}
}

static void
take_exposure(struct looking *k, const struct exposure_report *r)
{
	const struct conf *c = k->s->conf;

	for (size_t i = 0; i < r->count; i++) {
		const struct exposure_line *x = &r->line[i];
		struct status *ret = k->ret;
		struct status_line *l;

		ret->line = mem_grow(ret->line, &ret->room, ret->count + 1, sizeof(*ret->line));
		l = &ret->line[ret->count++];
		*l = (struct status_line){
			.tier = x->tier,
			.site = x->site,
			.wal = x->wal,
			.is = x->is,
			.why = x->why,
			.replay = x->replay,
			.rpo_ns = x->rpo_ns,
			.rpo = status_judge_rpo(&x->is, x->rpo_ns),
			.owed = -1,
			.proved = { .level = -1, .broken = -1, .last_level = -1 },
			.predicted_ms = -1,
			.rto_ms = conf_find_tier(c, x->tier)->rto,
		};
		snprintf(l->source, sizeof(l->source), "%s", x->source);
	}
}

static struct status_line *
find(struct status *s, size_t from, const char *tier)
{
	for (size_t i = from; i < s->count; i++)
		if (strcmp(s->line[i].tier, tier) == 0)
			return &s->line[i];
	return NULL;
}

static void
swap(struct status_line *a, struct status_line *b)
{
	struct status_line t = *a;

	*a = *b;
	*b = t;
}

/* In the order of the source's tiers. */
static void
put_in_order(struct looking *k, const struct conf_source *source, size_t from)
{
	const struct conf_tier *tier[OWED_TIERS];
	size_t n = conf_source_tiers(k->s->conf, source->tiers, tier, OWED_TIERS);

	for (size_t i = 0, at = from; i < n && i < OWED_TIERS; i++) {
		struct status_line *l = find(k->ret, at, tier[i]->name);

		if (l)
			swap(l, &k->ret->line[at++]);
	}
}

/* ---- what lies there ---- */

static void
bad_record(void *arg, const char *name, const struct err *why)
{
	(void)arg; /* `verify` and `show` tell of it; it proves nothing */
	(void)name;
	(void)why;
}

/* The newest complete one there: its place in inv; inv->count: none, where that is known. */
static size_t
newest_there(struct session *s, struct status_line *l, const struct tier *t,
    struct inventory *inv, const struct watch *w)
{
	l->newest_known = true;
	for (size_t i = inv->count; i > 0; i--) {
		struct inventory_item *it = &inv->item[i - 1];

		if (!(it->on >> (t - s->tiers.tier) & 1) || strcmp(it->part.source, l->source) != 0)
			continue;
		if (s->repo)
			inventory_learn(s, it, w);
		if (it->known && !it->facts.partial && l->newest_known)
			return i - 1;
		if (!it->known && (it->untold || !s->repo))
			l->newest_known = false; /* it may be the one */
	}
	l->newest_known &= l->open;
	return inv->count;
}

int
status_restore(struct session *s, struct status_line *l, struct inventory *inv,
    const struct watch *w, struct err *e)
{
	struct tier *t = tier_find(&s->tiers, l->tier);
	const struct inventory_item *it;
	size_t at = newest_there(s, l, t, inv, w);
	int rc = 0;

	l->predicted_ms = -1;
	l->proved_known = l->newest_known;
	if (at < inv->count) {
		it = &inv->item[at];
		memcpy(l->newest, it->part.id, sizeof(l->newest));
		l->begun_ns = it->facts.started_ns;
		l->bytes = it->facts.bytes;
		if (s->repo && t->store &&
		    (proved_read(s->repo, t, &it->part, bad_record, &l->proved, e) == -1 ||
		     proved_pace(s->repo, t, &l->proved, &l->pace, e) == -1))
			rc = err_in(e, "%s: what was verified on '%s' is not known", l->source,
				    l->tier);
		l->proved_known &= rc == 0 && !l->proved.untold;
		l->predicted_ms = proved_predict(&l->pace, l->bytes, l->replay);
		if (l->predicted_ms >= 0)
			l->predicted_ms += cold_wait_ms(t->options.class, t->thaw);
	}
	l->rto = status_judge_rto(l->predicted_ms, l->rto_ms);
	return rc;
}

/*
 * Each against the first tier of its source. Two exposures were measured one after the other, so
 * what is below a second is nothing; two snapshots have their times.
 */
static void
compare(struct status *s, size_t from)
{
	const struct status_line *first = &s->line[from];

	for (size_t i = from + 1; i < s->count; i++) {
		struct status_line *l = &s->line[i];
		int64_t ns = l->is.ns - first->is.ns;

		if (!first->wal && !l->wal && first->newest[0] && l->newest[0])
			ns = first->begun_ns - l->begun_ns;
		l->behind_known = first->is.known && l->is.known;
		l->behind_ns = l->behind_known && ns >= CLOCK_S ? ns : 0;
	}
}

/* ---- what it lacks ---- */

static void
take_owed(struct looking *k, size_t from, const struct copy_report *r)
{
	const int64_t now = clock_real_ns();

	for (size_t i = from; i < k->ret->count; i++)
		if (k->ret->line[i].open)
			k->ret->line[i].owed = 0;
	for (size_t i = 0; i < r->count; i++) {
		struct status_line *l = find(k->ret, from, r->line[i].to);
		struct layout_snap part;
		char name[LAYOUT_NAME];

		if (l && r->line[i].outcome == COPY_AWAY)
			l->owed = -1;
		if (!l || l->owed == -1)
			continue;
		if (r->line[i].outcome == COPY_FAILED)
			alarms_add(&k->ret->alarms, "%s: '%s' cannot get what it lacks: %.*s",
				   l->source, l->tier, err_first_line(&r->line[i].why),
				   r->line[i].why.text);
		snprintf(name, sizeof(name), "snap/%s", r->line[i].id);
		if (r->line[i].outcome != COPY_WOULD || layout_snap_parse(name, &part) == -1)
			continue;
		l->owed++;
		if (now - part.time_ns > l->owed_ns)
			l->owed_ns = now - part.time_ns;
		l->owed_late = l->owed_ns > owed_late_ns(l->rpo_ns);
	}
}

/* Slots, lease, gaps, spool: what `wal status` warns of is no promise yet, and will break one. */
static void
look_at_wal(struct looking *k, const struct conf_source *source)
{
	struct wal_status wal;

	if (wal_status_load(k->s, source, k->w, &wal, NULL) == 0 && wal.alarms.count > 0)
		alarms_add(&k->ret->alarms, "%s: %s%s: `ffdr wal status %s`", source->name,
			   wal.alarms.text[0], wal.alarms.count > 1 ? ", and more" : "",
			   source->bare);
	wal_status_done(&wal);
}

static int
look_at(struct looking *k, const struct conf_source *source, struct err *e)
{
	const struct inventory_options io = { .source = &source->name, .sources = 1, .once = true };
	const struct copy_options co = { .source = &source->name, .sources = 1, .dry_run = true };
	struct exposure_report exposed = { 0 };
	struct inventory inv = { 0 };
	struct copy_report copied = { 0 };
	const size_t from = k->ret->count;
	struct err why = { 0 };
	int rc = exposure_run(k->s, source, k->w, &exposed, e);

	take_exposure(k, &exposed);
	put_in_order(k, source, from);
	see_open(k, from);
	if (rc == 0)
		rc = inventory_read(k->s, &io, k->w, &inv, e);
	see_open(k, from);
	for (size_t i = from; rc == 0 && i < k->ret->count; i++)
		if (status_restore(k->s, &k->ret->line[i], &inv, k->w, &why) == -1)
			alarms_add(&k->ret->alarms, "%.*s", err_first_line(&why), why.text);
	if (from < k->ret->count)
		compare(k->ret, from);
	if (rc == 0 && k->s->repo) {
		rc = copy_run(k->s, &co, k->w, &copied, e);
		see_open(k, from);
		if (rc == 0)
			take_owed(k, from, &copied);
	}
	if (rc == 0 && source->postgres && source->postgres->wal)
		look_at_wal(k, source);
	copy_done(&copied);
	inventory_done(&inv);
	exposure_done(&exposed);
	return rc;
}

/* ---- what needs attention ---- */

static void
judge_line(struct status *s, const struct status_line *l)
{
	char a[UNITS_TEXT], b[UNITS_TEXT];

	/* Of a tier that kept something back it was said. */
	if (!l->is.known && l->open)
		alarms_add(&s->alarms, "%s: what would be lost with '%s' alone is not known: %.*s",
			   l->source, l->tier, err_first_line(&l->why), l->why.text);
	if (l->rpo == STATUS_MISSED)
		alarms_add(&s->alarms, "%s: '%s' is %s behind, rpo promises %s", l->source, l->tier,
			   units_duration(l->is.ns / CLOCK_MS, a),
			   units_duration(l->rpo_ns / CLOCK_MS, b));
	if (l->rto == STATUS_MISSED)
		alarms_add(&s->alarms, "%s: a restore from '%s' takes %s, rto promises %s",
			   l->source, l->tier, units_duration(l->predicted_ms, a),
			   units_duration(l->rto_ms, b));
	if (l->owed_late)
		alarms_add(&s->alarms, "%s: '%s' lacks %s, the oldest for %s: `ffdr copy`",
			   l->source, l->tier, units_count((uint64_t)l->owed, "snapshot", a),
			   units_duration(l->owed_ns / CLOCK_MS, b));
	if (l->proved.broken >= 0)
		alarms_add(
		    &s->alarms, "%s: the newest on '%s' was found bad, %s: `ffdr verify %s %s`",
		    l->source, l->tier, units_time(l->proved.broken_ns, a),
		    l->proved.broken == REHEARSE_LEVEL ? "--restore" : "--repair", l->newest);
}

static void
look_at_tiers(struct looking *k)
{
	const struct conf *c = k->s->conf;

	k->ret->tier = xcalloc(c->tiers + 1, sizeof(*k->ret->tier));
	for (size_t i = 0; i < c->tiers; i++) {
		struct status_tier *st = &k->ret->tier[k->ret->tiers++];
		struct tier *t = tier_find(&k->s->tiers, c->tier[i].name);

		*st =
		    (struct status_tier){.tier = t->name, .site = c->tier[i].site, .owed_wal = -1};
		st->answers = answers(k, t);
		if (!told_all(k, t)) {
			st->why = k->untold[t - k->s->tiers.tier];
			alarms_add(&k->ret->alarms, "'%s' %s: %.*s", st->tier,
				   st->answers ? "cannot be used" : "does not answer",
				   err_first_line(&st->why), st->why.text);
		}
		if (k->s->state.kind == ERR_NONE)
			st->owed_wal = wal_owed_settle(&k->s->tiers, c->state, t, 0, NULL);
		if (st->owed_wal > 0)
			alarms_add(&k->ret->alarms, "%d objects of WAL are owed to '%s'",
				   st->owed_wal, st->tier);
	}
}

/* -1: to be stopped. */
static int
look_at_source(struct looking *k, const struct conf_source *source, struct err *e)
{
	struct err why = { 0 };

	k->ret->sources++;
	if (look_at(k, source, &why) == 0)
		return 0;
	if (why.kind == ERR_CANCELLED) {
		*e = why;
		return -1;
	}
	/* Every tier is away: that is said of each. */
	if (why.kind != ERR_REMOTE)
		alarms_add(&k->ret->alarms, "%s: %.*s", source->name, err_first_line(&why),
			   why.text);
	return 0;
}

int
status_load(struct session *s, const struct conf_source *const *source, size_t n,
    const struct watch *w, struct status *ret, struct err *e)
{
	struct looking k = { .s = s, .w = w, .ret = ret };
	size_t count = n > 0 ? n : s->conf->sources;
	int rc = 0;

	*ret = (struct status){ 0 };
	k.untold = xcalloc(s->tiers.count + 1, sizeof(*k.untold));
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = look_at_source(&k, n > 0 ? source[i] : &s->conf->source[i], e);
	for (size_t i = 0; i < ret->count && rc == 0; i++)
		judge_line(ret, &ret->line[i]);
	if (rc == 0)
		look_at_tiers(&k);
	free(k.untold);
	return rc;
}

void
status_done(struct status *s)
{
	alarms_done(&s->alarms);
	free(s->line);
	free(s->tier);
	*s = (struct status){ 0 };
}
