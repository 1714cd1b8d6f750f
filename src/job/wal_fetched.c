/*
 * Two fetchers share the work, one takes the even segments, the other the odd ones: a recovery
 * reads faster than one processor unpacks. A lock file says that a fetcher runs; it goes with the
 * process, however that ends.
 */
#include "job/wal_fetched.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "source/pg_walname.h"
#include "source/pg_walpage.h"

#define FOLDER ".ffdr-fetched"
#define FETCHERS 2
#define LOOK_NS (20 * CLOCK_MS) /* between two looks whether something was taken */
#define ABSENT_NS (CLOCK_S / 2)
#define PATIENCE_NS (20 * CLOCK_S) /* nobody took anything for so long: the recovery is over */

/* The directory for the file that is asked for; caller frees. */
static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? xasprintf("%.*s/" FOLDER, (int)(slash - path), path) : xstrdup(FOLDER);
}

int
wal_fetched_read(struct walread *r, const struct wal_get_options *o, uint32_t tli, uint64_t start,
    struct buf *bytes, struct err *e)
{
	struct pg_walpage_segment seen;
	uint64_t until;
	size_t whole;
	int got = walread_segment(r, tli, start, o->segment_size, bytes, &until, e);

	if (got == -1 || (got == 0 && (until == start || !o->unfinished)))
		return got;
	/* A page that is cut in the middle has its header, but is not looked at. */
	whole = (size_t)(until - start) / PG_WALPAGE_LEN * PG_WALPAGE_LEN;
	if (bytes->len < o->segment_size) {
		size_t rest = o->segment_size - bytes->len;

		memset(buf_reserve(bytes, rest), 0, rest);
		bytes->len += rest;
	}
	if (whole > 0 &&
	    pg_walpage_check_segment(bytes->data, whole, tli, start, o->place.sysid, &seen, e) ==
		-1)
		return -1;
	return 1;
}

/* ---- taking ---- */

int
wal_fetched_take(const char *name, const char *path, struct err *e)
{
	char *folder = folder_of(path), *file = xasprintf("%s/%s", folder, name);
	int got = 1;

	if (rename(file, path) == -1)
		got = errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(e, "'%s'", file);
	free(file);
	free(folder);
	return got;
}

/* The lock of fetcher k: its descriptor, or -1 when it runs or cannot be. */
static int
lock_of(const char *folder, unsigned k)
{
	char *file = xasprintf("%s/lock.%u", folder, k);
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	free(file);
	if (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == -1) {
		close(fd);
		fd = -1;
	}
	return fd;
}

bool
wal_fetched_runs(const char *path)
{
	char *folder = folder_of(path);
	bool runs = access(folder, F_OK) == 0;

	for (unsigned k = 0; runs && k < FETCHERS; k++) {
		int fd = lock_of(folder, k);

		runs = fd == -1;
		if (fd != -1)
			close(fd);
	}
	free(folder);
	return runs;
}

/* ---- fetching ---- */

struct fetcher {
	const struct wal_get_options *o;
	struct walread *r;
	char *folder;
	unsigned k;
	uint32_t tli;
	uint64_t next;			/* start of the segment to be fetched next */
	char (*there)[PG_WALNAME_TEXT]; /* fetched and not seen taken yet */
	unsigned count;
	int64_t moved_boot_ns; /* when one was taken last */
};

/* The file of that name, with what else the fetchers keep there. */
static char *
file_of(const struct fetcher *f, const char *name)
{
	return xasprintf("%s/%s", f->folder, name);
}

/* The first segment of ours behind that one. */
static uint64_t
ours_after(const struct fetcher *f, uint64_t start)
{
	uint64_t number = start / f->o->segment_size + 1;

	while (number % FETCHERS != f->k)
		number++;
	return number * f->o->segment_size;
}

/* Those that were taken are forgotten. */
static void
look(struct fetcher *f)
{
	for (unsigned i = 0; i < f->count;) {
		char *file = file_of(f, f->there[i]);

		if (access(file, F_OK) == 0) {
			i++;
		} else {
			memmove(
			    f->there[i], f->there[i + 1], (f->count - i - 1) * sizeof(f->there[0]));
			f->count--;
			f->moved_boot_ns = clock_boot_ns();
		}
		free(file);
	}
}

/* One segment; false: it is not to be had now. */
static bool
fetch(struct fetcher *f, struct buf *bytes)
{
	char name[PG_WALNAME_TEXT];
	struct err why = { 0 };
	char *file;
	bool got;

	if (wal_fetched_read(f->r, f->o, f->tli, f->next, bytes, &why) != 1)
		return false;
	pg_walname_segment(f->tli, f->next, f->o->segment_size, name);
	file = file_of(f, name);
	got = file_put(AT_FDCWD, file, bytes->data, bytes->len, 0600, FILE_REPLACE, &why) != -1;
	free(file);
	if (got) {
		memcpy(f->there[f->count++], name, sizeof(name));
		f->next += (uint64_t)f->o->segment_size * FETCHERS;
	}
	return got;
}

static void
run(struct fetcher *f)
{
	const unsigned most = f->o->ahead / FETCHERS > 0 ? f->o->ahead / FETCHERS : 1;
	struct buf bytes;

	buf_init(&bytes, f->o->segment_size);
	f->there = xcalloc(most + 1, sizeof(f->there[0]));
	f->moved_boot_ns = clock_boot_ns();
	while (clock_boot_ns() - f->moved_boot_ns < PATIENCE_NS && access(f->folder, F_OK) == 0) {
		look(f);
		if (f->count >= most)
			clock_sleep_ns(LOOK_NS);
		else if (!fetch(f, &bytes))
			clock_sleep_ns(ABSENT_NS);
	}
	buf_done(&bytes);
}

/* Nobody wants them any more. */
static void
tidy(struct fetcher *f)
{
	char *lock = xasprintf("%s/lock.%u", f->folder, f->k);

	for (unsigned i = 0; i < f->count; i++) {
		char *file = file_of(f, f->there[i]);

		unlink(file);
		free(file);
	}
	unlink(lock);
	rmdir(f->folder); /* fails while the other one is there */
	free(lock);
	free(f->there);
}

static int
fetcher_main(const struct wal_get_options *o, const struct wal_fetched_opener *opener, unsigned k)
{
	struct wal_get_options mine = *o;
	struct fetcher f = { .o = &mine, .k = k, .folder = folder_of(o->path) };
	struct pg_walname n;
	struct repo *repo = NULL;
	struct walread_options ro;
	struct err why = { 0 };
	int fd = lock_of(f.folder, k);

	/* What is behind the frontier now may be there later; zeros in its place would stay. */
	mine.unfinished = false;
	if (fd == -1 || pg_walname_parse(o->name, &n) != PG_WALNAME_SEGMENT ||
	    pg_walname_start(&n, o->segment_size, &f.next, &why) == -1)
		goto out;
	if (opener->open(opener->arg, &mine, &repo, &why) == -1)
		goto out;
	f.tli = n.timeline;
	f.next = ours_after(&f, f.next);
	ro = (struct walread_options){
		.repo = repo,
		.tier = mine.tier,
		.tiers = mine.tiers,
		.spool = mine.spool,
		.place = mine.place,
	};
	if (walread_new(&ro, &f.r, &why) == 0)
		run(&f);
	tidy(&f);
	walread_free(f.r);
	opener->close(opener->arg);
out:
	free(f.folder);
	if (fd != -1)
		close(fd);
	return 1;
}

int
wal_fetched_start(
    const struct wal_get_options *o, const struct wal_fetched_opener *opener, struct err *e)
{
	char *folder = folder_of(o->path);
	int rc = file_make_dirs(AT_FDCWD, folder, 0700, e);

	free(folder);
	for (unsigned k = 0; rc == 0 && k < FETCHERS; k++) {
		rc = proc_detach(e);
		if (rc == 1)
			return fetcher_main(o, opener, k);
	}
	return rc;
}
