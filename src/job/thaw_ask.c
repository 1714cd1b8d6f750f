/*
 * Questions to the stores about many packs. Each is a round trip and nothing else, so several are under
 * way at once.
 */
#include "job/thaw_parts.h"

#include <stdlib.h>

#include "base/mem.h"

#define ASKERS 8
#define ASKED_MOST 64

/* By a recovery WAL is read from the tiers of its source alone. */
static bool
may_be_asked(const struct thaw *t, const struct thaw_pack *p, const struct tier *tier)
{
	bool found = !p->log || !t->log;

	for (size_t i = 0; !found && i < t->log->tiers; i++)
		found |= t->log->tier[i] == tier;
	return found;
}

/* Where it is best read from. A tier that does not answer is passed over: the reading will say so. */
void
thaw_ask_look(void *task)
{
	struct thaw_ask *a = task;
	char name[LAYOUT_NAME];
	struct store_cold is;

	a->pack->on = NULL;
	thaw_plan_name(a->pack, name);
	for (size_t i = 0; i < a->t->tiers; i++) {
		struct tier *tier = a->t->order[i];
		struct err why = { 0 };
		int got = a->t->mute[i] || !may_be_asked(a->t, a->pack, tier) ? 0 :
		    store_cold(tier->store, name, &is, &why);

		if (got == -1 && why.kind == ERR_REMOTE)
			a->t->mute[i] = true;
		if (got != 1 || !thaw_plan_better(a->pack, is.state))
			continue;
		a->pack->on = tier;
		a->pack->is = is;
		if (is.state == STORE_READABLE || is.state == STORE_THAWED)
			break;
	}
}

void
thaw_ask_order(void *task)
{
	struct thaw_ask *a = task;
	char name[LAYOUT_NAME];

	if (store_thaw(a->pack->on->store, thaw_plan_name(a->pack, name), a->speed, a->days,
		&a->err) != -1 && a->pack->is.state == STORE_FROZEN)
		a->pack->is.state = STORE_THAWING;
}

/* What the store says of it counts, not what it answered. */
void
thaw_ask_confirm(void *task)
{
	struct thaw_ask *a = task;
	char name[LAYOUT_NAME];
	struct store_cold is;

	if (store_cold(a->pack->on->store, thaw_plan_name(a->pack, name), &is, NULL) == 1 &&
	    is.state != STORE_FROZEN)
		a->pack->is = is;
}

static void
wished(const struct thaw *t, struct thaw_ask *a)
{
	struct thaw_plan plan;
	struct thaw_pack *k = a->pack;

	if (!k->on)
		return;
	thaw_plan(&(struct thaw_pack){ .on = k->on, .is = { .state = STORE_FROZEN } }, 1, t->wish, &plan);
	a->speed = plan.share[0].speed;
	a->days = plan.share[0].days;
}

/* The oldest of those under way, and what came of it. */
static void
take(struct pool *pool, struct err *first)
{
	struct thaw_ask *a = pool_take(pool);

	if (a && a->err.kind != ERR_NONE && first->kind == ERR_NONE)
		*first = a->err;
	free(a);
}

/* Does `work` for each pack from `from` on that `want` chooses, many at once. */
int
thaw_ask_all(struct thaw *t, const char *what, size_t from, pool_work *work, thaw_ask_want *want,
    struct err *e)
{
	struct pool *pool = pool_new(ASKERS, ASKED_MOST);
	struct err first = { 0 };
	size_t out = 0;

	for (size_t i = from; i < t->packs && first.kind == ERR_NONE; i++) {
		struct thaw_ask *a;

		if (want && !want(&t->pack[i]))
			continue;
		if (t->watch->stop(t->watch->arg)) {
			err_set(&first, ERR_CANCELLED, "interrupted: the same command goes on");
			break;
		}
		if (pool_full(pool)) {
			take(pool, &first);
			out--;
		}
		a = xcalloc(1, sizeof(*a));
		a->t = t;
		a->pack = &t->pack[i];
		wished(t, a);
		pool_submit(pool, work, a);
		out++;
		if (what)
			t->watch->count(t->watch->arg, what, i + 1, t->packs);
	}
	for (; out > 0; out--)
		take(pool, &first);
	pool_free(pool);
	if (first.kind == ERR_NONE)
		return 0;
	*e = first;
	return -1;
}

int
thaw_ask_one(struct thaw *t, struct thaw_pack *p, pool_work *work, struct err *e)
{
	struct thaw_ask a = { .t = t, .pack = p };

	wished(t, &a);
	work(&a);
	if (a.err.kind == ERR_NONE)
		return 0;
	if (e)
		*e = a.err;
	return -1;
}
