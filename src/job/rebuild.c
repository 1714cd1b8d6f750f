/*
 * After somebody who may write to a bucket has deleted and overwritten what lies there: back by names,
 * for a name has but one sound object ever. So it does not matter in which tier of that time it is found,
 * nor what the attacker wrote, and a run that was broken off is gone on with by the next one.
 *
 * What opens the rest comes first, and manifests last, so that at no time a snapshot is there without what
 * it needs. Records come as well: a hold that is lost would let something expire. What an object is worth
 * is judged by its signature or hash, where there are reasons to ask: another size than then, or a time
 * behind that one.
 */
#include "job/rebuild.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/mend.h"
#include "repo/layout.h"

static const char *const order[] = { "repo/", "key/", "pack/", "wal/", "walb/", "rec/", "snap/" };

struct name {
	char name[LAYOUT_NAME];
	uint64_t size;
	int64_t time_ns;
};
struct names {
	struct name *item;
	size_t count, room;
};

struct rebuilding {
	struct session *s;
	const struct watch *w;
	struct rebuild_report *report;
	bool dry_run;
	size_t absent; /* below this prefix: nobody had a good one, and so it is not there */
};

static int
see(void *arg, const struct store_entry *entry, struct err *e)
{
	struct names *l = arg;
	struct name *n;

	(void)e;
	if (strlen(entry->name) >= LAYOUT_NAME)
		return 0;
	l->item = mem_grow(l->item, &l->room, l->count + 1, sizeof(*l->item));
	n = &l->item[l->count++];
	snprintf(n->name, sizeof(n->name), "%s", entry->name);
	n->size = entry->size;
	n->time_ns = entry->time_ns;
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

/* What any of them had then, each name once. */
static int
list_then(struct rebuilding *r, const char *prefix, struct names *ret, struct err *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->s->tiers.count; i++) {
		struct tier *t = &r->s->tiers.tier[i];

		if (t != r->s->now && t->store && store_list(t->store, prefix, NULL, see, ret, e) == -1)
			return err_in(e, "tier '%s', as it was", t->name);
	}
	if (ret->count > 1)
		qsort(ret->item, ret->count, sizeof(*ret->item), by_name);
	for (size_t i = 0; i < ret->count; i++)
		if (kept == 0 || strcmp(ret->item[kept - 1].name, ret->item[i].name) != 0)
			ret->item[kept++] = ret->item[i];
	ret->count = kept;
	return 0;
}

/* 1 it is there and sound, 0 not, -1. */
static int
is_there(struct rebuilding *r, const struct name *then, const struct name *now, struct err *e)
{
	if (!now)
		return 0;
	if (now->size == then->size && now->time_ns <= r->s->as_of_ns)
		return 1;
	return mend_judge(r->s, r->s->now, then->name, e);
}

static void
tell_lost(struct rebuilding *r, const char *name, const struct err *why)
{
	char *text = xasprintf("'%s': no tier had a good one: %s", name, why->text);

	r->report->lost++;
	r->w->event(r->w->arg, "warning", text);
	free(text);
}

static int
one(struct rebuilding *r, const struct name *then, const struct name *now, struct err *e)
{
	struct err why = { 0 };
	int rc;

	if (r->w->stop(r->w->arg))
		return err_set(e, ERR_CANCELLED, "the rebuilding of '%s' was interrupted: the same "
		    "command goes on", r->s->now->name);
	rc = is_there(r, then, now, e);
	if (rc == 0 && !r->dry_run && mend_object(r->s, r->s->now, then->name, &why) == -1) {
		if (why.kind != ERR_CORRUPT && why.kind != ERR_NOTFOUND && why.kind != ERR_KEY) {
			*e = why;
			return err_in(e, "'%s'", then->name);
		}
		tell_lost(r, then->name, &why);
		r->absent += !now;
	} else if (rc == 0) {
		r->report->missing += !now;
		r->report->replaced += now != NULL;
		r->report->bytes += then->size;
	}
	return rc == -1 ? -1 : 0;
}

/* Whoever may write to a bucket may also have given it a rule that removes what comes. */
static int
prove(struct rebuilding *r, const char *prefix, const struct names *then, struct err *e)
{
	struct names now = { 0 };
	size_t gone = 0;
	int rc = store_list(r->s->now->store, prefix, NULL, see, &now, e);

	for (size_t i = 0; i < then->count && rc == 0; i++)
		gone += now.count == 0 ||
		    !bsearch(&then->item[i], now.item, now.count, sizeof(*now.item), by_name);
	free(now.item);
	if (rc == -1 || gone <= r->absent)
		return rc;
	err_set(e, ERR_CORRUPT, "brought back to '%s' and gone again: %zu of %zu below %s",
	    r->s->now->name, gone - r->absent, then->count, prefix);
	return err_line(e, "fix", "remove the rules of the bucket that delete objects (lifecycle), then "
	    "the same command");
}

/*
 * A repository object that somebody has added with our keys holds from then on: it may say that our kek
 * was replaced, and then our key objects go. Only a person knows whether it was one of us.
 */
static void
tell_since(struct rebuilding *r, const struct names *then, const struct names *now)
{
	for (size_t i = 0; i < now->count; i++) {
		const struct name *n = &now->item[i];
		char *text;

		if (then->count > 0 && bsearch(n, then->item, then->count, sizeof(*n), by_name))
			continue;
		text = xasprintf("'%s' came to '%s' since then, and counts\n"
				 "  fix       where nobody of you made it, delete it in the bucket before "
				 "anything else is written there", n->name, r->s->now->name);
		r->w->event(r->w->arg, "warning", text);
		free(text);
	}
}

static int
all_of(struct rebuilding *r, const char *prefix, struct err *e)
{
	struct names then = { 0 }, now = { 0 };
	int rc = list_then(r, prefix, &then, e);

	r->absent = 0;
	if (rc == 0 && store_list(r->s->now->store, prefix, NULL, see, &now, e) == -1)
		rc = err_in(e, "tier '%s'", r->s->now->name);
	for (size_t i = 0; i < then.count && rc == 0; i++) {
		const struct name *there = now.count == 0 ? NULL :
		    bsearch(&then.item[i], now.item, now.count, sizeof(*now.item), by_name);

		rc = one(r, &then.item[i], there, e);
		r->w->count(r->w->arg, "bringing back", i + 1, then.count);
	}
	r->report->names += then.count;
	if (strcmp(prefix, "repo/") == 0 || strcmp(prefix, "key/") == 0)
		tell_since(r, &then, &now);
	if (rc == 0 && !r->dry_run)
		rc = prove(r, prefix, &then, e);
	free(then.item);
	free(now.item);
	return rc;
}

/* What it alone had then is in no list, so nobody would miss it. */
static void
tell_away(const struct session *s, const struct watch *w)
{
	for (size_t i = 0; i < s->tiers.count; i++) {
		const struct tier *t = &s->tiers.tier[i];
		char *text;

		if (t == s->now || t->store || session_left_out(s, t))
			continue;
		text = xasprintf("tier '%s' cannot be looked at: what it alone had then is not brought: "
				 "%.*s\n  fix       the same command, once it answers", t->name,
		    (int)strcspn(t->why.text, "\n"), t->why.text);
		w->event(w->arg, "warning", text);
		free(text);
	}
}

int
rebuild_run(struct session *s, bool dry_run, const struct watch *w, struct rebuild_report *ret,
    struct err *e)
{
	struct rebuilding r = { .s = s, .w = w, .report = ret, .dry_run = dry_run };
	int rc = 0;

	*ret = (struct rebuild_report){ 0 };
	if (!s->now->store) {
		*e = s->now->why;
		return err_in(e, "tier '%s'", s->now->name);
	}
	tell_away(s, w);
	for (size_t i = 0; i < ARRAY_LEN(order) && rc == 0; i++)
		rc = all_of(&r, order[i], e);
	return rc;
}
