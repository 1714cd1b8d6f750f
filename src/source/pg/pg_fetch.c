/*
 * What a server has in pg_wal can be had byte for byte by whoever may replicate, without a slot and
 * without rights on files: so what is archived under its name can be held against it. It is a stream
 * that ends when there is enough.
 */
#include "source/pg/pg_fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>

#include "source/pg/pg_stream.h"

#define WAIT_MS 1000
#define SILENT_MOST 30 /* waits without an answer */

struct fetching {
	const struct pg_fetch *f;
	struct buf *out;
};

static int
collect(void *arg, uint64_t lsn, const uint8_t *data, size_t n, uint64_t server_end, struct err *e)
{
	struct fetching *k = arg;
	const size_t room = k->f->want - k->out->len;

	(void)lsn;
	(void)server_end;
	(void)e;
	buf_add(k->out, data, n < room ? n : room);
	return 0;
}

static int
wait_for(const struct pg_fetch *f, struct pg_stream *stream, struct err *e)
{
	struct pollfd p = { .fd = pg_stream_fd(stream), .events = POLLIN };
	const int ms = pg_stream_wait_ms(stream);

	if (f->stop(f->arg))
		return err_set(e, ERR_CANCELLED, "stopped");
	if (poll(&p, 1, ms < WAIT_MS ? ms : WAIT_MS) == -1 && errno != EINTR)
		return err_sys(e, "waiting for WAL");
	return 0;
}

int
pg_fetch(struct pg_conn *c, const struct pg_fetch *f, struct buf *out, struct err *e)
{
	struct fetching k = { f, out };
	const struct pg_stream_options so = { .from = f->start, .tli = f->tli, .wal = collect,
		.arg = &k };
	struct pg_stream *stream = NULL;
	int more = 1, silent = 0;

	buf_reset(out);
	if (pg_stream_start(c, &so, &stream, e) == -1)
		return -1;
	while (more == 1 && out->len < f->want && silent < SILENT_MOST) {
		const size_t before = out->len;

		more = wait_for(f, stream, e) == -1 ? -1 : pg_stream_step(stream, e);
		silent = out->len > before ? 0 : silent + 1;
	}
	if (more == 1 && out->len < f->want)
		more = err_set(e, ERR_REMOTE,
		    "the server does not send its WAL of timeline %" PRIu32, f->tli);
	pg_stream_free(stream);
	return more == -1 ? -1 : out->len == f->want;
}
