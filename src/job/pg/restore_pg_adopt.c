/*
 * The restored database becomes the one that is protected: its WAL goes into a new epoch, which
 * takes over what lies before the end of the recovery, and the server that was active before cannot
 * add to it any more. First the tiers know where the epoch comes from, then it becomes the active
 * one; so nobody ever writes into an epoch whose past is not known.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "coord/active.h"
#include "job/pg/restore_pg.h"
#include "repo/wal_lineage.h"

#define TIMELINES_MOST 4096

/* The number the server will take: the first one above its own that nobody has a history of. */
static int
next_timeline(struct restore_pg *r, uint32_t *ret, struct err *e)
{
	struct buf text;
	int got = 1;

	buf_init(&text, PG_HISTORY_MAX);
	*ret = r->plan.timeline;
	for (int i = 0; i < TIMELINES_MOST && got == 1; i++) {
		buf_reset(&text);
		got = walread_history(r->world.read, ++*ret, &text, e);
	}
	buf_done(&text);
	return got == -1 ? -1 : 0;
}

static int
note_from(struct restore_pg *r, uint32_t epoch, uint64_t fork, struct err *e)
{
	struct wal_place at = r->world.place;
	struct wal_from from = { .parent = at.epoch,
		.tli = r->plan.timeline,
		.fork = fork,
		.reason = "restore --adopt" };
	size_t noted = 0;
	struct err why = { 0 };

	at.epoch = epoch;
	for (size_t i = 0; i < r->world.tiers; i++) {
		if (wal_lineage_put_from(
			r->run.session->repo, r->world.tier[i]->store, &at, &from, &why) != -1)
			noted++;
		else
			run_warn(r, why.text);
	}
	if (noted == 0)
		*e = why;
	return noted > 0 ? 0 : err_in(e, "the new epoch of %s", r->source);
}

int
restore_pg_adopt(struct restore_pg *r, struct err *e)
{
	const struct conf *c = r->run.session->conf;
	const struct conf_source *source = NULL;
	struct coord *coord = NULL;
	struct active a = { 0 };
	uint64_t fork;
	int rc = -1, set;

	if (pg_world_end(&r->world, &r->plan, &fork, e) == -1 ||
	    coord_open(c->coord_place, &coord, e) == -1 ||
	    active_get(coord, r->source, &a, e) == -1 ||
	    active_epoch_raise(coord, &a.epoch, e) == -1)
		goto out;
	/* A coordination place that was made anew counts from the beginning; the tiers know better.
	 */
	while (a.epoch <= r->world.place.epoch)
		if (active_epoch_raise(coord, &a.epoch, e) == -1)
			goto out;
	a.sysid = r->world.place.sysid;
	a.fork_lsn = fork;
	if (next_timeline(r, &a.tli, e) == -1 || note_from(r, a.epoch, fork, e) == -1)
		goto out;
	conf_find_source(c, r->source, &source, NULL);
	snprintf(a.site, sizeof(a.site), "%s",
	    source && source->site && *source->site ? source->site : "-");
	set = active_set(coord, r->source, &a, e);
	if (set == 0)
		err_set(e, ERR_BUSY,
		    "somebody else made another server the active one of %s meanwhile", r->source);
	if (set != 1)
		goto out;
	restore_kind_tell(r->report, "adopted",
	    "epoch %" PRIu32 " of %s begins with this server, on timeline %" PRIu32, a.epoch,
	    r->source, a.tli);
	restore_kind_fact(r->report, true, "epoch", "%" PRIu32, a.epoch);
	rc = 0;
out:
	coord_close(coord);
	return rc;
}
