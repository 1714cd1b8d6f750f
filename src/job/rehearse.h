#ifndef JOB_REHEARSE_H
#define JOB_REHEARSE_H

#include "job/restore.h"

/*
 * A restore for practice, level 3 of verification: into `scratch`, read back from there and
 * compared with the snapshot grain by grain, removed again.
 */
#define REHEARSE_LEVEL 3

struct rehearse_options {
	const char *what; /* source or snapshot, as pick_snapshot() takes it */
	const char *tier; /* read from this one first; NULL: the nearest that lists it */
};

/*
 * *ret tells of the restore; restore_report_done() it in any case. ERR_CORRUPT when what was read
 * back is not the snapshot. A success that needed no other tier is recorded on the one it came
 * from, when the session can sign. The scratch directory is removed in any case.
 */
int rehearse_run(struct session *s, const struct rehearse_options *o, const struct watch *w,
    struct restore_report *ret, struct err *e);

#endif
