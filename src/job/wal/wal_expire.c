/*
 * What may go is decided by base backups that stay, so this comes after the snapshots of the tier
 * were judged, and asks again what they are. Usually those of the tier itself are enough: for each
 * timeline with WAL in the window there is one that is older than the window. Where there is none
 * (the tier has just begun, or gets WAL and no snapshots) those of the other tiers count as well,
 * and all of them must answer.
 *
 * Nothing goes that was stored less than a window and the longest backup ago; so a backup or a copy
 * that has just brought its WAL needs no lock.
 */
#include "job/wal/wal_expire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/wal/wal_expire_parts.h"
#include "repo/snapshot.h"
#include "repo/wall.h"

struct wal_expire *
wal_expire_new(struct session *s, struct tier *t, const char *source)
{
	struct wal_expire *w = xcalloc(1, sizeof(*w));
	struct tier *all[WAL_SOURCE_TIERS];
	size_t n = session_source_tiers(s, source, all, WAL_SOURCE_TIERS);

	w->s = s;
	w->tier = t;
	snprintf(w->source, sizeof(w->source), "%s", source);
	w->tiers[0] = t;
	w->so = (struct wal_shelf_options){
		.repo = s->repo, .tier = w->tiers, .tiers = 1, .source = w->source
	};
	for (size_t i = 0; i < n && w->so.tiers < WAL_SOURCE_TIERS; i++)
		if (all[i] != t && all[i]->store)
			w->tiers[w->so.tiers++] = all[i];
	return w;
}

void
wal_expire_free(struct wal_expire *w)
{
	if (!w)
		return;
	wal_shelf_done(&w->shelf);
	free(w->own);
	free(w->base);
	free(w->name);
	free(w);
}

/* ---- beside prune_source() ---- */

static int
note(struct wal_expire_known *k, const struct manifest *m, struct err *e)
{
	int got = pg_facts_read(m, &k->base.facts, e);

	k->is_base = got == 1;
	snprintf(k->id, sizeof(k->id), "%s", m->name + strlen("snap/"));
	return got == -1 ? -1 : 0;
}

int
wal_expire_seen(void *own, size_t i, const struct manifest *m, struct err *e)
{
	struct wal_expire *w = own;

	w->own = mem_grow(w->own, &w->own_room, i + 1, sizeof(*w->own));
	memset(&w->own[i], 0, sizeof(*w->own));
	w->owns = i + 1;
	return note(&w->own[i], m, e);
}

static int
shelve(struct wal_expire *w, struct err *e)
{
	if (w->shelved)
		return 0;
	w->shelved = true;
	return wal_shelf_load(&w->so, &w->shelf, e);
}

/* The ids move with the array. */
static struct wal_keep_base *
plain(const struct wal_expire_known *k, size_t n, size_t *count)
{
	struct wal_keep_base *ret = xcalloc(n + 1, sizeof(*ret));

	*count = 0;
	for (size_t i = 0; i < n; i++) {
		ret[*count] = k[i].base;
		ret[*count].id = k[i].id;
		*count += k[i].is_base;
	}
	return ret;
}

static struct wal_keep
world(const struct wal_expire *w, const struct wal_keep_base *base, size_t bases, int64_t before_ns)
{
	return (struct wal_keep){
		.base = base,
		.bases = bases,
		.epoch = w->shelf.epoch,
		.epochs = w->shelf.epochs,
		.history = w->shelf.history,
		.histories = w->shelf.histories,
		.before_ns = before_ns,
	};
}

int
wal_expire_roots(void *own, struct expire_item *item, size_t n, int64_t window_ns, struct err *e)
{
	struct wal_expire *w = own;
	struct wal_keep_base *base;
	struct wal_keep k;
	bool *root = xcalloc(n + 1, sizeof(*root));
	size_t count = 0;
	int rc = shelve(w, e);

	for (size_t i = 0; rc == 0 && i < n; i++)
		if (w->own[i].is_base) {
			item[i].ready_ns = w->own[i].base.facts.ready_ns;
			rc = wal_shelf_add(&w->so, &w->shelf, &w->own[i].base.facts, e);
		}
	base = plain(w->own, n, &count);
	k = world(w, base, count, INT64_MIN);
	if (rc == 0)
		wal_keep_roots(&k, w->shelf.timeline, w->shelf.timelines, window_ns, root);
	count = 0;
	for (size_t i = 0; rc == 0 && i < n; i++)
		item[i].root = w->own[i].is_base && root[count++];
	free(base);
	free(root);
	return rc;
}

/* ---- which base backups count ---- */

static int
add_base(struct wal_expire *w, const struct wal_expire_known *k, struct err *e)
{
	for (size_t i = 0; i < w->bases; i++)
		if (strcmp(w->base[i].id, k->id) == 0)
			return 0;
	w->base = mem_grow(w->base, &w->base_room, w->bases + 1, sizeof(*w->base));
	w->base[w->bases++] = *k;
	return wal_shelf_add(&w->so, &w->shelf, &k->base.facts, e);
}

static int
add_own(struct wal_expire *w, const struct prune_report *done, bool dry_run, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; done && rc == 0 && i < w->owns; i++) {
		const struct prune_item *it = &done->item[i];
		const bool stays = dry_run ? !expire_goes(it->reason) : !it->gone;

		if (stays && w->own[i].is_base)
			rc = add_base(w, &w->own[i], e);
	}
	return rc;
}

static int
see_name(void *arg, const struct store_entry *entry, struct err *e)
{
	struct wal_expire *w = arg;
	struct wal_expire_name *n;

	(void)e;
	if (strlen(entry->name) >= LAYOUT_NAME)
		return 0;
	w->name = mem_grow(w->name, &w->name_room, w->names + 1, sizeof(*w->name));
	n = &w->name[w->names++];
	snprintf(n->name, sizeof(n->name), "%s", entry->name);
	if (layout_pend_snap(entry->name, n->snap) == -1)
		snprintf(n->snap, sizeof(n->snap), "%s", entry->name);
	return 0;
}

int
wal_expire_list(struct wal_expire *w, struct err *e)
{
	char prefix[LAYOUT_NAME];

	w->names = 0;
	snprintf(prefix, sizeof(prefix), "pend/%s/", w->source);
	if (store_list(w->tier->store, prefix, NULL, see_name, w, e) == -1)
		return -1;
	snprintf(prefix, sizeof(prefix), "snap/%s/", w->source);
	return store_list(w->tier->store, prefix, NULL, see_name, w, e);
}

static int
add_manifest(struct wal_expire *w, struct tier *t, const char *name, struct err *e)
{
	struct wal_expire_known k = { 0 };
	struct manifest m;
	int rc;

	manifest_init(&m);
	rc = manifest_get(t->store, name, w->s->repo->keys, &m, e);
	if (rc == 0)
		rc = note(&k, &m, e);
	else if (e->kind == ERR_NOTFOUND)
		rc = 0;
	manifest_done(&m);
	if (rc == 0 && k.is_base)
		rc = add_base(w, &k, e);
	return rc;
}

/* A copy under way is a base backup of tomorrow. */
static int
add_pending(struct wal_expire *w, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < w->names; i++)
		if (strncmp(w->name[i].name, "pend/", strlen("pend/")) == 0)
			rc = add_manifest(w, w->tier, w->name[i].name, e);
	return rc;
}

static int
by_start(const void *a, const void *b)
{
	const struct wal_expire_known *x = a, *y = b;

	return (x->base.facts.start > y->base.facts.start) -
	       (x->base.facts.start < y->base.facts.start);
}

/* Is there, for each timeline that has WAL of the window, a base backup among these that is older
 * than the window? */
static bool
self_sufficient(struct wal_expire *w, int64_t window_ns)
{
	struct wal_keep_base *base;
	bool *root = xcalloc(w->bases + 1, sizeof(*root)), yes;
	struct wal_keep k;
	size_t count;

	base = plain(w->base, w->bases, &count);
	k = world(w, base, count, INT64_MIN);
	yes = wal_keep_roots(&k, w->shelf.timeline, w->shelf.timelines, window_ns, root);
	free(base);
	free(root);
	return yes;
}

/* Base backups that only other tiers have: 1 all were asked, 0 not all could be (*why). */
static int
add_others(struct wal_expire *w, struct err *why, struct err *e)
{
	struct tier *all[WAL_SOURCE_TIERS];
	size_t n = session_source_tiers(w->s, w->source, all, WAL_SOURCE_TIERS);

	for (size_t i = 0; i < n; i++) {
		struct snapshot_list list = { 0 };
		int rc = 0;

		if (all[i] == w->tier)
			continue;
		if (!all[i]->store) {
			err_set(why, ERR_REMOTE, "'%s' is away, and its base backups may need it",
				all[i]->name);
			return 0;
		}
		if (snapshot_list(all[i]->store, w->source, &list, e) == -1)
			rc = -1;
		for (size_t k = 0; rc == 0 && k < list.count; k++)
			rc = add_manifest(w, all[i], list.item[k].name, e);
		snapshot_list_done(&list);
		if (rc == -1)
			return err_in(e, "base backups on '%s'", all[i]->name);
	}
	return 1;
}

/*
 * Of the base backups of all tiers those that this tier's window rests on: what is in it, and for
 * each timeline of it, and for the whole, the newest one before. `first`: those of the tier itself,
 * which stay anyhow.
 */
static void
choose(struct wal_expire *w, size_t first, int64_t window_ns)
{
	struct wal_keep_base *base;
	size_t count, edge = SIZE_MAX, kept = first;
	bool *in = xcalloc(w->bases + 1, sizeof(*in));
	struct wal_keep k;

	base = plain(w->base, w->bases, &count); /* all of them are bases: the same index */
	k = world(w, base, count, INT64_MIN);
	for (size_t i = 0; i < w->bases; i++) {
		const int64_t ready = base[i].facts.ready_ns;

		in[i] = i < first || ready >= window_ns;
		if (ready < window_ns && (edge == SIZE_MAX || ready > base[edge].facts.ready_ns))
			edge = i;
	}
	if (edge != SIZE_MAX)
		in[edge] = true;
	wal_keep_roots(&k, w->shelf.timeline, w->shelf.timelines, window_ns, in);
	for (size_t i = first; i < w->bases; i++)
		if (in[i])
			w->base[kept++] = w->base[i];
	w->bases = kept;
	free(base);
	free(in);
}

/* Where a window starts that ends with the newest base backup there is; none: INT64_MIN. */
static int64_t
window_of(const struct wal_expire *w, int64_t keep_ns, int64_t now_ns)
{
	int64_t newest = INT64_MIN;

	for (size_t i = 0; i < w->bases; i++)
		if (w->base[i].base.facts.ready_ns > newest)
			newest = w->base[i].base.facts.ready_ns;
	if (newest > now_ns)
		newest = now_ns;
	return newest == INT64_MIN || keep_ns < 0 ? INT64_MIN : newest - keep_ns;
}

/* Up to when an object must have been stored to go. */
static int64_t
before(const struct wal_expire_rules *rules, int64_t window_ns, int64_t now_ns)
{
	if (rules->retire)
		return INT64_MAX;
	if (rules->keep_ns < 0 || window_ns == INT64_MIN)
		return INT64_MIN;
	return (window_ns < now_ns ? window_ns : now_ns) - LAYOUT_W_NS - LAYOUT_HOUR_NS;
}

/* The base backups that stay there, and where they are not enough those of the others. *before_ns:
 * as wal_keep.h has it. */
static int
gather(struct wal_expire *w, const struct prune_report *done, const struct wal_expire_rules *rules,
       int64_t *before_ns, struct err *not_judged, struct err *e)
{
	int64_t now_ns, window_ns = done ? done->window_ns : INT64_MIN;
	size_t first;
	int got;

	if (wall_now(w->s->repo, w->tier, &now_ns, e) == -1 || shelve(w, e) == -1 ||
	    wal_expire_list(w, e) == -1 || add_own(w, done, rules->dry_run, e) == -1 ||
	    add_pending(w, e) == -1)
		return -1;
	*before_ns = before(rules, window_ns, now_ns);
	/* Where age protects everything, or the tier's own are enough, nobody else is asked. */
	if (rules->retire || rules->keep_ns < 0 ||
	    (window_ns != INT64_MIN &&
	     (w->shelf.oldest_ns >= *before_ns || self_sufficient(w, window_ns))))
		return 0;
	first = w->bases;
	got = add_others(w, not_judged, e);
	if (got != 1)
		return got;
	if (window_ns == INT64_MIN)
		window_ns = window_of(w, rules->keep_ns, now_ns);
	*before_ns = before(rules, window_ns, now_ns);
	choose(w, first, window_ns);
	return 0;
}

int
wal_expire_run(struct wal_expire *w, const struct prune_report *done,
	       const struct wal_expire_rules *rules, struct wal_expire_report *ret, struct err *e)
{
	struct wal_keep_base *base;
	struct wal_keep k;
	size_t bases;
	int rc;

	*ret = (struct wal_expire_report){ 0 };
	if (gather(w, done, rules, &k.before_ns, &ret->not_judged, e) == -1)
		return err_in(e, "the WAL of %s", w->source);
	if (ret->not_judged.kind != ERR_NONE)
		return 0;
	if (w->bases > 1)
		qsort(w->base, w->bases, sizeof(*w->base), by_start);
	base = plain(w->base, w->bases, &bases);
	k = world(w, base, bases, k.before_ns);
	rc = wal_expire_go(w, &k, rules, ret, e);
	free(base);
	return rc == -1 ? err_in(e, "the WAL of %s", w->source) : 0;
}

void
wal_expire_done(struct wal_expire_report *r)
{
	free(r->group);
	*r = (struct wal_expire_report){ 0 };
}
