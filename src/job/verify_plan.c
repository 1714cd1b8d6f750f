/*
 * The sum that remaining time is made of. Manifests have the sizes of their packs, and many name
 * the same ones; so all manifests of all tiers are opened before the first pack, a second time to
 * what the verification does itself. That is worth its while only when somebody looks on, and it
 * is little beside reading packs.
 */
#include "job/verify_plan.h"

#include <stdlib.h>
#include <string.h>

#include "repo/manifest.h"
#include "repo/packset.h"

bool
verify_plan_wants(const struct verify_options *o, const struct snapshot *snap,
    char (*named)[LAYOUT_NAME])
{
	for (size_t i = 0; i < o->snapshots; i++)
		if (strcmp(named[i], snap->name) == 0)
			return true;
	for (size_t i = 0; i < o->sources; i++)
		if (strcmp(o->source[i], snap->part.source) == 0)
			return true;
	return o->snapshots == 0 && o->sources == 0;
}

/* Of one snapshot the packs that no earlier one named. */
static uint64_t
new_bytes(const struct session *s, struct store *from, const char *name, struct packset *seen)
{
	struct manifest m;
	uint64_t bytes = 0;

	manifest_init(&m);
	if (manifest_get(from, name, s->repo->keys, &m, NULL) == 0)
		for (size_t i = 0; i < m.packs; i++)
			bytes += packset_add(seen, m.pack[i].sha) ? m.pack[i].size : 0;
	manifest_done(&m);
	return bytes;
}

static uint64_t
tier_bytes(const struct session *s, struct store *from, const struct verify_options *o,
    char (*named)[LAYOUT_NAME], const struct watch *w)
{
	struct snapshot_list list = { 0 };
	struct packset seen = { 0 };
	uint64_t bytes = 0;

	if (snapshot_list_known(from, NULL, &list, NULL) == 0)
		for (size_t i = 0; i < list.count && !w->stop(w->arg); i++) {
			w->count(w->arg, "reading manifests", i, list.count);
			if (verify_plan_wants(o, &list.item[i], named))
				bytes += new_bytes(s, from, list.item[i].name, &seen);
		}
	snapshot_list_done(&list);
	packset_done(&seen);
	return bytes;
}

uint64_t
verify_plan_bytes(struct session *s, const struct verify_options *o, char (*named)[LAYOUT_NAME],
    const struct watch *w)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < s->tiers.count; i++) {
		const struct tier *t = &s->tiers.tier[i];

		if (t->store && (!o->tier || o->tier == t))
			bytes += tier_bytes(s, t->store, o, named, w);
	}
	return bytes;
}

/* ---- the order ---- */

struct ordering {
	struct verify_todo *item;
	size_t count;
	int level;
	const struct verify_unread *unread;
};

/*
 * It had its turn, whatever was found and however far one could look: who cannot be proved at that level,
 * for it lies in an archive or is broken, must not take the turn of all others for ever.
 */
static int
look_seen(void *arg, const struct record_proved *p)
{
	struct ordering *o = arg;

	for (size_t i = 0; i < o->count && p->asked >= o->level; i++)
		if (strcmp(o->item[i].snap->part.id, p->id) == 0 && p->time_ns > o->item[i].last_ns)
			o->item[i].last_ns = p->time_ns;
	return 0;
}

static void
unread(void *arg, const char *name, const struct err *why)
{
	const struct ordering *o = arg;

	o->unread->seen(o->unread->arg, name, why);
}

/* The oldest look first; of those without one the newest snapshot: it is what a restore wants. */
static int
by_need(const void *a, const void *b)
{
	const struct verify_todo *x = a, *y = b;

	if (x->last_ns != y->last_ns)
		return x->last_ns < y->last_ns ? -1 : 1;
	if (x->snap->part.time_ns != y->snap->part.time_ns)
		return x->snap->part.time_ns > y->snap->part.time_ns ? -1 : 1;
	return strcmp(x->snap->name, y->snap->name);
}

int
verify_plan_order(struct session *s, struct tier *t, int level, struct verify_todo *item, size_t n,
    const struct verify_unread *told, struct err *e)
{
	struct ordering o = { .item = item, .count = n, .level = level, .unread = told };
	const char *source = "";

	for (size_t i = 0; i < n; i++) {
		if (strcmp(source, item[i].snap->part.source) == 0)
			continue;
		source = item[i].snap->part.source;
		if (record_proofs(s->repo, t->store, RECORD_VERIFIED, source, look_seen, unread, &o,
		    e) == -1 || record_proofs(s->repo, t->store, RECORD_BROKEN, source, look_seen,
		    unread, &o, e) == -1)
			return -1;
	}
	if (n > 1)
		qsort(item, n, sizeof(*item), by_need);
	return 0;
}
