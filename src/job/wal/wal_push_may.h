#ifndef JOB_WAL_PUSH_MAY_H
#define JOB_WAL_PUSH_MAY_H

#include "job/wal/wal_push.h"
#include "source/pg/pg_walname.h"

/*
 * May that file be stored as the source's? It is on the way of the active timeline, its history is
 * that of the archive, and who pushes it is the server that conninfo leads to. A timeline that is
 * newer than the active one becomes the active one when that server is on it; where it cannot be
 * asked the file is taken, which is said, and the active timeline stays.
 */
struct wal_push_file {
	const char *path, *name; /* the name is the end of the path */
	struct pg_walname what;
	uint64_t start; /* of a segment, else 0 */
};
/*
 * 0; 1 it needs not be stored, for all that counts of it is another file's; or -1: ERR_STALE;
 * ERR_CORRUPT a history that is none; ERR_REFUSED as of wal_place_pin().
 */
int wal_push_may(struct repo *repo, const struct wal_push_options *o, const struct wal_push_file *f,
    struct err *e);

#endif
