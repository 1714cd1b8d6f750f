/*
 * Since when is all of it here? Which sample is the newest that is durable has no shorter answer than
 * looking, because a piece says what the server had flushed when it was shipped, and that is more than
 * the piece has; how many pieces lie between is a matter of the backlog. So it is looked for in steps
 * that double, and then by halves.
 *
 * Each tier has a clock of its own, some tell only seconds, and receivers go on while we look. So a clock
 * is asked before anything is read, and goes on until all was: no age is told too short.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/wal/wal_look_parts.h"
#include "repo/piece.h"

/* ---- dates ---- */

int
wal_look_clock(struct wal_look_tier *t, struct err *e)
{
	int rc = store_clock_within(t->tier->store, &t->now_ns, &t->blur_ns, e);

	t->asked_ns = clock_boot_ns();
	return rc;
}

void
wal_look_age(struct wal_look_tier *t)
{
	if (t->asked_ns != 0)
		t->now_ns += clock_boot_ns() - t->asked_ns;
}

/*
 * A sample is dated by the clock of the tier that it lies on, and becomes no younger by being dated anew.
 * False: what that one shows is not known.
 */
static bool
by_its_clock(const struct wal_look_tier *t, struct tier *on, struct wal_sample *s)
{
	int64_t now, blur;

	if (on == t->tier)
		return true;
	if (store_clock_within(on->store, &now, &blur, NULL) == -1)
		return false;
	s->time_ns += t->now_ns - now - blur;
	return true;
}

/* ---- pieces ---- */

struct pieces {
	struct tier *on;
	struct lsn_range *at;
	size_t count, room;
	bool bundled; /* some lie in bundles */
};

static int
see_piece(void *arg, const struct store_entry *entry, struct err *e)
{
	struct pieces *p = arg;
	struct layout_wal w;

	(void)e;
	if (layout_wal_parse(entry->name, &w) == -1)
		return 0;
	p->bundled = p->bundled || w.kind == LAYOUT_WAL_BUNDLE;
	if (w.kind == LAYOUT_WAL_PIECE) {
		p->at = mem_grow(p->at, &p->room, p->count + 1, sizeof(*p->at));
		p->at[p->count++] = (struct lsn_range){ w.start, w.end };
	}
	return 0;
}

static bool
read_sample(struct wal_looking *k, struct tier *on, const char *name, struct wal_sample *ret)
{
	struct piece p;
	struct buf bytes;
	bool yes;

	buf_init(&bytes, STORE_OBJECT_MAX);
	yes = store_get(on->store, name, &bytes, NULL) == 0 &&
	    piece_open(k->s->repo->keys, name, &bytes, &p, NULL, NULL) == 0 && p.sampled &&
	    p.sample.flush_lsn > 0;
	if (yes)
		*ret = p.sample;
	buf_done(&bytes);
	return yes;
}

/* Does that piece have a sample that a recovery reaches? */
static bool
sample_of(struct wal_looking *k, struct wal_look_tier *t, const struct pieces *l, size_t i,
	  struct wal_sample *ret)
{
	char name[LAYOUT_NAME];

	layout_wal_piece(&k->l->place, t->tli, l->at[i].from, l->at[i].to, name);
	return read_sample(k, l->on, name, ret) && ret->flush_lsn <= t->reach &&
	    by_its_clock(t, l->on, ret);
}

static void
offer(struct wal_look_tier *t, const struct wal_sample *s)
{
	if (!t->sampled || s->time_ns > t->durable.time_ns)
		t->durable = *s;
	t->sampled = true;
}

/* The newest piece whose sample is reached: back in steps that double, then by halves. */
static void
search(struct wal_looking *k, struct wal_look_tier *t, const struct pieces *p)
{
	struct wal_sample s;
	size_t good, bad = p->count, step = 1;

	for (;;) {
		if (step > p->count)
			return;
		good = p->count - step;
		if (sample_of(k, t, p, good, &s))
			break;
		bad = good;
		step *= 2;
	}
	offer(t, &s);
	while (bad - good > 1) {
		size_t middle = good + (bad - good) / 2;

		if (sample_of(k, t, p, middle, &s)) {
			offer(t, &s);
			good = middle;
		} else {
			bad = middle;
		}
	}
}

/* Those of the pieces on one tier, its own or another: 1 more of them lie in bundles, 0, -1. */
static int
search_tier(struct wal_looking *k, struct wal_look_tier *t, struct tier *on, struct err *e)
{
	struct pieces p = { .on = on };
	int rc = walread_each(on, &k->l->place, t->tli, t->newest.facts.start, see_piece, &p, e);

	if (rc == 0)
		search(k, t, &p);
	free(p.at);
	return rc == -1 ? -1 : p.bundled;
}

/*
 * What is bundled may be frozen, and a large object is much to read for one line. But a sample speaks
 * of the database: found on any tier it holds for all that have the log up to there.
 */
static int
search_tiers(struct wal_looking *k, struct wal_look_tier *t, struct err *e)
{
	int got = search_tier(k, t, t->tier, e);

	for (size_t i = 0; got == 1 && i < k->opens; i++)
		if (k->open[i] != t->tier)
			search_tier(k, t, k->open[i], NULL);
	return got == -1 ? -1 : 0;
}

static bool
is_ours(const struct wal_looking *k, const struct wal_beat *b)
{
	return b->sample.flush_lsn > 0 && b->place.sysid == k->l->place.sysid &&
	    b->place.epoch == k->l->place.epoch;
}

/* A tier that keeps none may have been given one before it began to lock. */
static int
find_beat(struct wal_looking *k, struct wal_look_tier *t, struct err *e)
{
	struct err why = { 0 };
	int got;

	if (!wal_beat_kept(t->tier))
		return 0;
	got = wal_beat_get(k->s->repo, t->tier->store, k->l->place.source, &t->beat, &why);
	if (got == -1 && why.kind == ERR_REMOTE) {
		*e = why;
		return -1;
	}
	t->beaten = got == 1 && is_ours(k, &t->beat);
	t->stray = got == 1 && !t->beaten && t->beat.sample.flush_lsn > 0;
	return 0;
}

/* True: what the server had written then is all there. */
static bool
offer_beat(struct wal_look_tier *t, struct tier *on, const struct wal_beat *b)
{
	struct wal_sample s = b->sample;

	if (s.flush_lsn > t->reach || !pg_history_covers(&t->history, b->tli, s.flush_lsn) ||
	    !by_its_clock(t, on, &s))
		return false;
	offer(t, &s);
	return true;
}

/*
 * What others heard of the server holds for a tier that has the log up to there. True: no piece can tell
 * more. One that gets nothing any more heard less than the pieces say that still come here.
 */
static bool
offer_others(struct wal_looking *k, struct wal_look_tier *t)
{
	bool any = false;

	for (size_t i = 0; i < k->opens; i++) {
		struct wal_beat b;

		if (k->open[i] != t->tier && wal_beat_kept(k->open[i]) &&
		    wal_beat_get(k->s->repo, k->open[i]->store, k->l->place.source, &b, NULL) == 1 &&
		    is_ours(k, &b))
			any |= offer_beat(t, k->open[i], &b) && b.sample.flush_lsn == t->reach;
	}
	return any;
}

/* ---- what others have, and it lacks ---- */

struct late {
	uint64_t after; /* what ends behind it */
	uint64_t start; /* of the first one */
	char name[LAYOUT_NAME]; /* "": there is none */
};

/* Epoch by epoch, and the one that was left comes last. */
static int
see_late(void *arg, const struct store_entry *entry, const struct layout_wal *at, struct err *e)
{
	struct late *l = arg;

	(void)e;
	if (at->end <= l->after || (*l->name && at->start >= l->start))
		return 0;
	l->start = at->start;
	snprintf(l->name, sizeof(l->name), "%s", entry->name);
	return 0;
}

/* Since when has that tier had it? False: of that timeline nothing is missing here, or it does not say. */
static bool
late_since(struct wal_looking *k, const struct wal_look_tier *t, struct tier *on, uint32_t tli,
	   struct wal_sample *ret)
{
	struct late l = { .after = tli == t->tli ? t->frontier : 0 };

	return walread_log(k->read, on, tli, l.after, WALREAD_PIECES, see_late, &l, NULL) == 0 &&
	    *l.name && read_sample(k, on, l.name, ret);
}

/*
 * The first piece that another tier has behind its frontier says since when that one has had it. Where
 * nothing came since a failover it is one of a timeline of which there is nothing here at all.
 */
static void
find_late(struct wal_looking *k, struct wal_look_tier *t)
{
	for (size_t i = 0; i < k->opens; i++) {
		struct walread_timelines all = { 0 };
		struct wal_sample s;
		bool found = false;
		int64_t now;

		if (k->open[i] == t->tier || walread_timelines(k->read, k->open[i], &all, NULL) == -1)
			all.count = 0;
		for (size_t n = 0; n < all.count && !found; n++)
			found = all.tli[n] >= t->tli && late_since(k, t, k->open[i], all.tli[n], &s);
		if (found && store_clock_lately(k->open[i]->store, &now, NULL) == 0 &&
		    now - s.time_ns > t->late_ns)
			t->late_ns = now - s.time_ns;
		free(all.tli);
	}
}

int
wal_look_samples(struct wal_looking *k, struct wal_look_tier *t, struct err *e)
{
	const bool kept = wal_beat_kept(t->tier);
	bool last;
	int rc = 0;

	if (find_beat(k, t, e) == -1)
		return -1;
	if (t->reach == 0)
		return 0;
	/* What was written before a base backup began is in it, with its WAL; not what a standby lacked. */
	if (!t->newest.facts.standby)
		offer(t, &(struct wal_sample){ .time_ns = t->newest.begun_ns,
			.flush_lsn = t->newest.facts.start });
	last = kept ? t->beaten && offer_beat(t, t->tier, &t->beat) : offer_others(k, t);
	/* Where nobody streams any more it is the last word of who did. */
	if (!last || strcmp(k->l->w.source->postgres->wal_from, "stream") != 0)
		rc = search_tiers(k, t, e);
	if (!kept && t->frontier > 0)
		find_late(k, t);
	return rc;
}
