/*
 * A volume, from the words of a person to a tree. First everything that can be refused is refused;
 * from then on a failure leaves a part of the tree, and the message says how to go on with it.
 */
#include "job/restore_kind.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "job/ground.h"
#include "job/lost.h"
#include "job/opened.h"
#include "job/preview.h"
#include "job/recall.h"
#include "job/target.h"
#include "job/whose.h"

#define RESTORE_HOST_MAX 256 /* HOST_NAME_MAX and its NUL */

struct restore {
	struct run run; /* stands first: run_warn() and run_stop() take a struct restore */
	const struct restore_options *o;
	struct restore_report *report;
	struct opened opened;
	struct thaw *thaw;
	struct exclude *exclude; /* what the snapshot was made without */
};

/*
 * Where the source lives on this host: as configured, else where the snapshot says when that was
 * here.
 */
static const char *
origin(const struct restore *r)
{
	const struct manifest *m = reader_manifest(r->opened.reader);
	const struct conf_source *source;
	char host[RESTORE_HOST_MAX] = "";

	if (conf_find_source(r->run.session->conf, r->report->source, &source, NULL) == 0)
		return source->path;
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
	const struct conf_source *source = NULL;
	const char *now = NULL;
	struct text_list today;
	struct buf value;
	int rc;

	buf_init(&value, EXCLUDE_PATTERN_MAX);
	if (conf_find_source(r->run.session->conf, r->report->source, &source, NULL) == 0 &&
	    source->volume)
		now = source->volume->exclude;
	text_split(now ? now : "", &today);
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
		.own = &r->run.own,
	};
	struct preview p = { 0 };
	int rc = preview_run(r->opened.reader, &po, r->run.watch, &p, e);

	r->report->removes = p.removes;
	r->report->makes = p.makes;
	r->report->changes = p.changes;
	r->report->adjusts = p.adjusts;
	if (rc == -1) {
		lost_explain(r->run.session, &r->opened, r->run.watch, e);
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
	if (p.missing > 0) {
		char *text = xasprintf("%llu entr%s could not be read when the snapshot was made, "
				       "so it has no "
				       "contents to restore there",
		    (unsigned long long)p.missing, p.missing == 1 ? "y" : "ies");

		run_warn(r, text);
		free(text);
	}
	return 0;
}

static int
restore_tree(struct restore *r, struct err *e)
{
	struct tree_options to = restore_kind_tree(r->o, &r->run, r->report->source);
	struct tree_report seen = { 0 };
	struct err lost = { .kind = ERR_CORRUPT };
	int rc;

	to.path = (const char *const *)r->opened.path;
	to.paths = r->opened.paths;
	to.exclude = r->exclude;
	rc = tree_restore(r->opened.reader, r->report->to, &to, &seen, e);
	restore_kind_count(r->report, &seen);
	if (rc == 0 && seen.lost > 0)
		run_warn(r,
		    lost_explain(r->run.session, &r->opened, r->run.watch, &lost)
			? lost.text
			: seen.lost_why.text);
	if (rc == -1 && !lost_explain(r->run.session, &r->opened, r->run.watch, e) &&
	    e->kind != ERR_NOTFOUND && e->kind != ERR_USAGE && e->kind != ERR_REFUSED)
		restore_kind_half_way(r->o, &r->run, r->report,
		    "no tier that answers has a good copy: --at TIME with an older snapshot of", e);
	return rc;
}

/* NULL: all were asked. */
static struct tier *
tier_named(const struct restore *r)
{
	return r->o->tier ? tier_find(&r->run.session->tiers, r->o->tier) : NULL;
}

static int
restore(struct restore *r, struct err *e)
{
	struct opened_options oo = {
		.what = r->o->what,
		.tier = r->o->tier,
		.path = r->o->path,
		.paths = r->o->paths,
		.watch = r->run.watch,
	};
	struct target_wish wish = {
		.to = r->o->to, .delta = r->o->delta, .other_wanted = r->o->from_another_host,
	};
	char *other;
	int rc;

	if (r->o->at && units_parse_until(r->o->at, &oo.at_ns, e) == -1)
		return err_in(e, "--at");
	if (opened_new(r->run.session, &oo, &r->opened, e) == -1) {
		recall_warn(r->run.session, tier_named(r), NULL, r->run.watch);
		return lost_manifest(r->run.session, &r->opened, r->run.watch, e);
	}
	memcpy(r->report->id, r->opened.part.id, sizeof(r->report->id));
	memcpy(r->report->source, r->opened.part.source, sizeof(r->report->source));
	r->report->tier = r->opened.first->name;
	recall_warn(r->run.session, tier_named(r), r->report->source, r->run.watch);
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
	if (!r->o->trusted && ground_target(r->run.session->conf, &(struct ground_place){
		.path = r->report->to, .source = wish.source, .origin = wish.origin,
		.exclude = r->exclude }, e) == -1)
		return -1;
	if (restore_kind_thaw(r->o, &r->run, r->opened.first, r->opened.reader,
		&(struct restore_kind_what){ .path = (const char *const *)r->opened.path,
		.paths = r->opened.paths }, r->report, &r->thaw, e) == -1)
		return -1;
	rc = r->o->dry_run ? preview(r, e) : restore_tree(r, e);
	r->report->fallbacks = opened_fallbacks(&r->opened, r->run.watch);
	return rc;
}

static int
run(struct session *s, const struct restore_options *o, const struct watch *w,
    struct restore_report *ret, struct err *e)
{
	struct restore r = { .o = o, .report = ret };
	int rc;

	if (o->before || o->action || o->tablespaces > 0 || o->standby || o->adopt || o->owner ||
	    o->timeline > 0)
		return err_set(e, ERR_USAGE,
		    "%s is a volume: --before, --target-action, --tablespace, --timeline, --standby, "
		    "--adopt and --owner are for databases",
		    o->what);
	run_begin(&r.run, s, w);
	rc = restore(&r, e);
	thaw_free(r.thaw);
	opened_done(&r.opened);
	exclude_free(r.exclude);
	run_end(&r.run);
	return rc;
}

const struct restore_kind restore_volume = { .kind = CONF_KIND_VOLUME, .run = run };
