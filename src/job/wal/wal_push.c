/*
 * One file or many, each is read, checked, sealed and stored by a thread of the pool, and they are
 * acknowledged in order. Of what is acknowledged without a call of its own (wal_push_behind.h) the
 * identity is told that the file had before its first byte was read; and one so young that a change
 * might not show in it is left alone for a moment.
 *
 * A segment is stored as the pieces that a receiver would have made of it, under names that say
 * what they hold: pushing it twice, from two hosts, or beside a receiver, is one and the same.
 * Other bytes under such a name are refused, for ever.
 */
#include "job/wal/wal_push.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "filter/pool.h"
#include "job/wal/wal_owed.h"
#include "job/wal/wal_push_may.h"
#include "job/wal/wal_push_sample.h"
#include "job/wal/wal_pusher.h"
#include "repo/piece.h"
#include "repo/wal_lineage.h"
#include "source/pg/pg_walend.h"
#include "source/pg/pg_walname.h"
#include "source/pg/pg_walpage.h"

#define SETTLE_MOST 4 /* objects that a tier gets, which it missed before, in one call */
#define TIERS_MAX 64
/* A kernel dates files by a clock that stands still for up to 10 ms. */
#define YOUNG_NS (40 * CLOCK_MS)

/* What came of it on the tiers. */
struct ack {
	bool has[TIERS_MAX];
	struct err why[TIERS_MAX];
};

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
	struct stat st;	     /* of the file, before it was read */
	struct buf *sealed; /* one a piece */
	char (*object)[LAYOUT_NAME];
	size_t pieces;
	uint64_t bytes; /* of all of them */
	struct err why; /* kind set: it could not be made */
	struct ack ack; /* else */
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
	struct wal_pusher p;

	switch (pg_walname_parse(name_of(path), &what)) {
	case PG_WALNAME_SEGMENT:
	case PG_WALNAME_PARTIAL:
		if (read_head(path, &head, e) == -1)
			return -1;
		*ret = head.sysid;
		return 0;
	case PG_WALNAME_BACKUP:
	case PG_WALNAME_HISTORY:
		wal_pusher_read(path, &p);
		*ret = p.sysid;
		if (p.sysid)
			return 0;
		return err_set(e, ERR_NOTFOUND, "'%s' does not say of which system it is", path);
	case PG_WALNAME_OTHER:
		break;
	}
	err_set(e, ERR_USAGE, "'%s' is no file that a server archives", path);
	return err_line(e, "fix", "archive_command = 'ffdr wal push %%p'");
}

/* ---- in the worker ---- */

static int
seal_piece(struct job *j, size_t i, const struct layout_wal *at, const uint8_t *bytes, size_t n,
    struct err *e)
{
	struct piece p = { .at = *at, .segment_size = j->head.seg_size };

	if (at->kind == LAYOUT_WAL_PIECE)
		p.sampled = wal_push_sample(
		    &(struct wal_push_sample_of){ bytes, n, at->start, j->head.sysid, j->head.seg_size },
		    j->o->tier, j->o->tiers, &p.sample);
	snprintf(p.host, sizeof(p.host), "%s", j->o->host);
	buf_init(&j->sealed[i], STORE_OBJECT_MAX);
	return piece_seal(j->keys, &p, bytes, n, &j->sealed[i], j->object[i], e);
}

static const char unfinished[] =
    "the server archives it by itself when it is full, or after pg_switch_wal(); of a server that "
    "is lost: push a copy that is named %s.partial, or let `ffdr wal stream` receive what is written";

static int
seal_segment(struct job *j, const uint8_t *bytes, size_t n, struct err *e)
{
	struct layout_wal at = {
		.place = j->o->place, .kind = LAYOUT_WAL_PIECE, .tli = j->what.timeline
	};

	if (n != j->head.seg_size)
		return err_set(e, ERR_CORRUPT, "'%s' has %zu bytes, its first page says %" PRIu32,
		    j->path, n, j->head.seg_size);
	if (pg_walend_check(bytes, n, at.tli, j->start, at.place.sysid, e) == -1) {
		err_in(e, "'%s'", j->path);
		return e->kind == ERR_REFUSED ? err_line(e, "fix", unfinished, j->name) : -1;
	}
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
	if (j->pieces == 1)
		return seal_piece(j, 0, &at, bytes, n, e);
	if (n > j->head.seg_size)
		return err_set(e, ERR_CORRUPT, "'%s' has %zu bytes, its first page says %" PRIu32,
		    j->path, n, j->head.seg_size);
	for (size_t i = 0; i < j->pieces; i++) {
		at.start = (uint64_t)i * PIECE_MAX;
		at.end = n - at.start < PIECE_MAX ? n : at.start + PIECE_MAX;
		if (seal_piece(j, i, &at, bytes + at.start, (size_t)(at.end - at.start), e) == -1)
			return -1;
	}
	return 0;
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

static int
look_at(struct job *j, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return err_sys(e, "'%s'", j->path);
	if (clock_real_ns() - (st.st_ctim.tv_sec * CLOCK_S + st.st_ctim.tv_nsec) < YOUNG_NS)
		clock_sleep_ns(YOUNG_NS);
	return fstat(fd, &j->st) == -1 ? err_sys(e, "'%s'", j->path) : 0;
}

static bool
has_changed(const struct job *j, int fd)
{
	const struct stat *b = &j->st;
	struct stat a;

	return fstat(fd, &a) == -1 || a.st_size != b->st_size ||
	    a.st_mtim.tv_sec != b->st_mtim.tv_sec || a.st_mtim.tv_nsec != b->st_mtim.tv_nsec ||
	    a.st_ctim.tv_sec != b->st_ctim.tv_sec || a.st_ctim.tv_nsec != b->st_ctim.tv_nsec;
}

static int
seal_file(struct job *j, int fd, struct err *e)
{
	const bool segment = j->what.kind == PG_WALNAME_SEGMENT;
	const size_t n = (size_t)j->st.st_size;
	void *map = MAP_FAILED;
	int rc;

	j->pieces = segment || n > PIECE_OTHER_MAX ? (n + PIECE_MAX - 1) / PIECE_MAX : 1;
	j->sealed = xcalloc(j->pieces, sizeof(*j->sealed));
	j->object = xcalloc(j->pieces, sizeof(*j->object));
	if (n > 0)
		map = mmap(NULL, n, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return err_set(e, ERR_CORRUPT, "'%s' is empty or cannot be read", j->path);
	rc = segment ? seal_segment(j, map, n, e) : seal_other(j, map, n, e);
	munmap(map, n);
	if (rc == 0 && has_changed(j, fd))
		rc = err_set(e, ERR_CORRUPT, "'%s' changed while it was read", j->path);
	return rc;
}

static void
work(void *arg)
{
	struct job *j = arg;
	int fd = open(j->path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		err_sys(&j->why, "'%s'", j->path);
	/* Errors stand in why; the return value says nothing more. */
	else if (look_at(j, fd, &j->why) == 0 && seal_file(j, fd, &j->why) == 0)
		for (size_t i = 0; i < j->o->tiers; i++)
			j->ack.has[i] = put_all(j, j->o->tier[i], &j->ack.why[i]) == 0;
	if (fd != -1)
		close(fd);
	for (size_t i = 0; i < j->pieces; i++) {
		j->bytes += j->sealed[i].len;
		buf_done(&j->sealed[i]);
	}
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
	free(j->sealed);
	free(j->object);
	free(j->path);
	free(j);
}

/* ---- is it acknowledged? ---- */

/* Other bytes under that name, or of another repository: no other tier makes that good. */
static bool
is_refusal(const struct err *e)
{
	return e->kind == ERR_EXISTS || e->kind == ERR_CORRUPT || e->kind == ERR_KEY ||
	    e->kind == ERR_REFUSED;
}

/* Whoever has the name first keeps it: there is no telling from bytes which of the two is right. */
static const char mend[] = "on a copy: archive_mode = off; where this is the database and the other "
			   "was a copy: `ffdr backup --new-system %s` begins an epoch that is its own";

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
			return e->kind == ERR_EXISTS ? err_line(e, "fix", mend, o->place.source) : -1;
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

static unsigned
note_owed(const struct wal_push_options *o, const struct job *j)
{
	struct err why = { 0 };
	unsigned owed = 0;

	for (size_t i = 0; i < o->tiers; i++)
		for (size_t k = 0; !j->ack.has[i] && k < j->pieces; k++) {
			owed++;
			if (o->state &&
			    wal_owed_put(o->state, o->tier[i]->name, j->object[k], &why) == -1)
				o->watch->event(o->watch->arg, "warning", why.text);
		}
	return owed;
}

/* 0: it is durable where it must be; *owed objects are still missing elsewhere. */
static int
acknowledge(
    const struct wal_push_options *o, const struct job *j, unsigned *owed, struct err *e)
{
	if (j->why.kind != ERR_NONE) {
		*e = j->why;
		return -1;
	}
	if (judge(o, &j->ack, j->name, e) == -1)
		return -1;
	*owed = note_owed(o, j);
	return 0;
}

/* ---- may it be? 0; 1 it needs not; -1 ---- */

/* What cannot be acknowledged is stored nowhere: nobody vouches for it, and it had the name. */
static int
check_tiers(const struct job *j, struct err *e)
{
	struct ack a = { 0 };

	for (size_t i = 0; i < j->o->tiers; i++) {
		a.has[i] = j->o->tier[i]->store != NULL;
		if (!a.has[i])
			a.why[i] = j->o->tier[i]->why;
	}
	return judge(j->o, &a, j->name, e);
}

static int
check_file(struct repo *repo, const struct job *j, struct err *e)
{
	const struct wal_push_file f = { j->path, j->name, j->what, j->start };

	return check_tiers(j, e) == -1 ? -1 : wal_push_may(repo, j->o, &f, e);
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
	return check_file(repo, j, e);
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

static int
push_one(const struct wal_push_options *o, struct job *j, struct wal_push_report *ret,
    struct err *e)
{
	work(j);
	if (acknowledge(o, j, &ret->owed, e) == -1)
		return -1;
	ret->bytes = j->bytes;
	return 0;
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
	struct job *j = job_new(repo, o, xstrdup(o->path));
	int rc = -1;

	*ret = (struct wal_push_report){ 0 };
	snprintf(ret->name, sizeof(ret->name), "%s", j->name);
	switch (j->what.kind) {
	case PG_WALNAME_SEGMENT:
	case PG_WALNAME_PARTIAL:
		rc = check_segment(repo, j, e);
		if (rc == 0)
			rc = push_one(o, j, ret, e);
		else if (rc == 1)
			rc = 0;
		break;
	case PG_WALNAME_BACKUP:
		if (check_file(repo, j, e) == 0)
			rc = push_one(o, j, ret, e);
		break;
	case PG_WALNAME_HISTORY:
		if (check_file(repo, j, e) == 0)
			rc = push_history(repo, o, j, e);
		break;
	case PG_WALNAME_OTHER:
		rc = err_set(e, ERR_USAGE, "'%s' is no file that a server archives", o->path);
		break;
	}
	if (rc == 0)
		settle_owed(o);
	job_free(j);
	return rc;
}

/* ---- many ---- */

/* As long as they are as they should be: what is wrong with one is told by its own call. */
static size_t
take_up(struct repo *repo, const struct wal_push_options *o, char (*name)[WAL_AHEAD_NAME],
    size_t count, struct job **job)
{
	const size_t dir = strlen(o->path) - strlen(name_of(o->path));
	struct err why = { 0 };
	size_t n = 0;

	while (n < count) {
		job[n] = job_new(repo, o, xasprintf("%.*s%s", (int)dir, o->path, name[n]));
		if (check_segment(repo, job[n], &why) != 0) {
			job_free(job[n]);
			break;
		}
		n++;
	}
	return n;
}

static int
tell(const struct wal_push_options *o, const struct job *j, wal_push_stored *stored, void *arg)
{
	struct wal_ahead_mark m = { .sysid = j->head.sysid, .st = j->st };
	struct err why = { 0 };

	memcpy(m.name, j->name, sizeof(m.name));
	if (acknowledge(o, j, &m.owed, &why) == -1)
		return -1;
	return stored(arg, &m);
}

int
wal_push_many(struct repo *repo, const struct wal_push_options *o, char (*name)[WAL_AHEAD_NAME],
    size_t count, wal_push_stored *stored, void *arg)
{
	struct job **job = xcalloc(count, sizeof(*job));
	const size_t sound = take_up(repo, o, name, count, job);
	struct pool *pool = pool_new(o->workers, o->workers + 1);
	size_t given = 0;
	int rc = 0;

	for (size_t done = 0; rc == 0 && done < sound; done++) {
		while (given < sound && !pool_full(pool))
			pool_submit(pool, work, job[given++]);
		rc = tell(o, pool_take(pool), stored, arg);
	}
	pool_free(pool);
	for (size_t i = 0; i < sound; i++)
		job_free(job[i]);
	free(job);
	if (rc == 0)
		settle_owed(o);
	return sound < count ? -1 : rc;
}
