/*
 * A tier that fills up stops every backup, and the day it does is known long before: the rate at
 * which new bytes come, times how long they stay. Packs stay for keep and a horizon beyond it. The
 * estimate errs upwards, because a disk that is too large is no incident.
 */
#include "job/check_need.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/mem.h"
#include "base/units.h"
#include "job/inventory.h"

#define DAY_NS (INT64_C(24) * 3600 * 1000000000)
#define MS_NS 1e6
#define TIERS_MOST 64 /* of one source */

uint64_t
check_need_bytes(const struct check_need_sample *sample, size_t n, int64_t held_ms)
{
	double fresh = 0, span;

	if (n < 2 || sample[n - 1].time_ns - sample[0].time_ns < DAY_NS)
		return 0;
	/* The first may be a whole backup, which says nothing about change. */
	for (size_t i = 1; i < n; i++)
		fresh += (double)sample[i].stored;
	span = (double)(sample[n - 1].time_ns - sample[0].time_ns);
	return sample[n - 1].bytes + (uint64_t)(fresh / span * (double)held_ms * MS_NS);
}

/* What a source will need on a tier; 0: not known yet. */
static uint64_t
source_need(const struct inventory *inv, const char *source, int64_t held_ms)
{
	struct check_need_sample *sample = xcalloc(inv->count + 1, sizeof(*sample));
	uint64_t need;
	size_t n = 0;

	for (size_t i = 0; i < inv->count; i++) {
		const struct inventory_item *item = &inv->item[i];

		if (!item->known || item->facts.partial || strcmp(item->part.source, source) != 0)
			continue;
		sample[n++] = (struct check_need_sample){ item->part.time_ns, item->facts.bytes,
			item->facts.stored_new };
	}
	need = check_need_bytes(sample, n, held_ms);
	free(sample);
	return need;
}

static bool
goes_to(const struct conf *conf, const struct conf_source *s, const struct conf_tier *t)
{
	const struct conf_tier *tier[TIERS_MOST];
	size_t n = conf_source_tiers(conf, s->tiers, tier, TIERS_MOST);

	for (size_t i = 0; i < n && i < TIERS_MOST; i++) {
		if (tier[i] == t)
			return true;
	}
	return false;
}

static void
need_tier(struct check *c, const struct conf *conf, const struct conf_tier *t,
    const struct inventory *inv)
{
	char what[100], need_text[UNITS_TEXT], all_text[UNITS_TEXT];
	const char *dir = tier_dir(t->url);
	uint64_t need = 0, all;
	size_t unknown = 0;
	struct statvfs fs;

	for (size_t i = 0; i < conf->sources; i++) {
		const struct conf_source *s = &conf->source[i];
		int64_t keep = s->keep > t->keep ? s->keep : t->keep;
		bool goes = goes_to(conf, s, t);
		uint64_t one = goes ? source_need(inv, s->name, keep + conf->horizon) : 0;

		need += one;
		unknown += goes && (one == 0 || s->keep == -1);
		/* How much it writes is the server's secret until its WAL has come for a while. */
		unknown += s->postgres && conf_wal_goes_to(conf, s->postgres, t);
	}
	snprintf(what, sizeof(what), "need %s", t->name);
	if (need == 0 || !dir || statvfs(dir, &fs) == -1) {
		if (unknown > 0)
			check_add(c, CHECK_UNKNOWN, what, NULL, "how much room it will need shows "
				  "once there are snapshots over a day");
		return;
	}
	all = (uint64_t)fs.f_blocks * fs.f_frsize;
	units_size(need, need_text);
	units_size(all, all_text);
	check_add(c, need > all ? CHECK_WARN : CHECK_OK, what,
	    need > all ? "a larger disk, or a shorter keep" : NULL,
	    "will need up to %s%s, its file system has %s", need_text,
	    unknown > 0 ? " and what is not known yet" : "", all_text);
}

void
check_need_tiers(struct check *c, const struct session *s, const struct inventory *inv)
{
	for (size_t i = 0; i < s->conf->tiers; i++)
		need_tier(c, s->conf, &s->conf->tier[i], inv);
}
