/*
 * Two fetchers share the work, one takes the even segments, the other the odd ones: a recovery
 * reads faster than one processor unpacks. A call whose segment is under way waits for it: to fetch
 * it a second time would take the processor from the one who is about to have it.
 *
 * Nothing here is synced. The server syncs what it was given, and a machine that stops forgets which
 * of these files were whole; so their names end in the number of its start, and another start's
 * are nothing but rubbish.
 */
#include "job/wal/wal_fetched.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "filter/crc32c.h"
#include "job/wal/wal_behind.h"
#include "job/wal/wal_segment.h"
#include "source/pg/pg_walname.h"
#include "source/pg/pg_walpage.h"

#define FOLDER ".ffdr-fetched"
#define FETCHERS 2
#define LOOK_NS (10 * CLOCK_MS) /* between two looks whether something was taken */
#define ABSENT_NS (CLOCK_S / 2)
#define PATIENCE_NS (20 * CLOCK_S) /* nobody took anything for so long: the recovery is over */
#define COMES_NS (30 * CLOCK_S) /* so long a call waits for what is under way */
#define COMES_LOOK_NS CLOCK_MS
#define BOOT_FILE "/proc/sys/kernel/random/boot_id"
#define BOOT 8 /* letters of it, up to its first hyphen */
#define MARK (BOOT + 1 + 8 + 1)

/* The directory for the file that is asked for; caller frees. */
static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? xasprintf("%.*s/" FOLDER, (int)(slash - path), path) : xstrdup(FOLDER);
}

/* Is the log's end what was proved? The segment is there up to `until` only. */
static int
ends_here(struct walread *r, const struct wal_get_options *o, uint32_t tli, uint64_t start,
    uint64_t until, struct err *e)
{
	char at[LSN_TEXT];
	int behind;

	/* A recovery that ends in what is there needs nothing behind it. */
	if (!o->proves || (o->until > 0 && until >= o->until))
		return 0;
	behind = walread_behind(r, tli, start + o->segment_size, e);
	if (behind == 1) {
		err_set(e, ERR_CORRUPT,
		    "WAL of timeline %" PRIu32 " from %s on is on no tier that was asked, yet more "
		    "is behind it: a hole is not the end of the log", tli, lsn_text(until, at));
		err_line(e, "fix",
		    "a tier that has it; else a recovery that ends before the hole, and says so by "
		    "--until LSN");
	}
	return behind == 0 ? 0 : -1;
}

int
wal_fetched_read(struct walread *r, const struct wal_get_options *o, uint32_t tli, uint64_t start,
    struct buf *bytes, struct err *e)
{
	struct pg_walpage_segment seen;
	uint64_t until;
	size_t whole;
	int got = wal_segment(r, tli, start, o->segment_size, bytes, &until, e);

	if (got == 0 && ends_here(r, o, tli, start, until, e) == -1)
		return -1;
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

/* ---- names ---- */

/*
 * What the names of a call's files end in: the start of the machine and what was asked for, so that
 * another recovery in the same place finds nothing of this one. "" where the machine does not say
 * which start it is: then nothing is fetched ahead.
 */
static void
mark_of(const char *asked, char out[MARK])
{
	char boot[BOOT + 1] = "";
	int fd = open(BOOT_FILE, O_RDONLY | O_CLOEXEC);

	out[0] = '\0';
	if (fd == -1)
		return;
	if (file_read(fd, boot, BOOT, NULL) == BOOT)
		snprintf(out, MARK, "%s-%08" PRIx32, boot, crc32c(0, asked, strlen(asked)));
	close(fd);
}

/* Caller frees these. */
static char *
file_of(const char *folder, const char *name, const char *mark)
{
	return xasprintf("%s/%s.%s", folder, name, mark);
}

static char *
lock_of(const char *folder, unsigned k, const char *mark)
{
	return xasprintf("%s/lock%u.%s", folder, k, mark);
}

/* ---- taking ---- */

static int
take(const char *file, const char *path, struct err *e)
{
	if (rename(file, path) == 0)
		return 1;
	return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(e, "'%s'", file);
}

/* Is a fetcher at work on that one? */
static bool
comes(const char *folder, const char *name, const char *mark)
{
	bool does = false;

	for (unsigned k = 0; !does && k < FETCHERS; k++) {
		char *lock = lock_of(folder, k, mark);

		does = wal_behind_says(lock, name);
		free(lock);
	}
	return does;
}

int
wal_fetched_take(const struct wal_get_options *o, struct err *e)
{
	const int64_t end = clock_boot_ns() + COMES_NS;
	char *folder = folder_of(o->path), *file, mark[MARK];
	bool more;
	int got;

	mark_of(o->asked, mark);
	file = file_of(folder, o->name, mark);
	do {
		/* First whether it comes: what came in between is there then. */
		more = clock_boot_ns() < end && comes(folder, o->name, mark);
		got = *mark ? take(file, o->path, e) : 0;
		if (got == 0 && more)
			clock_sleep_ns(COMES_LOOK_NS);
	} while (got == 0 && more);
	free(file);
	free(folder);
	return got;
}

bool
wal_fetched_runs(const struct wal_get_options *o)
{
	char *folder = folder_of(o->path), mark[MARK];
	bool runs = true;

	mark_of(o->asked, mark);
	for (unsigned k = 0; runs && k < FETCHERS; k++) {
		char *lock = lock_of(folder, k, mark);

		runs = wal_behind_lives(lock);
		free(lock);
	}
	free(folder);
	return runs;
}

/* ---- fetching ---- */

struct fetcher {
	const struct wal_get_options *o;
	struct walread *r;
	char *folder, mark[MARK];
	unsigned k;
	int lock;
	uint32_t tli;
	uint64_t next;			/* start of the segment to be fetched next */
	char (*there)[PG_WALNAME_TEXT]; /* fetched and not seen taken yet */
	unsigned count;
	int64_t moved_boot_ns; /* when one was taken last */
};

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
	unsigned gone = 0;

	/* What lies before one that was taken will not be asked for any more. */
	for (unsigned i = f->count; i > 0; i--) {
		char *file = file_of(f->folder, f->there[i - 1], f->mark);

		if (gone > 0)
			unlink(file);
		else if (access(file, F_OK) == -1)
			gone = i;
		free(file);
	}
	if (gone == 0)
		return;
	memmove(f->there[0], f->there[gone], (f->count - gone) * sizeof(f->there[0]));
	f->count -= gone;
	f->moved_boot_ns = clock_boot_ns();
}

/* The bytes under that name, all of them before it has it; not synced (see above). */
static bool
put(const struct fetcher *f, const char *name, const struct buf *bytes)
{
	char *file = file_of(f->folder, name, f->mark);
	char *tmp = xasprintf("%s/" FILE_TMP_PREFIX "%u.%s", f->folder, f->k, f->mark);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool done = fd != -1 && file_write(fd, bytes->data, bytes->len, NULL) == 0;

	if (fd != -1 && close(fd) == -1)
		done = false;
	if (done)
		done = rename(tmp, file) == 0;
	if (!done)
		unlink(tmp);
	free(tmp);
	free(file);
	return done;
}

/* One segment; false: it is not to be had now. */
static bool
fetch(struct fetcher *f, struct buf *bytes)
{
	char name[PG_WALNAME_TEXT];
	bool got;

	pg_walname_segment(f->tli, f->next, f->o->segment_size, name);
	wal_behind_say(f->lock, name);
	got = wal_fetched_read(f->r, f->o, f->tli, f->next, bytes, NULL) == 1 &&
	    put(f, name, bytes);
	wal_behind_say(f->lock, "");
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

/* What is of another start of the machine, or of a fetcher before this one. */
static bool
is_rubbish(const struct fetcher *f, const char *name)
{
	const char *dot = strrchr(name, '.');
	struct pg_walname n;
	char segment[PG_WALNAME_TEXT];
	uint64_t start;

	if (!dot || name[0] == '.')
		return false;
	if (strncmp(dot + 1, f->mark, BOOT) != 0)
		return true;
	if (strcmp(dot + 1, f->mark) != 0 || (size_t)(dot - name) >= sizeof(segment))
		return false;
	snprintf(segment, sizeof(segment), "%.*s", (int)(dot - name), name);
	return pg_walname_parse(segment, &n) == PG_WALNAME_SEGMENT &&
	    pg_walname_start(&n, f->o->segment_size, &start, NULL) == 0 &&
	    start / f->o->segment_size % FETCHERS == f->k;
}

static void
sweep(const struct fetcher *f)
{
	DIR *d = opendir(f->folder);
	const struct dirent *en;

	while (d && (en = readdir(d)))
		if (is_rubbish(f, en->d_name))
			unlinkat(dirfd(d), en->d_name, 0);
	if (d)
		closedir(d);
}

/* Nobody wants them any more. */
static void
tidy(struct fetcher *f)
{
	char *lock = lock_of(f->folder, f->k, f->mark);

	for (unsigned i = 0; i < f->count; i++) {
		char *file = file_of(f->folder, f->there[i], f->mark);

		unlink(file);
		free(file);
	}
	unlink(lock);
	rmdir(f->folder); /* fails while another one is there */
	free(lock);
	free(f->there);
}

/* Makes the lock ours; false: another one lives. */
static bool
claim(struct fetcher *f)
{
	char *lock = lock_of(f->folder, f->k, f->mark);

	f->lock = wal_behind_claim(lock);
	free(lock);
	return f->lock != -1;
}

static int
fetcher_main(const struct wal_get_options *o, const struct wal_fetched_opener *opener, unsigned k)
{
	struct wal_get_options mine = *o;
	struct fetcher f = { .o = &mine, .k = k, .folder = folder_of(o->path), .lock = -1 };
	struct pg_walname n;
	struct repo *repo = NULL;
	struct walread_options ro;
	struct err why = { 0 };

	/* What is behind the frontier now may be there later; zeros in its place would stay. */
	mine.unfinished = mine.proves = false;
	mark_of(o->asked, f.mark);
	if (pg_walname_parse(o->name, &n) != PG_WALNAME_SEGMENT ||
	    pg_walname_start(&n, o->segment_size, &f.next, &why) == -1 || !claim(&f))
		goto out;
	sweep(&f);
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
	if (f.lock != -1)
		close(f.lock);
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
