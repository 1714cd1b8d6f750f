/*
 * Retention is a promise per source and tier, so it is kept source by source on each tier, and what
 * one tier cannot do does not hold up another. Two ways lead past the rules, both typed by a person
 * and both written down on the tier before they are gone: letting go of a source for ever, and
 * giving up a snapshot that nobody can read. The first is refused while the source is configured,
 * the second while the snapshot can be read.
 *
 * A tier may be shared by hosts, and how long a source is kept stands in the configuration of the
 * host that backs it up. So what no section here names is left alone, unless a person names it: it
 * is another host's, or a section that was taken out or misspelt, and the tier's own keep was never
 * promised for it.
 */
#include "job/expire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "job/expire_unread.h"
#include "job/owed.h"
#include "job/pick.h"
#include "job/recall.h"
#include "repo/hostclock.h"
#include "repo/manifest.h"
#include "repo/record.h"
#include "repo/snapshot.h"
#include "repo/wall.h"

struct letting {
	struct session *s;
	const struct expire_options *o;
	const struct watch *w;
	struct expire_report *report;
};

static bool
stop(void *arg)
{
	const struct letting *l = arg;

	return l->w->stop(l->w->arg);
}

static struct expire_part *
add_part(struct letting *l, const struct tier *t, const char *source)
{
	struct expire_report *rep = l->report;
	struct expire_part *part;

	rep->part = mem_grow(rep->part, &rep->room, rep->count + 1, sizeof(*rep->part));
	part = &rep->part[rep->count++];
	memset(part, 0, sizeof(*part));
	part->tier = t->name;
	snprintf(part->source, sizeof(part->source), "%s", source);
	return part;
}

static void
warn(struct letting *l, char *text)
{
	l->w->event(l->w->arg, "warning", text);
	free(text);
}

/* Snapshots that one tier waits to copy, and should not have to: each tier named once. */
static void
tell_waiting(struct letting *l, const struct expire_part *part)
{
	const struct prune_report *p = &part->prune;
	char n[UNITS_TEXT];

	for (size_t t = 0; t < l->s->tiers.count; t++) {
		const char *name = l->s->tiers.tier[t].name;
		size_t late = 0, away = 0;

		for (size_t i = 0; i < p->count; i++) {
			const struct prune_item *it = &p->item[i];

			if (it->reason != EXPIRE_KEEP_OWED || strcmp(it->waits_for, name) != 0)
				continue;
			away += it->waits_away;
			late += it->waits_late || it->waits_away;
		}
		if (late > 0)
			warn(l, xasprintf("%s of %s beyond keep wait on '%s' for '%s', which would keep "
			    "them and %s `ffdr copy %s`", units_count(late, "snapshot", n), part->source,
			    part->tier, name, away > 0 ? "does not answer: see why, then" :
			    "has not got them:", part->source));
	}
}

/* What the rules kept back, and somebody should look at. */
static void
tell_kept(struct letting *l, const struct expire_part *part)
{
	const struct prune_report *p = &part->prune;
	char n[UNITS_TEXT];
	size_t broken = 0;

	for (size_t i = 0; i < p->count; i++)
		broken += p->item[i].reason == EXPIRE_KEEP_BROKEN;
	if (broken > 0)
		warn(l, xasprintf("%s of %s beyond keep stay on '%s': the newest that is known of is "
		    "broken; `ffdr verify --repair --tier %s`, or back up and verify anew",
		    units_count(broken, "snapshot", n), part->source, part->tier, part->tier));
	if (p->unread > 0)
		warn(l, xasprintf("%s of what was verified of %s on '%s' unreadable, so without effect: "
		    "%.*s; `ffdr verify --repair --tier %s` sets it aside",
		    units_count(p->unread, "record", n),
		    part->source, part->tier, err_first_line(&p->unread_why),
		    p->unread_why.text, part->tier));
	tell_waiting(l, part);
}

/* What a part came to; a failure is told at once. -1 only when somebody asked to stop. */
static int
close_part(struct letting *l, const struct expire_part *part, struct err *e)
{
	l->report->going += part->prune.going;
	l->report->gone += part->prune.gone;
	l->report->wal_going += part->wal.going;
	l->report->wal_gone += part->wal.gone;
	tell_kept(l, part);
	if (part->wal.not_judged.kind != ERR_NONE)
		warn(l, xasprintf("the WAL of %s on '%s' was not judged: %s", part->source, part->tier,
		    part->wal.not_judged.text));
	if (part->prune.tidy.kind != ERR_NONE)
		l->w->event(l->w->arg, "warning", part->prune.tidy.text);
	if (part->prune.holds.kind != ERR_NONE)
		l->w->event(l->w->arg, "warning", part->prune.holds.text);
	if (part->failed.kind == ERR_NONE)
		return 0;
	if (part->failed.kind == ERR_CANCELLED) {
		*e = part->failed;
		return -1;
	}
	l->report->failed++;
	warn(l, xasprintf("%s on '%s': %s", part->source, part->tier, part->failed.text));
	return 0;
}

int64_t
expire_keep_ns(const struct session *s, const char *source, const struct tier *t)
{
	const struct conf_source *found;
	int64_t ms = t->keep_ms;

	if (conf_find_source(s->conf, source, &found, NULL) == 0 && found->keep != 0)
		ms = found->keep;
	return ms < 0 ? -1 : ms * CLOCK_MS;
}

/* ---- what a person decided, for the record ---- */

static void
add_line(struct buf *text, const char *key, const char *value)
{
	buf_addf(text, "%s ", key);
	for (; *value != '\0'; value++)
		buf_addc(text, (unsigned char)*value < ' ' ? ' ' : *value);
	buf_addc(text, '\n');
}

static int
write_down(struct letting *l, struct tier *t, const char *what, const char *source,
    const char *object, struct err *e)
{
	char name[LAYOUT_NAME];
	struct buf text;
	int64_t now;
	int rc = -1;

	buf_init(&text, RECORD_MAX);
	if (store_clock(t->store, &now, e) == -1)
		goto out;
	add_line(&text, "what", what);
	add_line(&text, "object", object);
	add_line(&text, "tier", t->name);
	add_line(&text, "by", l->o->by != NULL ? l->o->by : "unknown");
	if (l->o->why != NULL)
		add_line(&text, "why", l->o->why);
	if (buf_check(&text, "the record", e) == -1)
		goto out;
	rc = record_put(l->s->repo, t->store, RECORD_RUN, source, now, &text, name, e);
out:
	buf_done(&text);
	return rc == -1 ? err_in(e, "record of %s", what) : 0;
}

/* ---- by the rules ---- */

/* Only a database server has more than snapshots. */
static bool
has_wal(const char *source)
{
	const char *kind = conf_kind_word(CONF_KIND_POSTGRES);
	const size_t n = strlen(kind);

	return strncmp(source, kind, n) == 0 && source[n] == '.';
}

/* Snapshots, then the WAL that those left there do not need. `listed`: the tier has snapshots of it. */
static void
let_go_of(struct letting *l, struct tier *t, struct expire_part *part, bool listed)
{
	char *lately = xasprintf("%s/expired", l->s->conf->state);
	struct wal_expire *wal = has_wal(part->source) ? wal_expire_new(l->s, t, part->source) : NULL;
	struct owed owed;
	const struct prune_options po = {
		.owed = owed_mark,
		.owed_arg = &owed,
		.keep_ns = part->keep_ns,
		.more_than_half = l->o->more_than_half,
		.retire = l->o->retire != NULL,
		.dry_run = l->o->dry_run,
		.lately = lately,
		.interrupted = stop,
		.arg = l,
		.seen = wal ? wal_expire_seen : NULL,
		.roots = wal ? wal_expire_roots : NULL,
		.own = wal,
	};
	const struct wal_expire_rules rules = {
		.keep_ns = po.keep_ns,
		.retire = po.retire,
		.dry_run = po.dry_run,
		.interrupted = stop,
		.arg = l,
	};
	int rc = 0;

	owed_begin(l->s, part->source, t, &owed);
	if (listed)
		rc = prune_source(l->s->repo, t, part->source, &po, &part->prune, &part->failed);
	if (rc == 0 && wal)
		wal_expire_run(wal, listed ? &part->prune : NULL, &rules, &part->wal, &part->failed);
	wal_expire_free(wal);
	free(lately);
}

static int
let_go(struct letting *l, struct tier *t, const char *source, struct err *e)
{
	struct expire_part *part = add_part(l, t, source);
	const bool retire = l->o->retire != NULL;

	part->keep_ns = expire_keep_ns(l->s, source, t);
	if (!retire || l->o->dry_run ||
	    write_down(l, t, RECORD_RETIRE, source, source, &part->failed) == 0)
		let_go_of(l, t, part, true);
	if (retire && part->prune.gone > 0)
		recall_forget(l->s, t, source, NULL, l->w);
	return close_part(l, part, e);
}

/* Who backs it up, by its newest snapshot; "" when that is this host. */
static int
whose(struct letting *l, struct tier *t, const struct snapshot *newest, char host[EXPIRE_HOST_MAX],
    struct err *e)
{
	char here[EXPIRE_HOST_MAX] = "";
	struct manifest m;
	int rc;

	manifest_init(&m);
	if (gethostname(here, sizeof(here) - 1) == -1)
		here[0] = '\0';
	rc = manifest_get(t->store, newest->name, l->s->repo->keys, &m, e);
	if (rc == 0 && (!m.host || here[0] == '\0' || strcmp(m.host, here) != 0))
		snprintf(host, EXPIRE_HOST_MAX, "%s", m.host ? m.host : "?");
	manifest_done(&m);
	return rc;
}

/* Nobody named it: only what is configured here is judged. */
static int
judge(struct letting *l, struct tier *t, const struct snapshot *newest, struct err *e)
{
	const struct conf_source *found;
	struct expire_part *part;

	if (conf_find_source(l->s->conf, newest->part.source, &found, NULL) == 0)
		return let_go(l, t, newest->part.source, e);
	part = add_part(l, t, newest->part.source);
	part->keep_ns = -1;
	part->left = whose(l, t, newest, part->host, &part->failed) == 0;
	return close_part(l, part, e);
}

static bool
wanted(const struct letting *l, const char *source)
{
	if (l->o->retire != NULL)
		return strcmp(source, l->o->retire) == 0;
	for (size_t i = 0; i < l->o->sources; i++)
		if (strcmp(source, l->o->source[i]) == 0)
			return true;
	return l->o->sources == 0;
}

static bool
lists(const struct snapshot_list *list, const char *source)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->item[i].part.source, source) == 0)
			return true;
	return false;
}

/* Servers of ours whose WAL comes here, and no snapshot yet. */
static int
serve_wal(struct letting *l, struct tier *t, const struct snapshot_list *list, struct err *e)
{
	const struct conf *c = l->s->conf;
	int rc = 0;

	for (size_t i = 0; i < c->sources && rc == 0 && l->o->retire == NULL; i++) {
		const struct conf_source *source = &c->source[i];
		struct expire_part *part;

		if (!source->postgres ||
		    !conf_wal_goes_to(c, source->postgres, conf_find_tier(c, t->name)) ||
		    lists(list, source->name) || !wanted(l, source->name))
			continue;
		part = add_part(l, t, source->name);
		part->keep_ns = expire_keep_ns(l->s, source->name, t);
		let_go_of(l, t, part, false);
		rc = close_part(l, part, e);
	}
	return rc;
}

/* Every source that the tier holds and that is asked for; a listing is in order of sources. */
static int
serve_tier(struct letting *l, struct tier *t, struct err *e)
{
	struct snapshot_list list = { 0 };
	struct err why = { 0 };
	bool named = l->o->retire != NULL || l->o->sources > 0;
	int rc = 0;

	if (snapshot_list(t->store, NULL, &list, &why) == -1) {
		struct expire_part *part = add_part(l, t, "snapshots");

		part->failed = why;
		rc = close_part(l, part, e);
	}
	for (size_t i = 0; i < list.count && rc == 0; i++) {
		const char *source = list.item[i].part.source;

		/* The last of each is its newest. */
		if ((i + 1 < list.count && strcmp(source, list.item[i + 1].part.source) == 0) ||
		    !wanted(l, source))
			continue;
		rc = named ? let_go(l, t, source, e) : judge(l, t, &list.item[i], e);
	}
	if (rc == 0 && why.kind == ERR_NONE)
		rc = serve_wal(l, t, &list, e);
	snapshot_list_done(&list);
	return rc;
}

/* ---- giving one up ---- */

static int
refuse_readable(const struct tier *t, const char *id, struct err *e)
{
	err_set(e, ERR_REFUSED, "%s can be read on '%s', so it is not discarded", id, t->name);
	return err_line(e, "fix", "keep in the configuration says how long it stays");
}

/* 1 it was there and is gone, 0 it was not there, -1. */
static int
discard_on(struct letting *l, struct tier *t, const struct layout_snap *part, const char *name,
    struct err *e)
{
	struct err why = { 0 };
	struct manifest m;
	int rc;

	manifest_init(&m);
	rc = manifest_get(t->store, name, l->s->repo->keys, &m, &why);
	manifest_done(&m);
	if (rc == 0)
		return refuse_readable(t, part->id, e);
	if (why.kind == ERR_NOTFOUND)
		return 0;
	if (why.kind != ERR_CORRUPT && why.kind != ERR_KEY && why.kind != ERR_UNSUPPORTED) {
		*e = why;
		return -1;
	}
	if (expire_unread(l->s->repo, t, name, l->o->lost_key, &why, e) == -1)
		return -1;
	if (l->o->dry_run)
		return 1;
	if (write_down(l, t, RECORD_DISCARD, part->source, name, e) == -1)
		return -1;
	if (store_del(t->store, name, e) == -1)
		return -1;
	recall_forget(l->s, t, part->source, part->id, l->w);
	return 1;
}

static int
discard(struct letting *l, struct err *e)
{
	char name[LAYOUT_NAME];
	struct layout_snap part;
	size_t found = 0;

	if ((size_t)snprintf(name, sizeof(name), "snap/%s", l->o->discard) >= sizeof(name) ||
	    layout_snap_parse(name, &part) == -1)
		return err_set(e, ERR_USAGE, "'%s' is no full name of a snapshot, expected "
		    "SOURCE/TIME-ID as `ffdr list` shows it", l->o->discard);
	for (size_t i = 0; i < l->s->tiers.count; i++) {
		struct tier *t = &l->s->tiers.tier[i];
		struct prune_item *it;
		struct expire_part *p;
		int rc;

		if (t->store == NULL || (l->o->tier != NULL && l->o->tier != t))
			continue;
		rc = discard_on(l, t, &part, name, e);
		if (rc == -1)
			return -1;
		if (rc == 0)
			continue;
		found++;
		p = add_part(l, t, part.source);
		p->prune.item = it = xcalloc(1, sizeof(*it));
		p->prune.count = p->prune.room = p->prune.going = 1;
		memcpy(it->name, name, sizeof(it->name));
		it->part = part;
		it->reason = EXPIRE_GO_DISCARDED;
		it->gone = !l->o->dry_run;
		p->prune.gone = it->gone;
		close_part(l, p, e);
	}
	if (found > 0)
		return 0;
	return err_set(e, ERR_NOTFOUND, "no tier that answers has '%s'", l->o->discard);
}

/* ---- the verb ---- */

static int
refuse_configured(const struct letting *l, struct err *e)
{
	const struct conf_source *found;

	if (!layout_source_valid(l->o->retire))
		return err_set(e, ERR_USAGE, "'%s' is no full name of a source, expected one like "
		    "vol.uploads", l->o->retire);
	if (conf_find_source(l->s->conf, l->o->retire, &found, NULL) == -1)
		return pick_known(l->s, l->o->retire, l->o->tier, e);
	err_set(e, ERR_REFUSED, "%s is configured, so it is not retired: all of its snapshots would go",
	    l->o->retire);
	return err_line(e, "fix", "take it out of the configuration first");
}

int
expire_run(struct session *s, const struct expire_options *o, const struct watch *w,
    struct expire_report *ret, struct err *e)
{
	struct letting l = { .s = s, .o = o, .w = w, .report = ret };
	struct err damaged = { 0 };
	int rc = 0;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < s->tiers.count; i++)
		ret->away += s->tiers.tier[i].store == NULL &&
		    (o->tier == NULL || o->tier == &s->tiers.tier[i]);
	if (o->retire != NULL && refuse_configured(&l, e) == -1)
		return -1;
	if ((o->retire != NULL || o->discard != NULL) && !o->dry_run &&
	    (o->why == NULL || o->why[0] == '\0'))
		return err_set(e, ERR_USAGE, "%s is for ever: --why 'TEXT', the reason for the record, "
		    "must be given", o->retire != NULL ? "--retire" : "--discard");
	if (o->discard != NULL)
		return discard(&l, e);
	if (s->repo->clock_path && hostclock_damaged(s->repo->clock_path, &damaged) == 1)
		w->event(w->arg, "warning", damaged.text);
	if (wall_begin(s->repo, &(struct wall_options){ .trusted = o->clock_is_right,
	    .look_only = o->dry_run }, e) == -1)
		return -1;
	for (size_t i = 0; i < s->tiers.count && rc == 0; i++) {
		struct tier *t = &s->tiers.tier[i];

		if (t->store != NULL && (o->tier == NULL || o->tier == t))
			rc = serve_tier(&l, t, e);
	}
	return rc;
}

void
expire_done(struct expire_report *r)
{
	for (size_t i = 0; i < r->count; i++) {
		prune_done(&r->part[i].prune);
		wal_expire_done(&r->part[i].wal);
	}
	free(r->part);
	memset(r, 0, sizeof(*r));
}
