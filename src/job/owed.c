/*
 * A near tier keeps for days and a far one for years, and what is to be had in a year is there only
 * if the copy came before the expiry. Where the far tier was away, or nobody ran the copy, the near
 * one must wait: a promise of one tier is kept by all. The same pure function that chooses what is
 * copied says what is still wanted, so both have one opinion.
 *
 * What would surprise: of a tier that is away nearly everything counts as missing, also what it had
 * all along. To keep too much for a while costs room, and is said.
 */
#include "job/owed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/copy_plan.h"
#include "job/expire.h"
#include "job/recall.h"
#include "repo/record.h"
#include "repo/snapshot.h"

/* Beside each row of the plan: which item of the report it is. */
#define ELSEWHERE SIZE_MAX

struct planning {
	const struct owed *o;
	const struct owed_tier *to;
	struct prune_report *rep;
	struct expire_item *item;
	struct copy_plan_item *plan;
	size_t *at;
	size_t count;
	struct copy_plan_rules rules;
	bool away;
};

void
owed_begin(struct session *s, const char *source, const struct tier *t, struct owed *ret)
{
	struct tier *all[OWED_TIERS];
	const struct conf_source *found;
	size_t n;

	*ret = (struct owed){ .repo = s->repo, .source = source };
	if (conf_find_source(s->conf, source, &found, NULL) == -1)
		return;
	n = session_source_tiers(s, source, all, OWED_TIERS);
	for (size_t i = 0; i < n; i++) {
		struct owed_tier *to = &ret->tier[ret->tiers];

		if (all[i] == t)
			continue;
		to->tier = all[i];
		to->keep_ns = expire_keep_ns(s, source, all[i]);
		recall_newest(s, all[i], source, to->remembered);
		ret->tiers++;
	}
}

static void
add(struct planning *p, int64_t time_ns, bool there, size_t at)
{
	/*
	 * What is only there may be partial, which nobody looked at: it serves its period, but a
	 * window does not end with it.
	 */
	p->plan[p->count] = (struct copy_plan_item){ .time_ns = time_ns, .there = there,
		.out = at == ELSEWHERE || p->item[at].partial || p->item[at].broken };
	p->at[p->count++] = at;
}

/* What is here and what is there, in one order. */
static void
merge(struct planning *p, const struct snapshot_list *there)
{
	const int64_t now_ns = p->rep->now_ns;

	for (size_t i = 0, k = 0; i < p->rep->count || k < there->count;) {
		int cmp = i == p->rep->count ? 1 : k == there->count ? -1 :
		    strcmp(p->rep->item[i].name, there->item[k].name);

		if (cmp <= 0) {
			add(p, expire_time(&p->item[i], now_ns), cmp == 0, i);
		} else {
			const struct expire_item other = { .time_ns = there->item[k].part.time_ns,
				.stored_ns = there->item[k].stored_ns };

			add(p, expire_time(&other, now_ns), true, ELSEWHERE);
		}
		i += cmp <= 0;
		k += cmp >= 0;
	}
}

/* A listing of one: what is remembered of a tier that is away. */
static void
merge_remembered(struct planning *p)
{
	struct snapshot one = { 0 };
	struct snapshot_list there = { .item = &one };

	snprintf(one.name, sizeof(one.name), "snap/%s", p->to->remembered);
	if (layout_snap_parse(one.name, &one.part) == 0) {
		one.stored_ns = one.part.time_ns;
		there.count = 1;
	}
	merge(p, &there);
}

/* What a person let go of there is not copied, and then another may be wanted in its place. */
static void
plan(struct planning *p)
{
	copy_plan(p->plan, p->count, &p->rules);
	for (size_t i = p->count; i > 0; i--) {
		struct copy_plan_item *row = &p->plan[i - 1];

		/* Only what is older than the window may go at all. */
		if (!row->wanted || p->away || row->time_ns >= p->rep->window_ns ||
		    !record_let_go(p->o->repo, p->to->tier, p->rep->item[p->at[i - 1]].part.id))
			continue;
		row->out = true;
		copy_plan(p->plan, p->count, &p->rules);
	}
}

int64_t
owed_late_ns(int64_t rpo_ns)
{
	return rpo_ns > OWED_LATE_NS ? rpo_ns : OWED_LATE_NS;
}

static void
tell(struct planning *p)
{
	const struct tier *t = p->to->tier;
	const int64_t late_ns = owed_late_ns(t->rpo_ms * CLOCK_MS);

	for (size_t i = 0; i < p->count; i++) {
		struct prune_item *it;

		if (!p->plan[i].wanted || p->at[i] == ELSEWHERE)
			continue;
		it = &p->rep->item[p->at[i]];
		p->item[p->at[i]].owed = true;
		/* A tier that is away is what somebody can do something about. */
		if (it->waits_for != NULL && (it->waits_away || !p->away))
			continue;
		it->waits_for = t->name;
		it->waits_away = p->away;
		it->waits_late = p->rep->now_ns - p->item[p->at[i]].stored_ns > late_ns;
	}
}

static void
mark_for(struct planning *p)
{
	struct snapshot_list there = { 0 };
	const struct tier *t = p->to->tier;
	size_t room;

	p->away = t->store == NULL || t->why.kind == ERR_REMOTE ||
	    snapshot_list_known(t->store, p->o->source, &there, NULL) == -1;
	room = p->rep->count + (p->away ? 1 : there.count);
	p->plan = xcalloc(room + 1, sizeof(*p->plan));
	p->at = xcalloc(room + 1, sizeof(*p->at));
	p->count = 0;
	p->rules = (struct copy_plan_rules){
		.now_ns = p->rep->now_ns,
		.takes_ns = t->takes_ms * CLOCK_MS,
		.keep_ns = p->to->keep_ns,
	};
	if (p->away)
		merge_remembered(p);
	else
		merge(p, &there);
	plan(p);
	tell(p);
	free(p->plan);
	free(p->at);
	snapshot_list_done(&there);
}

int
owed_mark(void *owed, struct prune_report *rep, struct expire_item *item, struct err *e)
{
	struct planning p = { .o = owed, .rep = rep, .item = item };

	(void)e;
	for (size_t i = 0; i < p.o->tiers && rep->count > 0; i++) {
		p.to = &p.o->tier[i];
		mark_for(&p);
	}
	return 0;
}
