#ifndef JOB_PREVIEW_H
#define JOB_PREVIEW_H

#include "job/watch.h"
#include "repo/reader.h"
#include "source/exclude.h"

/*
 * What a restore would do, told without reading contents: on one side the entries of the snapshot,
 * on the other those of the directory, both in path order.
 */
struct preview_options {
	const char *target; /* NULL: nothing is there */
	const char *const *path; /* relative and clean; none: everything */
	size_t paths;
	const struct exclude *exclude; /* what is there and matches stays; NULL: none */
	const struct own *own;	       /* and so do these */
	const char *const *skip; /* these and what is below them are not looked at, on either side */
	size_t skips;
	/*
	 * The target is that directory of the snapshot alone, and what is there and is not called
	 * PG_... stays: a tablespace. NULL: it is the root.
	 */
	const char *space;
};
struct preview_names {
	char **name; /* paths from the root of the volume */
	size_t count, room;
};
void preview_names_done(struct preview_names *n);

struct preview {
	uint64_t entries, files, bytes; /* of the snapshot, as far as wanted */
	uint64_t unchanged;		/* files of the same size and time */
	uint64_t write;			/* bytes of the other files */
	/* What the snapshot does not have; a directory stands for all that is in it. */
	struct preview_names removes;
	/* What is not there, in a target that is; a directory as above. */
	struct preview_names makes;
	/* Files that are there and look different, or where the snapshot has something else. */
	struct preview_names changes;
	/* What is there and right, but for its mode, owner or extended attributes. */
	struct preview_names adjusts;
	/*
	 * What could not be read when the snapshot was made, and directories that could not be
	 * listed: what is there in their place stays.
	 */
	uint64_t missing;
};
/*
 * Counts and lists come on top of what *ret has, which begins as zeros. The lists are filled in any
 * case: preview_names_done() them.
 */
int preview_run(struct reader *r, const struct preview_options *o, const struct watch *w,
    struct preview *ret, struct err *e);

/* Is `path` one of those, or below one? `.` is everything. */
bool preview_wants(const char *const *wanted, size_t count, const char *path, size_t len);

#endif
