#ifndef SOURCE_PG_STREAM_H
#define SOURCE_PG_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "source/pg/pg_conn.h"

/*
 * WAL as the server makes it, over a replication connection (START_REPLICATION PHYSICAL). Never
 * waits; the caller polls the descriptor, steps, makes durable what it was given, and confirms that:
 *
 *	pg_stream_start(from, tli)
 *	for (;;) {
 *		poll(pg_stream_fd(), pg_stream_wait_ms())
 *		pg_stream_step()	    1: calls `wal`; 0: it has ended, pg_stream_end() says how
 *		fsync; pg_stream_confirm()  what is durable, and only that
 *	}
 *	pg_stream_free()                    the connection is free for the next command, where it lives
 *
 * Every byte from `from` on is given once and in order: a message that does not begin where the last
 * one ended is ERR_CORRUPT, also the first one. A message may cross the end of a segment.
 *
 * The server is told: write = what came, flush and apply = what was confirmed. So a synchronous
 * commit waits for our fsync at every level of synchronous_commit.
 */
struct pg_stream;

/* Between two reports when nothing asks for one; well below wal_sender_timeout (60 s). */
#define PG_STREAM_STATUS_MS 10000
/* Nothing came for so long: the server is asked for a sign of life, and after twice that given up. */
#define PG_STREAM_SILENCE_MS 20000
/* Bytes given in one step; more wait for the next. */
#define PG_STREAM_STEP (UINT32_C(1) << 20)

struct pg_stream_options {
	const char *slot; /* of this connection's server; NULL: none */
	uint64_t from;	  /* the start of a segment */
	uint32_t tli;
	uint64_t durable; /* confirmed from the start: what the caller holds already; 0: nothing */
	bool eager;	  /* report each confirm at once (synchronous standby) */
	int status_ms;	  /* 0: PG_STREAM_STATUS_MS */
	int silence_ms;	  /* 0: PG_STREAM_SILENCE_MS */
	int ask_ms;	  /* a server that is idle tells where it is at least so often; 0: as silence_ms */
	/* data lives during the call. server_end: how far the server has WAL. Set. */
	int (*wal)(void *arg, uint64_t lsn, const uint8_t *data, size_t n, uint64_t server_end,
	    struct err *e);
	void *arg;
};

enum pg_stream_how {
	PG_STREAM_RUNS,
	PG_STREAM_TIMELINE, /* this timeline ended: it goes on as next_tli from next_lsn */
	PG_STREAM_CLOSED,   /* the server ends in good order, and has given us everything */
	PG_STREAM_REMOVED,  /* what we asked for is not there any more: no use to try again */
};
struct pg_stream_end {
	enum pg_stream_how how;
	uint32_t next_tli; /* PG_STREAM_TIMELINE */
	uint64_t next_lsn; /* where the next timeline left ours; at or before what came */
	struct err why;	   /* PG_STREAM_REMOVED: as the server says it */
};

/*
 * On a connection that nothing else uses until pg_stream_free. A start on a timeline that ended
 * right there is a stream that ends at its first step. ERR_REFUSED, here or at the first step: the
 * server is not there yet, or `from` is not in its history. The options are copied.
 */
int pg_stream_start(struct pg_conn *c, const struct pg_stream_options *o, struct pg_stream **ret,
    struct err *e);
/*
 * Takes what has come, answers what asks, reports when it is time. 1 goes on, 0 ended, -1: also what
 * `wal` returned. After 0 and -1 not to be called again.
 */
int pg_stream_step(struct pg_stream *s, struct err *e);
const struct pg_stream_end *pg_stream_end(const struct pg_stream *s);

int pg_stream_fd(const struct pg_stream *s);	  /* for POLLIN */
int pg_stream_wait_ms(const struct pg_stream *s); /* longest poll; 0: more is here already */
/*
 * Everything before lsn is durable, files and directories. Lower than before is nothing new; beyond
 * what came is ERR_BUG. Sent at once when eager or when the server waits for it.
 */
int pg_stream_confirm(struct pg_stream *s, uint64_t lsn, struct err *e);
/*
 * The server wants to hear of what came but is not confirmed yet; a server that shuts down waits
 * until all of it is. So: make durable what there is and confirm, now.
 */
bool pg_stream_asked(const struct pg_stream *s);
/*
 * Does anybody on the server wait for what this stream confirms, a commit or a logical stream? It is
 * asked by SQL, the stream itself does not say. 1 somebody may, also where the server will not tell;
 * 0 nobody does; -1.
 */
int pg_stream_waited(const struct pg_stream *s, struct pg_conn *sql, struct err *e);

struct pg_stream_state {
	uint64_t received, confirmed;
	uint64_t server_end;	/* newest the server told */
	int64_t server_time_ns; /* the server's clock then; 0: nothing came yet */
	int64_t heard_boot_ns;	/* our clock (boot time) when anything came last */
	uint64_t messages;
	uint64_t unknown; /* messages of types that this program does not know, left aside */
	uint8_t unknown_type;
};
void pg_stream_state(const struct pg_stream *s, struct pg_stream_state *ret);

/*
 * Reports what was confirmed last and ends the copy, if it runs, in good order. A server that does
 * not answer within a moment is left alone; the connection is of no more use then.
 */
void pg_stream_free(struct pg_stream *s);

/*
 * The server's file <tli>.history, byte for byte, appended to out. 1; 0: it has none of that
 * timeline (timeline 1 never has one).
 */
int pg_stream_history(struct pg_conn *c, uint32_t tli, struct buf *out, struct err *e);

#endif
