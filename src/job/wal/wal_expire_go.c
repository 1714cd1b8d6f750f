/*
 * Removing goes along the listing, some hundred objects at a time, oldest first, so an interruption
 * leaves a log without holes. Right before each of these steps the names of snapshots and copies
 * under way are listed again: a new one was not asked, so the run ends there and the next one
 * begins anew.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/wal/wal_expire_parts.h"

#define STEP 256 /* objects between two looks */
#define PLAN_NS LAYOUT_HOUR_NS

/* `from` of an epoch: it goes when nothing else of it stays, so after all the rest. */
struct last_of {
	struct wal_place place;
	char name[LAYOUT_NAME];
	uint64_t size;
	enum wal_keep_reason reason;
};

struct going {
	struct wal_expire *w;
	const struct wal_expire_rules *rules;
	struct wal_expire_report *report;
	const struct wal_keep *keep;
	char (*name)[LAYOUT_NAME];
	size_t names;
	char last[LAYOUT_NAME]; /* where the listing stands */
	bool full;
	struct last_of *from;
	size_t from_count;
	int64_t begun_boot_ns;
};

static struct wal_expire_group *
group_of(struct wal_expire_report *r, const struct layout_wal *at, enum wal_keep_reason reason)
{
	struct wal_expire_group *g;

	for (size_t i = r->count; i > 0; i--) {
		g = &r->group[i - 1];
		if (g->place.sysid == at->place.sysid && g->place.epoch == at->place.epoch &&
		    g->tli == at->tli && g->reason == reason)
			return g;
	}
	r->group = mem_grow(r->group, &r->room, r->count + 1, sizeof(*r->group));
	g = &r->group[r->count++];
	*g = (struct wal_expire_group){ .place = at->place, .tli = at->tli, .reason = reason };
	return g;
}

static void
count(struct going *g, const struct layout_wal *at, uint64_t size, enum wal_keep_reason reason,
      size_t by)
{
	struct wal_expire_group *group = group_of(g->report, at, reason);

	group->objects++;
	group->bytes += size;
	if (layout_wal_is_log(at)) {
		if (group->to == 0 || at->start < group->from)
			group->from = at->start;
		if (at->end > group->to)
			group->to = at->end;
	}
	if (by != WAL_KEEP_NONE && !group->by[0])
		snprintf(group->by, sizeof(group->by), "%s", g->keep->base[by].id);
	if (wal_keep_goes(reason)) {
		g->report->going++;
		g->report->bytes += size;
	}
}

static void
remember_from(struct going *g, const struct layout_wal *at, const struct store_entry *entry,
	      enum wal_keep_reason reason)
{
	g->from = xreallocarray(g->from, g->from_count + 1, sizeof(*g->from));
	g->from[g->from_count].place = at->place;
	g->from[g->from_count].size = entry->size;
	g->from[g->from_count].reason = reason;
	snprintf(g->from[g->from_count++].name, LAYOUT_NAME, "%s", entry->name);
}

static int
see_object(void *arg, const struct store_entry *entry, struct err *e)
{
	struct going *g = arg;
	struct layout_wal at;
	enum wal_keep_reason reason;
	size_t by;

	(void)e;
	if (layout_wal_parse(entry->name, &at) == -1)
		return 0;
	if (g->names == STEP) {
		g->full = true;
		return -1;
	}
	snprintf(g->last, sizeof(g->last), "%s", entry->name);
	reason = wal_keep_judge(g->keep, &at, entry->time_ns, &by);
	if (at.kind == LAYOUT_WAL_FROM && wal_keep_goes(reason)) {
		remember_from(g, &at, entry, reason);
		return 0;
	}
	count(g, &at, entry->size, reason, by);
	if (wal_keep_goes(reason))
		snprintf(g->name[g->names++], LAYOUT_NAME, "%s", entry->name);
	return 0;
}

static bool
was_listed(const struct wal_expire_name *list, size_t n, const char *snap)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].snap, snap) == 0)
			return true;
	return false;
}

/* Has a snapshot or a copy begun that was not asked? 1, 0, -1. */
static int
changed(struct going *g, struct err *e)
{
	struct wal_expire *w = g->w;
	struct wal_expire_name *before = w->name;
	const size_t n = w->names;
	int rc;

	w->name = NULL;
	w->name_room = 0;
	rc = wal_expire_list(w, e);
	for (size_t i = 0; rc == 0 && i < w->names; i++)
		rc = !was_listed(before, n, w->name[i].snap);
	free(before);
	return rc;
}

/* 1 done, 0 no more in this run, -1. */
static int
remove_step(struct going *g, struct err *e)
{
	int rc = 0;

	if (g->rules->dry_run || g->names == 0)
		return 1;
	if (clock_boot_ns() - g->begun_boot_ns > PLAN_NS)
		return err_set(e, ERR_REMOTE,
			       "expiry on '%s' took over an hour: run it again to go on",
			       g->w->tier->name);
	rc = changed(g, e);
	if (rc == 1) {
		err_set(&g->report->not_judged, ERR_BUSY, "a snapshot came meanwhile");
		return 0;
	}
	for (size_t i = 0; rc == 0 && i < g->names; i++) {
		if (g->rules->interrupted && g->rules->interrupted(g->rules->arg))
			rc = err_set(e, ERR_CANCELLED, "expiry on '%s' was interrupted",
				     g->w->tier->name);
		else if (store_del(g->w->tier->store, g->name[i], e) == -1)
			rc = -1;
		else
			g->report->gone++;
	}
	return rc == 0 ? 1 : -1;
}

/* Does anything of that epoch stay, or of one that comes from it? */
static bool
stays(const struct going *g, const struct wal_place *p)
{
	for (size_t i = 0; i < g->report->count; i++) {
		const struct wal_expire_group *group = &g->report->group[i];

		if (group->place.sysid != p->sysid || wal_keep_goes(group->reason))
			continue;
		for (size_t k = 0; k < g->keep->epochs; k++) {
			const struct wal_keep_epoch *ep = &g->keep->epoch[k];

			if (ep->sysid != p->sysid || ep->epoch != group->place.epoch)
				continue;
			for (size_t n = 0; n < ep->lineage.levels; n++)
				if (ep->lineage.level[n].epoch == p->epoch)
					return true;
		}
	}
	return false;
}

static int
remove_from(struct going *g, struct err *e)
{
	int rc = 1;

	for (size_t i = 0; rc == 1 && i < g->from_count; i++) {
		const struct layout_wal at = { .place = g->from[i].place, .kind = LAYOUT_WAL_FROM };
		const bool kept = stays(g, &g->from[i].place);

		count(g, &at, g->from[i].size, kept ? WAL_KEEP_YOUNG : g->from[i].reason,
		      WAL_KEEP_NONE);
		g->names = 0;
		if (!kept)
			snprintf(g->name[g->names++], LAYOUT_NAME, "%s", g->from[i].name);
		rc = remove_step(g, e);
	}
	return rc;
}

/* 1 done, 0 no more in this run, -1. */
static int
judge_below(struct going *g, const char *prefix, struct err *e)
{
	int rc;

	g->last[0] = '\0';
	do {
		g->full = false;
		g->names = 0;
		rc = store_list(g->w->tier->store, prefix, g->last[0] ? g->last : NULL, see_object,
				g, e);
		if (g->full) {
			err_clear(e);
			rc = 0;
		}
		if (rc == 0)
			rc = remove_step(g, e);
	} while (rc == 1 && g->full);
	return rc;
}

static int
judge_all(struct going *g, struct err *e)
{
	char prefix[LAYOUT_NAME];
	int rc;

	layout_wal_of_source(g->w->source, prefix);
	rc = judge_below(g, prefix, e);
	if (rc == 1) {
		layout_wal_bundles_of_source(g->w->source, prefix);
		rc = judge_below(g, prefix, e);
	}
	return rc == 1 ? remove_from(g, e) : rc;
}

int
wal_expire_go(struct wal_expire *w, const struct wal_keep *k, const struct wal_expire_rules *rules,
	      struct wal_expire_report *ret, struct err *e)
{
	struct going g = {
		.w = w, .rules = rules, .report = ret, .keep = k, .begun_boot_ns = clock_boot_ns()
	};
	int rc;

	g.name = xcalloc(STEP, sizeof(*g.name));
	rc = judge_all(&g, e);
	free(g.name);
	free(g.from);
	return rc == -1 ? -1 : 0;
}
