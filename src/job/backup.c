/*
 * A backup goes to the first tier of its source that answers: better late on the wrong tier than
 * not at all, and `copy` brings it to the others. A tier that is away costs a warning, one that
 * answers and then refuses ends the run: going on elsewhere would hide a full disk for weeks.
 *
 * Two runs of one source would do the same work twice and harm nothing, so the lock beside the
 * state only saves work, and only on this host.
 */
#include "job/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "filter/pool.h"
#include "job/ground.h"
#include "job/inventory.h"
#include "job/recall.h"
#include "job/whose.h"
#include "repo/catalog.h"
#include "repo/hostclock.h"
#include "repo/repo_audit.h"
#include "repo/writer.h"
#include "source/exclude.h"
#include "source/links.h"
#include "source/volume.h"
#include "source/walk.h"

#define BACKUP_TIERS 64	    /* of one source; only bounds an array */
#define BACKUP_HOST_MAX 256 /* HOST_NAME_MAX and its NUL */
#define BACKUP_SHRUNK 10    /* a volume with so many times less files than before is worth a word */

/* One run: what its parts share. */
struct backup {
	struct session *session;
	const struct backup_options *o;
	const struct watch *watch;
	struct backup_report *report;
	struct writer *writer;
	struct tier *tier;
	struct text_list exclude;
	struct own own;
	uint64_t expected; /* bytes, by the parent; 0 unknown */
	uint64_t files;	   /* of the parent */
	bool read_all;
};

/* What the volume has to say names its source already. */
static void
pass_on(void *arg, const char *text)
{
	const struct backup *b = arg;

	b->watch->event(b->watch->arg, "warning", text);
}

static void
warn(struct backup *b, const char *text)
{
	char *named = xasprintf("%s: %s", b->report->source, text);

	b->report->degraded++;
	pass_on(b, named);
	free(named);
}

static bool
stop(void *arg)
{
	const struct backup *b = arg;

	return b->watch->stop(b->watch->arg);
}

static void
progress(void *arg)
{
	const struct backup *b = arg;
	struct writer_progress p;
	uint64_t done;

	writer_progress(b->writer, &p);
	done = p.bytes_read + p.bytes_kept;
	b->watch->progress(b->watch->arg, "reading", done, done <= b->expected ? b->expected : 0);
}

/* The file that stands for a run of this source; -1 where nothing can be kept. */
static int
open_lock(const struct backup *b, struct err *e)
{
	char *dir = xasprintf("%s/lock", b->session->conf->state);
	char *path = xasprintf("%s/backup.%s", dir, b->report->source);
	int fd = -1;

	/* `state` says who comes this far: its group may take the lock that root left here. */
	if (file_make_dirs(AT_FDCWD, dir, 0770, e) == 0) {
		fd = file_open_shared(path, 0660, e);
		if (fd == -1)
			err_in(e, "lock");
	}
	free(dir);
	free(path);
	return fd;
}

/* Held until the process ends or *fd is closed; so a crash leaves nothing locked. */
static int
lock(struct backup *b, int *fd, struct err *e)
{
	struct err why = b->session->state;
	char *text;

	*fd = why.kind == ERR_NONE ? open_lock(b, &why) : -1;
	if (*fd == -1) {
		session_state_lost(b->session, &why);
		text = xasprintf("no lock against a second run at once: %s", why.text);
		warn(b, text);
		free(text);
	} else if (flock(*fd, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK) {
		return err_set(e, ERR_BUSY, "another backup of %s is running on this host",
		    b->report->source);
	}
	return 0; /* a file system without locks costs double work, no harm */
}

static int
open_writer(struct backup *b, struct tier *t, bool read_all, struct err *e)
{
	const struct conf *c = b->session->conf;
	char host[BACKUP_HOST_MAX] = "";
	struct writer_options wo = {
		.source = b->report->source,
		.root = b->o->volume->path,
		.job = b->o->job,
		.slot = b->o->slot,
		.level = (int)c->level,
		.workers = c->workers > 0 ? (unsigned)c->workers : pool_cpus(),
		.read_all = read_all,
	};

	if (gethostname(host, sizeof(host) - 1) == 0)
		wo.host = host;
	b->read_all = read_all;
	return writer_open_snapshot(b->session->repo, t, &wo, &b->writer, e);
}

static void
missing_seen(void *arg, struct tier *t, const struct newest_missing *m)
{
	struct backup *b = arg;
	char *text = xasprintf("%s on '%s' %s", m->id, t->name, m->why.text);

	b->report->degraded++;
	pass_on(b, text);
	free(text);
}

/*
 * A tier must open by itself what is sealed there. What it has lost of the repository's own objects
 * is brought back before anything is written; what is damaged is told, and no reason to have no
 * backup.
 */
static int
prepare(struct backup *b, struct tier *t, struct err *e)
{
	struct session *s = b->session;
	struct repo_audit a = { 0 };
	int rc = repo_spread(s->repo, t, e);

	if (rc == 1) {
		char *text = xasprintf("'%s' had lost objects of the repository: they were brought back "
				       "from another tier", t->name);

		b->watch->event(b->watch->arg, "repaired", text);
		free(text);
	}
	if (rc != -1)
		rc = repo_audit(s->repo, &s->kek, t, &a, e);
	for (size_t i = 0; i < a.count; i++) {
		char *text = xasprintf("'%s' on '%s': %s\n  fix       `ffdr verify --repair --tier %s`",
		    a.flaw[i].object, t->name, a.flaw[i].why.text, t->name);

		warn(b, text);
		free(text);
	}
	repo_audit_done(&a);
	if (rc != -1)
		recall_each(s, t, b->report->source, b->watch, missing_seen, b);
	return rc;
}

/* The one before came from another host: it took over, or both use one name. */
static void
tell_other(struct backup *b, const struct manifest *parent)
{
	char *other = whose_other(parent, NULL), *text;
	struct layout_snap part;

	if (other && layout_snap_parse(parent->name, &part) == 0) {
		text = xasprintf("the newest snapshot there, %s, %s\n  fix       " WHOSE_FIX, part.id,
		    other);
		warn(b, text);
		free(text);
	}
	free(other);
}

/* A volume that is not mounted looks like an empty one. It may be meant, so the snapshot stands. */
static void
tell_shrunk(struct backup *b, uint64_t files)
{
	char *text;

	if (b->files == 0 || files * BACKUP_SHRUNK >= b->files)
		return;
	text = xasprintf("%llu file%s in '%s' now, %llu in the snapshot before: is it mounted?\n"
			 "  fix       where it should hold more, mount it and run `ffdr backup %s`; older "
			 "snapshots are kept as ever", (unsigned long long)files, files == 1 ? "" : "s",
	    b->o->volume->path, (unsigned long long)b->files, b->report->source);
	warn(b, text);
	free(text);
}

/*
 * Whether everything must be read is known only once the parent is open; then, about once a week,
 * it is opened again.
 */
static int
open_on(struct backup *b, struct tier *t, struct err *e)
{
	bool read_all = b->o->read_all || strcmp(b->o->volume->compare, "stat") != 0;
	const struct manifest *parent;

	if (prepare(b, t, e) == -1 || open_writer(b, t, read_all, e) == -1)
		return -1;
	parent = writer_parent(b->writer);
	if (!read_all &&
	    volume_reads_all(parent ? parent->compared_ns : 0, clock_real_ns(), true, false)) {
		writer_free(b->writer);
		b->writer = NULL;
		if (open_writer(b, t, true, e) == -1)
			return -1;
		parent = writer_parent(b->writer);
	}
	b->tier = t;
	b->report->tier = t->name;
	b->report->first = !parent;
	b->report->compared = b->read_all;
	b->expected = parent ? parent->bytes : 0;
	b->files = parent ? parent->files : 0;
	if (parent)
		tell_other(b, parent);
	return 0;
}

static void
skip(struct backup *b, const struct tier *t, const char *why)
{
	char *text = xasprintf("tier '%s' is passed over: %s", t->name, why);

	warn(b, text);
	b->report->skipped++;
	free(text);
}

/* The first of the source's tiers that answers has the writer. */
static int
choose_tier(struct backup *b, struct err *e)
{
	struct tier *tier[BACKUP_TIERS];
	size_t n = session_source_tiers(b->session, b->report->source, tier, BACKUP_TIERS);
	struct err why[BACKUP_TIERS];

	for (size_t i = 0; i < n; i++) {
		err_clear(&why[i]);
		if (!tier[i]->store)
			why[i] = tier[i]->why;
		else if (open_on(b, tier[i], &why[i]) == 0)
			return 0;
		else if (why[i].kind != ERR_REMOTE) {
			*e = why[i];
			return err_in(e, "%s to %s", b->report->source, tier[i]->name);
		}
		if (i + 1 < n)
			skip(b, tier[i], why[i].text);
	}
	err_set(e, ERR_REMOTE, "no tier of %s can be reached", b->report->source);
	for (size_t i = 0; i < n; i++)
		err_line(e, tier[i]->name, "%s", why[i].text);
	return err_line(e, "fix", "bring one of them back, or name others in `tiers` of this source");
}

static int
open_snapshot(struct backup *b, struct err *e)
{
	struct tier *t;

	if (!b->o->tier)
		return choose_tier(b, e);
	if (session_tier(b->session, b->o->tier, &t, e) == -1)
		return -1;
	return open_on(b, t, e);
}

/* How far apart the two clocks are that tell "changed since the parent was made". */
static int
clock_skew(const struct tier *t, int64_t *ret, struct err *e)
{
	int64_t theirs, ours;

	if (store_clock(t->store, &theirs, e) == -1)
		return err_in(e, "the clock of tier '%s'", t->name);
	ours = clock_real_ns();
	*ret = theirs > ours ? theirs - ours : ours - theirs;
	return 0;
}

/* ---- looking without reading ---- */

/* A file with several names counts once. */
static void
count(struct backup *b, struct links *links, const struct walk_entry *en)
{
	b->report->entries++;
	if (!en->looked || !S_ISREG(en->st.st_mode))
		return;
	if (en->st.st_nlink > 1) {
		if (links_seen(links, &en->st))
			return;
		links_add(links, &en->st, en->path);
	}
	b->report->files++;
	b->report->bytes += (uint64_t)en->st.st_size;
}

static void
warn_and_count(struct backup *b, struct links *links, const struct walk_entry *en)
{
	if (en->error) {
		struct buf text;

		buf_init(&text, 4 * en->pathlen + 256);
		buf_addc(&text, '\'');
		text_escape(en->path, en->pathlen, &text);
		buf_addf(&text, "' cannot be read: %s", strerror(en->error));
		warn(b, buf_str(&text));
		b->report->unreadable++;
		buf_done(&text);
	}
	count(b, links, en);
}

typedef void look_fn(struct backup *b, struct links *links, const struct walk_entry *en);

/* Every entry that a backup would take, into the report. */
static int
look_through(struct backup *b, look_fn *seen, struct err *e)
{
	struct walk_options wo = {
		.root = b->o->volume->path,
		.own = &b->own,
		.one_file_system = b->o->volume->one_file_system,
	};
	const struct walk_entry *en;
	struct exclude *exclude = NULL;
	struct links *links = links_new();
	struct walk *w = NULL;
	int rc = -1;

	if (exclude_new((const char *const *)b->exclude.item, b->exclude.count, &exclude, e) == -1)
		goto out;
	wo.exclude = exclude;
	if (walk_open(&wo, &w, e) == -1) {
		err_in(e, "%s", b->report->source);
		goto out;
	}
	while (walk_next(w, &en) == 1) {
		seen(b, links, en);
		b->watch->progress(b->watch->arg, "counting", b->report->bytes, 0);
		if (stop(b)) {
			err_set(e, ERR_CANCELLED, "interrupted");
			goto out;
		}
	}
	rc = 0;
out:
	walk_free(w);
	links_free(links);
	exclude_free(exclude);
	return rc;
}

/* A first backup has no parent that tells how much will come; who looks on wants to know. */
static void
forecast(struct backup *b)
{
	const struct backup_report before = *b->report;
	struct err why = { 0 };

	if (b->expected > 0 || !b->watch->person)
		return;
	if (look_through(b, count, &why) == 0)
		b->expected = b->report->bytes;
	*b->report = before;
}

/* 1 all, 0 the time is up, -1. */
static int
capture(struct backup *b, struct err *e)
{
	const struct conf_volume *v = b->o->volume;
	struct volume_report seen = { 0 };
	struct volume_options vo = {
		.source = b->report->source,
		.path = v->path,
		.exclude = (const char *const *)b->exclude.item,
		.excludes = b->exclude.count,
		.own = &b->own,
		.one_file_system = v->one_file_system,
		.by_stat = !b->read_all,
		.before = v->before,
		.after = v->after,
		.warn = pass_on,
		.stop = stop,
		.progress = progress,
		.arg = b,
	};
	int rc;

	if (clock_skew(b->tier, &vo.clock_skew_ns, e) == -1)
		return -1;
	/* So that a restore in place knows what was never looked at, and leaves it alone. */
	for (size_t i = 0; i < b->exclude.count; i++)
		writer_detail(b->writer, "exclude", b->exclude.item[i]);
	forecast(b);
	rc = volume_capture(b->writer, &vo, &seen, e);
	b->report->entries = seen.entries;
	b->report->files = seen.files;
	b->report->changed = seen.changed;
	b->report->vanished = seen.vanished;
	b->report->unreadable = seen.unreadable;
	b->report->degraded += seen.degraded;
	return rc;
}

/* What this host remembers of it; a lost entry is found again by `list --refresh`. */
static void
remember(struct backup *b, const struct manifest *m)
{
	struct catalog_facts facts;
	struct err e = { 0 };
	char *catalog = inventory_catalog(b->session);

	catalog_facts(m, &facts);
	if (b->session->state.kind == ERR_NONE &&
	    catalog_put(catalog, b->report->id, &facts, &e) == -1) {
		session_state_lost(b->session, &e);
		warn(b, e.text);
	}
	free(catalog);
	recall_put(b->session, b->tier, b->report->id, m->sequence, b->watch);
}

static int
commit(struct backup *b, bool partial, struct err *e)
{
	struct writer_progress p;
	struct layout_snap part;
	struct manifest m;
	char *text;
	int rc = -1;

	manifest_init(&m);
	b->watch->progress(b->watch->arg, "committing", 0, 0);
	if (writer_commit(b->writer, partial, &m, e) == -1)
		goto out;
	if (layout_snap_parse(m.name, &part) == -1) {
		err_set(e, ERR_BUG, "'%s' is no name of a snapshot", m.name);
		goto out;
	}
	if (*writer_trouble(b->writer)) {
		text = xasprintf("the snapshot before could not be read, so more was stored anew: %s",
		    writer_trouble(b->writer));
		warn(b, text);
		free(text);
	}
	writer_progress(b->writer, &p);
	memcpy(b->report->id, part.id, sizeof(b->report->id));
	b->report->partial = partial;
	b->report->entries = m.entries;
	b->report->files = m.files;
	b->report->bytes = m.bytes;
	b->report->read = p.bytes_read;
	b->report->fresh = p.bytes_new_raw;
	b->report->stored = p.bytes_stored;
	if (!partial)
		tell_shrunk(b, m.files);
	remember(b, &m);
	rc = 0;
out:
	manifest_done(&m);
	return rc;
}

/*
 * Expiry measures a clock that jumped against the last run that found it right; a backup is such a
 * run. A wrong clock does not stop a backup: it only names it wrongly.
 */
static void
note_clock(struct backup *b)
{
	const char *path = b->session->repo->clock_path;
	struct err why = { 0 };

	if (path == NULL)
		return;
	if (hostclock_check(path, 0, &why) == -1 && why.kind == ERR_REFUSED)
		warn(b, why.text);
	else
		/* no state: expire will look for itself */
		(void)!hostclock_remember(path, 0, &why);
}

static int
snapshot(struct backup *b, struct err *e)
{
	int fd = -1, all, rc = -1;

	if (lock(b, &fd, e) == -1)
		goto out;
	note_clock(b);
	if (open_snapshot(b, e) == -1)
		goto out;
	all = capture(b, e);
	if (all == -1)
		goto out;
	rc = commit(b, all == 0, e);
out:
	writer_free(b->writer);
	if (fd != -1)
		close(fd);
	return rc;
}

/* One entry of a dry run. A file counts once, by whichever name comes first. */
static int
dry_run(struct backup *b, struct err *e)
{
	return look_through(b, warn_and_count, e);
}

int
backup_run(struct session *s, const struct backup_options *o, const struct watch *w,
    struct backup_report *ret, struct err *e)
{
	struct backup b = { .session = s, .o = o, .watch = w, .report = ret };
	int64_t begun = clock_boot_ns();
	int rc;

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->source, sizeof(ret->source), "vol.%s", o->volume->name);
	text_split(o->volume->exclude ? o->volume->exclude : "", &b.exclude);
	ground_own(s->conf, &b.own);
	rc = o->dry_run ? dry_run(&b, e) : snapshot(&b, e);
	ret->took_ns = clock_boot_ns() - begun;
	text_list_done(&b.exclude);
	own_done(&b.own);
	return rc;
}
