/*
 * Deciding what nobody needs any more is the most dangerous thing a backup program does, so it is
 * made of one question that can be read and tested by itself: does a recovery from this base backup
 * ever read that piece? It does when three things hold. The piece's epoch and the base's are of one
 * line, and the piece lies on the part of it that counts. The piece's timeline is the base's own,
 * or grows out of it behind the base. And the piece does not end before the segment in which the
 * base begins.
 *
 * What is not known counts as yes: a timeline whose history is missing grows out of everything.
 */
#include "job/wal/wal_keep.h"

#include <string.h>

#include "base/lsn.h"
#include "base/mem.h"
#include "source/pg/pg_walname.h"

static const struct wal_lineage *
lineage_of(const struct wal_keep *k, uint64_t sysid, uint32_t epoch)
{
	for (size_t i = 0; i < k->epochs; i++)
		if (k->epoch[i].sysid == sysid && k->epoch[i].epoch == epoch)
			return &k->epoch[i].lineage;
	return NULL;
}

/* Which level of that lineage is the epoch? -1: it is not in it. */
static int
level_of(const struct wal_lineage *l, uint32_t epoch)
{
	for (size_t i = 0; l && i < l->levels; i++)
		if (l->level[i].epoch == epoch)
			return (int)i;
	return -1;
}

/* What a reader of that epoch knows of the timeline's past: its own file, else that of a parent as
 * far as it counts. */
static const struct pg_history *
history_of(const struct wal_keep *k, uint64_t sysid, const struct wal_lineage *l, uint32_t tli)
{
	for (size_t i = 0; l && i < l->levels; i++) {
		if (wal_lineage_bound(l, i, tli) == 0)
			continue;
		for (size_t n = 0; n < k->histories; n++)
			if (k->history[n].sysid == sysid &&
			    k->history[n].epoch == l->level[i].epoch &&
			    k->history[n].history.timeline == tli)
				return &k->history[n].history;
	}
	return NULL;
}

/* Do base and place lie in one line of epochs? *up_to: up to where that place's WAL of the timeline
 * counts for the base; *reader: who reads both. */
static bool
one_line(const struct wal_keep *k, const struct pg_facts *b, uint32_t epoch, uint32_t tli,
	 uint64_t *up_to, const struct wal_lineage **reader)
{
	const struct wal_lineage *mine = lineage_of(k, b->sysid, epoch),
				 *its = lineage_of(k, b->sysid, b->epoch);
	int level = level_of(mine, b->epoch);

	/* Of an epoch that nobody told of nothing is known. */
	if (!mine || !its ||
	    (level >= 0 && wal_lineage_bound(mine, (size_t)level, b->stop_tli) >= b->stop)) {
		*up_to = UINT64_MAX;
		*reader = mine;
		return true;
	}
	level = level_of(its, epoch);
	if (level < 0)
		return false;
	*up_to = wal_lineage_bound(its, (size_t)level, tli);
	*reader = its;
	return *up_to > 0;
}

static uint64_t
first_needed(const struct pg_facts *b)
{
	return lsn_segment(b->start, b->segment_size);
}

/* Does the timeline come behind the base, or is it its own? */
static bool
grows_out(const struct wal_keep *k, const struct pg_facts *b, const struct wal_lineage *reader,
	  uint32_t tli)
{
	const struct pg_history *h;

	if (tli <= b->stop_tli)
		return tli >= b->start_tli;
	h = history_of(k, b->sysid, reader, tli);
	return !h || pg_history_covers(h, b->stop_tli, b->stop);
}

/* An older timeline that was left in the very segment the base begins in: up to where? 0: it was
 * left before. */
static uint64_t
left_beside(const struct wal_keep *k, const struct pg_facts *b, const struct wal_lineage *reader,
	    uint32_t tli)
{
	const struct pg_history *h =
	    tli < b->start_tli ? history_of(k, b->sysid, reader, b->stop_tli) : NULL;
	uint64_t from, to;

	return h && pg_history_span(h, tli, &from, &to) && to > first_needed(b) ? to : 0;
}

/* Does a recovery from that base read WAL of that timeline there, from `start` on? */
static bool
leads(const struct wal_keep *k, const struct pg_facts *b, const struct wal_place *p, uint32_t tli,
      uint64_t start)
{
	const struct wal_lineage *reader;
	uint64_t up_to;

	if (b->sysid != p->sysid || !one_line(k, b, p->epoch, tli, &up_to, &reader) || start >= up_to)
		return false;
	return grows_out(k, b, reader, tli) || start < left_beside(k, b, reader, tli);
}

/* ---- by kind of object: does the base need it? ---- */

static bool
needs_piece(const struct wal_keep *k, const struct pg_facts *b, const struct layout_wal *at)
{
	return at->end > first_needed(b) && leads(k, b, &at->place, at->tli, at->start);
}

/* A history says where its timeline comes from: wanted for every timeline on the way, before the
 * base and behind it. */
static bool
needs_history(const struct wal_keep *k, const struct pg_facts *b, const struct layout_wal *at)
{
	const struct wal_lineage *reader;
	const struct pg_history *h;
	uint64_t up_to, from, to;

	if (b->sysid != at->place.sysid ||
	    !one_line(k, b, at->place.epoch, at->tli, &up_to, &reader))
		return false;
	if (at->tli >= b->start_tli)
		return grows_out(k, b, reader, at->tli);
	h = history_of(k, b->sysid, reader, b->stop_tli);
	return !h || pg_history_span(h, at->tli, &from, &to);
}

static bool
needs_from(const struct wal_keep *k, const struct pg_facts *b, const struct layout_wal *at)
{
	const struct wal_lineage *mine = lineage_of(k, b->sysid, at->place.epoch),
				 *its = lineage_of(k, b->sysid, b->epoch);
	int level = level_of(mine, b->epoch);

	if (b->sysid != at->place.sysid)
		return false;
	return !mine || !its || level_of(its, at->place.epoch) >= 0 ||
	       (level >= 0 && wal_lineage_bound(mine, (size_t)level, b->stop_tli) >= b->stop);
}

/* A file of the server's archive that is no segment, by the segment it is named after. */
static bool
needs_other(const struct wal_keep *k, const struct pg_facts *b, const struct layout_wal *at)
{
	struct pg_walname n;
	uint64_t start;

	if (b->sysid != at->place.sysid)
		return false;
	pg_walname_parse(at->file, &n);
	if (n.kind == PG_WALNAME_OTHER || pg_walname_start(&n, b->segment_size, &start, NULL) == -1)
		return true; /* nothing says that it does not */
	return start + b->segment_size > first_needed(b) &&
	       leads(k, b, &at->place, n.timeline, start);
}

static bool
needs(const struct wal_keep *k, const struct pg_facts *b, const struct layout_wal *at)
{
	switch (at->kind) {
	case LAYOUT_WAL_PIECE:
	case LAYOUT_WAL_BUNDLE: /* of which one piece is needed, all is */
		return needs_piece(k, b, at);
	case LAYOUT_WAL_HISTORY:
		return needs_history(k, b, at);
	case LAYOUT_WAL_FROM:
		return needs_from(k, b, at);
	case LAYOUT_WAL_OTHER:
		return needs_other(k, b, at);
	}
	return true;
}

/* Why may it go: only for people, so only one that goes is asked. */
static enum wal_keep_reason
why_not(const struct wal_keep *k, const struct layout_wal *at)
{
	enum wal_keep_reason ret = WAL_KEEP_GO_SYSTEM;

	for (size_t i = 0; i < k->bases; i++) {
		const struct pg_facts *b = &k->base[i].facts;

		if (b->sysid != at->place.sysid)
			continue;
		ret = WAL_KEEP_GO_NOWHERE;
		if (layout_wal_is_log(at) && leads(k, b, &at->place, at->tli, at->start))
			return WAL_KEEP_GO_BEFORE;
	}
	return ret;
}

enum wal_keep_reason
wal_keep_judge(const struct wal_keep *k, const struct layout_wal *at, int64_t stored_ns, size_t *by)
{
	if (by)
		*by = WAL_KEEP_NONE;
	for (size_t i = 0; i < k->bases; i++) {
		if (!needs(k, &k->base[i].facts, at))
			continue;
		if (by)
			*by = i;
		return WAL_KEEP_NEEDED;
	}
	return stored_ns >= k->before_ns && k->before_ns != INT64_MAX ? WAL_KEEP_YOUNG
								      : why_not(k, at);
}

bool
wal_keep_goes(enum wal_keep_reason r)
{
	return r == WAL_KEEP_GO_BEFORE || r == WAL_KEEP_GO_NOWHERE || r == WAL_KEEP_GO_SYSTEM;
}

const char *
wal_keep_text(enum wal_keep_reason r)
{
	static const char *const text[] = {
		[WAL_KEEP_NEEDED] = "a base backup that stays needs it",
		[WAL_KEEP_YOUNG] = "younger than keep",
		[WAL_KEEP_GO_BEFORE] = "before the oldest base backup of its timeline",
		[WAL_KEEP_GO_NOWHERE] = "no base backup leads to its timeline",
		[WAL_KEEP_GO_SYSTEM] = "no base backup of its system is left",
	};

	_Static_assert(ARRAY_LEN(text) == WAL_KEEP_REASONS, "a text for each reason");
	return r < WAL_KEEP_REASONS ? text[r] : "unknown";
}

static size_t
root_of(const struct wal_keep *k, const struct wal_keep_timeline *t, int64_t window_ns)
{
	size_t best = WAL_KEEP_NONE;

	for (size_t i = 0; i < k->bases; i++) {
		const struct pg_facts *b = &k->base[i].facts;

		if (b->ready_ns > window_ns || t->tli < b->start_tli ||
		    !leads(k, b, &t->place, t->tli, 0))
			continue;
		if (best == WAL_KEEP_NONE || b->stop > k->base[best].facts.stop)
			best = i;
	}
	return best;
}

bool
wal_keep_roots(const struct wal_keep *k, const struct wal_keep_timeline *t, size_t n,
	       int64_t window_ns, bool *root)
{
	bool all = true;

	for (size_t i = 0; i < n; i++) {
		size_t r =
		    t[i].newest_ns >= window_ns ? root_of(k, &t[i], window_ns) : WAL_KEEP_NONE;

		if (r != WAL_KEEP_NONE)
			root[r] = true;
		else if (t[i].newest_ns >= window_ns)
			all = false;
	}
	return all;
}
