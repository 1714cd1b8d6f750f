#ifndef JOB_VERIFY_H
#define JOB_VERIFY_H

#include "job/session.h"
#include "job/verify_report.h"
#include "job/watch.h"
#include "repo/scrub.h"

/*
 * Proves what the tiers hold, without restoring: level 0 every pack that a manifest names is listed
 * with its size; 1 every byte hashes to its name; 2 every frame opens, every grain has its id, list
 * and maps can be read and say the same as the packs. Least recently verified first, so that a
 * time budget gets round. Databases with their WAL (verify_wal.h). At every level and whatever is
 * named, each tier's own repo/ and key/ objects are proved as well (repo/repo_audit.h), and that the
 * snapshots which this host knows as the newest are still there (repo/newest.h).
 */
struct verify_options {
	const char *const *snapshot; /* as pick_snapshot() takes them; none: all */
	size_t snapshots;
	const char *const *source; /* full names: all of these; none: all */
	size_t sources;
	struct tier *tier; /* only there, open or verify_ruined(); NULL: all that answer */
	enum scrub_level level;
	int64_t limit_ms; /* time budget; 0: none */
	/*
	 * a bad or missing object is fetched from another tier; the bad one is set aside below
	 * bad/. A bad pack is set aside also when no tier that answers has a good one.
	 */
	bool repair;
};

/*
 * Is that tier closed because what was ours there is gone, though it answers? A verification tells that
 * as a finding, with what this host knows as the newest there. In the past nothing is missed.
 */
bool verify_ruined(const struct session *s, const struct tier *t);
/*
 * Only reports, unless `repair`. A success is recorded on the tier (rec/verified) when the session
 * can sign. -1: ERR_CANCELLED, ERR_NOTFOUND, ERR_USAGE, ERR_REMOTE; damage is no error but a
 * finding. The report is filled in any case; verify_report_done() it.
 */
int verify_run(struct session *s, const struct verify_options *o, const struct watch *w,
    struct verify_report *ret, struct err *e);

#endif
