#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "base/mem.h"
#include "job/wal/wal_keep.h"
#include "repo/expire.h"
#include "repo/layout.h"
#include "tests/lib/chance.h"

/*
 * A past is made up: timelines that fork, epochs that do, base backups on them, pieces. Then expiry
 * judges, and a model that knows nothing of epochs, lineages and histories, only of who forked from
 * whom, says what could be restored before and after.
 */
#define SEG (UINT64_C(1) << 20)
#define HOUR LAYOUT_HOUR_NS
#define DAY (24 * HOUR)
#define MARGIN (LAYOUT_W_NS + HOUR)
#define T0 (INT64_C(1800000000) * 1000000000)
#define NODES 8
#define BASES 24
#define PIECES 600
#define WORLDS 400

/* One timeline in one epoch. */
struct node {
	int parent; /* -1: the first */
	uint32_t epoch, tli;
	uint64_t fork, end; /* its own bytes */
	int64_t begun_ns, ended_ns;
};

struct past {
	struct node node[NODES];
	int nodes;
	struct wal_keep_base base[BASES];
	int on[BASES]; /* node */
	struct expire_item item[BASES];
	char id[BASES][16];
	int bases;
	struct layout_wal piece[PIECES];
	int64_t stored[PIECES];
	int of[PIECES];
	int pieces;
	struct wal_keep_epoch epoch[NODES];
	int epochs;
	struct wal_keep_history history[NODES];
	int histories;
	int64_t now_ns;
};

static int64_t
time_at(const struct node *n, uint64_t lsn)
{
	double part = n->end > n->fork ? (double)(lsn - n->fork) / (double)(n->end - n->fork) : 0;

	return n->begun_ns + (int64_t)(part * (double)(n->ended_ns - n->begun_ns));
}

/* ---- making one ---- */

static void
add_epoch(struct past *p, uint32_t number, const struct node *left, uint64_t fork)
{
	struct wal_keep_epoch *ep = &p->epoch[p->epochs++], *parent = NULL;

	*ep = (struct wal_keep_epoch){ .sysid = 7, .epoch = number };
	for (int i = 0; left && i < p->epochs - 1; i++)
		if (p->epoch[i].epoch == left->epoch)
			parent = &p->epoch[i];
	ep->lineage.levels = 1 + (parent ? parent->lineage.levels : 0);
	ep->lineage.level = xcalloc(ep->lineage.levels, sizeof(*ep->lineage.level));
	ep->lineage.level[0] = (struct wal_lineage_level){ number, UINT32_MAX, UINT64_MAX };
	for (size_t i = 0; parent && i < parent->lineage.levels; i++)
		ep->lineage.level[i + 1] = parent->lineage.level[i];
	if (parent)
		ep->lineage.level[1] = (struct wal_lineage_level){ left->epoch, left->tli, fork };
}

static void
add_history(struct past *p, int n)
{
	struct wal_keep_history *h = &p->history[p->histories++];
	const struct node *at = &p->node[n];

	*h = (struct wal_keep_history){ .sysid = 7, .epoch = at->epoch };
	pg_history_init(&h->history, at->tli);
	h->history.step = xcalloc(NODES, sizeof(*h->history.step));
	for (int i = n; p->node[i].parent >= 0; i = p->node[i].parent) {
		memmove(h->history.step + 1, h->history.step,
			h->history.count * sizeof(*h->history.step));
		h->history.step[0] =
		    (struct pg_history_step){ p->node[p->node[i].parent].tli, p->node[i].fork };
		h->history.count++;
	}
}

static void
add_node(struct past *p)
{
	struct node *n = &p->node[p->nodes], *parent;
	uint32_t newest = 0, tli = 0;

	if (p->nodes == 0) {
		*n = (struct node){ -1, 1, 1, 4 * SEG, 0, T0, 0 };
		add_epoch(p, 1, NULL, 0);
	} else {
		n->parent = (int)chance_below((uint64_t)p->nodes);
		parent = &p->node[n->parent];
		n->fork = parent->fork + 1 + chance_below(parent->end - parent->fork);
		n->epoch = parent->epoch;
		for (int i = 0; i < p->nodes; i++) {
			newest = p->node[i].epoch > newest ? p->node[i].epoch : newest;
			if (p->node[i].epoch == parent->epoch && p->node[i].tli > tli)
				tli = p->node[i].tli;
		}
		n->tli = tli + 1;
		if (chance_one_in(2)) {
			n->epoch = newest + 1;
			/* Numbers of timelines may be those of another epoch. */
			n->tli = parent->tli + 1 + (uint32_t)chance_below(2);
			add_epoch(p, n->epoch, parent, n->fork);
		}
		n->begun_ns = p->node[p->nodes - 1].ended_ns + (int64_t)chance_below(30) * HOUR;
	}
	n->end = n->fork + 1 + chance_below(8 * SEG);
	n->ended_ns = n->begun_ns + (int64_t)(1 + chance_below(20 * 24)) * HOUR;
	p->nodes++;
	if (n->tli > 1)
		add_history(p, p->nodes - 1);
}

static void
add_pieces(struct past *p, int of)
{
	const struct node *n = &p->node[of];
	uint64_t at = lsn_segment(n->fork, SEG), cut;

	while (at < n->end && p->pieces < PIECES) {
		cut = lsn_segment(at, SEG) + SEG;
		if (chance_one_in(2))
			cut = at + 1 + chance_below(cut - at);
		if (cut > n->end)
			cut = n->end;
		p->piece[p->pieces] = (struct layout_wal){
			.place = { "pg.pay", 7, n->epoch },
			.kind = LAYOUT_WAL_PIECE,
			.tli = n->tli,
			.start = at,
			.end = cut,
		};
		p->stored[p->pieces] = time_at(n, cut > n->fork ? cut : n->fork) +
				       (int64_t)chance_below(60) * (HOUR / 60);
		p->of[p->pieces++] = of;
		at = cut;
	}
}

static int
by_time(const void *a, const void *b)
{
	const struct expire_item *x = a, *y = b;

	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

static void
add_base(struct past *p, int on)
{
	const struct node *n = &p->node[on];
	uint64_t start = n->fork + chance_below(n->end - n->fork),
		 stop = start + chance_below(n->end - start + 1);
	struct wal_keep_base *b = &p->base[p->bases];

	b->facts = (struct pg_facts){
		.sysid = 7,
		.segment_size = SEG,
		.epoch = n->epoch,
		.start_tli = n->tli,
		.stop_tli = n->tli,
		.start = start,
		.stop = stop,
		.ready_ns = time_at(n, stop),
	};
	p->item[p->bases] =
	    (struct expire_item){ .time_ns = time_at(n, start), .stored_ns = b->facts.ready_ns };
	p->on[p->bases++] = on;
}

/* In the order of their names, as a listing has them. */
static void
sort_bases(struct past *p)
{
	for (int i = 0; i < p->bases; i++)
		for (int k = i + 1; k < p->bases; k++)
			if (by_time(&p->item[k], &p->item[i]) < 0) {
				struct expire_item it = p->item[i];
				struct wal_keep_base b = p->base[i];
				int on = p->on[i];

				p->item[i] = p->item[k];
				p->base[i] = p->base[k];
				p->on[i] = p->on[k];
				p->item[k] = it;
				p->base[k] = b;
				p->on[k] = on;
			}
	for (int i = 0; i < p->bases; i++) {
		snprintf(p->id[i], sizeof(p->id[i]), "b%d", i);
		p->base[i].id = p->id[i];
		p->item[i].ready_ns = p->base[i].facts.ready_ns;
	}
}

static void
make(struct past *p, uint64_t seed)
{
	int nodes, bases;

	memset(p, 0, sizeof(*p));
	chance_seed(seed);
	nodes = 1 + (int)chance_below(NODES);
	while (p->nodes < nodes)
		add_node(p);
	for (int i = 0; i < p->nodes; i++)
		add_pieces(p, i);
	bases = 1 + (int)chance_below(BASES - 1);
	for (int i = 0; i < bases; i++)
		add_base(p, (int)chance_below((uint64_t)p->nodes));
	sort_bases(p);
	p->now_ns = p->node[p->nodes - 1].ended_ns + (int64_t)chance_below(100) * HOUR;
}

static void
done(struct past *p)
{
	for (int i = 0; i < p->epochs; i++)
		free(p->epoch[i].lineage.level);
	for (int i = 0; i < p->histories; i++)
		free(p->history[i].history.step);
}

/* ---- the model ---- */

/* Does a way lead from the state at lsn of node a to node b, and where does each node on it end?
 * up_to[i]: of node i. */
static bool
way(const struct past *p, int a, uint64_t lsn, int b, uint64_t up_to[NODES])
{
	uint64_t to = UINT64_MAX;

	for (int i = 0; i < NODES; i++)
		up_to[i] = 0;
	for (int i = b; i >= 0; i = p->node[i].parent) {
		up_to[i] = to;
		if (i == a)
			return lsn <= to;
		to = p->node[i].fork;
	}
	return false;
}

static bool
covered(const struct past *p, const bool *there, int of, uint64_t from, uint64_t to)
{
	struct lsn_set set = { 0 };
	bool yes;

	for (int i = 0; i < p->pieces; i++)
		if (there[i] && p->of[i] == of)
			lsn_set_add(&set, p->piece[i].start, p->piece[i].end);
	yes = from >= to || lsn_set_has(&set, from, to);
	lsn_set_done(&set);
	return yes;
}

/* Can the state at lsn of that node be had from that base? */
static bool
from_base(const struct past *p, const bool *there, int base, int node, uint64_t lsn)
{
	const struct pg_facts *b = &p->base[base].facts;
	uint64_t up_to[NODES], from;

	if (!way(p, p->on[base], b->stop, node, up_to) || b->stop > lsn)
		return false;
	for (int i = node; i >= 0; i = p->node[i].parent) {
		from = lsn_segment(p->node[i].fork, SEG);
		if (i == p->on[base] && lsn_segment(b->start, SEG) > from)
			from = lsn_segment(b->start, SEG);
		if (!covered(p, there, i, from, up_to[i] < lsn ? up_to[i] : lsn))
			return false;
		if (i == p->on[base])
			return true;
	}
	return false;
}

static bool
restorable(const struct past *p, const bool *base, const bool *there, int node, uint64_t lsn)
{
	for (int i = 0; i < p->bases; i++)
		if (base[i] && from_base(p, there, i, node, lsn))
			return true;
	return false;
}

/* Would any recovery from that base read it? */
static bool
of_use(const struct past *p, int base, int piece)
{
	const struct pg_facts *b = &p->base[base].facts;
	uint64_t up_to[NODES], first = lsn_segment(b->start, SEG);

	if (p->piece[piece].end <= first)
		return false;
	for (int i = 0; i < p->nodes; i++)
		if (way(p, p->on[base], b->stop, i, up_to) &&
		    p->piece[piece].start < up_to[p->of[piece]] &&
		    (p->of[piece] == p->on[base] ||
		     way(p, p->on[base], b->stop, p->of[piece], up_to)))
			return true;
	/* The timeline before, where it was left in the segment that the base begins in. */
	for (int i = p->on[base]; i >= 0; i = p->node[i].parent)
		if (p->node[i].parent == p->of[piece] && p->node[i].fork > first &&
		    p->piece[piece].start < p->node[i].fork)
			return true;
	return false;
}

/* ---- judging ---- */

struct verdict {
	bool base[BASES], piece[PIECES]; /* stays */
	int64_t window_ns, before_ns;
};

static void
judge(struct past *p, int64_t keep_ns, struct verdict *v)
{
	const struct expire_rules rules = { .now_ns = p->now_ns,
					    .keep_ns = keep_ns,
					    .longest_ns = LAYOUT_W_NS,
					    .more_than_half = true };
	struct wal_keep_timeline t[NODES] = { 0 };
	struct wal_keep_base left[BASES];
	struct wal_keep k = {
		.base = p->base,
		.bases = (size_t)p->bases,
		.epoch = p->epoch,
		.epochs = (size_t)p->epochs,
		.history = p->history,
		.histories = (size_t)p->histories,
	};
	bool root[BASES] = { 0 };

	for (int i = 0; i < p->nodes; i++)
		t[i] = (struct wal_keep_timeline){ { "pg.pay", 7, p->node[i].epoch },
						   p->node[i].tli,
						   INT64_MIN };
	for (int i = 0; i < p->pieces; i++)
		if (p->stored[i] > t[p->of[i]].newest_ns)
			t[p->of[i]].newest_ns = p->stored[i];
	v->window_ns = expire_window(p->item, (size_t)p->bases, &rules);
	wal_keep_roots(&k, t, (size_t)p->nodes, v->window_ns, root);
	for (int i = 0; i < p->bases; i++)
		p->item[i].root = root[i];
	expire_plan(p->item, (size_t)p->bases, &rules);
	k.base = left;
	k.bases = 0;
	for (int i = 0; i < p->bases; i++) {
		v->base[i] = !expire_goes(p->item[i].reason);
		if (v->base[i])
			left[k.bases++] = p->base[i];
	}
	k.before_ns = v->before_ns = (v->window_ns < p->now_ns ? v->window_ns : p->now_ns) - MARGIN;
	for (int i = 0; i < p->pieces; i++)
		v->piece[i] = !wal_keep_goes(wal_keep_judge(&k, &p->piece[i], p->stored[i], NULL));
}

static void
every_second_of_the_window_stays_restorable(void **state)
{
	static struct past p;
	static bool all[PIECES];
	bool every[BASES];
	size_t judged = 0, went = 0;

	(void)state;
	memset(all, true, sizeof(all));
	memset(every, true, sizeof(every));
	for (uint64_t seed = 1; seed <= WORLDS; seed++) {
		static struct verdict v;

		make(&p, seed);
		judge(&p, (int64_t)chance_below(30 * 24) * HOUR, &v);
		for (int i = 0; i < p.pieces; i++)
			went += !v.piece[i];
		for (int n = 0; n < p.nodes; n++)
			for (int i = 0; i <= 20; i++) {
				uint64_t lsn = p.node[n].fork +
					       (p.node[n].end - p.node[n].fork) * (uint64_t)i / 20;

				if (time_at(&p.node[n], lsn) < v.window_ns ||
				    !restorable(&p, every, all, n, lsn))
					continue;
				judged++;
				if (!restorable(&p, v.base, v.piece, n, lsn))
					fail_msg("world %d: a state of node %d at %lx was lost",
						 (int)seed, n, (unsigned long)lsn);
			}
		done(&p);
	}
	/* and it was no test of nothing */
	assert_true(judged > WORLDS * 10);
	assert_true(went > WORLDS);
}

static void
nothing_stays_that_no_recovery_would_read(void **state)
{
	static struct past p;
	size_t old = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= WORLDS; seed++) {
		static struct verdict v;

		make(&p, seed);
		judge(&p, (int64_t)chance_below(10 * 24) * HOUR, &v);
		for (int i = 0; i < p.pieces; i++) {
			bool use = p.stored[i] >= v.before_ns;

			old += !use;
			for (int b = 0; b < p.bases && !use; b++)
				use = v.base[b] && of_use(&p, b, i);
			if (v.piece[i] && !use)
				fail_msg("world %d: piece %d of node %d stays for nothing",
					 (int)seed, i, p.of[i]);
		}
		done(&p);
	}
	assert_true(old > WORLDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_second_of_the_window_stays_restorable),
		cmocka_unit_test(nothing_stays_that_no_recovery_would_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
