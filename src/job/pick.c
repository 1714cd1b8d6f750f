/*
 * A snapshot may lie on one tier and not on another, so the same words could mean different things
 * on different tiers. They are read once, over all that any tier lists: "latest" is the newest of
 * all, and a prefix is unique only when it is so everywhere. A tier that is away hides what it
 * alone has; where this host's catalog remembers such a one, and it is newer, the person hears what
 * would be lost.
 */
#include "job/pick.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "job/inventory.h"
#include "job/tiers.h"
#include "repo/catalog.h"
#include "repo/manifest.h"
#include "repo/snapshot.h"

int
pick_source(const struct session *s, const char *text, char out[64], struct err *e)
{
	const struct conf_source *found;

	if (layout_source_valid(text)) {
		snprintf(out, 64, "%s", text);
		return 0;
	}
	if (conf_find_source(s->conf, text, &found, e) == -1)
		return -1;
	snprintf(out, 64, "%s", found->name);
	return 0;
}

int
pick_known(struct session *s, const char *source, struct tier *tier, struct err *e)
{
	const struct inventory_options io = { .tier = tier, .names_only = true };
	const size_t configured = s->conf->sources;
	const struct conf_source *ours;
	struct inventory inv = { 0 };
	const char **known, *near;
	bool found = false;

	if (conf_find_source(s->conf, source, &ours, NULL) == 0)
		return 0;
	if (inventory_read(s, &io, &watch_none, &inv, e) == -1)
		return -1;
	known = xcalloc(configured + inv.count + 1, sizeof(*known));
	for (size_t i = 0; i < configured; i++)
		known[i] = s->conf->source[i].name;
	for (size_t i = 0; i < inv.count; i++) {
		known[configured + i] = inv.item[i].part.source;
		found |= strcmp(known[configured + i], source) == 0;
	}
	near = text_nearest(source, known);
	if (!found && near)
		err_set(e, ERR_USAGE, "there is no source '%s', did you mean '%s'?", source, near);
	else if (!found)
		err_set(e, ERR_USAGE, "there is no source '%s': it is not in the configuration, and no "
		    "tier that answers has a snapshot of it", source);
	for (size_t i = 0; i < s->tiers.count && !found; i++)
		if (inv.mute >> i & 1)
			err_line(e, "away", "%s", s->tiers.tier[i].name);
	free(known);
	inventory_done(&inv);
	return found ? 0 : -1;
}

/* The source in front of a '/' may be short as well; what is no source is left to the resolver. */
static char *
full_text(const struct session *s, const char *text)
{
	const char *slash = strchr(text, '/');
	char *first = slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup(text);
	char source[64], *full;

	if (pick_source(s, first, source, NULL) == 0)
		full = xasprintf("%s%s", source, slash ? slash : "");
	else
		full = xstrdup(text);
	free(first);
	return full;
}

/* Nobody has it. What was looked for, who was asked, and whether the name is one we know at all. */
static int
nowhere(const struct session *s, const struct pick_options *o, const char *text, struct err *e)
{
	const struct conf_source *found;
	char *source = xstrndup(text, strcspn(text, "/"));
	struct buf asked;

	buf_init(&asked, 1u << 16); /* names of tiers */
	for (size_t i = 0; i < s->tiers.count; i++) {
		const struct tier *t = &s->tiers.tier[i];

		if (t->store && (!o->tier || o->tier == t))
			buf_addf(&asked, "%s%s", asked.len > 0 ? ", " : "", t->name);
	}
	err_set(e, ERR_NOTFOUND, "there is no snapshot '%s'", text);
	err_line(e, "checked", "%s", buf_str(&asked));
	for (size_t i = 0; i < s->tiers.count && !o->tier; i++) {
		if (!s->tiers.tier[i].store)
			err_line(e, "away", "%s", s->tiers.tier[i].name);
	}
	if (layout_source_valid(source) && conf_find_source(s->conf, source, &found, NULL) == -1)
		err_line(e, "note", "no source '%s' is configured", source);
	err_line(e, "fix", "`ffdr list` shows all there are");
	buf_done(&asked);
	free(source);
	return -1;
}

/* ---- what this host remembers and no tier shows ---- */

struct newer {
	const char *catalog;
	const struct snapshot_list *listed;
	const char *text; /* NULL: any of the source */
	int64_t until_ns; /* 0: no limit */
	struct layout_snap best; /* at first what was picked */
};

static void
see_known(void *arg, const char *id)
{
	struct newer *n = arg;
	struct catalog_facts facts;
	struct layout_snap part;
	char name[LAYOUT_NAME];

	snprintf(name, sizeof(name), "snap/%s", id);
	if (layout_snap_parse(name, &part) == -1 || part.time_ns <= n->best.time_ns)
		return;
	if (n->until_ns != 0 && part.time_ns > n->until_ns)
		return;
	if (n->text && !snapshot_fits(n->listed, n->text, &part))
		return;
	for (size_t i = 0; i < n->listed->count; i++) {
		if (strcmp(n->listed->item[i].name, name) == 0)
			return;
	}
	if (catalog_get(n->catalog, id, &facts) == 1 && !facts.partial)
		n->best = part;
}

static void
warn_newer(struct session *s, const struct pick_options *o, const char *text, const char *name,
    const struct inventory *inv, const struct snapshot_list *listed)
{
	char *catalog = inventory_catalog(s), *away = NULL, *warning, by[UNITS_TEXT];
	struct newer n = { .catalog = catalog, .listed = listed, .text = text,
		.until_ns = o->at_ns };
	struct layout_snap picked;

	if (!o->watch || inv->mute == 0 || s->as_of_ns != 0 || layout_snap_parse(name, &picked) == -1)
		goto out;
	n.best = picked;
	catalog_each(catalog, picked.source, see_known, &n);
	if (strcmp(n.best.id, picked.id) == 0)
		goto out;
	away = inventory_tiers(s, inv->mute);
	warning = xasprintf("%s is newer by %s, and no tier that answers has it\n"
			    "  checked   %s cannot be reached; this host remembers that snapshot\n"
			    "  fix       bring back %s, or accept what %s lacks", n.best.id,
	    units_duration((n.best.time_ns - picked.time_ns) / CLOCK_MS, by), away, away,
	    picked.id);
	o->watch->event(o->watch->arg, "warning", warning);
	free(warning);
out:
	free(away);
	free(catalog);
}

/* ---- picking ---- */

/* The rows as the list that names are read against; the caller frees its items. */
static struct snapshot_list
as_list(const struct inventory *inv)
{
	struct snapshot_list l = { .item = xcalloc(inv->count + 1, sizeof(*l.item)) };

	for (; l.count < inv->count; l.count++) {
		memcpy(l.item[l.count].name, inv->item[l.count].name, LAYOUT_NAME);
		l.item[l.count].part = inv->item[l.count].part;
	}
	return l;
}

/* For that source, and what a person named before all. */
static void
come_near(struct session *s, const struct pick_options *o, const char *source)
{
	tiers_near(s->conf, source, o->tier, &s->tiers);
}

static bool
is_on(const struct session *s, const struct inventory_item *it, const struct tier *t)
{
	return it->on >> (t - s->tiers.tier) & 1;
}

static struct tier *
nearest(struct session *s, const struct inventory *inv, const char *name)
{
	const struct inventory_item *it = inv->item;

	while (strcmp(it->name, name) != 0)
		it++;
	for (size_t i = 0; i < s->tiers.count; i++)
		if (is_on(s, it, tier_near(&s->tiers, i)))
			return tier_near(&s->tiers, i);
	return NULL;
}

/* One tier was named, and of what may be meant another has a newer one. */
static void
warn_elsewhere(struct session *s, const struct pick_options *o, const char *text, const char *name)
{
	const struct inventory_options io = { .names_only = true };
	const struct inventory_item *best = NULL;
	struct inventory inv = { 0 };
	struct layout_snap picked;
	struct snapshot_list l;
	const char *rest = strchr(text, '/');
	char *has, *warning;

	/* Who names one means that one; who looks at what a tier has is not told what it lacks. */
	if (!o->tier || !o->watch || o->partial || (rest && strcmp(rest, "/latest") != 0) ||
	    layout_snap_parse(name, &picked) == -1 ||
	    inventory_read(s, &io, &watch_none, &inv, NULL) == -1)
		return;
	l = as_list(&inv);
	for (size_t i = 0; i < inv.count; i++) {
		const struct layout_snap *part = &inv.item[i].part;

		if (strcmp(part->source, picked.source) == 0 && part->time_ns > picked.time_ns &&
		    (o->at_ns == 0 || part->time_ns <= o->at_ns) && snapshot_fits(&l, text, part))
			best = &inv.item[i];
	}
	if (best) {
		has = inventory_tiers(s, best->on);
		warning = xasprintf("%s is newer, and is not on '%s', which was asked for\n"
				    "  possible  %s has it: leave --tier out", best->part.id,
		    o->tier->name, has);
		o->watch->event(o->watch->arg, "warning", warning);
		free(warning);
		free(has);
	}
	snapshot_list_done(&l);
	inventory_done(&inv);
}

static int
resolve(struct session *s, const struct pick_options *o, char name[LAYOUT_NAME],
    struct tier **ret, struct err *e)
{
	const struct inventory_options io = { .tier = o->tier, .names_only = true };
	char *text = full_text(s, o->text);
	struct snapshot_list l = { 0 };
	struct inventory inv = { 0 };
	struct layout_snap part = { 0 };
	int got, rc = -1;

	if (inventory_read(s, &io, o->watch ? o->watch : &watch_none, &inv, e) == -1)
		goto out;
	l = as_list(&inv);
	got = snapshot_resolve(s->repo, &l, text, o->partial, name, e);
	if (got == 0)
		nowhere(s, o, text, e);
	if (got != 1)
		goto out;
	layout_snap_parse(name, &part);
	come_near(s, o, part.source);
	*ret = nearest(s, &inv, name);
	warn_newer(s, o, text, name, &inv, &l);
	warn_elsewhere(s, o, text, name);
	rc = 0;
out:
	snapshot_list_done(&l);
	inventory_done(&inv);
	free(text);
	return rc;
}

/* 1 complete, 0 partial, -1. */
static int
complete(struct session *s, const struct inventory_item *item, struct tier **ret, struct err *e)
{
	struct manifest m;
	int rc = -1;

	for (size_t i = 0; i < s->tiers.count && rc == -1; i++) {
		*ret = tier_near(&s->tiers, i);
		if (!is_on(s, item, *ret))
			continue;
		manifest_init(&m);
		if (manifest_get((*ret)->store, item->name, s->repo->keys, &m, e) == 0)
			rc = !m.partial;
		else
			err_in(e, "'%s' on '%s' cannot be read", item->name, (*ret)->name);
		manifest_done(&m);
	}
	return rc;
}

static int
nothing_so_old(const char *source, const struct inventory *inv, int64_t at_ns, struct err *e)
{
	char at[UNITS_TEXT], from[UNITS_TEXT], to[UNITS_TEXT], n[UNITS_TEXT];

	if (inv->count == 0)
		return err_set(e, ERR_NOTFOUND, "there is no snapshot of %s", source);
	err_set(e, ERR_NOTFOUND, "no snapshot of %s is as old as %s", source, units_time(at_ns, at));
	err_line(e, "checked", "%s on all tiers that answer", units_count(inv->count, "snapshot", n));
	err_line(e, "possible", "%s .. %s", units_time(inv->item[0].part.time_ns, from),
	    units_time(inv->item[inv->count - 1].part.time_ns, to));
	return err_line(e, "fix", "`ffdr list %s` shows them; --at with a later time", source);
}

/*
 * The last one up to that time, and before `below` where that is given. One whose name lies in the
 * future, because some clock did, is of the time at which it was stored.
 */
static const struct inventory_item *
latest(const struct inventory *inv, int64_t at_ns, const struct inventory_item *below)
{
	const int64_t now = clock_real_ns();
	const int64_t less = below ? inventory_time(below, now) : INT64_MAX;
	const struct inventory_item *best = NULL;

	for (size_t i = 0; i < inv->count; i++) {
		const struct inventory_item *it = &inv->item[i];
		int64_t t = inventory_time(it, now);

		if (t > at_ns || t > less || (below && t == less && it >= below))
			continue;
		if (!best || t >= inventory_time(best, now))
			best = it;
	}
	return best;
}

static int
newest_until(struct session *s, const struct pick_options *o, char name[LAYOUT_NAME],
    struct tier **ret, struct err *e)
{
	char source[64];
	const char *const sources[] = { source };
	const struct inventory_options io = { .source = sources, .sources = 1, .tier = o->tier,
		.names_only = true };
	const struct inventory_item *it = NULL;
	struct inventory inv = { 0 };
	struct snapshot_list l;
	int is = 0, rc = -1;

	if (pick_source(s, o->text, source, e) == -1)
		return -1;
	come_near(s, o, source);
	if (inventory_read(s, &io, o->watch ? o->watch : &watch_none, &inv, e) == -1)
		return -1;
	while (is == 0 && (it = latest(&inv, o->at_ns, it)) != NULL) {
		is = complete(s, it, ret, e);
		if (is != 0)
			snprintf(name, LAYOUT_NAME, "%s", it->name);
	}
	if (is == 1) {
		l = as_list(&inv);
		warn_newer(s, o, NULL, name, &inv, &l);
		warn_elsewhere(s, o, source, name);
		snapshot_list_done(&l);
		rc = 0;
	} else if (is == 0) {
		rc = nothing_so_old(source, &inv, o->at_ns, e);
	}
	inventory_done(&inv);
	return rc;
}

int
pick_snapshot(struct session *s, const struct pick_options *o, char name[LAYOUT_NAME],
    struct tier **ret_tier, struct err *e)
{
	*ret_tier = NULL;
	name[0] = '\0';
	if (o->text[0] == '\0') {
		err_set(e, ERR_USAGE, "no snapshot is named: the word is empty");
		return err_line(e, "fix", "SOURCE or SNAPSHOT as `ffdr list` shows them, or latest");
	}
	if (o->at_ns != 0 && strchr(o->text, '/')) {
		err_set(e, ERR_USAGE, "--at goes with a source, and '%s' is a snapshot", o->text);
		return err_line(e, "fix", "one of the two: SOURCE with --at, or SNAPSHOT without");
	}
	if (o->at_ns != 0)
		return newest_until(s, o, name, ret_tier, e);
	return resolve(s, o, name, ret_tier, e);
}
