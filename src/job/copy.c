/*
 * The second copy, made by whoever runs this command, from wherever a good one lies. What a tier
 * takes is decided from listings each time, so nothing has to be remembered and two hosts that copy
 * at once do the same thing twice at worst. A tier that is away costs its own copies and no
 * other's.
 */
#include "job/copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/copy_plan.h"
#include "job/copy_thaw.h"
#include "job/expire.h"
#include "job/inventory.h"
#include "job/pick.h"
#include "job/recall.h"
#include "job/tiers.h"
#include "job/wal/wal_prove.h"
#include "repo/record.h"
#include "repo/repo_lock.h"

/* Packs on their way to a tier: what one waits for, the others do meanwhile. */
#define AT_ONCE 4

struct round {
	struct session *s;
	const struct copy_options *o;
	const struct watch *w;
	struct copy_report *report;
	const char *id; /* being copied */
	bool told;	/* that it waits */
	struct tier *named; /* the only one to copy to; NULL: each that takes it */
	struct tier *to;
	struct thaw *thaw; /* of the copy under way */
	struct wal_copy_report wal; /* of the snapshot being copied */
	struct copy_thaw *need; /* it is only looked what would be copied; or NULL */
	struct thaw_wish wish; /* of each copy by itself */
	struct err common; /* why what all need together is not here */
};

const char *
copy_word(enum copy_outcome o)
{
	static const char *const word[] = {
		[COPY_DONE] = "done",	    [COPY_THERE] = "there", [COPY_NOT_DUE] = "not-due",
		[COPY_NOTHING] = "nothing", [COPY_WOULD] = "would", [COPY_AWAY] = "away",
		[COPY_FAILED] = "failed",   [COPY_WAL] = "wal",
	};

	return word[o];
}

static struct copy_line *
add_line(struct copy_report *rep, const char *source, const struct tier *to)
{
	struct copy_line *l;

	rep->line = mem_grow(rep->line, &rep->room, rep->count + 1, sizeof(*rep->line));
	l = &rep->line[rep->count++];
	memset(l, 0, sizeof(*l));
	snprintf(l->source, sizeof(l->source), "%s", source);
	l->to = to->name;
	return l;
}

static bool
stop(void *arg)
{
	const struct round *r = arg;

	return r->w->stop(r->w->arg);
}

static void
progress(void *arg, bool waiting, uint64_t done, uint64_t of)
{
	struct round *r = arg;
	char *text;

	if (!waiting) {
		r->w->progress(r->w->arg, "copying", done, of);
		return;
	}
	if (r->told)
		return;
	r->told = true;
	text = xasprintf("%s relies on packs that a collection there may be about to delete: waits %d "
			 "minutes at most", r->id, (int)(PEND_SETTLE_NS / (60 * CLOCK_S)));
	r->w->event(r->w->arg, "waiting", text);
	free(text);
}

static void
tell_replaced(struct round *r, const struct copy_line *l)
{
	char *text;

	if (l->pend.replaced == 0)
		return;
	text = xasprintf("%zu packs that lay damaged on '%s' were set aside below bad/ there and sent "
			 "anew", l->pend.replaced, l->to);
	r->w->event(r->w->arg, "warning", text);
	free(text);
}

/* What was brought is there, and its keys are locked for a while yet. */
static void
renew_locks(struct round *r, struct tier *to)
{
	struct err why = { 0 };
	char *text;

	if (repo_lock_renew(r->s->repo, to, &why) != -1)
		return;
	text = xasprintf("'%s': the locks of the keys could not be made longer: %s", to->name, why.text);
	r->w->event(r->w->arg, "warning", text);
	free(text);
}

/*
 * What lies in an archive did not come: the reason is that of the common order. It may be long, and is
 * told once.
 */
static void
not_here(struct round *r, struct err *e)
{
	if (r->common.kind == ERR_NONE) {
		err_line(e, "fix", "`ffdr copy --yes-thaw` orders back what lies in an archive");
		return;
	}
	*e = r->common;
	r->common.text[err_first_line(e)] = '\0';
}

/* A base backup is none without its WAL: that goes first, and is read back last of all. */
static int
settle(void *arg, const struct manifest *m, bool last, struct err *e)
{
	struct round *r = arg;
	struct pg_facts f;
	int got = pg_facts_read(m, &f, e);

	if (got != 1)
		return got;
	if (wal_copy_base(r->s, m->source, &f, r->to, r->w, &r->wal, e) == -1) {
		if (e->kind == ERR_FROZEN)
			not_here(r, e);
		return err_in(e, "the WAL of %s", r->id);
	}
	if (last && wal_prove_base(r->s->repo, r->to, m->source, &f, e) == -1)
		return err_in(e, "the WAL of %s", r->id);
	return 0;
}

/* What has to be sent and lies in an archive. */
static int
ready(void *arg, const struct manifest *m, bool (*there)(void *copying, const uint8_t sha[LAYOUT_SHA]),
    void *copying, struct err *e)
{
	struct round *r = arg;
	int rc = thaw_missing(r->thaw, m, there, copying, e);

	if (rc == -1 && e->kind == ERR_REFUSED && r->common.kind == ERR_REFUSED)
		not_here(r, e);
	return rc;
}

/*
 * Who asks to stop does not wait until a slow tier has taken, or given, what was begun; any of them may
 * be the one that gives.
 */
static int
send_to(struct round *r, struct tier *from, struct tier *to, const char *name, struct copy_line *l)
{
	const struct tier *tier = r->s->tiers.tier;
	const size_t n = r->s->tiers.count;
	const struct pend_options po = {
		.interrupted = stop, .progress = progress, .settle = settle, .ready = ready,
		.workers = AT_ONCE, .arg = r,
	};
	const struct thaw_options to_thaw = {
		.wish = &r->wish, .first = from, .never = to, .watch = r->w,
	};
	int rc;

	r->to = to;
	r->wal = (struct wal_copy_report){ 0 };

	for (size_t i = 0; i < n; i++)
		if (tier[i].store)
			store_stop_when(tier[i].store, stop, r);
	r->thaw = thaw_new(r->s, &to_thaw);
	rc = pend_copy(r->s->repo, from, to, name, &po, &l->pend, &l->why);
	thaw_free(r->thaw);
	for (size_t i = 0; i < n; i++)
		if (tier[i].store)
			store_stop_when(tier[i].store, NULL, NULL);
	if (rc == -1 && l->why.kind == ERR_CANCELLED)
		err_set(&l->why, ERR_CANCELLED, "the copy of %s to '%s' was interrupted: the same "
			"command goes on", l->id, to->name);
	return rc;
}

/* Of the tiers of the bits; NULL: none. */
static struct tier *
nearest(struct session *s, uint64_t on)
{
	for (size_t i = 0; i < s->tiers.count; i++) {
		struct tier *t = tier_near(&s->tiers, i);

		if (on >> (t - s->tiers.tier) & 1)
			return t;
	}
	return NULL;
}

/* One snapshot to one tier: a line of the report. -1 only when somebody asked to stop. */
static int
copy_one(struct round *r, struct tier *from, struct tier *to, const char *name, struct err *e)
{
	struct copy_report *rep = r->report;
	struct layout_snap part = { 0 };
	struct copy_line *l;
	int rc;

	if (r->need) {
		copy_thaw_snapshot(r->need, from, to, name);
		return !r->w->stop(r->w->arg) ? 0 :
		    err_set(e, ERR_CANCELLED, "interrupted; nothing was copied");
	}
	layout_snap_parse(name, &part);
	l = add_line(rep, part.source, to);
	snprintf(l->id, sizeof(l->id), "%s", part.id);
	l->from = from->name;
	if (r->o->dry_run) {
		l->outcome = COPY_WOULD;
		return 0;
	}
	r->id = l->id;
	r->told = false;
	rc = send_to(r, from, to, name, l);
	l->wal = r->wal;
	if (l->pend.gave != 0)
		l->from = nearest(r->s, l->pend.gave)->name;
	tell_replaced(r, l);
	if (rc == 0) {
		l->outcome = l->pend.already ? COPY_THERE : COPY_DONE;
		rep->done += !l->pend.already;
		renew_locks(r, to);
		recall_put(r->s, to, l->id, l->pend.sequence, r->w);
		return 0;
	}
	l->outcome = l->why.kind == ERR_REMOTE ? COPY_AWAY : COPY_FAILED;
	rep->away += l->outcome == COPY_AWAY;
	rep->failed += l->outcome == COPY_FAILED;
	if (l->why.kind != ERR_CANCELLED)
		return 0;
	*e = l->why;
	return -1;
}

/* ---- what is where ---- */

static bool
is_on(struct session *s, const struct inventory_item *it, const struct tier *t)
{
	return it->on >> (t - s->tiers.tier) & 1;
}

/* 1 complete, 0 partial, -1: by the manifest itself, from any tier that has a good one. */
static int
complete(struct session *s, const struct inventory_item *it, struct err *e)
{
	struct manifest m;
	int rc = -1;

	for (size_t i = 0; i < s->tiers.count && rc == -1; i++) {
		const struct tier *t = tier_near(&s->tiers, i);

		if (!is_on(s, it, t))
			continue;
		manifest_init(&m);
		if (manifest_get(t->store, it->name, s->repo->keys, &m, e) == 0)
			rc = !m.partial;
		else
			err_in(e, "'%s' on '%s' cannot be read", it->name, t->name);
		manifest_done(&m);
	}
	return rc;
}

/* The newest complete one: its place in inv, or inv->count when there is none. */
static size_t
newest_complete(struct round *r, const struct inventory *inv)
{
	struct err why = { 0 };

	for (size_t i = inv->count; i > 0; i--) {
		int rc = complete(r->s, &inv->item[i - 1], &why);

		if (rc == 1)
			return i - 1;
		if (rc == -1)
			r->w->event(r->w->arg, "warning", why.text);
	}
	return inv->count;
}

/*
 * Whether one is complete is only known from its manifest. What is not, or was given up there by a
 * person, is out, and then another may be wanted in its place; one that cannot be read has its line.
 */
static bool
can_be_had(struct round *r, struct tier *to, const struct inventory_item *it)
{
	struct err why = { 0 };
	struct copy_line *l;
	int rc = complete(r->s, it, &why);

	if (rc == -1 && why.kind != ERR_NOTFOUND) { /* else gone since it was listed */
		l = add_line(r->report, it->part.source, to);
		memcpy(l->id, it->part.id, sizeof(l->id));
		l->why = why;
		l->outcome = why.kind == ERR_REMOTE ? COPY_AWAY : COPY_FAILED;
		r->report->away += l->outcome == COPY_AWAY;
		r->report->failed += l->outcome == COPY_FAILED;
	}
	return rc == 1 && !record_let_go(r->s->repo, to, it->part.id);
}

/* What the tier takes, up to the newest complete one: marked in plan. How many. */
static size_t
plan_tier(struct round *r, struct tier *to, const struct inventory *inv, size_t newest,
    struct copy_plan_item *plan)
{
	const struct copy_plan_rules rules = {
		.now_ns = clock_real_ns(),
		.takes_ns = to->takes_ms * CLOCK_MS,
		.keep_ns = expire_keep_ns(r->s, inv->item[newest].part.source, to),
	};
	size_t wanted = 0;

	for (size_t i = 0; i <= newest; i++) {
		plan[i].time_ns = inventory_time(&inv->item[i], rules.now_ns);
		plan[i].there = is_on(r->s, &inv->item[i], to);
	}
	copy_plan(plan, newest + 1, &rules);
	for (size_t i = newest + 1; i > 0; i--) {
		struct copy_plan_item *p = &plan[i - 1];

		if (!p->wanted || p->complete)
			continue;
		p->complete = can_be_had(r, to, &inv->item[i - 1]);
		p->out = !p->complete;
		if (p->out)
			copy_plan(plan, newest + 1, &rules);
	}
	for (size_t i = 0; i <= newest; i++)
		wanted += plan[i].wanted;
	return wanted;
}

/* What it missed, the oldest first. */
static int
copy_planned(struct round *r, struct tier *to, const struct inventory *inv, size_t newest,
    const struct copy_plan_item *plan, struct err *e)
{
	for (size_t i = 0; i <= newest; i++) {
		const struct inventory_item *it = &inv->item[i];

		if (plan[i].wanted && copy_one(r, nearest(r->s, it->on), to, it->name, e) == -1)
			return -1;
	}
	return 0;
}

/* Listed is not enough to say that it is there. */
static void
say_there(struct round *r, const char *source, struct tier *to, const struct inventory_item *it)
{
	struct copy_line *l = add_line(r->report, source, to);
	struct manifest m;

	manifest_init(&m);
	memcpy(l->id, it->part.id, sizeof(l->id));
	l->from = to->name;
	l->outcome = COPY_THERE;
	if (manifest_get(to->store, it->name, r->s->repo->keys, &m, &l->why) == -1) {
		if (l->why.kind == ERR_CORRUPT)
			err_line(&l->why, "fix", "`ffdr verify --repair --tier %s`", to->name);
		l->outcome = l->why.kind == ERR_REMOTE ? COPY_AWAY : COPY_FAILED;
		r->report->away += l->outcome == COPY_AWAY;
		r->report->failed += l->outcome == COPY_FAILED;
	}
	manifest_done(&m);
}

static int
serve_tier(struct round *r, const char *source, struct tier *to, const struct inventory *inv,
    size_t newest, struct err *e)
{
	const struct inventory_item *it;
	struct copy_plan_item *plan;
	struct copy_line *l;
	size_t wanted = 0;
	int rc = 0;

	if (r->need && !copy_thaw_may(r->s, to))
		return 0;
	if (to->store == NULL || to->why.kind == ERR_REMOTE) {
		l = add_line(r->report, source, to);
		l->outcome = COPY_AWAY;
		l->why = to->why;
		r->report->away++;
		return 0;
	}
	if (newest == inv->count) {
		add_line(r->report, source, to)->outcome = COPY_NOTHING;
		return 0;
	}
	it = &inv->item[newest];
	if (r->o->to != NULL && !is_on(r->s, it, to))
		return copy_one(r, nearest(r->s, it->on), to, it->name, e);
	plan = xcalloc(inv->count, sizeof(*plan));
	if (r->o->to == NULL)
		wanted = plan_tier(r, to, inv, newest, plan);
	if (wanted > 0)
		rc = copy_planned(r, to, inv, newest, plan, e);
	else if (is_on(r->s, it, to) && !r->need)
		say_there(r, source, to, it);
	else
		add_line(r->report, source, to)->outcome = COPY_NOT_DUE;
	free(plan);
	return rc;
}

/* A tier that receives the WAL and lacks some of it: a line only when there is something to tell. */
static int
serve_wal(struct round *r, const char *name, struct tier *to, struct err *e)
{
	const struct conf *c = r->s->conf;
	const struct conf_source *source;
	struct wal_copy_report sent = { 0 };
	struct err why = { 0 };
	struct copy_line *l;

	if (r->o->dry_run || to->store == NULL || to->why.kind == ERR_REMOTE ||
	    conf_find_source(c, name, &source, NULL) == -1 || !source->postgres ||
	    !conf_wal_goes_to(c, source->postgres, conf_find_tier(c, to->name)))
		return 0;
	if (r->need) {
		if (copy_thaw_may(r->s, to))
			copy_thaw_wal(r->need, source, to);
		return 0;
	}
	if (wal_copy_between(r->s, source, to, r->o->to != NULL, r->w, &sent, &why) == 0 &&
	    sent.sent == 0 && sent.left == 0 && sent.waiting == 0)
		return 0;
	if (why.kind == ERR_FROZEN)
		not_here(r, &why);
	l = add_line(r->report, name, to);
	l->wal = sent;
	l->why = why;
	l->outcome = why.kind == ERR_NONE ? COPY_WAL : why.kind == ERR_REMOTE ? COPY_AWAY : COPY_FAILED;
	r->report->done += l->outcome == COPY_WAL && sent.sent > 0;
	r->report->away += l->outcome == COPY_AWAY;
	r->report->failed += l->outcome == COPY_FAILED;
	if (why.kind != ERR_CANCELLED)
		return 0;
	*e = why;
	return -1;
}

static int
serve_source(struct round *r, const char *source, struct err *e)
{
	const struct inventory_options io = {
		.source = &source, .sources = 1, .once = r->o->dry_run,
	};
	struct tier **to = xcalloc(r->s->tiers.count, sizeof(struct tier *));
	struct inventory inv = { 0 };
	size_t n = 1, newest;
	int rc = -1;

	tiers_near(r->s->conf, source, NULL, &r->s->tiers);
	if (inventory_read(r->s, &io, r->w, &inv, e) == -1)
		goto out;
	if (r->o->to != NULL)
		to[0] = r->named;
	else
		n = session_source_tiers(r->s, source, to, r->s->tiers.count);
	newest = newest_complete(r, &inv);
	rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = serve_tier(r, source, to[i], &inv, newest, e);
		if (rc == 0)
			rc = serve_wal(r, source, to[i], e);
	}
out:
	inventory_done(&inv);
	free(to);
	return rc;
}

/* ---- the verb ---- */

static int
copy_named(struct round *r, struct tier *to, struct err *e)
{
	const struct pick_options po = { .text = r->o->snapshot };
	char name[LAYOUT_NAME];
	struct tier *from;

	if (pick_snapshot(r->s, &po, name, &from, e) == -1)
		return -1;
	return copy_one(r, from, to, name, e);
}

static int
serve(struct round *r, struct err *e)
{
	const struct conf *c = r->s->conf;
	const struct copy_options *o = r->o;
	const size_t n = o->sources > 0 ? o->sources : c->sources;
	int rc = 0;

	if (o->snapshot != NULL)
		return copy_named(r, r->named, e);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = serve_source(r, o->sources > 0 ? o->source[i] : c->source[i].name, e);
	return rc;
}

/*
 * What all of it needs of archives is ordered and waited for at once. -1 only when somebody asked to stop:
 * else what needs none is copied all the same, and what does tells why it cannot be.
 */
static int
order_back(struct round *r, struct err *e)
{
	struct watch quiet = watch_none;
	struct copy_report none = { 0 };
	struct round look = { .s = r->s, .o = r->o, .w = &quiet, .report = &none, .named = r->named };
	int rc;

	quiet.stop = r->w->stop;
	quiet.arg = r->w->arg;
	look.need = copy_thaw_new(r->s, &quiet);
	rc = serve(&look, e);
	if (rc == 0 || e->kind != ERR_CANCELLED)
		rc = copy_thaw_order(look.need, &r->wish, r->named, r->w, e);
	copy_thaw_free(look.need);
	copy_done(&none);
	if (rc == -1 && e->kind == ERR_CANCELLED)
		return -1;
	if (rc == -1)
		r->common = *e;
	if (r->common.kind == ERR_REFUSED)
		r->wish.ask = NULL;
	err_clear(e);
	return 0;
}

int
copy_run(struct session *s, const struct copy_options *o, const struct watch *w,
    struct copy_report *ret, struct err *e)
{
	struct round r = { .s = s, .o = o, .w = w, .report = ret };

	memset(ret, 0, sizeof(*ret));
	r.wish = o->thaw ? *o->thaw : thaw_wish_none;
	if (o->to != NULL && session_tier(s, o->to, &r.named, e) == -1)
		return -1;
	if (o->snapshot != NULL && r.named == NULL)
		return err_set(e, ERR_USAGE, "a snapshot was named but no tier to copy it to, expected "
		    "--to TIER");
	if (!o->dry_run && copy_thaw_may(s, r.named) && order_back(&r, e) == -1)
		return -1;
	return serve(&r, e);
}

void
copy_done(struct copy_report *r)
{
	free(r->line);
	memset(r, 0, sizeof(*r));
}
