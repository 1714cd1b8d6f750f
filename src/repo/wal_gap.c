/*
 * Holes are remembered on the tiers, not on the host that saw them: whoever restores, years later
 * and elsewhere, must be stopped at the hole. So one that cannot be read is an error, as with
 * holds: it might be about just the range that is wanted.
 */
#include "repo/wal_gap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/lines.h"
#include "repo/record.h"
#include "repo/wal_lineage.h"

#define KIND "gap"

static void
gap_text(const struct wal_gap *g, struct buf *out)
{
	buf_addf(out, "system-id %" PRIu64 "\nepoch %u\ntimeline %u\n", g->place.sysid,
	    g->place.epoch, g->tli);
	lines_add_lsn(out, "from", g->from);
	lines_add_lsn(out, "to", g->to);
	lines_add_text(out, "host", g->host);
	lines_add_text(out, "why", g->why);
}

static int
gap_parse(const struct buf *text, struct wal_gap *g, struct err *e)
{
	uint64_t epoch, tli;
	struct lines l;

	lines_set(&l, text);
	if (lines_take_number(&l, "system-id", UINT64_MAX, &g->place.sysid, e) == -1 ||
	    lines_take_number(&l, "epoch", UINT32_MAX, &epoch, e) == -1 ||
	    lines_take_number(&l, "timeline", UINT32_MAX, &tli, e) == -1 ||
	    lines_take_lsn(&l, "from", &g->from, e) == -1 ||
	    lines_take_lsn(&l, "to", &g->to, e) == -1 ||
	    lines_take_text(&l, "host", g->host, sizeof(g->host), e) == -1 ||
	    lines_take_text(&l, "why", g->why, sizeof(g->why), e) == -1 ||
	    lines_end(&l, e) == -1)
		return -1;
	g->place.epoch = (uint32_t)epoch;
	g->tli = (uint32_t)tli;
	return 0;
}

int
wal_gap_put(const struct repo *r, struct tier *const *tier, size_t tiers,
    const struct wal_gap *gap, char name[LAYOUT_NAME], struct err *e)
{
	struct err why = { 0 };
	struct buf text;
	int have = 0;

	layout_record_new(KIND, gap->place.source, gap->time_ns, name);
	buf_init(&text, RECORD_MAX);
	gap_text(gap, &text);
	err_set(&why, ERR_REMOTE, "no tier has '%s'", name);
	for (size_t i = 0; i < tiers; i++) {
		struct err one = tier[i]->why;

		if (tier[i]->store != NULL &&
		    record_put_as(r, tier[i]->store, name, &text, &one) != -1)
			have++;
		else
			err_line(&why, tier[i]->name, "%.*s", (int)strcspn(one.text, "\n"), one.text);
	}
	buf_done(&text);
	if (have == 0 && e != NULL)
		*e = why;
	return have == 0 ? -1 : have;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The names on all of these tiers, in order, each once. */
static int
list_all(struct tier *const *tier, size_t tiers, const char *source, struct record_names *l,
    struct err *e)
{
	char prefix[LAYOUT_NAME];
	size_t kept = 0;

	snprintf(prefix, sizeof(prefix), "rec/" KIND "/%s/", source);
	for (size_t i = 0; i < tiers; i++) {
		const struct err *why = &tier[i]->why;

		if (tier[i]->store == NULL)
			return err_set(e, why->kind == ERR_NONE ? ERR_REMOTE : why->kind,
			    "tier '%s': %s", tier[i]->name,
			    why->kind == ERR_NONE ? "not opened" : why->text);
		if (record_list(tier[i]->store, prefix, l, e) == -1)
			return err_in(e, "tier '%s'", tier[i]->name);
	}
	if (l->count > 0)
		qsort(l->name, l->count, sizeof(*l->name), by_name);
	for (size_t i = 0; i < l->count; i++)
		if (kept == 0 || strcmp(l->name[kept - 1], l->name[i]) != 0)
			memmove(l->name[kept++], l->name[i], sizeof(*l->name));
	l->count = kept;
	return 0;
}

int
wal_gap_load(const struct repo *r, struct tier *const *tier, size_t tiers, const char *source,
    struct wal_gaps *ret, struct err *e)
{
	struct record_names l = { 0 };
	struct layout_snap part;
	struct buf text;
	int rc;

	*ret = (struct wal_gaps){ 0 };
	buf_init(&text, RECORD_MAX);
	rc = list_all(tier, tiers, source, &l, e);
	ret->gap = xcalloc(l.count + 1, sizeof(*ret->gap));
	for (size_t i = 0; i < l.count && rc == 0; i++) {
		struct wal_gap *g = &ret->gap[ret->count];

		buf_reset(&text);
		rc = wal_lineage_fetch(r, tier, tiers, l.name[i], &text, e);
		if (rc == 0) /* gone since the listing */
			continue;
		rc = rc == 1 ? gap_parse(&text, g, e) : -1;
		if (rc == -1) {
			err_in(e, "'%s'", l.name[i]);
			continue;
		}
		layout_snap_parse(l.name[i], &part);
		snprintf(g->place.source, sizeof(g->place.source), "%s", part.source);
		g->time_ns = part.time_ns;
		ret->count++;
	}
	free(l.name);
	buf_done(&text);
	return rc;
}

void
wal_gap_done(struct wal_gaps *g)
{
	free(g->gap);
	*g = (struct wal_gaps){ 0 };
}

const struct wal_gap *
wal_gap_in(const struct wal_gaps *g, uint64_t sysid, uint32_t tli, uint64_t from, uint64_t to)
{
	for (size_t i = 0; i < g->count; i++) {
		const struct wal_gap *one = &g->gap[i];

		if (one->place.sysid == sysid && one->tli == tli && one->from < to && from < one->to)
			return one;
	}
	return NULL;
}

bool
wal_gap_ends_before(const struct wal_gap *g, uint32_t epoch, uint64_t start)
{
	if (epoch != g->place.epoch)
		return epoch > g->place.epoch;
	return g->to == UINT64_MAX ? start > g->from : start >= g->to;
}
