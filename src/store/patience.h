#ifndef STORE_PATIENCE_H
#define STORE_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "store/store.h"

/*
 * How long one call on a store goes on trying, and what it waits for: the next try, a store that wants
 * to be left alone, the rate. For store.c alone.
 */
#define PATIENCE_NS (30 * CLOCK_S)
/* A manifest is the work of hours; but one that comes later than this must not come at all. */
#define PATIENCE_COMMIT_NS (1800 * CLOCK_S)

struct patience {
	struct err unasked; /* what went wrong when the caller does not want to know: we must */
	int64_t limit_ns;
	int64_t end_ns;
	int64_t pause_ns;
	unsigned failed; /* tries so far */
	bool begun;
};
/* A caller may give no error, but its kind decides here: e, or one of ours. Comes before all else. */
struct err *patience_err(struct patience *p, struct err *e);
void patience_begin(struct patience *p, int64_t limit_ns);
/* Before a try: waits while the store wants to be left alone. The boot time then. */
int64_t patience_try(struct store *s);
/* After a failed try: true when there shall be another one, now. */
bool patience_wait(const struct store *s, struct patience *p, struct err *e);
/* Both, for a loop: shall it be tried, for the first time or after a failure? rc is how the last ended. */
bool patience_next(struct store *s, struct patience *p, int rc, struct err *e);
/* Keeps the rate, after n bytes that began to move at begin_ns. */
void patience_pay(struct store *s, int64_t begin_ns, uint64_t n);
#endif
