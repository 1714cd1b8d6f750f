#ifndef JOB_REHEARSE_H
#define JOB_REHEARSE_H

#include "job/restore.h"

/*
 * A restore for practice, level 3 of verification: into `scratch`, read back from there and
 * compared with the snapshot grain by grain, removed again.
 */
#define REHEARSE_LEVEL 3
#define REHEARSE_RECORD 8192 /* bytes of its record */

struct rehearse_options {
	const char *what; /* source or snapshot, as pick_snapshot() takes it */
	const char *tier; /* read from this one first; NULL: the nearest that lists it */
	const struct thaw_wish *thaw; /* as of a restore */
};

/*
 * *ret tells of the restore; restore_report_done() it in any case. ERR_CORRUPT when what was read
 * back is not the snapshot. Either is recorded on the tier it came from, when no other one had to
 * help and the session can sign. The scratch directory is removed in any case.
 */
int rehearse_run(struct session *s, const struct rehearse_options *o, const struct watch *w,
    struct restore_report *ret, struct err *e);

#endif
