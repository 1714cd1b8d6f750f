/*
 * A call lives for milliseconds and the server makes the next one only after its end, so what is
 * stored while the server turns to the next segment is stored by somebody else. A mark is made when
 * a segment is durable on as many tiers as its call would have answered for, and not before; so it
 * does not matter how the worker ends.
 *
 * The worker tells nobody why it ended: whoever waits sees that it did, pushes, and meets the same
 * reason in the open.
 */
#include "job/wal/wal_push_behind.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "job/wal/wal_behind.h"
#include "source/pg/pg_walname.h"

#define LOOK_NS CLOCK_MS
#define PATIENCE_NS (10 * CLOCK_S) /* so long a call waits without any new mark */
#define REST_NS (5 * CLOCK_MS)
#define IDLE_NS CLOCK_S /* nothing to do, or nothing taken, for so long: the worker ends */
#define BATCH 32
#define AHEAD_MOST 64 /* stored and not yet asked for: no more, to be near the server */
#define LOCK_PATH 4096

static const char *
name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- waiting ---- */

bool
wal_push_behind_has(const struct wal_ahead *a, const char *path, uint64_t sysid, unsigned *owed)
{
	const char *name = name_of(path);
	char lock[LOCK_PATH];
	int64_t until = clock_boot_ns() + PATIENCE_NS, age = wal_ahead_age(a);
	struct pg_walname what;
	bool lives, has;

	if (pg_walname_parse(name, &what) != PG_WALNAME_SEGMENT)
		return false;
	wal_ahead_lock(a, lock, sizeof(lock));
	for (;;) {
		/* First whether it lives: what it marked until then is seen. */
		lives = wal_behind_lives(lock);
		has = wal_ahead_has(a, name, sysid, owed);
		if (has || !lives || !wal_ahead_wanted(a, name) || clock_boot_ns() > until)
			return has;
		clock_sleep_ns(LOOK_NS);
		if (wal_ahead_age(a) != age) {
			age = wal_ahead_age(a);
			until = clock_boot_ns() + PATIENCE_NS;
		}
	}
}

/* ---- the worker ---- */

struct worker {
	const struct wal_ahead *ahead;
	struct repo *repo;
	struct wal_push_options o;
	char first[WAL_AHEAD_NAME]; /* stored by the call that started it */
	uint32_t tli;
	struct wal_ahead_mark mark[AHEAD_MOST]; /* stored here and wanted still */
	size_t marks;
	int64_t moved_boot_ns;
};

static int
stored(void *arg, const struct wal_ahead_mark *m)
{
	struct worker *w = arg;

	w->mark[w->marks++] = *m;
	w->moved_boot_ns = clock_boot_ns();
	fault_point("push-behind-stored");
	return wal_ahead_put(w->ahead, w->mark, w->marks, NULL);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool
is_in(char (*names)[WAL_AHEAD_NAME], size_t count, const char *name)
{
	return count > 0 && bsearch(name, names, count, sizeof(*names), by_name);
}

/* Marks of what the server has seen archived are of no use any more. */
static void
forget_taken(struct worker *w, char (*wanted)[WAL_AHEAD_NAME], size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->marks; i++)
		if (is_in(wanted, count, w->mark[i].name))
			w->mark[kept++] = w->mark[i];
	if (kept < w->marks)
		w->moved_boot_ns = clock_boot_ns();
	w->marks = kept;
}

static bool
is_marked(const struct worker *w, const char *name)
{
	for (size_t i = 0; i < w->marks; i++)
		if (strcmp(w->mark[i].name, name) == 0)
			return true;
	return strcmp(name, w->first) == 0;
}

/* 1 something was stored, 0 there is nothing to do now, -1 it is over. */
static int
turn(struct worker *w)
{
	char(*wanted)[WAL_AHEAD_NAME] = NULL, next[BATCH][WAL_AHEAD_NAME];
	size_t count = wal_ahead_list(w->ahead, w->tli, &wanted), n = 0;
	int rc = 0;

	forget_taken(w, wanted, count);
	for (size_t i = 0; i < count && n < BATCH && w->marks + n < AHEAD_MOST; i++)
		if (!is_marked(w, wanted[i]))
			memcpy(next[n++], wanted[i], sizeof(next[0]));
	free(wanted);
	if (n > 0)
		rc = wal_push_many(w->repo, &w->o, next, n, stored, w) == 0 ? 1 : -1;
	return rc;
}

static void
run(struct worker *w)
{
	int rc = 1;

	w->moved_boot_ns = clock_boot_ns();
	while (rc != -1 && clock_boot_ns() - w->moved_boot_ns < IDLE_NS) {
		rc = turn(w);
		if (rc == 0)
			clock_sleep_ns(REST_NS);
	}
}

static int
worker_main(const struct wal_ahead *a, const char *path, const struct wal_push_opener *opener)
{
	struct worker w = { .ahead = a };
	struct pg_walname what;
	struct err why = { 0 };
	char lock[LOCK_PATH];
	int fd = wal_behind_claim(wal_ahead_lock(a, lock, sizeof(lock)));

	if (fd == -1)
		return 1;
	pg_walname_parse(name_of(path), &what);
	snprintf(w.first, sizeof(w.first), "%s", name_of(path));
	w.tli = what.timeline;
	if (wal_ahead_put(a, NULL, 0, NULL) == 0 &&
	    opener->open(opener->arg, &w.o, &w.repo, &why) == 0) {
		w.o.path = path;
		run(&w);
	}
	opener->close(opener->arg);
	close(fd);
	return 1;
}

/* Is there anything but that one? */
static bool
more_waits(const struct wal_ahead *a, const char *path)
{
	char(*wanted)[WAL_AHEAD_NAME] = NULL;
	struct pg_walname what;
	size_t count = 0;
	bool more = false;

	if (pg_walname_parse(name_of(path), &what) == PG_WALNAME_SEGMENT)
		count = wal_ahead_list(a, what.timeline, &wanted);
	for (size_t i = 0; i < count; i++)
		more |= strcmp(wanted[i], name_of(path)) != 0;
	free(wanted);
	return more;
}

int
wal_push_behind_start(const struct wal_ahead *a, const char *path,
    const struct wal_push_opener *opener, struct err *e)
{
	char lock[LOCK_PATH], *slash;
	int rc;

	if (!more_waits(a, path) || wal_behind_lives(wal_ahead_lock(a, lock, sizeof(lock))))
		return 0;
	slash = strrchr(lock, '/');
	*slash = '\0';
	if (file_make_dirs(AT_FDCWD, lock, 0700, e) == -1)
		return -1;
	rc = proc_detach(e);
	return rc == 1 ? worker_main(a, path, opener) : rc;
}
