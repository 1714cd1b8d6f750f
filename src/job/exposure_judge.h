#ifndef JOB_EXPOSURE_JUDGE_H
#define JOB_EXPOSURE_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How much would be lost at most if the primary died now and only this tier were left. Pure. An
 * upper bound, never a hope: what is not known is said as not known, and is above any consent.
 */
struct exposure_sample {
	int64_t time_ns;  /* by the clock that now_ns is of */
	uint64_t lsn;	  /* what the primary had flushed then */
	uint64_t commits; /* running count; 0: not known */
};

enum exposure_primary {
	EXPOSURE_NOT_ASKED,
	EXPOSURE_REACHED,     /* and it has flushed up to primary_lsn */
	EXPOSURE_UNREACHABLE, /* it may be dead, or alive and writing */
};

struct exposure_facts {
	int64_t now_ns;	  /* at the latest */
	int64_t fresh_ns; /* a sample is fresh for so long: twice ship-every */
	bool here;	  /* a recovery from this tier alone ends at `reach` */
	uint64_t reach;
	/* The newest sample with an LSN up to reach, and the newest of all, on whichever tier. */
	bool sampled, seen;
	struct exposure_sample durable, newest;
	enum exposure_primary primary;
	uint64_t primary_lsn;
};

struct exposure {
	bool known;
	int64_t ns;	   /* at most so much; of it ... */
	int64_t unseen_ns; /* ... since when nobody has seen the primary */
	bool bytes_known;  /* else bytes is what is known of, and there may be more */
	uint64_t bytes;
	bool commits_known;
	uint64_t commits; /* likewise */
};

void exposure_judge(const struct exposure_facts *f, struct exposure *ret);
/* Only a known one can be within what somebody consents to. */
bool exposure_judge_within(const struct exposure *x, int64_t consent_ns);
/* The smaller of the two: what is lost when either tier is left. One that is not known is the
 * larger. */
bool exposure_judge_less(const struct exposure *a, const struct exposure *b);

/* Of a snapshot that is all there is: what happened since it was begun. */
void exposure_judge_snapshot(int64_t begun_ns, int64_t now_ns, struct exposure *ret);

#endif
