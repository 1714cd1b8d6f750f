#ifndef JOB_CHECK_NEED_H
#define JOB_CHECK_NEED_H

#include "job/check.h"
#include "job/inventory.h"
#include "job/session.h"

/* The disk each tier will need, as far as what was backed up until now tells. */
void check_need_tiers(struct check *c, const struct session *s, const struct inventory *inv);

/* One snapshot of a source. */
struct check_need_sample {
	int64_t time_ns;
	uint64_t bytes;	 /* of all files in it */
	uint64_t stored; /* new to the tier */
};
/*
 * At most so many bytes are needed to keep a source held_ms long: one full copy as if nothing
 * compressed, and what changes in that time. Samples in order of time. 0 when they do not reach
 * over a day. Pure.
 */
uint64_t check_need_bytes(const struct check_need_sample *sample, size_t n, int64_t held_ms);

#endif
