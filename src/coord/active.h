#ifndef COORD_ACTIVE_H
#define COORD_ACTIVE_H

#include <stdint.h>

#include "coord/coord.h"

/*
 * Who is primary: active/<source>, changed by compare and swap; and the counter `epoch` of the
 * place, raised whenever somebody becomes primary in a new way (failover, switchover, failback,
 * restore --adopt). active/<source> keeps the epoch that last moved that source.
 */
struct active {
	uint32_t epoch;
	char site[64];	/* "-": none was configured */
	uint64_t sysid;
	uint32_t tli;
	uint64_t fork_lsn; /* where this epoch left the one before; 0: the first */
	char etag[COORD_ETAG]; /* what was read; "": nothing there yet */
};

/* 1; 0 none, and *ret is zeros: active_set() then makes it; -1. */
int active_get(struct coord *c, const char *source, struct active *ret, struct err *e);
/*
 * Writes a, over what a->etag stands for. 1, and a->etag is the new one; 0 somebody else wrote
 * since: get it again; -1. ERR_REFUSED when its epoch is lower than what is there.
 */
int active_set(struct coord *c, const char *source, struct active *a, struct err *e);

/* The counter: 0 where nothing was counted yet. */
int active_epoch(struct coord *c, uint32_t *ret, struct err *e);
/* One more; the number belongs to this caller alone. */
int active_epoch_raise(struct coord *c, uint32_t *ret, struct err *e);

#endif
