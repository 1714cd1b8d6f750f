/*
 * Few packs are asked for one by one, many by listing: a listing costs what the store holds, a
 * question what the snapshot holds, and a store in the network answers a thousand names at the
 * price of one question.
 */
#include "repo/presence.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Up to here one by one. */
#define ASK_EACH 64

struct presence {
	const struct manifest *m;
	const struct manifest_pack **by_name;
	bool *there;
};

static int
by_sha(const void *a, const void *b)
{
	const struct manifest_pack *const *x = a, *const *y = b;

	return memcmp((*x)->sha, (*y)->sha, LAYOUT_SHA);
}

static int
see_pack(void *arg, const struct store_entry *entry, struct err *e)
{
	struct presence *p = arg;
	struct manifest_pack key;
	const struct manifest_pack *k = &key, **hit;

	(void)e;
	if (layout_pack_parse(entry->name, key.sha) == -1)
		return 0;
	hit = bsearch(&k, p->by_name, p->m->packs, sizeof(*p->by_name), by_sha);
	if (hit && (*hit)->size == entry->size)
		p->there[*hit - p->m->pack] = true;
	return 0;
}

static int
list_packs(struct store *s, struct presence *p, struct err *e)
{
	int rc;

	p->by_name = xcalloc(p->m->packs, sizeof(*p->by_name));
	for (size_t i = 0; i < p->m->packs; i++)
		p->by_name[i] = &p->m->pack[i];
	qsort(p->by_name, p->m->packs, sizeof(*p->by_name), by_sha);
	rc = store_list(s, "pack/", NULL, see_pack, p, e);
	free(p->by_name);
	return rc;
}

static int
ask_packs(struct store *s, struct presence *p, struct err *e)
{
	char name[LAYOUT_NAME];
	struct store_stat st;

	for (size_t i = 0; i < p->m->packs; i++) {
		const struct manifest_pack *k = &p->m->pack[i];
		int got = store_stat(s, layout_pack(k->sha, name), &st, e);

		if (got == -1)
			return -1;
		p->there[i] = got == 1 && st.size == k->size;
	}
	return 0;
}

int
presence_check(struct store *s, const struct manifest *m, bool *there, struct err *e)
{
	struct presence p = {.m = m, .there = there};

	memset(there, 0, m->packs * sizeof(*there));
	return m->packs > ASK_EACH ? list_packs(s, &p, e) : ask_packs(s, &p, e);
}
