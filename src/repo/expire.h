#ifndef REPO_EXPIRE_H
#define REPO_EXPIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which snapshots of one source on one tier may go: pure. All times are the store's. The reasons
 * are for people: each snapshot gets one, kept or not.
 */
enum expire_reason {
	EXPIRE_KEEP_NEWEST,   /* the newest, or the newest complete one */
	EXPIRE_KEEP_WINDOW,   /* inside keep */
	EXPIRE_KEEP_EDGE,     /* the newest complete one up to the window's start */
	EXPIRE_KEEP_ROOT, /* something else of the window rests on it */
	EXPIRE_KEEP_VERIFIED, /* the last one verified, and not found broken since */
	EXPIRE_KEEP_HELD,
	EXPIRE_KEEP_PARENT, /* a run may have it as parent: no newer one is older than W + 1 h */
	EXPIRE_KEEP_FUTURE, /* its time has not come: a clock was wrong, its age is not known */
	/* the newest that is known to be good or bad is bad: later ones may be no better */
	EXPIRE_KEEP_BROKEN,
	EXPIRE_KEEP_OWED,   /* another tier would take and keep it, and has not got it */
	EXPIRE_KEEP_HALF,   /* more than half would go within a day */
	EXPIRE_GO_AGE,
	EXPIRE_GO_PARTIAL, /* a partial one that a newer complete one has replaced */
	EXPIRE_GO_RETIRED,
	EXPIRE_GO_DISCARDED, /* nobody can read it, and a person gave it up */
	EXPIRE_REASONS
};

struct expire_item {
	int64_t time_ns;   /* of the snapshot (its name) */
	int64_t stored_ns; /* of the manifest, by the store */
	/*
	 * When the state was that it holds, where that is not time_ns (0): by this it is in the window
	 * or before it.
	 */
	int64_t ready_ns;
	bool partial, held;
	bool verified; /* by the last that is known of it; never together with broken */
	bool broken;
	bool owed; /* another tier would take it */
	bool root; /* a restore to a time of the window needs it: of its kind of source to tell */
	enum expire_reason reason; /* the answer */
};
struct expire_rules {
	int64_t now_ns;
	int64_t keep_ns; /* counted back from the newest complete one, not from now; -1: forever */
	int64_t longest_ns; /* W */
	bool more_than_half;
	size_t lately; /* complete ones that went within the last day */
	bool retire; /* let go of everything but what is held; neither parent nor half are asked */
};
/*
 * The time a snapshot is judged by: that of its name; when that lies more than LAYOUT_SKEW_NS ahead
 * of now, the time it was stored; when that does too, INT64_MAX: nobody knows.
 */
int64_t expire_time(const struct expire_item *it, int64_t now_ns);
/* Where the window of these items starts; INT64_MIN: nothing is older than it. */
int64_t expire_window(const struct expire_item *item, size_t n, const struct expire_rules *rules);
/*
 * Items oldest first, in the order of their names: "newer" is that order here as in the choice of a
 * parent. Returns how many go. At most half of the complete ones do, those that went lately
 * included, the oldest first; partial ones are no snapshots and are not counted.
 */
size_t expire_plan(struct expire_item *item, size_t n, const struct expire_rules *rules);
bool expire_goes(enum expire_reason r);
const char *expire_reason_text(enum expire_reason r);

#endif
