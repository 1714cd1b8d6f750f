#ifndef JOB_TARGET_H
#define JOB_TARGET_H

#include <stdbool.h>

#include "base/err.h"

/*
 * May a restore write into this directory? An absent or empty one, always. One with something in it
 * only as a delta, and only when it is where the source lives or bears the mark of an earlier
 * restore of that source. What lives there is not given up for a snapshot of another host or
 * directory, unless somebody says so: two hosts may use one name.
 */
struct target_wish {
	const char *to;
	const char *source; /* "vol.uploads" */
	const char *origin; /* where the source lives on this host; NULL: not here */
	bool delta;
	const char *id;	   /* of the snapshot */
	/*
	 * Where it was captured, when that is not this host or not `origin` (whose_other()); NULL:
	 * here.
	 */
	const char *other;
	bool other_wanted; /* somebody said that it may be from another host */
};

/*
 * *path (the caller frees) is its absolute name.
 * ERR_REFUSED says what would be possible. Touches nothing.
 */
int target_judge(const struct target_wish *wish, char **path, struct err *e);

#endif
