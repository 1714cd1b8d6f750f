/*
 * Each verification leaves a record for each snapshot, and every expiry reads them all: a source
 * that is verified weekly would be slower by that each week, for ever. What counts is only the last
 * word about a snapshot that is there. Holds, and what a person let go of, are few, outweigh each
 * other across tiers, and are no business of this.
 */
#include "repo/record_tidy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/record.h"

struct proof {
	char name[LAYOUT_NAME]; /* of the record: newer ones of a kind sort behind */
	char id[96];
	int level, asked;
	int64_t time_ns;
};
struct proofs {
	struct proof *item;
	size_t count, room;
};

static int
see(void *arg, const struct record_proved *of)
{
	struct proofs *l = arg;
	struct proof *p;

	l->item = mem_grow(l->item, &l->room, l->count + 1, sizeof(*l->item));
	p = &l->item[l->count++];
	*p = (struct proof){ .level = of->level, .asked = of->asked, .time_ns = of->time_ns };
	snprintf(p->name, sizeof(p->name), "%s", of->name);
	snprintf(p->id, sizeof(p->id), "%s", of->id);
	return 0;
}

static int
order(const void *a, const void *b)
{
	const struct proof *x = a, *y = b;
	int rc = strcmp(x->id, y->id);

	if (rc == 0)
		rc = x->level - y->level;
	if (rc == 0)
		rc = x->asked - y->asked;
	return rc != 0 ? rc : strcmp(x->name, y->name);
}

/* Sorted, the last about a snapshot, level and what was asked is the newest. */
static bool
outdated(const struct proofs *l, size_t i)
{
	return i + 1 < l->count && l->item[i].level == l->item[i + 1].level &&
	    l->item[i].asked == l->item[i + 1].asked &&
	    strcmp(l->item[i].id, l->item[i + 1].id) == 0;
}

static int
tidy_kind(const struct repo *r, struct store *s, const char *kind, const struct record_tidying *how,
    struct err *e)
{
	struct proofs l = { 0 };
	int rc = record_proofs(r, s, kind, how->source, see, NULL, &l, e), gone = 0;

	if (l.count > 0)
		qsort(l.item, l.count, sizeof(*l.item), order);
	for (size_t i = 0; i < l.count && rc == 0; i++) {
		const struct proof *p = &l.item[i];

		if (p->time_ns >= how->before_ns || (!outdated(&l, i) && how->there(how->arg, p->id)))
			continue;
		rc = store_del(s, p->name, e) == -1 ? -1 : 0;
		gone++;
	}
	free(l.item);
	return rc == -1 ? -1 : gone;
}

int
record_tidy(const struct repo *r, struct store *s, const struct record_tidying *how, struct err *e)
{
	int verified = tidy_kind(r, s, RECORD_VERIFIED, how, e), broken;

	broken = verified == -1 ? -1 : tidy_kind(r, s, RECORD_BROKEN, how, e);
	return broken == -1 ? -1 : verified + broken;
}
