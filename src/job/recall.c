/*
 * The memory is a second line of defence: losing it, or being unable to write it, must not stop a
 * backup or a restore. So nothing here fails; what goes wrong is a warning.
 */
#include "job/recall.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "repo/object.h"
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

/* Who came without keys looks for them now: it is rare, and without them the alarm may be a false one. */
static int
have_keys(struct session *s, struct err *e)
{
	return s->repo ? 0 : session_open_repo(s, SESSION_READ, e);
}

/* Another host may have let go of it, and then it said so on the tier, signed. */
static bool
let_go(const struct recalling *r, const char *id)
{
	return have_keys(r->s, NULL) == 0 && r->t->store && record_let_go(r->s->repo, r->t, id);
}

/*
 * A signature for that name proves that we made it: it need not open, for a host to which its key has not
 * come. What nobody of ours signed is no proof that anything was outlived.
 */
static int
sound(void *arg, const struct tier *t, const char *name, struct err *e)
{
	struct session *s = arg;
	struct buf bytes;
	int rc;

	if (have_keys(s, e) == -1)
		return -1;
	if (!t->store) {
		*e = t->why; /* it was looked at with the keys, and is none of ours */
		return -1;
	}
	buf_init(&bytes, STORE_OBJECT_MAX);
	rc = store_get(t->store, name, &bytes, e);
	if (rc == 0)
		rc = object_check_signed(&bytes, OBJECT_MANIFEST, name, s->repo->keys, e);
	buf_done(&bytes);
	if (rc == 0)
		return 1;
	return e->kind == ERR_CORRUPT || e->kind == ERR_NOTFOUND || e->kind == ERR_KEY ? 0 : -1;
}

static void
one(void *arg, const char *source)
{
	const struct recalling *r = arg;
	const struct newest_judge judge = { sound, r->s };
	struct newest_missing missing;
	struct err why = { 0 };
	int rc;

	if (!r->t->store)
		return;
	rc = newest_check(r->dir, &r->s->tiers, r->t, source, &judge, &missing, &why);
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
	const struct newest_judge judge = { sound, s };
	char *dir = memory_dir(s);
	struct err e = { 0 };

	/* Said once is enough. */
	if (t->options.as_of_ns == 0 && s->state.kind == ERR_NONE &&
	    newest_remember(dir, t, id, sequence, &judge, &e) == -1) {
		/* What the tier does not tell is no fault of `state`. */
		if (e.kind != ERR_NOTFOUND && e.kind != ERR_REMOTE)
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
