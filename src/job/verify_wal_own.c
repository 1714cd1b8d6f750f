/*
 * A base backup without its own WAL is a heap of pages that no server starts from, however good its packs
 * are: what is said of the one is said of the other, and what expire keeps by that hangs on both. The name
 * of a pack is its hash, so a store that keeps the hash of a frozen one attests it; that of WAL is a range,
 * so of frozen WAL nothing is proved but that it is listed.
 *
 * What would surprise: a run under a time budget gives pieces their turn by a cursor, and base backups
 * theirs by the time of their last proof. The two would hardly meet, so what had no turn and is needed by
 * the base backup in hand is read with it.
 */
#include "job/verify_wal_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "base/mem.h"
#include "job/pg/pg_facts.h"

void
verify_wal_needs(struct verify_wal *p, const struct verify_wal_need *need)
{
	struct verify_wal_need *n;

	if (p->id[0] == '\0')
		return;
	p->own = mem_grow(p->own, &p->own_room, p->owns + 1, sizeof(*p->own));
	n = &p->own[p->owns++];
	*n = *need;
	snprintf(n->id, sizeof(n->id), "%s", p->id);
}

/* ---- what of it had no turn ---- */

static int
prove_rest(struct verify_wal *p, const char *id, struct err *e)
{
	for (size_t i = 0; i < p->owns; i++) {
		const struct verify_wal_need *need = &p->own[i];
		struct verify_wal_name *n = NULL;

		if (strcmp(need->id, id) == 0 && need->name[0])
			n = verify_wal_at(p, need->name);
		if (!n || n->seen != VERIFY_WAL_NO_TURN)
			continue;
		if (verify_report_stopped(p->w, p->t->name, e) == -1 || verify_wal_prove(p, n, e) == -1)
			return -1;
		p->report->pieces_left--;
	}
	return 0;
}

static bool
worked_out(const struct verify_wal *p, const char *id)
{
	for (size_t i = 0; i < p->owns; i++)
		if (strcmp(p->own[i].id, id) == 0)
			return true;
	return false;
}

/* One that came, or whose manifest was mended, since WAL had its turn was not seen then. */
static int
work_out(struct verify_wal *p, const struct snapshot *snap, const struct manifest *m, struct err *e)
{
	const size_t before = p->names;

	if (verify_wal_late(p, snap, m, e) == -1)
		return -1;
	verify_wal_sort(p);
	p->report->pieces_left += p->names - before;
	return 0;
}

/* ---- what that comes to ---- */

static enum verify_wal_seen
seen(struct verify_wal *p, const struct verify_wal_need *need)
{
	const struct verify_wal_name *n = verify_wal_at(p, need->name);

	return n ? n->seen : VERIFY_WAL_GONE;
}

/* The bytes of that timeline that are proved, for that base backup. */
static void
proved(struct verify_wal *p, const char *id, uint32_t tli, struct lsn_set *ret)
{
	lsn_set_done(ret);
	for (size_t i = 0; i < p->owns; i++) {
		const struct verify_wal_need *need = &p->own[i];

		if (need->name[0] && need->tli == tli && strcmp(need->id, id) == 0 &&
		    seen(p, need) == VERIFY_WAL_GOOD)
			lsn_set_add(ret, need->from, need->to);
	}
}

/* Bytes may be there twice, in pieces cut differently; a restore takes them where they are good. */
static enum verify_own
judge(struct verify_wal *p, const char *id)
{
	enum verify_own ret = VERIFY_OWN_GOOD;
	struct lsn_set good = { 0 };
	uint32_t tli = 0; /* of `good` */

	for (size_t i = 0; i < p->owns && ret != VERIFY_OWN_BAD; i++) {
		const struct verify_wal_need *need = &p->own[i];
		enum verify_wal_seen is;

		if (strcmp(need->id, id) != 0)
			continue;
		if (need->bad)
			ret = VERIFY_OWN_BAD;
		if (need->name[0] == '\0' || (is = seen(p, need)) == VERIFY_WAL_GOOD)
			continue;
		if (tli != need->tli)
			proved(p, id, need->tli, &good);
		tli = need->tli;
		if (!lsn_set_has(&good, need->from, need->to))
			ret = is == VERIFY_WAL_BAD ? VERIFY_OWN_BAD : VERIFY_OWN_UNREAD;
	}
	lsn_set_done(&good);
	return ret;
}

int
verify_wal_own(struct verify_wal *sources, const struct snapshot *snap, const struct manifest *m,
    enum verify_own *ret, struct err *e)
{
	const char *id = snap->part.id;
	struct verify_wal *p = sources;
	struct pg_facts f;

	while (p && strcmp(p->source, snap->part.source) != 0)
		p = p->next;
	*ret = !p && pg_facts_read(m, &f, NULL) == 1 ? VERIFY_OWN_UNREAD : VERIFY_OWN_GOOD;
	if (!p)
		return 0;
	if ((!worked_out(p, id) && work_out(p, snap, m, e) == -1) || prove_rest(p, id, e) == -1)
		return -1;
	*ret = judge(p, id);
	return 0;
}

void
verify_wal_free(struct verify_wal *sources)
{
	while (sources) {
		struct verify_wal *p = sources;

		sources = p->next;
		verify_wal_close(p);
		wal_gap_done(&p->gaps);
		free(p->name);
		free(p->own);
		free(p);
	}
}
