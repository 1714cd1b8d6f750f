/*
 * Integers are big endian here, other than in everything of ours, and time counts microseconds from
 * the year 2000. A server may send what this program does not know (19 has a new message); that is
 * told by type, for the stream to leave aside: no position is taken from it.
 */
#include "source/pg/pg_stream_msg.h"

#include <endian.h>
#include <string.h>

#include "base/clock.h"

/* 2000-01-01 in seconds since 1970. */
#define PG_EPOCH_S INT64_C(946684800)
#define US_NS 1000
/* type, start, end, time; type, end, time, reply */
#define WAL_HEAD 25
#define ALIVE_LEN 18

static uint64_t
get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static void
put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

/* 0 when it is none that nanoseconds can tell. */
static int64_t
get_time(const uint8_t *p)
{
	const int64_t us = (int64_t)get64(p);
	int64_t ns;

	if (__builtin_mul_overflow(us, US_NS, &ns) ||
	    __builtin_add_overflow(ns, PG_EPOCH_S * CLOCK_S, &ns))
		return 0;
	return ns;
}

int
pg_stream_msg_read(const void *bytes, size_t n, struct pg_stream_msg *ret, struct err *e)
{
	const uint8_t *p = bytes;

	*ret = (struct pg_stream_msg){ 0 };
	if (n == 0)
		return err_set(e, ERR_CORRUPT, "an empty message in the stream of WAL");
	ret->type = p[0];
	if (p[0] != PG_STREAM_MSG_WAL && p[0] != PG_STREAM_MSG_ALIVE)
		return 0;
	if (n < (p[0] == PG_STREAM_MSG_WAL ? WAL_HEAD : ALIVE_LEN))
		return err_set(e, ERR_CORRUPT,
		    "a message '%c' of %zu bytes in the stream of WAL, expected %d", p[0], n,
		    p[0] == PG_STREAM_MSG_WAL ? WAL_HEAD : ALIVE_LEN);
	if (p[0] == PG_STREAM_MSG_ALIVE) {
		ret->server_end = get64(p + 1);
		ret->time_ns = get_time(p + 9);
		ret->reply = p[17] != 0;
		return 1;
	}
	if (n - WAL_HEAD > UINT64_MAX - get64(p + 1))
		return err_set(e, ERR_CORRUPT, "WAL beyond the last position there is");
	ret->lsn = get64(p + 1);
	ret->server_end = get64(p + 9);
	ret->time_ns = get_time(p + 17);
	ret->data = p + WAL_HEAD;
	ret->len = n - WAL_HEAD;
	return 1;
}

void
pg_stream_msg_status(const struct pg_stream_status *s, uint8_t out[PG_STREAM_MSG_STATUS])
{
	out[0] = 'r';
	put64(out + 1, s->write);
	put64(out + 9, s->flush);
	put64(out + 17, s->apply);
	put64(out + 25, (uint64_t)((s->time_ns - PG_EPOCH_S * CLOCK_S) / US_NS));
	out[33] = s->reply;
}
