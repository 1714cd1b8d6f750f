#ifndef JOB_PROVED_H
#define JOB_PROVED_H

#include "repo/record.h"
#include "store/tier.h"

/* What the records on a tier tell of one snapshot there, and of its source. */
struct proved {
	int level;	 /* the highest at which it was seen to be whole; -1: never */
	int64_t time_ns; /* when, the last time */
	int broken;	 /* the level at which it was found bad and not seen good since; -1: it was not */
	int64_t broken_ns;
	int64_t last_ns; /* of the source, whichever snapshot: when one was last seen to be whole; 0 */
	int last_level;
	char restored[LAYOUT_NAME]; /* the record of its newest restore for practice; "": none */
	bool untold; /* a record was refused, or the tier fell silent: there may be more of all that */
};
/*
 * -1: the records cannot be listed; *ret has what was seen until then. One that cannot be read is
 * told to `unread`, whose arg is NULL.
 */
int proved_read(const struct repo *r, struct tier *t, const struct layout_snap *snap,
    record_unread *unread, struct proved *ret, struct err *e);

/* How long that restore took, by its record. */
struct proved_pace {
	bool known;
	char id[96];	 /* of what */
	int64_t time_ns; /* when */
	uint64_t bytes;
	int64_t restore_ms;
	/* Of a database: the recovery behind it, and what that read. */
	int64_t recovery_ms;
	uint64_t wal_bytes;
};
/* Not known where it was made before such records told it. */
int proved_pace(const struct repo *r, struct tier *t, const struct proved *p,
    struct proved_pace *ret, struct err *e);

/*
 * A rate is believed from so many bytes on: below, a restore is mostly what it costs to begin. What
 * is at most twice as large as what was measured needs no rate, and what is small takes no time.
 */
#define PROVED_RATE_BYTES (UINT64_C(256) << 20)
#define PROVED_SMALL_BYTES (UINT64_C(16) << 20)
/*
 * How long one of so many bytes, with so much WAL, will take by that pace, in ms: never less than it
 * took. -1: not known, because nothing was measured that says so. Pure.
 */
int64_t proved_predict(const struct proved_pace *p, uint64_t bytes, uint64_t wal_bytes);

#endif
