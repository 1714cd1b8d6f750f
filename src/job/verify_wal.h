#ifndef JOB_VERIFY_WAL_H
#define JOB_VERIFY_WAL_H

#include "job/verify.h"
#include "job/verify_frozen.h"

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
 * `unread` gets what base backups need and lies in an archive: from level 1 on, where it would be read.
 *
 * Findings go into the report. -1: ERR_CANCELLED, or the tier does not answer.
 */
int verify_wal(struct session *s, struct tier *t, const struct verify_options *o,
    char (*named)[LAYOUT_NAME], int64_t end_ns, const struct watch *w, struct verify_report *ret,
    struct verify_frozen *unread, struct err *e);

#endif
