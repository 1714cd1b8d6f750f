/*
 * The epoch that is received. It is asked for at each connection, because it changes when the
 * source becomes another server's (`restore --adopt`, a failover): then what was received before
 * belongs to the epoch before, and stays the errand of a shipper of its own until every tier has
 * it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/lsn.h"
#include "base/mem.h"
#include "job/wal/wal_stream_parts.h"

#define FACTS_MAX 256

static void
shipper_event(void *arg, const char *kind, const char *text)
{
	wal_stream_event(arg, kind, "%s", text);
}

/*
 * It was away when we began: what the spool has goes there now, too. That it gets there is what the
 * shipper tells.
 */
static void
tier_reached(void *arg, struct tier *t)
{
	struct stream *s = arg;

	store_stop_when(t->store, wal_stream_enough, s);
}

static int
ask_segment_size(struct stream *s, struct err *e)
{
	struct pg_rows *rows = NULL;
	uint64_t size = 0;
	int rc = pg_conn_row(s->sql,
	    "SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'", NULL, 0, &rows, e);

	if (rc == 0 && pg_conn_value_u64(rows, 0, 0, &size, e) != 1)
		rc = -1;
	pg_conn_rows_free(rows);
	if (rc == 0 && !lsn_segment_valid(size))
		rc = err_set(
		    e, ERR_UNSUPPORTED, "the server has WAL segments of %" PRIu64 " bytes", size);
	s->segment_size = (uint32_t)size;
	return rc;
}

static char *
facts_path(const struct stream *s)
{
	return xasprintf("%s.server", s->o->spool);
}

/* What a start without a server has to know of it. */
static void
remember_server(struct stream *s)
{
	char *path = facts_path(s);
	struct err why = { 0 };
	struct buf text;

	buf_init(&text, FACTS_MAX);
	buf_addf(
	    &text, "segment-size %" PRIu32 "\nversion %" PRIu32 "\n", s->segment_size, s->version);
	if (file_put(AT_FDCWD, path, text.data, text.len, 0640, FILE_REPLACE, &why) == -1)
		wal_stream_event(s, "warning", "%s", why.text);
	buf_done(&text);
	free(path);
}

static bool
recall_server(struct stream *s)
{
	char *path = facts_path(s);
	struct buf text;
	bool known;

	buf_init(&text, FACTS_MAX);
	known = file_get(AT_FDCWD, path, &text, NULL) == 0 &&
	    sscanf(buf_str(&text), "segment-size %" SCNu32 "\nversion %" SCNu32 "\n",
		&s->segment_size, &s->version) == 2 &&
	    lsn_segment_valid(s->segment_size);
	buf_done(&text);
	free(path);
	return known;
}

/* Where the epoch comes from: a tier that was away when it began does not know it yet. */
static bool
find_from(struct stream *s)
{
	char name[LAYOUT_NAME];
	struct buf text;
	struct err why = { 0 };
	bool found;

	buf_init(&text, WAL_LINEAGE_HISTORY_MAX);
	atomic_store(&s->hasty, true);
	found = wal_lineage_fetch(s->repo, s->o->tier, s->o->tiers, layout_wal_from(&s->place, name),
		    &text, &why) == 1 &&
	    wal_lineage_from_parse(&text, s->place.epoch, &s->from, &why) == 0;
	atomic_store(&s->hasty, false);
	buf_done(&text);
	return found;
}

/* What stays as long as the epoch does: the spool and the shipper. */
static int
open_spool(struct stream *s, struct err *e)
{
	struct spool_options so;
	struct wal_ship_options wo;

	const bool child = find_from(s);

	s->dir = (struct spool_dir){ s->o->spool, s->repo->keys };
	so = (struct spool_options){
		.dir = s->dir, .place = s->place, .segment_size = s->segment_size
	};
	if (spool_open(&so, &s->spool, e) == -1)
		return -1;
	wo = (struct wal_ship_options){
		.repo = s->repo,
		.tier = s->o->tier,
		.tiers = s->o->tiers,
		.spool = s->dir,
		.place = s->place,
		.from = child ? &s->from : NULL,
		.segment_size = s->segment_size,
		.version = s->version,
		.host = s->o->host,
		.every_ns = s->o->ship_every_ns,
		.event = shipper_event,
		.reached = tier_reached,
		.arg = s,
	};
	s->ship = wal_ship_new(&wo);
	return wal_stream_elders_find(s, &wo, e);
}

static void
leave(struct stream *s, uint32_t epoch)
{
	wal_stream_event(s, "epoch",
	    "epoch %" PRIu32 " begins: what was received up to now stays in "
	    "epoch %" PRIu32,
	    epoch, s->place.epoch);
	/* A tier that does not answer now does not hold it up: its share stays in the spool. */
	atomic_store(&s->enough, true);
	wal_stream_elders_free(s);
	wal_ship_free(s->ship);
	atomic_store(&s->enough, false);
	spool_close(s->spool);
	s->ship = NULL;
	s->spool = NULL;
	s->tli = 0;
	s->found = 0;
	s->beyond = (struct wal_resume_at){ 0, 0 };
	s->newest = s->archived = s->leg = (struct wal_resume_at){ 0, 0 };
	s->tolerated = s->asked = s->unproven = s->unproven_told = false;
	s->checked = 0;
	s->other = s->contest = (struct stream_other){ 0 };
	s->before = (struct pg_commit_tally){ 0 };
	s->seen = (struct wal_ship_seen){ 0 };
}

int
wal_stream_epoch_server(struct stream *s, const struct pg_identity *id,
    struct wal_place_server *server, struct wal_place *ret, struct err *e)
{
	const struct wal_place_archive archive = { s->repo, s->o->tier, s->o->tiers };

	if (wal_place_server(s->conn, id, server, e) == -1)
		return -1;
	return wal_place_pin(
	    s->o->coord, s->o->source, s->o->site, server, &archive, false, ret, e);
}

int
wal_stream_epoch(struct stream *s, const struct pg_identity *id, struct err *e)
{
	struct wal_place_server server = { 0 };
	struct wal_place place;
	int rc = wal_stream_epoch_server(s, id, &server, &place, e);

	wal_place_server_done(&server);
	if (rc == -1)
		return -1;
	s->moved = false;
	if (s->spool && (place.epoch != s->place.epoch || place.sysid != s->place.sysid))
		leave(s, place.epoch);
	s->place = place;
	if (s->spool)
		return 0;
	s->version = (uint32_t)pg_conn_version(s->conn);
	if (ask_segment_size(s, e) == -1 || open_spool(s, e) == -1)
		return -1;
	remember_server(s);
	return 0;
}

int
wal_stream_epoch_alone(struct stream *s, struct err *e)
{
	struct err why = { 0 };

	if (wal_place_get(s->o->coord, s->o->source, &s->place, &why) != 1 || !recall_server(s))
		return 0;
	return open_spool(s, e) == -1 ? -1 : wal_stream_where_alone(s, e);
}

void
wal_stream_epoch_look(struct stream *s)
{
	struct wal_place now;
	struct err why = { 0 };

	if (s->moved || !s->receive || wal_place_get(s->o->coord, s->o->source, &now, &why) != 1 ||
	    (now.epoch == s->place.epoch && now.sysid == s->place.sysid))
		return;
	s->moved = true;
	wal_stream_event(s, "epoch",
	    "epoch %" PRIu32 " of %s has begun: the connection is made anew", now.epoch,
	    s->o->source);
}
