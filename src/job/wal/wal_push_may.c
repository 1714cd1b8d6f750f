/*
 * A clone, a drill, a primary that somebody has taken over from: each has the right system id and
 * pushes what has the right form. Stored, it would be taken for the database's own, by restores (a
 * newer timeline leads) or by the true server's archiver (the name is taken). So all that a number
 * can tell is compared first, and who is left is asked for by wal_pusher.h.
 *
 * What cannot be found out must not stop a server's archiver: its disk would fill. A file whose
 * pusher cannot be told is taken, with a warning, and changes nothing about who is active.
 */
#include "job/wal/wal_push_may.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "job/wal/wal_place.h"
#include "job/wal/wal_push_same.h"
#include "job/wal/wal_pusher.h"
#include "repo/walread.h"
#include "source/pg/pg_history.h"
#include "source/pg/pg_walrecord.h"

#define SEGMENT_MOST (1u << 30)

struct may {
	struct repo *repo;
	const struct wal_push_options *o;
	const struct wal_push_file *f;
	uint32_t tli;	   /* the active one */
	uint64_t fork_lsn; /* where its epoch began */
	struct wal_pusher pusher;
	bool quiet; /* it was said before that nothing can be told */
};

static int
stale(const struct may *m, const char *what, struct err *e)
{
	err_set(e, ERR_STALE, "stale epoch: %s is not of the active timeline", m->f->name);
	err_line(e, "checked",
	    "timeline %" PRIu32 " %s; timeline %" PRIu32 " of epoch %" PRIu32 " is active",
	    m->f->what.timeline, what, m->tli, m->o->place.epoch);
	return err_line(e, "fix",
	    "this server is not the primary any more, or a copy: turn its archive_command off");
}

/* ---- histories ---- */

/* The one of the file's own timeline, as the server has it: 1, 0 there is none, -1. */
static int
beside(const struct may *m, struct pg_history *h, struct err *e)
{
	const uint32_t tli = m->f->what.timeline;
	const size_t dir = strlen(m->f->path) - strlen(m->f->name);
	char name[PG_WALNAME_TEXT], *path;
	struct err why = { 0 };
	struct buf text;
	int got = 1;

	path = xasprintf("%.*s%s", (int)dir, m->f->path, pg_walname_history(tli, name));
	pg_history_init(h, tli);
	buf_init(&text, PG_HISTORY_MAX);
	if (file_get(AT_FDCWD, path, &text, &why) == -1)
		got = m->f->what.kind == PG_WALNAME_HISTORY ? -1 : 0;
	if (got == -1)
		*e = why;
	else if (got == 1 && pg_history_parse(tli, buf_str(&text), text.len, h, e) == -1)
		got = err_in(e, "'%s'", path);
	buf_done(&text);
	free(path);
	return got;
}

/* That of the archive. */
static int
archived(const struct may *m, uint32_t tli, struct pg_history *h, struct err *e)
{
	const struct walread_options ro = {
		.repo = m->repo, .tier = m->o->tier, .tiers = m->o->tiers, .place = m->o->place
	};
	struct walread *r = NULL;
	struct buf text;
	int got;

	pg_history_init(h, tli);
	if (tli == 1)
		return 1;
	buf_init(&text, PG_HISTORY_MAX);
	got = walread_new(&ro, &r, e) == -1 ? -1 : walread_history(r, tli, &text, e);
	if (got == 1 && pg_history_parse(tli, buf_str(&text), text.len, h, e) == -1)
		got = -1;
	walread_free(r);
	buf_done(&text);
	return got;
}

/* Two of one timeline, or of one and of an ancestor. */
static int
agree(const struct may *m, const struct pg_history *h, const struct pg_history *old, struct err *e)
{
	return pg_history_extends(h, old) ? 0 : stale(m, "has another history", e);
}

/* ---- by numbers ---- */

/* Is all of that segment here already? Then it is no news, whoever pushes it. 1, 0, -1. */
static int
is_here(const struct may *m, const struct buf *file, struct err *e)
{
	const struct walread_options ro = {
		.repo = m->repo, .tier = m->o->tier, .tiers = m->o->tiers, .place = m->o->place
	};
	struct walread *r = NULL;
	struct buf here;
	uint64_t until;
	int got;

	buf_init(&here, SEGMENT_MOST);
	got = walread_new(&ro, &r, e);
	if (got == 0)
		got = walread_segment(
		    r, m->f->what.timeline, m->f->start, file->len, &here, &until, e);
	/* Damaged, or with a hole: it is not here as it should be, and that is an answer. */
	if (got == -1 && e->kind == ERR_CORRUPT)
		got = 0;
	if (got == 1)
		got = memcmp(here.data, file->data, file->len) == 0;
	walread_free(r);
	buf_done(&here);
	return got;
}

struct goes {
	uint64_t to, end;
	bool on;
};

static int
see_record(void *arg, const struct pg_walrecord *r, struct err *e)
{
	struct goes *g = arg;

	(void)e;
	g->on = r->start >= g->to;
	g->end = r->end;
	return g->on;
}

/* Does the log in that segment end there, whatever stands behind it? */
static bool
ends_at(const struct may *m, const struct buf *file, uint64_t to)
{
	const struct pg_walrecord_options o = { .lsn = m->f->start, .seg_size = file->len,
		.sysid = m->o->place.sysid };
	struct goes g = { .to = to };
	struct pg_walrecords *w = pg_walrecord_new(&o, see_record, &g);

	(void)!pg_walrecord_feed(w, file->data, file->len, NULL);
	pg_walrecord_free(w);
	return !g.on && g.end >= to;
}

/*
 * The segment in which it was left: a server that archives it whole wrote it to its end, so it went on
 * where the active one did not come from. But a standby (`archive_mode = always`) archives it as far as
 * it was sent, when it follows to the next timeline. That segment of the next one begins with the same
 * bytes, so nobody needs it, and an archiver that is refused would stand still for ever: 1.
 */
static int
check_last(const struct may *m, uint64_t to, struct err *e)
{
	struct err why = { 0 };
	struct buf file;
	int rc = 0, here;

	if (m->f->what.kind != PG_WALNAME_SEGMENT)
		return 0;
	buf_init(&file, SEGMENT_MOST);
	if (file_get(AT_FDCWD, m->f->path, &file, e) == -1) {
		rc = -1;
	} else if (to < m->f->start + file.len) {
		here = is_here(m, &file, &why);
		if (here == 0 && ends_at(m, &file, to))
			rc = 1;
		else if (here == 0)
			rc = stale(m, "was left within that segment", e);
		if (here == -1) {
			*e = why;
			rc = -1;
		}
	}
	buf_done(&file);
	return rc;
}

/* An older one counts up to where it was left. */
static int
check_older(const struct may *m, struct err *e)
{
	struct pg_history active, own;
	uint64_t from, to;
	int rc = archived(m, m->tli, &active, e);

	pg_history_init(&own, m->f->what.timeline);
	if (rc == 0)
		rc = stale(m, "is older, and the history of the active one is not known", e);
	else if (rc == 1)
		rc = !pg_history_span(&active, own.timeline, &from, &to) || m->f->start >= to ?
		    stale(m, "was left before that segment", e) :
		    check_last(m, to, e);
	if (rc == 0 && m->f->what.kind == PG_WALNAME_HISTORY)
		rc = beside(m, &own, e) == -1 ? -1 : agree(m, &active, &own, e);
	pg_history_done(&own);
	pg_history_done(&active);
	return rc;
}

/* What the archive says of that timeline, where it says anything. */
static int
check_same(const struct may *m, struct err *e)
{
	struct pg_history own, known;
	int rc = 0, got;

	if (m->f->what.timeline == 1)
		return 0;
	pg_history_init(&known, m->f->what.timeline);
	got = beside(m, &own, e);
	if (got == 1) {
		got = archived(m, m->f->what.timeline, &known, e);
		if (got == 1)
			rc = agree(m, &known, &own, e);
	}
	pg_history_done(&known);
	pg_history_done(&own);
	return got == -1 ? -1 : rc;
}

/* It descends from the active one, behind the point where the epoch began. */
static int
check_newer(const struct may *m, struct err *e)
{
	const uint32_t tli = m->f->what.timeline;
	struct pg_history h;
	uint64_t from, to;
	int rc = beside(m, &h, e);

	if (rc == 0)
		rc = archived(m, tli, &h, e);
	if (rc == 0)
		rc = stale(m, "has no history that is known", e);
	else if (rc == 1 && !pg_history_span(&h, m->tli, &from, &to))
		rc = stale(m, "does not descend from it", e);
	else if (rc == 1 && m->fork_lsn > to)
		rc = stale(m, "left it before this epoch began", e);
	pg_history_done(&h);
	return rc == -1 ? -1 : check_same(m, e);
}

/* ---- by asking ---- */

/* It is taken as it is: said once. */
static int
cannot_tell(const struct may *m, const char *why)
{
	const uint32_t tli = m->f->what.timeline;
	char *text;

	wal_pusher_keep(&m->pusher, m->o->state, &m->o->place, tli, m->o->conninfo,
	    WAL_PUSHER_UNSEEN);
	if (m->quiet)
		return 0;
	if (tli > m->tli)
		text = xasprintf("whether timeline %" PRIu32 " is the database's cannot be told, and "
		    "timeline %" PRIu32 " stays the active one, which restores follow: %.*s", tli,
		    m->tli, (int)strcspn(why, "\n"), why);
	else
		text = xasprintf("whether a copy of the server pushes this cannot be told: %.*s",
		    (int)strcspn(why, "\n"), why);
	m->o->watch->event(m->o->watch->arg, "warning", text);
	free(text);
	return 0;
}

/* The server behind conninfo is on a newer timeline than the active one: so that becomes active. */
static int
move_on(struct may *m, const struct wal_pusher_server *s, struct err *e)
{
	const struct pg_conn_options co = { .conninfo = m->o->conninfo, .replication = true };
	const struct wal_place_archive archive = { m->repo, m->o->tier, m->o->tiers };
	struct wal_place_server server = { 0 };
	struct pg_conn *c = NULL;
	struct wal_place place;
	struct pg_history own;
	int rc = 0, got;

	pg_history_init(&own, m->f->what.timeline);
	if (pg_conn_open(&co, &c, e) == -1 || wal_place_server(c, &s->id, &server, e) == -1) {
		rc = -1;
		goto out;
	}
	got = m->f->what.timeline == 1 ? 1 : beside(m, &own, e);
	if (got == -1)
		rc = -1;
	else if (got == 1 && m->f->what.timeline > m->tli)
		rc = agree(m, &server.history, &own, e);
	if (rc == 0)
		rc = wal_place_pin(m->o->coord, m->o->place.source, m->o->site, &server, &archive,
		    false, &place, e);
	if (rc == 0)
		m->tli = s->id.tli;
out:
	pg_history_done(&own);
	wal_place_server_done(&server);
	pg_conn_free(c);
	return rc;
}

/* Of a standby: what it pushes must be in the log of the server that conninfo leads to. */
static int
check_replayed(const struct may *m, const struct wal_pusher_server *s, struct err *e)
{
	struct err why = { 0 };
	char *name = NULL;
	int same = wal_push_same(m->o, m->f, &s->id, &name, &why), rc = 0;

	if (same == -1 && why.kind == ERR_NOTFOUND) {
		rc = err_set(e, ERR_REMOTE, "%s cannot be compared: the server behind conninfo has "
		    "removed it, and this standby has no newer WAL yet that it has, too", m->f->name);
		err_line(e, "checked", "conninfo leads to %s", s->place);
		err_line(e, "fix", "nothing, if this standby follows that server: it is tried again, and "
		    "is proved by the WAL that comes next");
	} else if (same == -1) {
		rc = cannot_tell(m, why.text);
	} else if (same == 0) {
		rc = err_set(e, ERR_STALE, "stale epoch: %s is not what the server behind conninfo "
		    "wrote: this standby follows another one", name ? name : m->f->name);
		err_line(e, "checked", "conninfo leads to %s", s->place);
		err_line(e, "fix", "on a copy of a standby: archive_mode = off");
	}
	free(name);
	return rc;
}

static int
compare(struct may *m, struct wal_pusher_server *s, struct err *e)
{
	const uint32_t tli = m->f->what.timeline;
	int is;

	if (s->id.tli > m->tli && move_on(m, s, e) == -1)
		return -1;
	if (tli > m->tli) {
		stale(m, "is not known to the server that conninfo leads to", e);
		return err_line(e, "fix", "let conninfo lead to this server, if it is the database now");
	}
	if (tli < m->tli)
		return check_older(m, e);
	if (m->pusher.replays)
		return m->f->what.kind == PG_WALNAME_SEGMENT ? check_replayed(m, s, e) : 0;
	is = wal_pusher_is(&m->pusher, s, m->f->path, e);
	if (is == 1)
		wal_pusher_keep(&m->pusher, m->o->state, &m->o->place, tli, m->o->conninfo,
		    WAL_PUSHER_SAME);
	return is == 1 ? 0 : -1;
}

static int
ask(struct may *m, struct err *e)
{
	struct wal_pusher_server s;
	struct err why = { 0 };
	int rc;

	if (wal_pusher_ask(m->o->conninfo, &s, &why) == -1)
		rc = cannot_tell(m, why.text);
	else if (s.id.standby)
		rc = cannot_tell(m, "conninfo leads to a standby");
	else if (s.id.sysid == m->o->place.sysid && s.id.tli < m->tli)
		rc = cannot_tell(m, "conninfo leads to a primary of before");
	else
		rc = compare(m, &s, e);
	wal_pusher_server_done(&s);
	return rc;
}

int
wal_push_may(struct repo *repo, const struct wal_push_options *o, const struct wal_push_file *f,
    struct err *e)
{
	const bool history = f->what.kind == PG_WALNAME_HISTORY;
	struct may m = { .repo = repo, .o = o, .f = f, .tli = o->tli, .fork_lsn = o->fork_lsn };
	enum wal_pusher_found found;
	bool again;
	int rc;

	if (f->what.timeline < m.tli)
		return check_older(&m, e);
	wal_pusher_read(f->path, &m.pusher);
	if (m.pusher.sysid && m.pusher.sysid != o->place.sysid)
		return err_set(e, ERR_REFUSED,
		    "'%s' is of system %" PRIu64 ", the WAL of %s is that of system %" PRIu64,
		    f->path, m.pusher.sysid, o->place.source, o->place.sysid);
	found = wal_pusher_recall(
	    &m.pusher, o->state, &o->place, f->what.timeline, o->conninfo, &again);
	if (found == WAL_PUSHER_SAME && !history)
		return 0;
	rc = f->what.timeline > m.tli ? check_newer(&m, e) : check_same(&m, e);
	if (rc == -1 || found == WAL_PUSHER_SAME || (found == WAL_PUSHER_UNSEEN && !again))
		return rc;
	if (f->what.timeline == m.tli &&
	    (!m.pusher.lives || (m.pusher.replays && f->what.kind != PG_WALNAME_SEGMENT)))
		return 0;
	m.quiet = found == WAL_PUSHER_UNSEEN;
	return ask(&m, e);
}
