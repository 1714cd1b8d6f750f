/*
 * A timeline that nobody has left, or that went on after it was left, is a tip: the end of a line. The
 * rules:
 *
 *   the active timeline is known    its line, ended by it: a descendant of it that is not active is a
 *                                   copy's. Unless a descendant has WAL and the active one has none
 *                                   behind that fork, or the active server was seen on a descendant
 *                                   already: then what is called active may be out of date.
 *   it is not known                 the only tip; of several the only one with WAL of its own. Tips that
 *                                   the active server has left, as it was seen on another, do not count.
 *
 * What would surprise: the number says nothing. A promoted copy takes the next one, as a standby would.
 */
#include "source/pg/pg_line.h"

#define NONE SIZE_MAX

/* Where it begins: what lies before is its ancestors'. */
static uint64_t
begin_of(const struct pg_line *l)
{
	return l->history.count > 0 ? l->history.step[l->history.count - 1].end : 0;
}

/* WAL that its ancestors do not have. */
static bool
has_own(const struct pg_line *l)
{
	return l->end > begin_of(l);
}

static size_t
find(const struct pg_line_world *w, uint32_t timeline)
{
	for (size_t i = 0; i < w->lines; i++)
		if (w->line[i].history.timeline == timeline)
			return i;
	return NONE;
}

/* Does l come from that timeline? Where it left it. */
static bool
descends(const struct pg_line *l, uint32_t timeline, uint64_t *left)
{
	uint64_t from;

	return !l->unread && l->history.timeline != timeline &&
	    pg_history_span(&l->history, timeline, &from, left);
}

static bool
on_way(const struct pg_line *l, uint32_t timeline)
{
	uint64_t from, to;

	return pg_history_span(&l->history, timeline, &from, &to);
}

static bool
is_tip(const struct pg_line_world *w, size_t i)
{
	const struct pg_line *l = &w->line[i];
	uint64_t left;

	if (l->unread && l->end == 0)
		return false;
	for (size_t k = 0; k < w->lines; k++)
		if (descends(&w->line[k], l->history.timeline, &left) && l->end <= left)
			return false;
	return true;
}

static void
give_roles(const struct pg_line_world *w, size_t chosen, enum pg_line_role *role)
{
	const struct pg_line *c = &w->line[chosen];

	for (size_t i = 0; i < w->lines; i++) {
		uint64_t left;

		if (i == chosen)
			role[i] = PG_LINE_PART;
		else if (descends(c, w->line[i].history.timeline, &left))
			role[i] = w->line[i].end > left ? PG_LINE_TAIL : PG_LINE_PART;
		else
			role[i] = is_tip(w, i) || w->line[i].unread ? PG_LINE_OTHER : PG_LINE_PART;
	}
}

static enum pg_line_answer
take(const struct pg_line_world *w, size_t i, size_t *chosen, enum pg_line_role *role)
{
	*chosen = i;
	if (w->line[i].unread)
		return PG_LINE_UNREAD;
	give_roles(w, i, role);
	return PG_LINE_CHOSEN;
}

/* Was the active server seen on the way from a to l? Then a is not the active one any more. */
static bool
seen_between(const struct pg_line_world *w, const struct pg_line *a, const struct pg_line *l)
{
	for (size_t i = 0; i < w->seens; i++)
		if (on_way(l, w->seen[i]) && !on_way(a, w->seen[i]))
			return true;
	return false;
}

static enum pg_line_answer
by_active(const struct pg_line_world *w, size_t active, size_t *chosen, enum pg_line_role *role)
{
	const struct pg_line *a = &w->line[active];
	bool untold = false;

	for (size_t i = 0; i < w->lines; i++) {
		const struct pg_line *l = &w->line[i];
		uint64_t left;

		if (descends(l, a->history.timeline, &left) &&
		    ((has_own(l) && a->end <= left) || seen_between(w, a, l))) {
			role[i] = role[active] = PG_LINE_RIVAL;
			untold = true;
		}
	}
	return untold ? PG_LINE_UNTOLD : take(w, active, chosen, role);
}

/* Is that tip, as far as is known, on the way of the active server? */
static bool
agrees(const struct pg_line_world *w, size_t i)
{
	for (size_t k = 0; k < w->seens; k++)
		if (!w->line[i].unread && !on_way(&w->line[i], w->seen[k]))
			return false;
	return true;
}

static bool
may_be(const struct pg_line_world *w, size_t i, bool seen)
{
	return is_tip(w, i) && (!seen || agrees(w, i));
}

static enum pg_line_answer
by_doubt(const struct pg_line_world *w, size_t *chosen, enum pg_line_role *role)
{
	size_t best = NONE, own = 0;
	bool seen = false;

	/* Where nothing agrees with what was seen, that says nothing. */
	for (size_t i = 0; i < w->lines; i++)
		seen |= may_be(w, i, true);
	for (size_t i = 0; i < w->lines; i++) {
		const struct pg_line *l = &w->line[i];
		bool mine = has_own(l);

		if (!may_be(w, i, seen))
			continue;
		if (mine)
			role[i] = PG_LINE_RIVAL;
		/* Of those with nothing of their own, the one that was left last has all. */
		if (best == NONE || (mine && own == 0) ||
		    (!mine && own == 0 && begin_of(l) > begin_of(&w->line[best])))
			best = i;
		own += mine;
	}
	if (best == NONE)
		return PG_LINE_NONE;
	return own > 1 ? PG_LINE_DOUBT : take(w, best, chosen, role);
}

enum pg_line_answer
pg_line_choose(const struct pg_line_world *w, size_t *chosen, enum pg_line_role *role)
{
	size_t i;

	*chosen = NONE;
	for (i = 0; i < w->lines; i++)
		role[i] = PG_LINE_PART;
	if (w->wanted > 0) {
		i = find(w, w->wanted);
		return i == NONE ? PG_LINE_ABSENT : take(w, i, chosen, role);
	}
	i = w->active > 0 ? find(w, w->active) : NONE;
	return i != NONE ? by_active(w, i, chosen, role) : by_doubt(w, chosen, role);
}
