/*
 * Are we safe? One line a source and tier, what was promised beside what is. What needs attention
 * stands in words above the table, because who looks at it in a hurry reads from the top; a program
 * has the same words and all numbers in JSON.
 */
#include "cmd/cmd_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/words.h"
#include "job/status.h"

#define CELL (2 * UNITS_TEXT)

static const char *
verdict_word(enum status_verdict v, bool time)
{
	static const char *const word[] = {
		[STATUS_KEPT] = "kept", [STATUS_UNKNOWN] = "unknown",
	};

	return v == STATUS_MISSED ? (time ? "exceeded" : "late") : word[v];
}

/* ---- text ---- */

/* "24h late"; "-" where nothing is promised. */
static void
promise_text(enum status_verdict v, int64_t ms, bool time, char out[CELL])
{
	char promised[UNITS_TEXT];

	if (v == STATUS_NONE)
		snprintf(out, CELL, "-");
	else
		snprintf(out, CELL, "%s %s", units_duration_key(ms, promised), verdict_word(v, time));
}

static void
loss_text(const struct status_line *l, char out[CELL])
{
	char text[UNITS_TEXT];

	snprintf(out, CELL, "%s", !l->is.known ? "unknown" : l->is.ns == 0 ? "nothing" :
	    units_duration(l->is.ns / CLOCK_MS, text));
}

/* As it was measured, or "about" what it would be by that rate now. */
static void
restore_text(const struct status_line *l, char out[CELL])
{
	const int64_t took = l->pace.restore_ms + l->pace.recovery_ms;
	char text[UNITS_TEXT];

	if (l->predicted_ms < 0)
		snprintf(out, CELL, "unknown");
	else
		snprintf(out, CELL, "%s%s", l->predicted_ms > took ? "about " : "",
		    units_duration(l->predicted_ms, text));
}

/* Times of snapshots and records are whole seconds. */
static const char *
age_text(int64_t then, int64_t now, char out[UNITS_TEXT])
{
	if (now - then < CLOCK_S) {
		snprintf(out, UNITS_TEXT, "now");
		return out;
	}
	return units_duration((now - then) / CLOCK_S * (CLOCK_S / CLOCK_MS), out);
}

static void
verified_text(const struct status_line *l, int64_t now, char out[CELL])
{
	const struct proved *p = &l->proved;
	char text[UNITS_TEXT];

	if (p->broken >= 0)
		snprintf(out, CELL, "BROKEN");
	else if (!l->proved_known)
		snprintf(out, CELL, "unknown");
	else if (p->last_ns == 0)
		snprintf(out, CELL, "never");
	else
		snprintf(out, CELL, "level %d, %s%s", p->last_level, age_text(p->last_ns, now, text),
		    now - p->last_ns < CLOCK_S ? "" : " ago");
}

static void
line_text(struct output_table *t, const struct status_line *l, bool first)
{
	char newest[CELL] = "none", loss[CELL], behind[CELL] = "-", rpo[CELL], restore[CELL], rto[CELL],
	     owed[24] = "unknown", verified[CELL], text[UNITS_TEXT];
	const int64_t now = clock_real_ns();

	if (!l->newest_known)
		snprintf(newest, sizeof(newest), "unknown");
	else if (l->newest[0])
		snprintf(newest, sizeof(newest), "%s", age_text(l->begun_ns, now, text));
	loss_text(l, loss);
	if (!first)
		snprintf(behind, sizeof(behind), "%s", !l->behind_known ? "unknown" :
		    l->behind_ns == 0 ? "-" : units_duration(l->behind_ns / CLOCK_MS, text));
	promise_text(l->rpo, l->rpo_ns / CLOCK_MS, false, rpo);
	restore_text(l, restore);
	promise_text(l->rto, l->rto_ms, true, rto);
	if (l->owed >= 0)
		snprintf(owed, sizeof(owed), "%d", l->owed);
	verified_text(l, now, verified);
	output_table_row(t, (const char *const[]){ l->source, l->tier, newest, loss, behind, rpo,
	    restore, rto, owed, verified });
}

static void
status_text(const struct status *s)
{
	static const char *const header[] = { "SOURCE", "TIER", ">NEWEST", ">LOSES", ">BEHIND", "RPO",
		">RESTORE", "RTO", ">OWED", "VERIFIED" };
	struct output_table *t = output_table_new(header, ARRAY_LEN(header));
	char sources[UNITS_TEXT], tiers[UNITS_TEXT];

	units_count(s->sources, "source", sources);
	units_count(s->tiers, "tier", tiers);
	output_done("%s on %s: %s", sources, tiers,
	    s->alarms.count > 0 ? "needs attention" : "what is promised is kept");
	for (size_t i = 0; i < s->alarms.count; i++)
		output_detail("attention", "%s", s->alarms.text[i]);
	for (size_t i = 0; i < s->count; i++)
		line_text(t, &s->line[i],
		    i == 0 || strcmp(s->line[i].source, s->line[i - 1].source) != 0);
	output_table_print(t);
}

/* ---- JSON ---- */

static json_t *
seconds(bool known, int64_t ns)
{
	return known ? json_real((double)ns / (double)CLOCK_S) : json_null();
}

static json_t *
word(enum status_verdict v, bool time)
{
	return v == STATUS_NONE ? json_null() : json_string(verdict_word(v, time));
}

static json_t *
text_or_null(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

static json_t *
line_json(const struct status_line *l)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:s, s:o, s:o}", "source", l->source, "tier",
	    l->tier, "site", l->site, "answers", l->answers, "by", l->wal ? "wal" : "snapshot",
	    "loss_seconds", seconds(l->is.known, l->is.ns), "why", words_json_error(&l->why));

	json_object_set_new(o, "loss_bytes",
	    l->is.bytes_known ? json_integer((json_int_t)l->is.bytes) : json_null());
	json_object_set_new(o, "behind_seconds", seconds(l->behind_known, l->behind_ns));
	json_object_set_new(o, "rpo_seconds", seconds(l->rpo_ns > 0, l->rpo_ns));
	json_object_set_new(o, "rpo", word(l->rpo, false));
	json_object_set_new(o, "newest_known", json_boolean(l->newest_known));
	json_object_set_new(o, "newest", text_or_null(l->newest));
	json_object_set_new(o, "newest_begun", words_json_time(l->begun_ns));
	json_object_set_new(o, "newest_bytes",
	    l->newest[0] ? json_integer((json_int_t)l->bytes) : json_null());
	json_object_set_new(o, "owed", l->owed >= 0 ? json_integer(l->owed) : json_null());
	json_object_set_new(o, "owed_seconds", seconds(l->owed > 0, l->owed_ns));
	json_object_set_new(o, "measured", text_or_null(l->pace.id));
	json_object_set_new(o, "measured_time", words_json_time(l->pace.time_ns));
	json_object_set_new(o, "measured_seconds", seconds(l->pace.known,
	    (l->pace.restore_ms + l->pace.recovery_ms) * CLOCK_MS));
	json_object_set_new(o, "measured_bytes",
	    l->pace.known ? json_integer((json_int_t)l->pace.bytes) : json_null());
	json_object_set_new(o, "restore_seconds",
	    seconds(l->predicted_ms >= 0, l->predicted_ms * CLOCK_MS));
	json_object_set_new(o, "rto_seconds", seconds(l->rto_ms > 0, l->rto_ms * CLOCK_MS));
	json_object_set_new(o, "rto", word(l->rto, true));
	json_object_set_new(o, "verified_known", json_boolean(l->proved_known));
	json_object_set_new(o, "verified", words_json_time(l->proved.last_ns));
	json_object_set_new(o, "verified_level",
	    l->proved.last_ns ? json_integer(l->proved.last_level) : json_null());
	json_object_set_new(o, "broken",
	    words_json_time(l->proved.broken >= 0 ? l->proved.broken_ns : 0));
	return o;
}

static json_t *
status_json(const struct status *s)
{
	json_t *attention = json_array(), *lines = json_array(), *tiers = json_array();

	for (size_t i = 0; i < s->alarms.count; i++)
		json_array_append_new(attention, output_string(s->alarms.text[i]));
	for (size_t i = 0; i < s->count; i++)
		json_array_append_new(lines, line_json(&s->line[i]));
	for (size_t i = 0; i < s->tiers; i++) {
		const struct status_tier *t = &s->tier[i];

		json_array_append_new(tiers, json_pack("{s:s, s:s, s:b, s:o, s:o}", "tier", t->tier,
		    "site", t->site, "answers", t->answers, "why",
		    words_json_error(&t->why), "owed_wal",
		    t->owed_wal >= 0 ? json_integer(t->owed_wal) : json_null()));
	}
	return json_pack("{s:o, s:o, s:o}", "attention", attention, "tiers", tiers, "lines", lines);
}

/* ---- the verb ---- */

static int
status_command(const struct command_call *call, struct err *e)
{
	const struct conf_source **source = NULL;
	struct status status = { 0 };
	struct session s = { 0 };
	size_t n = 0;
	int rc = -1;

	if (call->argc > 0 && words_configured(call->conf, call->argc, call->argv, &source, &n, e) == -1)
		goto out;
	if (words_open(call->conf, &s, e) == -1)
		goto out;
	rc = status_load(&s, source, n, progress_start("status"), &status, e);
	progress_end();
	if (rc == 0) {
		status_text(&status);
		output_json(status_json(&status));
		rc = status.alarms.count > 0 ? EXIT_DEGRADED : EXIT_DONE;
	}
out:
	status_done(&status);
	session_done(&s);
	free(source);
	return rc;
}

const struct command cmd_status_status = {
	.name = "status",
	.operands = "[SOURCE...]",
	.summary = "are we safe: the tiers against their rpo and rto",
	.text = "For each source and each of its tiers: the age of the newest complete snapshot there; "
		"what would be lost at most if only that tier were left, as `ffdr exposure` tells it; how "
		"much older that is than what the first tier has; whether the `rpo` of the tier is kept; "
		"how long a restore from there takes and whether its `rto` is kept; how many snapshots "
		"the tier lacks that `ffdr copy` would bring; when something of it was last verified.\n\n"
		"How long a restore takes is known from the last `ffdr verify --restore` of that source "
		"from that tier, and said as \"about\" where the newest snapshot is larger by now. What "
		"was never measured is unknown, which needs no attention; nor is the rate of a restore of "
		"less than 256 MB believed for one that is more than twice as large.\n\n"
		"An interval that is just as long as the rpo is late for as long as one backup and copy "
		"take. The first thing that stands in the way of WAL is told, too; `ffdr wal status` tells "
		"all.\n\n"
		"Ends with 3 when something needs attention, and says what: a tier that does not answer, "
		"or refuses to tell what it has (that is `unknown` then, never `none`), an rpo that is not "
		"kept or of which that is not known, an rto that is exceeded, snapshots that a tier has "
		"lacked for a day and its rpo, a newest snapshot that was found bad.",
	.examples = "ffdr status\n"
		    "ffdr status pg.payments\n"
		    "ffdr status --json          # for a program",
	.max_operands = -1,
	.conf = CONF_LOAD,
	.run = status_command,
};
