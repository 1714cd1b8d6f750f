/*
 * A restore trusts no list: paths that leave the target, come twice or out of order are refused.
 * What a restore would refuse must not be called sound, or the day of the restore is the day on
 * which it shows; so the list is followed here by the same code.
 */
#include "job/verify_list.h"

#include "repo/prove.h"
#include "source/trail.h"

struct following {
	const struct watch *w;
	struct trail trail;
};

static bool
stop(void *arg)
{
	const struct following *f = arg;

	return f->w->stop(f->w->arg);
}

static int
follow(void *arg, const struct entry *en, struct err *e)
{
	struct following *f = arg;

	if (trail_step(&f->trail, en, NULL, NULL, e) == -1)
		return -1;
	return en->type == ENTRY_HARDLINK ? trail_check_path(en->target, en->targetlen, e) : 0;
}

int
verify_list(struct session *s, struct tier *t, const char *snap, const struct watch *w,
    struct err *e)
{
	struct following f = { .w = w };
	const struct prove_options o = { .interrupted = stop, .entry = follow, .arg = &f };
	int rc;

	trail_init(&f.trail);
	rc = prove_contents(s->repo, t, snap, &o, e);
	trail_done(&f.trail);
	return rc;
}
