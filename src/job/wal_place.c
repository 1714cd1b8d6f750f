/*
 * Pinning is a compare and swap, so of two who come first at once one makes the entry and both use
 * it.
 */
#include "job/wal_place.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "coord/active.h"

#define TRIES 8 /* somebody else may write in between, but not for ever */

static void
place_of(const char *source, const struct active *a, struct wal_place *ret)
{
	*ret = (struct wal_place){ .sysid = a->sysid, .epoch = a->epoch };
	snprintf(ret->source, sizeof(ret->source), "%s", source);
}

static int
refuse(const char *source, const struct active *a, uint64_t sysid, struct err *e)
{
	err_set(e, ERR_STALE, "the server is not the one whose WAL is kept as %s", source);
	err_line(e, "checked", "system identifier %" PRIu64 ", expected %" PRIu64, sysid, a->sysid);
	return err_line(e, "fix",
	    "if the database was made anew or upgraded: `ffdr backup --new-system %s`", source);
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

int
wal_place_pin(struct coord *c, const char *source, const struct wal_place_server *server,
    bool adopt, struct wal_place *ret, struct err *e)
{
	struct active a;
	int got, set = 0;

	for (int i = 0; i < TRIES && set == 0; i++) {
		got = active_get(c, source, &a, e);
		if (got == -1)
			return -1;
		if (got == 1 && a.sysid == server->sysid) {
			place_of(source, &a, ret);
			return 0;
		}
		if (got == 1 && !adopt)
			return refuse(source, &a, server->sysid, e);
		a.sysid = server->sysid;
		a.tli = server->tli;
		a.fork_lsn = 0;
		snprintf(a.site, sizeof(a.site), "%s",
		    server->site && *server->site ? server->site : "-");
		if (active_epoch_raise(c, &a.epoch, e) == -1)
			return -1;
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
