/*
 * Epochs and where they come from. An epoch is closed to its readers the moment another one forks
 * from it: whatever an old primary, a clone or a drill still writes there lies beyond the fork, or on
 * a timeline that the child never had, and is not looked at. That is decided here by numbers alone,
 * so a late writer needs no fence to be harmless.
 *
 * Parents have lower numbers than their children (epochs are counted), so the walk must end.
 */
#include "repo/wal_lineage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "base/mem.h"
#include "repo/lines.h"
#include "repo/record.h"

void
wal_lineage_from_text(const struct wal_from *from, struct buf *out)
{
	buf_addf(out, "parent %u\ntimeline %u\n", from->parent, from->tli);
	lines_add_lsn(out, "fork", from->fork);
	lines_add_text(out, "reason", from->reason);
}

int
wal_lineage_from_parse(const struct buf *text, uint32_t epoch, struct wal_from *ret, struct err *e)
{
	struct wal_from from = { 0 };
	uint64_t parent, tli;
	struct lines l;

	lines_set(&l, text);
	if (lines_take_number(&l, "parent", UINT32_MAX, &parent, e) == -1 ||
	    lines_take_number(&l, "timeline", UINT32_MAX, &tli, e) == -1 ||
	    lines_take_lsn(&l, "fork", &from.fork, e) == -1 ||
	    lines_take_text(&l, "reason", from.reason, sizeof(from.reason), e) == -1 ||
	    lines_end(&l, e) == -1)
		return -1;
	if (parent >= epoch || tli == 0)
		return err_set(e, ERR_CORRUPT, "epoch %u cannot come from timeline %" PRIu64 " of "
		    "epoch %" PRIu64 ": expected a lower epoch and a timeline from 1", epoch, tli,
		    parent);
	from.parent = (uint32_t)parent;
	from.tli = (uint32_t)tli;
	*ret = from;
	return 0;
}

/* ---- writing ---- */

/* 1 stored, 0 the name had the same text (`same` decides), -1. */
static int
put_once(const struct repo *r, struct store *to, const char *name, const struct buf *text,
    bool (*same)(const struct buf *there, const struct buf *text, uint32_t epoch), uint32_t epoch,
    struct err *e)
{
	struct buf there;
	int rc;

	rc = record_put_as(r, to, name, text, e);
	if (rc != 0)
		return rc;
	buf_init(&there, RECORD_MAX);
	rc = record_get(r, to, name, &there, e);
	if (rc == 0 && !same(&there, text, epoch))
		rc = err_set(e, ERR_EXISTS, "'%s' is there already and says otherwise", name);
	buf_done(&there);
	return rc;
}

/* The reason is for people: two hosts that moved to one epoch may word it differently. */
static bool
same_from(const struct buf *there, const struct buf *text, uint32_t epoch)
{
	struct wal_from a, b;

	return wal_lineage_from_parse(there, epoch, &a, NULL) == 0 &&
	    wal_lineage_from_parse(text, epoch, &b, NULL) == 0 && a.parent == b.parent &&
	    a.tli == b.tli && a.fork == b.fork;
}

static bool
same_bytes(const struct buf *there, const struct buf *text, uint32_t epoch)
{
	(void)epoch;
	return there->len == text->len &&
	    (text->len == 0 || memcmp(there->data, text->data, text->len) == 0);
}

int
wal_lineage_put_from(const struct repo *r, struct store *to, const struct wal_place *p,
    const struct wal_from *from, struct err *e)
{
	struct wal_from again;
	char name[LAYOUT_NAME];
	struct buf text;
	int rc = -1;

	buf_init(&text, RECORD_MAX);
	wal_lineage_from_text(from, &text);
	if (wal_lineage_from_parse(&text, p->epoch, &again, e) == 0)
		rc = put_once(r, to, layout_wal_from(p, name), &text, same_from, p->epoch, e);
	buf_done(&text);
	return rc;
}

int
wal_lineage_put_history(const struct repo *r, struct store *to, const struct wal_place *p,
    uint32_t tli, const void *bytes, size_t n, struct err *e)
{
	char name[LAYOUT_NAME];
	struct buf text;
	int rc;

	if (n > WAL_LINEAGE_HISTORY_MAX)
		return err_set(e, ERR_FULL, "history of timeline %u has %zu bytes, at most %u are "
		    "believed", tli, n, WAL_LINEAGE_HISTORY_MAX);
	buf_init(&text, n);
	buf_add(&text, bytes, n);
	rc = put_once(r, to, layout_wal_history(p, tli, name), &text, same_bytes, 0, e);
	buf_done(&text);
	return rc;
}

/* ---- reading ---- */

/* One tier's answer: 1, 0 not there, -1. */
static int
ask(const struct repo *r, struct tier *t, const char *name, struct buf *text, struct err *e)
{
	if (t->store == NULL) {
		if (t->why.kind == ERR_NONE)
			return err_set(e, ERR_REMOTE, "not opened");
		*e = t->why;
		return -1;
	}
	if (record_get(r, t->store, name, text, e) == 0)
		return 1;
	if (e->kind == ERR_NOTFOUND)
		return 0;
	if (e->kind == ERR_REMOTE)
		t->why = *e;
	return -1;
}

int
wal_lineage_fetch(const struct repo *r, struct tier *const *tier, size_t tiers, const char *name,
    struct buf *text, struct err *e)
{
	struct err answers = { 0 }, why;
	bool failed = false;

	err_set(&answers, ERR_NONE, "'%s' cannot be read from any tier", name);
	for (int late = 0; late <= 1; late++)
		for (size_t i = 0; i < tiers; i++) {
			int got;

			if ((tier[i]->why.kind != ERR_NONE) != late)
				continue;
			err_clear(&why);
			got = ask(r, tier[i], name, text, &why);
			if (got == 1)
				return 1;
			if (got == 0)
				continue;
			/* A copy that cannot be believed outweighs silence. */
			if (!failed || why.kind != ERR_REMOTE)
				answers.kind = why.kind;
			err_line(&answers, tier[i]->name, "%.*s", (int)strcspn(why.text, "\n"),
			    why.text);
			failed = true;
		}
	if (failed && e != NULL)
		*e = answers;
	return failed ? -1 : 0;
}

static void
add_level(struct wal_lineage *l, uint32_t epoch, uint32_t tli, uint64_t fork)
{
	l->level = xreallocarray(l->level, l->levels + 1, sizeof(*l->level));
	l->level[l->levels++] = (struct wal_lineage_level){
		.epoch = epoch,
		.tli = tli,
		.fork = fork,
	};
}

/* Is the trouble one that passes, so that what is known of the lineage may serve meanwhile? */
static bool
passing(enum err_kind kind)
{
	return kind != ERR_CORRUPT && kind != ERR_KEY && kind != ERR_UNSUPPORTED;
}

int
wal_lineage_load(const struct repo *r, struct tier *const *tier, size_t tiers,
    const struct wal_place *p, struct wal_lineage *ret, struct err *e)
{
	struct wal_place at = *p;
	struct wal_from from = { 0 };
	char name[LAYOUT_NAME];
	struct buf text;
	int rc;

	*ret = (struct wal_lineage){ 0 };
	add_level(ret, p->epoch, UINT32_MAX, UINT64_MAX);
	buf_init(&text, RECORD_MAX);
	do {
		struct err why = { 0 };

		buf_reset(&text);
		layout_wal_from(&at, name);
		rc = wal_lineage_fetch(r, tier, tiers, name, &text, &why);
		if (rc == 1 && wal_lineage_from_parse(&text, at.epoch, &from, &why) == -1) {
			err_in(&why, "'%s'", name);
			rc = -1;
		} else if (rc == 1 && ret->levels == WAL_LINEAGE_MOST) {
			rc = err_set(&why, ERR_CORRUPT, "more than %d epochs, one from the other",
			    WAL_LINEAGE_MOST);
		} else if (rc == 1) {
			add_level(ret, from.parent, from.tli, from.fork);
			at.epoch = from.parent;
		}
		if (rc == -1 && passing(why.kind)) {
			ret->unknown = why;
			rc = 0;
		} else if (rc == -1 && e != NULL) {
			*e = why;
		}
	} while (rc == 1);
	buf_done(&text);
	if (rc == -1)
		wal_lineage_done(ret);
	return rc;
}

void
wal_lineage_done(struct wal_lineage *l)
{
	free(l->level);
	*l = (struct wal_lineage){ 0 };
}

uint64_t
wal_lineage_bound(const struct wal_lineage *l, size_t level, uint32_t tli)
{
	uint64_t bound = UINT64_MAX;

	for (size_t i = 1; i <= level; i++) {
		if (tli > l->level[i].tli)
			return 0;
		if (tli == l->level[i].tli && l->level[i].fork < bound)
			bound = l->level[i].fork;
	}
	return bound;
}

bool
wal_lineage_has(const struct wal_lineage *l, uint32_t epoch, uint32_t tli, uint64_t to)
{
	for (size_t i = 0; i < l->levels; i++)
		if (l->level[i].epoch == epoch)
			return wal_lineage_bound(l, i, tli) >= to;
	return false;
}
