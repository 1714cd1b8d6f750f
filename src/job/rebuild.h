#ifndef JOB_REBUILD_H
#define JOB_REBUILD_H

#include "job/session.h"
#include "job/thaw.h"
#include "job/watch.h"

/*
 * A tier gets back what the tiers had at the time of a session_open_past(): into session.now, which may
 * be one of them, or another. What came there since stays (of repo/ and key/ that is a warning), and
 * what has lain there since is left alone. Proofs of another tier do not come along; and to a tier of an
 * archive class no pieces but those that lay there: instead what a copy would bring, in bundles. A bundle
 * that others alone had comes where its log does not come in pieces. What lies in an archive alone is
 * ordered back as the wish says; without a yes it stays there, and the rest is brought. What only others
 * had stays in their archives, unless the tier is new.
 */
struct rebuild_options {
	const struct thaw_wish *thaw;
	/* `missing` and `replaced` count what would be brought, without those new bundles. */
	bool dry_run;
};
struct rebuild_report {
	size_t names;	 /* objects that the tiers had then and the tier is to have */
	size_t missing;	 /* of these not on the tier, and brought */
	size_t replaced; /* of these others lay there, now below bad/ */
	size_t lost;	 /* of these no tier had a good one: each was a warning */
	size_t unanswered; /* of these none that answers; a tier that does not may: the same */
	size_t left, held; /* of these left in an archive, and snapshots that need such: a warning */
	uint64_t bytes;	 /* brought */
};

/* -1 ends it half way: it can go on. */
int rebuild_run(struct session *s, const struct rebuild_options *o, const struct watch *w,
    struct rebuild_report *ret, struct err *e);

#endif
