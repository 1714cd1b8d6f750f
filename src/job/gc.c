/*
 * One collection after the other, each with its own tier's clock and its own hour. What stops one
 * says nothing about the next; but it is told at once, because a tier that is not collected fills
 * up.
 */
#include "job/gc.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/recall.h"
#include "repo/wall.h"

static bool
stop(void *arg)
{
	const struct watch *w = arg;

	return w->stop(w->arg);
}

static void
tell(const struct watch *w, const struct gc_part *part)
{
	char *text;

	if (part->failed.kind != ERR_NONE)
		text = xasprintf("garbage on '%s': %s", part->tier, part->failed.text);
	else if (part->gc.stopped[0] != '\0')
		text = xasprintf("garbage on '%s': %s", part->tier, part->gc.stopped);
	else
		return;
	w->event(w->arg, "warning", text);
	free(text);
}

/* A snapshot that is gone may have named what is garbage now: it is to be found first. */
static void
refuse_missing(void *arg, struct tier *t, const struct newest_missing *m)
{
	struct err *e = arg;

	if (e->kind == ERR_NONE)
		err_set(e, ERR_REFUSED, "nothing is collected on '%s': %s %s", t->name, m->id, m->why.text);
}

int
gc_run(struct session *s, const struct gc_choice *o, const struct watch *w,
    struct gc_summary *ret, struct err *e)
{
	struct watch asked = *w;
	const struct gc_options go = { .dry_run = o->dry_run,
		.empty_is_right = o->empty_is_right, .interrupted = stop, .arg = &asked };
	int rc = 0;

	memset(ret, 0, sizeof(*ret));
	if (wall_begin(s->repo, &(struct wall_options){ .trusted = o->clock_is_right,
	    .look_only = o->dry_run }, e) == -1)
		return -1;
	ret->part = xcalloc(s->tiers.count, sizeof(*ret->part));
	for (size_t i = 0; i < s->tiers.count && rc == 0; i++) {
		struct tier *t = &s->tiers.tier[i];
		struct gc_part *part = &ret->part[ret->count];

		if (o->tier != NULL && o->tier != t)
			continue;
		ret->count++;
		part->tier = t->name;
		recall_each(s, t, NULL, w, refuse_missing, &part->failed);
		if (t->store == NULL)
			part->failed = t->why;
		else if (part->failed.kind == ERR_NONE)
			rc = gc_collect(s->repo, t, &go, &part->gc, &part->failed);
		part->away = t->store == NULL || part->failed.kind == ERR_REMOTE;
		ret->away += part->away;
		ret->failed += part->failed.kind != ERR_NONE && !part->away;
		tell(w, part);
		if (rc == -1 && part->failed.kind == ERR_CANCELLED)
			*e = part->failed;
		else
			rc = 0;
	}
	return rc;
}

void
gc_done(struct gc_summary *r)
{
	free(r->part);
	memset(r, 0, sizeof(*r));
}
