/*
 * Pinning is a compare and swap, so of two who come first at once one makes the entry and both use
 * it.
 *
 * A system id is the same on every copy of a server. What tells the database from its copies is the
 * way of timelines: the active one, or a later one that grew out of it behind the point where the
 * epoch began. A server on any other is one that somebody has taken over from.
 */
#include "job/wal/wal_place.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "coord/active.h"
#include "repo/walread.h"
#include "source/pg/pg_stream.h"

#define TRIES 8 /* somebody else may write in between, but not for ever */

int
wal_place_server(struct pg_conn *replication, const struct pg_identity *id,
    struct wal_place_server *ret, struct err *e)
{
	struct buf text;
	int rc = 0;

	ret->id = *id;
	pg_history_init(&ret->history, id->tli);
	if (id->tli == 1)
		return 0;
	buf_init(&text, PG_HISTORY_MAX);
	switch (pg_stream_history(replication, id->tli, &text, e)) {
	case 1:
		rc = pg_history_parse(id->tli, buf_str(&text), text.len, &ret->history, e);
		break;
	case 0:
		rc = err_set(e, ERR_NOTFOUND, "the server has no history of its timeline %" PRIu32,
		    id->tli);
		break;
	default:
		rc = -1;
	}
	buf_done(&text);
	return rc;
}

void
wal_place_server_done(struct wal_place_server *s)
{
	pg_history_done(&s->history);
}

static void
place_of(const char *source, const struct active *a, struct wal_place *ret)
{
	*ret = (struct wal_place){ .sysid = a->sysid, .epoch = a->epoch };
	snprintf(ret->source, sizeof(ret->source), "%s", source);
}

static int
refuse_system(const char *source, const struct active *a, uint64_t sysid, struct err *e)
{
	err_set(e, ERR_STALE, "the server is not the one whose WAL is kept as %s", source);
	err_line(e, "checked", "system identifier %" PRIu64 ", expected %" PRIu64, sysid, a->sysid);
	return err_line(e, "fix",
	    "if the database was made anew or upgraded: `ffdr backup --new-system %s`", source);
}

static int
refuse_timeline(const char *source, const struct active *a, uint32_t tli, struct err *e)
{
	char at[LSN_TEXT];

	err_set(e, ERR_REFUSED,
	    "the server is not the active one of %s: an old primary, a copy, or a "
	    "server that has not come there yet",
	    source);
	err_line(e, "checked", "it is on timeline %" PRIu32 ", which does not come from timeline %"
	    PRIu32 " of epoch %" PRIu32 "%s%s", tli, a->tli, a->epoch,
	    a->fork_lsn > 0 ? ", begun at " : "", a->fork_lsn > 0 ? lsn_text(a->fork_lsn, at) : "");
	return err_line(e, "fix",
	    "let conninfo name the primary; if this server is the database from "
	    "now on: `ffdr backup --new-system %s`",
	    source);
}

static bool
on_the_way(const struct active *a, const struct wal_place_server *s)
{
	uint64_t from, to;

	return s->id.tli == a->tli ||
	    (s->id.tli > a->tli && pg_history_span(&s->history, a->tli, &from, &to) &&
		to >= a->fork_lsn);
}

int
wal_place_get(struct coord *c, const char *source, struct wal_place *ret, struct err *e)
{
	struct active a;
	int got = active_get(c, source, &a, e);

	if (got == 1)
		place_of(source, &a, ret);
	return got;
}

/* Nothing to write: 1. The entry is to be changed: 0. -1: refused. */
static int
judge(const char *source, const struct wal_place_server *s, const struct active *a, struct err *e)
{
	if (a->sysid != s->id.sysid)
		return refuse_system(source, a, s->id.sysid, e);
	if (!on_the_way(a, s))
		return refuse_timeline(source, a, s->id.tli, e);
	/* A standby follows; it makes nothing active. */
	return s->id.tli == a->tli || s->id.standby;
}

/* ---- nothing is pinned ---- */

/* The newest epoch of that system on any tier; 0: none has any. -1 when no tier answers. */
static int
newest_epoch(const struct wal_place_archive *a, const char *source, uint64_t sysid, uint32_t *ret,
    struct err *e)
{
	size_t answered = 0;

	*ret = 0;
	for (size_t i = 0; i < a->tiers; i++) {
		struct walread_places p = { 0 };

		if (a->tier[i]->store && walread_places(a->tier[i], source, &p, e) == 0)
			answered++;
		for (size_t k = 0; k < p.count; k++)
			if (p.place[k].sysid == sysid && p.place[k].epoch > *ret)
				*ret = p.place[k].epoch;
		free(p.place);
	}
	return answered > 0 ? 0 : -1;
}

/* What the entry of that epoch must have said, as far as its `from` tells. */
static int
recall(const struct wal_place_archive *a, const char *source, const struct wal_place_server *s,
    uint32_t epoch, struct active *ret, struct err *e)
{
	struct wal_place at = { .sysid = s->id.sysid, .epoch = epoch };
	struct wal_lineage l = { 0 };
	uint64_t from, to;
	int rc;

	snprintf(at.source, sizeof(at.source), "%s", source);
	rc = wal_lineage_load(a->repo, a->tier, a->tiers, &at, &l, e);
	ret->epoch = epoch;
	ret->tli = s->id.tli;
	ret->fork_lsn = rc == 0 && l.levels > 1 ? l.level[1].fork : 0;
	/* The epoch left a timeline: its server has that behind it, up to there at least. */
	if (rc == 0 && l.levels > 1 &&
	    (s->id.tli <= l.level[1].tli ||
		!pg_history_span(&s->history, l.level[1].tli, &from, &to) ||
		to < l.level[1].fork)) {
		ret->tli = l.level[1].tli + 1;
		rc = refuse_timeline(source, ret, s->id.tli, e);
	}
	wal_lineage_done(&l);
	return rc;
}

/* The counter of a place that was lost begins anew: up to there its numbers are taken. */
static int
raise_to(struct coord *c, uint32_t least, uint32_t *ret, struct err *e)
{
	do
		if (active_epoch_raise(c, ret, e) == -1)
			return -1;
	while (*ret < least);
	return 0;
}

/* The entry as it is to be: 1 it is so already, 0, -1. */
static int
want(struct coord *c, const char *source, const char *site, const struct wal_place_server *s,
    const struct wal_place_archive *archive, bool anew, struct active *a, struct err *e)
{
	uint32_t known = 0, number;
	int got = active_get(c, source, a, e);

	if (got == -1)
		return -1;
	if (got == 1 && !anew) {
		got = judge(source, s, a, e);
		a->tli = got == 0 ? s->id.tli : a->tli;
		return got;
	}
	if (newest_epoch(archive, source, s->id.sysid, &known, e) == -1)
		return -1;
	a->sysid = s->id.sysid;
	snprintf(a->site, sizeof(a->site), "%s", site && *site ? site : "-");
	if (known > 0 && !anew)
		return recall(archive, source, s, known, a, e) == -1
		    ? -1
		    : raise_to(c, known, &number, e);
	a->tli = s->id.tli;
	a->fork_lsn = 0;
	return raise_to(c, (got == 1 && a->epoch > known ? a->epoch : known) + 1, &a->epoch, e);
}

int
wal_place_pin(struct coord *c, const char *source, const char *site,
    const struct wal_place_server *server, const struct wal_place_archive *archive, bool anew,
    struct wal_place *ret, struct err *e)
{
	struct active a;
	int set = 0;

	for (int i = 0; i < TRIES && set == 0; i++) {
		set = want(c, source, site, server, archive, anew, &a, e);
		if (set == 0)
			set = active_set(c, source, &a, e);
	}
	if (set == -1)
		return -1;
	if (set == 0)
		return err_set(
		    e, ERR_BUSY, "active/%s changes all the time: who writes it?", source);
	place_of(source, &a, ret);
	return 0;
}
