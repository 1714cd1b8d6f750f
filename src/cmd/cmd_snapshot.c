/*
 * Snapshots made and taken back. The work is in job/; here are the words around it: options, one
 * sentence at the end that can be read out on the phone, the same as JSON. Several sources are
 * backed up one after the other, and one that fails does not keep the others from their turn.
 */
#include "cmd/cmd_snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/thawing.h"
#include "cmd/words.h"
#include "job/backup.h"
#include "job/restore.h"

/* ---- backup ---- */

struct backup_opts {
	struct common_options common;
	const char *tier, *read, *job, *slot;
	bool dry_run, allow_bad_pages, new_system;
};
static const struct opt backup_table[] = {
	{ "tier", 0, OPT_STRING, offsetof(struct backup_opts, tier), "TIER",
	    "back up to this tier, not to the first that answers" },
	{ "read", 0, OPT_STRING, offsetof(struct backup_opts, read), "all",
	    "compare every byte, whatever `compare` of the source says" },
	{ "dry-run", 'n', OPT_FLAG, offsetof(struct backup_opts, dry_run), NULL,
	    "only walk and count; store nothing, run no hook" },
	{ "allow-bad-pages", 0, OPT_FLAG, offsetof(struct backup_opts, allow_bad_pages), NULL,
	    "databases: keep pages with a wrong checksum, and list them, instead of failing" },
	{ "new-system", 0, OPT_FLAG, offsetof(struct backup_opts, new_system), NULL,
	    "databases: another system than before (made anew, upgraded, restored) has the name "
	    "from now on" },
	{ "job", 0, OPT_STRING, offsetof(struct backup_opts, job), "NAME",
	    "note in the snapshot which job made it" },
	{ "slot", 0, OPT_STRING, offsetof(struct backup_opts, slot), "TIME",
	    "note in the snapshot for which moment it was due" },
	{ 0 },
};

static int
reused_percent(const struct backup_report *r)
{
	if (r->bytes == 0)
		return 100;
	return r->fresh >= r->bytes ? 0 :
	    (int)(100 * ((double)(r->bytes - r->fresh) / (double)r->bytes));
}

static void
backup_text(const struct backup_report *r)
{
	char a[WORDS_AMOUNT], b[UNITS_TEXT], n[UNITS_TEXT], k[UNITS_TEXT], reused[UNITS_TEXT] = "";

	/* Not every kind of source knows how many files it has before they are read. */
	if (!r->tier && r->entries == 0) {
		output_done("%s holds %s; nothing was stored", r->source, units_size(r->bytes, b));
		return;
	}
	if (!r->tier) {
		output_done("%s holds %s in %s, %s; nothing was stored", r->source,
		    units_size(r->bytes, b), units_count(r->files, "file", n),
		    units_count(r->entries, "entry", k));
		return;
	}
	if (!r->first)
		snprintf(reused, sizeof(reused), ", %d %% reused", reused_percent(r));
	words_amount(r->bytes, r->took_ns, a);
	units_size(r->stored, b);
	if (r->partial) {
		output_done("the time was up for %s: %s, %s new, kept on %s as partial", r->source,
		    a, b, r->tier);
		output_detail("fix", "`ffdr backup %s` goes on where this one stopped", r->source);
		return;
	}
	output_done("backed up %s to %s: %s, %s new%s%s%s", r->id, r->tier, a, b, reused,
	    r->note[0] ? ", " : "", r->note);
	if (r->changed + r->vanished + r->unreadable > 0)
		output_detail("checked", "%s changed while being read, %" PRIu64 " vanished, %" PRIu64
					 " could not be read", units_count(r->changed, "file", n),
		    r->vanished, r->unreadable);
}

static json_t *
backup_json(const struct backup_report *r)
{
	json_t *all = json_pack("{s:s, s:s?, s:s?, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
				"s:I, "
				"s:I, s:I, s:f}",
	    "source", r->source, "snapshot", r->id[0] ? r->id : NULL, "tier", r->tier, "partial",
	    r->partial, "read_all", r->compared, "entries", (json_int_t)r->entries, "files",
	    (json_int_t)r->files, "bytes", (json_int_t)r->bytes, "read", (json_int_t)r->read,
	    "fresh", (json_int_t)r->fresh, "new", (json_int_t)r->stored, "changed",
	    (json_int_t)r->changed, "vanished", (json_int_t)r->vanished, "unreadable",
	    (json_int_t)r->unreadable, "degraded", (json_int_t)r->degraded, "seconds",
	    (double)r->took_ns / 1e9);

	for (size_t i = 0; i < r->facts; i++) {
		const struct backup_fact *f = &r->fact[i];

		json_object_set_new(all, f->key, f->number ?
		    json_integer(strtoll(f->value, NULL, 10)) : json_string(f->value));
	}
	return all;
}

/* Exit code of one source; -1 with e. */
static int
backup_one(struct session *s, const struct backup_opts *o, const struct conf_source *source,
    json_t *list, struct err *e)
{
	const struct backup_options bo = {
		.source = source,
		.tier = o->tier,
		.job = o->job,
		.slot = o->slot,
		.read_all = o->read != NULL,
		.dry_run = o->dry_run,
		.allow_bad_pages = o->allow_bad_pages,
		.new_system = o->new_system,
	};
	struct backup_report report;
	int rc = backup_run(s, &bo, progress_start("backup"), &report, e);

	progress_end();
	if (rc == -1) {
		json_array_append_new(list, json_pack("{s:s, s:o}", "source", report.source,
		    "error", words_json_error(e)));
		return -1;
	}
	backup_text(&report);
	json_array_append_new(list, backup_json(&report));
	if (report.partial)
		return EXIT_PARTLY;
	return report.degraded > 0 ? EXIT_DEGRADED : EXIT_DONE;
}

/* All in turn. The exit code is that of the first failure, else the highest. */
static int
backup_each(struct session *s, const struct backup_opts *o, const struct conf_source **source,
    size_t count, struct err *e)
{
	json_t *list = json_array();
	int worst = EXIT_DONE, failed = 0;
	bool stopped = false;

	for (size_t i = 0; i < count && !stopped; i++) {
		int rc = backup_one(s, o, source[i], list, e);

		if (rc > worst)
			worst = rc;
		if (rc != -1)
			continue;
		stopped = e->kind == ERR_CANCELLED;
		if (failed == 0)
			failed = command_exit(e->kind);
		if (count > 1 && !output_is_json())
			output_error(e);
	}
	if (count == 1 && failed) {
		json_decref(list);
		return -1;
	}
	output_json(json_pack("{s:o}", "backups", list));
	return failed ? failed : worst;
}

static int
backup_command(const struct command_call *call, struct err *e)
{
	const struct backup_opts *o = call->options;
	const struct conf_source **source = NULL;
	struct session s = { 0 };
	size_t count = 0;
	int64_t slot;
	int rc = -1;

	if (o->read && strcmp(o->read, "all") != 0)
		return err_set(e, ERR_USAGE, "--read %s: expected all", o->read);
	if (o->slot && units_parse_time(o->slot, &slot, e) == -1)
		return err_in(e, "--slot");
	if (words_configured(call->conf, call->argc, call->argv, &source, &count, e) == -1)
		goto out;
	if (session_open(call->conf, o->dry_run ? SESSION_TIERS : SESSION_WRITE, &s, e) == -1)
		goto out;
	rc = backup_each(&s, o, source, count, e);
out:
	session_done(&s);
	free(source);
	return rc;
}

const struct command cmd_snapshot_backup = {
	.name = "backup",
	.operands = "SOURCE...",
	.summary = "make a snapshot of sources",
	.text = "Makes a snapshot of each source named, or of every configured one for `all`, on "
		"the "
		"first tier of the source that answers; `ffdr copy` brings it to the others. Only "
		"what changed since the newest snapshot there is stored, yet every snapshot is "
		"complete by itself. A snapshot exists when the summary line is printed, and "
		"before "
		"that not at all: an interrupted run leaves nothing to restore and nothing to "
		"repair.\n\n"
		"A file that changes while it is read is captured as it was met and named in a "
		"warning. One that cannot be read is listed without contents, and the exit code is "
		"3. Where files must belong together, use `before` and `after` of the source to "
		"freeze them or to make a file system snapshot.\n\n"
		"With compare = stat, files whose inode, size and times are those of the parent "
		"are "
		"not read; once a week, and with --read all, everything is.",
	.examples = "ffdr backup vol.uploads              # one source\n"
		    "ffdr backup all                      # every source of the configuration\n"
		    "ffdr backup --read all vol.uploads   # compare every byte\n"
		    "ffdr backup --dry-run vol.uploads    # how much would that be?",
	.options = backup_table,
	.options_size = sizeof(struct backup_opts),
	.min_operands = 1,
	.max_operands = -1,
	.conf = CONF_LOAD,
	.steps_back = true,
	.run = backup_command,
};

/* ---- restore ---- */

struct restore_opts {
	struct common_options common;
	const char *to, *tier, *at, *as_of, *action, *owner;
	struct opt_list path, tablespace;
	struct thawing_opts thaw;
	int64_t timeline;
	bool delta, dry_run, no_sync, from_another_host, before, standby, adopt;
};
static const struct opt restore_table[] = {
	{ "to", 0, OPT_STRING, offsetof(struct restore_opts, to), "DIR",
	    "the directory that becomes the root of the volume, or the data directory; empty or "
	    "not there yet" },
	{ "at", 0, OPT_STRING, offsetof(struct restore_opts, at), "TIME|LSN|xid:N|name:NAME|latest",
	    "of a volume, the newest snapshot until that TIME: '2026-11-20 15:00', UTC; of a "
	    "database, that moment or place in its log; a day means its end" },
	{ "before", 0, OPT_FLAG, offsetof(struct restore_opts, before), NULL,
	    "databases: stop in front of what --at names, not behind it" },
	{ "timeline", 0, OPT_NUMBER, offsetof(struct restore_opts, timeline), "N",
	    "databases: this timeline is the database; without it, the active one" },
	{ "tablespace", 0, OPT_LIST, offsetof(struct restore_opts, tablespace), "OID|NAME=DIR",
	    "databases: put this tablespace there; without it, where it was; may be given several "
	    "times" },
	{ "standby", 0, OPT_FLAG, offsetof(struct restore_opts, standby), NULL,
	    "databases: a standby that follows the archive for ever" },
	{ "adopt", 0, OPT_FLAG, offsetof(struct restore_opts, adopt), NULL,
	    "databases: this is the database from now on; what was active before cannot archive "
	    "any more" },
	{ "target-action", 0, OPT_STRING, offsetof(struct restore_opts, action),
	    "promote|pause|shutdown",
	    "databases: what the server does once it is there; promote without it" },
	{ "owner", 0, OPT_STRING, offsetof(struct restore_opts, owner), "USER",
	    "databases: whose the files become; without it, whose they were" },
	{ "path", 0, OPT_LIST, offsetof(struct restore_opts, path), "PATH",
	    "only this file or directory, named from the root of the volume; it keeps its place in "
	    "DIR; may be given several times" },
	{ "delta", 0, OPT_FLAG, offsetof(struct restore_opts, delta), NULL,
	    "write only what differs in DIR, and remove what the snapshot does not have" },
	{ "from-another-host", 0, OPT_FLAG, offsetof(struct restore_opts, from_another_host), NULL,
	    "with --delta: over what lives here, although the snapshot is of another host or "
	    "directory" },
	{ "tier", 0, OPT_STRING, offsetof(struct restore_opts, tier), "TIER",
	    "only what this tier has, and read from it first" },
	WORDS_AS_OF(restore_opts),
	{ "dry-run", 'n', OPT_FLAG, offsetof(struct restore_opts, dry_run), NULL,
	    "say what would be done; change nothing" },
	{ "no-sync", 0, OPT_FLAG, offsetof(struct restore_opts, no_sync), NULL,
	    "do not wait until everything is on disk" },
	THAWING_ROWS(restore_opts, thaw),
	{ 0 },
};

#define NAMES_SHOWN 20

static void
names_text(const char *label, const struct preview_names *n)
{
	for (size_t i = 0; i < n->count && i < NAMES_SHOWN; i++) {
		char *name = output_name(n->name[i], strlen(n->name[i]));

		output_detail(label, "%s", name);
		free(name);
	}
	if (n->count > NAMES_SHOWN)
		output_detail(label, "and %zu more; --json names all", n->count - NAMES_SHOWN);
}

static json_t *
names_json(const struct preview_names *n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n->count; i++)
		json_array_append_new(list, words_json(n->name[i], strlen(n->name[i])));
	return list;
}

/* What the kind of source has to say. */
static void
restore_lines(const struct restore_report *r)
{
	for (size_t i = 0; i < r->lines; i++)
		output_detail(r->line[i].label, "%s", r->line[i].text);
}

static void
restore_text(const struct restore_report *r, const struct restore_opts *o)
{
	char a[WORDS_AMOUNT], size[UNITS_TEXT], n[UNITS_TEXT], others[WORDS_OTHERS];

	words_others(r->fallbacks, others);
	if (!o->dry_run) {
		output_done("restored %s to %s from %s%s: %s, %s", r->id, r->to, r->tier, others,
		    units_count(r->files, "file", n),
		    words_amount_waited(r->bytes, r->took_ns, r->waited_ns, a));
		if (o->delta)
			output_detail("delta", "%s written, %s removed with all below",
			    units_size(r->written, size), units_count(r->removed, "name", n));
		if (r->lost > 0)
			output_detail("incomplete",
			    "%s %s bytes that no tier has a "
			    "good copy of: `ffdr list %s` and --at for an older snapshot",
			    units_count(r->lost, "file", n), r->lost == 1 ? "lacks" : "lack",
			    r->source);
		if (r->excluded > 0)
			output_detail("left", "%s that `exclude` keeps out of snapshots",
			    units_count(r->excluded, "name", n));
		restore_lines(r);
		return;
	}
	output_done("%s would give %s %s, %s; nothing was changed", r->id, r->to,
	    units_count(r->files, "file", n), units_size(r->bytes, size));
	restore_lines(r);
	if (!o->delta)
		return;
	output_detail("delta",
	    "right by size and time: %s; %s would be compared and "
	    "written, %" PRIu64 " removed with all below, and the mode, owner or "
	    "attributes of %zu set",
	    units_count(r->unchanged, "file", n), units_size(r->written, size), r->removed,
	    r->adjusts.count);
	names_text("remove", &r->removes);
	names_text("make", &r->makes);
	names_text("change", &r->changes);
	names_text("set", &r->adjusts);
}

static json_t *
restore_json(const struct restore_report *r, const struct restore_opts *o)
{
	json_t *all = json_pack("{s:s, s:s, s:s, s:o, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
				"s:I, s:I, s:f, s:f, s:o, s:o, s:o, s:o}",
	    "snapshot", r->id, "source", r->source, "tier", r->tier, "to",
	    words_json(r->to, strlen(r->to)), "dry_run", o->dry_run, "entries",
	    (json_int_t)r->entries, "files", (json_int_t)r->files, "bytes", (json_int_t)r->bytes,
	    "written", (json_int_t)r->written, "unchanged", (json_int_t)r->unchanged, "removed",
	    (json_int_t)r->removed, "excluded", (json_int_t)r->excluded, "missing",
	    (json_int_t)r->missing, "incomplete", (json_int_t)r->lost, "fallbacks",
	    (json_int_t)r->fallbacks, "seconds", (double)r->took_ns / 1e9, "waited",
	    (double)r->waited_ns / 1e9, "removes",
	    names_json(&r->removes), "makes", names_json(&r->makes), "changes",
	    names_json(&r->changes), "adjusts", names_json(&r->adjusts));

	for (size_t i = 0; i < r->facts; i++) {
		const struct restore_fact *f = &r->fact[i];

		json_object_set_new(all, f->key, f->number ?
		    json_integer(strtoll(f->value, NULL, 10)) : json_string(f->value));
	}
	return all;
}

static int
restore_with(struct session *s, const struct restore_options *ro, const struct restore_opts *o,
    struct err *e)
{
	struct restore_report report = { 0 };
	int rc = restore_run(s, ro, progress_start("restore"), &report, e);

	progress_end();
	if (rc == 0) {
		restore_text(&report, o);
		output_json(restore_json(&report, o));
		rc = report.lost > 0 ? EXIT_VERIFY :
		    output_warnings() > 0 ? EXIT_DEGRADED : EXIT_DONE;
	}
	restore_report_done(&report);
	return rc;
}

static int
restore_command(const struct command_call *call, struct err *e)
{
	const struct restore_opts *o = call->options;
	struct thaw_wish thaw;
	struct restore_options ro = {
		.thaw = &thaw,
		.what = call->argv[0],
		.tier = o->tier,
		.at = o->at,
		.to = o->to,
		.path = o->path.item,
		.paths = o->path.count,
		.delta = o->delta,
		.from_another_host = o->from_another_host,
		.dry_run = o->dry_run,
		.no_sync = o->no_sync,
		.timeline = (uint32_t)o->timeline,
		.before = o->before,
		.action = o->action,
		.tablespace = o->tablespace.item,
		.tablespaces = o->tablespace.count,
		.standby = o->standby,
		.adopt = o->adopt,
		.owner = o->owner,
	};
	const struct conf_source *all;
	struct session s = { 0 };
	int rc;

	if (thawing_wish(&o->thaw, &thaw, e) == -1)
		return -1;
	if (o->timeline < 0 || o->timeline > UINT32_MAX)
		return err_set(e, ERR_USAGE, "--timeline: expected the number of a timeline, from 1 on");
	if (!o->to || !*o->to) {
		err_set(e, ERR_USAGE, "restore needs --to DIR");
		return err_line(e, "fix",
		    "ffdr restore %s --to DIR: a directory that is empty or not "
		    "there yet",
		    call->argv[0]);
	}
	if (strcmp(call->argv[0], "all") == 0 &&
	    conf_find_source(call->conf, "all", &all, NULL) == -1) {
		err_set(e, ERR_USAGE, "restore takes one source or snapshot");
		return err_line(e, "fix",
		    "ffdr restore SOURCE --to DIR, each source with a directory "
		    "of its own");
	}
	if (o->as_of && (o->adopt || o->standby)) {
		err_set(e, ERR_USAGE, "--as-of shows the archive as it was, and %s goes on with it",
		    o->adopt ? "--adopt" : "--standby");
		return err_line(e, "fix", "first `ffdr copy --as-of TIME --to TIER`, then restore from "
		    "there");
	}
	/* A new epoch is signed. */
	if (words_open_past(call->conf, o->as_of, NULL,
		o->adopt && !o->dry_run ? SESSION_WRITE : SESSION_READ, &s, e) == -1)
		return -1;
	words_warn_away(&s);
	rc = restore_with(&s, &ro, o, e);
	session_done(&s);
	return rc;
}

const struct command cmd_snapshot_restore = {
	.name = "restore",
	.operands = "SOURCE|SNAPSHOT",
	.summary = "restore a snapshot into a directory, a database to any point",
	.text = "Makes DIR the root of the volume as it was: contents, holes, hard links, owners, "
		"modes, times, extended attributes, ACLs. Every object comes from the nearest tier "
		"that has it whole; a missing or damaged one is taken from the next.\n\n"
		"DIR must be empty or not there yet. With --delta it may be the directory that the "
		"source came from, or an earlier restore of it: then only what differs is written, "
		"and WHAT THE SNAPSHOT DOES NOT HAVE IS REMOVED: --delta --dry-run names it "
		"before. What is mounted below stays, and so does what `exclude` keeps out of "
		"snapshots and what could not be read when this one was made. A snapshot of "
		"another host "
		"or directory is refused there without --from-another-host: two hosts may use one "
		"name. "
		"An interrupted restore goes on with --delta, too.\n\n"
		"Where all that is needed lies in an archive (class of the tier: GLACIER, "
		"DEEP_ARCHIVE), it is ordered back first, and only that: with --path the packs of the "
		"list of files, then those of what was named. How much it is, how long it takes and "
		"about what it costs is told before, by --dry-run too. A terminal is asked, at each such "
		"sum; elsewhere it is refused (exit 5) without --yes-thaw. Then the restore waits, hours "
		"perhaps. The store keeps what is ordered: a restore that was ended is gone on with by "
		"the same command, which orders nothing twice; --no-wait ends with 75 as soon as all is "
		"ordered. What any tier has at hand, and whole, is never ordered; but with --tier "
		"the WAL of a database is read from that tier alone.\n\n"
		"DIR becomes the data directory of a database, which recovers by itself when its "
		"server is started: from the right base backup, "
		"with the WAL of the tiers that answer now, to --at or else to the newest there "
		"is, and then it is promoted. What cannot be reached "
		"is refused, with what is possible: no recovery ends early because WAL could not "
		"be had. Configuration that lay elsewhere is made "
		"to fit, and what was changed is told. "
		"Of several "
		"lines of timelines (a copy that was promoted goes on, too) the active one is "
		"taken, as the coordination place has it; others are named in a warning, and "
		"where it is not known which one is the database, --timeline says it. "
		"The copy does not archive and follows "
		"nobody, unless it is to be a standby (--standby) or the "
		"database itself from now on (--adopt). A snapshot in place of SOURCE means that "
		"base backup: alone its own end, with --at from "
		"there on.\n\n"
		"--at is a moment of what was backed up; --as-of is one of the place where the backups "
		"lie. After somebody deleted or overwrote objects of a bucket, --as-of with a time "
		"before that restores from what the bucket has kept of them.",
	.examples = "ffdr restore vol.uploads --to /srv/restore              # the newest\n"
		    "ffdr restore vol.uploads --at '2026-11-20 15:00' --to /srv/restore\n"
		    "ffdr restore vol.uploads --path photos/2026 --to /srv/restore\n"
		    "ffdr restore vol.uploads --to /srv/restore --yes-thaw --thaw bulk --no-wait\n"
		    "ffdr restore vol.uploads --to /srv/uploads --delta      # in place\n"
		    "ffdr restore pg.payments --to /srv/pg                   # to the newest there "
		    "is\n"
		    "ffdr restore pg.payments --at xid:4711 --before --to /srv/pg   # just before "
		    "that transaction\n"
		    "ffdr restore pg.payments --at '2026-11-21 11:03:11Z' --tablespace "
		    "fast=/ssd/pg --to /srv/pg\n"
		    "ffdr restore vol.uploads --as-of '2026-11-20 14:00' --to /srv/restore  # from what "
		    "a bucket had then",
	.options = restore_table,
	.options_size = sizeof(struct restore_opts),
	.min_operands = 1,
	.max_operands = 1,
	.conf = CONF_LOAD,
	.run = restore_command,
};
