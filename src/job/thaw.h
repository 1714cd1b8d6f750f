#ifndef JOB_THAW_H
#define JOB_THAW_H

#include "job/session.h"
#include "job/watch.h"
#include "repo/manifest.h"
#include "repo/reader.h"

/*
 * Before packs are read: those that lie in an archive, and nowhere at hand, are ordered back and waited
 * for. The stores hold the whole state of that, so a run that was ended goes on with the same command,
 * and orders nothing a second time.
 */
struct thaw_wish {
	const char *speed; /* "expedited", "standard", "bulk"; NULL: as [tier] says */
	unsigned days;	   /* they stay readable; 0: as [tier] says */
	bool yes;	   /* it may cost what it costs */
	bool no_wait;	   /* ERR_FROZEN once all is ordered */
	/* Shall it be ordered? 1 yes, 0 no, -1 nobody can be asked. NULL: nobody. */
	int (*ask)(void *arg);
	void *arg;
};
extern const struct thaw_wish thaw_wish_none; /* nothing is ordered */

struct thaw;
typedef void thaw_line(void *arg, const char *text);
/* One of them: tells it to the watch that arg is. */
thaw_line thaw_tell;
/*
 * first: who is asked first for each pack, unless it is an archive (tier.last). only: it alone counts.
 * never: nothing is ordered from there, and what it has is of no use (the target of a copy). Each may be
 * NULL. Until it is freed, a read that meets what has gone again orders that again and waits. preview: a
 * line for each sum instead of any order; ERR_FROZEN where the list of files itself lies in an archive.
 */
struct thaw_options {
	const struct thaw_wish *wish; /* NULL: thaw_wish_none */
	struct tier *first, *only, *never;
	struct wal_thaw *log; /* bundles that come with the packs of a snapshot; borrowed; NULL: none */
	const struct watch *watch;
	thaw_line *preview;
	void *preview_arg;
};
struct thaw *thaw_new(struct session *s, const struct thaw_options *o);
void thaw_free(struct thaw *t);
/* Nothing is asked of that tier any more, whose store is about to be closed. */
void thaw_leave(struct thaw *t, const struct tier *tier);

/*
 * All packs of the snapshot, or (paths > 0) those of its list, and then those of what was named. 0 they
 * can be read, or lie nowhere; ERR_REFUSED: it would cost, and nobody said yes; ERR_FROZEN: not waited
 * for; ERR_CANCELLED.
 */
int thaw_snapshot(struct thaw *t, struct reader *r, const char *const *path, size_t paths,
    struct err *e);
/* The packs of the manifest of which `have` (NULL: none) says no. */
int thaw_missing(struct thaw *t, const struct manifest *m,
    bool (*have)(void *arg, const uint8_t sha[LAYOUT_SHA]), void *arg, struct err *e);
/* Packs and bundles of WAL by their names. */
struct thaw_object {
	char name[LAYOUT_NAME];
	uint64_t size;
};
int thaw_objects(struct thaw *t, const struct thaw_object *o, size_t n, struct err *e);

/*
 * How long was waited before reading: for what was ordered, and for the answer of who was asked. Looking
 * at packs and lists, which takes its time on any tier, is no wait.
 */
int64_t thaw_waited(const struct thaw *t);

/*
 * After a preview: no more can be said without reading `what`, which lies in an archive. ERR_FROZEN,
 * with the sums. -1.
 */
int thaw_unsaid(struct thaw *t, const char *what, struct err *e);

#endif
