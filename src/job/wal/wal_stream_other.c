/*
 * The archive of this epoch holds another history than the server: a copy of it was archived under
 * its name, or its disk was set back and it has gone on from there. Both are kept: an epoch of its
 * own begins for the server at the last point that they have in common, and what the archive has
 * beyond that stays where it is and is nobody's past.
 *
 * That point is looked for in what both have, backwards from where they were seen to part. Where
 * they are the same for a page or more they are the same before it, too: records name their
 * predecessors, transactions and checksums. Where nothing in common is left on the server, the epoch
 * begins without a past; but not because of one tier alone, while the others agree with the server.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/lsn.h"
#include "coord/active.h"
#include "job/wal/wal_stream_parts.h"
#include "source/pg/pg_fetch.h"

#define EVIDENCE 8192 /* bytes that are the same by no accident */

struct search {
	struct stream *s;
	struct walread *read;
	uint32_t tli;
	uint64_t limit; /* the server has it up to there */
	uint64_t sure;	/* up to there it is known to be the same, as far as pieces agree */
	struct buf ours, theirs;
	size_t want;
};

/* ---- one segment ---- */

/* The server's bytes from `start` on, as many as are wanted: 1, 0 it has not so many any more, -1. */
static int
ask_server(struct search *k, uint64_t start, struct err *e)
{
	const struct pg_fetch f = { .tli = k->tli, .start = start, .want = k->want,
		.stop = k->s->watch->stop, .arg = k->s->watch->arg };

	return pg_fetch(k->s->conn, &f, &k->theirs, e);
}

/*
 * Up to where archive and server agree in the segment that begins at `start`; *end: up to where they
 * could be compared. 1, 0 one of them has nothing of it, -1.
 */
static int
compare_at(struct search *k, uint64_t start, uint64_t *same, uint64_t *end, struct err *e)
{
	struct err why = { 0 };
	int got;
	size_t i = 0;

	*same = start;
	got = walread_segment(k->read, k->tli, start, k->s->segment_size, &k->ours, end, &why);
	/* Nothing is in common here; whether the server could bring it anew must be known all the same. */
	if (got == -1 && walread_parted(k->read) != 0) {
		k->want = EVIDENCE;
		return ask_server(k, start, e);
	}
	if (got == -1 && (why.kind == ERR_REMOTE || why.kind == ERR_CANCELLED)) {
		*e = why;
		return -1;
	}
	if (*end > k->limit)
		*end = k->limit;
	if (*end <= start)
		return 0;
	k->want = (size_t)(*end - start);
	got = ask_server(k, start, e);
	if (got != 1)
		return got;
	while (i < k->want && k->ours.data[i] == k->theirs.data[i])
		i++;
	*same = start + i;
	return 1;
}

/* ---- the last point in common ---- */

static bool
is_proof(const struct search *k, uint64_t start, uint64_t same, uint64_t end)
{
	return same - start >= EVIDENCE || (same > start && same == end) || start < k->sure;
}

/* Between a segment that is the same (or gone: !*good) and one that is not. */
static int
bisect(struct search *k, uint64_t lo, bool good, uint64_t hi, uint64_t same, uint64_t *ret,
    struct err *e)
{
	const uint64_t size = k->s->segment_size;

	while (hi - lo > size) {
		const uint64_t middle = lo + (hi - lo) / size / 2 * size;
		uint64_t at, end;
		const int got = compare_at(k, middle, &at, &end, e);

		if (got == -1)
			return -1;
		if (got == 1 && at < middle + size && is_proof(k, middle, at, end)) {
			*ret = at;
			return 1;
		}
		if (got == 0 || at == middle + size) {
			lo = middle;
			good = got == 1;
		} else {
			hi = middle;
			same = at;
		}
	}
	*ret = same;
	return good;
}

/* 1 found, 0 nothing in common that both still have, -1. */
static int
find_fork(struct search *k, uint64_t at, uint64_t *ret, struct err *e)
{
	const uint64_t size = k->s->segment_size, last = lsn_segment(at, size);
	uint64_t hi = last, same = last, end;
	int got = compare_at(k, last, ret, &end, e);

	if (got == -1 || (got == 1 && is_proof(k, last, *ret, end)))
		return got;
	if (got == 1)
		same = *ret;
	for (uint64_t step = size; step <= last; step *= 2) {
		const uint64_t lo = last - step;

		got = compare_at(k, lo, ret, &end, e);
		if (got == -1)
			return -1;
		if (got == 0 || *ret == lo + size)
			return bisect(k, lo, got == 1, hi, same, ret, e);
		if (is_proof(k, lo, *ret, end))
			return 1;
		hi = lo;
		same = *ret;
	}
	return 0;
}

/* The end of what the tiers have of it. */
static int
archive_end(struct search *k, uint64_t *ret, struct err *e)
{
	struct lsn_set set = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < k->s->o->tiers; i++)
		if (k->s->o->tier[i]->store)
			rc = walread_ranges(k->read, k->s->o->tier[i], k->tli, &set, e);
	*ret = set.count > 0 ? set.range[set.count - 1].to : 0;
	lsn_set_done(&set);
	return rc;
}

static int
find(struct stream *s, const struct pg_identity *id, const struct pg_history *h, uint64_t *ret,
    struct err *e)
{
	const struct walread_options ro = {
		.repo = s->repo, .tier = s->o->tier, .tiers = s->o->tiers, .place = s->place
	};
	struct search k = { .s = s, .tli = s->other.tli, .sure = s->other.sure };
	uint64_t at = s->other.lsn, from, end;
	int rc = walread_new(&ro, &k.read, e);

	buf_init(&k.ours, s->segment_size);
	buf_init(&k.theirs, s->segment_size);
	if (rc == 0)
		rc = archive_end(&k, &end, e);
	if (rc == 0 && !pg_history_span(h, k.tli, &from, &k.limit))
		rc = err_set(e, ERR_STALE, "timeline %" PRIu32 " is not on the way of the server's", k.tli);
	if (rc == 0) {
		if (k.tli == id->tli)
			k.limit = id->flush;
		if (at >= end)
			at = end - 1;
		rc = end > 0 ? find_fork(&k, at, ret, e) : 0;
	}
	buf_done(&k.ours);
	buf_done(&k.theirs);
	walread_free(k.read);
	return rc;
}

/* ---- the epoch ---- */

static int
note_from(struct stream *s, uint32_t epoch, uint64_t fork, struct err *e)
{
	const struct wal_from from = { .parent = s->place.epoch,
		.tli = s->other.tli,
		.fork = fork,
		.reason = "another history in the archive" };
	struct wal_place at = s->place;
	struct err why = { 0 };
	size_t noted = 0;

	at.epoch = epoch;
	for (size_t i = 0; i < s->o->tiers; i++)
		if (s->o->tier[i]->store &&
		    wal_lineage_put_from(s->repo, s->o->tier[i]->store, &at, &from, &why) != -1)
			noted++;
	if (noted == 0)
		*e = why;
	return noted > 0 ? 0 : err_in(e, "a new epoch of %s", s->o->source);
}

static void
tell(struct stream *s, uint32_t epoch, bool found, uint64_t fork)
{
	char text[LSN_TEXT];

	s->report->others++;
	if (found)
		wal_stream_event(s, "history",
		    "the archive has another history than the server, from %s of timeline %" PRIu32
		    " on: a copy of it was archived, or it was set back; epoch %" PRIu32
		    " begins there, and what epoch %" PRIu32 " has beyond is kept and left aside\n"
		    "  fix       `ffdr backup %s` now; and find out who else archives under its name",
		    lsn_text(fork, text), s->other.tli, epoch, s->place.epoch, s->o->source);
	else
		wal_stream_event(s, "history",
		    "the archive has another history than the server, and nothing in common is there "
		    "to be compared any more: epoch %" PRIu32 " begins without a past; what epoch "
		    "%" PRIu32 " has is kept\n"
		    "  fix       `ffdr backup %s` now: nothing from here on can be restored before; and "
		    "find out who else archives under its name", epoch, s->place.epoch, s->o->source);
}

/* The swap decides, of two receivers that see it at once. */
static int
begin(struct stream *s, const struct pg_identity *id, bool found, uint64_t fork, struct err *e)
{
	struct active a = { 0 };
	int rc = active_get(s->o->coord, s->o->source, &a, e);

	if (rc == -1)
		return -1;
	if (rc == 0 || a.epoch != s->place.epoch || a.sysid != s->place.sysid)
		return 0;
	do
		rc = active_epoch_raise(s->o->coord, &a.epoch, e);
	while (rc == 0 && a.epoch <= s->place.epoch);
	a.tli = id->tli;
	a.fork_lsn = found ? fork : 0;
	if (rc == 0 && found)
		rc = note_from(s, a.epoch, fork, e);
	if (rc == 0)
		rc = active_set(s->o->coord, s->o->source, &a, e);
	if (rc == 1)
		tell(s, a.epoch, found, fork);
	return rc == -1 ? -1 : 0;
}

int
wal_stream_other(struct stream *s, const struct pg_identity *id, const struct pg_history *h,
    struct err *e)
{
	char text[LSN_TEXT];
	uint64_t fork = 0;
	int found = find(s, id, h, &fork, e);

	if (found == -1)
		return err_in(e, "the archive has another history than the server");
	if (found == 0 && s->contest.tli != 0) {
		wal_stream_event(s, "warning",
		    "a tier has other WAL than the server from %s on, and the server does not have "
		    "its own any more: that tier gets nothing, the others do",
		    lsn_text(s->contest.lsn, text));
		s->tolerated = true;
	} else if (begin(s, id, found == 1, fork, e) == -1) {
		return err_in(e, "the archive has another history than the server");
	}
	s->other = s->contest = (struct stream_other){ 0 };
	return 0;
}

void
wal_stream_other_look(struct stream *s)
{
	struct wal_ship_tier at;

	for (size_t i = 0; s->contest.tli == 0 && !s->tolerated && i < s->o->tiers; i++) {
		wal_ship_tier(s->ship, i, &at);
		if (at.why.kind != ERR_EXISTS)
			continue;
		s->contest = (struct stream_other){ .tli = at.tli, .lsn = at.until, .sure = at.until };
		s->checked = 0;
		s->moved = true; /* seen to with a connection of its own */
	}
}
