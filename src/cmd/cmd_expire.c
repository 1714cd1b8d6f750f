/*
 * What goes. The only two commands that delete, so each can be asked first (--dry-run) and says for
 * every snapshot why it stays or goes: an expiry that surprises is a data loss. What cannot be
 * judged keeps everything; the job told so when it met it, and the others went on.
 */
#include "cmd/cmd_expire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "cmd/cmd_expire_wal.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/words.h"
#include "job/expire.h"
#include "job/gc.h"

/* ---- expire ---- */

/* A reason with the name of a tier. */
#define WHY_TEXT 200

struct expire_opts {
	struct common_options common;
	const char *tier, *retire, *discard, *lost_key, *why;
	bool dry_run, more_than_half, clock_is_right;
};
static const struct opt expire_table[] = {
	{ "dry-run", 'n', OPT_FLAG, offsetof(struct expire_opts, dry_run), NULL,
	    "say what would go and what stays, and why; remove nothing" },
	{ "tier", 0, OPT_STRING, offsetof(struct expire_opts, tier), "TIER", "only on this tier" },
	{ "yes-more-than-half", 0, OPT_FLAG, offsetof(struct expire_opts, more_than_half), NULL,
	    "let more than half of a source's snapshots go within a day" },
	{ "yes-the-clock-is-right", 0, OPT_FLAG, offsetof(struct expire_opts, clock_is_right), NULL,
	    "this host's clock was set, and is right now" },
	{ "retire", 0, OPT_STRING, offsetof(struct expire_opts, retire), "SOURCE",
	    "let go of everything of a source that is no longer configured" },
	{ "discard", 0, OPT_STRING, offsetof(struct expire_opts, discard), "SNAPSHOT",
	    "give up a snapshot whose manifest cannot be read and not be repaired" },
	{ "lost-key", 0, OPT_STRING, offsetof(struct expire_opts, lost_key), "ID",
	    "with --discard: the key that would open it is gone for good" },
	{ "why", 0, OPT_STRING, offsetof(struct expire_opts, why), "TEXT",
	    "the reason for --retire or --discard, for the record" },
	{ 0 },
};

static void
tell_left(const struct expire_part *part)
{
	if (part->host[0] != '\0')
		output_detail("left", "%s on %s: it is not ours, %s backs it up", part->source, part->tier,
		    part->host);
	else
		output_detail("left", "%s on %s: no section of the configuration names it; "
		    "`ffdr expire --retire %s --why ...` when all of it may go", part->source,
		    part->tier, part->source);
}

static const char *
why_text(const struct prune_item *it, char out[WHY_TEXT])
{
	if (it->reason != EXPIRE_KEEP_OWED || !it->waits_for)
		return expire_reason_text(it->reason);
	snprintf(out, WHY_TEXT, "waits for the copy to %s%s", it->waits_for,
	    it->waits_away ? ", which does not answer" : it->waits_late ? ", which is late" : "");
	return out;
}

static void
expire_text(const struct expire_report *r, bool dry_run, bool retired)
{
	static const char *const header[] = { "SNAPSHOT", "TIER", "", "WHY" };
	struct output_table *t = NULL;
	char n[UNITS_TEXT], why[WHY_TEXT];

	for (size_t i = 0; i < r->count; i++) {
		const struct expire_part *part = &r->part[i];

		if (part->left)
			tell_left(part);
		for (size_t j = 0; j < part->prune.count; j++) {
			const struct prune_item *item = &part->prune.item[j];
			bool goes = expire_goes(item->reason);

			/* What stays is of interest to who asks, not to a timer's log. */
			if (!dry_run && !goes && !retired)
				continue;
			if (!t)
				t = output_table_new(header, ARRAY_LEN(header));
			output_table_row(t, (const char *const[]){ item->part.id, part->tier,
			    item->gone ? "gone" : goes ? "goes" : "stays",
			    why_text(item, why) });
		}
	}
	if (t)
		output_table_print(t);
	cmd_expire_wal_text(r, dry_run);
	if (dry_run)
		output_done("%s would go; nothing was removed", units_count(r->going, "snapshot", n));
	else
		output_done("%s expired; `ffdr gc` frees what nothing needs any more",
		    units_count(r->gone, "snapshot", n));
	if (r->wal_going > 0)
		output_detail("WAL", dry_run ? "%s would go" : "%s gone",
		    units_count(dry_run ? r->wal_going : r->wal_gone, "object", n));
}

static json_t *
expire_json(const struct expire_report *r)
{
	json_t *list = json_array();
	char why[WHY_TEXT];

	for (size_t i = 0; i < r->count; i++) {
		const struct expire_part *part = &r->part[i];
		json_t *items = json_array();

		for (size_t j = 0; j < part->prune.count; j++) {
			const struct prune_item *item = &part->prune.item[j];

			json_array_append_new(items, json_pack("{s:s, s:b, s:b, s:s, s:s?}",
			    "snapshot", item->part.id, "goes", expire_goes(item->reason), "gone",
			    item->gone, "why", why_text(item, why), "waits_for",
			    item->reason == EXPIRE_KEEP_OWED ? item->waits_for : NULL));
		}
		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o}",
		    "source", part->source, "tier", part->tier, "left", part->left, "left_to",
		    part->host[0] == '\0' ?
		    json_null() : words_json(part->host, strlen(part->host)),
		    "keep", part->keep_ns < 0 ? json_null() :
		    json_integer(part->keep_ns / CLOCK_S), "snapshots", items, "wal",
		    cmd_expire_wal_json(&part->wal), "wal_not_judged",
		    words_json_error(&part->wal.not_judged), "failed",
		    words_json_error(&part->failed)));
	}
	return json_pack("{s:o, s:I, s:I, s:I, s:I, s:i, s:i}", "parts", list, "going",
	    (json_int_t)r->going, "gone", (json_int_t)r->gone, "wal_going",
	    (json_int_t)r->wal_going, "wal_gone", (json_int_t)r->wal_gone, "away", r->away, "failed",
	    r->failed);
}

static int
expire_exit(const struct expire_report *r)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->part[i].failed.kind != ERR_NONE)
			return command_exit(r->part[i].failed.kind);
	}
	return output_warnings() > 0 ? EXIT_DEGRADED : EXIT_DONE;
}

static int
expire_with(struct session *s, const struct command_call *call, struct expire_options *eo,
    struct err *e)
{
	const struct expire_opts *o = call->options;
	struct expire_report report = { 0 };
	struct words names = { 0 };
	const char *by = getenv("SUDO_USER");
	int rc = -1;

	if (o->tier && session_tier(s, o->tier, &eo->tier, e) == -1)
		return -1;
	if (words_sources(s, call->argc, call->argv, &names, e) == -1)
		return -1;
	eo->source = names.item;
	eo->sources = names.count;
	eo->by = by ? by : getenv("USER");
	rc = expire_run(s, eo, progress_start("expire"), &report, e);
	progress_end();
	if (rc == 0) {
		if (!o->tier)
			words_warn_away(s);
		expire_text(&report, o->dry_run, o->retire != NULL);
		output_json(expire_json(&report));
		rc = expire_exit(&report);
	}
	expire_done(&report);
	words_done(&names);
	return rc;
}

static int
expire_command(const struct command_call *call, struct err *e)
{
	const struct expire_opts *o = call->options;
	struct expire_options eo = {
		.dry_run = o->dry_run,
		.more_than_half = o->more_than_half,
		.clock_is_right = o->clock_is_right,
		.retire = o->retire,
		.discard = o->discard,
		.lost_key = o->lost_key,
		.why = o->why,
	};
	struct session s = { 0 };
	int rc;

	if ((o->retire && o->discard) || ((o->retire || o->discard) && call->argc > 0))
		return err_set(e, ERR_USAGE, "--retire, --discard and SOURCE are three different "
					     "things: one at a time");
	if (o->why && !o->retire && !o->discard)
		return err_set(e, ERR_USAGE, "--why is the reason for --retire or --discard, and there is "
					     "neither");
	if (o->lost_key && !o->discard)
		return err_set(e, ERR_USAGE, "--lost-key is for --discard, and there is none");
	if (session_open(call->conf, SESSION_WRITE, &s, e) == -1)
		return -1;
	rc = expire_with(&s, call, &eo, e);
	session_done(&s);
	return rc;
}

const struct command cmd_expire_expire = {
	.name = "expire",
	.operands = "[SOURCE...]",
	.summary = "let go of snapshots that `keep` no longer covers",
	.text = "Removes, on each tier, the snapshots that are older than `keep` of the tier, or of the "
		"source where that is longer; their packs are freed by `ffdr gc`. What always stays: "
		"the newest, the state at the start of the window, the last verified, what is held, "
		"what a running backup may build on, what another tier of the source would keep and "
		"has not got yet, and at least half of what a source had a day ago (by what this host "
		"remembers of its own runs). `keep` is counted back from the newest snapshot, not from "
		"now: where nothing "
		"new comes, nothing old goes. What lies in the future stays until its time has come.\n\n"
		"Of a PostgreSQL server every second of the window stays restorable: also the base "
		"backup that a timeline of the window grew out of stays, and of the WAL only that "
		"goes which no base backup that stays can reach on any timeline, and which is older "
		"than `keep` and a day.\n\n"
		"It refuses when this host's clock was set since the last run, or is behind what is "
		"stored: set it right, or, when it is right, say so once by "
		"--yes-the-clock-is-right.\n\n"
		"Only sources that this configuration names are judged. Others (another host's, or one "
		"whose section was taken out) are left, and said, unless they are named.\n\n"
		"Where the newest snapshot that is known to be good or bad is bad, nothing goes by age "
		"until a later one was verified; the last verified is one that was not found broken "
		"since.\n\n"
		"--retire is the one way to let go of the newest of a source, and only when it is no "
		"longer configured; it wants --why. --discard gives up a snapshot whose "
		"manifest is damaged on every tier, because such a one stops garbage collection. One "
		"that is whole, and whose key is not here, is refused, with the id of that key: "
		"where it is gone for good, --lost-key ID says so.",
	.examples = "ffdr expire --dry-run                      # what would go, and why\n"
		    "ffdr expire                                # for a timer\n"
		    "ffdr expire --retire vol.old --why 'host is gone'",
	.options = expire_table,
	.options_size = sizeof(struct expire_opts),
	.max_operands = -1,
	.conf = CONF_LOAD,
	.steps_back = true,
	.run = expire_command,
};

/* ---- gc ---- */

struct gc_opts {
	struct common_options common;
	const char *tier;
	bool dry_run, clock_is_right, empty_is_right;
};
static const struct opt gc_table[] = {
	{ "dry-run", 'n', OPT_FLAG, offsetof(struct gc_opts, dry_run), NULL,
	    "say what would be marked and deleted; change nothing" },
	{ "tier", 0, OPT_STRING, offsetof(struct gc_opts, tier), "TIER", "only on this tier" },
	{ "yes-the-clock-is-right", 0, OPT_FLAG, offsetof(struct gc_opts, clock_is_right), NULL,
	    "this host's clock was set, and is right now" },
	{ "yes-nothing-is-kept", 0, OPT_FLAG, offsetof(struct gc_opts, empty_is_right), NULL,
	    "a tier with packs and not one snapshot is no accident" },
	{ 0 },
};

static void
gc_text(const struct gc_part *p, bool dry_run)
{
	const struct gc_report *g = &p->gc;
	char a[UNITS_TEXT], b[UNITS_TEXT], n[UNITS_TEXT], k[UNITS_TEXT];

	if (p->failed.kind != ERR_NONE)
		return; /* told when it happened */
	output_done("%s: %s %s, %s; %zu more, %s, %s a day from now", p->tier,
	    dry_run ? "would delete" : "deleted", units_count(g->deleted, "pack", n),
	    units_size(g->deleted_bytes, a),
	    g->candidates, units_size(g->candidate_bytes, b), dry_run ? "would go" : "may go");
	output_detail("kept", "%s: %zu needed by %s, %zu too young to tell, %zu marked before",
	    units_count(g->packs > g->deleted ? g->packs - g->deleted : 0, "pack", n), g->referenced,
	    units_count(g->snapshots, "snapshot", k), g->young, g->waiting);
	if (g->aside > 0)
		output_detail("set aside", "%s below bad/ %s: good ones are in their place, or nothing "
			      "needs them", units_count(g->aside, "bad object", n),
		    dry_run ? "would go" : "went");
}

static json_t *
gc_json(const struct gc_summary *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->count; i++) {
		const struct gc_report *g = &r->part[i].gc;

		json_array_append_new(list, json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
						      "s:I, s:I, s:I, s:s, s:o}",
		    "tier", r->part[i].tier, "away", r->part[i].away, "snapshots",
		    (json_int_t)g->snapshots, "packs", (json_int_t)g->packs, "referenced",
		    (json_int_t)g->referenced, "young", (json_int_t)g->young, "waiting",
		    (json_int_t)g->waiting, "marked", (json_int_t)g->candidates, "marked_bytes",
		    (json_int_t)g->candidate_bytes, "deleted", (json_int_t)g->deleted,
		    "deleted_bytes", (json_int_t)g->deleted_bytes, "aside", (json_int_t)g->aside,
		    "stopped", g->stopped, "failed", words_json_error(&r->part[i].failed)));
	}
	return json_pack("{s:o, s:i, s:i}", "tiers", list, "away", r->away, "failed", r->failed);
}

static int
gc_exit(const struct gc_summary *r)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->part[i].failed.kind != ERR_NONE && !r->part[i].away)
			return command_exit(r->part[i].failed.kind);
	}
	return output_warnings() > 0 ? EXIT_DEGRADED : EXIT_DONE;
}

static int
gc_command(const struct command_call *call, struct err *e)
{
	const struct gc_opts *o = call->options;
	struct gc_choice choice = {
		.dry_run = o->dry_run, .clock_is_right = o->clock_is_right,
		.empty_is_right = o->empty_is_right,
	};
	struct gc_summary report = { 0 };
	struct session s = { 0 };
	int rc = -1;

	if (session_open(call->conf, SESSION_WRITE, &s, e) == -1)
		return -1;
	if (o->tier && session_tier(&s, o->tier, &choice.tier, e) == -1)
		goto out;
	rc = gc_run(&s, &choice, progress_start("gc"), &report, e);
	progress_end();
	if (rc == 0) {
		for (size_t i = 0; i < report.count; i++)
			gc_text(&report.part[i], o->dry_run);
		output_json(gc_json(&report));
		rc = gc_exit(&report);
	}
out:
	gc_done(&report);
	session_done(&s);
	return rc;
}

const struct command cmd_expire_gc = {
	.name = "gc",
	.operands = "",
	.summary = "free what no snapshot needs any more",
	.text = "Garbage collection, in two runs: the first marks packs that no snapshot and no copy "
		"under way names, the next one, a day later, deletes what is still unneeded. It needs "
		"no lock and may run beside backups and copies. A manifest that cannot be read stops "
		"it on that tier, because nobody knows what it names: repair it, or give it up by "
		"`ffdr expire --discard`. What `ffdr verify --repair` set aside below bad/ goes after a "
		"month, when a good object is in its place or no snapshot there needs it. As "
		"`ffdr expire` it refuses when this host's clock was set since the last run, and on a "
		"tier whose newest snapshot, as this host remembers it, is gone, or that has packs and "
		"not one snapshot: what named them may only be out of sight.",
	.examples = "ffdr gc --dry-run    # what would that free?\n"
		    "ffdr gc              # after `ffdr expire`, daily",
	.options = gc_table,
	.options_size = sizeof(struct gc_opts),
	.conf = CONF_LOAD,
	.steps_back = true,
	.run = gc_command,
};
