#ifndef SOURCE_PG_HISTORY_H
#define SOURCE_PG_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A timeline that was left, and where. */
struct pg_history_step {
	uint32_t timeline;
	uint64_t end; /* the first byte that is not its own any more */
};

/* A timeline with its ancestors, the oldest first. Timeline 1 has none and no file. */
struct pg_history {
	uint32_t timeline;
	struct pg_history_step *step;
	size_t count;
};

/* As of a timeline without ancestors. */
void pg_history_init(struct pg_history *h, uint32_t timeline);
void pg_history_done(struct pg_history *h);

#define PG_HISTORY_MAX (UINT64_C(1) << 20) /* bytes of a file: 20,000 failovers */

/*
 * The text of TTTTTTTT.history of `timeline` into *h, which is initialized. Refused with ERR_CORRUPT
 * and the line's number: a line that is not `timeline LSN reason`, timelines that do not rise up to
 * below `timeline`, LSNs that go back. On failure *h is as pg_history_init() leaves it.
 */
int pg_history_parse(uint32_t timeline, const char *text, size_t n, struct pg_history *h,
    struct err *e);

/* The timeline whose own the byte at lsn is, on the way to h->timeline. */
uint32_t pg_history_at(const struct pg_history *h, uint64_t lsn);
/* Is `timeline` h->timeline or an ancestor of it? Its own bytes are then [*from, *to). */
bool pg_history_span(const struct pg_history *h, uint32_t timeline, uint64_t *from, uint64_t *to);
/*
 * Does a state of `timeline` at `lsn` lie on the way to h->timeline? True also at the very point
 * where it was left: all before it is common.
 */
bool pg_history_covers(const struct pg_history *h, uint32_t timeline, uint64_t lsn);
/*
 * Up to where the two are one and the same: UINT64_MAX when they are so wholly, 0 when they begin with
 * different timelines.
 */
uint64_t pg_history_common(const struct pg_history *a, const struct pg_history *b);
/*
 * Is `old` (an ancestor's history) what h says of it? An archive in which it is not holds two
 * servers that took the same number.
 */
bool pg_history_extends(const struct pg_history *h, const struct pg_history *old);

#endif
