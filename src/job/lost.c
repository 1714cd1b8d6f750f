/*
 * A pack or manifest that is nowhere ends a restore, and the next question is what can still be had.
 * That is answered here and now, by names alone: a snapshot all of whose packs lie on some tier is
 * worth the next try. Looking costs a request a pack, so it ends at a number of them, and then the
 * command is named.
 */
#include "job/lost.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/inventory.h"
#include "repo/manifest.h"
#include "repo/snapshot.h"

#define LOST_REQUESTS 4096 /* a second or two on a disk, a minute on a store far away */

static bool
anywhere(const struct session *s, const uint8_t sha[LAYOUT_SHA])
{
	char name[LAYOUT_NAME];
	struct store_stat st;

	layout_pack(sha, name);
	for (size_t i = 0; i < s->tiers.count; i++)
		if (s->tiers.tier[i].store &&
		    store_stat(s->tiers.tier[i].store, name, &st, NULL) == 1)
			return true;
	return false;
}

/* 1 every pack is somewhere, 0 not, or it cannot be read, or is partial; -1 that costs too much. */
static int
whole(struct session *s, const struct inventory_item *item, size_t *requests)
{
	struct manifest m;
	int rc = 0;

	manifest_init(&m);
	for (size_t i = 0; i < s->tiers.count && rc == 0; i++)
		rc = (item->on >> i & 1) && ++*requests <= LOST_REQUESTS &&
		    manifest_get(s->tiers.tier[i].store, item->name, s->repo->keys, &m, NULL) == 0;
	if (*requests > LOST_REQUESTS)
		rc = -1;
	if (rc == 1 && m.partial)
		rc = 0;
	for (size_t i = 0; i < m.packs && rc == 1; i++)
		rc = ++*requests > LOST_REQUESTS ? -1 : anywhere(s, m.pack[i].sha);
	manifest_done(&m);
	return rc;
}

/* 1 *ret is the place of the newest older one that is whole, 0 none is, -1 nobody knows. */
static int
newest_whole(struct session *s, const char *than, const struct inventory *inv, size_t *ret)
{
	size_t requests = 0;
	int rc = 0;

	for (size_t i = inv->count; i > 0 && rc == 0; i--) {
		if (strcmp(inv->item[i - 1].part.id, than) >= 0)
			continue;
		*ret = i - 1;
		rc = whole(s, &inv->item[i - 1], &requests);
	}
	return rc;
}

/* The line that names what can still be had of that source: 1 something, 0 nothing, -1 nobody knows. */
static int
possible(struct session *s, const struct layout_snap *part, const struct watch *w, struct err *e)
{
	const char *const source[] = { part->source };
	const struct inventory_options io = { .source = source, .sources = 1, .names_only = true };
	struct inventory inv = { 0 };
	size_t at = 0;
	int found = inventory_read(s, &io, w, &inv, NULL) == -1 ? -1 :
	    newest_whole(s, part->id, &inv, &at);

	if (found == 1)
		err_line(e, "possible", "%s, the newest older one whose packs are all there",
		    inv.item[at].part.id);
	else if (found == 0)
		err_line(e, "possible", "no older snapshot of %s has all of its packs on the tiers that "
		    "answer", part->source);
	inventory_done(&inv);
	return found;
}

bool
lost_explain(struct session *s, const struct opened *o, const struct watch *w, struct err *e)
{
	uint8_t sha[LAYOUT_SHA];

	if (e->kind != ERR_CORRUPT || !o->reader || !packs_lost(reader_packs(o->reader), sha))
		return false;
	packs_nowhere(reader_packs(o->reader), sha, e);
	err_in(e, "%s", o->part.id);
	possible(s, &o->part, w, e);
	err_line(e, "fix", "bring a tier back that has it; `ffdr verify --level 0 %s` says which "
	    "snapshots are whole", o->part.source);
	return true;
}

/* What the tiers say of a manifest that none of them gave. */
struct told {
	uint64_t away;	   /* may have it whole: cannot be asked, was silent, or let it not be read */
	struct err locked; /* one has it whole, and it does not open here: why; ERR_NONE: none has */
};

/* Each by itself: what one says outweighs nothing that another one may have. */
static void
hear(struct session *s, const char *name, struct told *ret)
{
	for (size_t i = 0; i < s->tiers.count && i < INVENTORY_TIERS; i++) {
		const struct tier *t = &s->tiers.tier[i];
		struct err why = { 0 };
		struct manifest m;

		if (!t->store && session_unasked(s, t))
			continue;
		/* One that was silent a moment ago is not waited for again. */
		if (!t->store || t->why.kind == ERR_REMOTE) {
			ret->away |= UINT64_C(1) << i;
			continue;
		}
		manifest_get(t->store, name, s->repo->keys, &m, &why);
		manifest_done(&m);
		if (why.kind == ERR_NONE || tier_leaves_open(why.kind))
			ret->away |= UINT64_C(1) << i;
		else if (ret->locked.kind == ERR_NONE && (why.kind == ERR_KEY ||
		    why.kind == ERR_UNSUPPORTED))
			ret->locked = why;
	}
}

/* It is no damage: what opens it is the way out, as the error of that tier says. */
static int
explain_locked(const struct session *s, const char *id, const struct err *why, struct err *e)
{
	const char *fix;
	size_t len = err_fix(why, &fix);

	e->kind = why->kind;
	if (len > 0)
		err_line(e, "fix", "%.*s", (int)len, fix);
	return s->as_of_ns != 0 && why->kind == ERR_KEY ? -1 : snapshot_unreadable(id, e);
}

/* Who may have it whole, or else what gives it up. older: as possible() says. */
static int
explain_damaged(const struct session *s, const struct opened *o, const struct told *told, int older,
    struct err *e)
{
	char *names;

	if (told->away != 0) {
		names = inventory_tiers(s, told->away);
		err_line(e, "fix", "bring back %s, which may have it whole", names);
		free(names);
		return -1;
	}
	if (older != 0)
		err_line(e, "fix", "name an older one: whether this one was damaged, or somebody put it "
		    "there, cannot be told");
	else
		err_line(e, "fix", "bring a tier back that has one whole");
	return s->as_of_ns != 0 ? -1 : err_line(e, "or", "`ffdr expire --discard %s --why TEXT` gives it "
	    "up for good: then %s means the newest of the others", o->part.id, o->part.source);
}

int
lost_manifest(struct session *s, const struct opened *o, const struct watch *w, struct err *e)
{
	struct told told = { 0 };
	char *name;
	int older;

	if (o->part.id[0] == '\0')
		return -1;
	if (e->kind == ERR_FROZEN)
		return snapshot_unreadable(o->part.id, e);
	if (e->kind != ERR_CORRUPT && e->kind != ERR_NOTFOUND && e->kind != ERR_KEY &&
	    e->kind != ERR_UNSUPPORTED)
		return -1;
	name = xasprintf("snap/%s", o->part.id);
	hear(s, name, &told);
	free(name);
	older = possible(s, &o->part, w, e);
	return told.locked.kind != ERR_NONE ? explain_locked(s, o->part.id, &told.locked, e) :
	    explain_damaged(s, o, &told, older, e);
}
