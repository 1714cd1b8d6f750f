/*
 * Of a database two things may lie in an archive: the packs of its base, and bundles of its log. They
 * are ordered in one sum, before anything is written, and what is ordered of the log is what the
 * recovery will ask for, no more: from the base up to the target.
 *
 * But where the target lies in the log may be known to the log alone. Then a guess is ordered: of a time,
 * up to the first bundle that was put later than that, for all in it was written before it was put. Where
 * the log says otherwise once it can be read, there is a second order; it goes so far that a third is rare.
 */
#include "job/pg/restore_pg.h"

#include <stdlib.h>

#include "base/mem.h"

static int
find_bundles(const struct restore_pg *r, uint64_t from, uint64_t to, struct wal_thaw *ret, struct err *e)
{
	const struct pg_world *w = &r->world;

	return wal_thaw_find(&(struct wal_thaw_way){ .read = w->read, .tier = w->tier,
		.tiers = w->tiers, .history = &w->history, .segment_size = w->segment_size,
		.from = from, .to = to }, ret, e);
}

/* Where the log is read from at the latest: the newest base that may be taken, else the first. */
static uint64_t
first_read(const struct pg_world *w, int64_t time_ns)
{
	uint64_t first = UINT64_MAX, best = 0;

	for (size_t i = 0; i < w->bases; i++) {
		const struct pg_target_base *b = &w->base[i];

		first = b->start < first ? b->start : first;
		if (b->stop_ns <= time_ns && b->start > best)
			best = b->start;
	}
	return best > 0 ? best : first;
}

static int
first_reach(const struct restore_pg *r, uint64_t *until, struct err *e)
{
	const struct pg_world *w = &r->world;
	struct wal_thaw all = { 0 };
	int rc;

	if (r->want.kind != PG_TARGET_TIME)
		return 0;
	rc = find_bundles(r, first_read(w, r->want.time_ns), w->frontier, &all, e);
	if (rc == 0)
		*until = wal_thaw_written_by(&all, r->want.time_ns, w->frontier);
	wal_thaw_done(&all);
	return rc;
}

/* What is there was read, and it was not enough: up to a base backup that came later, or to the end. */
static uint64_t
next_reach(const struct restore_pg *r)
{
	const struct pg_world *w = &r->world;
	uint64_t to = w->frontier;

	if (r->want.kind == PG_TARGET_LSN)
		return w->unread + 1;
	for (size_t i = 0; i < w->bases && r->want.kind == PG_TARGET_TIME; i++) {
		const struct pg_target_base *b = &w->base[i];

		if (b->stop_ns > r->want.time_ns && b->stop > w->unread && b->stop < to)
			to = b->stop;
	}
	return to;
}

/* A name or a transaction is looked for from the newest base on, then from the one before it. */
static uint64_t
base_before(const struct pg_world *w, uint64_t lsn)
{
	uint64_t best = 0;

	for (size_t i = 0; i < w->bases; i++)
		if (w->base[i].start <= lsn && w->base[i].start > best)
			best = w->base[i].start;
	return best > 0 ? best : lsn;
}

int
restore_pg_guess(struct restore_pg *r, struct err *e)
{
	const struct pg_world *w = &r->world;
	const uint64_t from = r->from, to = r->to, size = w->segment_size;
	const bool again = r->thaw != NULL;
	uint64_t until = w->frontier;

	/* It was brought, and has gone since. */
	if (again && w->unread >= lsn_segment(from, size) && w->unread < lsn_segment(to - 1, size) + size)
		return -1;
	err_clear(e);
	if (again && w->unread >= to)
		until = next_reach(r);
	else if (!again && first_reach(r, &until, e) == -1)
		return -1;
	if (pg_world_guess(&r->world, &r->want, until, &r->plan, e) == -1)
		return -1;
	r->from = w->base[r->plan.base].start;
	r->to = r->plan.until;
	if (again) {
		r->from = r->from < from ? r->from : from;
		r->to = r->to > to ? r->to : to;
		r->from = w->unread < r->from ? base_before(w, w->unread) : r->from;
		r->to = w->unread < r->to ? r->to : until;
	}
	r->guessed = true;
	return 0;
}

int
restore_pg_thaw(struct restore_pg *r, struct err *e)
{
	const struct pg_target_base *b = &r->world.base[r->plan.base];

	if (r->guessed) {
		r->guessed = false;
	} else {
		const bool there = r->thaw && r->thawed == r->plan.base && b->start >= r->from &&
		    r->plan.until <= r->to;

		if (there)
			return 0;
		r->from = b->start;
		r->to = r->plan.until;
	}
	thaw_free(r->thaw);
	r->thaw = NULL;
	wal_thaw_done(&r->log);
	r->thawed = r->plan.base;
	if (find_bundles(r, r->from, r->to, &r->log, e) == -1)
		return -1;
	return restore_kind_thaw(r->o, &r->run, r->world.about[r->plan.base].on, r->reader,
	    &(struct restore_kind_what){ .log = &r->log }, r->report, &r->thaw, e);
}
