/*
 * What there is to be read, by listing alone. Names come in the order of LSNs, so a timeline of a
 * year without a hole is one range; and what is not asked for is jumped over: to find the timelines
 * of an epoch, one name of each is looked at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/walread_parts.h"

/* Behind any name that begins with the prefix before it: not of the alphabet. */
#define BEYOND "~"
#define AFTER (LAYOUT_NAME + sizeof(BEYOND))

static int
must_be_open(const struct tier *t, struct err *e)
{
	if (t->store != NULL)
		return 0;
	return err_set(e, t->why.kind == ERR_NONE ? ERR_REMOTE : t->why.kind, "tier '%s': %s",
	    t->name, t->why.kind == ERR_NONE ? "not opened" : t->why.text);
}

static int
list(struct tier *t, const char *prefix, const char *after, store_seen *seen, void *arg,
    struct err *e)
{
	struct err why = { 0 };

	if (store_list(t->store, prefix, after, seen, arg, &why) == 0)
		return 0;
	if (why.kind == ERR_REMOTE)
		t->why = why;
	return err_set(e, why.kind, "tier '%s': %s", t->name, why.text);
}

/* ---- ranges ---- */

/* The first object that has a byte of it may begin so much before it. */
static const char *
begin_before(uint64_t from, uint64_t most, const struct wal_place *p, uint32_t tli, bool bundles,
    char out[LAYOUT_NAME])
{
	if (from <= most)
		return NULL;
	return bundles ? layout_wal_bundle(p, tli, from - most, 0, out) :
			 layout_wal_piece(p, tli, from - most, 0, out);
}

static int
each(struct tier *t, const struct wal_place *p, uint32_t tli, uint64_t from, int what,
    store_seen *seen, void *arg, struct err *e)
{
	char prefix[LAYOUT_NAME], after[LAYOUT_NAME];

	if (must_be_open(t, e) == -1)
		return -1;
	layout_wal_of_timeline(p, tli, prefix);
	if ((what & WALREAD_PIECES) &&
	    list(t, prefix, begin_before(from, PIECE_MAX, p, tli, false, after), seen, arg, e) == -1)
		return -1;
	layout_wal_bundles_of_timeline(p, tli, prefix);
	return !(what & WALREAD_BUNDLES) ? 0 : list(t, prefix,
	    begin_before(from, LAYOUT_WAL_BUNDLE_SPAN, p, tli, true, after), seen, arg, e);
}

int
walread_each(struct tier *t, const struct wal_place *p, uint32_t tli, uint64_t from,
    store_seen *seen, void *arg, struct err *e)
{
	return each(t, p, tli, from, WALREAD_PIECES | WALREAD_BUNDLES, seen, arg, e);
}

struct looking {
	walread_seen *seen;
	void *arg;
	uint64_t bound; /* of the epoch being listed */
};

static int
see_log(void *arg, const struct store_entry *entry, struct err *e)
{
	struct looking *l = arg;
	struct layout_wal at;

	if (layout_wal_parse(entry->name, &at) == -1 || !layout_wal_is_log(&at) || at.start >= l->bound)
		return 0;
	at.end = at.end < l->bound ? at.end : l->bound;
	return l->seen(l->arg, entry, &at, e);
}

int
walread_log(struct walread *r, struct tier *t, uint32_t tli, uint64_t from, int what,
    walread_seen *seen, void *arg, struct err *e)
{
	struct looking l = { .seen = seen, .arg = arg };
	int rc = 0;

	for (size_t i = 0; i < r->lineage.levels && rc == 0; i++) {
		struct wal_place p = walread_place(r, i);

		l.bound = wal_lineage_bound(&r->lineage, i, tli);
		if (l.bound > from)
			rc = each(t, &p, tli, from, what, see_log, &l, e);
	}
	return rc;
}

static int
see_range(void *arg, const struct store_entry *entry, const struct layout_wal *at, struct err *e)
{
	(void)entry;
	(void)e;
	lsn_set_add(arg, at->start, at->end);
	return 0;
}

/* Only what begins at `from` or later, or may reach it; of the epochs that are known. */
static int
known_ranges(struct walread *r, struct tier *t, uint32_t tli, uint64_t from, struct lsn_set *ret,
    struct err *e)
{
	struct lsn_set set = { 0 };
	int rc = walread_log(r, t, tli, from, WALREAD_PIECES | WALREAD_BUNDLES, see_range, &set,
	    e);

	if (rc == 0)
		lsn_set_join(ret, &set);
	lsn_set_done(&set);
	return rc;
}

static int
must_be_whole(const struct walread *r, struct err *e)
{
	const struct wal_lineage *l = &r->lineage;

	if (l->unknown.kind == ERR_NONE)
		return 0;
	return err_set(e, l->unknown.kind, "where epoch %u comes from is not known: %s",
	    l->level[l->levels - 1].epoch, l->unknown.text);
}

static int
ranges_from(struct walread *r, struct tier *t, uint32_t tli, uint64_t from, struct lsn_set *ret,
    struct err *e)
{
	if (must_be_open(t, e) == -1 || must_be_whole(r, e) == -1)
		return -1;
	return known_ranges(r, t, tli, from, ret, e);
}

int
walread_ranges(struct walread *r, struct tier *t, uint32_t tli, struct lsn_set *ret,
    struct err *e)
{
	return ranges_from(r, t, tli, 0, ret, e);
}

int
walread_frontier(struct walread *r, struct tier *t, uint32_t tli, uint64_t from, uint64_t *ret,
    struct err *e)
{
	struct lsn_set set = { 0 };
	int rc = ranges_from(r, t, tli, from, &set, e);

	if (rc == 0)
		*ret = lsn_set_end(&set, from);
	lsn_set_done(&set);
	return rc;
}

int
walread_spool_ranges(struct walread *r, uint32_t tli, struct lsn_set *ret, struct err *e)
{
	for (size_t i = 0; i < r->lineage.levels && r->o.spool != NULL; i++) {
		uint64_t bound = wal_lineage_bound(&r->lineage, i, tli);
		struct wal_place p = walread_place(r, i);
		struct lsn_set set = { 0 };

		if (spool_dir_ranges(r->o.spool, &p, tli, &set, e) == -1) {
			lsn_set_done(&set);
			return -1;
		}
		for (size_t k = 0; k < set.count; k++)
			lsn_set_add(ret, set.range[k].from,
			    set.range[k].to < bound ? set.range[k].to : bound);
		lsn_set_done(&set);
	}
	return 0;
}

/* ---- timelines and places ---- */

struct first {
	char name[LAYOUT_NAME];
	bool found;
};

static int
see_first(void *arg, const struct store_entry *entry, struct err *e)
{
	struct first *f = arg;

	(void)e;
	if (strlen(entry->name) >= sizeof(f->name))
		return 0;
	memcpy(f->name, entry->name, strlen(entry->name) + 1);
	f->found = true;
	return -1;
}

/* The first name below prefix behind after: 1, 0 there is none, -1. */
static int
first_behind(struct tier *t, const char *prefix, const char *after, char name[LAYOUT_NAME],
    struct err *e)
{
	struct first f = { 0 };

	if (list(t, prefix, after, see_first, &f, e) == -1 && !f.found)
		return -1;
	if (!f.found)
		return 0;
	err_clear(e); /* ending the listing looked like a failure */
	memcpy(name, f.name, sizeof(f.name));
	return 1;
}

struct behind {
	uint64_t from, bound;
	bool found;
};

/* A bundle may begin before it and have it all the same. */
static int
see_behind(void *arg, const struct store_entry *entry, struct err *e)
{
	struct behind *b = arg;
	struct layout_wal at;

	(void)e;
	if (layout_wal_parse(entry->name, &at) == -1 || at.end <= b->from || at.start >= b->bound)
		return 0;
	b->found = true;
	return -1;
}

/* One epoch on one tier. */
static int
tier_behind(struct walread *r, struct tier *t, size_t level, uint32_t tli, uint64_t from,
    struct err *e)
{
	struct behind b = { .from = from, .bound = wal_lineage_bound(&r->lineage, level, tli) };
	struct wal_place p = walread_place(r, level);
	char prefix[LAYOUT_NAME], after[LAYOUT_NAME], name[LAYOUT_NAME];
	struct layout_wal at;
	int got;

	if (b.bound <= from)
		return 0;
	layout_wal_of_timeline(&p, tli, prefix);
	layout_wal_piece(&p, tli, from, 0, after);
	got = first_behind(t, prefix, after, name, e);
	if (got == -1 || (got == 1 && layout_wal_parse(name, &at) == 0 && at.start < b.bound))
		return got;
	layout_wal_bundles_of_timeline(&p, tli, prefix);
	got = list(t, prefix, begin_before(from, LAYOUT_WAL_BUNDLE_SPAN, &p, tli, true, after),
	    see_behind, &b, e);
	if (got == -1 && !b.found)
		return -1;
	err_clear(e);
	return b.found;
}

int
walread_behind(struct walread *r, uint32_t tli, uint64_t from, struct err *e)
{
	struct lsn_set held = { 0 };
	int got = must_be_whole(r, e);

	for (size_t i = 0; got == 0 && i < r->o.tiers; i++) {
		got = must_be_open(r->tier[i], e);
		for (size_t k = 0; got == 0 && k < r->lineage.levels; k++)
			got = tier_behind(r, r->tier[i], k, tli, from, e);
	}
	if (got == 0)
		got = walread_spool_ranges(r, tli, &held, e);
	if (got == 0 && held.count > 0)
		got = held.range[held.count - 1].to > from;
	lsn_set_done(&held);
	return got;
}

static void
add_timeline(struct walread_timelines *l, uint32_t tli)
{
	size_t i = 0;

	while (i < l->count && l->tli[i] < tli)
		i++;
	if (i < l->count && l->tli[i] == tli)
		return;
	l->tli = xreallocarray(l->tli, l->count + 1, sizeof(*l->tli));
	memmove(l->tli + i + 1, l->tli + i, (l->count - i) * sizeof(*l->tli));
	l->tli[i] = tli;
	l->count++;
}

/* Those of one level that have pieces or a history, or bundles. */
static int
timelines_of(struct walread *r, size_t level, bool bundles, struct tier *t,
    struct walread_timelines *ret, struct err *e)
{
	struct wal_place p = walread_place(r, level);
	char prefix[LAYOUT_NAME], name[LAYOUT_NAME], after[AFTER] = "";
	struct layout_wal at;
	int rc;

	if (bundles)
		layout_wal_bundles_of_place(&p, prefix);
	else
		layout_wal_of_place(&p, prefix);
	while ((rc = first_behind(t, prefix, after[0] == '\0' ? NULL : after, name, e)) == 1) {
		snprintf(after, sizeof(after), "%s", name);
		if (name[strlen(prefix)] > 'f') /* no hex digit: lost/, other/ */
			return 0;
		if (layout_wal_parse(name, &at) == -1 || at.tli == 0)
			continue;
		if (wal_lineage_bound(&r->lineage, level, at.tli) > 0)
			add_timeline(ret, at.tli);
		if (!layout_wal_is_log(&at))
			continue;
		if (bundles)
			layout_wal_bundles_of_timeline(&p, at.tli, name);
		else
			layout_wal_of_timeline(&p, at.tli, name);
		snprintf(after, sizeof(after), "%s" BEYOND, name);
	}
	return rc;
}

int
walread_timelines(struct walread *r, struct tier *t, struct walread_timelines *ret, struct err *e)
{
	int rc = must_be_open(t, e);

	*ret = (struct walread_timelines){ 0 };
	for (size_t i = 0; i < r->lineage.levels && rc == 0; i++)
		if ((rc = timelines_of(r, i, false, t, ret, e)) == 0)
			rc = timelines_of(r, i, true, t, ret, e);
	return rc;
}

int
walread_newest(struct walread *r, struct tier *t, uint32_t *tli, uint64_t *end, struct err *e)
{
	struct walread_timelines found = { 0 };
	struct lsn_set held = { 0 };
	int rc = walread_timelines(r, t, &found, e);

	/* What is older may lie in a parent that is not known; the newest does not. */
	if (rc == 0 && found.count == 0)
		rc = must_be_whole(r, e);
	/* Of the very last there may be nothing but its history yet. */
	for (size_t i = found.count; rc == 0 && i-- > 0 && held.count == 0;) {
		*tli = found.tli[i];
		rc = known_ranges(r, t, *tli, 0, &held, e);
	}
	if (rc == 0 && held.count > 0) {
		*end = held.range[held.count - 1].to;
		rc = 1;
	}
	lsn_set_done(&held);
	free(found.tli);
	return rc;
}

static int
by_number(const void *a, const void *b)
{
	const struct wal_place *x = a, *y = b;

	if (x->sysid != y->sysid)
		return x->sysid < y->sysid ? -1 : 1;
	return x->epoch < y->epoch ? -1 : x->epoch > y->epoch;
}

static void
add_place(struct walread_places *l, const struct wal_place *p)
{
	for (size_t i = 0; i < l->count; i++)
		if (by_number(&l->place[i], p) == 0)
			return;
	l->place = xreallocarray(l->place, l->count + 1, sizeof(*l->place));
	l->place[l->count++] = *p;
}

static int
places_of(struct tier *t, const char *source, bool bundles, struct walread_places *ret,
    struct err *e)
{
	char prefix[LAYOUT_NAME], name[LAYOUT_NAME], after[AFTER] = "";
	struct layout_wal at;
	int rc;

	if (bundles)
		layout_wal_bundles_of_source(source, prefix);
	else
		layout_wal_of_source(source, prefix);
	while ((rc = first_behind(t, prefix, after[0] == '\0' ? NULL : after, name, e)) == 1) {
		snprintf(after, sizeof(after), "%s", name);
		if (layout_wal_parse(name, &at) == -1)
			continue;
		add_place(ret, &at.place);
		if (bundles)
			layout_wal_bundles_of_place(&at.place, name);
		else
			layout_wal_of_place(&at.place, name);
		snprintf(after, sizeof(after), "%s" BEYOND, name);
	}
	return rc;
}

int
walread_places(struct tier *t, const char *source, struct walread_places *ret, struct err *e)
{
	int rc = must_be_open(t, e);

	*ret = (struct walread_places){ 0 };
	if (rc == 0)
		rc = places_of(t, source, false, ret, e);
	if (rc == 0)
		rc = places_of(t, source, true, ret, e);
	if (ret->count > 1)
		qsort(ret->place, ret->count, sizeof(*ret->place), by_number);
	return rc;
}
