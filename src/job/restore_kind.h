#ifndef JOB_RESTORE_KIND_H
#define JOB_RESTORE_KIND_H

#include "job/rehearse.h"
#include "job/run.h"
#include "source/tree.h"

/*
 * A restore of one kind of source. restore.c finds out what was meant and calls the row; a kind is
 * a const struct in a file of its own.
 */
struct restore_kind {
	enum conf_kind kind;
	/* As restore_run(), whose report is empty and whose took_ns is set by it. */
	int (*run)(struct session *s, const struct restore_options *o, const struct watch *w,
	    struct restore_report *ret, struct err *e);
	/*
	 * The proof of rehearse_run(), in a directory that is not there yet and is removed
	 * afterwards, with lines for its record. NULL: by restoring twice, as of all that is files.
	 */
	int (*prove)(struct session *s, const struct rehearse_options *o, const char *dir,
	    const struct watch *w, struct restore_report *ret, struct buf *proof, struct err *e);
};

/* The kind of what was named; where that is not to be known, the first one, which says so. */
const struct restore_kind *restore_kind_of(struct session *s, const char *what);

/* Adds to the report. */
void restore_kind_tell(struct restore_report *r, const char *label, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void restore_kind_fact(struct restore_report *r, bool number, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Brings the packs of the snapshot, or of these paths of it, out of the archive, with bundles of WAL
 * (NULL: none), before anything is written; in a dry run it only tells. *ret lives until the last byte
 * was read; thaw_free().
 */
struct restore_kind_what {
	const char *const *path;
	size_t paths;
	struct wal_thaw *log;
};
int restore_kind_thaw(const struct restore_options *o, struct run *run, struct tier *first,
    struct reader *r, const struct restore_kind_what *what, struct restore_report *report,
    struct thaw **ret, struct err *e);
/* What every kind asks of the tree. */
struct tree_options restore_kind_tree(const struct restore_options *o, struct run *run,
    const char *source);
void restore_kind_count(struct restore_report *r, const struct tree_report *seen);
/*
 * A failure half way keeps its kind, which is its exit code, and gains what is to be known of the
 * place, and the way on: `no_copy` where no tier has a good copy. When somebody asked to stop, it is that,
 * whatever a read that was broken off looks like. -1.
 */
int restore_kind_half_way(const struct restore_options *o, struct run *run,
    const struct restore_report *r, const char *no_copy, struct err *e);

/* The kinds there are. */
extern const struct restore_kind restore_volume;
extern const struct restore_kind restore_pg;

#endif
