/*
 * A standby archives what it was sent (`archive_mode = always`), and is not the server behind
 * conninfo: nothing about its process tells whether it follows that one or the copy of it that was
 * cloned along with it. What it pushes tells: a segment that the database wrote can be had from the
 * database, and is the same. Each is compared, since a clone's log is the database's up to the moment
 * when it was cloned.
 *
 * One that the database has removed is proved by the newest WAL beside it: where two logs are the same
 * for a page or more they are the same before it, since records name their predecessors.
 */
#include "job/wal/wal_push_same.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "source/pg/pg_fetch.h"
#include "source/pg/pg_walpage.h"

#define CONNECT_S 5
#define SEGMENT_MOST (1u << 30)

struct same {
	const struct wal_push_options *o;
	const struct wal_push_file *f;
	const struct pg_identity *id;
	struct buf ours, theirs;
	char *name; /* that was compared */
};

/* ours, as much as is wanted of it, against the server's: 1, 0 differs; *gone: it has no such; -1. */
static int
compare(struct same *k, uint64_t start, size_t n, bool *gone, struct err *e)
{
	const struct pg_conn_options co = { .conninfo = k->o->conninfo, .replication = true,
		.timeout_s = CONNECT_S };
	const struct pg_fetch want = { .tli = k->f->what.timeline, .start = start, .want = n,
		.stop = k->o->watch->stop, .arg = k->o->watch->arg };
	struct pg_conn *c = NULL;
	int got = pg_conn_open(&co, &c, e) == -1 ? -1 : pg_fetch(c, &want, &k->theirs, e);

	*gone = got == 0;
	if (got == 1)
		got = memcmp(k->theirs.data, k->ours.data, n) == 0;
	pg_conn_free(c);
	return got;
}

/* So many bytes are whole pages of that segment: a file may be unfinished, or have the name only. */
static size_t
pages(const struct buf *b, uint64_t start)
{
	struct pg_walpage p;
	size_t n = 0;

	while (n + PG_WALPAGE_LEN <= b->len &&
	    pg_walpage_read((const uint8_t *)b->data + n, PG_WALPAGE_LEN, &p, NULL) == 1 &&
	    p.lsn == start + n)
		n += PG_WALPAGE_LEN;
	/* The last one may still be written. */
	return n > 0 ? n - PG_WALPAGE_LEN : 0;
}

/* The newest segment beside it of which the server has a page, below `before`: 1 read, 0 none. */
static int
newest(struct same *k, size_t size, uint64_t before, uint64_t *ret)
{
	const size_t dir = strlen(k->f->path) - strlen(k->f->name);
	char *folder = dir > 0 ? xstrndup(k->f->path, dir) : xstrdup("."), name[PG_WALNAME_TEXT];
	DIR *d = opendir(folder);
	struct dirent *entry;
	struct pg_walname n;
	uint64_t start;
	char *path;

	*ret = 0;
	while (d && (entry = readdir(d)))
		if (pg_walname_parse(entry->d_name, &n) == PG_WALNAME_SEGMENT &&
		    n.timeline == k->f->what.timeline &&
		    pg_walname_start(&n, size, &start, NULL) == 0 && start > k->f->start &&
		    start < before && start + PG_WALPAGE_LEN <= k->id->flush && start > *ret)
			*ret = start;
	if (d)
		closedir(d);
	free(k->name);
	k->name = NULL;
	if (*ret > 0) {
		pg_walname_segment(k->f->what.timeline, *ret, size, name);
		k->name = xstrdup(name);
		path = xasprintf("%s/%s", folder, name);
		buf_reset(&k->ours);
		if (file_get(AT_FDCWD, path, &k->ours, NULL) == -1)
			buf_reset(&k->ours);
		free(path);
	}
	free(folder);
	return *ret > 0;
}

static int
compare_behind(struct same *k, struct err *e)
{
	const size_t size = k->ours.len;
	uint64_t start = UINT64_MAX;
	bool gone = false;
	size_t n;
	int got;

	while (newest(k, size, start, &start)) {
		n = pages(&k->ours, start);
		if (start + n > k->id->flush)
			n = (size_t)(k->id->flush - start) / PG_WALPAGE_LEN * PG_WALPAGE_LEN;
		if (n == 0)
			continue;
		got = compare(k, start, n, &gone, e);
		if (!gone)
			return got;
		break;
	}
	return err_set(e, ERR_NOTFOUND, "the server behind conninfo has removed it");
}

int
wal_push_same(const struct wal_push_options *o, const struct wal_push_file *f,
    const struct pg_identity *id, char **name, struct err *e)
{
	struct same k = { .o = o, .f = f, .id = id, .name = xstrdup(f->name) };
	bool gone = false;
	int got = -1;

	buf_init(&k.ours, SEGMENT_MOST);
	buf_init(&k.theirs, SEGMENT_MOST);
	if (file_get(AT_FDCWD, f->path, &k.ours, e) == -1)
		goto out;
	got = id->flush < f->start + k.ours.len ? 0 : compare(&k, f->start, k.ours.len, &gone, e);
	if (gone)
		got = compare_behind(&k, e);
out:
	*name = k.name;
	buf_done(&k.theirs);
	buf_done(&k.ours);
	return got;
}
