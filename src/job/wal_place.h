#ifndef JOB_WAL_PLACE_H
#define JOB_WAL_PLACE_H

#include "coord/coord.h"
#include "repo/layout_wal.h"

/*
 * Under which system id and epoch the WAL of a source is kept now: active/<source> in the
 * coordination place. The first who comes with a server pins it; a server with another system id is
 * refused from then on.
 */
struct wal_place_server {
	uint64_t sysid;
	uint32_t tli;
	const char *site;
};
/*
 * adopt: the source is this server's from now on, whatever was pinned (it was made anew, or
 * upgraded): a new epoch. ERR_STALE: another system id is pinned. ERR_REMOTE: the place is away.
 */
int wal_place_pin(struct coord *c, const char *source, const struct wal_place_server *server,
    bool adopt, struct wal_place *ret, struct err *e);
/* What is pinned: 1, 0 nothing yet, -1. */
int wal_place_get(struct coord *c, const char *source, struct wal_place *ret, struct err *e);

#endif
