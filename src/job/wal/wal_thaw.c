/*
 * A bundle holds many segments, and a recovery asks for one after the other: if each were ordered when
 * it is met, a week of log would take as many times five hours as it has bundles. So all are known
 * before the first byte is read, from the names alone.
 *
 * That a bundle is frozen does not mean that it is needed. Where bundles overlap, for they were cut on
 * two hosts or go on beyond a fork, those at hand count first.
 */
#include "job/wal/wal_thaw.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct finding {
	struct wal_thaw *w;
	struct lsn_range want; /* of the timeline that is listed */
	bool *away;	       /* of each tier: it did not answer */
};

static int
see(void *arg, const struct store_entry *entry, const struct layout_wal *at, struct err *e)
{
	struct finding *f = arg;
	const uint64_t from = at->start > f->want.from ? at->start : f->want.from,
		       to = at->end < f->want.to ? at->end : f->want.to;
	struct wal_thaw *w = f->w;
	struct wal_thaw_bundle *b;

	(void)e;
	if (at->kind == LAYOUT_WAL_PIECE)
		lsn_set_add(&w->have[w->lines], at->start, at->end);
	if (at->kind != LAYOUT_WAL_BUNDLE || from >= to)
		return 0;
	w->bundle = mem_grow(w->bundle, &w->room, w->bundles + 1, sizeof(*w->bundle));
	b = &w->bundle[w->bundles++];
	*b = (struct wal_thaw_bundle){ .size = entry->size, .time_ns = entry->time_ns,
		.line = w->lines, .from = from, .to = to };
	memcpy(b->name, entry->name, strlen(entry->name) + 1);
	return 0;
}

/* One that is away is passed over, once: the reading will say so, if it is missed. */
static int
list_line(const struct wal_thaw_way *way, uint32_t tli, int what, struct finding *f, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < way->tiers && rc == 0; i++) {
		struct err why = { 0 };

		if (f->away[i])
			continue;
		rc = walread_log(way->read, way->tier[i], tli, f->want.from, what, see, f, &why);
		f->away[i] = rc == -1 && why.kind == ERR_REMOTE;
		if (f->away[i])
			rc = 0;
		else if (rc == -1)
			*e = why;
	}
	return rc;
}

/*
 * A timeline's own bytes, from the beginning of the segment in which it was begun. Where it has no bundle,
 * which is where no tier is an archive, its pieces are not asked for.
 */
static int
find_line(const struct wal_thaw_way *way, uint32_t tli, struct finding *f, struct err *e)
{
	const uint64_t size = way->segment_size, first = lsn_segment(way->from, size),
		       last = lsn_segment(way->to - 1, size) + size;
	struct wal_thaw *w = f->w;
	const size_t before = w->bundles;
	int rc;

	if (!pg_history_span(way->history, tli, &f->want.from, &f->want.to))
		return 0;
	f->want.from = lsn_segment(f->want.from, size);
	f->want.from = f->want.from > first ? f->want.from : first;
	f->want.to = f->want.to < last ? f->want.to : last;
	if (f->want.from >= f->want.to)
		return 0;
	w->have = xreallocarray(w->have, w->lines + 1, sizeof(*w->have));
	w->have[w->lines] = (struct lsn_set){ 0 };
	rc = list_line(way, tli, WALREAD_BUNDLES, f, e);
	if (rc == 0 && w->bundles > before)
		rc = list_line(way, tli, WALREAD_PIECES, f, e);
	if (rc == 0 && w->bundles > before)
		rc = walread_spool_ranges(way->read, tli, &w->have[w->lines], e);
	w->lines++;
	return rc;
}

static int
by_place(const void *a, const void *b)
{
	const struct wal_thaw_bundle *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	if (x->to != y->to)
		return x->to > y->to ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Of those of one name, from several tiers, the one that was put first; and none that pieces stand for. */
static void
sift(struct wal_thaw *w)
{
	size_t kept = 0;

	if (w->bundles > 1)
		qsort(w->bundle, w->bundles, sizeof(*w->bundle), by_place);
	for (size_t i = 0; i < w->bundles; i++) {
		const struct wal_thaw_bundle *b = &w->bundle[i];
		struct wal_thaw_bundle *last = kept > 0 ? &w->bundle[kept - 1] : NULL;

		if (last && strcmp(last->name, b->name) == 0)
			last->time_ns = b->time_ns < last->time_ns ? b->time_ns : last->time_ns;
		else if (!lsn_set_has(&w->have[b->line], b->from, b->to))
			w->bundle[kept++] = *b;
	}
	w->bundles = kept;
}

int
wal_thaw_find(const struct wal_thaw_way *way, struct wal_thaw *ret, struct err *e)
{
	const struct pg_history *h = way->history;
	struct finding f = { .w = ret, .away = xcalloc(way->tiers + 1, sizeof(*f.away)) };
	int rc = 0;

	*ret = (struct wal_thaw){ .tier = way->tier, .tiers = way->tiers };
	for (size_t i = 0; i <= h->count && way->to > way->from && rc == 0; i++)
		rc = find_line(way, i < h->count ? h->step[i].timeline : h->timeline, &f, e);
	if (rc == 0)
		sift(ret);
	free(f.away);
	return rc;
}

void
wal_thaw_done(struct wal_thaw *w)
{
	for (size_t i = 0; i < w->lines; i++)
		lsn_set_done(&w->have[i]);
	free(w->have);
	free(w->bundle);
	*w = (struct wal_thaw){ 0 };
}

void
wal_thaw_choose(struct wal_thaw *w, const enum store_state *const *is, bool *needed)
{
	static const enum store_state turn[] = { STORE_READABLE, STORE_THAWED, STORE_THAWING,
		STORE_FROZEN };

	for (size_t k = 0; k < ARRAY_LEN(turn); k++)
		for (size_t i = 0; i < w->bundles; i++) {
			const bool at_hand = turn[k] == STORE_READABLE || turn[k] == STORE_THAWED;
			const struct wal_thaw_bundle *b = &w->bundle[i];
			struct lsn_set *have = &w->have[b->line];

			if (!is[i] || *is[i] != turn[k])
				continue;
			needed[i] = !at_hand && !lsn_set_has(have, b->from, b->to);
			if (at_hand || needed[i])
				lsn_set_add(have, b->from, b->to);
		}
}

uint64_t
wal_thaw_written_by(const struct wal_thaw *w, int64_t time_ns, uint64_t to)
{
	for (size_t i = 0; i < w->bundles; i++)
		if (w->bundle[i].time_ns > time_ns && w->bundle[i].to < to)
			to = w->bundle[i].to;
	return to;
}
