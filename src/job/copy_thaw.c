/*
 * An order takes hours whatever is in it. If each snapshot ordered its own when its turn comes, a tier
 * that is made anew would wait as often as it gets snapshots. What a copy reads is known before: packs
 * from the manifests, which no archive class holds, and bundles of WAL from listings.
 *
 * It is a forecast and no more. Each copy looks again at what it needs (job/thaw.h), and finds it there.
 */
#include "job/copy_thaw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/wal/wal_copy.h"
#include "repo/packset.h"

#define PACKS "pack/"

struct target {
	struct packset has; /* or is about to get */
	bool listed;
};

/* A base backup that is about to come. */
struct coming {
	const struct tier *to;
	char source[64];
	struct pg_facts facts;
};

struct copy_thaw {
	struct session *s;
	const struct watch *watch;
	struct target *target; /* of each tier of the session */
	struct thaw_object *item;
	size_t count, room;
	struct coming *base;
	size_t bases, base_room;
};

struct copy_thaw *
copy_thaw_new(struct session *s, const struct watch *w)
{
	struct copy_thaw *c = xcalloc(1, sizeof(*c));

	c->s = s;
	c->watch = w;
	c->target = xcalloc(s->tiers.count + 1, sizeof(*c->target));
	return c;
}

void
copy_thaw_free(struct copy_thaw *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->s->tiers.count; i++)
		packset_done(&c->target[i].has);
	free(c->target);
	free(c->item);
	free(c->base);
	free(c);
}

bool
copy_thaw_may(const struct session *s, const struct tier *to)
{
	for (size_t i = 0; i < s->tiers.count; i++) {
		const struct tier *t = &s->tiers.tier[i];

		if (t != to && t->archive && t->store)
			return true;
	}
	return false;
}

static void
add(void *arg, const char *name, uint64_t size)
{
	struct copy_thaw *c = arg;
	struct thaw_object *o;

	c->item = mem_grow(c->item, &c->room, c->count + 1, sizeof(*c->item));
	o = &c->item[c->count++];
	snprintf(o->name, sizeof(o->name), "%s", name);
	o->size = size;
}

/* ---- snapshots ---- */

static int
see(void *arg, const struct store_entry *entry, struct err *e)
{
	struct target *t = arg;
	uint8_t sha[LAYOUT_SHA];

	(void)e;
	if (layout_pack_parse(entry->name, sha) == 0)
		packset_add(&t->has, sha);
	return 0;
}

static void
add_packs(struct copy_thaw *c, const struct tier *to, const struct manifest *m)
{
	struct target *t = &c->target[to - c->s->tiers.tier];
	struct err why = { 0 };
	char name[LAYOUT_NAME];

	/* Once: what the tier gets meanwhile comes from here. */
	if (!t->listed)
		t->listed = store_list(to->store, PACKS, NULL, see, t, &why) == 0;
	for (size_t i = 0; t->listed && i < m->packs; i++)
		if (packset_add(&t->has, m->pack[i].sha))
			add(c, layout_pack(m->pack[i].sha, name), m->pack[i].size);
}

static void
add_base(struct copy_thaw *c, struct tier *to, const struct manifest *m)
{
	const struct wal_copy_need need = { .seen = add, .arg = c };
	struct err why = { 0 };
	struct coming *b;
	struct pg_facts f;

	if (pg_facts_read(m, &f, &why) != 1)
		return;
	wal_copy_need_base(c->s, m->source, &f, to, c->watch, &need, &why);
	c->base = mem_grow(c->base, &c->base_room, c->bases + 1, sizeof(*c->base));
	b = &c->base[c->bases++];
	*b = (struct coming){ .to = to, .facts = f };
	snprintf(b->source, sizeof(b->source), "%s", m->source);
}

void
copy_thaw_snapshot(struct copy_thaw *c, struct tier *from, struct tier *to, const char *name)
{
	struct tier_set *set = &c->s->tiers;
	struct tier *t;
	bool got = false;

	for (size_t i = 0; !got && (t = tier_turn(set, from, i)) != NULL; i++) {
		struct err why = { 0 };
		struct manifest m;

		if (t == to || !t->store)
			continue;
		manifest_init(&m);
		got = manifest_get(t->store, name, c->s->repo->keys, &m, &why) == 0;
		if (got) {
			add_packs(c, to, &m);
			add_base(c, to, &m);
		}
		manifest_done(&m);
	}
}

/* ---- WAL ---- */

void
copy_thaw_wal(struct copy_thaw *c, const struct conf_source *source, struct tier *to)
{
	struct pg_facts *base = xcalloc(c->bases + 1, sizeof(*base));
	struct wal_copy_need need = { .seen = add, .arg = c, .base = base };
	struct err why = { 0 };

	for (size_t i = 0; i < c->bases; i++)
		if (c->base[i].to == to && strcmp(c->base[i].source, source->name) == 0)
			base[need.bases++] = c->base[i].facts;
	wal_copy_need_between(c->s, source, to, c->watch, &need, &why);
	free(base);
}

/* ---- the order ---- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct thaw_object *)a)->name, ((const struct thaw_object *)b)->name);
}

int
copy_thaw_order(struct copy_thaw *c, const struct thaw_wish *wish, struct tier *never,
    const struct watch *w, struct err *e)
{
	const struct thaw_options o = { .wish = wish, .never = never, .watch = w };
	struct thaw *t;
	size_t kept = 0;
	int rc;

	if (c->count == 0)
		return 0;
	qsort(c->item, c->count, sizeof(*c->item), by_name);
	for (size_t i = 0; i < c->count; i++)
		if (kept == 0 || strcmp(c->item[kept - 1].name, c->item[i].name) != 0)
			c->item[kept++] = c->item[i];
	c->count = kept;
	t = thaw_new(c->s, &o);
	rc = thaw_objects(t, c->item, c->count, e);
	thaw_free(t);
	return rc;
}
