/*
 * The lease that says who ships, and what must not grow without end: the spool, and the WAL that
 * slots of ours keep on the server. Nothing goes from the spool before the tiers off this host have
 * it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lsn.h"
#include "base/mem.h"
#include "job/wal/wal_stream_parts.h"

#define UPKEEP_NS (10 * CLOCK_S)

/* ---- the lease ---- */

static void
tell_lease(struct stream *s, int got, const struct lease_text *other, const struct err *why)
{
	if (got == 1)
		wal_stream_event(s, "lease", "this host ships the WAL now");
	else if (!s->lease_told && got == 0)
		wal_stream_event(s, "lease", "this host receives, '%s' ships", other->host);
	else if (!s->lease_told)
		wal_stream_event(s, "warning", "nothing is shipped: %s", why->text);
	s->lease_told = got != 1;
}

static void
take_lease(struct stream *s)
{
	struct lease_text want = { .pid = (uint64_t)getpid() }, other = { 0 };
	struct err why = { 0 };
	char *name = xasprintf("lease/wal/%s", s->o->source);
	int got;

	snprintf(want.holder, sizeof(want.holder), "%s", s->o->host);
	snprintf(want.host, sizeof(want.host), "%s", s->o->host);
	snprintf(want.purpose, sizeof(want.purpose), "wal");
	got = lease_take(s->o->coord, name, &want, &s->o->lease, &s->lease, &other, &why);
	s->leased = got == 1;
	tell_lease(s, got, &other, &why);
	free(name);
}

static void
renew_lease(struct stream *s)
{
	struct err why = { 0 };

	/* A place that is away: ours as long as nobody else can have taken it. */
	if (lease_renew(&s->lease, &why) == -1 && why.kind == ERR_STALE) {
		s->leased = false;
		wal_stream_event(s, "warning", "shipping stops on this host: %s", why.text);
	}
}

bool
wal_stream_keep_lease(struct stream *s)
{
	const int64_t now = clock_boot_ns();

	if (now >= s->lease_boot_ns) {
		s->lease_boot_ns = now + s->o->renew_ns;
		if (s->leased)
			renew_lease(s);
		else
			take_lease(s);
	}
	return s->leased && lease_good(&s->lease);
}

/* ---- upkeep of spool and slots ---- */

static uint64_t
lowest(const struct stream *s, bool off_host_only)
{
	uint64_t low = UINT64_MAX;
	struct wal_ship_tier at;

	for (size_t i = 0; i < s->o->tiers; i++) {
		if (off_host_only && !s->o->off_host[i])
			continue;
		wal_ship_tier(s->ship, i, &at);
		if (at.tli < s->tli)
			return 0;
		if (at.until < low)
			low = at.until;
	}
	return low == UINT64_MAX ? 0 : low;
}

/* Up to where the newest timeline is safe off this host; where the source has no such tier, on all
 * it has. */
static uint64_t
safe_upto(const struct stream *s)
{
	for (size_t i = 0; i < s->o->tiers; i++)
		if (s->o->off_host[i])
			return lowest(s, true);
	return lowest(s, false);
}

/*
 * Older timelines go when every tier walks the newest; so their cut is all or nothing. Of the newest
 * the segment of the last byte stays, here and on the server: the next connection compares it.
 */
static void
cut_spool(struct stream *s, uint64_t safe)
{
	/* Tiers on this host must have it, too, or a later start could not bring it to them. */
	uint64_t all = lowest(s, false);
	struct err why = { 0 };
	int rc = 0;

	if (all > safe)
		all = safe;
	for (uint32_t tli = s->tli - 1; all > 0 && rc != -1 && tli > 0; tli--)
		rc = spool_cut(s->spool, s->place.epoch, tli, UINT64_MAX, &why);
	if (all > 0 && rc != -1)
		rc = spool_cut(s->spool, s->place.epoch, s->tli, lsn_segment(all - 1, s->segment_size),
		    &why);
	if (rc == -1)
		wal_stream_event(s, "warning", "the spool is not cut: %s", why.text);
}

static void
move_hold(struct stream *s, uint64_t safe)
{
	struct err why = { 0 };
	uint64_t got;

	if (!s->sql || !s->o->hold_slot || safe == 0 || !s->heard)
		return;
	safe = lsn_segment(safe - 1, s->segment_size);
	if (pg_slot_advance(s->sql, s->o->hold_slot, safe, &got, &why) == -1 &&
	    why.kind != ERR_BUSY)
		wal_stream_event(
		    s, "warning", "slot '%s' cannot be moved: %s", s->o->hold_slot, why.text);
}

static void
look_at_slot(struct stream *s)
{
	struct pg_slot slot;
	struct err why = { 0 };

	if (!s->sql || pg_slot_read(s->sql, s->o->slot, &slot, &why) != 1)
		return;
	if (slot.wal == PG_SLOT_WAL_UNRESERVED || slot.wal == PG_SLOT_WAL_LOST)
		wal_stream_event(s, "warning",
		    "slot '%s' is %s: the server may remove WAL that is not here yet", s->o->slot,
		    pg_slot_wal_word(slot.wal));
}

/* ---- tiers ---- */

/*
 * A lost disk was replaced. What was opened stays the old one, and what the new one has of the WAL is
 * known to nobody here: so everything begins anew, as if it was started again. A base backup that we are
 * making would end with us, and is needed more: no restore crosses the gap that it begins behind.
 */
static void
look_at_tiers(struct stream *s)
{
	struct wal_ship_tier at;

	for (size_t i = 0; i < s->o->tiers && !s->report->anew && s->backup <= 0; i++) {
		wal_ship_tier(s->ship, i, &at);
		if (!at.replaced)
			continue;
		s->report->anew = true;
		wal_stream_event(s, "tiers", "another directory is where '%s' was: all tiers are opened "
		    "anew", s->o->tier[i]->name);
	}
}

void
wal_stream_keep_up(struct stream *s)
{
	const int64_t now = clock_boot_ns();
	uint64_t safe;

	if (now < s->upkeep_boot_ns || !s->ship || s->tli == 0)
		return;
	s->upkeep_boot_ns = now + UPKEEP_NS;
	wal_stream_epoch_look(s);
	safe = safe_upto(s);
	if (s->leased) {
		cut_spool(s, safe);
		move_hold(s, safe);
	}
	look_at_slot(s);
	look_at_tiers(s);
}
