/*
 * Our own frontier decides, not the slot: a slot that was made anew stands later, and would hide
 * the hole. Whatever was received on an older timeline goes on there up to its end, which the
 * server still has; what was received beyond that end was a primary's that did not survive, and the
 * next timeline begins with the segment in which it was left.
 */
#include "job/wal/wal_resume.h"

#include <inttypes.h>

#include "base/lsn.h"

struct wal_resume_at
wal_resume_have(const struct wal_resume_at *spool, const struct wal_resume_at *tiers)
{
	return spool->tli > tiers->tli || (spool->tli == tiers->tli && spool->lsn > tiers->lsn) ?
	    *spool : *tiers;
}

static int
refuse(const struct wal_resume_view *v, struct wal_resume_at have, struct err *e)
{
	char ours[LSN_TEXT], theirs[LSN_TEXT];

	err_set(e, ERR_STALE,
	    "the server is not where its WAL was received before: an old primary, or a restored "
	    "one");
	err_line(e, "checked",
	    "received up to %s of timeline %" PRIu32 ", the server is at %s of timeline %" PRIu32,
	    lsn_text(have.lsn, ours), have.tli, lsn_text(v->server.lsn, theirs), v->server.tli);
	return err_line(e, "fix",
	    "let conninfo name the primary; if this is the database now: "
	    "`ffdr backup --new-system` begins a new epoch for it");
}

/* The timeline after `tli` on the way to the server's, from the segment in which that was left. */
static struct wal_resume_at
child_of(const struct wal_resume_view *v, uint64_t end)
{
	/* The byte at the end is the child's own. */
	return (struct wal_resume_at){ pg_history_at(v->history, end),
		lsn_segment(end, v->segment_size) };
}

int
wal_resume_at(const struct wal_resume_view *v, struct wal_resume_at *ret, struct err *e)
{
	const struct wal_resume_at have = wal_resume_have(&v->spool, &v->tiers);
	uint64_t from, to;

	if (have.tli == 0) {
		*ret = (struct wal_resume_at){ v->server.tli,
			lsn_segment(v->slot ? v->slot : v->server.lsn, v->segment_size) };
		return 0;
	}
	if (have.tli > v->server.tli || (have.tli == v->server.tli && have.lsn > v->server.lsn) ||
	    !pg_history_span(v->history, have.tli, &from, &to))
		return refuse(v, have, e);
	*ret = have.tli < v->server.tli && have.lsn > to ? child_of(v, to) : have;
	return 0;
}
