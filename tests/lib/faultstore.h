#ifndef TESTS_LIB_FAULTSTORE_H
#define TESTS_LIB_FAULTSTORE_H

#include "store/store.h"

/*
 * A store that wraps another one and fails on the n-th call: what networks, disks and bad servers
 * do to us. It takes the inner store (closing closes both). Listings and clocks can fail, too;
 * the kinds that speak of bytes only strike their own operation.
 */
enum fault_kind {
	FAULT_NONE,
	FAULT_REMOTE, /* ERR_REMOTE, nothing done */
	FAULT_IO,     /* ERR_IO, nothing done */
	FAULT_FULL,   /* ERR_FULL, nothing done */
	FAULT_SHORT,  /* get: the last third of the bytes is missing, and no error */
	FAULT_FLIP,   /* get: one bit in the middle is another one, and no error */
	FAULT_DELAY,  /* clock_sleep_ns(delay_ns) first, then as asked */
	FAULT_AFTER,  /* done as asked, then ERR_REMOTE: the answer was lost */
	FAULT_LIE,    /* put: says 1 and stores nothing; del: says 1 and deletes nothing */
	FAULT_MIDDLE, /* list: ERR_REMOTE after half of the entries; get: after half of the bytes */
	FAULT_KILL,   /* SIGKILL to this process before the call */
};

struct fault {
	enum fault_kind kind;
	const char *op; /* "put", "get", "stat", "list", "del", "clock"; NULL: all count */
	unsigned at;	/* strikes at this call, from 1 ... */
	unsigned times; /* ... and at so many in a row; 0 is 1 */
	int64_t delay_ns;
};

struct store *faultstore_new(struct store *inner);
struct store *faultstore_inner(struct store *s);
/* Counts from here on. */
void faultstore_arm(struct store *s, const struct fault *f);
/* Calls since then that f->op allows. */
unsigned faultstore_calls(const struct store *s);
/* How often it struck since then. */
unsigned faultstore_struck(const struct store *s);

#endif
