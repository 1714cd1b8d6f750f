#ifndef JOB_PICK_H
#define JOB_PICK_H

#include "job/session.h"
#include "job/watch.h"
#include "repo/layout.h"

/*
 * Which snapshot a person meant, over all tiers, and which tier is to be asked first for it.
 */
struct pick_options {
	const char *text;  /* as snapshot_resolve() takes it; the source may be without its kind */
	struct tier *tier; /* only what this one lists; NULL: all that answer */
	bool partial;	   /* a partial one will do when it is named */
	/*
	 * The newest until then, `text` being a source, by the time in its name or, where that is yet
	 * to come, by when it was stored; 0: no limit.
	 */
	int64_t at_ns;
	/*
	 * Told as a warning when a tier does not answer and this host remembers a newer snapshot
	 * that would have been meant, but which no tier that answers has. NULL: nobody.
	 */
	const struct watch *watch;
};

/*
 * *ret_tier: the nearest tier that lists it; from then on objects are read as is near for its source
 * (job/tiers.h), and o->tier first. ERR_NOTFOUND, ERR_USAGE with the candidates when it is
 * not unique among all that any tier has. ERR_NOTFOUND also when nothing is as old as at_ns.
 * After -1 `name` is that of the snapshot that was meant and cannot be read, or "".
 */
int pick_snapshot(struct session *s, const struct pick_options *o, char name[LAYOUT_NAME],
    struct tier **ret_tier, struct err *e);
/*
 * Is it configured, or on a tier that answers (NULL: any)? Else a slip of the pen: ERR_USAGE, with
 * the name that was meant.
 */
int pick_known(struct session *s, const char *source, struct tier *tier, struct err *e);
/* "uploads" or "vol.uploads", configured or not, as "vol.uploads" into out. */
int pick_source(const struct session *s, const char *text, char out[64], struct err *e);

#endif
