/*
 * After a promotion somebody changes conninfo, and the receiver must not go on with a server that is
 * the database no longer. So the file is read again before each connection, and every few seconds
 * while one lives: all of it, since a key may stand in conf.d, and time stamps of a second, or of a
 * file server, miss a change; it is a matter of a millisecond.
 *
 * Of what was read conninfo alone counts; for the rest the service is started again. A file that
 * cannot be read, or is half written, changes nothing. Neither does a conninfo that cannot be used:
 * a slip of the pen must not end what a database may wait for. So where it leads is looked at before
 * the connection that lives is left, and again later, since a server may just be starting; and one
 * that is found out only afterwards is left again for the one of before. That is tried again, too: on
 * the server that took over somebody may have to free a slot first. It costs the connection that
 * lives, so it is done soon only while there is none. With a conninfo that is wrong from the start
 * nothing was ever well, and the service ends as it says.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "job/wal/wal_stream_parts.h"

#define LOOK_NS (5 * CLOCK_S)
#define TRY_S 3	   /* to connect: nothing is received meanwhile */
#define TRY_PART 10 /* of the time at most goes into trying */
#define SOON_NS (15 * CLOCK_S) /* one that was found out is used again, with nothing to lose; else: */
#define BACK_FIRST_NS (60 * CLOCK_S)
#define BACK_MOST_NS (3600 * CLOCK_S)

/* What the file says now; NULL: it cannot be told. The caller frees. */
static char *
read_conninfo(const struct stream *s, struct err *e)
{
	const struct conf_source *source;
	struct conf *c = NULL;
	char *ret = NULL;

	if (conf_load(s->o->config, &c, e) == 0 &&
	    conf_find_source(c, s->o->source, &source, e) == 0 && source->postgres)
		ret = xstrdup(source->postgres->conninfo);
	conf_free(c);
	return ret;
}

static void
tell_unread(struct stream *s, const struct err *why)
{
	if (!s->conf_unread)
		wal_stream_event(s, "warning",
		    "the configuration cannot be read again, receiving goes on as before: %.*s",
		    err_first_line(why), why->text);
	s->conf_unread = true;
}

/* Is it a way to the server of this WAL? */
static int
leads_there(struct stream *s, const char *conninfo, struct err *e)
{
	struct pg_conn_options o = { .conninfo = conninfo, .timeout_s = TRY_S,
		.stop = s->watch->stop, .arg = s->watch->arg };
	struct wal_place place = s->place, now;
	struct pg_conn *sql = NULL, *c = NULL;
	struct pg_identity id;
	int rc = 0;

	if (wal_place_get(s->o->coord, s->o->source, &now, NULL) == 1)
		place = now;
	if (pg_conn_open(&o, &sql, e) == -1 || pg_conn_identify(sql, &id, e) == -1)
		rc = -1;
	else if (id.standby)
		rc = err_set(e, ERR_REMOTE, "it leads to a standby");
	else if (place.sysid && id.sysid != place.sysid)
		rc = err_set(e, ERR_STALE, "it leads to system %" PRIu64 ", the WAL of %s is that of "
		    "system %" PRIu64, id.sysid, s->o->source, place.sysid);
	o.replication = true;
	if (rc == 0)
		rc = pg_conn_open(&o, &c, e);
	pg_conn_free(c);
	pg_conn_free(sql);
	return rc;
}

static void
forget_refused(struct stream *s)
{
	free(s->refused);
	s->refused = NULL;
	s->back_ns = 0;
}

/* Told once each; s->refused becomes that text. */
static void
refuse(struct stream *s, char *conninfo, const struct err *why)
{
	if (!s->refused || strcmp(s->refused, conninfo) != 0) {
		wal_stream_event(s, "warning",
		    "the new conninfo cannot be used, receiving goes on with the one of before: %.*s",
		    err_first_line(why), why->text);
		s->back_ns = 0;
	}
	free(s->refused);
	s->refused = conninfo;
}

/* Next time it is told where we came out. One that was found out before says nothing until it is well. */
static void
take(struct stream *s, char *conninfo)
{
	const bool known = s->refused && strcmp(s->refused, conninfo) == 0;

	free(s->former);
	s->former = s->conninfo;
	s->conninfo = conninfo;
	s->turned = true;
	s->greeted = false;
	s->pause_ns = 0;
	if (known)
		return;
	forget_refused(s);
	wal_stream_event(s, "changed", "conninfo was changed: receiving goes on from where it leads now");
}

/* Another than the one in use. It is ours to free. */
static void
consider(struct stream *s, char *now)
{
	const bool known = s->refused && strcmp(now, s->refused) == 0;
	const int64_t begun = clock_boot_ns();
	struct err why = { 0 };

	if (known && begun < (s->failed ? s->soon_boot_ns : s->try_boot_ns)) {
		free(now);
		return;
	}
	if (leads_there(s, now, &why) == 0)
		take(s, now);
	else
		refuse(s, now, &why);
	s->try_boot_ns = clock_boot_ns() + (clock_boot_ns() - begun) * TRY_PART;
	s->soon_boot_ns = s->try_boot_ns;
}

bool
wal_stream_conf_back(struct stream *s, const struct err *why)
{
	if (!s->former || why->kind == ERR_REMOTE || why->kind == ERR_BUSY || why->kind == ERR_CANCELLED)
		return false;
	refuse(s, s->conninfo, why);
	s->back_ns = s->back_ns ? s->back_ns * 2 : BACK_FIRST_NS;
	if (s->back_ns > BACK_MOST_NS)
		s->back_ns = BACK_MOST_NS;
	s->try_boot_ns = clock_boot_ns() + s->back_ns;
	s->soon_boot_ns = clock_boot_ns() + SOON_NS;
	s->conninfo = s->former;
	s->former = NULL;
	return true;
}

bool
wal_stream_conf_waits(const struct stream *s, const struct err *why)
{
	return s->refused && !s->former &&
	    (why->kind == ERR_STALE || why->kind == ERR_UNSUPPORTED || why->kind == ERR_CONFIG);
}

void
wal_stream_conf_good(struct stream *s)
{
	free(s->former);
	s->former = NULL;
	if (s->refused && strcmp(s->refused, s->conninfo) == 0)
		forget_refused(s);
}

void
wal_stream_conf_end(struct stream *s)
{
	free(s->conninfo);
	free(s->former);
	free(s->refused);
}

void
wal_stream_conf_read(struct stream *s)
{
	struct err why = { 0 };
	char *now;

	if (!s->o->config || !(now = read_conninfo(s, &why))) {
		if (s->o->config)
			tell_unread(s, &why);
	} else if (strcmp(now, s->conninfo) == 0) {
		free(now);
		if (!s->former)
			forget_refused(s);
		s->conf_unread = false;
	} else {
		s->conf_unread = false;
		consider(s, now);
	}
	s->conf_boot_ns = clock_boot_ns() + LOOK_NS;
}

void
wal_stream_conf_look(struct stream *s)
{
	if (clock_boot_ns() >= s->conf_boot_ns)
		wal_stream_conf_read(s);
}
