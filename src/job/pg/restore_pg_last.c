/*
 * No server starts without global/pg_control, and one with it starts whatever else is missing: without
 * backup_label it recovers from the wrong place, without the signal file it does not recover at all,
 * and neither tells. So pg_control goes before anything is written and comes when all of the rest is
 * there and on disk, by a rename, which a cut leaves done or not done. Until then it has a name that
 * no server looks for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "job/pg/restore_pg.h"
#include "source/pg/pg_control.h"
#include "source/pg/pg_label.h"
#include "source/tree.h"

#define STAGE ".ffdr-restore"
#define WAITING "global/.ffdr-pg_control"

static char *
in_target(const struct restore_pg *r, const char *name)
{
	return xasprintf("%s/%s", r->report->to, name);
}

static int
take_away(const struct restore_pg *r, const char *name, struct err *e)
{
	char *path = in_target(r, name);
	int rc = file_del(AT_FDCWD, path, e);

	free(path);
	return rc == -1 && e->kind != ERR_NOTFOUND ? -1 : 0;
}

static int
move(const struct restore_pg *r, const char *from, const char *to, struct err *e)
{
	char *a = in_target(r, from), *b = in_target(r, to);
	int rc = rename(a, b) == -1 ? err_sys(e, "move '%s' to '%s'", a, b) : 0;

	free(a);
	free(b);
	return rc;
}

int
restore_pg_lock(struct restore_pg *r, struct err *e)
{
	/* In this order: what was here before may have a label, too. */
	return take_away(r, PG_CONTROL_FILE, e) == -1 || take_away(r, PG_LABEL_FILE, e) == -1 ? -1 : 0;
}

int
restore_pg_wait(struct restore_pg *r, const struct tree_options *like, struct err *e)
{
	const char *const path[] = { PG_LABEL_FILE, PG_CONTROL_FILE };
	struct tree_options to = *like;
	struct tree_report seen = { 0 };
	char *stage = in_target(r, STAGE);
	int rc;

	to.path = path;
	to.paths = ARRAY_LEN(path);
	to.skips = 0;
	to.delta = true; /* that of a restore before this one may be there */
	to.source = NULL;
	rc = tree_restore(r->reader, stage, &to, &seen, e);
	if (rc == 0 && seen.lost > 0)
		rc = err_set(e, ERR_CORRUPT, "no tier has a good copy of '%s' or '%s' of %s",
		    PG_LABEL_FILE, PG_CONTROL_FILE, r->report->id);
	if (rc == 0 &&
	    (move(r, STAGE "/" PG_LABEL_FILE, PG_LABEL_FILE, e) == -1 ||
		move(r, STAGE "/" PG_CONTROL_FILE, WAITING, e) == -1 ||
		file_remove_tree(AT_FDCWD, stage, e) == -1))
		rc = -1;
	r->report->files += seen.files;
	r->report->entries += seen.files;
	r->report->bytes += seen.bytes;
	free(stage);
	return rc;
}

int
restore_pg_unlock(struct restore_pg *r, struct err *e)
{
	char *folder = in_target(r, "global");
	int rc = 0;

	/* The label's new name is durable before the other one. */
	if (!r->o->no_sync)
		rc = file_sync_dir(AT_FDCWD, r->report->to, e);
	fault_point("restore-pg-ready");
	if (rc == 0)
		rc = move(r, WAITING, PG_CONTROL_FILE, e);
	if (rc == 0 && !r->o->no_sync)
		rc = file_sync_dir(AT_FDCWD, folder, e);
	free(folder);
	return rc;
}
