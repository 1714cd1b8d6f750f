/*
 * Restoring, from the words of a person to a tree. First everything that can be refused is refused;
 * from then on a failure leaves a part of the tree, and the message says how to go on with it.
 */
#include "job/restore.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "filter/pool.h"
#include "job/ground.h"
#include "job/lost.h"
#include "job/opened.h"
#include "job/preview.h"
#include "job/recall.h"
#include "job/target.h"
#include "job/whose.h"
#include "source/tree.h"

#define RESTORE_HOST_MAX 256 /* HOST_NAME_MAX and its NUL */

struct restore {
	struct session *session;
	const struct restore_options *o;
	const struct watch *watch;
	struct restore_report *report;
	struct opened opened;
	struct own own;
	struct exclude *exclude; /* what the snapshot was made without */
};

static void
warn(void *arg, const char *text)
{
	const struct restore *r = arg;

	r->watch->event(r->watch->arg, "warning", text);
}

static bool
stop(void *arg)
{
	const struct restore *r = arg;

	return r->watch->stop(r->watch->arg);
}

static void
progress(void *arg, uint64_t done, uint64_t total)
{
	const struct restore *r = arg;

	r->watch->progress(r->watch->arg, "restoring", done, total);
}

/*
 * Where the source lives on this host: as configured, else where the snapshot says when that was
 * here.
 */
static const char *
origin(const struct restore *r)
{
	const struct manifest *m = reader_manifest(r->opened.reader);
	const struct conf_volume *volume;
	char host[RESTORE_HOST_MAX] = "";

	if (conf_find_source(r->session->conf, r->report->source, &volume, NULL) == 0)
		return volume->path;
	if (m->root && m->host && gethostname(host, sizeof(host) - 1) == 0 &&
	    strcmp(host, m->host) == 0)
		return m->root;
	return NULL;
}

/*
 * What no snapshot holds: by the patterns that this one was made with, which it never looked at,
 * and by those of today, which the newer ones did not.
 */
static int
take_excludes(struct restore *r, struct err *e)
{
	const struct manifest *m = reader_manifest(r->opened.reader);
	const char **pattern = NULL;
	size_t at = 0, n = 0, room = 0;
	const struct conf_volume *volume = NULL;
	struct text_list today;
	struct buf value;
	int rc;

	buf_init(&value, EXCLUDE_PATTERN_MAX);
	if (conf_find_source(r->session->conf, r->report->source, &volume, NULL) == -1)
		volume = NULL;
	text_split(volume && volume->exclude ? volume->exclude : "", &today);
	while (manifest_detail(m, &at, "exclude", &value) == 1) {
		pattern = mem_grow(pattern, &room, n + 1, sizeof(*pattern));
		pattern[n++] = xstrdup(buf_str(&value));
	}
	for (size_t i = 0; i < today.count; i++) {
		pattern = mem_grow(pattern, &room, n + 1, sizeof(*pattern));
		pattern[n++] = xstrdup(today.item[i]);
	}
	rc = exclude_new(pattern, n, &r->exclude, e);
	text_list_done(&today);
	while (n > 0)
		free((char *)pattern[--n]);
	free(pattern);
	buf_done(&value);
	return rc;
}

static int
preview(struct restore *r, struct err *e)
{
	const struct preview_options po = {
		.target = r->o->delta && access(r->report->to, F_OK) == 0 ? r->report->to : NULL,
		.path = (const char *const *)r->opened.path,
		.paths = r->opened.paths,
		.exclude = r->exclude,
		.own = &r->own,
	};
	struct preview p;
	int rc = preview_run(r->opened.reader, &po, r->watch, &p, e);

	r->report->removes = p.removes;
	r->report->changes = p.changes;
	if (rc == -1) {
		lost_explain(r->session, &r->opened, r->watch, e);
		return -1;
	}
	r->report->entries = p.entries;
	r->report->files = p.files;
	r->report->bytes = p.bytes;
	r->report->written = p.write;
	r->report->missing = p.missing;
	r->report->unchanged = p.unchanged;
	r->report->removed = p.removes.count;
	if (p.entries == 0)
		return err_set(e, ERR_NOTFOUND, "nothing of that is in %s", r->report->id);
	return 0;
}

/* A failure half way keeps its kind, which is its exit code, and gains the way on. */
static int
half_way(const struct restore *r, struct err *e)
{
	if (e->kind == ERR_CANCELLED)
		err_set(e, ERR_CANCELLED, "the restore of %s to '%s' was interrupted",
		    r->report->id, r->report->to);
	if (e->kind == ERR_CORRUPT)
		return err_line(e, "fix", "no tier that answers has a good copy: --at TIME with an older "
		    "snapshot of `ffdr list %s`", r->report->source);
	return err_line(e, "fix", "the same command with --delta goes on where this one stopped");
}

static int
restore_tree(struct restore *r, struct err *e)
{
	const struct conf *c = r->session->conf;
	const struct tree_options to = {
		.source = r->report->source,
		.path = (const char *const *)r->opened.path,
		.paths = r->opened.paths,
		.delta = r->o->delta,
		.exclude = r->exclude,
		.own = &r->own,
		.no_sync = r->o->no_sync,
		.workers = c->workers > 0 ? (unsigned)c->workers : pool_cpus(),
		.warn = warn,
		.stop = stop,
		.progress = progress,
		.arg = r,
	};
	struct tree_report seen = { 0 };
	struct err lost = { .kind = ERR_CORRUPT };
	int rc = tree_restore(r->opened.reader, r->report->to, &to, &seen, e);

	r->report->entries = seen.entries;
	r->report->files = seen.files;
	r->report->bytes = seen.bytes;
	r->report->written = seen.fetched;
	r->report->removed = seen.removed;
	r->report->excluded = seen.excluded;
	r->report->missing = seen.missing;
	r->report->lost = seen.lost;
	if (rc == 0 && seen.lost > 0 && lost_explain(r->session, &r->opened, r->watch, &lost))
		warn(r, lost.text);
	if (rc == -1 && !lost_explain(r->session, &r->opened, r->watch, e) &&
	    e->kind != ERR_NOTFOUND && e->kind != ERR_USAGE && e->kind != ERR_REFUSED)
		half_way(r, e);
	return rc;
}

/* NULL: all were asked. */
static struct tier *
tier_named(const struct restore *r)
{
	return r->o->tier ? tier_find(&r->session->tiers, r->o->tier) : NULL;
}

static int
restore(struct restore *r, struct err *e)
{
	const struct opened_options oo = {
		.what = r->o->what,
		.at_ns = r->o->at_ns,
		.tier = r->o->tier,
		.path = r->o->path,
		.paths = r->o->paths,
		.watch = r->watch,
	};
	struct target_wish wish = {
		.to = r->o->to, .delta = r->o->delta, .other_wanted = r->o->from_another_host,
	};
	char *other;
	int rc;

	if (opened_new(r->session, &oo, &r->opened, e) == -1) {
		recall_warn(r->session, tier_named(r), NULL, r->watch);
		return -1;
	}
	memcpy(r->report->id, r->opened.part.id, sizeof(r->report->id));
	memcpy(r->report->source, r->opened.part.source, sizeof(r->report->source));
	r->report->tier = r->opened.first->name;
	recall_warn(r->session, tier_named(r), r->report->source, r->watch);
	wish.source = r->report->source;
	wish.origin = origin(r);
	wish.id = r->report->id;
	other = whose_other(reader_manifest(r->opened.reader), wish.origin);
	wish.other = other;
	rc = 0;
	if (r->o->trusted)
		r->report->to = xstrdup(r->o->to);
	else
		rc = target_judge(&wish, &r->report->to, e);
	free(other);
	if (rc == -1)
		return -1;
	if (take_excludes(r, e) == -1)
		return -1;
	if (!r->o->trusted && ground_target(r->session->conf, &(struct ground_place){
		.path = r->report->to, .source = wish.source, .origin = wish.origin,
		.exclude = r->exclude }, e) == -1)
		return -1;
	rc = r->o->dry_run ? preview(r, e) : restore_tree(r, e);
	r->report->fallbacks = opened_fallbacks(&r->opened, r->watch);
	return rc;
}

int
restore_run(struct session *s, const struct restore_options *o, const struct watch *w,
    struct restore_report *ret, struct err *e)
{
	struct restore r = { .session = s, .o = o, .watch = w, .report = ret };
	int64_t begun = clock_boot_ns();
	int rc;

	memset(ret, 0, sizeof(*ret));
	ground_own(s->conf, &r.own);
	rc = restore(&r, e);
	ret->took_ns = clock_boot_ns() - begun;
	opened_done(&r.opened);
	exclude_free(r.exclude);
	own_done(&r.own);
	return rc;
}

void
restore_report_done(struct restore_report *r)
{
	free(r->to);
	r->to = NULL;
	preview_names_done(&r->removes);
	preview_names_done(&r->changes);
}
