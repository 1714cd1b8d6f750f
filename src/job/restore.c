/*
 * Restoring begins with what was meant: the kind of the source decides which way it goes.
 */
#include "job/restore.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "job/pick.h"
#include "job/restore_kind.h"

#define TEXT_MAX 1200 /* a line, or a command in it */

static const struct restore_kind *const kinds[] = { &restore_volume, &restore_pg };

/*
 * By what stands before the dot. A snapshot without its source has to be looked up; what cannot be
 * found is left to the first kind, which says so.
 */
const struct restore_kind *
restore_kind_of(struct session *s, const char *what)
{
	char *first = xstrndup(what, strcspn(what, "/")), source[64] = "";
	const struct pick_options po = { .text = what, .partial = true };
	char name[LAYOUT_NAME];
	struct layout_snap part;
	struct tier *from;

	if (pick_source(s, first, source, NULL) == -1 && !strchr(what, '/') &&
	    pick_snapshot(s, &po, name, &from, NULL) == 0 && layout_snap_parse(name, &part) == 0)
		snprintf(source, sizeof(source), "%s", part.source);
	free(first);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *word = conf_kind_word(kinds[i]->kind);
		size_t n = strlen(word);

		if (strncmp(source, word, n) == 0 && source[n] == '.')
			return kinds[i];
	}
	return kinds[0];
}

int
restore_run(struct session *s, const struct restore_options *o, const struct watch *w,
    struct restore_report *ret, struct err *e)
{
	int64_t begun = clock_boot_ns();
	int rc;

	memset(ret, 0, sizeof(*ret));
	session_hurry_when(s, w->stop, w->arg);
	rc = restore_kind_of(s, o->what)->run(s, o, w, ret, e);
	/* Whatever it looks like where it was broken off. */
	if (rc == -1 && e->kind != ERR_CANCELLED && w->stop(w->arg))
		err_set(e, ERR_CANCELLED, "the restore of %s was interrupted", o->what);
	ret->took_ns = clock_boot_ns() - begun;
	return rc;
}

void
restore_kind_tell(struct restore_report *r, const char *label, const char *fmt, ...)
{
	struct restore_line *l;
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->line = mem_grow(r->line, &r->line_room, r->lines + 1, sizeof(*r->line));
	l = &r->line[r->lines++];
	snprintf(l->label, sizeof(l->label), "%s", label);
	l->text = xstrdup(text);
}

void
restore_kind_fact(struct restore_report *r, bool number, const char *key, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->fact = mem_grow(r->fact, &r->fact_room, r->facts + 1, sizeof(*r->fact));
	r->fact[r->facts++] = (struct restore_fact){ key, number, xstrdup(text) };
}

/* ---- what every kind does ---- */

static void
progress(void *arg, uint64_t done, uint64_t total)
{
	const struct run *run = arg;

	run->watch->progress(run->watch->arg, "restoring", done, total);
}

static void
tell_thaw(void *arg, const char *text)
{
	restore_kind_tell(arg, "thaw", "%s", text);
	restore_kind_fact(arg, false, "thaw", "%s", text);
}

int
restore_kind_thaw(const struct restore_options *o, struct run *run, struct tier *first,
    struct reader *r, const struct restore_kind_what *what, struct restore_report *report,
    struct thaw **ret, struct err *e)
{
	const struct thaw_options to = {
		.wish = o->thaw, .first = first, .watch = run->watch, .log = what->log,
		.only = o->trusted && o->tier ? first : NULL, /* the proof of that tier alone */
		.preview = o->dry_run ? tell_thaw : NULL, .preview_arg = report,
	};
	int rc;

	*ret = thaw_new(run->session, &to);
	rc = thaw_snapshot(*ret, r, what->path, what->paths, e);
	report->waited_ns = thaw_waited(*ret);
	return rc;
}

struct tree_options
restore_kind_tree(const struct restore_options *o, struct run *run, const char *source)
{
	return (struct tree_options){
		.source = source,
		.delta = o->delta,
		.own = &run->own,
		.no_sync = o->no_sync,
		.workers = run_workers(run),
		.warn = run_warn,
		.note = run_note,
		.stop = run_stop,
		.progress = progress,
		.arg = run,
	};
}

void
restore_kind_count(struct restore_report *r, const struct tree_report *seen)
{
	r->entries = seen->entries;
	r->files = seen->files;
	r->bytes = seen->bytes;
	r->written = seen->fetched;
	r->removed = seen->removed;
	r->excluded = seen->excluded;
	r->missing = seen->missing;
	r->lost = seen->lost;
}

int
restore_kind_half_way(const struct restore_options *o, struct run *run,
    const struct restore_report *r, const char *no_copy, struct err *e)
{
	char room[UNITS_TEXT];
	struct statvfs fs;

	if (e->kind == ERR_CANCELLED || run_stop(run))
		err_set(e, ERR_CANCELLED, "the restore of %s to '%s' was interrupted", r->id, r->to);
	if (o->trusted) /* its place is gone at once: nothing goes on */
		return -1;
	if (e->kind == ERR_CORRUPT)
		return err_line(e, "fix", "%s `ffdr list %s`", no_copy, r->source);
	if (e->kind == ERR_FULL && statvfs(r->to, &fs) == 0)
		err_line(e, "free", "%s and %llu inodes at '%s'",
		    units_size((uint64_t)fs.f_bavail * fs.f_frsize, room),
		    (unsigned long long)fs.f_favail, r->to);
	return err_line(e, "fix", "%sthe same command with --delta goes on where this one stopped",
	    e->kind == ERR_FULL ? "make room; then " : "");
}

void
restore_report_done(struct restore_report *r)
{
	free(r->to);
	r->to = NULL;
	preview_names_done(&r->removes);
	preview_names_done(&r->makes);
	preview_names_done(&r->changes);
	preview_names_done(&r->adjusts);
	while (r->lines > 0)
		free(r->line[--r->lines].text);
	while (r->facts > 0)
		free(r->fact[--r->facts].value);
	free(r->line);
	free(r->fact);
	r->line = NULL;
	r->fact = NULL;
}
