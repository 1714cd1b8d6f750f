#ifndef JOB_EXPORT_H
#define JOB_EXPORT_H

#include "job/session.h"
#include "job/thaw.h"
#include "job/watch.h"

/* A snapshot as a plain tar, for whoever has no ffdr. */
struct export_options {
	const char *what; /* source or snapshot, as pick_snapshot() takes it */
	const char *tier; /* read from this one first; NULL: the nearest that lists it */
	const char *const *path; /* only these and what is below; none: everything */
	size_t paths;
	const struct thaw_wish *thaw; /* what of it lies in an archive; NULL: nothing is ordered */
	int fd; /* where the tar goes; borrowed */
};
struct export_report {
	char id[96];
	uint64_t entries, bytes; /* of contents */
	uint64_t lost; /* files that lack bytes, because no tier has them: zeros; each was told */
	unsigned fallbacks;	 /* objects that another tier had to give; told as one warning */
	int64_t took_ns;
	int64_t waited_ns; /* as of a restore */
};
/* After -1 what was written is no whole archive. */
int export_run(struct session *s, const struct export_options *o, const struct watch *w,
    struct export_report *ret, struct err *e);

#endif
