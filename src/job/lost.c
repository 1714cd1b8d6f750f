/*
 * A pack or manifest that is nowhere ends a restore, and the next question is what can still be had.
 * That is answered here and now, by names alone: a snapshot all of whose packs lie on some tier is
 * worth the next try. Looking costs a request a pack, so it ends at a number of them, and then the
 * command is named.
 */
#include "job/lost.h"

#include <stdlib.h>
#include <string.h>

#include "job/inventory.h"
#include "repo/manifest.h"

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

/* "regional, dr": who may have it whole and cannot be asked; NULL: nobody. The caller frees. */
static char *
away(const struct session *s)
{
	uint64_t mute = 0;

	for (size_t i = 0; i < s->tiers.count && i < INVENTORY_TIERS; i++)
		if (!s->tiers.tier[i].store && !session_unasked(s, &s->tiers.tier[i]))
			mute |= UINT64_C(1) << i;
	return mute == 0 ? NULL : inventory_tiers(s, mute);
}

int
lost_manifest(struct session *s, const struct opened *o, const struct watch *w, struct err *e)
{
	const char *id = o->part.id;
	char *mute;
	int older;

	if (id[0] == '\0' || (e->kind != ERR_CORRUPT && e->kind != ERR_NOTFOUND &&
	    e->kind != ERR_KEY && e->kind != ERR_UNSUPPORTED))
		return -1;
	older = possible(s, &o->part, w, e);
	mute = away(s);
	if (mute)
		err_line(e, "fix", "bring back %s, which may have it whole", mute);
	else if (older != 0)
		err_line(e, "fix", "name an older one: whether this one was damaged, or somebody put it "
		    "there, cannot be told");
	else
		err_line(e, "fix", "bring a tier back that has one whole");
	free(mute);
	return s->as_of_ns != 0 ? -1 : err_line(e, "or", "`ffdr expire --discard %s --why TEXT` gives it "
	    "up for good: then %s means the newest of the others", id, o->part.source);
}
