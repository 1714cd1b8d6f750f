/*
 * Reading from many places at once is what makes a second copy worth its price: any tier's bytes
 * will do, if they are good. The nearest is asked first, with one exception: a tier that did not
 * answer a moment ago is asked after all others, so that a dead store costs its patience once and not
 * once an object. Who opened the tiers knows which are near (rank, last).
 *
 * A store that takes connections and is silent is waited for, so what asks every tier asks those behind
 * a network at once. One alone, and directories, are asked where we are: a thread would cost more than
 * they do, and a server calls us for every segment.
 */
#include "store/tier.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/pool.h"

/* One tier, and what is done with it. */
struct visit {
	tier_work *work;
	void *arg;
	struct tier *t;
	size_t i;
	bool far;
};

static void
visit(void *task)
{
	struct visit *v = task;

	v->work(v->arg, v->t, v->i);
}

static void
visit_all(struct visit *v, size_t n)
{
	struct pool *pool = NULL;
	size_t far = 0;

	for (size_t i = 0; i < n; i++) {
		const struct tier *t = v[i].t;

		v[i].far = t->store != NULL ? t->store->ops->far : store_far(&t->options);
		far += v[i].far;
	}
	if (far > 1)
		pool = pool_new((unsigned)far, far);
	for (size_t i = 0; i < n && pool != NULL; i++)
		if (v[i].far)
			pool_submit(pool, visit, &v[i]);
	for (size_t i = 0; i < n; i++)
		if (pool == NULL || !v[i].far)
			visit(&v[i]);
	pool_free(pool); /* when all have answered */
}

/* With all for which `wanted` says so before the first is begun. */
static void
visit_those(struct tier_set *set, bool (*wanted)(const struct tier *t), tier_work *work, void *arg)
{
	struct visit *v = xcalloc(set->count + 1, sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < set->count; i++)
		if (wanted(&set->tier[i]))
			v[n++] = (struct visit){ .work = work, .arg = arg, .t = &set->tier[i], .i = i };
	visit_all(v, n);
	free(v);
}

static bool
is_open(const struct tier *t)
{
	return t->store != NULL;
}

static bool
is_closed(const struct tier *t)
{
	return t->store == NULL && !t->barred;
}

static bool
is_untried(const struct tier *t)
{
	return is_closed(t) && t->why.kind != ERR_REMOTE;
}

void
tier_each(struct tier_set *set, tier_work *work, void *arg)
{
	visit_those(set, is_open, work, arg);
}

static void
open_one(void *arg, struct tier *t, size_t i)
{
	(void)arg;
	(void)i;
	t->found = TIER_SILENT;
	if (store_open(&t->options, &t->store, &t->why) == 0)
		err_clear(&t->why);
}

static size_t
count_open(const struct tier_set *set)
{
	size_t open = 0;

	for (size_t i = 0; i < set->count; i++)
		open += is_open(&set->tier[i]);
	return open;
}

size_t
tier_open_all(struct tier_set *set)
{
	visit_those(set, is_closed, open_one, NULL);
	return count_open(set);
}

size_t
tier_open_rest(struct tier_set *set)
{
	visit_those(set, is_untried, open_one, NULL);
	return count_open(set);
}

void
tier_close_all(struct tier_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		store_close(set->tier[i].store);
		set->tier[i].store = NULL;
	}
}

bool
tier_tells(const struct tier *t)
{
	return t->store != NULL && t->why.kind == ERR_NONE;
}

bool
tier_answers(const struct tier *t)
{
	return t->store != NULL ? t->why.kind != ERR_REMOTE : t->found != TIER_SILENT;
}

void
tier_untold(struct tier *t, const struct err *why)
{
	t->why = *why;
	t->found = why->kind == ERR_REMOTE ? TIER_SILENT : TIER_REFUSED;
}

bool
tier_leaves_open(enum err_kind kind)
{
	switch (kind) {
	case ERR_NONE:
	case ERR_NOTFOUND:
	case ERR_CORRUPT:
	case ERR_KEY:
	case ERR_UNSUPPORTED:
		return false;
	default:
		return true;
	}
}

const char *
tier_dir(const char *url)
{
	static const char scheme[] = "file://";

	return strncmp(url, scheme, strlen(scheme)) == 0 ? url + strlen(scheme) : NULL;
}

struct tier *
tier_find(const struct tier_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->tier[i].name, name) == 0)
			return &set->tier[i];
	return NULL;
}

static bool
nearer(const struct tier *a, const struct tier *b)
{
	if (a->last != b->last)
		return b->last;
	return a->rank != b->rank ? a->rank < b->rank : a < b;
}

struct tier *
tier_near(const struct tier_set *set, size_t i)
{
	struct tier *t = set->tier;

	for (; t < set->tier + set->count - 1; t++) {
		size_t before = 0;

		for (size_t k = 0; k < set->count; k++)
			before += nearer(&set->tier[k], t);
		if (before == i)
			break;
	}
	return t;
}

struct tier *
tier_turn(const struct tier_set *set, struct tier *first, size_t i)
{
	if (first && !first->last && i-- == 0)
		return first;
	for (size_t k = 0; k < set->count; k++) {
		struct tier *t = tier_near(set, k);

		if ((t != first || t->last) && i-- == 0)
			return t;
	}
	return NULL;
}

/*
 * Which of several reasons names the whole: damage before trouble before silence before absence; and
 * before all that one has it, and gives it when it is ordered.
 */
static int
weight(enum err_kind kind)
{
	switch (kind) {
	case ERR_NONE:
		return 0;
	case ERR_NOTFOUND:
		return 1;
	case ERR_REMOTE:
		return 2;
	case ERR_CORRUPT:
		return 4;
	case ERR_FROZEN:
		return 5;
	default:
		return 3;
	}
}

/* Does that tell whether a tier has it? Else the answer is still to come. */
static bool
is_answer(enum err_kind kind)
{
	return kind == ERR_FROZEN || !tier_leaves_open(kind);
}

struct asking {
	const char *name;
	struct buf *out;
	tier_judge *good;
	void *arg;
	struct err answers; /* of those that failed so far */
};

static void
note_answer(struct asking *a, struct tier *t, const struct err *why)
{
	int len = (int)strcspn(why->text, "\n");

	t->mute = !is_answer(why->kind);
	if (weight(why->kind) > weight(a->answers.kind))
		a->answers.kind = why->kind;
	err_line(&a->answers, t->name, "%.*s", len, why->text);
}

static int
ask(struct asking *a, struct tier *t)
{
	size_t start = a->out->len;
	struct err why = { 0 };

	if (t->store == NULL) {
		if (t->why.kind == ERR_NONE)
			err_set(&why, ERR_REMOTE, "not opened");
		note_answer(a, t, t->why.kind == ERR_NONE ? &why : &t->why);
		return -1;
	}
	if (store_get(t->store, a->name, a->out, &why) == 0 &&
	    (a->good == NULL || a->good(a->arg, a->name, a->out, &why) == 0)) {
		err_clear(&t->why);
		return 0;
	}
	buf_cut(a->out, start);
	if (why.kind == ERR_REMOTE)
		t->why = why;
	else if (is_answer(why.kind))
		err_clear(&t->why);
	note_answer(a, t, &why);
	return -1;
}

/* All tiers in the order of asking, `first` before the others of its kind. Caller frees. */
static struct tier **
order_of(const struct tier_set *set, struct tier *first)
{
	struct tier **order = xcalloc(set->count + 1, sizeof(struct tier *));
	size_t n = 0;

	for (int late = 0; late <= 1; late++) {
		if (first != NULL && (first->why.kind != ERR_NONE) == late)
			order[n++] = first;
		for (size_t i = 0; i < set->count; i++) {
			struct tier *t = tier_near(set, i);

			if (t != first && (t->why.kind != ERR_NONE) == late)
				order[n++] = t;
		}
	}
	return order;
}

int
tier_get(struct tier_set *set, struct tier *first, const char *name, struct buf *out,
    tier_judge *good, void *arg, struct tier **from, struct err *e)
{
	struct asking a = { .name = name, .out = out, .good = good, .arg = arg };
	struct tier **order = order_of(set, first);
	int rc = -1;

	err_set(&a.answers, ERR_NONE, "'%s' cannot be read from any tier", name);
	for (size_t i = 0; i < set->count; i++)
		set->tier[i].mute = false;
	for (size_t i = 0; i < set->count && rc == -1; i++) {
		rc = ask(&a, order[i]);
		if (rc == 0 && from != NULL)
			*from = order[i];
	}
	if (rc == -1) {
		*e = a.answers;
		if (e->kind == ERR_NONE)
			err_set(e, ERR_NOTFOUND, "'%s' cannot be read: there is no tier", name);
	}
	free(order);
	return rc;
}

bool
tier_may_have(const struct tier *t)
{
	return t->mute || !is_answer(t->why.kind);
}
