/*
 * `ffdr list` must answer at three in the morning on a host that has lost its state and perhaps its
 * keys: so it rests on listings alone, tier by tier, merged by name. What the catalog does not know
 * stays unknown unless somebody asks to open those manifests. A tier that is away makes the answer
 * incomplete, not impossible: it is counted and the caller says so.
 */
#include "job/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/expire.h"
#include "repo/manifest.h"
#include "repo/snapshot.h"

char *
inventory_catalog(const struct session *s)
{
	return xasprintf("%s/catalog", s->conf->state);
}

void
inventory_done(struct inventory *inv)
{
	free(inv->item);
	memset(inv, 0, sizeof(*inv));
}

int64_t
inventory_time(const struct inventory_item *it, int64_t now_ns)
{
	return expire_time(&(struct expire_item){ .time_ns = it->part.time_ns,
	    .stored_ns = it->stored_ns }, now_ns);
}

static int
by_name(const void *a, const void *b)
{
	const struct inventory_item *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void
add(struct inventory *inv, const struct snapshot_list *list, size_t tier)
{
	size_t before = inv->count;

	for (size_t i = 0; i < list->count; i++) {
		struct inventory_item key, *have = NULL;

		memcpy(key.name, list->item[i].name, sizeof(key.name));
		if (before > 0)
			have = bsearch(&key, inv->item, before, sizeof(key), by_name);
		if (!have) {
			inv->item = mem_grow(inv->item, &inv->room, inv->count + 1,
			    sizeof(*inv->item));
			have = &inv->item[inv->count++];
			memset(have, 0, sizeof(*have));
			memcpy(have->name, list->item[i].name, sizeof(have->name));
			have->part = list->item[i].part;
			have->stored_ns = list->item[i].stored_ns;
		}
		if (list->item[i].stored_ns < have->stored_ns)
			have->stored_ns = list->item[i].stored_ns;
		have->on |= UINT64_C(1) << tier;
	}
	if (inv->count > before)
		qsort(inv->item, inv->count, sizeof(*inv->item), by_name);
}

char *
inventory_strange(const struct tier *t, const struct snapshot_list *l)
{
	return l->strange == 0 ? NULL : xasprintf("'%s' on '%s' is no name of a snapshot, and was left "
	    "alone\n  fix       " INVENTORY_STRANGE_FIX, l->first_strange, t->name);
}

/* What one tier lists: of each source that was asked for, or of all in one. */
struct listed {
	const struct inventory_options *o;
	struct snapshot_list *list;
	size_t lists;
	bool asked, failed;
};

/* Of several tiers at once: each has its own. A tier that fails now is away, as if it had before. */
static void
list_tier(void *arg, struct tier *t, size_t number)
{
	struct listed *l = &((struct listed *)arg)[number];
	const struct inventory_options *o = l->o;
	const size_t n = o->sources > 0 ? o->sources : 1;
	struct err e = { 0 };

	if ((o->tier && o->tier != t) || (o->once && !tier_answers(t)))
		return;
	l->asked = true;
	l->list = xcalloc(n, sizeof(*l->list));
	for (size_t i = 0; i < n && !l->failed; i++) {
		const char *source = o->sources > 0 ? o->source[i] : NULL;

		l->failed = snapshot_list_known(t->store, source, &l->list[l->lists++], &e) == -1;
	}
	if (l->failed)
		tier_untold(t, &e);
}

/* The last of a tier that failed is not whole. Frees what was listed. */
static void
take_tier(const struct tier *t, size_t number, struct listed *l, const struct watch *w,
    struct inventory *inv)
{
	for (size_t i = 0; i < l->lists; i++) {
		const bool whole = !l->failed || i + 1 < l->lists;
		char *strange = whole ? inventory_strange(t, &l->list[i]) : NULL;

		if (whole)
			add(inv, &l->list[i], number);
		if (strange)
			w->event(w->arg, "warning", strange);
		free(strange);
		snapshot_list_done(&l->list[i]);
	}
	free(l->list);
}

/* How many tiers answered. */
static size_t
list_tiers(struct session *s, const struct inventory_options *o, const struct watch *w,
    struct inventory *inv)
{
	struct listed *l = xcalloc(s->tiers.count + 1, sizeof(*l));
	size_t answered = 0;

	for (size_t i = 0; i < s->tiers.count; i++)
		l[i].o = o;
	tier_each(&s->tiers, list_tier, l);
	for (size_t i = 0; i < s->tiers.count; i++) {
		struct tier *t = &s->tiers.tier[i];

		if (o->tier && o->tier != t)
			continue;
		if (l[i].asked && !l[i].failed)
			answered++;
		else
			inv->mute |= UINT64_C(1) << i;
		take_tier(t, i, &l[i], w, inv);
	}
	free(l);
	return answered;
}

/*
 * Opens the manifest of a snapshot that the catalog does not know, from the nearest tier that has it.
 */
static void
learn(struct session *s, const char *catalog, struct inventory_item *item, const struct watch *w)
{
	struct manifest m;
	struct err e = { 0 };

	if (item->bad)
		return;
	manifest_init(&m);
	for (size_t i = 0; i < s->tiers.count && !item->known; i++) {
		const struct tier *t = tier_near(&s->tiers, i);

		if (!(item->on >> (t - s->tiers.tier) & 1))
			continue;
		err_clear(&e);
		if (manifest_get(t->store, item->name, s->repo->keys, &m, &e) == 0) {
			item->known = true;
		} else {
			item->untold = item->untold || tier_leaves_open(e.kind);
			err_in(&e, "'%s' on '%s' cannot be read", item->name, t->name);
			if (e.kind == ERR_CORRUPT || e.kind == ERR_KEY || e.kind == ERR_UNSUPPORTED)
				snapshot_unreadable(item->part.id, &e);
			w->event(w->arg, "warning", e.text);
		}
	}
	item->bad = !item->known;
	if (item->known) {
		catalog_facts(&m, &item->facts);
		if (s->state.kind == ERR_NONE &&
		    catalog_put(catalog, item->part.id, &item->facts, &e) == -1) {
			session_state_lost(s, &e);
			w->event(w->arg, "warning", e.text);
		}
	}
	manifest_done(&m);
}

void
inventory_learn(struct session *s, struct inventory_item *item, const struct watch *w)
{
	char *catalog = inventory_catalog(s);

	if (!item->known)
		learn(s, catalog, item, w);
	free(catalog);
}

static int
by_id(const void *id, const void *item)
{
	return strcmp(id, ((const struct inventory_item *)item)->part.id);
}

/* Names differ from ids by one prefix, so their order is the same. */
static bool
listed(void *arg, const char *id)
{
	const struct inventory *inv = arg;

	return inv->count > 0 && bsearch(id, inv->item, inv->count, sizeof(*inv->item), by_id);
}

static void
facts(struct session *s, const struct inventory_options *o, const struct watch *w,
    struct inventory *inv)
{
	char *catalog = inventory_catalog(s);

	for (size_t i = 0; i < inv->count && !w->stop(w->arg); i++) {
		struct inventory_item *item = &inv->item[i];

		item->known = catalog_get(catalog, item->part.id, &item->facts) == 1;
		if (!item->known && o->refresh) {
			learn(s, catalog, item, w);
			inv->opened++;
		}
		w->count(w->arg, "reading manifests", i + 1, inv->count);
	}
	for (size_t i = 0; i < inv->count; i++)
		inv->unknown += !inv->item[i].known;
	/* Only a complete listing of everything may say what is gone. */
	if (o->refresh && o->sources == 0 && !o->tier && inv->away == 0 && s->as_of_ns == 0)
		catalog_prune(catalog, listed, inv);
	free(catalog);
}

/* Nobody answered: each tier's reason on a line of its own. */
static int
nobody(const struct session *s, const struct inventory_options *o, struct err *e)
{
	const struct tier *t = o->tier ? o->tier : s->tiers.tier;
	size_t n = o->tier ? 1 : s->tiers.count;

	err_set(e, n > 0 ? t->why.kind : ERR_CONFIG, n > 0 ? "no tier can be listed" :
	    "no tier is configured");
	for (size_t i = 0; i < n; i++)
		err_line(e, t[i].name, "%s", t[i].why.text);
	return -1;
}

/* Of a tier that is away the session warns; of one that was there until it was listed, we do. */
static void
warn_unlisted(const struct session *s, const struct inventory *inv, const struct watch *w)
{
	for (size_t i = 0; i < s->tiers.count; i++) {
		const struct tier *t = &s->tiers.tier[i];
		char *text;

		if (!t->store || !(inv->mute >> i & 1))
			continue;
		text = xasprintf("tier '%s' cannot be listed: %s", t->name, t->why.text);
		w->event(w->arg, "warning", text);
		free(text);
	}
}

int
inventory_read(struct session *s, const struct inventory_options *o, const struct watch *w,
    struct inventory *ret, struct err *e)
{
	size_t answered;

	memset(ret, 0, sizeof(*ret));
	if (s->tiers.count > INVENTORY_TIERS)
		return err_set(e, ERR_UNSUPPORTED, "%zu tiers, at most %d can be listed",
		    s->tiers.count, INVENTORY_TIERS);
	answered = list_tiers(s, o, w, ret);
	ret->away = (size_t)__builtin_popcountll(ret->mute);
	if (answered == 0) {
		inventory_done(ret);
		return nobody(s, o, e);
	}
	warn_unlisted(s, ret, w);
	if (!o->names_only)
		facts(s, o, w, ret);
	return 0;
}

int
inventory_holds(struct session *s, struct record_holds *ret, struct err *e)
{
	int any = 0;

	*ret = (struct record_holds){ 0 };
	for (size_t i = 0; i < s->tiers.count && any == 0; i++) {
		if (s->tiers.tier[i].store)
			any = store_any(s->tiers.tier[i].store, "rec/hold/", e);
		if (any == -1)
			return err_in(e, "tier '%s'", s->tiers.tier[i].name);
	}
	if (any == 0)
		return 0;
	if (!s->repo && session_open_repo(s, SESSION_READ, e) == -1)
		return -1;
	return record_holds(s->repo, NULL, ret, e);
}

uint64_t
inventory_where(struct session *s, const char *name)
{
	struct store_stat st;
	uint64_t on = 0;

	for (size_t i = 0; i < s->tiers.count && i < INVENTORY_TIERS; i++) {
		struct tier *t = &s->tiers.tier[i];

		if (t->store && store_stat(t->store, name, &st, NULL) == 1)
			on |= UINT64_C(1) << i;
	}
	return on;
}

char *
inventory_tiers(const struct session *s, uint64_t on)
{
	struct buf text;
	char *copy;

	buf_init(&text, 1u << 16); /* names of 64 tiers */
	for (size_t i = 0; i < s->tiers.count && i < INVENTORY_TIERS; i++) {
		if (on >> i & 1)
			buf_addf(&text, "%s%s", text.len > 0 ? ", " : "", s->tiers.tier[i].name);
	}
	copy = xstrdup(buf_str(&text));
	buf_done(&text);
	return copy;
}
