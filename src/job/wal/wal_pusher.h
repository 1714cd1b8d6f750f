#ifndef JOB_WAL_PUSHER_H
#define JOB_WAL_PUSHER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "job/wal/wal_place.h"
#include "source/pg/pg_dir.h"

/*
 * Who pushes? A copy of a server has its system id, its timeline and its archive_command, so none of
 * these tell. What tells is the server process: the one that made the data directory's
 * postmaster.pid is the one behind conninfo, or it is not.
 */

/* The server in whose data directory a file of pg_wal lies. */
struct wal_pusher {
	uint64_t sysid; /* 0: no data directory can be seen, the rest is zeros */
	bool replays;	/* a standby, or a restore: it writes no WAL of its own */
	bool lives;	/* there is a postmaster.pid; else what follows is zeros */
	struct pg_dir_server server;
};
/* Of "DIR/pg_wal/NAME"; also of one relative to the data directory, as %p is. */
void wal_pusher_read(const char *path, struct wal_pusher *ret);

/* The server that conninfo leads to. */
struct wal_pusher_server {
	struct pg_conn *sql;
	struct pg_identity id;
	int64_t start, port;
	char dir[PG_DIR_PATH]; /* "": the role may not ask */
	char place[256];	  /* where we came out, for people */
};
/* wal_pusher_server_done() in any case. */
int wal_pusher_ask(const char *conninfo, struct wal_pusher_server *ret, struct err *e);
void wal_pusher_server_done(struct wal_pusher_server *s);

/* Is the pusher of `path` that server? 1; 0 and *e is ERR_STALE; -1 when it could not be asked. */
int wal_pusher_is(const struct wal_pusher *p, struct wal_pusher_server *s, const char *path,
    struct err *e);

/* What was found is kept in `state`, for as long as that postmaster lives. */
enum wal_pusher_found { WAL_PUSHER_UNKNOWN, WAL_PUSHER_SAME, WAL_PUSHER_UNSEEN };
/*
 * SAME: it is the one behind conninfo, on that timeline. UNSEEN: that could not be told, which was
 * said; *again: it is time to ask once more.
 */
enum wal_pusher_found wal_pusher_recall(const struct wal_pusher *p, const char *state,
    const struct wal_place *place, uint32_t tli, const char *conninfo, bool *again);
void wal_pusher_keep(const struct wal_pusher *p, const char *state, const struct wal_place *place,
    uint32_t tli, const char *conninfo, enum wal_pusher_found found);

#endif
