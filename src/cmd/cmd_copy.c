/*
 * Snapshots to other tiers. The job goes over many of both, and what fails for one must not hide
 * what holds for the others: so it hands over a report with a line for each, and here that becomes
 * text, JSON and an exit code.
 */
#include "cmd/cmd_copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/thawing.h"
#include "cmd/words.h"
#include "job/copy.h"
#include "job/inventory.h"
#include "job/rebuild.h"

struct copy_opts {
	struct common_options common;
	const char *to, *as_of;
	struct thawing_opts thaw;
	bool dry_run;
};
static const struct opt copy_table[] = {
	{ "to", 0, OPT_STRING, offsetof(struct copy_opts, to), "TIER",
	    "to this tier, now, whether it is due or not" },
	WORDS_AS_OF(copy_opts),
	{ "dry-run", 'n', OPT_FLAG, offsetof(struct copy_opts, dry_run), NULL,
	    "say what would be copied; copy nothing" },
	THAWING_ROWS(copy_opts, thaw),
	{ 0 },
};

/*
 * What a timer need not hear every hour is only told to who asked for this tier; true when it
 * spoke.
 */
static bool
copy_line(const struct session *s, const struct copy_line *l, bool asked)
{
	char size[UNITS_TEXT], n[UNITS_TEXT], *gave;

	switch (l->outcome) {
	case COPY_DONE:
		gave = l->pend.gave ? inventory_tiers(s, l->pend.gave) : xstrdup(l->from);
		output_done("copied %s from %s to %s: %s, %s sent, %zu were there", l->id, gave,
		    l->to, units_count(l->pend.sent, "pack", n),
		    units_size(l->pend.sent_bytes, size), l->pend.there);
		free(gave);
		return true;
	case COPY_WOULD:
		output_done("would copy %s from %s to %s", l->id, l->from, l->to);
		return true;
	case COPY_WAL:
		if (l->wal.sent > 0)
			output_done("brought WAL of %s that was missing to %s: %s, %s", l->source,
			    l->to, units_count(l->wal.sent, "object", n),
			    units_size(l->wal.bytes, size));
		if (l->wal.left > 0)
			output_done("left %s of WAL of %s for %s to the receiver: not %d minutes old",
			    units_count(l->wal.left, "piece", n), l->source, l->to,
			    WAL_COPY_YOUNG_S / 60);
		return l->wal.sent > 0 || l->wal.left > 0;
	case COPY_AWAY:
		output_warn("%s to %s: the tier is away: %s", l->source, l->to, l->why.text);
		return true;
	case COPY_FAILED:
		if (l->why.kind != ERR_CANCELLED) /* that ends the command, and is its error */
			output_warn("%s to %s: %s", l->id[0] ? l->id : l->source, l->to, l->why.text);
		return true;
	case COPY_THERE:
		if (asked)
			output_done("%s is on %s already", l->id, l->to);
		return asked;
	case COPY_NOTHING:
		if (asked)
			output_done("there is no complete snapshot of %s to copy to %s", l->source,
			    l->to);
		return asked;
	case COPY_NOT_DUE:
		break;
	}
	return false;
}

static json_t *
copy_json(const struct copy_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->count; i++) {
		const struct copy_line *l = &r->line[i];

		/* Where it was read from it is there. */
		if (strcmp(l->from ? l->from : "", l->to) == 0)
			continue;
		json_array_append_new(list, json_pack("{s:s, s:s?, s:s?, s:s, s:s, s:I, s:I, s:I, "
						      "s:I, s:I, s:I, s:I, s:o}",
		    "source", l->source, "snapshot", l->id[0] ? l->id : NULL, "from", l->from, "to",
		    l->to, "outcome", copy_word(l->outcome), "sent", (json_int_t)l->pend.sent,
		    "there", (json_int_t)l->pend.there, "bytes", (json_int_t)l->pend.sent_bytes,
		    "wal_sent", (json_int_t)l->wal.sent, "wal_bytes", (json_int_t)l->wal.bytes,
		    "wal_left", (json_int_t)l->wal.left,
		    "wal_waiting", (json_int_t)l->wal.waiting,
		    "why", words_json_error(&l->why)));
	}
	return json_pack("{s:o, s:i, s:i, s:i}", "copies", list, "done", r->done, "away", r->away,
	    "failed", r->failed);
}

/*
 * A copy that failed is asked for again by the next run; what the code tells is the first reason.
 * Only "away" is degraded: the others went on, and this tier's turn comes.
 */
static int
copy_exit(const struct copy_report *r)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->line[i].outcome == COPY_FAILED)
			return command_exit(r->line[i].why.kind);
	}
	if (r->away > 0 && r->away == r->count)
		return EXIT_UNREACHABLE;
	return output_warnings() > 0 ? EXIT_DEGRADED : EXIT_DONE;
}

/* ---- what was there ---- */

static json_t *
rebuild_json(const struct session *s, const struct rebuild_report *r)
{
	return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "to", s->now->name, "as_of",
	    words_json_time(s->as_of_ns), "objects", (json_int_t)r->names, "missing",
	    (json_int_t)r->missing, "replaced", (json_int_t)r->replaced, "lost", (json_int_t)r->lost,
	    "unanswered", (json_int_t)r->unanswered,
	    "left", (json_int_t)r->left, "held_back", (json_int_t)r->held, "bytes",
	    (json_int_t)r->bytes);
}

/* All that the tiers had, by names. */
static int
rebuild(struct session *s, const struct copy_opts *o, const struct thaw_wish *thaw, struct err *e)
{
	const struct rebuild_options ro = { .thaw = thaw, .dry_run = o->dry_run };
	char size[UNITS_TEXT], n[UNITS_TEXT];
	struct rebuild_report report;
	int rc = rebuild_run(s, &ro, progress_start("copy"), &report, e);

	progress_end();
	if (rc == -1)
		return -1;
	output_done("%s to %s: %s, %s; %zu of them in place of others, which %s below bad/",
	    o->dry_run ? "would bring back" : "brought back", s->now->name,
	    units_count(report.missing + report.replaced, "object", n),
	    units_size(report.bytes, size), report.replaced, o->dry_run ? "would go" : "are");
	if (report.lost > 0)
		output_detail("lost", "%s of which no tier had a good one",
		    units_count(report.lost, "object", n));
	output_detail("fix", "`ffdr verify --tier %s` proves it", s->now->name);
	output_json(rebuild_json(s, &report));
	return report.lost > 0 ? EXIT_VERIFY : output_warnings() > 0 ? EXIT_DEGRADED : EXIT_DONE;
}

static int
copy_command(const struct command_call *call, struct err *e)
{
	const struct copy_opts *o = call->options;
	const char *what = call->argc > 0 ? call->argv[0] : NULL;
	struct thaw_wish thaw;
	struct copy_options co = { .to = o->to, .dry_run = o->dry_run, .thaw = &thaw };
	struct copy_report report = { 0 };
	struct words names = { 0 };
	struct session s = { 0 };
	bool said = false;
	int rc = -1;

	if (thawing_wish(&o->thaw, &thaw, e) == -1)
		return -1;
	if (what && words_is_snapshot(what)) {
		if (!o->to)
			return err_set(e, ERR_USAGE, "copy of one snapshot needs --to TIER");
		co.snapshot = what;
	}
	if (o->as_of && !o->to) {
		err_set(e, ERR_USAGE, "copy of what there was needs --to TIER");
		return err_line(e, "fix", "ffdr copy --as-of TIME --to TIER: the tier that was damaged, or "
		    "a new one");
	}
	if (words_open_past(call->conf, o->as_of, o->to, SESSION_READ, &s, e) == -1)
		return -1;
	words_warn_state(&s);
	if (o->as_of && !what) {
		rc = rebuild(&s, o, &thaw, e);
		goto out;
	}
	if (!co.snapshot && words_sources(&s, call->argc, call->argv, &names, e) == -1)
		goto out;
	co.source = names.item;
	co.sources = names.count;
	rc = copy_run(&s, &co, progress_start("copy"), &report, e);
	progress_end();
	for (size_t i = 0; i < report.count; i++)
		said = copy_line(&s, &report.line[i], o->to != NULL) || said;
	if (rc == 0) {
		if (!said)
			output_done("nothing to copy: every tier has what it takes");
		output_json(copy_json(&report));
		rc = copy_exit(&report);
	}
out:
	copy_done(&report);
	words_done(&names);
	session_done(&s);
	return rc;
}

const struct command cmd_copy_copy = {
	.name = "copy",
	.operands = "[SOURCE...|SNAPSHOT]",
	.summary = "bring snapshots to the other tiers",
	.text = "Each other tier of a source takes the newest complete snapshot once in each period "
		"of its `takes`: all, hourly, daily, weekly; also of those that it missed, as far back "
		"as it keeps. With --to one tier gets the newest "
		"snapshot, or the one named, now. They are read from the nearest tier that has "
		"them, in the order of the source's `tiers`, and from an archive only what no other "
		"tier has. Only the packs that are missing there are sent. Each is proved there: it "
		"is read back, or, where `init` or `check` found on this host that the store refuses "
		"bytes which are not those of their checksum, goes by the one that the store keeps. "
		"The manifest comes last: so a snapshot exists on a tier only when it is complete "
		"there. An interrupted copy is gone on with by the next one. What is missing "
		"there and lies in an archive everywhere else, packs and bundles of WAL, is ordered back "
		"first, as by restore: for all copies of the run in one sum, and with one wait, before "
		"anything is copied. Without --yes-thaw, and where no terminal can be asked, the copies "
		"that need it fail and the others go on, as they do with --no-wait once it is "
		"ordered.\n\n"
		"A base backup of a PostgreSQL server brings its WAL, which is read back before the "
		"manifest is put; and a tier in `wal` gets what it lacks between its oldest base "
		"backup and the newest WAL that another tier has. While a receiver runs, the last "
		"ten minutes are left to it, which the output says. A tier whose class is an archive's "
		"(GLACIER, DEEP_ARCHIVE) gets WAL by copies alone, in bundles of up to 32 MiB: one that "
		"is not full waits until its oldest piece is an hour old, or half of the tier's rpo, "
		"unless --to names the tier.\n\n"
		"With --as-of and --to, and no operand, a tier gets back by names all that the tiers had "
		"then and it has not, or not sound: the repository's own objects and keys, packs, WAL, "
		"records, snapshots; proofs (`verify`) only those of that tier, and WAL to one whose "
		"class is an archive's in bundles, as a copy brings it, besides what lay there; a bundle "
		"that only others had where its WAL does not come in pieces. So a "
		"bucket that somebody emptied or overwrote is rebuilt from what "
		"it keeps out of sight, in place or elsewhere. What has been there since with its size "
		"stays, unread (`verify` proves it); what "
		"lay in the place of something else is kept below bad/. What lies in an archive alone is "
		"ordered back in one sum before anything is brought, with --yes-thaw or a yes at the "
		"terminal; else it is left there, with the snapshots that need it, and the rest is "
		"brought. What only other tiers had is ordered for a tier that had nothing itself. No "
		"snapshot is brought without all its packs and its WAL, whole. What no tier has whole is "
		"named, and is the exit code; while one that does not answer may have it, that is named, "
		"and the same command brings it later. With an operand only those "
		"snapshots are copied, from the tiers as they were.",
	.examples = "ffdr copy                                  # what is due, for a timer\n"
		    "ffdr copy --to dr                          # the newest of every source, now\n"
		    "ffdr copy --to dr vol.uploads/20261121T02  # this one\n"
		    "ffdr copy --as-of '2026-11-20 14:00' --to dr   # what the buckets had, back to dr",
	.options = copy_table,
	.options_size = sizeof(struct copy_opts),
	.max_operands = -1,
	.conf = CONF_LOAD,
	.steps_back = true,
	.run = copy_command,
};
