/*
 * How the WAL is, and what would be lost. Both are asked when something is wrong, so what cannot be
 * learned is a word on the screen
 * ("unknown", with the reason) and never a reason to say nothing.
 */
#include "cmd/cmd_wal_tell.h"

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
#include "job/exposure.h"
#include "job/wal/wal_forget.h"
#include "job/wal/wal_status.h"

#define UNKNOWN "unknown"
#define TIME_TEXT (4 * UNITS_TEXT)

static json_t *
lsn_json(uint64_t lsn)
{
	char text[LSN_TEXT];

	return lsn ? json_string(lsn_text(lsn, text)) : json_null();
}

static const char *
lsn_or_dash(uint64_t lsn, char out[LSN_TEXT])
{
	return lsn ? lsn_text(lsn, out) : "-";
}

/* Beyond a fork nothing of what the tier has is the server's. */
static uint64_t
behind(const struct wal_look *l, const struct wal_look_tier *t)
{
	const uint64_t common = wal_look_common(l, t), have = t->frontier < common ? t->frontier : common;

	return l->server.flush > have ? l->server.flush - have : 0;
}

/* What was heard of the server last; NULL: nothing. Without beats the newest that is whole there. */
static const struct wal_sample *
heard(const struct wal_look_tier *t)
{
	if (t->beaten)
		return &t->beat.sample;
	return t->sampled && !wal_beat_kept(t->tier) ? &t->durable : NULL;
}

/* ---- wal status: text ---- */

static void
status_tiers(const struct wal_status *s)
{
	static const char *const header[] = {
		"TIER",	  "TIMELINE",	   "FRONTIER", ">BEHIND", "RESTORABLE FROM",
		">HOLES", "NEWEST SAMPLE", ">OWED"
	};
	const struct wal_look_server *server = &s->look.server;
	struct output_table *t = output_table_new(header, ARRAY_LEN(header));

	for (size_t i = 0; i < s->look.tiers; i++) {
		const struct wal_look_tier *at = &s->look.tier[i];
		const bool known = at->why.kind == ERR_NONE;
		char tli[16], lsn[LSN_TEXT], from[LSN_TEXT], late[UNITS_TEXT], holes[24],
		    when[UNITS_TEXT], owed[16];

		snprintf(tli, sizeof(tli), "%" PRIu32, at->tli);
		snprintf(holes, sizeof(holes), "%zu", s->tier[i].holes.count);
		snprintf(owed, sizeof(owed), "%d", s->tier[i].owed);
		units_size(behind(&s->look, at), late);
		output_table_row(t, (const char *const[]){
					at->tier->name, known ? tli : UNKNOWN,
					known ? lsn_or_dash(at->frontier, lsn) : UNKNOWN,
					known && server->reached && at->frontier ? late : UNKNOWN,
					!known	    ? UNKNOWN
					: at->based ? lsn_text(at->oldest.facts.stop, from)
						    : "-",
					known ? holes : UNKNOWN,
					!known ? UNKNOWN
					: heard(at) ? units_time(heard(at)->time_ns, when)
						    : "-",
					s->tier[i].owed >= 0 ? owed : UNKNOWN });
	}
	output_table_print(t);
}

static void
status_slots(const struct wal_status *s)
{
	static const char *const header[] = { "SLOT", "OF", "STATE", "WAL", ">KEEPS", ">SAFE FOR" };
	struct output_table *t;

	if (s->slots_why.kind != ERR_NONE)
		return;
	t = output_table_new(header, ARRAY_LEN(header));
	for (size_t i = 0; i < s->slots; i++) {
		const struct wal_status_slot *slot = &s->slot[i];
		const bool there = slot->there;
		char keeps[UNITS_TEXT], safe[UNITS_TEXT];

		units_size(slot->slot.behind, keeps);
		units_size(slot->slot.safe_bytes > 0 ? (uint64_t)slot->slot.safe_bytes : 0, safe);
		output_table_row(
		    t, (const char *const[]){ slot->name, wal_status_role_word(slot->role),
					      !there		  ? "missing"
					      : slot->slot.active ? "active"
								  : "idle",
					      there ? pg_slot_wal_word(slot->slot.wal) : "-",
					      there ? keeps : "-",
					      there && slot->slot.limited ? safe : "-" });
	}
	output_table_print(t);
}

static void
status_text(const struct wal_status *s)
{
	const struct wal_look *l = &s->look;
	char lsn[LSN_TEXT], size[UNITS_TEXT], most[UNITS_TEXT];

	output_done("WAL of %s: %s", l->w.source->name,
		    s->alarms.count == 0 ? "all is well" : "needs attention");
	if (l->placed)
		output_detail("kept as", "system %" PRIu64 ", epoch %" PRIu32, l->place.sysid,
			      l->place.epoch);
	if (l->server.reached)
		output_detail("server", "%s, timeline %" PRIu32 ", flushed up to %s",
			      l->server.standby ? "a standby" : "primary", l->server.tli,
			      lsn_text(l->server.flush, lsn));
	else
		output_detail("server", UNKNOWN);
	if (s->streams)
		output_detail("shipped by", "%s",
			      s->leased == 1   ? s->lease.host
			      : s->leased == 0 ? "nobody"
					       : UNKNOWN);
	output_detail("spool here", "%s of %s%s%s", units_size(s->spooled, size),
		      units_size(s->backlog, most), s->spool_end ? ", up to " : "",
		      s->spool_end ? lsn_text(s->spool_end, lsn) : "");
	for (size_t i = 0; i < s->alarms.count; i++)
		output_detail("attention", "%s", s->alarms.text[i]);
	status_tiers(s);
	status_slots(s);
}

/* ---- wal status: JSON ---- */

static json_t *
ranges_json(const struct lsn_set *set)
{
	json_t *list = json_array();

	for (size_t i = 0; i < set->count; i++)
		json_array_append_new(list,
				      json_pack("{s:o, s:o}", "from", lsn_json(set->range[i].from),
						"to", lsn_json(set->range[i].to)));
	return list;
}

static json_t *
sample_json(const struct wal_look_tier *t)
{
	const struct wal_sample *b = heard(t);

	if (!b)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o}", "time", words_json_time(b->time_ns), "lsn",
			 lsn_json(b->flush_lsn), "last_commit", words_json_time(b->last_commit_ns),
			 "commits",
			 b->commits ? json_integer((json_int_t)b->commits) : json_null());
}

static json_t *
tiers_json(const struct wal_status *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->look.tiers; i++) {
		const struct wal_look_tier *t = &s->look.tier[i];
		const bool known = t->why.kind == ERR_NONE;

		json_array_append_new(
		    list,
		    json_pack(
			"{s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "tier",
			t->tier->name, "off_host", t->off_host, "known", known, "why",
			words_json_error(&t->why), "timeline",
			known && t->tli ? json_integer(t->tli) : json_null(), "frontier",
			lsn_json(t->frontier), "behind",
			known && s->look.server.reached && t->frontier
			    ? json_integer((json_int_t)behind(&s->look, t))
			    : json_null(),
			"ranges", ranges_json(&t->have), "holes", ranges_json(&s->tier[i].holes),
			"restorable_from", lsn_json(t->based ? t->oldest.facts.stop : 0),
			"restorable_to", lsn_json(t->reach), "sample", sample_json(t), "owed",
			s->tier[i].owed >= 0 ? json_integer(s->tier[i].owed) : json_null()));
	}
	return list;
}

static json_t *
slots_json(const struct wal_status *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->slots; i++) {
		const struct wal_status_slot *slot = &s->slot[i];

		json_array_append_new(
		    list,
		    json_pack("{s:s, s:s, s:b, s:b, s:s, s:o, s:I, s:o}", "slot", slot->name, "of",
			      wal_status_role_word(slot->role), "there", slot->there, "active",
			      slot->slot.active, "wal_status", pg_slot_wal_word(slot->slot.wal),
			      "restart_lsn", lsn_json(slot->slot.restart_lsn), "behind",
			      (json_int_t)slot->slot.behind, "safe_bytes",
			      slot->slot.limited ? json_integer((json_int_t)slot->slot.safe_bytes)
						 : json_null()));
	}
	return list;
}

static json_t *
gaps_json(const struct wal_status *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->gaps; i++) {
		const struct wal_gap *g = &s->gap[i].gap;

		json_array_append_new(list,
				      json_pack("{s:i, s:o, s:o, s:s, s:o, s:b}", "timeline",
						(int)g->tli, "from", lsn_json(g->from), "to",
						g->to == UINT64_MAX ? json_null() : lsn_json(g->to),
						"why", g->why, "time", words_json_time(g->time_ns),
						"open", s->gap[i].open));
	}
	return list;
}

static json_t *
status_json(const struct wal_status *s)
{
	const struct wal_look *l = &s->look;
	json_t *attention = json_array(), *server, *system = NULL;

	for (size_t i = 0; i < s->alarms.count; i++)
		json_array_append_new(attention, words_json(s->alarms.text[i], strlen(s->alarms.text[i])));
	server =
	    json_pack("{s:b, s:o, s:o, s:o, s:o}", "reached", l->server.reached, "why",
		      words_json_error(&l->server.why), "flushed", lsn_json(l->server.flush),
		      "timeline", l->server.reached ? json_integer(l->server.tli) : json_null(),
		      "standby", l->server.reached ? json_boolean(l->server.standby) : json_null());
	if (l->placed)
		/* More than a number of JSON holds in many readers. */
		system = json_sprintf("%" PRIu64, l->place.sysid);
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "source",
			 l->w.source->name, "system", system ? system : json_null(), "epoch",
			 l->placed ? json_integer(l->place.epoch) : json_null(), "server", server,
			 "shipped_by", s->leased == 1 ? json_string(s->lease.host) : json_null(),
			 "tiers", tiers_json(s), "slots",
			 s->slots_why.kind == ERR_NONE ? slots_json(s) : json_null(), "gaps",
			 s->gaps_why.kind == ERR_NONE ? gaps_json(s) : json_null(), "spool",
			 json_pack("{s:I, s:I, s:o}", "bytes", (json_int_t)s->spooled, "limit",
				   (json_int_t)s->backlog, "end", lsn_json(s->spool_end)),
			 "attention", attention);
}

/* ---- wal status: the command ---- */

/* The one that was named, or every PostgreSQL server there is. */
static bool
wanted(const struct conf_source *source, const struct conf_source *named)
{
	return source->kind == CONF_KIND_POSTGRES && (!named || source == named);
}

static int
status_command(const struct command_call *call, struct err *e)
{
	const struct conf_source *named = NULL;
	const struct watch *w = progress_start("wal status");
	struct session s = { 0 };
	json_t *list = json_array();
	size_t alarms = 0, told = 0;
	int rc = 0;

	if ((call->argc > 0 && wal_source_find(call->conf, call->argv[0], 0, &named, e) == -1) ||
	    words_open(call->conf, &s, e) == -1)
		rc = -1;
	for (size_t i = 0; rc == 0 && i < call->conf->sources; i++) {
		struct wal_status status;

		if (!wanted(&call->conf->source[i], named))
			continue;
		told++;
		rc = wal_status_load(&s, &call->conf->source[i], w, &status, e);
		if (rc == 0) {
			status_text(&status);
			json_array_append_new(list, status_json(&status));
			alarms += status.alarms.count;
		}
		wal_status_done(&status);
	}
	progress_end();
	if (rc == 0 && told == 0)
		rc =
		    err_set(e, ERR_USAGE, "no PostgreSQL server is configured, so there is no WAL");
	if (rc == 0)
		output_json(json_pack("{s:O}", "sources", list));
	json_decref(list);
	session_done(&s);
	return rc == -1 ? -1 : alarms > 0 ? EXIT_DEGRADED : EXIT_DONE;
}

const struct command cmd_wal_tell_status = {
	.name = "wal status",
	.operands = "[SOURCE]",
	.summary = "how far the WAL has got, and what stands in its way",
	.text =
	    "For each tier that receives the WAL of a server: up to where it has it, how far that "
	    "is behind the server, from where on it can "
	    "restore, holes on the way, when the server was last heard of, and what is still owed "
	    "to it. Then the replication slots on the "
	    "server: the one of this host, ffdr_hold, which keeps what no tier off this host has "
	    "yet, and those of other hosts. One of a "
	    "host that does not receive any more keeps WAL on the server until its disk is full: "
	    "`ffdr wal forget` drops it.\n\n"
	    "What does not answer is shown as unknown. Ends with 3 when something needs attention, "
	    "and says what.",
	.examples = "ffdr wal status\n"
		    "ffdr wal status payments --json",
	.max_operands = 1,
	.conf = CONF_LOAD,
	.run = status_command,
};

/* ---- wal forget ---- */

struct forget_opts {
	struct common_options common;
	bool dry_run;
};
static const struct opt forget_table[] = {
	{ "dry-run", 'n', OPT_FLAG, offsetof(struct forget_opts, dry_run), NULL,
	  "say what would be dropped; drop nothing" },
	{ 0 },
};

static int
forget_command(const struct command_call *call, struct err *e)
{
	const struct forget_opts *o = call->options;
	const char *host = call->argv[0];
	const struct conf_source *source;
	struct wal_forget_report report;
	struct session s = { 0 };
	char size[UNITS_TEXT];
	int rc;

	if (wal_source_find(call->conf, call->argv[1], 0, &source, e) == -1 ||
	    session_open(call->conf, SESSION_TIERS, &s, e) == -1)
		return -1;
	rc = wal_forget_run(&s, source, host, o->dry_run, progress_start("wal forget"), &report, e);
	progress_end();
	if (rc == 0) {
		output_done("%s slot %s of host %s: it kept %s on the server of %s",
			    report.dropped ? "dropped" : "would drop", report.slot, host,
			    units_size(report.behind, size), source->name);
		output_json(json_pack("{s:s, s:s, s:s, s:I, s:b}", "source", source->name, "host",
				      host, "slot", report.slot, "behind",
				      (json_int_t)report.behind, "dropped", report.dropped));
	}
	session_done(&s);
	return rc == -1 ? -1 : EXIT_DONE;
}

const struct command cmd_wal_tell_forget = {
	.name = "wal forget",
	.operands = "HOST SOURCE",
	.summary = "drop the slot of a host that will not come back",
	.text =
	    "A host that received WAL and is gone leaves its replication slot on the server, which "
	    "keeps WAL for it until the disk is full. "
	    "This drops that slot. It is refused while that host holds the lease or its slot is "
	    "streamed from, and when the coordination "
	    "place cannot be asked. WAL that no tier off its hosts has yet stays on the server: "
	    "ffdr_hold keeps it.",
	.examples = "ffdr wal forget bastion-2 payments --dry-run\n"
		    "ffdr wal forget bastion-2 payments",
	.options = forget_table,
	.options_size = sizeof(struct forget_opts),
	.min_operands = 2,
	.max_operands = 2,
	.conf = CONF_LOAD,
	.run = forget_command,
};

/* ---- exposure ---- */

/* "at most 41 s: 12 s known, 29 s unseen" */
static void
time_text(const struct exposure *x, char out[TIME_TEXT])
{
	char all[UNITS_TEXT], seen[UNITS_TEXT], unseen[UNITS_TEXT];

	units_duration(x->ns / CLOCK_MS, all);
	units_duration((x->ns - x->unseen_ns) / CLOCK_MS, seen);
	units_duration(x->unseen_ns / CLOCK_MS, unseen);
	if (!x->known)
		snprintf(out, TIME_TEXT, UNKNOWN);
	else if (x->ns == 0)
		snprintf(out, TIME_TEXT, "nothing");
	else if (x->unseen_ns > 0)
		snprintf(out, TIME_TEXT, "%s: %s known, %s unseen", all, seen, unseen);
	else
		snprintf(out, TIME_TEXT, "%s", all);
}

/* A directory tree has no WAL and no commits: there is nothing that could be known. */
static const char *
or_else(bool known, const char *text, const char *source)
{
	if (known)
		return text;
	return strncmp(source, "pg.", 3) == 0 ? UNKNOWN : "-";
}

static void
exposure_lines(const struct exposure_report *r)
{
	static const char *const header[] = { "SOURCE",	 "TIER",   "SITE",     "BY",
					      "AT MOST", ">BYTES", ">COMMITS", "WHY" };
	struct output_table *t = output_table_new(header, ARRAY_LEN(header));

	for (size_t i = 0; i < r->count; i++) {
		const struct exposure_line *l = &r->line[i];
		char time[TIME_TEXT], bytes[UNITS_TEXT], commits[24], why[200];

		time_text(&l->is, time);
		units_size(l->is.bytes, bytes);
		snprintf(commits, sizeof(commits), "%" PRIu64, l->is.commits);
		snprintf(why, sizeof(why), "%.*s", (int)strcspn(l->why.text, "\n"), l->why.text);
		output_table_row(t, (const char *const[]){
					l->source, l->tier, l->site, l->wal ? "wal" : "snapshot",
					time, or_else(l->is.bytes_known, bytes, l->source),
					or_else(l->is.commits_known, commits, l->source), why });
	}
	output_table_print(t);
}

static void
exposure_sites(const struct exposure_report *r)
{
	char time[TIME_TEXT];

	for (size_t i = 0; i < r->sites; i++) {
		const struct exposure_site *s = &r->site[i];

		time_text(&s->is, time);
		if (!s->tier)
			output_done("if site %s is lost now: all of %s, no tier elsewhere has it",
				    s->site, s->source);
		else if (!s->is.known)
			output_done("if site %s is lost now: how much is not known, for %s",
				    s->site, s->source);
		else
			output_done("if site %s is lost now: at most %s, of %s, from %s", s->site,
				    time, s->source, s->tier);
	}
}

static json_t *
seconds_json(const struct exposure *x, int64_t ns)
{
	return x->known ? json_real((double)ns / (double)CLOCK_S) : json_null();
}

static json_t *
exposure_json(const struct exposure *x)
{
	return json_pack(
	    "{s:o, s:o, s:o, s:o, s:o}", "seconds", seconds_json(x, x->ns), "known_seconds",
	    seconds_json(x, x->ns - x->unseen_ns), "unseen_seconds", seconds_json(x, x->unseen_ns),
	    "bytes", x->bytes_known ? json_integer((json_int_t)x->bytes) : json_null(), "commits",
	    x->commits_known ? json_integer((json_int_t)x->commits) : json_null());
}

static json_t *
report_json(const struct exposure_report *r)
{
	json_t *lines = json_array(), *sites = json_array();

	for (size_t i = 0; i < r->count; i++) {
		const struct exposure_line *l = &r->line[i];
		json_t *o = exposure_json(&l->is);

		json_object_set_new(o, "source", json_string(l->source));
		json_object_set_new(o, "tier", json_string(l->tier));
		json_object_set_new(o, "site", json_string(l->site));
		json_object_set_new(o, "by", json_string(l->wal ? "wal" : "snapshot"));
		json_object_set_new(o, "why", words_json_error(&l->why));
		json_array_append_new(lines, o);
	}
	for (size_t i = 0; i < r->sites; i++) {
		json_t *o = exposure_json(&r->site[i].is);

		json_object_set_new(o, "site", json_string(r->site[i].site));
		json_object_set_new(o, "source", json_string(r->site[i].source));
		json_object_set_new(o, "tier",
				    r->site[i].tier ? json_string(r->site[i].tier) : json_null());
		json_array_append_new(sites, o);
	}
	return json_pack("{s:o, s:o}", "lines", lines, "sites", sites);
}

static int
exposure_exit(const struct exposure_report *r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct exposure_line *l = &r->line[i];

		if (!l->is.known || (l->rpo_ns > 0 && !exposure_judge_within(&l->is, l->rpo_ns)))
			return EXIT_DEGRADED;
	}
	return EXIT_DONE;
}

static int
exposure_command(const struct command_call *call, struct err *e)
{
	const struct conf_source *named = NULL;
	struct exposure_report report = { 0 };
	struct session s = { 0 };
	int rc;

	if ((call->argc > 0 && conf_find_source(call->conf, call->argv[0], &named, e) == -1) ||
	    words_open(call->conf, &s, e) == -1)
		return -1;
	rc = exposure_run(&s, named, progress_start("exposure"), &report, e);
	progress_end();
	if (rc == 0) {
		exposure_sites(&report);
		exposure_lines(&report);
		output_json(report_json(&report));
		rc = exposure_exit(&report);
	}
	exposure_done(&report);
	session_done(&s);
	return rc;
}

const struct command cmd_wal_tell_exposure = {
	.name = "exposure",
	.operands = "[SOURCE]",
	.summary = "what would be lost at most, if it died now",
	.text =
	    "An upper bound of what would be lost if the source died now and only that tier were "
	    "left: seconds, bytes of WAL, commits. For a "
	    "tier that receives the WAL of a server it is the time since the newest moment at "
	    "which all that the server had written was on "
	    "the tier, and nothing when the server says that it has written nothing since. While "
	    "the server cannot be asked it grows, and "
	    "says which part of it nobody has seen. Any other tier is as old as the newest "
	    "complete snapshot there.\n\n"
	    "The first lines are what counts when a whole site is gone: for each site its worst "
	    "source, by the best tier that stands "
	    "elsewhere.\n\n"
	    "What is not known is said so, and is more than any limit. Ends with 3 when something "
	    "is unknown or above the `rpo` of its "
	    "tier.",
	.examples = "ffdr exposure\n"
		    "ffdr exposure payments --json",
	.max_operands = 1,
	.conf = CONF_LOAD,
	.run = exposure_command,
};
