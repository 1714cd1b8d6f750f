#ifndef JOB_WAL_PUSH_SAME_H
#define JOB_WAL_PUSH_SAME_H

#include "job/wal/wal_push_may.h"
#include "source/pg/pg_conn.h"

/*
 * Is that segment, byte for byte, the one that the server behind conninfo has in its log, where it was
 * seen at `id`, on the same timeline? One that it has removed is proved by newer WAL beside it. 1; 0 it
 * is not, or the server has not written so far: *name is the segment that differs (malloced, in any
 * case, may be NULL); -1 that cannot be told, and why: ERR_NOTFOUND when the server has removed it, and
 * has nothing in common with what is beside it yet.
 */
int wal_push_same(const struct wal_push_options *o, const struct wal_push_file *f,
    const struct pg_identity *id, char **name, struct err *e);

#endif
