/*
 * Export reads in path order, as a tar wants it, where restore reads pack by pack: so it is the
 * slower way out, and the one that needs nothing of ours on the other side. A pipe has no way back:
 * what fails half way leaves half an archive, which the exit code alone tells.
 */
#include "job/export.h"

#include <string.h>

#include "base/clock.h"
#include "job/lost.h"
#include "job/opened.h"
#include "job/recall.h"
#include "job/restore_kind.h"
#include "source/tar.h"

struct export {
	const struct watch *watch;
	uint64_t total;
};

static void
warn(void *arg, const char *text)
{
	const struct export *x = arg;

	x->watch->event(x->watch->arg, "warning", text);
}

static bool
stop(void *arg)
{
	const struct export *x = arg;

	return x->watch->stop(x->watch->arg);
}

static void
progress(void *arg, uint64_t done)
{
	const struct export *x = arg;

	x->watch->progress(x->watch->arg, "exporting", done, done <= x->total ? x->total : 0);
}

int
export_run(struct session *s, const struct export_options *o, const struct watch *w,
    struct export_report *ret, struct err *e)
{
	const struct opened_options oo = {
		.what = o->what, .tier = o->tier, .path = o->path, .paths = o->paths,
		.watch = w,
	};
	struct export x = { .watch = w };
	struct tar_options to = {
		.fd = o->fd, .warn = warn, .stop = stop, .progress = progress, .arg = &x
	};
	struct tar_report seen = { 0 };
	struct thaw_options thaws = { .wish = o->thaw, .watch = w };
	struct thaw *thaw = NULL;
	struct opened opened;
	struct err lost = { .kind = ERR_CORRUPT };
	int64_t begun = clock_boot_ns();
	int rc = -1;

	memset(ret, 0, sizeof(*ret));
	session_hurry_when(s, w->stop, w->arg);
	if (opened_new(s, &oo, &opened, e) == -1) {
		lost_manifest(s, &opened, w, e);
		goto out;
	}
	memcpy(ret->id, opened.part.id, sizeof(ret->id));
	recall_warn(s, o->tier ? tier_find(&s->tiers, o->tier) : NULL, opened.part.source, w);
	x.total = o->paths > 0 ? 0 : reader_manifest(opened.reader)->bytes;
	to.path = (const char *const *)opened.path;
	to.paths = opened.paths;
	thaws.first = opened.first;
	thaw = thaw_new(s, &thaws);
	rc = thaw_snapshot(thaw, opened.reader, to.path, to.paths, e);
	ret->waited_ns = thaw_waited(thaw);
	if (rc == -1)
		goto out;
	rc = tar_export(opened.reader, &to, &seen, e);
	if (rc == -1)
		lost_explain(s, &opened, w, e);
	else if (seen.lost > 0)
		warn(&x, lost_explain(s, &opened, w, &lost) ? lost.text : seen.lost_why.text);
	ret->fallbacks = opened_fallbacks(&opened, w);
	ret->entries = seen.entries;
	ret->bytes = seen.bytes;
	ret->lost = seen.lost;
	ret->took_ns = clock_boot_ns() - begun;
out:
	if (rc == -1 && stop(&x)) /* whatever a read that was broken off looks like */
		err_set(e, ERR_CANCELLED, "the export of %s was interrupted", o->what);
	thaw_free(thaw);
	opened_done(&opened);
	return rc;
}
