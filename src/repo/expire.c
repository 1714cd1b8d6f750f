/*
 * Expiry decides over people's past, so it is a function of values alone and errs towards keeping.
 * Three rules have nothing to do with age: the newest is the next run's parent and the only thing a
 * restore can count on; the last one verified is the newest that is known to be good; and one that
 * a running backup may have chosen as parent carries that backup's packs (docs/format.md,
 * "Garbage", rule 2).
 *
 * One that was found to be bad says something of its neighbours, too: they share packs. So while the
 * newest that anything is known of is bad, all older ones stay, as the only ones that may be good.
 *
 * What would surprise: a window may keep one snapshot more than it holds. "Keep seven days" means
 * that the state of seven days ago can be had, and that is the newest one up to the window's start.
 * And it ends not now but with the newest snapshot: where nothing new comes nothing old goes, be it
 * that the source rests or that the clock has run away. One from the future counts for nothing,
 * least of all as the newest: it stays, and the others are judged as if it were not there.
 */
#include "repo/expire.h"

#include "base/mem.h"
#include "repo/layout.h"

#define NONE SIZE_MAX
#define FUTURE INT64_MAX

/* The positions that rules speak of, none of them from the future; NONE where there is none. */
struct marks {
	size_t newest;	 /* complete */
	size_t verified; /* the last one */
	size_t known;	 /* the last one that is verified or broken */
	size_t edge;
	size_t settled; /* newest that is older than W + 1 h: all before it are no parents */
	size_t replaced; /* newest complete one of those: partial ones before it may go */
	bool bad; /* `known` is */
	int64_t window_ns;
};

int64_t
expire_time(const struct expire_item *it, int64_t now_ns)
{
	if (it->time_ns <= now_ns + LAYOUT_SKEW_NS)
		return it->time_ns;
	return it->stored_ns <= now_ns + LAYOUT_SKEW_NS ? it->stored_ns : FUTURE;
}

/* When the state was that it holds. */
static int64_t
state_time(const struct expire_item *it, int64_t now_ns)
{
	int64_t t = expire_time(it, now_ns);

	return t != FUTURE && it->ready_ns > t ? it->ready_ns : t;
}

/* Where the window starts, and which is the state then: the newest one that is not younger. */
static void
mark_window(const struct expire_item *item, size_t n, const struct expire_rules *rules,
    struct marks *m)
{
	int64_t end_ns, t, edge_ns = INT64_MIN;

	if (rules->keep_ns < 0 || m->newest == NONE)
		return;
	end_ns = expire_time(&item[m->newest], rules->now_ns);
	m->window_ns = (end_ns < rules->now_ns ? end_ns : rules->now_ns) - rules->keep_ns;
	for (size_t i = 0; i < n; i++) {
		t = state_time(&item[i], rules->now_ns);
		if (!item[i].partial && t <= m->window_ns && t >= edge_ns) {
			m->edge = i;
			edge_ns = t;
		}
	}
}

static struct marks
mark(const struct expire_item *item, size_t n, const struct expire_rules *rules)
{
	int64_t settled_ns = rules->now_ns - rules->longest_ns - LAYOUT_HOUR_NS;
	struct marks m = { NONE, NONE, NONE, NONE, NONE, NONE, false, INT64_MIN };

	for (size_t i = 0; i < n; i++) {
		bool settled = item[i].stored_ns < settled_ns;

		if (expire_time(&item[i], rules->now_ns) == FUTURE)
			continue;
		if (settled)
			m.settled = i;
		if (item[i].partial)
			continue;
		m.newest = i;
		if (settled)
			m.replaced = i;
		if (item[i].verified)
			m.verified = i;
		if (item[i].verified || item[i].broken)
			m.known = i;
	}
	m.bad = m.known != NONE && item[m.known].broken;
	mark_window(item, n, rules, &m);
	return m;
}

int64_t
expire_window(const struct expire_item *item, size_t n, const struct expire_rules *rules)
{
	return mark(item, n, rules).window_ns;
}

static enum expire_reason
judge(const struct expire_item *it, size_t i, size_t n, const struct marks *m,
    const struct expire_rules *rules)
{
	int64_t t = expire_time(it, rules->now_ns);

	if (it->held)
		return EXPIRE_KEEP_HELD;
	if (rules->retire)
		return EXPIRE_GO_RETIRED;
	if (i == n - 1 || i == m->newest)
		return EXPIRE_KEEP_NEWEST;
	if (t == FUTURE)
		return EXPIRE_KEEP_FUTURE;
	if (it->partial)
		return m->replaced != NONE && i < m->replaced ? EXPIRE_GO_PARTIAL :
								EXPIRE_KEEP_PARENT;
	if (i == m->verified)
		return EXPIRE_KEEP_VERIFIED;
	if (state_time(it, rules->now_ns) >= m->window_ns)
		return EXPIRE_KEEP_WINDOW;
	if (i == m->edge)
		return EXPIRE_KEEP_EDGE;
	if (it->root)
		return EXPIRE_KEEP_ROOT;
	if (m->settled == NONE || i >= m->settled)
		return EXPIRE_KEEP_PARENT;
	if (m->bad)
		return EXPIRE_KEEP_BROKEN;
	return it->owed ? EXPIRE_KEEP_OWED : EXPIRE_GO_AGE;
}

bool
expire_goes(enum expire_reason r)
{
	return r == EXPIRE_GO_AGE || r == EXPIRE_GO_PARTIAL || r == EXPIRE_GO_RETIRED ||
	    r == EXPIRE_GO_DISCARDED;
}

size_t
expire_plan(struct expire_item *item, size_t n, const struct expire_rules *rules)
{
	struct marks m = mark(item, n, rules);
	size_t complete = rules->lately, aged = rules->lately, going = 0;

	for (size_t i = 0; i < n; i++)
		complete += !item[i].partial;
	for (size_t i = 0; i < n; i++) {
		item[i].reason = judge(&item[i], i, n, &m, rules);
		if (item[i].reason == EXPIRE_GO_AGE && !rules->more_than_half &&
		    ++aged > complete / 2)
			item[i].reason = EXPIRE_KEEP_HALF;
		going += expire_goes(item[i].reason);
	}
	return going;
}

const char *
expire_reason_text(enum expire_reason r)
{
	static const char *const text[] = {
		[EXPIRE_KEEP_NEWEST] = "the newest is never removed",
		[EXPIRE_KEEP_WINDOW] = "younger than keep",
		[EXPIRE_KEEP_EDGE] = "the state at the start of keep",
		[EXPIRE_KEEP_ROOT] = "a timeline of keep grows out of it",
		[EXPIRE_KEEP_VERIFIED] = "the last one verified",
		[EXPIRE_KEEP_HELD] = "held",
		[EXPIRE_KEEP_PARENT] = "a running backup may rest on it",
		[EXPIRE_KEEP_FUTURE] = "in the future: its age is not known",
		[EXPIRE_KEEP_BROKEN] = "newer ones are broken, by the last verification",
		[EXPIRE_KEEP_OWED] = "waits for the copy to another tier",
		[EXPIRE_KEEP_HALF] = "at most half goes in a day",
		[EXPIRE_GO_AGE] = "older than keep",
		[EXPIRE_GO_PARTIAL] = "partial, replaced by a complete one",
		[EXPIRE_GO_RETIRED] = "its source is retired",
		[EXPIRE_GO_DISCARDED] = "it cannot be read, and is given up",
	};

	_Static_assert(ARRAY_LEN(text) == EXPIRE_REASONS, "a text for each reason");
	return r < EXPIRE_REASONS ? text[r] : "unknown";
}
