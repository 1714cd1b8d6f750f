/*
 * The same object lies on several tiers, and any good copy of it will do: so the tiers are asked one
 * after the other, and none but the last says what is wrong. One that did not answer for a pack is asked
 * after the others for those that follow: its silence costs minutes. Nothing counts as sent that was not
 * seen to have come: what was there before is read, what we have just put as store/sum.h says.
 */
#include "repo/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/pool.h"
#include "store/copy.h"
#include "store/sum.h"

/* Its own buffer and result: nothing that two of them touch. */
struct seat {
	const struct transfers *all;
	struct buf scratch;
	struct transfer is;
};

struct transfers {
	struct repo *repo;
	struct tier *from, *to;
	struct pool *pool;
	_Atomic bool *mute; /* of each tier of the repository */
	struct seat *seat;
	size_t seats, begun, ended;
};

/* same: 1, 0, -1 as `why` says. As transfer_read_back(). */
static int
judge(int same, const struct err *why, const struct tier *t, const char *name, bool *proved,
    struct err *e)
{
	*proved = same == 1;
	if (same != -1)
		return same;
	if (why->kind == ERR_NOTFOUND || why->kind == ERR_CORRUPT)
		return why->kind == ERR_NOTFOUND;
	*e = *why;
	return err_in(e, "read %s back from '%s'", name, t->name);
}

int
transfer_read_back(struct tier *t, const uint8_t sha[LAYOUT_SHA], struct buf *scratch, bool *proved,
    struct err *e)
{
	char name[LAYOUT_NAME];
	struct err why = { 0 };
	uint8_t is[DIGEST_LEN];
	int same = sum_of(t->store, layout_pack(sha, name), scratch, is, &why);

	if (same == 0)
		same = digest_equal(is, sha, DIGEST_LEN);
	return judge(same, &why, t, name, proved, e);
}

/* ---- one ---- */

/*
 * Of several answers the first counts that is more than absence. None ends the asking, whatever its kind: a
 * bad sector, or a right that is lacking, is of that tier alone.
 */
static int
read_from(struct seat *s, struct tier *t, const char *name)
{
	_Atomic bool *mute = &s->all->mute[t - s->all->repo->tiers->tier];
	const enum err_kind kind = s->is.err.kind;
	struct err why = { 0 };
	int rc;

	if (t == s->all->to || t->store == NULL || kind == ERR_CANCELLED)
		return -1;
	rc = copy_read(t->store, name, s->is.sha, &s->scratch, &why);
	*mute = rc == -1 && why.kind == ERR_REMOTE;
	if (rc == -1 && (kind == ERR_NONE || kind == ERR_NOTFOUND)) {
		s->is.err = why;
		err_in(&s->is.err, "tier '%s'", t->name);
	}
	return rc;
}

/* From whoever has it: first of those that answer, then of the others. */
static int
read_any(struct seat *s, const char *name)
{
	const struct transfers *all = s->all;
	const struct tier_set *set = all->repo->tiers;
	bool *asked = xcalloc(set->count + 1, sizeof(*asked));
	struct tier *t;
	int rc = -1;

	for (int late = 0; late <= 1; late++)
		for (size_t i = 0; rc == -1 && (t = tier_turn(set, all->from, i)) != NULL; i++) {
			const size_t n = (size_t)(t - set->tier);

			if (asked[n] || (!late && all->mute[n]))
				continue;
			asked[n] = true;
			s->is.gave = t;
			rc = read_from(s, t, name);
		}
	free(asked);
	return rc;
}

/* A task of the pool. */
static void
run(void *seat)
{
	struct seat *s = seat;
	const struct transfers *all = s->all;
	struct transfer *is = &s->is;
	char name[LAYOUT_NAME];
	struct err why = { 0 };
	int got;

	layout_pack(is->sha, name);
	if (read_any(s, name) == -1)
		return;
	err_clear(&is->err); /* of a tier that had no good one */
	is->rc = copy_send(all->to->store, name, is->sha, &s->scratch, &is->err);
	if (is->rc == -1) {
		err_in(&is->err, "tier '%s'", all->to->name);
		return;
	}
	if (is->rc == 0)
		got = transfer_read_back(all->to, is->sha, &s->scratch, &is->proved, &is->err);
	else
		got = judge(sum_sent(all->to->store, name, &s->scratch, is->sha, &why), &why, all->to, name,
		    &is->proved, &is->err);
	if (got == 0)
		err_set(&is->err, ERR_CORRUPT, "%s does not come back from '%s' as it was sent", name,
		    all->to->name);
	if (got != 1)
		is->rc = -1;
}

/* ---- several ---- */

struct transfers *
transfer_new(struct repo *r, struct tier *from, struct tier *to, unsigned workers, uint64_t largest)
{
	struct transfers *t = xcalloc(1, sizeof(*t));
	const uint64_t fit = TRANSFER_BYTES / (largest ? largest : 1);

	t->repo = r;
	t->from = from;
	t->to = to;
	t->seats = workers < fit ? workers : (size_t)fit;
	t->pool = pool_new(t->seats > 1 ? (unsigned)t->seats : 0, t->seats);
	if (t->seats == 0)
		t->seats = 1;
	t->mute = xcalloc(r->tiers->count + 1, sizeof(*t->mute));
	t->seat = xcalloc(t->seats, sizeof(*t->seat));
	for (size_t i = 0; i < t->seats; i++) {
		t->seat[i].all = t;
		buf_init(&t->seat[i].scratch, STORE_OBJECT_MAX);
	}
	return t;
}

void
transfer_free(struct transfers *t)
{
	pool_free(t->pool);
	for (size_t i = 0; i < t->seats; i++)
		buf_done(&t->seat[i].scratch);
	free(t->seat);
	free(t->mute);
	free(t);
}

bool
transfer_full(const struct transfers *t)
{
	return t->begun - t->ended == t->seats;
}

void
transfer_begin(struct transfers *t, const uint8_t sha[LAYOUT_SHA])
{
	struct seat *s = &t->seat[t->begun++ % t->seats];

	s->is = (struct transfer){ .rc = -1 };
	memcpy(s->is.sha, sha, LAYOUT_SHA);
	pool_submit(t->pool, run, s);
}

const struct transfer *
transfer_end(struct transfers *t)
{
	const struct seat *s = pool_take(t->pool);

	if (!s)
		return NULL;
	t->ended++;
	return &s->is;
}
