/*
 * A snapshot exists when its manifest is listed, so a listing is the whole truth and nothing is
 * cached. People name snapshots by as little as is unique, or by "latest"; which of several was
 * meant is never guessed, because the next thing that happens may be a restore over a production
 * directory.
 */
#include "repo/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/manifest.h"

#define CANDIDATES_SHOWN 6

static int
add(void *arg, const struct store_entry *entry, struct err *e)
{
	struct snapshot_list *l = arg;
	struct snapshot s = { .size = entry->size, .stored_ns = entry->time_ns };

	(void)e;
	if (layout_snap_parse(entry->name, &s.part) == -1) {
		if (l->strange++ == 0)
			snprintf(l->first_strange, sizeof(l->first_strange), "%s", entry->name);
		return 0;
	}
	memcpy(s.name, entry->name, strlen(entry->name) + 1);
	l->item = mem_grow(l->item, &l->room, l->count + 1, sizeof(*l->item));
	l->item[l->count++] = s;
	return 0;
}

int
snapshot_list(struct store *s, const char *source, struct snapshot_list *ret, struct err *e)
{
	struct snapshot_list l = { 0 };

	if (snapshot_list_known(s, source, &l, e) == -1)
		return -1;
	if (l.strange > 0) {
		err_set(e, ERR_CORRUPT, "'%s' is no name of a snapshot: what it is must be known before "
		    "anything is decided by this listing", l.first_strange);
		snapshot_list_done(&l);
		return err_line(e, "fix", "move it elsewhere, or use the version of ffdr that made it");
	}
	*ret = l;
	return 0;
}

int
snapshot_list_known(struct store *s, const char *source, struct snapshot_list *ret, struct err *e)
{
	struct snapshot_list l = { 0 };
	char prefix[LAYOUT_NAME];
	int rc;

	if (source != NULL && !layout_source_valid(source))
		return err_set(e, ERR_USAGE, "'%s' is no source: expected kind.name", source);
	snprintf(prefix, sizeof(prefix), "snap/%s%s", source == NULL ? "" : source,
	    source == NULL ? "" : "/");
	rc = store_list(s, prefix, NULL, add, &l, e);
	if (rc == -1) {
		snapshot_list_done(&l);
		return -1;
	}
	*ret = l;
	return 0;
}

void
snapshot_list_done(struct snapshot_list *l)
{
	free(l->item);
	*l = (struct snapshot_list){ 0 };
}

/* By time, then by name. */
static bool
newer(const struct snapshot *a, const struct snapshot *b)
{
	if (a->part.time_ns != b->part.time_ns)
		return a->part.time_ns > b->part.time_ns;
	return strcmp(a->name, b->name) > 0;
}

const struct snapshot *
snapshot_newest(const struct snapshot_list *l, const char *source)
{
	const struct snapshot *newest = NULL;

	for (size_t i = 0; i < l->count; i++)
		if ((source == NULL || strcmp(l->item[i].part.source, source) == 0) &&
		    (newest == NULL || newer(&l->item[i], newest)))
			newest = &l->item[i];
	return newest;
}

/*
 * What was asked for: a source (or its own name, or any) and the beginning of a time, or the
 * latest.
 */
struct wish {
	char source[64]; /* "" any */
	const char *start;
	bool latest;
};

/* "vol.uploads", or "uploads" for short. */
static bool
source_fits(const char *source, const char *wanted)
{
	const char *own = strchr(source, '.') + 1;

	return *wanted == '\0' || strcmp(source, wanted) == 0 || strcmp(own, wanted) == 0;
}

static bool
fits(const struct wish *w, const struct layout_snap *part)
{
	const char *when = part->id + strlen(part->source) + 1;

	return source_fits(part->source, w->source) &&
	    (w->latest || strncmp(when, w->start, strlen(w->start)) == 0);
}

static void
read_wish(const char *text, const struct snapshot_list *l, struct wish *w)
{
	const char *slash;
	size_t len;

	*w = (struct wish){ .start = "" };
	if (strncmp(text, "snap/", strlen("snap/")) == 0)
		text += strlen("snap/");
	slash = strchr(text, '/');
	len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	if (len >= sizeof(w->source))
		len = sizeof(w->source) - 1; /* longer than any source: will fit none */
	memcpy(w->source, text, len);
	if (slash != NULL) {
		w->latest = strcmp(slash + 1, "latest") == 0;
		w->start = slash + 1;
		return;
	}
	for (size_t i = 0; i < l->count && !w->latest; i++)
		w->latest = source_fits(l->item[i].part.source, w->source);
	if (w->latest)
		return;
	w->source[0] = '\0';
	w->latest = strcmp(text, "latest") == 0;
	w->start = text;
}

/*
 * Several fit: for `latest` one line a source, else one a snapshot, newest last as they are
 * listed.
 */
static int
ambiguous(const struct snapshot_list *l, const struct wish *w, const char *text, struct err *e)
{
	const char *last = "";
	unsigned shown = 0, more = 0;

	err_set(e, ERR_USAGE, "'%s' may mean several %s", text,
	    w->latest ? "sources" : "snapshots");
	for (size_t i = 0; i < l->count; i++) {
		const char *name = w->latest ? l->item[i].part.source : l->item[i].part.id;

		if (!fits(w, &l->item[i].part) || strcmp(name, last) == 0)
			continue;
		last = name;
		if (shown++ < CANDIDATES_SHOWN)
			err_line(e, "possible", "%s%s", name, w->latest ? "/latest" : "");
		else
			more++;
	}
	if (more > 0)
		err_line(e, "possible", "and %u more", more);
	return -1;
}

struct opening {
	const struct keyring *keys;
	bool partial;
};

/* A judge for tier_get: a copy is good when it opens. */
static int
open_manifest(void *arg, const char *name, const struct buf *bytes, struct err *e)
{
	struct opening *o = arg;
	struct manifest m;

	if (manifest_open(bytes, name, o->keys, &m, e) == -1)
		return -1;
	o->partial = m.partial;
	manifest_done(&m);
	return 0;
}

static int
is_partial(struct repo *r, const char *name, bool *ret, struct err *e)
{
	struct opening o = { .keys = r->keys };
	struct buf bytes;
	int rc;

	buf_init(&bytes, STORE_OBJECT_MAX);
	rc = tier_get(r->tiers, NULL, name, &bytes, open_manifest, &o, NULL, e);
	buf_done(&bytes);
	*ret = o.partial;
	return rc;
}

/* The newest complete one of those that fit, which are of one source. */
static int
pick_latest(struct repo *r, const struct snapshot_list *l, const struct wish *w,
    char name[LAYOUT_NAME], struct err *e)
{
	const struct snapshot *best = NULL;
	bool is_part = false;

	for (;;) {
		const struct snapshot *next = NULL;

		for (size_t i = 0; i < l->count; i++)
			if (fits(w, &l->item[i].part) && (best == NULL || newer(best, &l->item[i])) &&
			    (next == NULL || newer(&l->item[i], next)))
				next = &l->item[i];
		if (next == NULL)
			break;
		memcpy(name, next->name, LAYOUT_NAME);
		if (is_partial(r, next->name, &is_part, e) == -1)
			return -1;
		if (!is_part)
			return 1;
		best = next;
	}
	name[0] = '\0';
	err_set(e, ERR_NOTFOUND, "no complete snapshot of %s yet", best->part.source);
	return err_line(e, "checked", "%s is partial: a run that was not finished", best->part.id);
}

int
snapshot_resolve(struct repo *r, const struct snapshot_list *l, const char *text, bool partial,
    char name[LAYOUT_NAME], struct err *e)
{
	const struct snapshot *first = NULL, *newest = NULL;
	bool several = false, is_part = false;
	struct wish w;

	name[0] = '\0';
	read_wish(text, l, &w);
	for (size_t i = 0; i < l->count; i++) {
		const struct snapshot *s = &l->item[i];

		if (!fits(&w, &s->part))
			continue;
		if (first != NULL)
			several = several || !w.latest ||
			    strcmp(first->part.source, s->part.source) != 0;
		else
			first = s;
		if (newest == NULL || newer(s, newest))
			newest = s;
	}
	if (first == NULL)
		return 0;
	if (several)
		return ambiguous(l, &w, text, e);
	if (w.latest && !partial)
		return pick_latest(r, l, &w, name, e);
	memcpy(name, newest->name, LAYOUT_NAME);
	if (!partial && is_partial(r, newest->name, &is_part, e) == -1)
		return -1;
	if (is_part) {
		name[0] = '\0';
		err_set(e, ERR_REFUSED, "%s is partial: its run was not finished, so it is no "
		    "state that ever was", newest->part.id);
		return err_line(e, "fix", "'%s/latest' is the newest complete one",
		    newest->part.source);
	}
	return 1;
}

bool
snapshot_fits(const struct snapshot_list *l, const char *text, const struct layout_snap *part)
{
	struct wish w;

	read_wish(text, l, &w);
	return fits(&w, part);
}

int
snapshot_unreadable(const char *id, struct err *e)
{
	switch (e->kind) {
	case ERR_UNSUPPORTED:
		return err_line(e, "fix", "use the version of ffdr that made it");
	case ERR_KEY: /* which says how it would be opened */
		return err_line(e, "or", "where that key is gone for good, or is nobody's of yours: `ffdr "
		    "expire --discard %s --lost-key KEY --why TEXT`", id);
	case ERR_FROZEN:
		return err_line(e, "fix", "it lies in an archive, and is none of what ffdr orders: order "
		    "it back by the store's own tools (restore-object), then the same command");
	case ERR_IO:
	case ERR_CORRUPT:
		err_line(e, "fix", "`ffdr verify --repair %s` fetches it, where another tier has it "
		    "whole", id);
		break;
	default:
		return -1;
	}
	return e->kind == ERR_IO ? -1 : err_line(e, "or", "`ffdr expire --discard %s --why TEXT` gives "
	    "it up: it is damaged for good, or never was a snapshot", id);
}
