/*
 * The server calls for one segment at a time and waits, so a call takes the segments that are ready
 * behind it along: they are read, checked and sealed by workers while the one before is stored.
 * What was brought along is noted by the file's identity, and its own call answers without opening
 * anything.
 *
 * A segment is stored as the pieces that a receiver would have made of it, under names that say
 * what they hold: pushing it twice, from two hosts, or beside a receiver, is one and the same.
 * Other bytes under such a name are refused, for ever.
 */
#include "job/wal_push.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lsn.h"
#include "base/mem.h"
#include "filter/pool.h"
#include "job/wal_ahead.h"
#include "job/wal_owed.h"
#include "repo/piece.h"
#include "repo/wal_lineage.h"
#include "repo/walread.h"
#include "source/pg_history.h"
#include "source/pg_walname.h"
#include "source/pg_walpage.h"

#define SETTLE_MOST 4 /* objects that a tier gets, which it missed before, in one call */
#define TIERS_MAX 64

/* One file under way. */
struct job {
	const struct wal_push_options *o;
	const struct keyring *keys;
	char *path;
	char name[WAL_AHEAD_NAME];
	struct pg_walname what;
	uint64_t start; /* of a segment */
	struct pg_walpage head;

	/* what the worker makes of it */
	struct buf *sealed; /* one a piece */
	char (*object)[LAYOUT_NAME];
	size_t pieces;
	struct err why; /* kind set: it could not be made */
};

static const char *
name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- looking at a segment ---- */

static int
read_head(const char *path, struct pg_walpage *ret, struct err *e)
{
	uint8_t head[PG_WALPAGE_LONG];
	int fd = open(path, O_RDONLY | O_CLOEXEC), got;
	ssize_t n;

	if (fd == -1)
		return err_sys(e, "'%s' cannot be opened", path);
	n = file_read(fd, head, sizeof(head), e);
	close(fd);
	if (n == -1)
		return err_in(e, "'%s'", path);
	if (n < (ssize_t)sizeof(head))
		return err_set(
		    e, ERR_CORRUPT, "'%s' has %zd bytes, no segment has so few", path, n);
	got = pg_walpage_read(head, sizeof(head), ret, e);
	if (got == 0)
		return err_set(e, ERR_CORRUPT,
		    "'%s' is empty: zeros stand where its first page should be", path);
	if (got == 1 && ret->header != PG_WALPAGE_LONG)
		return err_set(e, ERR_CORRUPT, "'%s' does not begin as a segment does", path);
	return got == -1 ? err_in(e, "'%s'", path) : 0;
}

int
wal_push_sysid(const char *path, uint64_t *ret, struct err *e)
{
	struct pg_walname what;
	struct pg_walpage head;

	switch (pg_walname_parse(name_of(path), &what)) {
	case PG_WALNAME_SEGMENT:
	case PG_WALNAME_PARTIAL:
		if (read_head(path, &head, e) == -1)
			return -1;
		*ret = head.sysid;
		return 0;
	case PG_WALNAME_BACKUP:
	case PG_WALNAME_HISTORY:
		return err_set(e, ERR_NOTFOUND, "'%s' does not say of which system it is", path);
	case PG_WALNAME_OTHER:
		break;
	}
	err_set(e, ERR_USAGE, "'%s' is no file that a server archives", path);
	return err_line(e, "fix", "archive_command = 'ffdr wal push %%p'");
}

bool
wal_push_done(const char *state, const char *source, const char *path)
{
	return wal_ahead_has(state, source, path);
}

/* ---- in the worker ---- */

static int
seal_piece(struct job *j, size_t i, const struct layout_wal *at, const uint8_t *bytes, size_t n,
    struct err *e)
{
	struct piece p = { .at = *at, .segment_size = j->head.seg_size };

	snprintf(p.host, sizeof(p.host), "%s", j->o->host);
	buf_init(&j->sealed[i], STORE_OBJECT_MAX);
	return piece_seal(j->keys, &p, bytes, n, &j->sealed[i], j->object[i], e);
}

static int
seal_segment(struct job *j, const uint8_t *bytes, size_t n, struct err *e)
{
	struct layout_wal at = {
		.place = j->o->place, .kind = LAYOUT_WAL_PIECE, .tli = j->what.timeline
	};
	struct pg_walpage_segment seen;

	if (n != j->head.seg_size)
		return err_set(e, ERR_CORRUPT, "'%s' has %zu bytes, its first page says %" PRIu32,
		    j->path, n, j->head.seg_size);
	if (pg_walpage_check_segment(bytes, n, at.tli, j->start, at.place.sysid, &seen, e) == -1)
		return err_in(e, "'%s'", j->path);
	for (size_t i = 0, off = 0; off < n; i++, off += PIECE_MAX) {
		size_t len = n - off < PIECE_MAX ? n - off : PIECE_MAX;

		at.start = j->start + off;
		at.end = at.start + len;
		if (seal_piece(j, i, &at, bytes + off, len, e) == -1)
			return -1;
	}
	return 0;
}

static int
seal_other(struct job *j, const uint8_t *bytes, size_t n, struct err *e)
{
	struct layout_wal at = { .place = j->o->place, .kind = LAYOUT_WAL_OTHER };

	snprintf(at.file, sizeof(at.file), "%s", j->name);
	return seal_piece(j, 0, &at, bytes, n, e);
}

static void
work(void *arg)
{
	struct job *j = arg;
	const bool segment = j->what.kind == PG_WALNAME_SEGMENT;
	void *map = MAP_FAILED;
	struct stat st;
	int fd = open(j->path, O_RDONLY | O_CLOEXEC);

	if (fd == -1 || fstat(fd, &st) == -1) {
		err_sys(&j->why, "'%s'", j->path);
		goto out;
	}
	j->pieces = segment ? ((size_t)st.st_size + PIECE_MAX - 1) / PIECE_MAX : 1;
	j->sealed = xcalloc(j->pieces, sizeof(*j->sealed));
	j->object = xcalloc(j->pieces, sizeof(*j->object));
	if (st.st_size > 0)
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED) {
		err_set(&j->why, ERR_CORRUPT, "'%s' is empty or cannot be read", j->path);
		goto out;
	}
	/* Errors stand in why; the return value says nothing more. */
	(void)(segment ? seal_segment(j, map, (size_t)st.st_size, &j->why) :
			 seal_other(j, map, (size_t)st.st_size, &j->why));
out:
	if (map != MAP_FAILED)
		munmap(map, (size_t)st.st_size);
	if (fd != -1)
		close(fd);
}

static struct job *
job_new(struct repo *repo, const struct wal_push_options *o, char *path)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->o = o;
	j->keys = repo->keys;
	j->path = path;
	snprintf(j->name, sizeof(j->name), "%s", name_of(path));
	pg_walname_parse(j->name, &j->what);
	return j;
}

static void
job_free(struct job *j)
{
	for (size_t i = 0; i < j->pieces; i++)
		buf_done(&j->sealed[i]);
	free(j->sealed);
	free(j->object);
	free(j->path);
	free(j);
}

/* ---- storing ---- */

/* What came of it on the tiers. */
struct ack {
	bool has[TIERS_MAX];
	struct err why[TIERS_MAX];
};

/* Other bytes under that name, or of another repository: no other tier makes that good. */
static bool
is_refusal(const struct err *e)
{
	return e->kind == ERR_EXISTS || e->kind == ERR_CORRUPT || e->kind == ERR_KEY ||
	    e->kind == ERR_REFUSED;
}

/* Tiers that survive this host count; where a source has none, all it has. */
static int
judge(const struct wal_push_options *o, const struct ack *a, const char *name, struct err *e)
{
	unsigned off = 0, has = 0, counted = 0;

	for (size_t i = 0; i < o->tiers; i++)
		off += o->off_host[i];
	for (size_t i = 0; i < o->tiers; i++) {
		if (is_refusal(&a->why[i])) {
			*e = a->why[i];
			return -1;
		}
		counted += off == 0 || o->off_host[i];
		has += (off == 0 || o->off_host[i]) && a->has[i];
	}
	if (counted > 0 && (has == counted || has >= o->ack))
		return 0;
	err_set(e, ERR_REMOTE, "%s is on %u of the tiers that receive WAL, expected %u", name, has,
	    o->ack);
	for (size_t i = 0; i < o->tiers; i++)
		if (!a->has[i])
			err_line(e, o->tier[i]->name, "%s", a->why[i].text);
	return -1;
}

static int
put_all(const struct job *j, struct tier *t, struct err *e)
{
	if (!t->store) {
		*e = t->why;
		return -1;
	}
	for (size_t i = 0; i < j->pieces; i++)
		if (piece_put(j->keys, t->store, j->object[i], &j->sealed[i], e) == -1)
			return -1;
	return 0;
}

static void
note_owed(const struct wal_push_options *o, const struct job *j, const struct ack *a,
    struct wal_push_report *ret)
{
	struct err why = { 0 };

	for (size_t i = 0; i < o->tiers; i++)
		for (size_t k = 0; !a->has[i] && k < j->pieces; k++) {
			ret->owed++;
			if (o->state &&
			    wal_owed_put(o->state, o->tier[i]->name, j->object[k], &why) == -1)
				o->watch->event(o->watch->arg, "warning", why.text);
		}
}

static int
store_job(const struct wal_push_options *o, const struct job *j, struct wal_push_report *ret,
    struct err *e)
{
	struct ack a = { 0 };

	if (j->why.kind != ERR_NONE) {
		*e = j->why;
		return -1;
	}
	for (size_t i = 0; i < o->tiers; i++)
		a.has[i] = put_all(j, o->tier[i], &a.why[i]) == 0;
	if (judge(o, &a, j->name, e) == -1)
		return -1;
	note_owed(o, j, &a, ret);
	ret->segments++;
	for (size_t i = 0; i < j->pieces; i++)
		ret->bytes += j->sealed[i].len;
	return 0;
}

/* ---- may it be? ---- */

static int
stale(const struct job *j, const char *what, struct err *e)
{
	err_set(e, ERR_STALE, "stale epoch: %s is not of the active timeline", j->name);
	err_line(e, "checked",
	    "timeline %" PRIu32 " %s; timeline %" PRIu32 " of epoch %" PRIu32 " is active",
	    j->what.timeline, what, j->o->tli, j->o->place.epoch);
	return err_line(e, "fix",
	    "this server is not the primary any more, or a copy: turn its archive_command off");
}

/* The history of a timeline, from the tiers, or from beside the segment. */
static int
history_of(
    struct repo *repo, const struct job *j, uint32_t tli, struct pg_history *h, struct err *e)
{
	const struct walread_options ro = {
		.repo = repo, .tier = j->o->tier, .tiers = j->o->tiers, .place = j->o->place
	};
	char file[PG_WALNAME_TEXT], *beside;
	struct walread *r = NULL;
	struct buf text;
	int got;

	pg_history_init(h, tli);
	if (tli == 1)
		return 1;
	buf_init(&text, PG_HISTORY_MAX);
	beside = xasprintf("%.*s%s", (int)(strlen(j->path) - strlen(j->name)), j->path,
	    pg_walname_history(tli, file));
	if (tli == j->what.timeline && file_get(AT_FDCWD, beside, &text, NULL) == 0)
		got = 1;
	else
		got = walread_new(&ro, &r, e) == -1 ? -1 : walread_history(r, tli, &text, e);
	if (got == 1 && pg_history_parse(tli, buf_str(&text), text.len, h, e) == -1)
		got = -1;
	walread_free(r);
	buf_done(&text);
	free(beside);
	return got;
}

/* A newer timeline must descend from the active one; an older one counts up to where it was left.
 */
static int
check_lineage(struct repo *repo, const struct job *j, struct err *e)
{
	const uint32_t tli = j->what.timeline, active = j->o->tli;
	struct pg_history h;
	uint64_t from, to;
	int rc = 0, got;

	if (tli == active)
		return 0;
	got = history_of(repo, j, tli > active ? tli : active, &h, e);
	if (got == -1)
		rc = -1;
	else if (got == 0)
		rc = stale(j, "has no history that is known", e);
	else if (tli > active && !pg_history_span(&h, active, &from, &to))
		rc = stale(j, "does not descend from it", e);
	else if (tli > active && j->o->fork_lsn > to)
		rc = stale(j, "left it before this epoch began", e);
	else if (tli < active && (!pg_history_span(&h, tli, &from, &to) || j->start >= to))
		rc = stale(j, "was left before that segment", e);
	pg_history_done(&h);
	return rc;
}

static int
check_segment(struct repo *repo, struct job *j, struct err *e)
{
	if (read_head(j->path, &j->head, e) == -1)
		return -1;
	if (j->head.sysid != j->o->place.sysid)
		return err_set(e, ERR_REFUSED,
		    "%s is of system %" PRIu64 ", the WAL of %s is that of system %" PRIu64,
		    j->name, j->head.sysid, j->o->place.source, j->o->place.sysid);
	if (pg_walname_start(&j->what, j->head.seg_size, &j->start, e) == -1)
		return -1;
	return check_lineage(repo, j, e);
}

/* ---- all of it ---- */

static int
push_history(
    struct repo *repo, const struct wal_push_options *o, const struct job *j, struct err *e)
{
	struct ack a = { 0 };
	struct buf text;
	int rc = -1;

	buf_init(&text, WAL_LINEAGE_HISTORY_MAX);
	if (file_get(AT_FDCWD, j->path, &text, e) == -1)
		goto out;
	for (size_t i = 0; i < o->tiers; i++) {
		if (!o->tier[i]->store)
			a.why[i] = o->tier[i]->why;
		else
			a.has[i] = wal_lineage_put_history(repo, o->tier[i]->store, &o->place,
				       j->what.timeline, text.data, text.len, &a.why[i]) != -1;
	}
	rc = judge(o, &a, j->name, e);
out:
	buf_done(&text);
	return rc;
}

/* Those behind it, as long as they are as they should be: what is wrong with one is told by its own
 * call. */
static size_t
take_along(struct repo *repo, const struct wal_push_options *o, const struct job *first,
    const struct wal_ahead *ahead, struct job *job[WAL_AHEAD_MAX])
{
	const size_t dir = strlen(o->path) - strlen(name_of(o->path));
	size_t count = 0;
	struct err why = { 0 };

	for (size_t i = 0; i < ahead->count; i++) {
		struct job *j =
		    job_new(repo, o, xasprintf("%.*s%s", (int)dir, o->path, ahead->name[i]));

		if (first->what.timeline != o->tli || check_segment(repo, j, &why) == -1) {
			job_free(j);
			break;
		}
		job[count++] = j;
	}
	return count;
}

/* Stores all in order while the workers make the next ones; *done: how many. */
static int
push_jobs(const struct wal_push_options *o, struct job *const *job, size_t count,
    struct wal_push_report *ret, size_t *done, struct err *e)
{
	struct pool *pool = pool_new(o->workers, o->workers + 1);
	size_t given = 0;
	int rc = 0;

	for (*done = 0; rc == 0 && *done < count;) {
		while (given < count && !pool_full(pool))
			pool_submit(pool, work, job[given++]);
		rc = store_job(o, pool_take(pool), ret, e);
		if (rc == 0)
			++*done;
	}
	pool_free(pool);
	return rc;
}

static int
push_segments(struct repo *repo, const struct wal_push_options *o, struct job *first,
    struct wal_push_report *ret, struct err *e)
{
	struct job *job[WAL_AHEAD_MAX + 1] = { first };
	struct wal_ahead ahead = { 0 };
	struct err why = { 0 };
	size_t count = 1, done;
	int rc;

	if (o->state && first->what.kind == PG_WALNAME_SEGMENT)
		wal_ahead_list(o->path, &ahead);
	count += take_along(repo, o, first, &ahead, job + 1);
	rc = push_jobs(o, job, count, ret, &done, e);
	if (done > 0) {
		/* Only the one that was asked for decides; the others are tried again. */
		rc = 0;
		ahead.count = done - 1;
		if (count > 1 &&
		    wal_ahead_put(o->state, o->place.source, o->path, &ahead, &why) == -1)
			o->watch->event(o->watch->arg, "warning", why.text);
	}
	for (size_t i = 1; i < count; i++)
		job_free(job[i]);
	return rc;
}

static void
settle_owed(const struct wal_push_options *o)
{
	struct err why = { 0 };

	for (size_t i = 0; o->state && i < o->tiers; i++)
		if (o->tier[i]->store &&
		    wal_owed_settle(o->set, o->state, o->tier[i], SETTLE_MOST, &why) == -1)
			o->watch->event(o->watch->arg, "warning", why.text);
}

int
wal_push_run(
    struct repo *repo, const struct wal_push_options *o, struct wal_push_report *ret, struct err *e)
{
	struct job *first = job_new(repo, o, xstrdup(o->path));
	int rc = -1;

	*ret = (struct wal_push_report){ 0 };
	snprintf(ret->name, sizeof(ret->name), "%s", first->name);
	switch (first->what.kind) {
	case PG_WALNAME_SEGMENT:
	case PG_WALNAME_PARTIAL:
		if (check_segment(repo, first, e) == 0)
			rc = push_segments(repo, o, first, ret, e);
		break;
	case PG_WALNAME_BACKUP:
		rc = push_segments(repo, o, first, ret, e);
		break;
	case PG_WALNAME_HISTORY:
		rc = push_history(repo, o, first, e);
		break;
	case PG_WALNAME_OTHER:
		rc = err_set(e, ERR_USAGE, "'%s' is no file that a server archives", o->path);
		break;
	}
	if (rc == 0)
		settle_owed(o);
	job_free(first);
	return rc;
}
