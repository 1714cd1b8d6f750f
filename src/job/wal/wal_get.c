/*
 * An answer of "absent" ends a recovery and may promote the database, so it is given only when
 * every tier asked has listed the segment's names in full. Everything else that keeps us from the
 * bytes is an error, which the caller turns into a status that stops the server instead.
 */
#include "job/wal/wal_get.h"

#include <fcntl.h>

#include "base/file.h"
#include "coord/active.h"
#include "job/wal/wal_fetched.h"
#include "job/wal/wal_get_standby.h"
#include "repo/wal_beat.h"
#include "source/pg/pg_history.h"
#include "source/pg/pg_walname.h"

/* The bytes under that name, all of them durable before it has it. */
static int
hand_out(const char *path, const struct buf *bytes, struct err *e)
{
	return file_put(AT_FDCWD, path, bytes->data, bytes->len, 0600, FILE_REPLACE, e) == -1 ? -1 :
												0;
}

/* The active timeline, as far as anybody knows; 0: nobody. */
static uint32_t
active_timeline(struct repo *repo, const struct wal_get_options *o)
{
	struct coord *c = NULL;
	struct active a = { 0 };
	struct wal_beat b;
	uint32_t tli = 0;

	if (coord_open(o->coord_place, &c, NULL) == 0 &&
	    active_get(c, o->place.source, &a, NULL) == 1 && a.sysid == o->place.sysid &&
	    a.epoch == o->place.epoch)
		tli = a.tli;
	coord_close(c);
	for (size_t i = 0; tli == 0 && i < o->tiers; i++)
		if (o->tier[i]->store &&
		    wal_beat_get(repo, o->tier[i]->store, o->place.source, &b, NULL) == 1 &&
		    b.place.sysid == o->place.sysid && b.place.epoch == o->place.epoch)
			tli = b.tli;
	return tli;
}

static int
get_history(struct repo *repo, struct walread *r, const struct wal_get_options *o, uint32_t tli,
    struct err *e)
{
	struct pg_history h;
	struct buf text;
	int got;

	if (o->line > 0 && tli > o->line && tli > active_timeline(repo, o))
		return 0;

	buf_init(&text, PG_HISTORY_MAX);
	pg_history_init(&h, tli);
	got = walread_history(r, tli, &text, e);
	if (got == 1 &&
	    (pg_history_parse(tli, buf_str(&text), text.len, &h, e) == -1 ||
		hand_out(o->path, &text, e) == -1))
		got = -1;
	pg_history_done(&h);
	buf_done(&text);
	return got;
}

static int
get_segment(
    struct walread *r, const struct wal_get_options *o, const struct pg_walname *n, struct err *e)
{
	struct buf bytes;
	uint64_t start = 0;
	int got = -1;

	buf_init(&bytes, o->segment_size);
	if (pg_walname_start(n, o->segment_size, &start, e) == 0)
		got = wal_fetched_read(r, o, n->timeline, start, &bytes, e);
	if (got == 1 &&
	    (wal_get_standby_note(o, n, start, e) == -1 || hand_out(o->path, &bytes, e) == -1))
		got = -1;
	else if (got == -1 && o->until > 0 && start >= o->until)
		got = 0;
	buf_done(&bytes);
	return got;
}

int
wal_get_run(struct repo *repo, const struct wal_get_options *o, struct err *e)
{
	const struct walread_options ro = {
		.repo = repo,
		.tier = o->tier,
		.tiers = o->tiers,
		.spool = o->spool,
		.place = o->place,
	};
	struct walread *r = NULL;
	struct pg_walname n;
	int got = -1;

	if (walread_new(&ro, &r, e) == -1)
		goto out;
	switch (pg_walname_parse(o->name, &n)) {
	case PG_WALNAME_SEGMENT:
		got = get_segment(r, o, &n, e);
		break;
	case PG_WALNAME_HISTORY:
		got = get_history(repo, r, o, n.timeline, e);
		break;
	case PG_WALNAME_PARTIAL:
	case PG_WALNAME_BACKUP:
		got = 0; /* no recovery needs them */
		break;
	case PG_WALNAME_OTHER:
		err_set(e, ERR_USAGE, "'%s' is no name a server asks an archive for", o->name);
		err_line(e, "fix", "restore_command = 'ffdr wal get %%f %%p'");
		break;
	}
out:
	walread_free(r);
	return got;
}
