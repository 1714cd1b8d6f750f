/*
 * The pack table while it is made. The parent's packs and the new ones are one sorted run of
 * numbers, so the table needs no sorting; packs that nothing wants any more are left out, and only
 * their numbers stay used for ever.
 */
#include "repo/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct ledger {
	const struct manifest *parent;
	uint32_t *parent_wanted; /* by place in the parent's table */
	uint32_t first;		 /* number of pack[0] */
	struct manifest_pack *pack;
	size_t packs, room;
};

struct ledger *
ledger_new(const struct manifest *parent)
{
	struct ledger *l = xcalloc(1, sizeof(*l));

	l->parent = parent;
	if (parent) {
		l->first = parent->next_pack;
		l->parent_wanted = xcalloc(parent->packs + 1, sizeof(*l->parent_wanted));
	}
	return l;
}

void
ledger_free(struct ledger *l)
{
	if (!l)
		return;
	free(l->parent_wanted);
	free(l->pack);
	free(l);
}

uint32_t
ledger_next(struct ledger *l)
{
	uint32_t number = l->first + (uint32_t)l->packs;

	l->pack = mem_grow(l->pack, &l->room, l->packs + 1, sizeof(*l->pack));
	l->pack[l->packs++] = (struct manifest_pack){.number = number};
	return number;
}

void
ledger_stored(struct ledger *l, const struct packer_pack *p, int64_t time_ns)
{
	struct manifest_pack *k = &l->pack[p->number - l->first];

	memcpy(k->sha, p->sha, LAYOUT_SHA);
	memcpy(k->epoch, p->epoch, LAYOUT_EPOCH);
	k->size = p->size;
	k->grains = p->grains;
	k->time_ns = time_ns;
}

int
ledger_want(struct ledger *l, uint32_t number, uint32_t grains, struct err *e)
{
	const struct manifest_pack *k;

	if (number >= l->first) {
		if (number - l->first >= l->packs)
			return err_set(e, ERR_BUG, "pack %u was never begun", number);
		l->pack[number - l->first].wanted += grains;
		return 0;
	}
	k = manifest_pack(l->parent, number);
	if (!k)
		return err_set(e, ERR_BUG, "pack %u is not the parent's", number);
	l->parent_wanted[k - l->parent->pack] += grains;
	return 0;
}

void
ledger_end(struct ledger *l, struct manifest *m)
{
	size_t old = l->parent ? l->parent->packs : 0;

	m->pack = xreallocarray(NULL, old + l->packs + 1, sizeof(*m->pack));
	m->pack_room = old + l->packs + 1;
	m->packs = 0;
	for (size_t i = 0; i < old; i++) {
		if (l->parent_wanted[i] == 0)
			continue;
		m->pack[m->packs] = l->parent->pack[i];
		m->pack[m->packs++].wanted = l->parent_wanted[i];
	}
	for (size_t i = 0; i < l->packs; i++)
		if (l->pack[i].wanted > 0)
			m->pack[m->packs++] = l->pack[i];
	m->next_pack = l->first + (uint32_t)l->packs;
}
