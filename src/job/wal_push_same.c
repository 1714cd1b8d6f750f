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

/* Does its log reach to the end of the segment? */
static bool
reaches(const struct pg_identity *id, const struct wal_push_file *f, size_t size)
{
	return id->tli > f->what.timeline || id->flush >= f->start + size;
}

static int
compare(const struct wal_push_options *o, const struct wal_push_file *f, struct pg_conn *c,
    const struct buf *ours, struct err *e)
{
	const struct pg_fetch want = { .tli = f->what.timeline, .start = f->start, .want = ours->len,
		.stop = o->watch->stop, .arg = o->watch->arg };
	struct pg_identity id;
	struct buf theirs;
	int got;

	if (pg_conn_identify(c, &id, e) == -1)
		return -1;
	if (!reaches(&id, f, ours->len))
		return 0;
	buf_init(&theirs, ours->len);
	got = pg_fetch(c, &want, &theirs, e);
	if (got == 1)
		got = memcmp(theirs.data, ours->data, ours->len) == 0;
	buf_done(&theirs);
	return got;
}

int
wal_push_same(const struct wal_push_options *o, const struct wal_push_file *f, struct err *e)
{
	const struct pg_conn_options co = { .conninfo = o->conninfo, .replication = true,
		.timeout_s = CONNECT_S };
	struct pg_conn *c = NULL;
	struct buf ours;
	int got = -1;

	buf_init(&ours, SEGMENT_MOST);
	if (file_get(AT_FDCWD, f->path, &ours, e) == 0 && pg_conn_open(&co, &c, e) == 0)
		got = compare(o, f, c, &ours, e);
	pg_conn_free(c);
	buf_done(&ours);
	return got;
}
