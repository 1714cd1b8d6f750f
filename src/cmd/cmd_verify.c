/*
 * Is it sound? Damage is no error of the command but its answer: it is told as it is found, counted
 * at the end, and has an exit code of its own (4), so that a timer can tell it from everything
 * else.
 */
#include "cmd/cmd_verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/thawing.h"
#include "cmd/words.h"
#include "job/rehearse.h"
#include "job/verify.h"

#define UNREAD_TEXT 80
#define FROZEN "of them in an archive and not read"
#define NO_WAL "the WAL lies in an archive and was not read"

struct verify_opts {
	struct common_options common;
	const char *tier, *level, *as_of;
	int64_t limit_ms;
	struct thawing_opts thaw;
	bool repair, restore;
};
static const struct opt verify_table[] = {
	{ "level", 0, OPT_STRING, offsetof(struct verify_opts, level), "LEVEL",
	    "0 listed with its size, 1 every byte hashed, 2 opened and recomputed (default 2)" },
	{ "tier", 0, OPT_STRING, offsetof(struct verify_opts, tier), "TIER", "only this tier" },
	WORDS_AS_OF(verify_opts),
	{ "repair", 0, OPT_FLAG, offsetof(struct verify_opts, repair), NULL,
	    "fetch what is bad or missing from another tier" },
	{ "restore", 0, OPT_FLAG, offsetof(struct verify_opts, restore), NULL,
	    "restore into scratch, read it back and compare; the newest of each SOURCE" },
	{ "limit", 0, OPT_DURATION, offsetof(struct verify_opts, limit_ms), "TIME",
	    "begin no further snapshot after so long; the next run goes on with the least recently "
    "verified" },
	THAWING_ROWS(verify_opts, thaw),
	{ 0 },
};

static int
verify_level(const char *text, enum scrub_level *ret, struct err *e)
{
	*ret = SCRUB_OPENED;
	if (!text)
		return 0;
	if (text[0] < '0' || text[0] > '2' || text[1])
		return err_set(e, ERR_USAGE, "--level %s: expected 0, 1 or 2", text);
	*ret = (enum scrub_level)(text[0] - '0');
	return 0;
}

/* What --repair might mend; a finding with another way out says it. */
static size_t
mendable(const struct verify_report *r)
{
	size_t count = 0;

	for (size_t i = 0; i < r->count; i++)
		count += !r->finding[i].repaired &&
		    r->finding[i].repair.kind == ERR_NONE &&
		    !strstr(r->finding[i].why.text, "\n  fix ");
	return count;
}

/* Behind a count: of so many nothing was read. */
static const char *
unread(const char *before, size_t count, const char *after, char out[UNREAD_TEXT])
{
	out[0] = '\0';
	if (count > 0)
		snprintf(out, UNREAD_TEXT, ", %s%zu %s", before, count, after);
	return out;
}

static void
verify_text(const struct session *s, const struct verify_report *r, int64_t took_ns)
{
	char a[UNITS_TEXT], b[UNITS_TEXT], n[UNITS_TEXT], k[UNITS_TEXT], frozen[UNREAD_TEXT],
	     wal[UNREAD_TEXT];

	/* Each finding was told when it was made. */
	output_done("verified %s of snapshots, %zu of them sound%s: %s%s, %s read in %s",
	    units_count(r->snapshots, "copy", n), r->good, unread("of ", r->unread, NO_WAL, wal),
	    units_count(r->packs, "pack", k), unread("", r->frozen, FROZEN, frozen),
	    units_size(r->bytes, a), units_duration(took_ns / CLOCK_MS, b));
	if (r->left > 0)
		output_detail("left", "%s, for which there was no time",
		    units_count(r->left, "snapshot", n));
	if (r->pieces > 0 || r->holes > 0)
		output_detail("wal", "%s%s, %s, %zu left for want of time",
		    units_count(r->pieces, "piece", n), unread("", r->pieces_frozen, FROZEN, frozen),
		    units_count(r->holes, "hole", k), r->pieces_left);
	if (r->count > 0)
		output_detail("found", "%s bad or missing, %zu repaired",
		    units_count(r->count, "object", n), r->count - r->broken);
	if (r->aside > 0)
		output_detail("set aside",
		    "%s that no tier has a good copy of; `ffdr backup` "
		    "stores anew what the source still has",
		    units_count(r->aside, "pack", n));
	if (mendable(r) > 0 && s->tiers.count > 1)
		output_detail(
		    "fix", "`ffdr verify --repair` fetches what is bad from another tier");
}

static json_t *
verify_json(const struct verify_report *r, int64_t took_ns)
{
	json_t *findings = json_array();

	for (size_t i = 0; i < r->count; i++) {
		const struct verify_finding *f = &r->finding[i];

		json_array_append_new(findings,
		    json_pack("{s:s, s:s, s:s?, s:b, s:b, s:o, s:o}", "tier", f->tier, "object",
			f->object, "snapshot", f->snapshot[0] ? f->snapshot : NULL, "repaired",
			f->repaired, "aside", f->aside, "why", words_json_error(&f->why), "repair",
			words_json_error(&f->repair)));
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:f}",
	    "snapshots", (json_int_t)r->snapshots, "good", (json_int_t)r->good, "unread",
	    (json_int_t)r->unread, "left", (json_int_t)r->left, "packs", (json_int_t)r->packs,
	    "packs_frozen", (json_int_t)r->frozen,
	    "wal_pieces", (json_int_t)r->pieces, "wal_frozen", (json_int_t)r->pieces_frozen, "wal_left",
	    (json_int_t)r->pieces_left, "wal_holes", (json_int_t)r->holes, "bytes",
	    (json_int_t)r->bytes, "away", (json_int_t)r->away, "broken",
	    (json_int_t)r->broken, "findings", findings, "seconds",
	    (double)took_ns / 1e9);
}

static int
verify_with(struct session *s, const struct verify_options *vo, struct err *e)
{
	struct verify_report report = { 0 };
	int64_t begun = clock_boot_ns();
	int rc = verify_run(s, vo, progress_start("verify"), &report, e);

	progress_end();
	if (rc == 0) {
		verify_text(s, &report, clock_boot_ns() - begun);
		if (report.count > report.broken)
			output_warn("%zu object%s bad or missing and repaired: look at the disk "
				    "before you "
				    "trust it again",
			    report.count - report.broken,
			    report.count - report.broken == 1 ? " was" : "s were");
		output_json(verify_json(&report, clock_boot_ns() - begun));
		if (report.broken > 0)
			rc = EXIT_VERIFY;
		else
			rc = output_warnings() > 0 ? EXIT_DEGRADED : EXIT_DONE;
	}
	verify_report_done(&report);
	return rc;
}

/* The operands, snapshots and sources mixed as people like. */
static int
verify_named(struct session *s, const struct command_call *call, struct verify_options *vo,
    struct err *e)
{
	const char **snapshot = xcalloc((size_t)call->argc + 1, sizeof(*snapshot));
	char **source = xcalloc((size_t)call->argc + 1, sizeof(*source));
	struct words names = { 0 };
	int sources = 0, rc = -1;

	for (int i = 0; i < call->argc; i++) {
		if (words_is_snapshot(call->argv[i]))
			snapshot[vo->snapshots++] = call->argv[i];
		else
			source[sources++] = call->argv[i];
	}
	if (words_sources(s, sources, source, &names, e) == 0) {
		vo->snapshot = snapshot;
		vo->source = names.item;
		vo->sources = names.count;
		rc = verify_with(s, vo, e);
	}
	words_done(&names);
	free(source);
	free(snapshot);
	return rc;
}

/* ---- by restoring ---- */

static json_t *
rehearse_json(const struct restore_report *r, const struct err *e)
{
	json_t *one = json_pack("{s:s?, s:s?, s:I, s:I, s:I, s:f, s:o}", "snapshot",
	    r->id[0] ? r->id : NULL, "tier", r->tier, "files", (json_int_t)r->files, "bytes",
	    (json_int_t)r->bytes, "fallbacks", (json_int_t)r->fallbacks, "seconds",
	    (double)r->took_ns / 1e9, "why", words_json_error(e));

	for (size_t i = 0; i < r->facts; i++) {
		const struct restore_fact *f = &r->fact[i];

		json_object_set_new(one, f->key,
		    f->number ? json_integer(strtoll(f->value, NULL, 10)) : json_string(f->value));
	}
	return one;
}

/* Exit code of one; a failure is told and the others get their turn. */
static int
rehearse_one(struct session *s, const struct rehearse_options *ro, json_t *list, bool *stopped)
{
	struct restore_report made = { 0 };
	struct err e = { 0 };
	char size[UNITS_TEXT], took[UNITS_TEXT], files[UNITS_TEXT], others[WORDS_OTHERS];
	int rc = rehearse_run(s, ro, progress_start("verify"), &made, &e);

	progress_end();
	words_others(made.fallbacks, others);
	json_array_append_new(list, rehearse_json(&made, &e));
	if (rc == 0 && made.database.major != 0)
		output_done("restored %s from %s%s and recovered: PostgreSQL %u, %s, in %s; "
			    "removed again",
		    made.id, made.tier, others, made.database.major, units_size(made.bytes, size),
		    units_duration(made.took_ns / CLOCK_MS, took));
	else if (rc == 0)
		output_done("restored %s from %s%s and compared: %s, %s, in %s; removed again", made.id,
		    made.tier, others, units_count(made.files, "file", files), units_size(made.bytes, size),
		    units_duration(made.took_ns / CLOCK_MS, took));
	else if (!output_is_json())
		output_error(&e);
	for (size_t i = 0; i < made.lines && rc == 0; i++)
		output_detail(made.line[i].label, "%s", made.line[i].text);
	*stopped = e.kind == ERR_CANCELLED;
	restore_report_done(&made);
	return rc == 0 ? EXIT_DONE : command_exit(e.kind);
}

static int
rehearse_all(struct session *s, const struct command_call *call, struct err *e)
{
	const struct verify_opts *o = call->options;
	struct thaw_wish thaw;
	struct rehearse_options ro = { .tier = o->tier, .thaw = &thaw };
	bool all = call->argc == 0 || (call->argc == 1 && strcmp(call->argv[0], "all") == 0);
	size_t count = all ? s->conf->sources : (size_t)call->argc;
	json_t *list = json_array();
	bool stopped = false;
	int worst = EXIT_DONE;

	if (thawing_wish(&o->thaw, &thaw, e) == -1) {
		json_decref(list);
		return -1;
	}
	if (o->level || o->repair || o->limit_ms != 0) {
		json_decref(list);
		return err_set(e, ERR_USAGE, "--restore has no --level, --repair or --limit");
	}
	for (size_t i = 0; i < count && !stopped; i++) {
		int code;

		ro.what = all ? s->conf->source[i].name : call->argv[i];
		code = rehearse_one(s, &ro, list, &stopped);
		worst = code > worst ? code : worst;
	}
	output_json(json_pack("{s:o}", "restores", list));
	return worst == EXIT_DONE && output_warnings() > 0 ? EXIT_DEGRADED : worst;
}

/* One that was emptied or overwritten is closed to all others; what is to be told of it is told here. */
static int
verify_tier(struct session *s, const char *name, struct tier **ret, struct err *e)
{
	struct tier *t = tier_find(&s->tiers, name);

	if (!t || !verify_ruined(s, t))
		return session_tier(s, name, ret, e);
	*ret = t;
	return 0;
}

static int
verify_command(const struct command_call *call, struct err *e)
{
	const struct verify_opts *o = call->options;
	struct verify_options vo = { .limit_ms = o->limit_ms, .repair = o->repair };
	struct session s = { 0 };
	int rc = -1;

	if (verify_level(o->level, &vo.level, e) == -1)
		return -1;
	if (o->as_of && o->repair) {
		err_set(e, ERR_USAGE, "--as-of shows what was there, and --repair changes what is there");
		return err_line(e, "fix", "`ffdr copy --as-of TIME --to TIER` brings back what was there");
	}
	if (!o->restore && (o->thaw.yes || o->thaw.no_wait || o->thaw.speed || o->thaw.keep_ms != 0))
		return err_set(e, ERR_USAGE, "--yes-thaw, --thaw, --thaw-keep and --no-wait go with "
		    "--restore");
	if (words_open_past(call->conf, o->as_of, NULL, o->repair ? SESSION_WRITE : SESSION_READ, &s,
		e) == -1)
		return -1;
	words_warn_state(&s);
	if (o->restore)
		rc = rehearse_all(&s, call, e);
	else if (!o->tier || verify_tier(&s, o->tier, &vo.tier, e) == 0)
		rc = verify_named(&s, call, &vo, e);
	session_done(&s);
	return rc;
}

const struct command cmd_verify_verify = {
	.name = "verify",
	.operands = "[SNAPSHOT|SOURCE...]",
	.summary = "prove what the tiers hold, and mend it",
	.text = "Looks at every object that the snapshots need, on every tier that answers, the "
		"least "
		"recently verified first. Level 0 compares the listing with the manifests, level 1 "
		"hashes every byte, level 2 also opens every frame, decompresses it and recomputes "
		"the id of every grain.\n\n"
		"Of a database the WAL is proved as well: what each base backup needs, and on tiers that "
		"receive WAL all from the oldest base backup on. Holes are named; with --limit the pieces "
		"get their turn over several runs, but for what a base backup itself needs: that is read "
		"with it. Where some of that is damaged or missing, the base backup is as bad as if one of "
		"its packs were.\n\n"
		"At every level each tier is also proved as if it were the only one left: its own "
		"copies "
		"of the repository object and of every key object must be there and sound, and the "
		"kek "
		"must open every key epoch from there alone. And what this host knows as the "
		"newest "
		"snapshot of a source on a tier must still be there: when it is not, it was "
		"deleted, or "
		"the tier was set back, which no signature can show. A tier that answers and on which "
		"nothing says any more that it is ours is bad as a whole; one that does not answer is "
		"away, which is a warning.\n\n"
		"What lies in an archive is not ordered back for that: its size and, where the store "
		"tells it, the hash that it took it with are compared, and the record says level 1, or "
		"0. The name of WAL is no hash, so there is nothing to compare: a base backup whose own "
		"WAL lies there is recorded at level 0 and not counted as sound, whatever else of it was "
		"read. --restore does order it, as restore does.\n\n"
		"Under --limit the snapshot in hand is finished, and one always is: how long that "
		"takes is "
		"up to its size.\n\n"
		"It only reports, with exit code 4 when something is not what it must be. With "
		"--repair a bad or missing object is fetched from another tier, checked, and put "
		"in "
		"its place, and the exit code is 3; the bad one is set aside below bad/ of its "
		"tier. So is a bad pack that no tier that answers "
		"has a good copy of: the next backup then stores what the source still has of "
		"it. Where a tier fell silent while it was asked for it, the bad one stays for the next "
		"run.\n\n"
		"--restore goes further: it restores each snapshot, or the newest of each source, "
		"into the directory `scratch`, reads every file back and compares it, and removes "
		"it "
		"again. That needs the room for it, and the rights of a restore. A database is "
		"started there, by the user `run-as`, with no way to "
		"the outside: it must recover to the end of its log, its indexes (pg_amcheck), "
		"every page checksum and the "
		"assertion `check-sql` must hold; how long each took is kept as evidence. What this host "
		"lacks for it (a key that `run-as` may not read, room, memory, WAL that does not come) is "
		"told with another exit code than 4, and nothing is recorded of the backup.\n\n"
		"With --as-of it proves what a bucket has kept of an earlier time, and notes nothing.",
	.examples = "ffdr verify                                # everything, everywhere\n"
		    "ffdr verify vol.uploads --tier dr          # one source on one tier\n"
		    "ffdr verify --level 0                      # quick: is everything there?\n"
		    "ffdr verify --limit 1h                     # some of it, tomorrow the next\n"
		    "ffdr verify --repair                       # mend what is bad\n"
		    "ffdr verify --restore vol.uploads          # restored for practice, compared",
	.options = verify_table,
	.options_size = sizeof(struct verify_opts),
	.max_operands = -1,
	.conf = CONF_LOAD,
	.steps_back = true,
	.run = verify_command,
};
