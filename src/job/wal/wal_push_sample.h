#ifndef JOB_WAL_PUSH_SAMPLE_H
#define JOB_WAL_PUSH_SAMPLE_H

#include "repo/wal_beat.h"
#include "store/tier.h"

/* A stretch of WAL that was finished: of a segment, n bytes from lsn on. */
struct wal_push_sample_of {
	const uint8_t *bytes;
	size_t n;
	uint64_t lsn, sysid;
	uint32_t segment_size;
};

/*
 * What the stretch itself says of when its server had written it: the time and the end of its last
 * commit. The time is by the clock of whichever tier is furthest behind, so it claims too much on
 * none. True; false: it has no commit, or no time that makes sense, and nothing is known. Any thread.
 */
bool wal_push_sample(const struct wal_push_sample_of *of, struct tier *const *tier, size_t tiers,
    struct wal_sample *ret);

#endif
