/*
 * An object that the first tier lost is taken from another one, object by object: what comes out is
 * as good as any, but the tier is not. So readers go on silently, and one warning at the end says
 * how many there were and what mends the tier.
 */
#include "job/opened.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/pick.h"

static char *
clean_path(const char *path)
{
	size_t n;

	while (*path == '/' || (path[0] == '.' && path[1] == '/'))
		path++;
	n = strlen(path);
	while (n > 0 && path[n - 1] == '/')
		n--;
	return n > 0 ? xstrndup(path, n) : xstrdup(".");
}

int
opened_new(struct session *s, const struct opened_options *o, struct opened *ret, struct err *e)
{
	struct pick_options po = { .text = o->what, .at_ns = o->at_ns, .watch = o->watch };
	char name[LAYOUT_NAME];

	memset(ret, 0, sizeof(*ret));
	ret->path = xcalloc(o->paths + 1, sizeof(*ret->path));
	for (; ret->paths < o->paths; ret->paths++) {
		if (o->path[ret->paths][0] == '\0') {
			err_set(e, ERR_USAGE,
			    "--path is empty, expected a file or directory of the "
			    "snapshot");
			return err_line(
			    e, "fix", "without --path all of it is taken; '/' is all, too");
		}
		ret->path[ret->paths] = clean_path(o->path[ret->paths]);
	}
	if (o->tier && session_tier(s, o->tier, &po.tier, e) == -1)
		return -1;
	if (pick_snapshot(s, &po, name, &ret->first, e) == -1) {
		if (name[0] != '\0')
			layout_snap_parse(name, &ret->part);
		return -1;
	}
	if (layout_snap_parse(name, &ret->part) == -1)
		return err_set(e, ERR_BUG, "'%s' is no name of a snapshot", name);
	return reader_open(s->repo, ret->first, name, &ret->reader, e);
}

void
opened_done(struct opened *o)
{
	reader_free(o->reader);
	for (size_t i = 0; i < o->paths; i++)
		free(o->path[i]);
	free(o->path);
	memset(o, 0, sizeof(*o));
}

unsigned
opened_fallbacks(const struct opened *o, const struct watch *w)
{
	return opened_tell_fallbacks(o->reader, o->part.source, w);
}

unsigned
opened_tell_fallbacks(struct reader *r, const char *source, const struct watch *w)
{
	const char *last;
	unsigned asides, count = packs_fallbacks(reader_packs(r), &asides, &last);
	const unsigned bad = count - asides - packs_frozen(reader_packs(r));
	char *text;

	if (bad > 0) {
		text = xasprintf("%u object%s missing or damaged where looked for first came from "
				 "another tier\n  last      %s\n  fix       `ffdr verify --repair "
				 "%s`",
		    bad, bad == 1 ? "" : "s", last, source);
		w->event(w->arg, "warning", text);
		free(text);
	}
	if (asides > 0) {
		text = xasprintf("%u object%s that no tier has whole came, as far as it opens, "
				 "from what "
				 "was set aside as bad\n  last      %s\n  fix       `ffdr backup "
				 "%s` stores anew what the "
				 "source still has",
		    asides, asides == 1 ? "" : "s", last, source);
		w->event(w->arg, "warning", text);
		free(text);
	}
	return count - asides;
}
