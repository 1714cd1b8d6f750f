/*
 * What a person is told at three in the morning must not depend on what is broken, so each part is
 * asked for by itself and a part that does not answer is a line that says so. What needs attention
 * is decided at the end, from what was learned, in one place: a number nobody can judge is not a
 * status.
 */
#include "job/wal/wal_status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "job/owed.h"
#include "job/wal/wal_archiver.h"
#include "job/wal/wal_owed.h"
#include "source/pg/pg_conn.h"

/* A receiver that is well says something every `ship-every`; so many of them, and time for an
 * upload. */
#define SILENT_TIMES 3
#define SILENT_NS (15 * CLOCK_S)
#define ROOM_LEAST (1u << 20) /* with less a receiver waits already, or will in a moment */

/* ---- slots ---- */

const char *
wal_status_role_word(enum wal_status_role r)
{
	static const char *const word[] = {
		[WAL_STATUS_OWN] = "own", [WAL_STATUS_HOLD] = "hold", [WAL_STATUS_OTHER] = "other"
	};

	return word[r];
}

static struct wal_status_slot *
add_slot(struct wal_status_slot **list, size_t *count, const char *name, enum wal_status_role role)
{
	struct wal_status_slot *s;

	*list = xreallocarray(*list, *count + 1, sizeof(**list));
	s = &(*list)[(*count)++];
	*s = (struct wal_status_slot){ .role = role };
	snprintf(s->name, sizeof(s->name), "%s", name);
	return s;
}

int
wal_status_slots(struct pg_conn *c, const char *own, struct wal_status_slot **ret, size_t *count,
		 struct err *e)
{
	static const char query[] = "SELECT slot_name FROM pg_replication_slots WHERE slot_type = "
				    "'physical' AND NOT temporary"
				    " AND starts_with(slot_name, 'ffdr_') AND slot_name <> $1 AND "
				    "slot_name <> $2 ORDER BY slot_name";
	const char *const param[] = { own, CONF_SLOT_HOLD };
	struct pg_rows *rows = NULL;
	int rc = pg_conn_exec(c, query, param, 2, &rows, e);

	add_slot(ret, count, own, WAL_STATUS_OWN);
	add_slot(ret, count, CONF_SLOT_HOLD, WAL_STATUS_HOLD);
	for (size_t i = 0; rc == 0 && i < pg_conn_rows(rows); i++)
		add_slot(ret, count, pg_conn_value(rows, i, 0, NULL), WAL_STATUS_OTHER);
	pg_conn_rows_free(rows);
	for (size_t i = 0; rc == 0 && i < *count; i++) {
		int got = pg_slot_read(c, (*ret)[i].name, &(*ret)[i].slot, e);

		(*ret)[i].there = got == 1;
		rc = got == -1 ? -1 : 0;
	}
	return rc;
}

static void
load_slots(struct wal_status *s)
{
	const struct wal_look *l = &s->look;
	char own[CONF_SLOT];

	if (!l->server.reached)
		s->slots_why = l->server.why;
	else if (conf_postgres_slot(l->w.source->postgres, l->w.host, own, &s->slots_why) == 0)
		wal_status_slots(l->server.conn, own, &s->slot, &s->slots, &s->slots_why);
	/* Nobody streams: slots that are not there are none that are missing. */
	for (size_t i = 0; !s->streams && i < s->slots;)
		if (!s->slot[i].there)
			memmove(&s->slot[i], &s->slot[i + 1], (--s->slots - i) * sizeof(*s->slot));
		else
			i++;
}

/* ---- the rest of what there is ---- */

static void
load_lease(struct wal_status *s, const struct conf *c)
{
	const struct lease_times times = { c->coord_ttl, c->coord_skew };
	char *name = xasprintf("lease/wal/%s", s->look.w.source->name);

	s->leased = -1;
	if (s->look.coord.kind == ERR_NONE)
		s->leased = lease_look(s->look.w.coord, name, &times, &s->lease, &s->look.coord);
	free(name);
}

static void
load_spool(struct wal_status *s)
{
	const struct wal_look *l = &s->look;
	struct spool_dir_files f = { 0 };
	struct statvfs fs;
	uint32_t tli = 0;

	s->backlog = l->w.source->postgres->backlog;
	spool_dir_list(&l->w.spool, &f, &s->spool_why);
	s->spooled = f.held;
	s->spool_room = statvfs(l->w.spool_path, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize :
							     UINT64_MAX;
	for (size_t i = 0; i < f.count; i++)
		if (f.file[i].sysid == l->place.sysid && f.file[i].epoch == l->place.epoch &&
		    f.file[i].tli >= tli) {
			tli = f.file[i].tli;
			s->spool_end = f.file[i].end;
		}
	spool_dir_done(&f);
}

/* What lies between the first byte its base backups need and the last one there is. */
static void
find_holes(const struct wal_look_tier *t, struct lsn_set *ret)
{
	uint64_t at = lsn_segment(t->oldest.facts.start, t->oldest.facts.segment_size);

	for (size_t i = 0; t->based && i < t->have.count; i++) {
		if (t->have.range[i].from > at)
			lsn_set_add(ret, at, t->have.range[i].from);
		if (t->have.range[i].to > at)
			at = t->have.range[i].to;
	}
}

static void
load_tiers(struct wal_status *s, struct session *session)
{
	for (size_t i = 0; i < s->look.tiers; i++) {
		const struct wal_look_tier *t = &s->look.tier[i];

		s->tier[i].owed = -1;
		if (session->state.kind == ERR_NONE)
			s->tier[i].owed = wal_owed_settle(&session->tiers, session->conf->state,
							  t->tier, 0, NULL);
		find_holes(t, &s->tier[i].holes);
	}
}

static bool
is_open(const struct wal_status *s, const struct wal_gap *g)
{
	const uint64_t to = g->to == UINT64_MAX ? g->from + 1 : g->to;
	bool needed = false;

	if (g->place.sysid != s->look.place.sysid)
		return false;
	for (size_t i = 0; i < s->look.tiers; i++) {
		const struct wal_look_tier *t = &s->look.tier[i];

		if (lsn_set_has(&t->have, g->from, to))
			return false;
		needed |= t->based && !wal_gap_ends_before(
		    g, t->newest.facts.epoch, t->newest.facts.start);
	}
	return needed;
}

static void
load_gaps(struct wal_status *s, struct session *session)
{
	struct tier *open[WAL_SOURCE_TIERS];
	struct wal_gaps g = { 0 };
	size_t opens = 0;

	for (size_t i = 0; i < s->look.tiers; i++)
		if (s->look.tier[i].tier->store)
			open[opens++] = s->look.tier[i].tier;
	if (opens == 0)
		err_set(&s->gaps_why, ERR_REMOTE, "no tier answers");
	else if (wal_gap_load(session->repo, open, opens, s->look.w.source->name, &g,
			      &s->gaps_why) == 0)
		s->gap = xcalloc(g.count + 1, sizeof(*s->gap));
	for (size_t i = 0; s->gap && i < g.count; i++)
		s->gap[s->gaps++] = (struct wal_status_gap){ g.gap[i], is_open(s, &g.gap[i]) };
	wal_gap_done(&g);
}

/* ---- what needs attention ---- */

static void
judge_server(struct wal_status *s)
{
	const struct wal_look *l = &s->look;

	if (!l->server.reached)
		alarms_add(&s->alarms, "the server cannot be asked: %.*s",
			   err_first_line(&l->server.why), l->server.why.text);
	else if (l->placed && l->server.sysid != l->place.sysid)
		alarms_add(&s->alarms,
			   "the server is another system, %" PRIu64 ", expected %" PRIu64,
			   l->server.sysid, l->place.sysid);
	if (l->coord.kind != ERR_NONE)
		alarms_add(&s->alarms, "the coordination place does not answer: %.*s",
			   err_first_line(&l->coord), l->coord.text);
	else if (!*l->w.active.etag)
		alarms_add(
		    &s->alarms,
		    "no server is pinned yet: `ffdr check` or the first `ffdr backup` does it");
	if (s->streams && s->leased == 0)
		alarms_add(&s->alarms, "no host ships the WAL: is `ffdr wal stream %s` running?",
			   l->w.source->bare);
}

static bool
is_shippers(const struct wal_status *s, const struct wal_status_slot *slot)
{
	char name[CONF_SLOT];

	return s->leased == 1 &&
	    conf_postgres_slot(s->look.w.source->postgres, s->lease.host, name, NULL) == 0 &&
	    strcmp(name, slot->name) == 0;
}

/* A receiver of this host that cannot write leaves its slot idle. */
static bool
waits_for_room(const struct wal_status *s)
{
	return s->spool_room < ROOM_LEAST && strcmp(s->lease.host, s->look.w.host) == 0;
}

static void
judge_archiver(struct wal_status *s)
{
	struct wal_archiver a;
	struct err why = { 0 };
	char ago[UNITS_TEXT];

	if (!s->look.server.reached || !s->look.server.conn)
		return;
	if (wal_archiver_ask(s->look.server.conn, !s->streams, &a, &why) == -1)
		alarms_add(&s->alarms, "the server's archiver: %.*s", err_first_line(&why),
			   why.text);
	else if (a.fails)
		alarms_add(
		    &s->alarms,
		    "the server cannot archive %s, tried %s ago, and keeps all WAL from there "
		    "on: " WAL_ARCHIVER_FIX,
		    a.file, units_duration(a.ago_ms, ago), a.file);
}

/* Who ships has no slot there at all: a lease says who, and not from which server. */
static void
judge_shipper(struct wal_status *s)
{
	const struct wal_look *l = &s->look;

	if (!s->streams || s->leased != 1 || s->slots == 0 || s->slots_why.kind != ERR_NONE ||
	    l->server.standby)
		return;
	for (size_t i = 0; i < s->slots; i++)
		if (s->slot[i].there && is_shippers(s, &s->slot[i]))
			return;
	alarms_add(
	    &s->alarms,
	    "'%s' ships, but has no slot on the server that conninfo leads to: it receives from "
	    "another one, or not at all",
	    s->lease.host);
}

static void
judge_slot(struct wal_status *s, const struct wal_status_slot *slot)
{
	char size[UNITS_TEXT];

	if (!slot->there) {
		if (s->streams)
			alarms_add(&s->alarms,
				   "slot %s is not there: the server keeps no WAL for us",
				   slot->name);
		return;
	}
	units_size(slot->slot.behind, size);
	if (slot->slot.wal == PG_SLOT_WAL_UNRESERVED || slot->slot.wal == PG_SLOT_WAL_LOST)
		alarms_add(&s->alarms,
			   "slot %s is %s: the server may have removed WAL that is not here",
			   slot->name, pg_slot_wal_word(slot->slot.wal));
	if (slot->slot.full && !slot->slot.active && is_shippers(s, slot)) {
		if (!waits_for_room(s))
			alarms_add(&s->alarms,
				   "slot %s is idle, although '%s' ships: it receives from another "
				   "server, or not at all",
				   slot->name, s->lease.host);
	} else if (slot->role == WAL_STATUS_OTHER && slot->slot.full && !slot->slot.active) {
		alarms_add(&s->alarms,
			  "slot %s is of a host that does not receive: it keeps %s on the server. "
			  "`ffdr wal forget` drops it",
			  slot->name, size);
	}
	if (slot->role == WAL_STATUS_HOLD && slot->slot.behind > s->backlog)
		alarms_add(&s->alarms,
			   "slot %s keeps %s on the server: the tiers off this host fall behind",
			   slot->name, size);
}

/* Another tier tells when the server was heard of, and so would tell of silence itself. */
static bool
is_heard_elsewhere(const struct wal_status *s)
{
	for (size_t i = 0; i < s->look.tiers; i++)
		if (s->look.tier[i].beaten)
			return true;
	return false;
}

/*
 * Where no beat is kept, a server that rests is as silent as a receiver that hangs: what counts is that
 * WAL is there to be had. Less than a segment waits for its time, so only what another tier has had for
 * long says that it does not come; a whole one is sent at once. That a server has just gone on from a
 * long rest is told wrongly for that moment, but only where no tier at all keeps a beat.
 */
static void
judge_late(struct wal_status *s, const struct wal_look_tier *t, int64_t most)
{
	const struct wal_look *l = &s->look;
	const uint64_t behind = wal_look_behind(l, t);
	const int64_t since_ns = t->sampled ? t->now_ns - t->durable.time_ns : 0;
	char age[UNITS_TEXT], size[UNITS_TEXT];

	if (t->late_ns > most)
		alarms_add(&s->alarms, "'%s' lacks WAL that another tier has had for %s", t->tier->name,
		    units_duration(t->late_ns / CLOCK_MS, age));
	else if (t->based && behind > t->newest.facts.segment_size && since_ns > most &&
	    !is_heard_elsewhere(s))
		alarms_add(&s->alarms, "'%s' is %s behind, and has been so for up to %s", t->tier->name,
		    units_size(behind, size), units_duration(since_ns / CLOCK_MS, age));
}

static void
judge_silence(struct wal_status *s, const struct wal_look_tier *t)
{
	/* An archive gets bundles, when they are full or old enough and somebody copies. */
	const int64_t most = t->tier->archive ? owed_late_ns(t->tier->rpo_ms * CLOCK_MS) :
	    SILENT_TIMES * s->ship_every_ns + SILENT_NS;
	char age[UNITS_TEXT];

	if (!s->streams)
		return;
	if (!wal_beat_kept(t->tier))
		judge_late(s, t, most);
	else if (t->stray && t->now_ns - t->beat.sample.time_ns <= most)
		alarms_add(&s->alarms,
			   "what gets to '%s' is of epoch %" PRIu32 ", and epoch %" PRIu32
			   " is the active one: restart `ffdr wal stream %s`",
			   t->tier->name, t->beat.place.epoch, s->look.place.epoch,
			   s->look.w.source->bare);
	else if (!t->beaten)
		alarms_add(&s->alarms, "no sample was ever stored on '%s'", t->tier->name);
	else if (t->now_ns - t->beat.sample.time_ns > most)
		alarms_add(&s->alarms, "the newest sample on '%s' is %s old", t->tier->name,
			  units_duration((t->now_ns - t->beat.sample.time_ns) / CLOCK_MS, age));
}

static bool
is_written_down(const struct wal_status *s, const struct lsn_range *hole)
{
	for (size_t i = 0; i < s->gaps; i++)
		if (s->gap[i].gap.place.sysid == s->look.place.sysid &&
		    s->gap[i].gap.from < hole->to && s->gap[i].gap.to > hole->from)
			return true;
	return false;
}

/*
 * One that nobody can fill, that was told when it came about, and that every recovery from the
 * newest base backup begins behind, is past.
 */
static bool
matters(const struct wal_status *s, const struct wal_look_tier *t, const struct lsn_range *hole)
{
	if (hole->to > t->newest.facts.start || !is_written_down(s, hole))
		return true;
	for (size_t i = 0; i < s->look.tiers; i++)
		if (&s->look.tier[i] != t &&
		    lsn_set_has(&s->look.tier[i].have, hole->from, hole->to))
			return true;
	return false;
}

static void
judge_tier(struct wal_status *s, size_t i)
{
	const struct wal_look_tier *t = &s->look.tier[i];
	const struct wal_status_tier *more = &s->tier[i];
	char a[LSN_TEXT], b[LSN_TEXT];

	if (t->why.kind != ERR_NONE) {
		alarms_add(&s->alarms, "'%s' does not answer, how far it is is not known: %.*s",
			  t->tier->name, err_first_line(&t->why), t->why.text);
		return;
	}
	if (t->tli == 0) {
		alarms_add(&s->alarms, "'%s' has no WAL", t->tier->name);
		return;
	}
	if (t->frontier == 0)
		alarms_add(&s->alarms, "'%s' has nothing of timeline %" PRIu32 " but its history",
			   t->tier->name, t->tli);
	if (wal_look_set_back(&s->look, t))
		alarms_add(
		    &s->alarms,
		    "the server is at %s, before what '%s' has: it was set back, or is a copy",
		    lsn_text(s->look.server.flush, a), t->tier->name);
	if (!t->based)
		alarms_add(&s->alarms, "'%s' has no base backup that its WAL goes on from",
			   t->tier->name);
	for (size_t k = 0; k < more->holes.count; k++)
		if (matters(s, t, &more->holes.range[k]))
			alarms_add(&s->alarms, "'%s' lacks WAL from %s to %s", t->tier->name,
			  lsn_text(more->holes.range[k].from, a),
			  lsn_text(more->holes.range[k].to, b));
	if (more->owed > 0)
		alarms_add(&s->alarms, "%d objects are owed to '%s'", more->owed, t->tier->name);
	judge_silence(s, t);
}

static void
judge(struct wal_status *s)
{
	char a[LSN_TEXT], b[LSN_TEXT], held[UNITS_TEXT], most[UNITS_TEXT];

	judge_server(s);
	judge_archiver(s);
	for (size_t i = 0; i < s->slots; i++)
		judge_slot(s, &s->slot[i]);
	judge_shipper(s);
	for (size_t i = 0; i < s->look.tiers; i++)
		judge_tier(s, i);
	for (size_t i = 0; i < s->gaps; i++)
		if (s->gap[i].open)
			alarms_add(&s->alarms,
				  "WAL of timeline %" PRIu32
				  " from %s to %s is lost: a base backup made now begins behind it",
				  s->gap[i].gap.tli, lsn_text(s->gap[i].gap.from, a),
				  s->gap[i].gap.to == UINT64_MAX ? "an unknown place"
								 : lsn_text(s->gap[i].gap.to, b));
	if (s->gaps_why.kind != ERR_NONE && s->gaps_why.kind != ERR_REMOTE)
		alarms_add(&s->alarms, "the records of gaps: %.*s", err_first_line(&s->gaps_why),
			  s->gaps_why.text);
	if (s->spool_why.kind != ERR_NONE)
		alarms_add(&s->alarms, "the spool: %.*s", err_first_line(&s->spool_why),
			   s->spool_why.text);
	if (s->spool_room < ROOM_LEAST)
		alarms_add(&s->alarms,
			   "the disk of the spool '%s' is full, %s are left: receiving waits until "
			   "there is room", s->look.w.spool_path, units_size(s->spool_room, held));
	if (s->spooled > s->backlog)
		alarms_add(&s->alarms,
			   "the spool holds %s, more than backlog = %s: receiving waits",
			   units_size(s->spooled, held), units_size(s->backlog, most));
}

int
wal_status_load(struct session *s, const struct conf_source *source, const struct watch *w,
		struct wal_status *ret, struct err *e)
{
	*ret = (struct wal_status){
		.streams = strcmp(source->postgres->wal_from, "stream") == 0,
		.ship_every_ns = source->postgres->ship_every * CLOCK_MS,
	};
	if (wal_look_load(s, source, w, &ret->look, e) == -1)
		return -1;
	load_slots(ret);
	load_lease(ret, s->conf);
	load_spool(ret);
	load_tiers(ret, s);
	load_gaps(ret, s);
	judge(ret);
	return 0;
}

void
wal_status_done(struct wal_status *s)
{
	for (size_t i = 0; i < s->look.tiers; i++)
		lsn_set_done(&s->tier[i].holes);
	alarms_done(&s->alarms);
	free(s->slot);
	free(s->gap);
	wal_look_done(&s->look);
	*s = (struct wal_status){ 0 };
}
