/*
 * A repository may serve many hosts, and a source is known by its name alone. When two hosts use
 * one name, each becomes the other's parent and the newest of both is `latest`: a restore in place
 * would then bring the files of one over those of the other. A name cannot be reserved on tiers
 * that only keep objects, and a host that is renamed or replaced goes on rightly with the old one's
 * source; so this is told and not refused, except where a restore would remove something
 * (job/target.h).
 */
#include "job/whose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "repo/snapshot.h"

#define WHOSE_HOST_MAX 256 /* HOST_NAME_MAX and its NUL */

/* Are these two names of one directory, as far as that can be said here? */
static bool
same_place(const char *root, const char *path)
{
	char *a = realpath(root, NULL), *b = realpath(path, NULL);
	bool same = strcmp(root, path) == 0 || (a && b && strcmp(a, b) == 0);

	free(a);
	free(b);
	return same;
}

char *
whose_other(const struct manifest *m, const char *path)
{
	const bool moved = path && m->root && !same_place(m->root, path);
	char host[WHOSE_HOST_MAX] = "";
	const char *named = path ? path : "";
	bool other;

	/* Who does not know its own name knows no other. */
	other = m->host && gethostname(host, sizeof(host) - 1) == 0 && strcmp(host, m->host) != 0;
	if (!other && !moved)
		return NULL;
	return xasprintf("was captured on '%s' from '%s', this host is '%s'%s%s%s",
	    m->host ? m->host : "?", m->root ? m->root : "?", host,
	    path ? " and the source is '" : "", named, path ? "'" : "");
}

static void
check_newest(struct check *c, struct session *s, struct tier *t, const char *source)
{
	struct snapshot_list list = { 0 };
	const struct snapshot *newest;
	struct manifest m;
	struct err e = { 0 };
	char what[200], *other;

	manifest_init(&m);
	/* What cannot be listed or opened is told by those checks that are about it. */
	if (snapshot_list_known(t->store, source, &list, &e) == -1)
		goto out;
	newest = snapshot_newest(&list, source);
	if (!newest || manifest_get(t->store, newest->name, s->repo->keys, &m, &e) == -1)
		goto out;
	other = whose_other(&m, NULL);
	if (other) {
		snprintf(what, sizeof(what), "%s on %s", source, t->name);
		check_add(c, CHECK_WARN, what, WHOSE_FIX, "the newest snapshot, %s, %s",
		    newest->part.id, other);
	}
	free(other);
out:
	manifest_done(&m);
	snapshot_list_done(&list);
}

void
whose_check(struct check *c, struct session *s)
{
	struct tier **tier = xcalloc(s->tiers.count + 1, sizeof(*tier));

	for (size_t i = 0; s->repo && i < s->conf->sources; i++) {
		const char *source = s->conf->source[i].name;
		size_t n;

		/* A volume belongs to its host; a server is backed up from any. */
		if (s->conf->source[i].kind != CONF_KIND_VOLUME)
			continue;
		n = session_source_tiers(s, source, tier, s->tiers.count);
		for (size_t k = 0; k < n; k++)
			if (tier[k]->store)
				check_newest(c, s, tier[k], source);
	}
	free(tier);
}
