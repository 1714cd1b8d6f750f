/*
 * WAL of epochs before the one that is received, left in the spool by a tier that was away when the
 * epoch changed, or by a process that died then. Nothing is added to it; it goes to the tiers under
 * its own epoch, and from the spool when all of them have it. The tiers are the same, so each elder
 * has lanes of its own: none holds up what is received now.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/wal/wal_stream_parts.h"

struct stream_elder {
	struct wal_place place;
	struct wal_ship *ship;
	struct wal_ship_seen seen;
	uint32_t tli; /* its last */
	struct wal_lineage lineage; /* of the epoch that is received */
};

static bool
known(const struct stream *s, uint32_t epoch)
{
	for (size_t i = 0; i < s->elders; i++)
		if (s->elder[i].place.epoch == epoch)
			return true;
	return epoch == s->place.epoch;
}

static int
add(struct stream *s, const struct wal_ship_options *like, uint32_t epoch, struct err *e)
{
	struct wal_ship_options o = *like;
	struct stream_elder x = { .place = s->place };

	x.place.epoch = epoch;
	o.place = x.place;
	o.from = NULL;
	atomic_store(&s->hasty, true);
	if (wal_lineage_load(s->repo, s->o->tier, s->o->tiers, &s->place, &x.lineage, e) == -1) {
		atomic_store(&s->hasty, false);
		return -1;
	}
	atomic_store(&s->hasty, false);
	x.ship = wal_ship_new(&o);
	wal_ship_hurry(x.ship);
	if (wal_stream_where_tell(s, &x.place, x.ship, UINT32_MAX, &x.tli, &x.seen.durable, e) == -1 ||
	    wal_stream_where_there(s, &x.place, x.ship, e) == -1) {
		wal_ship_free(x.ship);
		wal_lineage_done(&x.lineage);
		return -1;
	}
	s->elder = xreallocarray(s->elder, s->elders + 1, sizeof(*s->elder));
	s->elder[s->elders++] = x;
	wal_stream_event(s, "epoch",
	    "the spool has WAL of epoch %" PRIu32 ", which goes to the tiers "
	    "beside the new",
	    epoch);
	return 0;
}

int
wal_stream_elders_find(struct stream *s, const struct wal_ship_options *like, struct err *e)
{
	struct spool_dir_files files = { 0 };
	int rc = spool_dir_list(&s->dir, &files, e);

	for (size_t i = 0; rc == 0 && i < files.count; i++)
		if (files.file[i].sysid == s->place.sysid && !known(s, files.file[i].epoch))
			rc = add(s, like, files.file[i].epoch, e);
	spool_dir_done(&files);
	return rc;
}

/* Up to where that timeline of it counts; what is not known counts. */
static uint64_t
counts_to(const struct stream *s, const struct stream_elder *x, uint32_t tli)
{
	if (x->lineage.unknown.kind != ERR_NONE)
		return UINT64_MAX;
	for (size_t i = 0; i < x->lineage.levels; i++)
		if (x->lineage.level[i].epoch == x->place.epoch)
			return wal_lineage_bound(&x->lineage, i, tli);
	return s->place.epoch > x->place.epoch ? 0 : UINT64_MAX;
}

/*
 * Every tier has all of it; or other bytes, where nothing of this epoch counts any more: they were
 * the reason for the next one.
 */
static bool
done(const struct stream *s, const struct stream_elder *x)
{
	struct wal_ship_tier at;

	for (size_t i = 0; i < s->o->tiers; i++) {
		wal_ship_tier(x->ship, i, &at);
		if (at.why.kind == ERR_EXISTS && at.until >= counts_to(s, x, at.tli))
			continue;
		if (at.tli != x->tli || at.until < x->seen.durable)
			return false;
	}
	return wal_ship_idle(x->ship);
}

/* Nothing of it is needed here any more. */
static void
let_go(struct stream *s, size_t i)
{
	const uint32_t epoch = s->elder[i].place.epoch;
	struct err why = { 0 };
	int rc = 0;

	for (uint32_t tli = s->elder[i].tli; rc != -1 && tli > 0; tli--)
		rc = spool_cut(s->spool, epoch, tli, UINT64_MAX, &why);
	if (rc == -1)
		wal_stream_event(s, "warning", "the spool is not cut: %s", why.text);
	else
		wal_stream_event(s, "epoch", "the tiers have all of epoch %" PRIu32, epoch);
	wal_ship_free(s->elder[i].ship);
	wal_lineage_done(&s->elder[i].lineage);
	memmove(&s->elder[i], &s->elder[i + 1], (--s->elders - i) * sizeof(*s->elder));
}

void
wal_stream_elders_step(struct stream *s)
{
	for (size_t i = 0; i < s->elders; i++) {
		struct stream_elder *x = &s->elder[i];

		wal_ship_step(x->ship, &x->seen, s->leased && lease_good(&s->lease));
		if (done(s, x)) {
			let_go(s, i);
			return;
		}
	}
}

void
wal_stream_elders_free(struct stream *s)
{
	for (size_t i = 0; i < s->elders; i++) {
		wal_ship_free(s->elder[i].ship);
		wal_lineage_done(&s->elder[i].lineage);
	}
	free(s->elder);
	s->elder = NULL;
	s->elders = 0;
}
