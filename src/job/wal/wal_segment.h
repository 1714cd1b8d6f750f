#ifndef JOB_WAL_SEGMENT_H
#define JOB_WAL_SEGMENT_H

#include "repo/walread.h"

/*
 * A segment as a recovery asks for it: walread_segment(), and of one in which its timeline forked the
 * bytes before the fork are those of the parent where nobody has them as the timeline's own.
 */
int wal_segment(struct walread *r, uint32_t tli, uint64_t start, uint64_t segment_size,
    struct buf *out, uint64_t *until, struct err *e);

#endif
