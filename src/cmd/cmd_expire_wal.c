/*
 * WAL is told by timeline and reason, with the range: thousands of pieces are of no use to anybody,
 * and the range is what a person compares with the time he wants to go back to.
 */
#include "cmd/cmd_expire_wal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/lsn.h"
#include "base/mem.h"
#include "base/units.h"
#include "cmd/output.h"

/* Nothing where there is no place. */
static const char *
place(uint64_t lsn, char out[LSN_TEXT])
{
	return lsn ? lsn_text(lsn, out) : "";
}

static void
row(struct output_table *t, const struct expire_part *part, const struct wal_expire_group *g,
    bool dry_run)
{
	char what[120], range[2 * LSN_TEXT + 8], size[UNITS_TEXT], from[LSN_TEXT], to[LSN_TEXT],
	    why[200];
	const bool goes = wal_keep_goes(g->reason);

	if (g->tli)
		snprintf(what, sizeof(what), "%s epoch %" PRIu32 " timeline %" PRIu32, part->source,
			 g->place.epoch, g->tli);
	else
		snprintf(what, sizeof(what), "%s epoch %" PRIu32, part->source, g->place.epoch);
	snprintf(range, sizeof(range), "%s%s%s", place(g->from, from), g->to ? " .. " : "",
		 place(g->to, to));
	snprintf(why, sizeof(why), "%s%s%s", wal_keep_text(g->reason), g->by[0] ? ": " : "", g->by);
	output_table_row(
	    t, (const char *const[]){ what, part->tier, range, units_size(g->bytes, size),
				      !goes					    ? "stays"
				      : dry_run || part->wal.gone < part->wal.going ? "goes"
										    : "gone",
				      why });
}

void
cmd_expire_wal_text(const struct expire_report *r, bool dry_run)
{
	static const char *const header[] = { "WAL", "TIER", "RANGE", ">SIZE", "", "WHY" };
	struct output_table *t = NULL;

	for (size_t i = 0; i < r->count; i++)
		for (size_t j = 0; j < r->part[i].wal.count; j++) {
			const struct wal_expire_group *g = &r->part[i].wal.group[j];

			if (!dry_run && !wal_keep_goes(g->reason))
				continue;
			if (!t)
				t = output_table_new(header, ARRAY_LEN(header));
			row(t, &r->part[i], g, dry_run);
		}
	if (t)
		output_table_print(t);
}

static json_t *
place_json(uint64_t lsn)
{
	char text[LSN_TEXT];

	return lsn ? json_string(lsn_text(lsn, text)) : json_null();
}

json_t *
cmd_expire_wal_json(const struct wal_expire_report *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->count; i++) {
		const struct wal_expire_group *g = &w->group[i];

		json_array_append_new(
		    list, json_pack("{s:o, s:I, s:o, s:I, s:I, s:o, s:o, s:b, s:s, s:o}", "system",
				    json_sprintf("%" PRIu64, g->place.sysid), "epoch",
				    (json_int_t)g->place.epoch, "timeline",
				    g->tli ? json_integer(g->tli) : json_null(), "objects",
				    (json_int_t)g->objects, "bytes", (json_int_t)g->bytes, "from",
				    place_json(g->from), "to", place_json(g->to), "goes",
				    wal_keep_goes(g->reason), "why", wal_keep_text(g->reason),
				    "needed_by", g->by[0] ? json_string(g->by) : json_null()));
	}
	return list;
}
