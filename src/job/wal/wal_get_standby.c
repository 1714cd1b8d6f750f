/*
 * A server whose disk was set back goes on with the same timeline: the archive begins an epoch for it,
 * and a standby that has replayed what came before must not get the WAL of the second life on top. It
 * would not notice: each record names the place of the one before, and that is the same when both
 * lives wrote records of equal lengths. So it is written down what it was given, before it has it;
 * what it has replayed is no more than that. pg_control tells too little: it lags behind.
 *
 * On another timeline the server itself looks where that left its own.
 */
#include "job/wal/wal_get_standby.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "coord/active.h"
#include "repo/wal_beat.h"
#include "repo/wal_lineage.h"
#include "source/pg/pg_history.h"

#define FILE_NAME ".ffdr-given"
#define FILE_MOST 200

/* ---- the file ---- */

/* Beside the file that is asked for; caller frees. */
static char *
path_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? xasprintf("%.*s/" FILE_NAME, (int)(slash - path), path) : xstrdup(FILE_NAME);
}

static int
keep(const char *file, const struct wal_get_standby *at, struct err *e)
{
	char text[FILE_MOST];
	int n = snprintf(text, sizeof(text),
	    "epoch %" PRIu32 " timeline %" PRIu32 " lsn %" PRIx64 " told %" PRIu32 "\n", at->epoch,
	    at->tli, at->lsn, at->told);

	return file_put(AT_FDCWD, file, text, (size_t)n, 0600, FILE_REPLACE, e) == -1 ? -1 : 0;
}

int
wal_get_standby_begin(const char *folder, const struct wal_get_standby *at, struct err *e)
{
	char *file = xasprintf("%s/" FILE_NAME, folder);
	int rc = keep(file, at, e);

	free(file);
	return rc;
}

/* Without one, or with one that cannot be read, nobody knows what it has. */
static void
recall(const struct wal_get_options *o, struct wal_get_standby *ret)
{
	char *file = path_of(o->path);
	struct buf text;

	buf_init(&text, FILE_MOST);
	if (file_get(AT_FDCWD, file, &text, NULL) == -1 ||
	    sscanf(buf_str(&text),
		"epoch %" SCNu32 " timeline %" SCNu32 " lsn %" SCNx64 " told %" SCNu32, &ret->epoch,
		&ret->tli, &ret->lsn, &ret->told) != 4)
		*ret = (struct wal_get_standby){ o->place.epoch, o->line, UINT64_MAX, 0 };
	buf_done(&text);
	free(file);
}

int
wal_get_standby_note(
    const struct wal_get_options *o, const struct pg_walname *n, uint64_t start, struct err *e)
{
	const uint64_t end = start + o->segment_size;
	struct wal_get_standby at, was;
	char *file;
	int rc = 0;

	if (o->line == 0)
		return 0;
	recall(o, &at);
	was = at;
	if (n->timeline > at.tli && at.lsn != UINT64_MAX)
		at.lsn = end;
	if (n->timeline > at.tli)
		at.tli = n->timeline;
	if (end > at.lsn)
		at.lsn = end;
	if (at.epoch != o->place.epoch)
		at.told = 0;
	at.epoch = o->place.epoch;
	if (at.epoch == was.epoch && at.tli == was.tli && at.lsn == was.lsn)
		return 0;
	file = path_of(o->path);
	rc = keep(file, &at, e);
	free(file);
	return rc;
}

/* ---- which epoch ---- */

/* The active epoch of that system, as far as anybody knows; 0: nobody. */
static uint32_t
epoch_now(struct repo *repo, const struct wal_get_options *o)
{
	struct coord *c = NULL;
	struct active a = { 0 };
	struct wal_beat b;
	uint32_t epoch = 0;

	if (coord_open(o->coord_place, &c, NULL) == 0 &&
	    active_get(c, o->place.source, &a, NULL) == 1 && a.sysid == o->place.sysid)
		epoch = a.epoch;
	coord_close(c);
	for (size_t i = 0; a.epoch == 0 && i < o->tiers; i++)
		if (o->tier[i]->store &&
		    wal_beat_get(repo, o->tier[i]->store, o->place.source, &b, NULL) == 1 &&
		    b.place.sysid == o->place.sysid && b.place.epoch > epoch)
			epoch = b.place.epoch;
	return epoch;
}

/* Where that timeline of that place leaves the one the standby is on; UINT64_MAX: not known. */
static uint64_t
leaves(struct repo *repo, const struct wal_get_options *o, const struct wal_place *place,
    uint32_t tli, uint32_t own)
{
	const struct walread_options ro = {
		.repo = repo, .tier = o->tier, .tiers = o->tiers, .spool = o->spool, .place = *place
	};
	uint64_t from, to = UINT64_MAX;
	struct walread *r = NULL;
	struct pg_history h;
	struct buf text;

	buf_init(&text, PG_HISTORY_MAX);
	pg_history_init(&h, tli);
	if (walread_new(&ro, &r, NULL) == -1 || walread_history(r, tli, &text, NULL) != 1 ||
	    pg_history_parse(tli, buf_str(&text), text.len, &h, NULL) == -1 ||
	    !pg_history_span(&h, own, &from, &to))
		to = UINT64_MAX;
	walread_free(r);
	pg_history_done(&h);
	buf_done(&text);
	return to;
}

/* The level of that epoch; l->levels: it is none of them. */
static size_t
level_of(const struct wal_lineage *l, uint32_t epoch)
{
	size_t i = 0;

	while (i < l->levels && l->level[i].epoch != epoch)
		i++;
	return i;
}

/* Said once for each epoch. */
static int
tell(const struct wal_get_options *o, struct wal_get_standby *at, uint32_t epoch, char **told,
    struct err *e)
{
	char *file;
	int rc;

	if (at->told == epoch)
		return 0;
	at->told = epoch;
	file = path_of(o->path);
	rc = keep(file, at, e);
	free(file);
	*told = xasprintf("epoch %" PRIu32 " of %s is the active one, and this standby cannot follow "
	    "there: %s, so it gets no more WAL\n  fix       make it anew: ffdr restore %s --standby",
	    epoch, o->place.source, at->lsn == UINT64_MAX ?
	    "what it has replayed is not known (" FILE_NAME " in pg_wal is missing)" :
	    "it may have replayed WAL that is not of that history", o->place.source);
	return rc;
}

int
wal_get_standby(struct repo *repo, struct wal_get_options *o, char **told, struct err *e)
{
	struct wal_lineage l = { 0 };
	struct wal_get_standby at;
	struct wal_place now;
	struct pg_walname n = { 0 };
	uint64_t start = 0, own;
	size_t level;
	int rc = 1;

	if (o->line == 0)
		return 1;
	recall(o, &at);
	now = o->place;
	now.epoch = epoch_now(repo, o);
	o->place.epoch = at.epoch;
	if (now.epoch <= at.epoch ||
	    wal_lineage_load(repo, o->tier, o->tiers, &now, &l, NULL) == -1)
		goto out;
	level = level_of(&l, at.epoch);
	if (level == l.levels)
		goto out;
	if (pg_walname_parse(o->name, &n) == PG_WALNAME_SEGMENT &&
	    pg_walname_start(&n, o->segment_size, &start, e) == -1)
		rc = -1;
	/* What it has, it may have again; where nobody knows, what both epochs have. */
	own = at.lsn == UINT64_MAX ? wal_lineage_bound(&l, level, n.timeline) : at.lsn;
	/* It asks for what comes next: what is before it, it has, whoever gave it. */
	if (start > at.lsn && n.timeline >= at.tli)
		at.lsn = start;
	if (wal_lineage_bound(&l, level, at.tli) >= at.lsn && at.lsn != UINT64_MAX)
		o->place = now;
	else if (n.timeline > at.tli && at.lsn != UINT64_MAX &&
	    leaves(repo, o, &now, n.timeline, at.tli) <= wal_lineage_bound(&l, level, at.tli))
		o->place = now;
	else if (rc == 1 && start > 0 && start + o->segment_size > own)
		rc = tell(o, &at, now.epoch, told, e) == -1 ? -1 : 0;
out:
	wal_lineage_done(&l);
	return rc;
}
