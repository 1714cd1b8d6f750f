#ifndef SOURCE_PG_STREAM_MSG_H
#define SOURCE_PG_STREAM_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The messages inside a physical replication stream: bytes to values and back. Pure. */
enum pg_stream_msg_type { PG_STREAM_MSG_WAL = 'w', PG_STREAM_MSG_ALIVE = 'k' };

struct pg_stream_msg {
	uint8_t type;	     /* also one that is not known: then the rest is 0 */
	uint64_t lsn;	     /* WAL: of its first byte */
	uint64_t server_end; /* how far the server has WAL */
	int64_t time_ns;     /* the server's clock, since 1970 */
	bool reply;	     /* ALIVE: it wants a report at once */
	const uint8_t *data; /* WAL, in the message */
	size_t len;
};
/* 1, 0 a type that is not known, -1 ERR_CORRUPT: too short, or beyond the end of all WAL. */
int pg_stream_msg_read(const void *bytes, size_t n, struct pg_stream_msg *ret, struct err *e);

struct pg_stream_status {
	uint64_t write, flush, apply;
	int64_t time_ns;
	bool reply; /* the server shall answer at once */
};
#define PG_STREAM_MSG_STATUS 34
void pg_stream_msg_status(const struct pg_stream_status *s, uint8_t out[PG_STREAM_MSG_STATUS]);

#endif
