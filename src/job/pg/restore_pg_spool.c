/*
 * A receiver that died with its server leaves WAL that no tier has. A restore on its host counts it
 * in. The recovery asks for it later, as a user who may not read the spool, and maybe when the spool
 * is gone: so the files, which are sealed, go along into the restored directory, and restore_command
 * is told of them. A new epoch needs more than that: who restores it elsewhere needs the WAL before
 * it, so it goes to the tiers first.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "job/pg/restore_pg.h"
#include "job/wal/wal_unspool.h"

bool
restore_pg_spooled(const struct restore_pg *r, uint64_t *from)
{
	const uint64_t until = r->o->standby ? UINT64_MAX : r->plan.until;
	bool yes = false;

	for (size_t i = 0; i < r->world.spooleds; i++) {
		const struct pg_world_spooled *s = &r->world.spooled[i];

		if (s->to > r->report->database.start && s->from < until) {
			*from = yes && *from < s->from ? *from : s->from;
			yes = true;
		}
	}
	return yes;
}

bool
restore_pg_carries(const struct restore_pg *r)
{
	uint64_t from;

	return !r->o->adopt && restore_pg_spooled(r, &from);
}

int
restore_pg_spool_copy(struct restore_pg *r, struct err *e)
{
	char *into = xasprintf("%s/" RESTORE_PG_SPOOL, r->report->to);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->world.spooleds && restore_pg_carries(r); i++) {
		const struct pg_world_spooled *s = &r->world.spooled[i];

		rc = spool_dir_copy(&r->world.spool, r->world.place.sysid, s->tli, s->from, s->to,
		    into, e);
	}
	free(into);
	return rc;
}

static bool
stopped(void *arg)
{
	const struct restore_pg *r = arg;

	return r->run.watch->stop(r->run.watch->arg);
}

int
restore_pg_spool_ship(struct restore_pg *r, struct err *e)
{
	char host[256];
	struct wal_unspool o = {
		.repo = r->run.session->repo,
		.tier = r->world.tier,
		.tiers = r->world.tiers,
		.spool = r->world.spool,
		.place = r->world.place,
		.segment_size = (uint32_t)r->world.segment_size,
		.host = host,
		.stop = stopped,
		.arg = r,
	};
	struct spool_dir_files files = { 0 };
	int rc = spool_dir_list(&o.spool, &files, e);

	wal_source_host(host);
	o.place.epoch = 0;
	for (size_t i = 0; rc == 0 && i < files.count; i++) {
		const struct spool_dir_file *f = &files.file[i];

		/* They are in order. */
		if (f->sysid != o.place.sysid || f->epoch == o.place.epoch ||
		    f->epoch > r->world.place.epoch)
			continue;
		o.place.epoch = f->epoch;
		rc = wal_unspool(&o, e);
	}
	spool_dir_done(&files);
	return rc;
}
