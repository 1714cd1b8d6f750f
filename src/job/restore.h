#ifndef JOB_RESTORE_H
#define JOB_RESTORE_H

#include "job/preview.h"
#include "job/session.h"
#include "job/watch.h"

/*
 * A snapshot becomes a directory again. What may be written into: job/target.h.
 */
struct restore_options {
	const char *what; /* source or snapshot, as pick_snapshot() takes it */
	int64_t at_ns;	  /* the newest until then; 0: the newest, or the one named */
	const char *tier; /* read from this one first; NULL: the nearest that lists it */
	const char *to;
	const char *const *path; /* only these and what is below; none: everything */
	size_t paths;
	bool delta;   /* write only what differs, remove what the snapshot does not have */
	bool from_another_host; /* with delta: what lives here may become what lived there */
	bool dry_run; /* look and count, change nothing */
	bool no_sync; /* do not wait until everything is on disk */
	bool trusted; /* the directory is the caller's own: it is not judged */
};

struct restore_report {
	char id[96], source[64];
	char *to;	  /* absolute */
	const char *tier; /* who was asked first */
	uint64_t entries, files;
	uint64_t bytes;	    /* of contents, holes included */
	uint64_t written;   /* bytes; in a dry run of files that look different */
	uint64_t unchanged; /* in a dry run: files that look right */
	uint64_t removed;   /* entries */
	uint64_t excluded;  /* entries left there because the source excludes them */
	struct preview_names removes, changes; /* in a dry run with delta: which */
	uint64_t missing;   /* files that could not be read when the snapshot was made */
	uint64_t lost;	    /* files that lack bytes, because no tier has them; each was told */
	/* objects that the first tier did not have whole; told as one warning */
	unsigned fallbacks;
	int64_t took_ns;
};

/*
 * Whatever is not as it was captured is told to the watch as "warning". ERR_REFUSED: nothing was
 * touched. ERR_CANCELLED: interrupted; with --delta it goes on. The report is filled in any case.
 */
int restore_run(struct session *s, const struct restore_options *o, const struct watch *w,
    struct restore_report *ret, struct err *e);
void restore_report_done(struct restore_report *r);

#endif
