/*
 * Told by listings, a few manifests and a few pieces: nothing of a size that grows with the database.
 * Of a piece the head alone is wanted, but it comes whole, for its sum proves both.
 */
#include "job/wal/wal_look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/wal/wal_look_parts.h"
#include "job/wal/wal_place.h"
#include "repo/snapshot.h"
#include "repo/walread.h"
#include "source/pg/pg_conn.h"

#define SERVER_S 5 /* a person waits */

/* ---- the server ---- */

static bool
stopped(void *arg)
{
	const struct watch *w = arg;

	return w->stop(w->arg);
}

/* Which way it came; a replication connection tells. */
static void
look_at_history(struct wal_look_server *ret, const struct pg_conn_options *o,
		const struct pg_identity *id)
{
	struct pg_conn_options again = *o;
	struct pg_conn *c = NULL;
	struct wal_place_server server = { 0 };
	struct err why = { 0 };

	pg_history_init(&ret->history, id->tli);
	if (id->tli == 1)
		return;
	again.replication = true;
	if (pg_conn_open(&again, &c, &why) == 0 && wal_place_server(c, id, &server, &why) == 0) {
		ret->history = server.history;
		pg_history_init(&server.history, id->tli);
	}
	wal_place_server_done(&server);
	pg_conn_free(c);
}

static void
look_at_server(struct wal_looking *k)
{
	struct wal_look_server *ret = &k->l->server;
	struct watch *w = (struct watch *)k->watch;
	const struct pg_conn_options o = {
		.conninfo = k->l->w.source->postgres->conninfo,
		.timeout_s = SERVER_S,
		.stop = stopped,
		.arg = w,
	};
	struct pg_identity id;

	if (pg_conn_open(&o, &ret->conn, &ret->why) == -1 ||
	    pg_conn_identify(ret->conn, &id, &ret->why) == -1)
		return;
	ret->reached = true;
	ret->sysid = id.sysid;
	ret->flush = id.flush;
	ret->tli = id.tli;
	ret->standby = id.standby;
	look_at_history(ret, &o, &id);
}

/* ---- where it is kept ---- */

/* Nothing is pinned that can be read: what lies there tells, the newest beat first. */
static void
find_place(struct wal_looking *k)
{
	struct wal_look *l = k->l;
	int64_t newest = INT64_MIN;

	if (*l->w.active.etag) {
		l->place = l->w.place;
		l->placed = true;
		return;
	}
	for (size_t i = 0; i < k->opens; i++) {
		struct walread_places p = { 0 };
		struct wal_beat b;

		if (wal_beat_get(k->s->repo, k->open[i]->store, l->w.source->name, &b, NULL) == 1 &&
		    b.sample.time_ns > newest) {
			newest = b.sample.time_ns;
			l->place = b.place;
			l->placed = true;
		}
		if (!l->placed && walread_places(k->open[i], l->w.source->name, &p, NULL) == 0 &&
		    p.count > 0) {
			l->place = p.place[p.count - 1];
			l->placed = true;
		}
		free(p.place);
	}
}

static int
open_reader(struct wal_looking *k, struct err *e)
{
	const struct walread_options o = {
		.repo = k->s->repo,
		.tier = k->open,
		.tiers = k->opens,
		.spool = &k->l->w.spool,
		.place = k->l->place,
	};

	if (wal_lineage_load(k->s->repo, k->open, k->opens, &k->l->place, &k->lineage, e) == -1)
		return -1;
	return walread_new(&o, &k->read, e);
}

/* ---- what a tier has ---- */

static int
read_history(struct wal_looking *k, uint32_t tli, struct pg_history *h, struct err *e)
{
	struct buf text;
	int got = 0;

	pg_history_init(h, tli);
	buf_init(&text, PG_HISTORY_MAX);
	if (tli > 1)
		got = walread_history(k->read, tli, &text, e);
	if (got == 1 && pg_history_parse(tli, buf_str(&text), text.len, h, e) == -1)
		got = -1;
	buf_done(&text);
	return got == -1
		   ? -1
		   : 0; /* without it only the timeline's own WAL is known to lie on the way */
}

/* A base backup that lies on the way to that timeline. */
static bool
on_the_way(const struct wal_looking *k, const struct pg_facts *f, const struct pg_history *h)
{
	if (f->sysid != k->l->place.sysid || !pg_history_covers(h, f->stop_tli, f->stop))
		return false;
	for (size_t i = 0; i < k->lineage.levels; i++)
		if (k->lineage.level[i].epoch == f->epoch)
			return wal_lineage_bound(&k->lineage, i, f->stop_tli) >= f->stop;
	return false;
}

static int
read_base(struct wal_looking *k, struct wal_look_tier *t, const struct snapshot *s,
	  const struct pg_history *h, struct wal_look_base *ret, struct err *e)
{
	struct manifest m;
	int got = -1;

	manifest_init(&m);
	if (manifest_get(t->tier->store, s->name, k->s->repo->keys, &m, e) == 0)
		got = pg_facts_read(&m, &ret->facts, e);
	ret->begun_ns = m.started_ns;
	snprintf(ret->id, sizeof(ret->id), "%s", s->part.id);
	manifest_done(&m);
	/* One that cannot be read is no base to count on; `verify` is who tells. */
	return got == 1 && on_the_way(k, &ret->facts, h);
}

static int
find_bases(struct wal_looking *k, struct wal_look_tier *t, const struct pg_history *h, struct err *e)
{
	struct snapshot_list list = { 0 };
	struct err why = { 0 };
	size_t first = 0;
	int rc = snapshot_list_known(t->tier->store, k->l->place.source, &list, e);

	for (size_t i = list.count; rc == 0 && !t->based && i > 0; i--)
		t->based = read_base(k, t, &list.item[i - 1], h, &t->newest, &why) == 1;
	while (rc == 0 && t->based && first < list.count &&
	       read_base(k, t, &list.item[first], h, &t->oldest, &why) != 1)
		first++;
	snapshot_list_done(&list);
	return rc;
}

/* Of each timeline on the way its own stretch; the segment it begins in is repeated in its own
 * files. */
static int
add_stretch(struct wal_looking *k, struct wal_look_tier *t, const struct pg_history *h, uint32_t tli,
	    struct err *e)
{
	const uint64_t size = t->based ? t->newest.facts.segment_size : 1;
	struct lsn_set set = { 0 };
	uint64_t from, to;
	int rc = 0;

	if (pg_history_span(h, tli, &from, &to))
		rc = walread_ranges(k->read, t->tier, tli, &set, e);
	for (size_t i = 0; i < set.count; i++) {
		uint64_t a = set.range[i].from, b = set.range[i].to < to ? set.range[i].to : to;

		if (a < lsn_segment(from, size))
			a = lsn_segment(from, size);
		lsn_set_add(&t->have, a, b > a ? b : a);
	}
	if (tli == t->tli && set.count > 0)
		t->frontier = set.range[set.count - 1].to;
	lsn_set_done(&set);
	return rc;
}

static int
find_wal(struct wal_looking *k, struct wal_look_tier *t, struct pg_history *h, struct err *e)
{
	struct walread_timelines all = { 0 };
	int rc = walread_timelines(k->read, t->tier, &all, e);

	if (rc == 0 && all.count > 0)
		t->tli = all.tli[all.count - 1];
	free(all.tli);
	if (rc == 0 && t->tli > 0) {
		pg_history_done(h);
		rc = read_history(k, t->tli, h, e);
	}
	if (rc == 0)
		rc = find_bases(k, t, h, e);
	for (size_t i = 0; rc == 0 && t->tli > 0 && i <= h->count; i++)
		rc = add_stretch(k, t, h, i < h->count ? h->step[i].timeline : h->timeline, e);
	if (rc == 0 && t->based) {
		t->reach = lsn_set_end(
		    &t->have, lsn_segment(t->newest.facts.start, t->newest.facts.segment_size));
		if (t->reach < t->newest.facts.stop)
			t->reach = 0; /* its own WAL is not whole: no recovery at all */
	}
	return rc;
}

/* ---- all of it ---- */

static void
look_at_tier(struct wal_looking *k, struct wal_look_tier *t)
{
	pg_history_init(&t->history, 1);
	if (!t->tier->store)
		t->why = t->tier->why;
	else if (k->read && wal_look_clock(t, &t->why) == 0 &&
		 find_wal(k, t, &t->history, &t->why) == 0)
		wal_look_samples(k, t, &t->why);
	if (!t->tier->store && t->why.kind == ERR_NONE)
		err_set(&t->why, ERR_REMOTE, "it does not answer");
}

int
wal_look_load(struct session *s, const struct conf_source *source, const struct watch *w,
	      struct wal_look *ret, struct err *e)
{
	struct wal_looking k = { .s = s, .watch = w, .l = ret };
	int rc = 0;

	*ret = (struct wal_look){ 0 };
	if (wal_source_open(s, source, &ret->w, &ret->coord) == -1 && ret->w.tiers == 0) {
		*e = ret->coord;
		return -1;
	}
	for (size_t i = 0; i < ret->w.tiers; i++) {
		ret->tier[i] = (struct wal_look_tier){ .tier = ret->w.tier[i],
						       .off_host = ret->w.off_host[i] };
		if (ret->w.tier[i]->store)
			k.open[k.opens++] = ret->w.tier[i];
	}
	ret->tiers = ret->w.tiers;
	find_place(&k);
	if (ret->placed && k.opens > 0)
		rc = open_reader(&k, e);
	for (size_t i = 0; rc == 0 && i < ret->tiers; i++)
		look_at_tier(&k, &ret->tier[i]);
	/* Last: what the server has flushed by now is then compared with what was on the tiers
	 * before. */
	look_at_server(&k);
	for (size_t i = 0; i < ret->tiers; i++)
		wal_look_age(&ret->tier[i]);
	walread_free(k.read);
	wal_lineage_done(&k.lineage);
	return rc;
}

void
wal_look_done(struct wal_look *l)
{
	for (size_t i = 0; i < l->tiers; i++) {
		lsn_set_done(&l->tier[i].have);
		pg_history_done(&l->tier[i].history);
	}
	pg_history_done(&l->server.history);
	pg_conn_free(l->server.conn);
	wal_source_done(&l->w);
	*l = (struct wal_look){ 0 };
}

/* Timelines above 1 have a history; one that could not be had says nothing. */
static bool
told(const struct pg_history *h)
{
	return h->timeline == 1 || h->count > 0;
}

uint64_t
wal_look_common(const struct wal_look *l, const struct wal_look_tier *t)
{
	if (!told(&l->server.history) || !told(&t->history))
		return l->server.tli == t->tli ? UINT64_MAX : 0;
	return pg_history_common(&l->server.history, &t->history);
}

bool
wal_look_set_back(const struct wal_look *l, const struct wal_look_tier *t)
{
	return l->server.reached && !l->server.standby && l->server.sysid == l->place.sysid &&
	    t->frontier > l->server.flush && l->server.tli == t->tli &&
	    wal_look_common(l, t) == UINT64_MAX;
}

/* Positions go on over timelines: one that has nothing of the server's lacks all of it, too. */
uint64_t
wal_look_behind(const struct wal_look *l, const struct wal_look_tier *t)
{
	if (!l->server.reached || l->server.tli < t->tli || l->server.flush <= t->frontier)
		return 0;
	return l->server.flush - t->frontier;
}

bool
wal_look_newest(const struct wal_look *l, struct wal_beat *ret)
{
	bool found = false;

	for (size_t i = 0; i < l->tiers; i++)
		if (l->tier[i].beaten &&
		    (!found || l->tier[i].beat.sample.time_ns > ret->sample.time_ns)) {
			*ret = l->tier[i].beat;
			found = true;
		}
	return found;
}
