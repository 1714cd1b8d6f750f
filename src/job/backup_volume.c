/*
 * A volume, as far as a backup needs it: the walk is source/volume.h's. Nothing has to be opened
 * first, so what can be refused before a tier is touched is only a pattern nobody can read; the tree
 * itself shows what it is when it is walked, which happens once.
 */
#include "job/backup_kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "job/ground.h"
#include "source/exclude.h"
#include "source/links.h"
#include "source/volume.h"
#include "source/walk.h"

#define VOLUME_SHRUNK 10 /* one with so many times less files than before is worth a word */

/* The patterns of the configuration, split. */
static const struct text_list *
patterns(const struct backup *b)
{
	return b->own;
}

static int
open_volume(struct backup *b, struct err *e)
{
	const struct conf_volume *v = b->source->volume;
	struct text_list *list = xcalloc(1, sizeof(*list));
	struct exclude *exclude = NULL;

	text_split(v->exclude ? v->exclude : "", list);
	b->own = list;
	if (ground_volume(b->run.session->conf, b->source, e) == -1)
		return -1;
	b->writing.root = v->path;
	b->writing.read_all |= strcmp(v->compare, "stat") != 0;
	if (exclude_new((const char *const *)list->item, list->count, &exclude, e) == -1)
		return err_in(e, "%s", b->source->name);
	exclude_free(exclude);
	return 0;
}

static void
close_volume(struct backup *b)
{
	if (b->own)
		text_list_done(b->own);
	free(b->own);
}

/* Times are trusted for about a week. */
static bool
reads_all(const struct backup *b, const struct manifest *parent)
{
	(void)b;
	return volume_reads_all(parent ? parent->compared_ns : 0, clock_real_ns(), true, false);
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
		backup_warn(b, buf_str(&text));
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
		.root = b->source->volume->path,
		.own = &b->run.own,
		.one_file_system = b->source->volume->one_file_system,
	};
	const struct walk_entry *en;
	struct exclude *exclude = NULL;
	struct links *links = links_new();
	struct walk *w = NULL;
	int rc = -1;

	if (exclude_new((const char *const *)patterns(b)->item, patterns(b)->count, &exclude, e) == -1)
		goto out;
	wo.exclude = exclude;
	if (walk_open(&wo, &w, e) == -1) {
		err_in(e, "%s", b->report->source);
		goto out;
	}
	while (walk_next(w, &en) == 1) {
		seen(b, links, en);
		b->run.watch->progress(b->run.watch->arg, "counting", b->report->bytes, 0);
		if (run_stop(b)) {
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

	if (b->expected > 0 || !b->run.watch->person)
		return;
	if (look_through(b, count, &why) == 0)
		b->expected = b->report->bytes;
	*b->report = before;
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

/* What every reader of the snapshot should know, and else only its list says. */
static void
detail_count(struct backup *b, const char *key, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	if (n > 0)
		writer_detail(b->writer, key, text);
}

static int
capture(struct backup *b, struct err *e)
{
	const struct conf_volume *v = b->source->volume;
	struct volume_report seen = { 0 };
	struct volume_options vo = {
		.source = b->report->source,
		.path = v->path,
		.exclude = (const char *const *)patterns(b)->item,
		.excludes = patterns(b)->count,
		.own = &b->run.own,
		.one_file_system = v->one_file_system,
		.by_stat = !b->writing.read_all,
		.before = v->before,
		.after = v->after,
		.warn = run_warn,
		.stop = run_stop,
		.progress = backup_progress,
		.arg = b,
	};
	int rc;

	if (clock_skew(b->tier, &vo.clock_skew_ns, e) == -1)
		return -1;
	/* So that a restore in place knows what was never looked at, and leaves it alone. */
	for (size_t i = 0; i < patterns(b)->count; i++)
		writer_detail(b->writer, "exclude", patterns(b)->item[i]);
	forecast(b);
	rc = volume_capture(b->writer, &vo, &seen, e);
	if (rc != -1) {
		detail_count(b, "unreadable", seen.unreadable);
		detail_count(b, "changed", seen.changed);
	}
	b->report->entries = seen.entries;
	b->report->files = seen.files;
	b->report->changed = seen.changed;
	b->report->vanished = seen.vanished;
	b->report->unreadable = seen.unreadable;
	b->report->degraded += seen.degraded;
	return rc;
}

/* A volume that is not mounted looks like an empty one. It may be meant, so the snapshot stands. */
static void
tell_shrunk(struct backup *b, const struct manifest *m)
{
	uint64_t files = m->files;
	char *text;

	if (b->files == 0 || files * VOLUME_SHRUNK >= b->files)
		return;
	text = xasprintf("%llu file%s in '%s' now, %llu in the snapshot before: is it mounted?\n"
			 "  fix       where it should hold more, mount it and run `ffdr backup %s`; older "
			 "snapshots are kept as ever", (unsigned long long)files, files == 1 ? "" : "s",
	    b->source->volume->path, (unsigned long long)b->files, b->report->source);
	backup_warn(b, text);
	free(text);
}

/* A file counts once, by whichever name comes first. */
static int
look(struct backup *b, struct err *e)
{
	return look_through(b, warn_and_count, e);
}

const struct backup_kind backup_volume = {
	.kind = CONF_KIND_VOLUME,
	.of_host = true,
	.open = open_volume,
	.reads_all = reads_all,
	.capture = capture,
	.committed = tell_shrunk,
	.look = look,
	.close = close_volume,
};
