/*
 * Below the mount point of a disk that is not mounted lies an empty directory. Used as a tier it would
 * look new, and fill the wrong disk. What this host remembers of the tier tells it from a new one, so
 * only those it remembers are asked; and all of them at once, because one that is silent takes long.
 */
#include "job/session_empty.h"

#include <stdlib.h>

#include "base/mem.h"
#include "repo/newest.h"

#define NEWEST "newest" /* directory in state/: the newest snapshots seen on each tier */

/* What is known of one tier. */
struct look {
	bool known; /* by what this host remembers */
	bool any;   /* there is something */
	struct err why; /* kind set: it cannot be listed */
};

static void
remembered(void *arg, const char *source)
{
	bool *any = arg;

	(void)source;
	*any = true;
}

/* Of several tiers at once: each has its own. */
static void
look(void *arg, struct tier *t, size_t i)
{
	static const char *const kept[] = { "repo/", "key/", "pack/", "snap/" };
	struct look *l = &((struct look *)arg)[i];
	int any = 0;

	for (size_t k = 0; l->known && any == 0 && k < ARRAY_LEN(kept); k++)
		any = store_any(t->store, kept[k], &l->why);
	l->any = any == 1;
}

static void
bar(struct tier *t)
{
	const bool dir = tier_dir(t->options.url) != NULL;

	err_set(&t->why, ERR_REMOTE, "'%s' is empty, and has held the repository: is it %s?",
	    t->options.url, dir ? "mounted" : "the right bucket");
	err_line(&t->why, "fix", "%s; for a tier that was replaced see operations.md, "
	    "'A tier is lost'", dir ? "mount it" : "mend its url and endpoint");
	repo_tell_emptied(t, "or", &t->why);
	store_close(t->store);
	t->store = NULL;
	t->barred = true;
	/* A directory is most likely not the one that was meant; an address leads where it always led. */
	t->found = dir ? TIER_SILENT : TIER_RUINED;
}

size_t
session_empty_bar(struct session *s)
{
	struct look *l = xcalloc(s->tiers.count + 1, sizeof(*l));
	char *dir = xasprintf("%s/" NEWEST, s->conf->state);
	size_t n = 0;

	for (size_t i = 0; i < s->tiers.count; i++)
		if (s->tiers.tier[i].store)
			newest_sources(dir, s->tiers.tier[i].name, remembered, &l[i].known);
	tier_each(&s->tiers, look, l);
	for (size_t i = 0; i < s->tiers.count; i++) {
		struct tier *t = &s->tiers.tier[i];

		if (l[i].why.kind == ERR_REMOTE) {
			t->why = l[i].why;
			t->silent = true;
		} else if (t->store && l[i].known && !l[i].any && l[i].why.kind == ERR_NONE) {
			bar(t);
			n++;
		}
	}
	free(dir);
	free(l);
	return n;
}
