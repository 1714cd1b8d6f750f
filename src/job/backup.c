/*
 * A backup goes to the first tier of its source that answers: better late on the wrong tier than
 * not at all, and `copy` brings it to the others. A tier that is away costs a warning, one that
 * answers and then refuses ends the run: going on elsewhere would hide a full disk for weeks.
 *
 * Two runs of one source would do the same work twice and harm nothing, so the lock beside the
 * state only saves work, and only on this host.
 *
 * What is read, and how, depends on the kind of source and is behind struct backup_kind; here is
 * what all kinds need.
 */
#include "job/backup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "job/backup_kind.h"
#include "job/inventory.h"
#include "job/lock.h"
#include "job/recall.h"
#include "job/whose.h"
#include "repo/catalog.h"
#include "repo/repo_audit.h"
#include "repo/repo_lock.h"
#include "repo/wall.h"

#define BACKUP_TIERS 64	    /* of one source; only bounds an array */
#define BACKUP_HOST_MAX 256 /* HOST_NAME_MAX and its NUL */

/* The kinds of sources: adding one is a file and a row. */
static const struct backup_kind *const kinds[] = {
	&backup_volume,
	&backup_pg,
};

static const struct backup_kind *
kind_of(const struct conf_source *s)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i]->kind == s->kind)
			return kinds[i];
	return NULL;
}

void
backup_warn(struct backup *b, const char *text)
{
	char *named = xasprintf("%s: %s", b->report->source, text);

	b->report->degraded++;
	run_warn(b, named);
	free(named);
}

void
backup_progress(void *arg)
{
	const struct backup *b = arg;
	const struct watch *w = b->run.watch;
	struct writer_progress p;
	uint64_t done;

	writer_progress(b->writer, &p);
	done = p.bytes_read + p.bytes_unread;
	w->progress(w->arg, "reading", done, done <= b->expected ? b->expected : 0);
}

void
backup_fact(struct backup *b, bool number, const char *key, const char *fmt, ...)
{
	struct backup_fact *fact;
	va_list ap;

	if (b->report->facts == BACKUP_FACTS)
		return;
	fact = &b->report->fact[b->report->facts++];
	fact->key = key;
	fact->number = number;
	va_start(ap, fmt);
	vsnprintf(fact->value, sizeof(fact->value), fmt, ap);
	va_end(ap);
}

/* Without a `state` there is no lock, which costs double work at worst: *fd stays -1. */
static int
lock(struct backup *b, int *fd, struct err *e)
{
	struct session *s = b->run.session;
	struct err why = s->state;
	char *text;

	if (why.kind == ERR_NONE)
		*fd = lock_take(s->conf->state, "backup", b->report->source, &why);
	if (*fd != -1)
		return 0;
	if (why.kind == ERR_BUSY) {
		*e = why;
		return -1;
	}
	session_state_lost(s, &why);
	text = xasprintf("no lock against a second run at once: %s", why.text);
	backup_warn(b, text);
	free(text);
	return 0;
}

static int
open_writer(struct backup *b, struct tier *t, struct err *e)
{
	return writer_open_snapshot(b->run.session->repo, t, &b->writing, &b->writer, e);
}

static void
missing_seen(void *arg, struct tier *t, const struct newest_missing *m)
{
	struct backup *b = arg;
	char *text = xasprintf("%s on '%s' %s", m->id, t->name, m->why.text);

	b->report->degraded++;
	run_warn(b, text);
	free(text);
}

/* It is no reason to have no backup, but it stops what removes. */
static void
tell_strange(struct backup *b, const struct tier *t)
{
	struct snapshot_list list = { 0 };
	char *text = NULL;

	if (snapshot_list_known(t->store, b->report->source, &list, NULL) == 0)
		text = inventory_strange(t, &list);
	if (text)
		backup_warn(b, text);
	free(text);
	snapshot_list_done(&list);
}

/* It lasts for a while yet: no reason to have no backup. */
static void
renew_locks(struct backup *b, struct tier *t)
{
	struct err why = { 0 };
	char *text;

	if (repo_lock_renew(b->run.session->repo, t, &why) != -1)
		return;
	text = xasprintf("'%s': the locks of the keys could not be made longer: %s", t->name, why.text);
	backup_warn(b, text);
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
	struct session *s = b->run.session;
	struct repo_audit a = { 0 };
	struct err why = { 0 };
	int rc = repo_spread(s->repo, t, e);

	if (rc == 1) {
		char *text = xasprintf("'%s' lacked objects of the repository: they are there now",
		    t->name);

		b->run.watch->event(b->run.watch->arg, "repaired", text);
		free(text);
	}
	if (repo_check_replaced(s->repo, &why) == -1)
		backup_warn(b, why.text);
	if (rc != -1)
		rc = repo_audit(s->repo, &s->kek, t, &a, e);
	for (size_t i = 0; i < a.count; i++) {
		char *text = xasprintf("'%s' on '%s': %s\n  fix       `ffdr verify --repair --tier "
				       "%s`",
		    a.flaw[i].object, t->name, a.flaw[i].why.text, t->name);

		backup_warn(b, text);
		free(text);
	}
	repo_audit_done(&a);
	if (rc != -1)
		renew_locks(b, t);
	if (rc != -1)
		tell_strange(b, t);
	if (rc != -1)
		recall_each(s, t, b->report->source, b->run.watch, missing_seen, b);
	return rc;
}

/* The one before came from another host: it took over, or both use one name. */
static void
tell_other(struct backup *b, const struct manifest *parent)
{
	char *other = whose_other(parent, NULL), *text;
	struct layout_snap part;

	if (other && layout_snap_parse(parent->name, &part) == 0) {
		text = xasprintf(
		    "the newest snapshot there, %s, %s\n  fix       " WHOSE_FIX, part.id, other);
		backup_warn(b, text);
		free(text);
	}
	free(other);
}

/*
 * Whether everything must be read is known only once the parent is open; then, seldom, it is opened
 * again.
 */
static int
open_on(struct backup *b, struct tier *t, struct err *e)
{
	const struct manifest *parent;

	if (prepare(b, t, e) == -1 || open_writer(b, t, e) == -1)
		return -1;
	parent = writer_parent(b->writer);
	if (!b->writing.read_all && b->kind->reads_all && b->kind->reads_all(b, parent)) {
		writer_free(b->writer);
		b->writer = NULL;
		b->writing.read_all = true;
		if (open_writer(b, t, e) == -1)
			return -1;
		parent = writer_parent(b->writer);
	}
	b->tier = t;
	/* Packs may wait for a slow tier long after the last file was read. */
	store_stop_when(t->store, run_stop, b);
	b->report->tier = t->name;
	b->report->first = !parent;
	b->report->compared = b->writing.read_all;
	b->expected = parent ? parent->bytes : 0;
	b->files = parent ? parent->files : 0;
	if (parent && b->kind->of_host)
		tell_other(b, parent);
	return 0;
}

static void
skip(struct backup *b, const struct tier *t, const char *why)
{
	char *text = xasprintf("tier '%s' is passed over: %s", t->name, why);

	backup_warn(b, text);
	b->report->skipped++;
	free(text);
}

/* The first of the source's tiers that answers has the writer. */
static int
choose_tier(struct backup *b, struct err *e)
{
	struct tier *tier[BACKUP_TIERS];
	size_t n = session_source_tiers(b->run.session, b->report->source, tier, BACKUP_TIERS);
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
	return err_line(
	    e, "fix", "bring one of them back, or name others in `tiers` of this source");
}

static int
open_snapshot(struct backup *b, struct err *e)
{
	struct tier *t;

	if (!b->o->tier)
		return choose_tier(b, e);
	if (session_tier(b->run.session, b->o->tier, &t, e) == -1)
		return -1;
	return open_on(b, t, e);
}

/* What this host remembers of it; a lost entry is found again by `list --refresh`. */
static void
remember(struct backup *b, const struct manifest *m)
{
	struct catalog_facts facts;
	struct err e = { 0 };
	char *catalog = inventory_catalog(b->run.session);

	catalog_facts(m, &facts);
	if (b->run.session->state.kind == ERR_NONE &&
	    catalog_put(catalog, b->report->id, &facts, &e) == -1) {
		session_state_lost(b->run.session, &e);
		backup_warn(b, e.text);
	}
	free(catalog);
	recall_put(b->run.session, b->tier, b->report->id, m->sequence, b->run.watch);
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
	b->run.watch->progress(b->run.watch->arg, "committing", 0, 0);
	if (writer_commit(b->writer, partial, &m, e) == -1)
		goto out;
	if (layout_snap_parse(m.name, &part) == -1) {
		err_set(e, ERR_BUG, "'%s' is no name of a snapshot", m.name);
		goto out;
	}
	if (*writer_trouble(b->writer)) {
		text = xasprintf("the snapshot before is not whole on '%s', so more was stored "
				 "anew than had "
				 "to be\n  why       %s\n  fix       look at that disk, then `ffdr "
				 "verify --repair %s`",
		    b->tier->name, writer_trouble(b->writer), b->report->source);
		backup_warn(b, text);
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
	remember(b, &m);
	if (!partial && b->kind->committed)
		b->kind->committed(b, &m);
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
	struct err why = { 0 };

	if (wall_witness(b->run.session->repo, &why) == -1)
		backup_warn(b, why.text);
}

/* Everything that is there to be committed is durable; a person who says stop says: do not. */
static int
finish(struct backup *b, bool partial, struct err *e)
{
	if (!partial && b->kind->settle && b->kind->settle(b, e) == -1)
		return -1;
	if (run_stop(b))
		return err_set(e, ERR_CANCELLED, "stopped; nothing was committed");
	return commit(b, partial, e);
}

static int
snapshot(struct backup *b, struct err *e)
{
	int fd = -1, all, rc = -1;

	if (lock(b, &fd, e) == -1)
		goto out;
	note_clock(b);
	if (b->kind->open(b, e) == -1 || open_snapshot(b, e) == -1)
		goto out;
	all = b->kind->capture(b, e);
	if (all == -1)
		goto out;
	rc = finish(b, all == 0, e);
out:
	writer_free(b->writer);
	b->writer = NULL;
	if (b->tier)
		store_stop_when(b->tier->store, NULL, NULL);
	if (fd != -1)
		close(fd);
	return rc;
}

static int
dry_run(struct backup *b, struct err *e)
{
	return b->kind->open(b, e) == -1 ? -1 : b->kind->look(b, e);
}

/* In whatever file it was. */
static void
interrupted(const struct backup *b, struct err *e)
{
	err_set(e, ERR_CANCELLED, "the backup of %s was interrupted; nothing was committed",
	    b->report->source);
	if (!b->o->dry_run)
		err_line(e, "state",
		    "the snapshots there are as they were; the next backup begins anew");
}

int
backup_run(struct session *s, const struct backup_options *o, const struct watch *w,
    struct backup_report *ret, struct err *e)
{
	struct backup b = {
		.o = o, .source = o->source, .kind = kind_of(o->source), .report = ret
	};
	char host[BACKUP_HOST_MAX] = "";
	int rc;

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->source, sizeof(ret->source), "%s", o->source->name);
	if (!b.kind)
		return err_set(e, ERR_UNSUPPORTED, "this ffdr makes no backups of sources like %s",
		    o->source->name);
	run_begin(&b.run, s, w);
	b.writing = (struct writer_options){
		.source = ret->source,
		.host = gethostname(host, sizeof(host) - 1) == 0 ? host : NULL,
		.job = o->job,
		.slot = o->slot,
		.level = (int)s->conf->level,
		.workers = run_workers(&b.run),
		.read_all = o->read_all,
		.spill_dir = s->state.kind == ERR_NONE ? s->conf->state : NULL,
	};
	rc = o->dry_run ? dry_run(&b, e) : snapshot(&b, e);
	if (rc == -1 && e->kind == ERR_CANCELLED)
		interrupted(&b, e);
	b.kind->close(&b);
	ret->took_ns = run_end(&b.run);
	return rc;
}
