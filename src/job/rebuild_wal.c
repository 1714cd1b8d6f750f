/*
 * The same log may lie on one tier in pieces and on another in bundles, under other names. By its name a
 * bundle would be missed by a tier that has, or gets, every byte of it in pieces; it would be ordered from
 * its archive for money and hours, or the tier would be called incomplete without it. So what comes in
 * pieces is kept in mind, and a bundle that others alone had counts only for the log that is not in them.
 */
#include "job/rebuild_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/tiers.h"

/* ---- what comes in pieces ---- */

static bool
same_line(const struct rebuild_line *l, const struct layout_wal *at)
{
	const struct wal_place *p = &l->place;

	return l->tli == at->tli && p->epoch == at->place.epoch && p->sysid == at->place.sysid &&
	    strcmp(p->source, at->place.source) == 0;
}

/* Names come in order, so it is the last one nearly always. */
static struct rebuild_line *
find_line(const struct rebuild_log *l, const struct layout_wal *at)
{
	for (size_t i = l->count; i > 0; i--)
		if (same_line(&l->item[i - 1], at))
			return &l->item[i - 1];
	return NULL;
}

bool
rebuild_log_add(struct rebuild_log *l, const char *name)
{
	struct rebuild_line *line;
	struct layout_wal at;

	if (layout_wal_parse(name, &at) == -1 || at.kind != LAYOUT_WAL_PIECE)
		return false;
	line = find_line(l, &at);
	if (!line) {
		l->item = mem_grow(l->item, &l->room, l->count + 1, sizeof(*l->item));
		line = &l->item[l->count++];
		*line = (struct rebuild_line){ .place = at.place, .tli = at.tli };
	}
	lsn_set_add(&line->have, at.start, at.end);
	return true;
}

bool
rebuild_log_has(const struct rebuild_log *l, const char *name)
{
	const struct rebuild_line *line;
	struct layout_wal at;

	if (layout_wal_parse(name, &at) == -1 || at.kind != LAYOUT_WAL_BUNDLE)
		return false;
	line = find_line(l, &at);
	return line && lsn_set_has(&line->have, at.start, at.end);
}

void
rebuild_log_done(struct rebuild_log *l)
{
	for (size_t i = 0; i < l->count; i++)
		lsn_set_done(&l->item[i].have);
	free(l->item);
	*l = (struct rebuild_log){ 0 };
}

/* ---- between base backups ---- */

void
rebuild_count_wal(struct rebuilding *r, const struct wal_copy_report *sent)
{
	r->report->missing += sent->sent;
	r->report->names += sent->sent;
	r->report->bytes += sent->bytes;
}

int
rebuild_between(struct rebuilding *r, struct err *e)
{
	const struct conf *c = r->s->conf;
	const struct conf_tier *to = conf_find_tier(c, r->s->now->name);
	int rc = 0;

	for (size_t i = 0; i < c->sources && rc == 0; i++) {
		const struct conf_source *source = &c->source[i];
		struct wal_copy_report sent = { 0 };
		struct err why = { 0 };

		if (!source->postgres || !conf_wal_goes_to(c, source->postgres, to))
			continue;
		tiers_near(c, source->name, NULL, &r->s->tiers);
		rc = wal_copy_between(r->s, source, r->s->now, true, r->w, &sent, &why);
		rebuild_count_wal(r, &sent);
		if (rc == 0)
			continue;
		err_in(&why, "its WAL");
		/* Bundles that were left in an archive are counted and told. */
		if (why.kind != ERR_FROZEN || r->mine.bundles + r->others.bundles == 0)
			rc = rebuild_missed(r, source->name, &why, rebuild_mute(r), e);
		else
			rc = 0;
	}
	return rc;
}
