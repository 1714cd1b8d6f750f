#ifndef JOB_VERIFY_WAL_H
#define JOB_VERIFY_WAL_H

#include "job/verify.h"
#include "repo/manifest.h"
#include "repo/snapshot.h"

struct verify_wal; /* the databases on one tier */
/* What was seen of the WAL that a base backup itself needs; the worst is the last. */
enum verify_own {
	VERIFY_OWN_GOOD,   /* all that a look at that level shows; also of what is no database */
	VERIFY_OWN_UNREAD, /* it is listed, and not all of it was read: it lies in an archive */
	VERIFY_OWN_BAD,	   /* some is damaged or missing, and was not mended */
};

/*
 * The WAL that a tier must have: of each base backup there its own, and on a tier that receives WAL
 * all from the oldest base backup on the active way to the newest byte. Level 0: it is listed, without
 * a hole; what is recorded as lost and nobody has is none. 1: each piece hashes to its own trailer. 2:
 * it opens, and is of the bytes that its name says.
 *
 * Under a time budget it goes on behind the piece it came to last time, round and round (remembered
 * in the state directory). With `repair`, what another tier has comes from there, as the same object
 * or as the same bytes; the bad one is set aside.
 *
 * Findings go into the report. -1: ERR_CANCELLED, or the tier does not answer. What *ret was is of no
 * matter; verify_wal_free() it in any case.
 */
int verify_wal(struct session *s, struct tier *t, const struct verify_options *o,
    char (*named)[LAYOUT_NAME], int64_t end_ns, const struct watch *w, struct verify_report *report,
    struct verify_wal **ret, struct err *e);
/* Of that snapshot; what of it had no turn for want of time is proved now. -1: as above. */
int verify_wal_own(struct verify_wal *sources, const struct snapshot *snap, const struct manifest *m,
    enum verify_own *ret, struct err *e);
void verify_wal_free(struct verify_wal *sources); /* NULL: nothing */

#endif
