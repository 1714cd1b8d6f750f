#ifndef JOB_COPY_PLAN_H
#define JOB_COPY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which snapshots of a source one tier takes now: pure. */
struct copy_plan_item {
	int64_t time_ns; /* as expire_time() judges it; INT64_MAX: nobody knows */
	bool there;	 /* on that tier */
	bool out;	 /* never copied: partial, or let go of there */
	bool complete;	 /* known to be so; the caller's own */
	bool wanted;	 /* the answer */
};
struct copy_plan_rules {
	int64_t now_ns;
	int64_t takes_ns; /* 0: all */
	int64_t keep_ns;  /* how long it would stay there; -1: forever */
};
/*
 * Items oldest first, in the order of their names, up to the newest complete one. Wanted is what is
 * not there and would be kept there: all of it, or of each period that has none there the newest.
 */
void copy_plan(struct copy_plan_item *item, size_t n, const struct copy_plan_rules *rules);

#endif
