/*
 * Nothing says for sure that a host is gone for ever, only a person does. What speaks against it is
 * asked first: a lease that is renewed, a connection that streams. A place that does not answer is
 * no proof of absence, so then nothing is dropped either.
 */
#include "job/wal/wal_forget.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "coord/lease.h"
#include "job/wal/wal_source.h"
#include "job/wal/wal_status.h"

static bool
stopped(void *arg)
{
	const struct watch *w = arg;

	return w->stop(w->arg);
}

/* Does that host ship the WAL now? */
static int
refuse_holder(const struct session *s, const struct wal_source *w, const char *host, struct err *e)
{
	const struct lease_times times = { s->conf->coord_ttl, s->conf->coord_skew };
	char *name = xasprintf("lease/wal/%s", w->source->name);
	struct lease_text text;
	int got = lease_look(w->coord, name, &times, &text, e);

	free(name);
	if (got == -1)
		return err_in(e, "whether '%s' still ships the WAL of %s is not known", host,
			      w->source->name);
	if (got == 0 || strcasecmp(text.host, host) != 0)
		return 0;
	err_set(e, ERR_REFUSED, "'%s' is not gone: it ships the WAL of %s", host, w->source->name);
	return err_line(e, "fix", "stop `ffdr wal stream` there first");
}

/* Where all hosts stream from one slot, none of them has one to be forgotten. */
static int
find_slot(const struct conf_source *source, const struct wal_source *w, const char *host,
	  char slot[PG_SLOT_NAME], struct err *e)
{
	char own[CONF_SLOT];

	if (conf_postgres_slot(source->postgres, host, slot, e) == -1 ||
	    conf_postgres_slot(source->postgres, w->host, own, e) == -1)
		return -1;
	if (strcmp(slot, own) != 0 || strcasecmp(host, w->host) == 0)
		return 0;
	err_set(e, ERR_REFUSED, "'%s' is the slot of this host as well as of '%s'", slot, host);
	return err_line(
	    e, "fix",
	    "replication-slot in [postgres %s] needs a %%H, so that each host has its own",
	    source->bare);
}

static int
no_such_slot(struct pg_conn *c, const char *slot, const char *host, struct err *e)
{
	struct wal_status_slot *list = NULL;
	struct buf names;
	size_t count = 0;

	buf_init(&names, 512);
	if (wal_status_slots(c, slot, &list, &count, e) == 0)
		for (size_t i = 0; i < count; i++)
			if (list[i].there && list[i].role == WAL_STATUS_OTHER)
				buf_addf(&names, "%s%s", names.len > 0 ? ", " : "", list[i].name);
	err_set(e, ERR_NOTFOUND, "the server has no slot '%s' for host '%s'", slot, host);
	err_line(e, "there", "%s", names.len > 0 ? buf_str(&names) : "no slot of another host");
	buf_done(&names);
	free(list);
	return -1;
}

static int
drop(struct pg_conn *c, const char *host, bool dry_run, struct wal_forget_report *ret,
     struct err *e)
{
	struct pg_slot slot;
	int got = pg_slot_read(c, ret->slot, &slot, e);

	if (got == -1)
		return -1;
	if (got == 0)
		return no_such_slot(c, ret->slot, host, e);
	ret->behind = slot.behind;
	if (slot.active) {
		err_set(
		    e, ERR_REFUSED,
		    "'%s' is not gone: its slot '%s' is streamed from, by process %d of the server",
		    host, ret->slot, slot.active_pid);
		return err_line(e, "fix", "stop `ffdr wal stream` there first");
	}
	if (dry_run)
		return 0;
	got = pg_slot_drop(c, ret->slot, e);
	ret->dropped = got == 1;
	return got == -1 ? -1 : 0;
}

int
wal_forget_run(struct session *s, const struct conf_source *source, const char *host, bool dry_run,
	       const struct watch *w, struct wal_forget_report *ret, struct err *e)
{
	const struct pg_conn_options o = { .conninfo = source->postgres->conninfo,
					   .stop = stopped,
					   .arg = (struct watch *)w };
	struct pg_conn *c = NULL;
	struct wal_source ws;
	int rc = -1;

	*ret = (struct wal_forget_report){ 0 };
	if (wal_source_open(s, source, &ws, e) == 0 &&
	    find_slot(source, &ws, host, ret->slot, e) == 0 &&
	    refuse_holder(s, &ws, host, e) == 0 && pg_conn_open(&o, &c, e) == 0)
		rc = drop(c, host, dry_run, ret, e);
	pg_conn_free(c);
	wal_source_done(&ws);
	return rc;
}
