/*
 * A standby archives what it was sent (`archive_mode = always`), and is not the server behind
 * conninfo: nothing about its process tells whether it follows that one or the copy of it that was
 * cloned along with it. What it pushes tells: a segment that the database wrote can be had from the
 * database, and is the same. Each is compared, since a clone's log is the database's up to the moment
 * when it was cloned.
 */
#include "job/wal_push_same.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "source/pg_fetch.h"

#define CONNECT_S 5
#define SEGMENT_MOST (1u << 30)

int
wal_push_same(const struct wal_push_options *o, const struct wal_push_file *f,
    const struct pg_identity *id, struct err *e)
{
	const struct pg_conn_options co = { .conninfo = o->conninfo, .replication = true,
		.timeout_s = CONNECT_S };
	struct pg_fetch want = { .tli = f->what.timeline, .start = f->start, .stop = o->watch->stop,
		.arg = o->watch->arg };
	struct pg_conn *c = NULL;
	struct buf ours, theirs;
	int got = -1;

	buf_init(&ours, SEGMENT_MOST);
	buf_init(&theirs, SEGMENT_MOST);
	if (file_get(AT_FDCWD, f->path, &ours, e) == -1)
		goto out;
	want.want = ours.len;
	if (id->flush < f->start + ours.len)
		got = 0;
	else if (pg_conn_open(&co, &c, e) == 0)
		got = pg_fetch(c, &want, &theirs, e);
	if (got == 1)
		got = memcmp(theirs.data, ours.data, ours.len) == 0;
out:
	pg_conn_free(c);
	buf_done(&theirs);
	buf_done(&ours);
	return got;
}
