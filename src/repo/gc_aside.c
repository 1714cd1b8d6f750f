/*
 * A bad object was put out of the way because it may be all there is of something: readers still
 * take from it what proves itself. So two things must come together before it goes. A month has
 * passed, in which somebody could look at what that disk did. And nobody can want it: either the
 * object under its name is good, which is not believed but read and hashed now, or the tier has no
 * snapshot left that names it.
 *
 * Of a key, an identity or a record only the first will do: what names those is the repository. But
 * a proof that nobody can read proves nothing, and another was made since.
 */
#include "repo/gc_aside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/layout.h"
#include "repo/record.h"
#include "repo/scrub.h"
#include "store/aside.h"

#define PROOFS "rec/" RECORD_VERIFIED "/"
#define FLAWS "rec/" RECORD_BROKEN "/"

struct old_names {
	const struct gc_aside_options *o;
	char (*name)[ASIDE_NAME];
	size_t count, room;
};

static int
seen(void *arg, const struct store_entry *entry, struct err *e)
{
	struct old_names *l = arg;

	(void)e;
	if (l->o->now_ns - entry->time_ns <= GC_ASIDE_NS)
		return 0;
	l->name = mem_grow(l->name, &l->room, l->count + 1, sizeof(*l->name));
	snprintf(l->name[l->count++], sizeof(*l->name), "%s", entry->name);
	return 0;
}

/* 1 the name has a good object again, 0 not, -1 the store does not say. */
static int
good_again(const struct repo *r, struct tier *t, const char *name, struct err *e)
{
	uint8_t sha[LAYOUT_SHA];
	struct err why = { 0 };
	/* A pack is proved by its name; the others have to be opened for it. */
	enum scrub_level level = layout_pack_parse(name, sha) == 0 ? SCRUB_HASHED : SCRUB_OPENED;

	if (scrub_object(t->store, name, r->keys, level, &why) == 0)
		return 1;
	if (why.kind != ERR_REMOTE)
		return 0;
	*e = why;
	return -1;
}

/* Does no snapshot of the tier need that name any more? 1/0/-1. */
static int
unneeded(struct tier *t, const char *name, const struct packset *named, struct err *e)
{
	uint8_t sha[LAYOUT_SHA];
	struct layout_snap part;
	struct store_stat st;
	int there;

	if (layout_pack_parse(name, sha) == 0)
		return !packset_has(named, sha);
	if (strncmp(name, PROOFS, strlen(PROOFS)) == 0 || strncmp(name, FLAWS, strlen(FLAWS)) == 0)
		return 1;
	/* A manifest is set aside only once a good one was fetched; that one has been let go. */
	if (strncmp(name, "snap/", 5) != 0 || layout_snap_parse(name, &part) == -1)
		return 0;
	there = store_stat(t->store, name, &st, e);
	return there == -1 ? -1 : there == 0;
}

static int
may_go(const struct repo *r, struct tier *t, const char *aside, const struct packset *named,
    struct err *e)
{
	char name[ASIDE_NAME];
	int rc = unneeded(t, aside_plain(aside, name), named, e);

	return rc == 0 ? good_again(r, t, name, e) : rc;
}

int
gc_aside_sweep(struct repo *r, struct tier *t, const struct gc_aside_options *o, size_t *ret,
    struct err *e)
{
	struct old_names l = { .o = o };
	int rc = store_list(t->store, ASIDE_PREFIX, NULL, seen, &l, e);

	*ret = 0;
	for (size_t i = 0; i < l.count && rc != -1; i++) {
		if (o->interrupted != NULL && o->interrupted(o->arg)) {
			rc = err_set(e, ERR_CANCELLED, "the collection on '%s' was interrupted",
			    t->name);
			break;
		}
		rc = may_go(r, t, l.name[i], o->named, e);
		if (rc == 1 && !o->dry_run)
			rc = store_del(t->store, l.name[i], e) == -1 ? -1 : 1;
		*ret += rc == 1;
	}
	free(l.name);
	return rc == -1 ? -1 : 0;
}
