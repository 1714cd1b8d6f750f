/*
 * After a promotion somebody changes conninfo, and the receiver must not go on with a server that is
 * the database no longer. So the file is read again before each connection, and every few seconds
 * while one lives: all of it, since a key may stand in conf.d, and time stamps of a second, or of a
 * file server, miss a change; it is a matter of a millisecond.
 *
 * Of what was read conninfo alone counts; for the rest the service is started again. A file that
 * cannot be read, or is half written, changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "job/wal_stream_parts.h"

#define LOOK_NS (5 * CLOCK_S)

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
		    (int)strcspn(why->text, "\n"), why->text);
	s->conf_unread = true;
}

/* Next time it is told where we came out. */
static void
take(struct stream *s, char *conninfo)
{
	free(s->conninfo);
	s->conninfo = conninfo;
	s->turned = true;
	s->greeted = false;
	s->pause_ns = 0;
	wal_stream_event(s, "changed", "conninfo was changed: receiving goes on from where it leads now");
}

void
wal_stream_conf_read(struct stream *s)
{
	struct err why = { 0 };
	char *now;

	s->conf_boot_ns = clock_boot_ns() + LOOK_NS;
	if (!s->o->config || !(now = read_conninfo(s, &why))) {
		if (s->o->config)
			tell_unread(s, &why);
		return;
	}
	s->conf_unread = false;
	if (strcmp(now, s->conninfo) == 0)
		free(now);
	else
		take(s, now);
}

void
wal_stream_conf_look(struct stream *s)
{
	if (clock_boot_ns() >= s->conf_boot_ns)
		wal_stream_conf_read(s);
}
