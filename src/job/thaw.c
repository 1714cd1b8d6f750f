/*
 * A restore from an archive has three parts that people wait for: the order, the hours until it is
 * carried out, and the restore. So everything is ordered at once, before the first byte is read, from
 * what the manifest names; and nothing is written down here, because each look at an object tells how
 * its order stands. Whoever comes again, after Ctrl-C or a power cut, finds what is under way and waits
 * for it.
 *
 * What was back may go again while it is read. Then a read asks here (on_frozen): that pack and those
 * that come after it, as far as they are gone, are ordered again. Several threads may ask at once, and
 * one at a time is heard, so that nothing is ordered twice.
 */
#include "job/thaw_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "job/mend.h"

/* Between two looks at what is awaited. */
#define PAUSE_FIRST_NS CLOCK_S
#define PAUSE_MOST_NS (60 * CLOCK_S)
#define STEP_NS (200 * CLOCK_MS)
/* What stays for less is asked to stay longer, which costs a request: a restore takes its time. */
#define STAYS_LEAST_NS (6 * 3600 * CLOCK_S)
/* Orders of one object during one wait: what then is not on its way never comes. */
#define ORDERS_MOST 3
/* Looks in a row that were refused: rights that end may come again, and hours were waited. */
#define REFUSED_MOST 10
#define LINE_MOST 600

const struct thaw_wish thaw_wish_none = { 0 };

static int on_frozen(void *arg, struct store *s, const char *name, struct err *e);

static void
add_tier(struct thaw *t, struct tier *tier)
{
	for (size_t i = 0; i < t->tiers; i++)
		if (t->order[i] == tier)
			return;
	if (tier && tier != t->never && tier->store)
		t->order[t->tiers++] = tier;
}

struct thaw *
thaw_new(struct session *s, const struct thaw_options *o)
{
	struct thaw *t = xcalloc(1, sizeof(*t));

	t->s = s;
	t->wish = o->wish ? o->wish : &thaw_wish_none;
	t->watch = o->watch;
	t->never = o->never;
	t->preview = o->preview;
	t->preview_arg = o->preview_arg;
	t->log = o->log;
	t->agreed = t->wish->yes && !o->preview;
	t->order = xcalloc(s->tiers.count + 1, sizeof(struct tier *));
	t->mute = xcalloc(s->tiers.count + 1, sizeof(*t->mute));
	pthread_mutex_init(&t->lock, NULL);
	add_tier(t, o->only ? o->only : tier_turn(&s->tiers, o->first, 0));
	for (size_t i = 1; i < s->tiers.count && !o->only; i++)
		add_tier(t, tier_turn(&s->tiers, o->first, i));
	for (size_t i = 0; i < t->tiers; i++)
		store_when_frozen(t->order[i]->store, on_frozen, t);
	return t;
}

void
thaw_free(struct thaw *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->tiers; i++)
		store_when_frozen(t->order[i]->store, NULL, NULL);
	pthread_mutex_destroy(&t->lock);
	free(t->order);
	free(t->mute);
	free(t->pack);
	free(t->own);
	free(t);
}

void
thaw_leave(struct thaw *t, const struct tier *tier)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->tiers; i++)
		if (t->order[i] != tier)
			t->order[kept++] = t->order[i];
	t->tiers = kept;
	for (size_t i = 0; i < t->tiers; i++)
		t->mute[i] = false; /* they have other places now */
	for (size_t i = 0; i < t->packs; i++)
		if (t->pack[i].on == tier)
			t->pack[i].on = NULL;
}

static bool
is_thawing(const struct thaw_pack *p)
{
	return p->on && p->is.state == STORE_THAWING;
}

static bool
is_frozen(const struct thaw_pack *p)
{
	return p->on && p->is.state == STORE_FROZEN;
}

/* Goes again soon: an order for it is none, it only stays; as every request it wants a yes. */
static bool
goes_soon(const struct thaw_pack *p)
{
	return p->on && p->is.state == STORE_THAWED && p->is.until_ns != 0 &&
	    p->is.until_ns - clock_real_ns() < STAYS_LEAST_NS;
}

/* ---- agreeing, ordering, waiting ---- */

/* A line for each share. */
static void
say(const struct thaw_plan *plan, thaw_line *line, void *arg)
{
	struct buf text;

	buf_init(&text, LINE_MOST);
	for (size_t i = 0; i < plan->shares; i++) {
		thaw_plan_say(&plan->share[i], &text);
		line(arg, buf_str(&text));
	}
	buf_done(&text);
}

static void
line_of_error(void *arg, const char *text)
{
	err_line(arg, "thaw", "%s", text);
}

void
thaw_tell(void *arg, const char *text)
{
	const struct watch *w = arg;

	w->event(w->arg, "thaw", text);
}

static int
refuse(const struct thaw_plan *plan, struct err *e)
{
	err_set(e, ERR_REFUSED, "what is to be read lies in an archive, and nothing of it was ordered "
	    "back");
	say(plan, line_of_error, e);
	return err_line(e, "fix", "--yes-thaw orders it; --thaw and --thaw-keep say how, --no-wait ends "
	    "once it is ordered");
}

/* An answer holds for the sum that was shown. What comes later, as the packs after a list, has its own. */
static int
agree(struct thaw *t, const struct thaw_plan *plan, struct err *e)
{
	if (t->wish->yes || t->wish->ask)
		say(plan, thaw_tell, (void *)(uintptr_t)t->watch);
	if (plan->orders == 0)
		return 0;
	if (!t->wish->yes && t->wish->ask) {
		const int64_t asked = clock_boot_ns();

		t->agreed = t->wish->ask(t->wish->arg) == 1;
		t->waited_ns += clock_boot_ns() - asked;
	}
	if (t->watch->stop(t->watch->arg))
		return err_set(e, ERR_CANCELLED, "interrupted; nothing was ordered");
	return t->agreed ? 0 : refuse(plan, e);
}

static int
not_awaited(const struct thaw_plan *plan, struct err *e)
{
	int64_t longest = 0;
	char wait[UNITS_TEXT];
	struct buf what;

	for (size_t i = 0; i < plan->shares; i++)
		longest = plan->share[i].wait_ms > longest ? plan->share[i].wait_ms : longest;
	buf_init(&what, LINE_MOST);
	thaw_plan_count(plan->orders + plan->waits, plan->log, &what);
	err_set(e, ERR_FROZEN, "%s ordered, and not there yet: nothing else was done", buf_str(&what));
	buf_done(&what);
	if (longest > 0)
		err_line(e, "wait", "within about %s all can be read", units_duration(longest, wait));
	return err_line(e, "fix", "the same command then, or now without --no-wait; nothing is "
	    "ordered twice");
}

static int
interrupted(struct err *e)
{
	err_set(e, ERR_CANCELLED, "interrupted while packs come out of the archive: they go on coming");
	return err_line(e, "fix", "the same command waits for the rest, and orders nothing twice");
}

/* -1 when somebody asked to stop. */
static int
rest(const struct thaw *t, int64_t ns)
{
	for (; ns > 0 && !t->watch->stop(t->watch->arg); ns -= STEP_NS)
		clock_sleep_ns(ns < STEP_NS ? ns : STEP_NS);
	return t->watch->stop(t->watch->arg) ? -1 : 0;
}

/* Ordered, and frozen all the same: once more, but not without end. */
static int
order_more(struct thaw *t, struct thaw_pack *p, const char *name, unsigned *orders, struct err *e)
{
	const bool as_was = p->on->options.as_of_ns != 0;

	if (*orders < ORDERS_MOST) {
		++*orders;
		return thaw_ask_one(t, p, thaw_ask_order, e);
	}
	err_set(e, as_was ? ERR_UNSUPPORTED : ERR_REMOTE, "'%s' was ordered %u times more, and '%s' "
	    "says that it is not on its way", name, *orders, p->on->name);
	if (as_was)
		return err_line(e, "fix", "it takes another version for the one that is meant: order that "
		    "of the time back by the store's own tools (restore-object), then the same command");
	return err_line(e, "fix", "what became of the orders is to be seen in the store; the same command "
	    "orders again");
}

/* Until that pack is back. A store that is away for a while ends no wait of hours. */
static int
await(struct thaw *t, struct thaw_pack *p, int64_t *pause, struct err *e)
{
	unsigned orders = 0, refused = 0;
	char name[LAYOUT_NAME];

	thaw_plan_name(p, name);
	while (p->is.state == STORE_THAWING) {
		struct err why = { 0 };
		struct store_cold is;
		int got;

		if (rest(t, *pause) == -1)
			return interrupted(e);
		*pause = *pause * 2 < PAUSE_MOST_NS ? *pause * 2 : PAUSE_MOST_NS;
		got = store_cold(p->on->store, name, &is, &why);
		if (got == 0)
			return err_set(e, ERR_NOTFOUND, "'%s' is gone from '%s', where it was awaited",
			    name, p->on->name);
		refused = got == -1 && why.kind != ERR_REMOTE ? refused + 1 : 0;
		if (refused == REFUSED_MOST) {
			*e = why;
			return -1;
		}
		if (got == -1)
			continue;
		p->is = is;
		if (is.state == STORE_FROZEN && order_more(t, p, name, &orders, e) == -1)
			return -1;
	}
	*pause = PAUSE_FIRST_NS; /* others come with it */
	return 0;
}

static int
await_each(struct thaw *t, size_t coming, struct err *e)
{
	int64_t pause = PAUSE_FIRST_NS;
	size_t back = 0;

	for (size_t i = 0; i < t->packs; i++) {
		struct thaw_pack *p = &t->pack[i];

		if (!is_thawing(p))
			continue;
		t->watch->count(t->watch->arg, "thawing", back++, coming);
		/* Most come together, so the next is mostly there. */
		thaw_ask_one(t, p, thaw_ask_confirm, NULL);
		if (await(t, p, &pause, e) == -1)
			return -1;
	}
	return 0;
}

static int
await_all(struct thaw *t, struct err *e)
{
	const int64_t begun = clock_boot_ns();
	size_t coming = 0;
	int rc;

	for (size_t i = 0; i < t->packs; i++)
		coming += is_thawing(&t->pack[i]);
	if (coming == 0)
		return 0;
	t->watch->event(t->watch->arg, "thawing", "waits for what was ordered; the same command goes on "
	    "after an interruption");
	rc = await_each(t, coming, e);
	t->waited_ns += clock_boot_ns() - begun;
	return rc;
}

/* Bundles that nobody needs any more, by what the tiers say of the others, go from the table. */
static void
drop_bundles(struct thaw *t, size_t first)
{
	const size_t n = t->packs - first;
	const enum store_state **is = xcalloc(n + 1, sizeof(*is));
	bool *needed = xcalloc(n + 1, sizeof(*needed));
	size_t kept = first;

	for (size_t i = 0; i < n; i++)
		is[i] = t->pack[first + i].on ? &t->pack[first + i].is.state : NULL;
	if (n > 0)
		wal_thaw_choose(t->log, is, needed);
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < n; i++)
		if (needed[i] || (is[i] && *is[i] == STORE_THAWED)) /* it may go again */
			t->pack[kept++] = t->pack[first + i];
	t->packs = kept;
	pthread_mutex_unlock(&t->lock);
	free(needed);
	free(is);
}

int
thaw_bring(struct thaw *t, size_t from, struct err *e)
{
	struct thaw_plan plan;

	if (t->packs == from || t->tiers == 0)
		return 0;
	if (thaw_ask_all(t, "looking at packs", from, thaw_ask_look, NULL, e) == -1)
		return -1;
	if (t->log)
		drop_bundles(t, t->packs - t->log->bundles);
	thaw_plan(t->pack, t->packs, t->wish, &plan);
	if (t->preview) {
		say(&plan, t->preview, t->preview_arg);
		return 0;
	}
	if (plan.orders + plan.waits > 0 && agree(t, &plan, e) == -1)
		return -1;
	if (thaw_ask_all(t, "ordering packs", 0, thaw_ask_order, is_frozen, e) == -1 ||
	    (t->agreed && thaw_ask_all(t, NULL, 0, thaw_ask_order, goes_soon, e) == -1) ||
	    (plan.orders > 0 && thaw_ask_all(t, NULL, 0, thaw_ask_confirm, is_thawing, e) == -1))
		return -1;
	if (plan.orders + plan.waits > 0 && t->wish->no_wait)
		return not_awaited(&plan, e);
	return await_all(t, e);
}

int64_t
thaw_waited(const struct thaw *t)
{
	return t->waited_ns;
}

/* ---- what has gone again ---- */

/*
 * With one that is asked later, and good there: who was asked before had none, or a bad one. Not under
 * the lock, because what was at hand a moment ago may be frozen now and ask again.
 */
static bool
good_elsewhere(const struct thaw *t, const struct store *s, const char *name)
{
	struct store_cold is;
	struct err why = { 0 };
	size_t own = 0;

	while (own < t->tiers && t->order[own]->store != s)
		own++;
	for (size_t i = own + 1; i < t->tiers; i++)
		if (store_cold(t->order[i]->store, name, &is, NULL) == 1 &&
		    (is.state == STORE_READABLE || is.state == STORE_THAWED) &&
		    mend_judge(t->s, t->order[i], name, &why) == 1)
			return true;
	return false;
}

struct thaw_pack *
thaw_find(struct thaw *t, const char *name)
{
	uint8_t sha[LAYOUT_SHA];
	const bool pack = layout_pack_parse(name, sha) == 0;

	for (size_t i = 0; i < t->packs; i++) {
		struct thaw_pack *p = &t->pack[i];

		if (p->log ? strcmp(p->log->name, name) == 0 :
			pack && memcmp(p->sha, sha, sizeof(sha)) == 0)
			return p;
	}
	return NULL;
}

/* That store has it, and answers now: also where it did not when all were looked at. */
static void
found_on(struct thaw *t, struct thaw_pack *p, const struct store *s)
{
	for (size_t i = 0; i < t->tiers; i++)
		if (t->order[i]->store == s) {
			p->on = t->order[i];
			t->mute[i] = false;
		}
}

/* 0 it is ordered, or there already; -1 it will not come, or not be waited for. */
static int
order_again(struct thaw *t, struct store *s, const char *name, struct thaw_pack **ret, struct err *e)
{
	struct thaw_pack *p = thaw_find(t, name);
	struct store_cold is;
	size_t next;

	*ret = p;
	if (store_cold(s, name, &is, e) != 1)
		return -1;
	if (!p)
		return err_line(e, "fix", "it lies in an archive, and is none of what ffdr orders: order "
		    "it back by the store's own tools (restore-object), then the same command");
	if (is.state == STORE_FROZEN && !t->agreed)
		return err_line(e, "fix", "--yes-thaw orders back what lies in an archive");
	p->is = is;
	found_on(t, p, s);
	if (is.state != STORE_FROZEN)
		return 0;
	/*
	 * This one there, whoever else has it: what they have is not good. Packs are read in the order of
	 * the table, so what lies before is done with.
	 */
	next = (size_t)(p - t->pack) + 1;
	if (thaw_ask_one(t, p, thaw_ask_order, e) == -1 ||
	    thaw_ask_all(t, NULL, next, thaw_ask_look, NULL, e) == -1 ||
	    thaw_ask_all(t, NULL, next, thaw_ask_order, is_frozen, e) == -1)
		return -1;
	if (!t->wish->no_wait)
		return 0;
	err_set(e, ERR_FROZEN, "%s has gone back into the archive, and was ordered again", name);
	return err_line(e, "fix", "the same command, once it is there");
}

static int
on_frozen(void *arg, struct store *s, const char *name, struct err *e)
{
	int64_t pause = PAUSE_FIRST_NS;
	struct thaw *t = arg;
	struct thaw_pack *p, mine;
	int rc;

	if (good_elsewhere(t, s, name))
		return -1;
	pthread_mutex_lock(&t->lock);
	rc = order_again(t, s, name, &p, e);
	if (rc == 0)
		mine = *p;
	pthread_mutex_unlock(&t->lock);
	return rc == 0 ? await(t, &mine, &pause, e) : -1;
}

/* ---- of a preview ---- */

int
thaw_unsaid(struct thaw *t, const char *what, struct err *e)
{
	struct thaw_plan plan;

	thaw_plan(t->pack, t->packs, t->wish, &plan);
	err_set(e, ERR_FROZEN, "%s lies in an archive, so nothing more can be said", what);
	say(&plan, line_of_error, e);
	return err_line(e, "fix", "%sthe same command says the rest once it is back",
	    plan.orders > 0 ? "without --dry-run it is ordered, by --yes-thaw or when asked; " : "");
}
