/*
 * Coroutines by ucontext, a queue by looking for the least: there are never more than ten actors.
 * The store an actor holds is a wrapper that waits, forwards to the store in memory, and tells who
 * watches.
 */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "repo/layout.h"
#include "tests/lib/memstore.h"

#define STACK (512u << 10)
#define ACTORS 16
#define MINUTE (60 * CLOCK_S)
#define HOUR (60 * MINUTE)
#define SLOWEST_DELETE (4 * MINUTE)
#define SLOWEST_COMMIT (10 * MINUTE)
#define SOON 10 /* calls */
#define HISTORY (4u << 20)
/* What the actors' clocks and the tiers' may be off: within 5 minutes of each other, with room. */
#define SKEW_MOST (2 * MINUTE)

struct way {
	struct store store; /* first */
	struct store *inner;
	struct world_actor *a;
	unsigned tier;
};

struct world_actor {
	const char *name;
	enum world_role role;
	world_life *life;
	void *arg;
	ucontext_t context;
	void *stack;
	int64_t ready_ns, skew_ns;
	bool asleep;	   /* of its own will */
	bool dead, done;
	struct way way[WORLD_TIERS];
};

static struct world {
	uint64_t dice;
	int64_t now_ns, pace_ns;
	struct store *tier[WORLD_TIERS];
	int64_t tier_skew[WORLD_TIERS];
	unsigned tiers, actors, steps;
	struct world_actor *actor[ACTORS];
	struct world_actor *current;
	ucontext_t scheduler;
	enum world_lie lie;
	world_changed *changed;
	void *arg;
	bool over, stopped;
	struct buf history;
} w;

/* ---- dice ---- */

static uint64_t
throw_dice(void)
{
	uint64_t x = w.dice += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint64_t
world_dice(uint64_t below)
{
	return below == 0 ? 0 : throw_dice() % below;
}

bool
world_chance(unsigned one_in)
{
	return world_dice(one_in) == 0;
}

int64_t
world_span(int64_t low_ns, int64_t high_ns)
{
	unsigned doublings = 0;
	int64_t t = low_ns;

	while (t < high_ns / 2) {
		t *= 2;
		doublings++;
	}
	t = low_ns << world_dice(doublings + 1);
	t += (int64_t)world_dice((uint64_t)t);
	return t > high_ns ? high_ns : t;
}

/* ---- time ---- */

int64_t
world_now(void)
{
	return w.now_ns;
}

bool
world_over(void)
{
	return w.over;
}

static void
give_way(int64_t ns, bool asleep)
{
	struct world_actor *a = w.current;

	if (a == NULL || w.over) { /* whoever waits for an hour to pass must see it pass */
		w.now_ns += ns;
		return;
	}
	a->asleep = asleep;
	a->ready_ns = w.now_ns + ns;
	swapcontext(&a->context, &w.scheduler);
	a->asleep = false;
}

void
world_sleep(int64_t ns)
{
	give_way(ns, true);
}

static int64_t
real_ns(void *arg)
{
	(void)arg;
	return w.now_ns + (w.current == NULL ? 0 : w.current->skew_ns);
}

static int64_t
boot_ns(void *arg)
{
	struct world_actor *a = w.current;

	(void)arg;
	if (w.lie == WORLD_LIE_HOUR && a != NULL && a->role == WORLD_COLLECTOR)
		return HOUR;
	return w.now_ns;
}

/* Sleeping may always take longer. It does, so that waiting an hour in seconds is no 3600 steps. */
static void
sleep_ns(void *arg, int64_t ns)
{
	(void)arg;
	give_way(ns + (int64_t)world_dice(ns >= CLOCK_S ? 10 * MINUTE : CLOCK_S), false);
}

/* ---- the way to a store ---- */

static struct way *
way_of(struct store *s)
{
	return (struct way *)s;
}

/*
 * A nap: mostly one that a slow network or a busy host would do, now and then a suspended machine.
 */
static int64_t
nap(void)
{
	return world_chance(4) ? world_span(HOUR, 10 * 24 * HOUR) : world_span(CLOCK_S, 40 * MINUTE);
}

/* How long until a call takes effect: mostly the seed's pace. */
static int64_t
delay(const char *op, const char *name)
{
	int64_t most = INT64_MAX, ns = (int64_t)world_dice((uint64_t)w.pace_ns) + 1;

	if (world_chance(40))
		ns = nap();
	if (strcmp(op, "del") == 0)
		most = SLOWEST_DELETE;
	else if (strcmp(op, "put") == 0 && strncmp(name, "snap/", 5) == 0)
		most = SLOWEST_COMMIT;
	return ns < most ? ns : (int64_t)world_dice((uint64_t)most);
}

/* Before the effect: -1 when the actor is dead, dies, or the network fails. */
static int
go(struct way *y, const char *op, const char *name, struct err *e)
{
	struct world_actor *a = y->a;

	if (!w.over && !a->dead) {
		w.steps++;
		give_way(delay(op, name), false);
		if (world_chance(700)) {
			world_note("dies before tier %u %s %s", y->tier, op, name);
			a->dead = true;
		}
	}
	if (w.over || a->dead)
		return err_set(e, ERR_IO, "this actor is gone");
	if (world_chance(300))
		return err_set(e, ERR_REMOTE, "the request was lost");
	return 0;
}

/* After the effect: the answer may not arrive. */
static int
come_back(struct way *y, const char *op, const char *name, int rc, struct err *e)
{
	if (rc == -1)
		return -1;
	world_note("tier %u %s %s -> %d", y->tier, op, name, rc);
	if (world_chance(40))
		give_way(nap(), false);
	if (world_chance(700)) {
		world_note("dies");
		y->a->dead = true;
		return err_set(e, ERR_IO, "this actor is gone");
	}
	if (world_chance(300)) {
		world_note("the answer is lost");
		return err_set(e, ERR_REMOTE, "the answer was lost");
	}
	return rc;
}

static bool
lied_away(const struct way *y, const char *prefix)
{
	return w.lie == WORLD_LIE_PEND && y->a->role == WORLD_COLLECTOR &&
	    strncmp(prefix, "pend/", 5) == 0;
}

static int
way_put(struct store *s, const char *name, const void *data, size_t n, const uint8_t *sha,
    enum store_put how, struct err *e)
{
	struct way *y = way_of(s);
	int rc;

	if (go(y, "put", name, e) == -1)
		return -1;
	rc = y->inner->ops->put(y->inner, name, data, n, sha, how, e);
	if (rc == 1) {
		memstore_set_time(y->inner, name, w.now_ns + w.tier_skew[y->tier]);
		w.changed(w.arg, y->tier, name, data, n);
	}
	return come_back(y, "put", name, rc, e);
}

static int
way_get(struct store *s, const char *name, uint64_t off, uint64_t len, struct buf *out,
    struct err *e)
{
	struct way *y = way_of(s);

	return go(y, "get", name, e) == -1 ? -1 : y->inner->ops->get(y->inner, name, off, len, out, e);
}

static int
way_stat(struct store *s, const char *name, struct store_stat *ret, struct err *e)
{
	struct way *y = way_of(s);

	return go(y, "stat", name, e) == -1 ? -1 : y->inner->ops->stat(y->inner, name, ret, e);
}

/* Others go on between the names of a listing. */
static void
between(void *arg, const char *op, const char *name)
{
	struct way *y = arg;

	if (strcmp(op, "entry") == 0 && !y->a->dead && world_chance(20))
		give_way(delay("list", name), false);
}

static int
way_list(struct store *s, const char *prefix, const char *after, store_seen *seen, void *arg,
    struct err *e)
{
	struct way *y = way_of(s);

	if (go(y, "list", prefix, e) == -1)
		return -1;
	if (!lied_away(y, prefix) &&
	    y->inner->ops->list(y->inner, prefix, after, seen, arg, e) == -1)
		return -1;
	if (world_chance(10))
		give_way(nap(), false);
	return 0;
}

static int
way_del(struct store *s, const char *name, struct err *e)
{
	struct way *y = way_of(s);
	int rc;

	if (go(y, "del", name, e) == -1)
		return -1;
	rc = y->inner->ops->del(y->inner, name, e);
	if (rc == 1)
		w.changed(w.arg, y->tier, name, NULL, 0);
	return come_back(y, "del", name, rc, e);
}

static int
way_clock(struct store *s, int64_t *ret_ns, struct err *e)
{
	struct way *y = way_of(s);

	if (go(y, "clock", "", e) == -1)
		return -1;
	*ret_ns = w.now_ns + w.tier_skew[y->tier];
	if (w.lie == WORLD_LIE_SETTLE && y->a->role == WORLD_COPIER)
		*ret_ns += 66 * MINUTE;
	return 0;
}

static int
way_probe(struct store *s, const char *place, struct store_abilities *ret, struct err *e)
{
	const struct way *y = way_of(s);

	return y->inner->ops->probe(y->inner, place, ret, e);
}

static void
way_close(struct store *s)
{
	(void)s; /* the world's */
}

static const struct store_ops way_ops = {
	.scheme = "way",
	.name = "way",
	.put = way_put,
	.get = way_get,
	.stat = way_stat,
	.list = way_list,
	.del = way_del,
	.clock = way_clock,
	.probe = way_probe,
	.close = way_close,
};

struct store *
world_store(struct world_actor *a, unsigned tier)
{
	return &a->way[tier].store;
}

/* ---- actors ---- */

static void
live(void)
{
	struct world_actor *a = w.current;

	a->life(a, a->arg);
	a->done = true;
	swapcontext(&a->context, &w.scheduler);
}

struct world_actor *
world_spawn(const char *name, enum world_role role, world_life *life, void *arg)
{
	struct world_actor *a = xcalloc(1, sizeof(*a));

	a->name = name;
	a->role = role;
	a->life = life;
	a->arg = arg;
	a->skew_ns = (int64_t)world_dice(2 * SKEW_MOST) - SKEW_MOST;
	a->ready_ns = w.now_ns;
	a->stack = xmalloc(STACK);
	getcontext(&a->context);
	a->context.uc_stack.ss_sp = a->stack;
	a->context.uc_stack.ss_size = STACK;
	makecontext(&a->context, live, 0);
	for (unsigned i = 0; i < w.tiers; i++) {
		struct way *y = &a->way[i];

		y->store = (struct store){ .ops = &way_ops, .options = { .url = "way://" } };
		y->inner = memstore_share(w.tier[i]);
		y->a = a;
		y->tier = i;
		memstore_hook(y->inner, between, y);
	}
	w.actor[w.actors++] = a;
	return a;
}

enum world_role
world_role(const struct world_actor *a)
{
	return a->role;
}

bool
world_acts(enum world_role role)
{
	return w.current != NULL && w.current->role == role;
}

bool
world_dead(const struct world_actor *a)
{
	return a->dead;
}

void
world_revive(struct world_actor *a)
{
	a->dead = false;
}

void
world_wake(enum world_role role, int64_t within_ns)
{
	if (within_ns == 0)
		within_ns = SOON * w.pace_ns;
	for (unsigned i = 0; i < w.actors; i++) {
		struct world_actor *a = w.actor[i];
		int64_t at = w.now_ns + (int64_t)world_dice((uint64_t)within_ns);

		if (a->role == role && a->asleep && a->ready_ns > at)
			a->ready_ns = at;
	}
}

static struct world_actor *
next_actor(void)
{
	struct world_actor *next = NULL;

	for (unsigned i = 0; i < w.actors; i++)
		if (!w.actor[i]->done && (next == NULL || w.actor[i]->ready_ns < next->ready_ns))
			next = w.actor[i];
	return next;
}

static void
resume(struct world_actor *a)
{
	if (a->ready_ns > w.now_ns)
		w.now_ns = a->ready_ns;
	w.current = a;
	swapcontext(&w.scheduler, &a->context);
	w.current = NULL;
}

void
world_run(int64_t until_ns, unsigned steps)
{
	struct world_actor *a;

	while (!w.stopped && w.steps < steps && (a = next_actor()) != NULL && a->ready_ns < until_ns)
		resume(a);
}

void
world_stop(void)
{
	w.stopped = true;
}

unsigned
world_steps(void)
{
	return w.steps;
}

void
world_begin(uint64_t seed, struct store *const tier[], unsigned tiers, enum world_lie lie)
{
	static const struct clock_source source = {
		.real_ns = real_ns, .boot_ns = boot_ns, .sleep_ns = sleep_ns,
	};
	struct buf history = w.history;

	w = (struct world){ .dice = seed * UINT64_C(0xd1342543de82ef95), .tiers = tiers, .lie = lie };
	w.history = history;
	if (w.history.limit == 0)
		buf_init(&w.history, HISTORY);
	buf_reset(&w.history);
	w.now_ns = INT64_C(1800000000) * CLOCK_S;
	/* One seed's calls take milliseconds, another's minutes. */
	w.pace_ns = world_span(CLOCK_MS, 20 * MINUTE);
	clock_install(&source);
	for (unsigned i = 0; i < tiers; i++) {
		w.tier[i] = tier[i];
		w.tier_skew[i] = (int64_t)world_dice(2 * SKEW_MOST) - SKEW_MOST;
	}
}

void
world_watch(world_changed *changed, void *arg)
{
	w.changed = changed;
	w.arg = arg;
}

void
world_end(void)
{
	struct world_actor *a;

	w.over = true;
	while ((a = next_actor()) != NULL)
		resume(a);
	for (unsigned i = 0; i < w.actors; i++) {
		for (unsigned t = 0; t < w.tiers; t++)
			store_close(w.actor[i]->way[t].inner);
		free(w.actor[i]->stack);
		free(w.actor[i]);
	}
	w.actors = 0;
	clock_install(NULL);
}

/* ---- history ---- */

void
world_note(const char *fmt, ...)
{
	char line[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	buf_addf(&w.history, "%12.3f h  %-10s %s\n",
	    (double)(w.now_ns - INT64_C(1800000000) * CLOCK_S) / (double)HOUR,
	    w.current == NULL ? "-" : w.current->name, line);
}

const char *
world_history(void)
{
	return buf_str(&w.history);
}
