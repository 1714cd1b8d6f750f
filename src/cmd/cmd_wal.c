/*
 * ffdr wal stream and push. The last is called by the server and keeps its rules for statuses: of
 * archive_command anything but 0 is a failure, and from 126 on one that is not counted.
 */
#include "cmd/cmd_wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lsn.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/words.h"
#include "job/run.h"
#include "job/wal/wal_push_behind.h"
#include "job/wal/wal_source.h"
#include "job/wal/wal_stream.h"

#define STATE_NAME "wal"

static const char *
state_of(const struct session *s)
{
	return s->state.kind == ERR_NONE ? s->conf->state : NULL;
}

/* ---- wal stream ---- */

static int
stream_source(struct session *s, const struct conf_source *source, struct wal_stream_report *report,
    struct err *e)
{
	const struct conf_postgres *p = source->postgres;
	const struct conf *c = s->conf;
	struct wal_stream_options o;
	struct tier *base[WAL_SOURCE_TIERS];
	struct wal_source w;
	char slot[CONF_SLOT];
	int rc = -1;

	if (wal_source_open(s, source, &w, e) == -1 || wal_source_warm(&w, e) == -1 ||
	    conf_postgres_slot(p, w.host, slot, e) == -1)
		goto out;
	o = (struct wal_stream_options){
		.source = source->name,
		.conninfo = p->conninfo,
		.slot = slot,
		.hold_slot = CONF_SLOT_HOLD,
		.site = source->site,
		.host = w.host,
		.spool = w.spool_path,
		.ship_every_ns = p->ship_every * CLOCK_MS,
		.backlog = p->backlog,
		.drop_slot = strcmp(p->backlog_full, "drop-slot") == 0,
		.config = s->conf->file,
		.base_tier = base,
		.base_tiers = session_source_tiers(s, source->name, base, WAL_SOURCE_TIERS),
		.tier = w.tier,
		.off_host = w.off_host,
		.tiers = w.tiers,
		.coord = w.coord,
		.lease = { c->coord_ttl, c->coord_skew },
		.renew_ns = c->coord_renew * CLOCK_MS,
	};
	rc = wal_stream_run(s->repo, &o, progress_start("wal stream"), report, e);
	progress_end();
out:
	wal_source_done(&w);
	return rc;
}

/* One session of it: 0; -1, and how many key epochs that session knew. */
static int
stream_session(const struct conf *conf, const char *name, struct wal_stream_report *sum,
    size_t *epochs, struct err *e)
{
	const struct conf_source *source;
	struct wal_stream_report report = { 0 };
	struct session s = { 0 };
	int rc;

	if (wal_source_find(conf, name, 0, &source, e) == -1 ||
	    session_open(conf, SESSION_WRITE, &s, e) == -1)
		return -1;
	if (s.state.kind != ERR_NONE) {
		*e = s.state;
		err_in(e, "the spool needs a state directory");
		session_done(&s);
		return -1;
	}
	words_warn_away(&s);
	*epochs = s.repo->keys->epochs;
	rc = stream_source(&s, source, &report, e);
	sum->bytes += report.bytes;
	sum->connections += report.connections;
	sum->gaps += report.gaps;
	sum->others += report.others;
	sum->anew = rc == 0 && report.anew;
	session_done(&s);
	return rc;
}

/* As the file says now; one with a slip changes nothing, and is told. */
static int
read_again(const char *file, struct conf **fresh)
{
	struct err why = { 0 };
	struct conf *now = NULL;

	if (conf_load(file, &now, &why) == -1) {
		output_warn("the configuration as it is now cannot be used: %.*s",
		    err_first_line(&why), why.text);
		return -1;
	}
	conf_free(*fresh);
	*fresh = now;
	return 0;
}

/*
 * A receiver lives for months, and keys are rotated every quarter: what another host writes then is
 * sealed under a key that was not there when this one started. So a key that is missing is looked
 * for once more, with the configuration as it is by now, since the kek may be another one, too. Where
 * no new epoch was found, it is missing indeed. And disks are replaced.
 */
static int
stream_again(const struct conf *conf, const char *name, struct wal_stream_report *sum, struct err *e)
{
	struct conf *fresh = NULL;
	struct err why = { 0 };
	size_t known = 0, before = 0;
	int rc = stream_session(conf, name, sum, &known, e);

	while (sum->anew || (rc == -1 && e->kind == ERR_KEY && known > before)) {
		const bool anew = sum->anew;

		before = anew ? 0 : known;
		/* A slip does not end a receiver that can go on, by what it went by up to now. */
		if (read_again(conf->file, &fresh) == -1 && !anew)
			break;
		if (!anew)
			output_note("a key is not known yet: keys are read anew");
		why = *e;
		sum->anew = false;
		known = 0; /* where it does not even open, that is the reason to tell */
		rc = stream_session(fresh ? fresh : conf, name, sum, &known, e);
		if (rc == -1 && !anew && known == before)
			*e = why;
	}
	conf_free(fresh);
	return rc;
}

static int
stream_command(const struct command_call *call, struct err *e)
{
	const struct conf_source *source;
	struct wal_stream_report report = { 0 };
	char size[UNITS_TEXT];

	if (wal_source_find(call->conf, call->argv[0], 0, &source, e) == -1 ||
	    stream_again(call->conf, call->argv[0], &report, e) == -1)
		return -1;
	output_done("stopped receiving the WAL of %s: %s, %u connection%s", source->name,
	    units_size(report.bytes, size), report.connections,
	    report.connections == 1 ? "" : "s");
	output_json(json_pack("{s:s, s:I, s:i, s:i}", "source", source->name, "bytes",
	    (json_int_t)report.bytes, "connections", (int)report.connections, "gaps",
	    (int)report.gaps));
	return report.gaps + report.others > 0 ? EXIT_DEGRADED : EXIT_DONE;
}

const struct command cmd_wal_stream = {
	.name = "wal stream",
	.operands = "SOURCE",
	.summary = "receive a server's WAL and ship it to the tiers, as a service",
	.text = "Receives the WAL of a PostgreSQL server as it is written, keeps it sealed in a "
		"spool below the state directory until the "
		"tiers in `wal` have it, and ships it in pieces, each at the end of a segment or "
		"once its oldest byte is `ship-every` "
		"old. Runs until it is told to stop (the unit ffdr-wal@SOURCE), connects again for "
		"ever, follows new "
		"timelines, and goes to another server when conninfo in the configuration is changed. "
		"What was confirmed to the server is on disk here before; so it may "
		"stand in "
		"synchronous_standby_names under the name ffdr.\n\n"
		"It makes two replication slots: its own (`replication-slot`), from which it "
		"streams, and ffdr_hold, which keeps on the "
		"server whatever no tier off this host has yet. Several hosts may receive one "
		"source, each with its own slot and "
		"spool; one of them ships, the holder of a lease.\n\n"
		"WAL that the server has removed before it was received is written down as a gap: "
		"an alarm, and no restore goes "
		"across it. The next base backup begins behind it; with backlog-full = drop-slot it is "
		"started at once.",
	.examples = "ffdr wal stream payments",
	.min_operands = 1,
	.max_operands = 1,
	.conf = CONF_LOAD,
	.run = stream_command,
};

/* ---- wal push ---- */

struct push_opts {
	struct common_options common;
	const char *source;
};
static const struct opt push_table[] = {
	{ "source", 0, OPT_STRING, offsetof(struct push_opts, source), "SOURCE",
	    "whose WAL it is; without it, found by the system id in the file" },
	{ 0 },
};

/* What a worker opens again for itself, in a process of its own. */
struct push {
	const struct command_call *call;
	const struct conf_source *source;
	struct session session;
	struct wal_source w;
	struct run run;
};

static int
open_push(void *arg, struct wal_push_options *o, struct repo **repo, struct err *e)
{
	struct push *p = arg;

	if (session_open(p->call->conf, SESSION_WRITE, &p->session, e) == -1)
		return -1;
	run_begin(&p->run, &p->session, progress_start("wal push"));
	if (wal_source_open(&p->session, p->source, &p->w, e) == -1 ||
	    wal_source_warm(&p->w, e) == -1)
		return -1;
	if (!*p->w.active.etag) {
		err_set(
		    e, ERR_STALE, "it is not known yet which server is %s", p->source->name);
		return err_line(e, "fix", "`ffdr check` or the first `ffdr backup %s` pins it",
		    p->source->name);
	}
	*o = (struct wal_push_options){
		.place = p->w.place,
		.tli = p->w.active.tli,
		.fork_lsn = p->w.active.fork_lsn,
		.conninfo = p->source->postgres->conninfo,
		.site = p->source->site,
		.coord = p->w.coord,
		.set = &p->session.tiers,
		.tier = p->w.tier,
		.off_host = p->w.off_host,
		.tiers = p->w.tiers,
		.ack = (unsigned)p->source->postgres->push_ack,
		.state = state_of(&p->session),
		.host = p->w.host,
		.workers = run_workers(&p->run) + 1, /* one of them waits for the disk */
		.watch = p->run.watch,
	};
	*repo = p->session.repo;
	return 0;
}

static void
close_push(void *arg)
{
	struct push *p = arg;

	wal_source_done(&p->w);
	if (p->run.session) {
		run_end(&p->run);
		progress_end();
	}
	p->run = (struct run){ 0 };
	session_done(&p->session);
}

static void
warn_owed(const struct push *p, unsigned owed)
{
	if (owed > 0)
		output_warn("%s: %u objects are still owed to tiers that are away",
		    p->source->name, owed);
}

static void
push_json(const struct push *p, const char *path, bool ahead, uint64_t bytes)
{
	const char *slash = strrchr(path, '/');

	output_json(json_pack("{s:s, s:s, s:b, s:I}", "source", p->source->name, "file",
	    slash ? slash + 1 : path, "ahead", ahead, "bytes", (json_int_t)bytes));
}

static int
push_file(struct push *p, const char *path, struct err *e)
{
	struct wal_push_report report = { 0 };
	struct wal_push_options o;
	struct repo *repo = NULL;
	int rc = open_push(p, &o, &repo, e);

	if (rc == 0) {
		o.path = path;
		rc = wal_push_run(repo, &o, &report, e);
	}
	close_push(p);
	if (rc == 0) {
		warn_owed(p, report.owed);
		push_json(p, path, false, report.bytes);
	}
	return rc;
}

/* A worker for what waits behind it. 1: this is the worker, and its work is done. */
static int
push_behind(struct push *p, const struct wal_ahead *a, const char *path)
{
	const struct wal_push_opener opener = { open_push, close_push, p };
	struct err why = { 0 };
	int rc = wal_push_behind_start(a, path, &opener, &why);

	if (rc == -1)
		output_warn("nothing is pushed in advance: %s", why.text);
	return rc;
}

static int
push_command(const struct command_call *call, struct err *e)
{
	const struct push_opts *o = call->options;
	const char *path = call->argv[0];
	struct push p = { .call = call };
	struct wal_ahead ahead = { 0 };
	struct err why = { 0 };
	uint64_t sysid = 0;
	unsigned owed = 0;
	char *promise;
	bool looked;
	int rc;

	if (wal_push_sysid(path, &sysid, &why) == -1 && why.kind != ERR_NOTFOUND) {
		*e = why;
		return -1;
	}
	if (wal_source_find(call->conf, o->source, sysid, &p.source, e) == -1)
		return -1;
	promise = wal_source_promise(call->conf, p.source);
	looked = wal_ahead_open(&ahead, call->conf->state, p.source->name, path, promise) == 0;
	if (looked && wal_push_behind_has(&ahead, path, sysid, &owed)) {
		warn_owed(&p, owed);
		push_json(&p, path, true, 0);
		rc = EXIT_DONE;
	} else {
		rc = push_file(&p, path, e);
		if (rc == 0 && looked)
			push_behind(&p, &ahead, path);
	}
	wal_ahead_done(&ahead);
	free(promise);
	return rc;
}

const struct command cmd_wal_push = {
	.name = "wal push",
	.operands = "FILE",
	.summary = "archive one WAL file: for archive_command",
	.text = "Stores a file of pg_wal on the tiers in `wal` of the source and ends with 0 once "
		"it is durable there: on all of them that "
		"survive this host, or, while one is away, on `push-ack` of them; what the others "
		"lack is brought to them later. "
		"Pushing the same file twice is harmless; other bytes under a name that is stored "
		"already are refused, and so is a file "
		"of another system, of a timeline that is not on the way of the active one, or a "
		"segment that is not finished.\n\n"
		"A copy of the server has all that in common with it, so once in the life of a server "
		"process it is compared with the one that conninfo leads to: by its start, port, "
		"directory and the file itself. A copy is refused with status 10. A timeline newer than "
		"the active one becomes active when the server behind conninfo is on it. While that "
		"server cannot be asked, files are taken, with one warning, and nothing becomes "
		"active.\n\n"
		"Segments that are ready behind FILE are pushed by a process in the background, "
		"which ends when none is left; the calls for these only look whether it has.",
	.examples = "archive_command = 'ffdr wal push %p'",
	.options = push_table,
	.options_size = sizeof(struct push_opts),
	.min_operands = 1,
	.max_operands = 1,
	.conf = CONF_LOAD,
	.run = push_command,
};
