/*
 * Three questions, in the order in which they can be answered for sure. Is the primary there, and
 * has it nothing that is not here? Then nothing is lost. Is what was last heard of it fresh, and
 * all of it here? Then nothing as well, unless somebody has just tried to reach it in vain: a
 * primary that does not answer may have gone on. Else it is the time since the newest moment of
 * which all is here.
 *
 * Commits are counted by a receiver from its start on, so two counts that do not rise belong to two
 * receivers and say nothing.
 */
#include "job/exposure_judge.h"

#include <string.h>

static uint64_t
beyond(uint64_t lsn, uint64_t reach)
{
	return lsn > reach ? lsn - reach : 0;
}

/* Of what was seen last: bytes and commits that are not here. */
static void
count(const struct exposure_facts *f, uint64_t up_to, struct exposure *ret)
{
	const bool counted = f->sampled && f->seen && f->durable.commits > 0 &&
			     f->newest.commits >= f->durable.commits;

	ret->bytes = beyond(up_to, f->reach);
	ret->commits = counted ? f->newest.commits - f->durable.commits : 0;
	if (ret->bytes == 0)
		ret->commits = 0;
	ret->commits_known =
	    ret->bytes_known && (ret->bytes == 0 || (counted && f->newest.lsn >= up_to));
}

static void
by_primary(const struct exposure_facts *f, struct exposure *ret)
{
	ret->bytes_known = true;
	count(f, f->primary_lsn, ret);
	if (ret->bytes == 0) {
		ret->known = true;
	} else if (f->sampled && f->durable.time_ns <= f->now_ns) {
		ret->known = true;
		ret->ns = f->now_ns - f->durable.time_ns;
	}
}

static void
by_samples(const struct exposure_facts *f, struct exposure *ret)
{
	const struct exposure_sample *last = f->seen ? &f->newest : &f->durable;
	const int64_t age = f->now_ns - last->time_ns;
	const bool still = beyond(last->lsn, f->reach) == 0 && f->primary == EXPOSURE_NOT_ASKED &&
			   age >= 0 && age <= f->fresh_ns;

	if (!f->sampled && !f->seen)
		return;
	ret->bytes_known = still;
	count(f, last->lsn, ret);
	if (still) {
		ret->known = true;
		return;
	}
	/* A sample of the future is one whose clock was wrong: it bounds nothing. */
	if (!f->sampled || f->durable.time_ns > f->now_ns)
		return;
	ret->known = true;
	ret->ns = f->now_ns - f->durable.time_ns;
	ret->unseen_ns = age < 0 ? 0 : age < ret->ns ? age : ret->ns;
}

void
exposure_judge(const struct exposure_facts *f, struct exposure *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!f->here)
		return;
	if (f->primary == EXPOSURE_REACHED)
		by_primary(f, ret);
	else
		by_samples(f, ret);
}

bool
exposure_judge_within(const struct exposure *x, int64_t consent_ns)
{
	return x->known && x->ns <= consent_ns;
}

bool
exposure_judge_less(const struct exposure *a, const struct exposure *b)
{
	if (a->known != b->known)
		return a->known;
	return a->known && a->ns < b->ns;
}

void
exposure_judge_snapshot(int64_t begun_ns, int64_t now_ns, struct exposure *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->known = begun_ns <= now_ns;
	ret->ns = ret->known ? now_ns - begun_ns : 0;
}
