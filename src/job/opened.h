#ifndef JOB_OPENED_H
#define JOB_OPENED_H

#include "job/session.h"
#include "job/watch.h"
#include "repo/layout.h"
#include "repo/reader.h"

/*
 * A snapshot that somebody named, open for reading, and the paths of it that were asked for: how
 * restore and export begin.
 */
struct opened_options {
	const char *what;  /* source or snapshot, as pick_snapshot() takes it */
	int64_t at_ns;	   /* of a source, the newest until then; 0: no limit */
	const char *tier;  /* NULL: the nearest that lists it */
	const char *const *path; /* as typed: "/a/b/", "./a/b" and "a/b" are the same */
	size_t paths;
	const struct watch *watch; /* hears of a newer one that cannot be reached (job/pick.h) */
};
struct opened {
	struct layout_snap part;
	struct tier *first; /* who is asked first */
	struct reader *reader;
	char **path; /* relative, clean; "." is everything */
	size_t paths;
};
/* opened_done() in any case. After -1 `part` is of what was meant and cannot be read, or all zeros. */
int opened_new(struct session *s, const struct opened_options *o, struct opened *ret,
    struct err *e);
void opened_done(struct opened *o);
/* How many objects the first tier did not have whole; when any, one warning says what to do. */
unsigned opened_fallbacks(const struct opened *o, const struct watch *w);
/* The same for a reader of one's own. */
unsigned opened_tell_fallbacks(struct reader *r, const char *source, const struct watch *w);

#endif
