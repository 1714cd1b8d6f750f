/*
 * What there is: all snapshots as a table. `list` opens no manifest and needs no key, so it works
 * when little else does; what it cannot know without them it leaves out and says so.
 */
#include "cmd/cmd_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/words.h"
#include "job/inventory.h"
#include "job/pick.h"
#include "job/recall.h"
#include "repo/record.h"

struct list_options {
	struct common_options common;
	const char *tier, *as_of;
	bool refresh;
};
static const struct opt list_opts[] = {
	{ "tier", 0, OPT_STRING, offsetof(struct list_options, tier), "TIER",
	    "only what this tier has" },
	WORDS_AS_OF(list_options),
	{ "refresh", 0, OPT_FLAG, offsetof(struct list_options, refresh), NULL,
	    "open the manifests that this host's catalog does not know" },
	{ 0 },
};

static int64_t
age_ms(int64_t time_ns, int64_t now_ns)
{
	return now_ns > time_ns ? (now_ns - time_ns) / CLOCK_MS : 0;
}

/* Made while a clock was wrong. */
static bool
in_future(int64_t time_ns, int64_t now_ns)
{
	return time_ns > now_ns + LAYOUT_SKEW_NS;
}

static const char *
age_text(int64_t time_ns, int64_t now_ns, char out[UNITS_TEXT])
{
	const int64_t ms = age_ms(time_ns, now_ns);

	/* Names have whole seconds. */
	return in_future(time_ns, now_ns) ? "in the future" :
	    ms < CLOCK_S / CLOCK_MS ? "now" : units_duration(ms, out);
}

json_t *
cmd_list_facts(const struct catalog_facts *f)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "partial", f->partial,
	    "sequence", (json_int_t)f->sequence, "entries", (json_int_t)f->entries, "files",
	    (json_int_t)f->files, "bytes", (json_int_t)f->bytes, "read",
	    (json_int_t)f->read_bytes, "new", (json_int_t)f->stored_new, "started",
	    words_json_time(f->started_ns), "finished", words_json_time(f->finished_ns), "compared",
	    words_json_time(f->compared_ns));
}

/* What is held; NULL, and a word to people, when there are records and they cannot be read. */
static const struct record_holds *
known_holds(struct session *s, struct record_holds *holds)
{
	struct err e = { 0 };

	if (inventory_holds(s, holds, &e) == 0)
		return holds;
	output_note("what is held is not known: %s", e.text);
	return NULL;
}

/* The word behind a row. */
static const char *
mark(const struct inventory_item *item, const struct record_holds *holds)
{
	bool partial = item->known && item->facts.partial;

	if (holds && record_held(holds, item->part.id))
		return partial ? "partial, held" : "held";
	return partial ? "partial" : "";
}

static json_t *
item_json(const struct session *s, const struct inventory_item *item,
    const struct record_holds *holds, int64_t now)
{
	json_t *object = json_pack("{s:s, s:s, s:o, s:I, s:b, s:o, s:b, s:o}", "snapshot",
	    item->part.id, "source", item->part.source, "time", words_json_time(item->part.time_ns),
	    "age", (json_int_t)(age_ms(item->part.time_ns, now) / 1000), "future",
	    in_future(item->part.time_ns, now), "tiers", words_tiers_json(s, item->on), "known",
	    item->known, "held", holds ? json_boolean(record_held(holds, item->part.id) != NULL) :
	    json_null());

	if (item->known) {
		json_t *facts = cmd_list_facts(&item->facts);

		json_object_update(object, facts);
		json_decref(facts);
	}
	return object;
}

static void
list_print(const struct session *s, const struct inventory *inv, const struct record_holds *holds)
{
	static const char *const header[] = { "SNAPSHOT", "TIERS", "WHEN", ">AGE", ">FILES",
		">SIZE", ">NEW", "" };
	struct output_table *t = output_table_new(header, ARRAY_LEN(header));
	int64_t now = clock_real_ns();

	for (size_t i = 0; i < inv->count; i++) {
		const struct inventory_item *item = &inv->item[i];
		char when[UNITS_TEXT], age[UNITS_TEXT], files[UNITS_TEXT] = "-",
		    size[UNITS_TEXT] = "-", new[UNITS_TEXT] = "-";
		char *tiers = inventory_tiers(s, item->on);

		if (item->known) {
			snprintf(files, sizeof(files), "%" PRIu64, item->facts.files);
			units_size(item->facts.bytes, size);
			units_size(item->facts.stored_new, new);
		}
		output_table_row(t, (const char *const[]){ item->part.id, tiers,
		    units_time(item->part.time_ns, when),
		    age_text(item->part.time_ns, now, age), files, size, new,
		    mark(item, holds) });
		free(tiers);
	}
	output_table_print(t);
}

static json_t *
list_json(const struct session *s, const struct inventory *inv, const struct record_holds *holds)
{
	json_t *items = json_array(), *away = json_array();
	int64_t now = clock_real_ns();

	for (size_t i = 0; i < inv->count; i++)
		json_array_append_new(items, item_json(s, &inv->item[i], holds, now));
	for (size_t i = 0; i < s->tiers.count; i++) {
		if (!s->tiers.tier[i].store && !session_unasked(s, &s->tiers.tier[i]))
			json_array_append_new(away, json_string(s->tiers.tier[i].name));
	}
	return json_pack("{s:o, s:o, s:I}", "snapshots", items, "away", away, "unknown",
	    (json_int_t)inv->unknown);
}

/* What was taken away is in no listing; this host's memory knows it. */
static void
warn_missing(struct session *s, const struct inventory_options *io, const struct watch *w)
{
	for (size_t i = 0; i < io->sources; i++)
		recall_warn(s, io->tier, io->source[i], w);
	if (io->sources == 0)
		recall_warn(s, io->tier, NULL, w);
}

/* "No snapshot yet" is only said of a repository that is there, on a tier that was asked. */
static bool
holds_repo(const struct session *s)
{
	char name[LAYOUT_NAME];
	struct store_stat st;

	layout_repo(0, name);
	for (size_t i = 0; i < s->tiers.count; i++)
		if (s->tiers.tier[i].store && store_stat(s->tiers.tier[i].store, name, &st, NULL) == 1)
			return true;
	return false;
}

static int
list_run(const struct command_call *call, struct err *e)
{
	const struct list_options *o = call->options;
	struct inventory_options io = { .refresh = o->refresh };
	struct record_holds records = { 0 };
	const struct record_holds *holds;
	const struct watch *w;
	struct session s = { 0 };
	struct inventory inv = { 0 };
	struct words names = { 0 };
	int rc = -1;

	if (words_open_only(call->conf, o->as_of, o->tier, o->refresh ? SESSION_READ : SESSION_TIERS,
		&s, e) == -1)
		goto out;
	/* A tier that is named is meant, also where nothing tells whose it is. */
	if (!s.repo && session_only_ours(&s, e) == -1 && !o->tier)
		goto out;
	if (o->tier && session_tier(&s, o->tier, &io.tier, e) == -1)
		goto out;
	if (words_sources(&s, call->argc, call->argv, &names, e) == -1)
		goto out;
	io.source = names.item;
	io.sources = names.count;
	w = progress_start("list");
	if (inventory_read(&s, &io, w, &inv, e) == -1)
		goto out;
	holds = known_holds(&s, &records);
	warn_missing(&s, &io, w);
	progress_end();
	if (!o->tier)
		words_warn_away(&s);
	if (inv.count == 0 && !output_is_json())
		output_note("%s", holds_repo(&s) ? "no snapshot yet" :
			"no snapshot, and no repository was found");
	else if (!output_is_json())
		list_print(&s, &inv, holds);
	if (inv.unknown > 0)
		output_note("%zu of them are not in this host's catalog: `ffdr list --refresh` "
			    "reads them", inv.unknown);
	output_json(list_json(&s, &inv, holds));
	rc = output_warnings() > 0 ? EXIT_DEGRADED : EXIT_DONE;
out:
	progress_end();
	record_holds_done(&records);
	inventory_done(&inv);
	words_done(&names);
	session_done(&s);
	return rc;
}

const struct command cmd_list_list = {
	.name = "list",
	.operands = "[SOURCE...]",
	.summary = "show the snapshots and the tiers that have them",
	.text = "Lists the snapshots of the sources named, or of all, by asking every tier that "
		"answers, or with --tier no other than that one. "
		"Number of files, size and what was newly stored come from this host's "
		"catalog; '-' stands where it does not know them, and --refresh opens those "
		"manifests once. A snapshot marked partial is the unfinished state of a backup "
		"that had not come to its end within a day: the next run builds on it, it cannot be "
		"restored. One marked "
		"held stays whatever the retention says; to read who holds what takes the keys, and "
		"without them that is said.\n\n"
		"A warning names a snapshot that this host has seen as the newest of a tier and that is "
		"not there any more.",
	.examples = "ffdr list                        # everything\n"
		    "ffdr list vol.uploads --tier dr  # what the tier dr could restore\n"
		    "ffdr list --refresh --json       # all facts, for a program\n"
		    "ffdr list --as-of '2026-11-20 14:00'   # what there was before somebody deleted it",
	.options = list_opts,
	.options_size = sizeof(struct list_options),
	.max_operands = -1,
	.conf = CONF_LOAD,
	.run = list_run,
};
