#ifndef JOB_WAL_RECEIVE_H
#define JOB_WAL_RECEIVE_H

#include "repo/spool.h"
#include "source/pg/pg_commit.h"
#include "source/pg/pg_stream.h"

/*
 * WAL of one timeline from a server into the spool, over one connection: whatever is confirmed to
 * the server is durable in the spool before.
 */
struct wal_receive;

struct wal_receive_options {
	struct pg_conn *conn; /* replication; taken whole */
	const char *slot;     /* NULL: none */
	struct spool *spool;
	uint32_t segment_size, tli;
	int64_t sample_ns; /* how old what is known of an idle server may become */
	uint64_t from; /* where to go on */
	/*
	 * What spool and tiers have of it, from known_from on (borrowed; may be empty). The stream
	 * begins with the segment of that or of `from`, and must be the same where it is known: else
	 * ERR_CORRUPT, and wal_receive_differs().
	 */
	const struct buf *known;
	uint64_t known_from;
};

int wal_receive_start(const struct wal_receive_options *o, struct wal_receive **ret, struct err *e);
void wal_receive_free(struct wal_receive *r); /* not the connection */

int wal_receive_fd(const struct wal_receive *r);
int wal_receive_wait_ms(const struct wal_receive *r);
/* 1 goes on, 0 the stream has ended, -1. What came is synced and confirmed when it returns 1 or 0.
 */
int wal_receive_step(struct wal_receive *r, struct err *e);
/* As pg_stream_waited(). */
int wal_receive_waited(const struct wal_receive *r, struct pg_conn *sql, struct err *e);
const struct pg_stream_end *wal_receive_end(const struct wal_receive *r);
/* The first byte that is another than the known one; 0: none was. */
uint64_t wal_receive_differs(const struct wal_receive *r);

struct wal_receive_state {
	uint64_t durable, server_end;
	bool proved; /* all that was to be compared before `from` has come and was the same */
	/* when the server was where server_end says, or earlier; by our boot time */
	int64_t seen_boot_ns;
	struct pg_commit_tally tally; /* since the start of this connection */
	struct err unread; /* kind != ERR_NONE: what came is no sound WAL from here on (kept all the
			      same) */
};
void wal_receive_state(const struct wal_receive *r, struct wal_receive_state *ret);

#endif
