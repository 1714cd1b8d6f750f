/*
 * Collection without locks: everything here may run beside any number of writers, copiers and other
 * collections. What makes that sound is order.
 *
 *   1. pend/ is listed and read before snap/ is listed. A copier puts its snap/ name before it
 *      removes its
 *	pend/ name, so a copy that vanishes while we look is seen under one of the two.
 *   2. What this run may delete is on a list that it wrote itself before it looked at anything, and
 *      that list
 *	stays for a day: a copier finds it if we could not find the copier (repo/pend.c). Without it two
 *	collections could delete a pack twice, with a copier's new one in between.
 *   3. Nothing is deleted later than an hour after all this began; a copier that relies on what it
 *      found waits longer.
 *
 * Ages are taken against the time at which the run began: a pack that was old then belongs to a run
 * that committed before we listed the manifests, or never will.
 */
#include "repo/gc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/gc_aside.h"
#include "repo/manifest.h"
#include "repo/packset.h"
#include "repo/pend.h"
#include "repo/record.h"
#include "repo/snapshot.h"
#include "repo/tomb.h"
#include "repo/wall.h"

#define REST_NS (24 * LAYOUT_HOUR_NS)
/* From the first look to the last deletion. Copiers count on it: PEND_SETTLE_NS is longer. */
#define SWEEP_NS LAYOUT_HOUR_NS

struct name {
	char text[LAYOUT_NAME];
	int64_t time_ns;
};
struct names {
	struct name *item;
	size_t count, room;
};
struct doomed {
	uint8_t sha[LAYOUT_SHA];
	uint64_t size;
};

struct collection {
	struct repo *r;
	struct tier *t;
	const struct gc_options *o;
	struct gc_report *report;
	int64_t longest_ns;
	int64_t now_ns;	  /* the store's, before anything was listed */
	int64_t begin_ns; /* boot time then */
	struct packset named;
	struct tomb_lists lists;
	struct packset condemned; /* of lists.rested what is still there, and on our own list */
	struct packset candidate;
	struct doomed *doomed;
	size_t dooms, doom_room;
};

enum gc_verdict
gc_judge(const struct gc_pack *p, int64_t longest_ns)
{
	if (p->named)
		return GC_NAMED;
	if (p->age_ns <= longest_ns + LAYOUT_HOUR_NS)
		return GC_YOUNG;
	if (p->condemned)
		return GC_DELETE;
	return p->waiting ? GC_WAITING : GC_CANDIDATE;
}

static int
interrupted(const struct collection *c, struct err *e)
{
	if (c->o->interrupted == NULL || !c->o->interrupted(c->o->arg))
		return 0;
	return err_set(e, ERR_CANCELLED, "the collection on '%s' was interrupted", c->t->name);
}

/* ---- marking ---- */

static int
name_seen(void *arg, const struct store_entry *entry, struct err *e)
{
	struct names *l = arg;
	struct layout_snap part;

	if (layout_snap_parse(entry->name, &part) == -1) {
		err_set(e, ERR_CORRUPT, "'%s' has no form that is known there, so nothing is collected",
		    entry->name);
		return err_line(e, "fix", "move it elsewhere, or use the version of ffdr that made it");
	}
	l->item = mem_grow(l->item, &l->room, l->count + 1, sizeof(*l->item));
	snprintf(l->item[l->count].text, LAYOUT_NAME, "%s", entry->name);
	l->item[l->count++].time_ns = entry->time_ns;
	return 0;
}

static void
unreadable(const struct collection *c, const char *name, struct err *e)
{
	const char *id = strchr(name, '/') + 1;

	err_in(e, "'%s' cannot be read, so nothing is collected on '%s'", name, c->t->name);
	if (strncmp(name, "snap/", 5) == 0) {
		snapshot_unreadable(id, e);
	} else {
		err_line(e, "fix", "run the copy again; a copy under way that nobody finishes is "
		    "dropped after 7 days");
	}
}

/* Everything the manifest names is named. A name that is gone since the listing names nothing. */
static int
mark_manifest(struct collection *c, const char *name, struct err *e)
{
	struct err why = { 0 };
	struct manifest m;
	int rc = -1;

	manifest_init(&m);
	if (interrupted(c, e) == -1)
		goto out;
	if (manifest_get(c->t->store, name, c->r->keys, &m, &why) == 0) {
		for (size_t i = 0; i < m.packs; i++)
			packset_add(&c->named, m.pack[i].sha);
		rc = 1;
	} else if (why.kind == ERR_NOTFOUND) {
		rc = 0;
	} else {
		*e = why;
		unreadable(c, name, e);
	}
out:
	manifest_done(&m);
	return rc;
}

static int
drop_pend(struct collection *c, const char *name, struct err *e)
{
	c->report->pends_dropped++;
	return c->o->dry_run || store_del(c->t->store, name, e) != -1 ? 0 : -1;
}

static int
mark_all(struct collection *c, const char *prefix, struct err *e)
{
	struct names l = { 0 };
	int rc = -1, got;

	if (store_list(c->t->store, prefix, NULL, name_seen, &l, e) == -1)
		goto out;
	for (size_t i = 0; i < l.count; i++) {
		if (strncmp(prefix, "pend/", 5) == 0 &&
		    c->now_ns - l.item[i].time_ns > PEND_LIFE_NS) {
			if (drop_pend(c, l.item[i].text, e) == -1)
				goto out;
			continue;
		}
		got = mark_manifest(c, l.item[i].text, e);
		if (got == -1)
			goto out;
		if (strncmp(prefix, "snap/", 5) == 0)
			c->report->snapshots += (size_t)got;
	}
	rc = 0;
out:
	free(l.item);
	return rc;
}

/* ---- packs ---- */

static int
condemn_seen(void *arg, const struct store_entry *entry, struct err *e)
{
	struct collection *c = arg;
	uint8_t sha[LAYOUT_SHA];

	(void)e;
	if (layout_pack_parse(entry->name, sha) == 0 && packset_has(&c->lists.rested, sha) &&
	    c->condemned.count < TOMB_PACKS_MOST)
		packset_add(&c->condemned, sha);
	return 0;
}

/* What the rested lists allow and is still there goes on a list of this run's own; see the top. */
static int
condemn(struct collection *c, struct err *e)
{
	if (c->lists.rested.count == 0)
		return 0;
	if (store_list(c->t->store, "pack/", NULL, condemn_seen, c, e) == -1)
		return -1;
	if (c->condemned.count == 0 || c->o->dry_run)
		return 0;
	return tomb_put(c->r, c->t, c->now_ns, &c->condemned, e);
}

static int
pack_seen(void *arg, const struct store_entry *entry, struct err *e)
{
	struct collection *c = arg;
	struct gc_report *rep = c->report;
	struct gc_pack p = { .age_ns = c->now_ns - entry->time_ns };
	uint8_t sha[LAYOUT_SHA];

	(void)e;
	if (layout_pack_parse(entry->name, sha) == -1)
		return 0;
	p.named = packset_has(&c->named, sha);
	p.waiting = packset_has(&c->lists.fresh, sha);
	p.condemned = packset_has(&c->condemned, sha);
	rep->packs++;
	switch (gc_judge(&p, c->longest_ns)) {
	case GC_NAMED:
		rep->referenced++;
		break;
	case GC_YOUNG:
		rep->young++;
		break;
	case GC_WAITING:
		rep->waiting++;
		break;
	case GC_CANDIDATE:
		if (c->candidate.count < TOMB_PACKS_MOST && packset_add(&c->candidate, sha))
			rep->candidate_bytes += entry->size;
		break;
	case GC_DELETE:
		c->doomed = mem_grow(c->doomed, &c->doom_room, c->dooms + 1, sizeof(*c->doomed));
		memcpy(c->doomed[c->dooms].sha, sha, LAYOUT_SHA);
		c->doomed[c->dooms++].size = entry->size;
		break;
	}
	return 0;
}

/* True when the hour is over; the rest then waits for the next run. */
static bool
too_late(struct collection *c)
{
	if (clock_boot_ns() - c->begin_ns < SWEEP_NS)
		return false;
	snprintf(c->report->stopped, sizeof(c->report->stopped),
	    "an hour after its listing %zu packs were left to delete: the next run goes on",
	    c->dooms - c->report->deleted);
	return true;
}

static int
sweep(struct collection *c, struct err *e)
{
	char name[LAYOUT_NAME];

	for (size_t i = 0; i < c->dooms; i++) {
		if (interrupted(c, e) == -1)
			return -1;
		if (too_late(c))
			return 0;
		if (!c->o->dry_run &&
		    store_del(c->t->store, layout_pack(c->doomed[i].sha, name), e) == -1)
			return -1;
		c->report->deleted++;
		c->report->deleted_bytes += c->doomed[i].size;
	}
	return 0;
}

/* New candidates become a list; lists that were carried out go. */
static int
settle_lists(struct collection *c, struct err *e)
{
	c->report->candidates = c->candidate.count;
	if (c->o->dry_run)
		return 0;
	if (c->candidate.count > 0 && tomb_put(c->r, c->t, c->now_ns, &c->candidate, e) == -1)
		return -1;
	for (size_t i = 0; i < c->lists.olds && c->report->stopped[0] == '\0'; i++)
		if (store_del(c->t->store, c->lists.old[i], e) == -1)
			return -1;
	return 0;
}

static int
sweep_aside(struct collection *c, struct err *e)
{
	const struct gc_aside_options o = {
		.named = &c->named, .now_ns = c->now_ns, .dry_run = c->o->dry_run,
		.interrupted = c->o->interrupted, .arg = c->o->arg,
	};

	return c->report->stopped[0] != '\0' ? 0 :
	    gc_aside_sweep(c->r, c->t, &o, &c->report->aside, e);
}

static int
refuse_held(const struct collection *c, struct err *e)
{
	struct record_holds holds = { 0 };
	bool held;

	if (record_holds(c->r, c->t, &holds, e) == -1) {
		record_holds_done(&holds);
		return -1;
	}
	held = record_held(&holds, "*");
	record_holds_done(&holds);
	if (!held)
		return 0;
	err_set(e, ERR_REFUSED, "tier '%s' is on hold: nothing is collected there", c->t->name);
	return err_line(e, "fix", "release the hold of '*' once its reason is gone");
}

/*
 * Where not one manifest is to be seen, all is garbage: but a tier whose snap/ is not there (moved,
 * not mounted, deleted by hand, or not yet there while somebody copies the tier) looks the same.
 */
static int
refuse_empty(const struct collection *c, struct err *e)
{
	const struct gc_report *rep = c->report;

	if (rep->snapshots > 0 || rep->packs == rep->young + rep->referenced || c->o->empty_is_right)
		return 0;
	err_set(e, ERR_REFUSED, "'%s' has %zu packs and not one snapshot: nothing is collected there",
	    c->t->name, rep->packs);
	err_line(e, "fix", "bring snap/ back, or let the next backup or copy come first");
	return err_line(e, "or", "where all snapshots were let go of: `ffdr gc --tier %s "
	    "--yes-nothing-is-kept`", c->t->name);
}

int
gc_collect(struct repo *r, struct tier *t, const struct gc_options *o, struct gc_report *ret,
    struct err *e)
{
	struct collection c = {
		.r = r,
		.t = t,
		.o = o,
		.report = ret,
		.longest_ns = o->longest_ns ? o->longest_ns : LAYOUT_W_NS,
		.begin_ns = clock_boot_ns(),
	};
	int64_t rest_ns = o->rest_ns ? o->rest_ns : REST_NS;
	int rc = -1;

	memset(ret, 0, sizeof(*ret));
	if (wall_now(r, t, &c.now_ns, e) == -1 || refuse_held(&c, e) == -1)
		goto out;
	if (tomb_read(r, t, c.now_ns, rest_ns, &c.lists, e) == -1 || condemn(&c, e) == -1)
		goto out;
	if (mark_all(&c, "pend/", e) == -1 || mark_all(&c, "snap/", e) == -1)
		goto out;
	if (store_list(t->store, "pack/", NULL, pack_seen, &c, e) == -1)
		goto out;
	if (refuse_empty(&c, e) == -1 || sweep(&c, e) == -1 || settle_lists(&c, e) == -1 ||
	    sweep_aside(&c, e) == -1)
		goto out;
	rc = 0;
out:
	packset_done(&c.named);
	packset_done(&c.condemned);
	packset_done(&c.candidate);
	tomb_done(&c.lists);
	free(c.doomed);
	return rc;
}
