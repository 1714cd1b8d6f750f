#ifndef COORD_LEASE_H
#define COORD_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "coord/coord.h"

/*
 * A name that one holder has for a while: lease/wal/<source>, lease/operator ... Leases save work
 * and avoid doubles; nothing that must never happen rests on one alone. Taken when it is free, past
 * its end by more than the clocks may differ, or already ours; given back by writing `free`.
 */
#define LEASE_WORD 128

struct lease_times {
	int64_t ttl_ms;	 /* [coordination] ttl */
	int64_t skew_ms; /* by how much clocks of hosts may differ */
};

struct lease_text {
	bool free;
	char holder[LEASE_WORD]; /* who: equal means ours, also after a restart. No blanks */
	char host[LEASE_WORD];
	uint64_t pid;
	char purpose[LEASE_WORD];
	int64_t until_ns; /* of the holder's clock; kept in microseconds */
	uint64_t attempt; /* one more with each taking */
};

struct lease {
	struct coord *coord; /* borrowed */
	char name[LEASE_WORD];
	char etag[COORD_ETAG];
	struct lease_times times;
	struct lease_text text;
	int64_t good_boot_ns; /* by boot time: up to here nobody else can have taken it */
};

/*
 * holder, host, pid, purpose of `want` count. 1 taken, *ret is it; 0 a living other has it, *other
 * (may be NULL) says who; -1.
 */
int lease_take(struct coord *c, const char *name, const struct lease_text *want,
    const struct lease_times *times, struct lease *ret, struct lease_text *other, struct err *e);
/* Another ttl. ERR_STALE: it was lost, and to whom; ERR_REMOTE: not known, good until lease_good. */
int lease_renew(struct lease *l, struct err *e);
/* True while nobody else can have taken it, by our own clock: ask right before publishing. */
bool lease_good(const struct lease *l);
/* Gives it back; one that was lost meanwhile is no error. */
int lease_release(struct lease *l, struct err *e);
/* Who has it: 1; 0 nobody (never taken, given back, or past its end); -1. */
int lease_look(struct coord *c, const char *name, const struct lease_times *times,
    struct lease_text *ret, struct err *e);

void lease_text_write(const struct lease_text *t, struct buf *out);
int lease_text_read(const struct buf *text, struct lease_text *ret, struct err *e);

#endif
