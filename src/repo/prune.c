/*
 * The facts that the plan needs are taken from the tier itself, never from a cache: a manifest says
 * whether it is partial, records say what is held and verified. They are gathered first and the
 * plan is made once; removing then goes from the oldest on, so that an interruption leaves a
 * history without holes.
 */
#include "repo/prune.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/lately.h"
#include "repo/manifest.h"
#include "repo/record.h"
#include "repo/record_tidy.h"
#include "repo/snapshot.h"
#include "repo/wall.h"

/* A plan older than this does not know what was held or verified since. */
#define PLAN_NS LAYOUT_HOUR_NS
/* Below it a verification has seen names only. */
#define VERIFIED_LEVEL 1
#define LEVELS 10 /* a digit */

/* What records say of one snapshot. */
struct proved {
	int64_t good_ns[LEVELS]; /* last seen good at that level or above; 0: never */
	bool broken; /* found bad, and not good since by as deep a look */
};

struct pruning {
	struct repo *r;
	struct tier *t;
	const char *source;
	const struct prune_options *o;
	struct prune_report *report;
	struct expire_item *item; /* beside report->item */
	size_t item_room;
	struct proved *proved; /* likewise */
	struct record_holds holds;
};

static int
interrupted(const struct pruning *p, struct err *e)
{
	if (p->o->interrupted == NULL || !p->o->interrupted(p->o->arg))
		return 0;
	return err_set(e, ERR_CANCELLED, "expiry of %s on '%s' was interrupted", p->source,
	    p->t->name);
}

/* 1 and *partial, 0 when it is gone by now, -1. */
static int
look(struct pruning *p, const struct snapshot *s, bool *partial, struct err *e)
{
	struct manifest m;
	struct err why = { 0 };
	int rc = 1;

	manifest_init(&m);
	if (manifest_get(p->t->store, s->name, p->r->keys, &m, &why) == 0) {
		*partial = m.partial;
		if (p->o->seen && p->o->seen(p->o->own, p->report->count, &m, e) == -1)
			rc = -1;
	} else if (why.kind == ERR_NOTFOUND) {
		rc = 0;
	} else {
		*e = why;
		err_in(e, "'%s' cannot be read, so nothing of its source expires on '%s'", s->name,
		    p->t->name);
		rc = snapshot_unreadable(s->part.id, e);
	}
	manifest_done(&m);
	return rc;
}

static int
gather_snapshots(struct pruning *p, struct err *e)
{
	struct snapshot_list list = { 0 };
	struct prune_report *rep = p->report;
	int rc = -1, got;
	bool partial = false;

	if (snapshot_list(p->t->store, p->source, &list, e) == -1)
		goto out;
	for (size_t i = 0; i < list.count; i++) {
		const struct snapshot *s = &list.item[i];

		if (interrupted(p, e) == -1 || (got = look(p, s, &partial, e)) == -1)
			goto out;
		if (got == 0)
			continue;
		rep->item = mem_grow(rep->item, &rep->room, rep->count + 1, sizeof(*rep->item));
		p->item = mem_grow(p->item, &p->item_room, rep->count + 1, sizeof(*p->item));
		memset(&rep->item[rep->count], 0, sizeof(*rep->item));
		memcpy(rep->item[rep->count].name, s->name, LAYOUT_NAME);
		rep->item[rep->count].part = s->part;
		p->item[rep->count++] = (struct expire_item){
			.time_ns = s->part.time_ns,
			.stored_ns = s->stored_ns,
			.partial = partial,
		};
	}
	rc = 0;
out:
	snapshot_list_done(&list);
	return rc;
}

static bool
is_held(const struct pruning *p, const struct prune_item *it)
{
	return record_held(&p->holds, "*") || record_held(&p->holds, it->part.id);
}

/* A record that could not be brought (a full tier) counts all the same, so it is only told. */
static int
gather_holds(struct pruning *p, struct err *e)
{
	int rc = record_holds(p->r, p->t, &p->holds, e);

	if (rc == 0 && !p->o->dry_run)
		record_holds_bring(p->r, p->t, &p->holds, &p->report->holds);
	for (size_t i = 0; i < p->report->count; i++)
		p->item[i].held = is_held(p, &p->report->item[i]);
	return rc;
}

static struct proved *
proved_at(struct pruning *p, const char *id)
{
	for (size_t i = 0; i < p->report->count; i++)
		if (strcmp(p->report->item[i].part.id, id) == 0)
			return &p->proved[i];
	return NULL;
}

static int
verified_seen(void *arg, const struct record_proved *of)
{
	struct proved *at = proved_at(arg, of->id);

	for (int l = 0; at != NULL && l <= of->level && l < LEVELS; l++)
		if (of->time_ns > at->good_ns[l])
			at->good_ns[l] = of->time_ns;
	return 0;
}

/* After the good ones; in one second the bad word counts. */
static int
broken_seen(void *arg, const struct record_proved *of)
{
	struct proved *at = proved_at(arg, of->id);

	if (at != NULL && of->time_ns >= at->good_ns[of->level < LEVELS ? of->level : LEVELS - 1])
		at->broken = true;
	return 0;
}

static void
proof_unread(void *arg, const char *name, const struct err *why)
{
	struct pruning *p = arg;

	(void)name;
	if (p->report->unread++ == 0)
		p->report->unread_why = *why;
}

static int
gather_proofs(struct pruning *p, struct err *e)
{
	struct store *s = p->t->store;
	int rc;

	p->proved = xcalloc(p->report->count, sizeof(*p->proved));
	rc = record_proofs(p->r, s, RECORD_VERIFIED, p->source, verified_seen, proof_unread, p, e);
	if (rc == 0)
		rc = record_proofs(p->r, s, RECORD_BROKEN, p->source, broken_seen, proof_unread, p, e);
	for (size_t i = 0; i < p->report->count; i++) {
		p->item[i].broken = p->proved[i].broken;
		p->item[i].verified = !p->proved[i].broken && p->proved[i].good_ns[VERIFIED_LEVEL] > 0;
	}
	return rc;
}

static int
gather(struct pruning *p, struct err *e)
{
	if (gather_snapshots(p, e) == -1)
		return -1;
	if (p->report->count == 0)
		return 0;
	if (gather_holds(p, e) == -1)
		return -1;
	return gather_proofs(p, e);
}

/*
 * A run may last for an hour, and who holds something meanwhile was told that it stays: so the
 * records are listed again before each removal. 1 it may go, 0 it is held by now, -1.
 */
static int
still_goes(struct pruning *p, struct prune_item *it, struct err *e)
{
	if (record_holds_again(p->r, p->t, &p->holds, e) == -1)
		return -1;
	if (!is_held(p, it))
		return 1;
	it->reason = EXPIRE_KEEP_HELD;
	p->report->going--;
	return 0;
}

static int
remove_going(struct pruning *p, int64_t begin_ns, struct err *e)
{
	for (size_t i = 0; i < p->report->count; i++) {
		struct prune_item *it = &p->report->item[i];
		int goes;

		if (!expire_goes(it->reason))
			continue;
		if (interrupted(p, e) == -1)
			return -1;
		if (clock_boot_ns() - begin_ns > PLAN_NS)
			return err_set(e, ERR_REMOTE, "expiry of %s on '%s' took over an hour: run it "
			    "again to go on", p->source, p->t->name);
		goes = still_goes(p, it, e);
		if (goes == 0)
			continue;
		if (goes == -1 || store_del(p->t->store, it->name, e) == -1)
			return -1;
		it->gone = true;
		p->report->gone++;
	}
	return 0;
}

static int
by_id(const void *id, const void *item)
{
	return strcmp(id, ((const struct prune_item *)item)->part.id);
}

static bool
is_there(void *arg, const char *id)
{
	const struct prune_report *rep = arg;
	const struct prune_item *it = rep->count == 0 ? NULL :
	    bsearch(id, rep->item, rep->count, sizeof(*rep->item), by_id);

	return it != NULL && !it->gone;
}

/* Of a source that was retired nothing new comes; it is not looked at again. */
static void
tidy(struct pruning *p)
{
	struct prune_report *rep = p->report;
	const struct record_tidying how = {
		.source = p->source,
		.before_ns = p->o->retire ? INT64_MAX : rep->now_ns - LAYOUT_W_NS - LAYOUT_HOUR_NS,
		.there = is_there,
		.arg = rep,
	};
	int gone = record_tidy(p->r, p->t->store, &how, &rep->tidy);

	rep->records = gone == -1 ? 0 : (size_t)gone;
}

static size_t
aged(const struct pruning *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->report->count; i++)
		n += p->report->item[i].reason == EXPIRE_GO_AGE;
	return n;
}

/* What goes by age counts for a day, so it is written down first. */
static int
remove_all(struct pruning *p, int64_t begin_ns, struct err *e)
{
	const size_t n = aged(p);

	if (p->o->lately != NULL && n > 0 &&
	    lately_add(p->o->lately, p->t->name, p->source, p->report->now_ns, n, e) == -1)
		return -1;
	if (remove_going(p, begin_ns, e) == -1)
		return -1;
	tidy(p);
	return 0;
}

int
prune_source(struct repo *r, struct tier *t, const char *source, const struct prune_options *o,
    struct prune_report *ret, struct err *e)
{
	struct pruning p = { .r = r, .t = t, .source = source, .o = o, .report = ret };
	struct expire_rules rules = {
		.keep_ns = o->keep_ns,
		.longest_ns = o->longest_ns ? o->longest_ns : LAYOUT_W_NS,
		.more_than_half = o->more_than_half,
		.retire = o->retire,
	};
	int64_t begin_ns = clock_boot_ns();
	int rc = -1;

	memset(ret, 0, sizeof(*ret));
	if (wall_now(r, t, &rules.now_ns, e) == -1 || gather(&p, e) == -1)
		goto out;
	ret->now_ns = rules.now_ns;
	if (o->lately != NULL &&
	    lately_gone(o->lately, t->name, source, rules.now_ns, &rules.lately, e) == -1)
		goto out;
	ret->window_ns = expire_window(p.item, ret->count, &rules);
	if (o->roots && o->roots(o->own, p.item, ret->count, ret->window_ns, e) == -1)
		goto out;
	if (o->owed && !o->retire && o->owed(o->owed_arg, ret, p.item, e) == -1)
		goto out;
	ret->going = expire_plan(p.item, ret->count, &rules);
	for (size_t i = 0; i < ret->count; i++)
		ret->item[i].reason = p.item[i].reason;
	rc = o->dry_run ? 0 : remove_all(&p, begin_ns, e);
out:
	record_holds_done(&p.holds);
	free(p.item);
	free(p.proved);
	return rc;
}

void
prune_done(struct prune_report *p)
{
	free(p->item);
	memset(p, 0, sizeof(*p));
}
