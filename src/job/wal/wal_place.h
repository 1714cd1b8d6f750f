#ifndef JOB_WAL_PLACE_H
#define JOB_WAL_PLACE_H

#include "coord/coord.h"
#include "repo/repo.h"
#include "repo/wal_lineage.h"
#include "source/pg/pg_conn.h"
#include "source/pg/pg_history.h"
#include "store/tier.h"

/*
 * Under which system id and epoch the WAL of a source is kept now: active/<source> in the
 * coordination place. The first who comes with a server pins it; a server with another system id,
 * and one that is not on the way of the active timeline, is refused from then on.
 */
struct wal_place_server {
	struct pg_identity id;
	struct pg_history history; /* of its timeline */
};
/* Asked on a replication connection. wal_place_server_done() in any case. */
int wal_place_server(struct pg_conn *replication, const struct pg_identity *id,
    struct wal_place_server *ret, struct err *e);
void wal_place_server_done(struct wal_place_server *s);

/* Where to look when the place knows nothing: it may have been lost, and the tiers know better. */
struct wal_place_archive {
	const struct repo *repo;
	struct tier *const *tier; /* those that are away are passed over */
	size_t tiers;
};

/*
 * site: "" or NULL where none is known. anew: the source is this server's from now on, whatever was
 * pinned (it was made anew, upgraded, or set back): a new epoch. A primary that was promoted since
 * moves the active timeline on.
 *
 * ERR_STALE: another system id is pinned. ERR_REFUSED: the same system, but an old primary, a copy,
 * or a standby that has not followed. ERR_REMOTE: the place is away.
 */
int wal_place_pin(struct coord *c, const char *source, const char *site,
    const struct wal_place_server *server, const struct wal_place_archive *archive, bool anew,
    struct wal_place *ret, struct err *e);
/* What is pinned: 1, 0 nothing yet, -1. */
int wal_place_get(struct coord *c, const char *source, struct wal_place *ret, struct err *e);

#endif
