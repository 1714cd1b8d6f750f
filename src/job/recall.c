/*
 * The memory is a second line of defence: losing it, or being unable to write it, must not stop a
 * backup or a restore. So nothing here fails; what goes wrong is a warning.
 */
#include "job/recall.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "repo/record.h"

struct recalling {
	struct session *s;
	struct tier *t;
	const char *dir;
	const struct watch *w;
	recall_missing *seen;
	void *arg;
};

static char *
memory_dir(const struct session *s)
{
	return xasprintf("%s/newest", s->conf->state);
}

/*
 * Another host may have let go of it, and then it said so on the tier, signed. Who came without
 * keys looks for them now: it is rare, and the alarm would be a false one.
 */
static bool
let_go(const struct recalling *r, const char *id)
{
	struct err why = { 0 };

	if (!r->s->repo && session_open_repo(r->s, SESSION_READ, &why) == -1)
		return false;
	return r->t->store && record_let_go(r->s->repo, r->t, id);
}

static void
one(void *arg, const char *source)
{
	const struct recalling *r = arg;
	struct newest_missing missing;
	struct err why = { 0 };
	int rc;

	if (!r->t->store)
		return;
	rc = newest_check(r->dir, &r->s->tiers, r->t, source, &missing, &why);
	if (rc == 0 && let_go(r, missing.id))
		recall_forget(r->s, r->t, source, missing.id, r->w);
	else if (rc == 0)
		r->seen(r->arg, r->t, &missing);
	else if (rc == -1 && why.kind != ERR_REMOTE)
		r->w->event(r->w->arg, "warning", why.text);
}

void
recall_each(struct session *s, struct tier *t, const char *source, const struct watch *w,
    recall_missing *seen, void *arg)
{
	char *dir = memory_dir(s);
	struct recalling r = { .s = s, .dir = dir, .w = w, .seen = seen, .arg = arg };

	/* Who may not look there was told so. */
	for (size_t i = 0; access(s->conf->state, R_OK | X_OK) == 0 && i < s->tiers.count; i++) {
		r.t = &s->tiers.tier[i];
		/* What came since is not missing in the past. */
		if (r.t->store == NULL || (t != NULL && t != r.t) || r.t->options.as_of_ns != 0)
			continue;
		if (source != NULL)
			one(&r, source);
		else
			newest_sources(dir, r.t->name, one, &r);
	}
	free(dir);
}

static void
tell(void *arg, struct tier *t, const struct newest_missing *m)
{
	const struct watch *w = arg;
	char *text = xasprintf("%s on '%s' %s", m->id, t->name, m->why.text);

	w->event(w->arg, "warning", text);
	free(text);
}

void
recall_warn(struct session *s, struct tier *t, const char *source, const struct watch *w)
{
	struct watch copy = *w;

	recall_each(s, t, source, w, tell, &copy);
}

void
recall_newest(const struct session *s, const struct tier *t, const char *source, char id[96])
{
	char *dir = memory_dir(s);

	if (newest_remembered(dir, t->name, source, id, NULL) != 1)
		id[0] = '\0';
	free(dir);
}

void
recall_put(struct session *s, const struct tier *t, const char *id, uint64_t sequence,
    const struct watch *w)
{
	char *dir = memory_dir(s);
	struct err e = { 0 };

	/* Said once is enough. */
	if (t->options.as_of_ns == 0 && s->state.kind == ERR_NONE &&
	    newest_remember(dir, t, id, sequence, &e) == -1) {
		session_state_lost(s, &e);
		w->event(w->arg, "warning", e.text);
	}
	free(dir);
}

void
recall_forget(struct session *s, const struct tier *t, const char *source, const char *id,
    const struct watch *w)
{
	char *dir = memory_dir(s);
	struct err e = { 0 };

	if (newest_forget(dir, t->name, source, id, &e) == -1)
		w->event(w->arg, "warning", e.text);
	free(dir);
}
