/*
 * Which epoch, and which way through its timelines? The tiers tell what there is, the coordination place
 * who is active, and source/pg/pg_line.c decides. What is not on that way is named, so that nobody
 * overlooks the half of a database that somebody went on with.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "coord/active.h"
#include "job/pg/pg_world_parts.h"
#include "repo/wal_beat.h"

/* ---- epoch ---- */

/* The highest one there is on the tiers. */
static int
highest_epoch(struct pg_world *w, struct err *e)
{
	for (size_t i = 0; i < w->tiers; i++) {
		struct walread_places p = { 0 };
		int rc = walread_places(w->tier[i], w->source, &p, e);

		for (size_t k = 0; rc == 0 && k < p.count; k++)
			if (p.place[k].sysid == w->place.sysid && p.place[k].epoch > w->place.epoch)
				w->place.epoch = p.place[k].epoch;
		free(p.place);
		if (rc == -1)
			return -1;
	}
	return 0;
}

static size_t
named_base(const struct pg_world *w, const struct pg_world_options *o)
{
	for (size_t i = 0; o->base && i < w->bases; i++)
		if (strcmp(w->about[i].name, o->base) == 0)
			return i;
	return SIZE_MAX;
}

/*
 * Is that base a state of the lineage? Its own epoch decides: elsewhere the same numbers may mean
 * other histories.
 */
static bool
in_lineage(
    const struct wal_lineage *l, const struct pg_world_base *a, const struct pg_target_base *b)
{
	return wal_lineage_has(l, a->epoch, b->timeline, b->stop);
}

/* The newest base of that system (0: any), in that lineage (NULL: any). */
static size_t
newest_base(const struct pg_world *w, uint64_t sysid, const struct wal_lineage *l)
{
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < w->bases; i++)
		if ((sysid == 0 || w->about[i].sysid == sysid) &&
		    (!l || in_lineage(l, &w->about[i], &w->base[i])) &&
		    (best == SIZE_MAX || strcmp(w->base[i].id, w->base[best].id) > 0))
			best = i;
	return best;
}

/* The epoch that is active, as far as anybody can say; else the highest one there is. */
static int
find_epoch(struct pg_world *w, size_t named, struct err *e)
{
	struct coord *c = NULL;
	struct active a = { 0 };
	struct err why = { 0 };
	size_t lead = named;
	int got = coord_open(w->session->conf->coord_place, &c, &why);

	if (got == 0)
		got = active_get(c, w->source, &a, &why);
	coord_close(c);
	if (lead == SIZE_MAX && got == 1)
		lead = newest_base(w, a.sysid, NULL);
	if (lead == SIZE_MAX)
		lead = newest_base(w, 0, NULL);
	w->place = (struct wal_place){ .sysid = w->about[lead].sysid };
	snprintf(w->place.source, sizeof(w->place.source), "%s", w->source);
	if (got != 1 || a.sysid != w->place.sysid) {
		if (got == -1)
			w->unknown = why;
		return highest_epoch(w, e);
	}
	w->place.epoch = a.epoch;
	w->active = a.tli;
	return 0;
}

/* Of an epoch that is not the active one nobody knows who was active in it last. */
static int
turn_to(struct pg_world *w, uint32_t epoch, struct wal_lineage *l, struct err *e)
{
	w->place.epoch = epoch;
	w->active = 0;
	wal_lineage_done(l);
	return wal_lineage_load(w->session->repo, w->tier, w->tiers, &w->place, l, e);
}

/* The base that was named, wherever it leads; else any that the epoch has. */
static int
find_lineage(struct pg_world *w, size_t named, struct wal_lineage *l, struct err *e)
{
	size_t lead = named;

	if (find_epoch(w, named, e) == -1 ||
	    wal_lineage_load(w->session->repo, w->tier, w->tiers, &w->place, l, e) == -1)
		return -1;
	if (named != SIZE_MAX && !in_lineage(l, &w->about[named], &w->base[named]))
		return turn_to(w, w->about[named].epoch, l, e);
	if (named != SIZE_MAX || newest_base(w, w->place.sysid, l) != SIZE_MAX)
		return 0;
	lead = newest_base(w, w->place.sysid, NULL);
	pg_world_tell(w, "warning",
	    "epoch %" PRIu32 " of %s, the active one, has no base backup yet: what follows is of epoch "
	    "%" PRIu32 "\n  fix       `ffdr backup %s`", w->place.epoch, w->source,
	    w->about[lead].epoch, w->source);
	return turn_to(w, w->about[lead].epoch, l, e);
}

static int
open_reader(struct pg_world *w, struct err *e)
{
	const struct walread_options ro = {
		.repo = w->session->repo,
		.tier = w->tier,
		.tiers = w->tiers,
		.spool = w->spool.path ? &w->spool : NULL,
		.place = w->place,
	};

	return walread_new(&ro, &w->read, e);
}

/* ---- timelines ---- */

struct pg_world_line *
pg_world_line(struct pg_world *w, uint32_t tli)
{
	for (size_t i = 0; i < w->lines; i++)
		if (w->line[i].tli == tli)
			return &w->line[i];
	return NULL;
}

static struct pg_world_line *
add_line(struct pg_world *w, uint32_t tli)
{
	struct pg_world_line *l = pg_world_line(w, tli);

	if (l)
		return l;
	w->line = xreallocarray(w->line, w->lines + 1, sizeof(*w->line));
	l = &w->line[w->lines++];
	*l = (struct pg_world_line){ .tli = tli };
	pg_history_init(&l->history, tli);
	return l;
}

/* Why it cannot be read is the line's own: nobody may need it. */
static void
read_history(struct pg_world *w, struct pg_world_line *l)
{
	struct buf text;
	int got;

	if (l->tli <= 1)
		return;
	buf_init(&text, PG_HISTORY_MAX);
	got = walread_history(w->read, l->tli, &text, &l->why);
	if (got == 0)
		err_set(&l->why, ERR_NOTFOUND, "it is missing");
	if (got == 1)
		pg_history_parse(l->tli, buf_str(&text), text.len, &l->history, &l->why);
	buf_done(&text);
}

static int
read_line(struct pg_world *w, struct pg_world_line *l, struct err *e)
{
	struct lsn_set spooled = { 0 };
	int rc = 0;

	read_history(w, l);
	for (size_t i = 0; rc == 0 && i < w->tiers; i++)
		rc = walread_ranges(w->read, w->tier[i], l->tli, &l->have, e);
	if (l->have.count > 0)
		l->end = l->have.range[l->have.count - 1].to;
	if (rc == 0)
		rc = walread_spool_ranges(w->read, l->tli, &spooled, e);
	if (spooled.count > 0 && spooled.range[spooled.count - 1].to > l->end)
		l->end = spooled.range[spooled.count - 1].to;
	lsn_set_done(&spooled);
	return rc;
}

static int
find_lines(struct pg_world *w, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < w->tiers; i++) {
		struct walread_timelines t = { 0 };

		rc = walread_timelines(w->read, w->tier[i], &t, e);
		for (size_t k = 0; rc == 0 && k < t.count; k++)
			add_line(w, t.tli[k]);
		free(t.tli);
	}
	for (size_t i = 0; i < w->bases; i++)
		add_line(w, w->base[i].timeline);
	for (size_t i = 0; rc == 0 && i < w->lines; i++)
		rc = read_line(w, &w->line[i], e);
	return rc;
}

/* Timelines that the active server was on: of base backups, and of the newest sample. */
static size_t
find_seen(struct pg_world *w, uint32_t *seen)
{
	size_t n = 0;

	for (size_t i = 0; i < w->bases; i++)
		if (w->about[i].epoch == w->place.epoch)
			seen[n++] = w->base[i].timeline;
	for (size_t i = 0; i < w->tiers; i++) {
		struct wal_beat b;

		if (wal_beat_get(w->session->repo, w->tier[i]->store, w->source, &b, NULL) == 1 &&
		    b.place.sysid == w->place.sysid && b.place.epoch == w->place.epoch)
			seen[n++] = b.tli;
	}
	return n;
}

static enum pg_line_answer
ask(struct pg_world *w, uint32_t wanted, size_t *chosen)
{
	struct pg_line *line = xcalloc(w->lines + 1, sizeof(*line));
	enum pg_line_role *role = xcalloc(w->lines + 1, sizeof(*role));
	uint32_t *seen = xcalloc(w->bases + w->tiers + 1, sizeof(*seen));
	struct pg_line_world all = {
		.line = line,
		.lines = w->lines,
		.wanted = wanted,
		.active = w->active,
		.seen = seen,
		.seens = find_seen(w, seen),
	};
	enum pg_line_answer answer;

	for (size_t i = 0; i < w->lines; i++)
		line[i] = (struct pg_line){ w->line[i].history, w->line[i].why.kind != ERR_NONE,
			w->line[i].end };
	answer = pg_line_choose(&all, chosen, role);
	for (size_t i = 0; i < w->lines; i++)
		w->line[i].role = role[i];
	free(line);
	free(role);
	free(seen);
	return answer;
}

/* ---- refusals ---- */

static int
no_history(const struct pg_world *w, const struct pg_world_line *l, struct err *e)
{
	if (l->why.kind != ERR_NOTFOUND) {
		*e = l->why;
		return err_in(e, "the history of timeline %" PRIu32 " of %s", l->tli, w->source);
	}
	err_set(e, ERR_REFUSED,
	    "restore refused: the history of timeline %" PRIu32 " of %s is missing", l->tli,
	    w->source);
	err_line(e, "checked", "%s", buf_str(&w->tier_names));
	err_line(e, "possible",
	    "without it a recovery would end on an older timeline, and take a number that is used");
	return err_line(e, "fix",
	    "`ffdr wal push FILE` with %08" PRIX32 ".history from pg_wal of a server that has it",
	    l->tli);
}

/* "from 0/4000000 on, out of timeline 1, up to 0/5000000, 2026-11-21 20:48:38Z" */
static void
describe(struct pg_world *w, const struct pg_world_line *l, struct buf *out)
{
	const struct pg_history *h = &l->history;
	char a[LSN_TEXT], b[LSN_TEXT], at[UNITS_TEXT];
	int64_t newest_ns = pg_world_newest_commit(w, l);

	buf_addf(out, "timeline %" PRIu32, l->tli);
	if (h->count > 0)
		buf_addf(out, ", begun at %s of timeline %" PRIu32 ",",
		    lsn_text(h->step[h->count - 1].end, a), h->step[h->count - 1].timeline);
	if (l->end == 0)
		buf_adds(out, " without any WAL");
	else
		buf_addf(out, " up to %s%s%s", lsn_text(l->end, b), newest_ns ? ", " : "",
		    newest_ns ? units_time(newest_ns, at) : "");
}

static int
doubt(struct pg_world *w, bool untold, struct err *e)
{
	if (untold)
		err_set(e, ERR_REFUSED,
		    "restore refused: timeline %" PRIu32 " is the active one of %s, yet another goes on "
		    "where it ends", w->active, w->source);
	else
		err_set(e, ERR_REFUSED,
		    "restore refused: which timeline of %s is the database is not known", w->source);
	err_line(e, "checked", "%s", w->unknown.kind != ERR_NONE ? w->unknown.text :
	    untold ? "a failover that the coordination place was not told of, or a copy that was promoted" :
	    "the coordination place has no word of it, and several go on by themselves");
	for (size_t i = 0; i < w->lines; i++) {
		struct buf text;

		if (w->line[i].role != PG_LINE_RIVAL)
			continue;
		buf_init(&text, 400);
		describe(w, &w->line[i], &text);
		err_line(e, "possible", "--timeline %" PRIu32 ": %s", w->line[i].tli, buf_str(&text));
		buf_done(&text);
	}
	return err_line(e, "fix", "--timeline N of the one that is the database%s",
	    untold ? "; or `ffdr backup` of the server that is, which says so for good" : "");
}

static int
absent(const struct pg_world *w, uint32_t wanted, struct err *e)
{
	struct buf text;

	buf_init(&text, 400);
	for (size_t i = 0; i < w->lines; i++)
		buf_addf(&text, "%s%" PRIu32, i > 0 ? ", " : "", w->line[i].tli);
	err_set(e, ERR_NOTFOUND, "restore refused: there is no timeline %" PRIu32 " of %s", wanted,
	    w->source);
	err_line(e, "checked", "epoch %" PRIu32 " on %s", w->place.epoch, buf_str(&w->tier_names));
	err_line(e, "possible", "--timeline %s", buf_str(&text));
	buf_done(&text);
	return -1;
}

/* ---- deciding ---- */

/* What is said of its ancestors twice must be the same: else two servers took one number. */
static int
check_ancestors(struct pg_world *w, struct err *e)
{
	for (size_t i = 0; i < w->history.count; i++) {
		const struct pg_world_line *l = pg_world_line(w, w->history.step[i].timeline);

		if (l && l->why.kind == ERR_NONE && !pg_history_extends(&w->history, &l->history))
			return err_set(e, ERR_CORRUPT,
			    "restore refused: timeline %" PRIu32 " has two histories in the WAL of %s",
			    l->tli, w->source);
	}
	return 0;
}

static void
copy_history(const struct pg_history *from, struct pg_history *to)
{
	pg_history_done(to);
	pg_history_init(to, from->timeline);
	to->count = from->count;
	to->step = xmemdup(from->step, from->count * sizeof(*from->step));
}

/*
 * A base that was named and does not lie on the way to it leads along its own; and so does its own
 * end, where the way behind it is in doubt.
 */
static enum pg_line_answer
ask_for_base(struct pg_world *w, const struct pg_world_options *o, const struct pg_target_base *named,
    size_t *chosen)
{
	enum pg_line_answer answer = ask(w, o->timeline, chosen);

	if (o->timeline > 0 || !named)
		return answer;
	if (answer == PG_LINE_CHOSEN ?
	    !pg_history_covers(&w->line[*chosen].history, named->timeline, named->stop) : o->base_end)
		answer = ask(w, named->timeline, chosen);
	return answer;
}

static int
find_timeline(struct pg_world *w, const struct pg_world_options *o,
    const struct pg_target_base *named, struct err *e)
{
	size_t chosen;

	switch (ask_for_base(w, o, named, &chosen)) {
	case PG_LINE_CHOSEN:
		copy_history(&w->line[chosen].history, &w->history);
		return check_ancestors(w, e);
	case PG_LINE_UNREAD:
		return no_history(w, &w->line[chosen], e);
	case PG_LINE_ABSENT:
		return absent(w, o->timeline, e);
	case PG_LINE_DOUBT:
		return doubt(w, false, e);
	case PG_LINE_UNTOLD:
		return doubt(w, true, e);
	case PG_LINE_NONE:
		break;
	}
	return err_set(e, ERR_BUG, "%s has base backups and no timeline", w->source);
}

/* Who has decided for one knows of the others. */
static void
tell_of_others(struct pg_world *w)
{
	for (size_t i = 0; i < w->lines; i++) {
		struct pg_world_line *l = &w->line[i];
		struct buf text;

		if (l->role != PG_LINE_OTHER)
			continue;
		buf_init(&text, 400);
		describe(w, l, &text);
		if (l->why.kind != ERR_NONE)
			pg_world_tell(w, "warning", "%s of %s is left aside: its history: %s",
			    buf_str(&text), w->source, l->why.text);
		else
			pg_world_tell(w, "warning",
			    "%s of %s is not part of this: a copy that was promoted, or a server that is "
			    "not the active one\n  fix       --timeline %" PRIu32 " restores that one",
			    buf_str(&text), w->source, l->tli);
		buf_done(&text);
	}
}

int
pg_world_find_way(struct pg_world *w, const struct pg_world_options *o, struct err *e)
{
	const size_t named = named_base(w, o);
	struct wal_lineage l = { 0 };
	struct pg_target_base own;
	int rc = -1;

	if (w->bases == 0 || (o->base && named == SIZE_MAX))
		return 0;
	if (named != SIZE_MAX)
		own = w->base[named];
	if (find_lineage(w, named, &l, e) == -1)
		goto out;
	for (size_t i = w->bases; i > 0; i--)
		if (w->about[i - 1].sysid != w->place.sysid ||
		    !in_lineage(&l, &w->about[i - 1], &w->base[i - 1]))
			pg_world_drop_base(w, i - 1);
	w->segment_size = w->about[0].segment_size;
	if (open_reader(w, e) == -1 || find_lines(w, e) == -1 ||
	    find_timeline(w, o, named != SIZE_MAX ? &own : NULL, e) == -1)
		goto out;
	if (o->timeline == 0)
		tell_of_others(w);
	rc = 0;
out:
	wal_lineage_done(&l);
	return rc;
}
