/*
 * ffdr wal stream, push and get. The last two are called by the server and keep its rules for
 * statuses: of archive_command anything but 0 is a failure, and from 126 on one that is not
 * counted; of restore_command 1 to 125 mean that the archive ends here, which may promote the
 * database, and only above that the recovery stops. So `get` says 1 for what is proven absent, and
 * 255 for all it does not know.
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
#include "job/wal_fetched.h"
#include "job/wal_guard.h"
#include "job/wal_push_behind.h"
#include "job/wal_source.h"
#include "job/wal_stream.h"
#include "repo/layout.h"

#define GET_ABSENT 1
#define GET_UNKNOWN 255
#define GET_AHEAD 8
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

	if (wal_source_open(s, source, &w, e) == -1 || conf_postgres_slot(p, w.host, slot, e) == -1)
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
	session_done(&s);
	return rc;
}

/*
 * A receiver lives for months, and keys are rotated every quarter: what another host writes then is
 * sealed under a key that was not there when this one started. So a key that is missing is looked
 * for once more, with the configuration as it is by now, since the kek may be another one, too. Where
 * no new epoch was found, it is missing indeed.
 */
static int
stream_again(const struct conf *conf, const char *name, struct wal_stream_report *sum, struct err *e)
{
	struct conf *fresh = NULL;
	struct err why = { 0 };
	size_t known = 0, before = 0;
	int rc = stream_session(conf, name, sum, &known, e);

	while (rc == -1 && e->kind == ERR_KEY && known > before) {
		before = known;
		conf_free(fresh);
		fresh = NULL;
		if (conf_load(conf->file, &fresh, &why) == -1)
			break;
		output_note("a key is not known yet: keys are read anew");
		why = *e;
		rc = stream_session(fresh, name, sum, &known, e);
		if (rc == -1 && known == before)
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
	if (wal_source_open(&p->session, p->source, &p->w, e) == -1)
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

/* ---- wal get ---- */

struct get_opts {
	struct common_options common;
	const char *source, *tiers, *mode, *system, *spool, *until, *replays, *prepared;
	int64_t epoch, timeline;
	uint64_t segment_size;
	bool final, no_ahead, confined;
};
static const struct opt get_table[] = {
	{ "source", 0, OPT_STRING, offsetof(struct get_opts, source), "SOURCE", "whose WAL it is" },
	{ "tiers", 0, OPT_STRING, offsetof(struct get_opts, tiers), "TIER,...",
	    "ask these, in this order; without it those in `wal`" },
	{ "mode", 0, OPT_STRING, offsetof(struct get_opts, mode), "bounded|standby",
	    "bounded (the default): what is not known stops the server; standby: it counts as not "
	    "there yet" },
	{ "final", 0, OPT_FLAG, offsetof(struct get_opts, final), NULL,
	    "with --mode standby: hand out the newest, unfinished segment as well" },
	{ "segment-size", 0, OPT_SIZE, offsetof(struct get_opts, segment_size), "SIZE",
	    "of the server; 16m without it" },
	{ "epoch", 0, OPT_NUMBER, offsetof(struct get_opts, epoch), "N",
	    "of the archive; without it the active one" },
	{ "system", 0, OPT_STRING, offsetof(struct get_opts, system), "ID",
	    "system identifier; without it the active one" },
	{ "timeline", 0, OPT_NUMBER, offsetof(struct get_opts, timeline), "N",
	    "no history of a timeline behind this one and the active one" },
	{ "spool", 0, OPT_STRING, offsetof(struct get_opts, spool), "DIR",
	    "what no tier has may be there: a restore put it into pg_wal" },
	{ "until", 0, OPT_STRING, offsetof(struct get_opts, until), "LSN",
	    "the recovery ends before it: a segment behind it that is not to be had counts as absent" },
	{ "replays", 0, OPT_STRING, offsetof(struct get_opts, replays), "LSN..[LSN]",
	    "records that begin outside are not replayed: tablespaces that they make do not count" },
	{ "confined", 0, OPT_FLAG, offsetof(struct get_opts, confined), NULL,
	    "a proof: stop at any tablespace that would be made at a path of its own" },
	{ "prepared", 0, OPT_STRING, offsetof(struct get_opts, prepared), "N",
	    "what max_prepared_transactions was: where the log gives the server more, so does "
	    "postgresql.auto.conf from then on" },
	{ "no-prefetch", 0, OPT_FLAG, offsetof(struct get_opts, no_ahead), NULL,
	    "fetch nothing in advance" },
	{ 0 },
};

/* What a fetcher opens again for itself, in a process of its own. */
struct get {
	const struct command_call *call;
	const struct get_opts *opts;
	struct session session;
	struct wal_source w;
};

/* A spool that was named is there, or it is not known what it had. */
static int
open_spool(struct get *g, struct wal_get_options *o, struct err *e)
{
	o->spool = NULL;
	if (!g->opts->spool)
		return 0;
	if (access(g->opts->spool, R_OK | X_OK) == -1)
		return err_sys(e, "--spool '%s'", g->opts->spool);
	g->w.spool = (struct spool_dir){ g->opts->spool, g->session.repo->keys };
	o->spool = &g->w.spool;
	return 0;
}

/*
 * The restore that wrote the command has said it all: nobody has to be asked who is active, and not
 * the spool of this host, which a server's user could not read. So a recovery needs the tiers and
 * what lies beside it. Only a standby, which lives on, looks for a later epoch.
 */
static int
open_told(struct get *g, struct wal_get_options *o, struct repo **repo, struct err *e)
{
	if (!layout_source_valid(g->opts->source))
		return err_set(e, ERR_USAGE, "--source %s: expected pg.NAME", g->opts->source);
	if (session_open(g->call->conf, SESSION_READ, &g->session, e) == -1 ||
	    wal_source_only(&g->w, &g->session, g->opts->tiers, e) == -1 ||
	    open_spool(g, o, e) == -1)
		return -1;
	snprintf(o->place.source, sizeof(o->place.source), "%s", g->opts->source);
	o->place.sysid = strtoull(g->opts->system, NULL, 10);
	o->place.epoch = (uint32_t)g->opts->epoch;
	o->tier = g->w.tier;
	o->tiers = g->w.tiers;
	*repo = g->session.repo;
	wal_get_follow(*repo, o);
	return 0;
}

static int
open_get(void *arg, struct wal_get_options *o, struct repo **repo, struct err *e)
{
	struct get *g = arg;
	const struct conf_source *source;

	if (g->opts->source && g->opts->tiers && g->opts->system && g->opts->epoch > 0)
		return open_told(g, o, repo, e);
	if (wal_source_find(g->call->conf, g->opts->source, 0, &source, e) == -1 ||
	    session_open(g->call->conf, SESSION_READ, &g->session, e) == -1 ||
	    wal_source_open(&g->session, source, &g->w, e) == -1 ||
	    (g->opts->tiers && wal_source_only(&g->w, &g->session, g->opts->tiers, e) == -1))
		return -1;
	o->place = g->w.place;
	if (g->opts->system)
		o->place.sysid = strtoull(g->opts->system, NULL, 10);
	if (g->opts->epoch > 0)
		o->place.epoch = (uint32_t)g->opts->epoch;
	o->tier = g->w.tier;
	o->tiers = g->w.tiers;
	if (g->opts->spool && open_spool(g, o, e) == -1)
		return -1;
	o->spool = &g->w.spool;
	*repo = g->session.repo;
	return 0;
}

static void
close_get(void *arg)
{
	struct get *g = arg;

	wal_source_done(&g->w);
	session_done(&g->session);
}

/* Fetchers for what comes behind it, where none run. 1: this is one, and its work is done. */
static int
look_ahead(struct get *g, const struct wal_get_options *o)
{
	const struct wal_fetched_opener opener = { open_get, close_get, g };
	struct err why = { 0 };
	int rc;

	if (o->ahead == 0 || wal_fetched_runs(o))
		return 0;
	rc = wal_fetched_start(o, &opener, &why);
	if (rc == -1)
		output_warn("nothing is fetched in advance: %s", why.text);
	return rc;
}

/* As the server understands it. What must not be replayed ends a standby, too. */
static int
answer(int got, bool standby, const struct err *why)
{
	if (got == 1)
		return 0;
	if (got == -1)
		output_error(why);
	return got == 0 || (standby && why->kind != ERR_REFUSED) ? GET_ABSENT : GET_UNKNOWN;
}

/* ---- may it be replayed there? ---- */

/* A segment that the guard wants to see besides; the repository is opened for it. */
struct guard_fetch {
	struct get *g;
	struct wal_get_options o;
	struct repo *repo;
	bool opened;
	struct walread *r;
};

static int
fetch_for_guard(void *arg, uint32_t tli, uint64_t start, struct buf *bytes, struct err *e)
{
	struct guard_fetch *f = arg;

	if (f->opened && !f->r)
		return err_set(e, ERR_REMOTE, "the repository could not be opened");
	if (!f->r) {
		struct walread_options ro;

		f->opened = true;
		if (open_get(f->g, &f->o, &f->repo, e) == -1)
			return -1;
		ro = (struct walread_options){ .repo = f->repo, .tier = f->o.tier,
			.tiers = f->o.tiers, .spool = f->o.spool, .place = f->o.place };
		if (walread_new(&ro, &f->r, e) == -1)
			return -1;
	}
	return wal_fetched_read(f->r, &f->o, tli, start, bytes, e);
}

/* A segment that came is taken back when it must not be replayed. */
static int
guarded(struct get *g, const struct wal_get_options *o, const struct wal_guard *may, struct err *why)
{
	char *data = wal_guard_data(o->path);
	struct guard_fetch f = { .g = g, .o = *o };
	struct wal_guard all = *may;
	int64_t raised = 0;
	int rc = 0;

	f.o.proves = f.o.unfinished = false;
	all.data = data;
	all.segment_size = o->segment_size;
	all.source = g->opts->source;
	all.fetch = fetch_for_guard;
	all.arg = &f;
	if (data)
		rc = wal_guard_judge(&all, o->name, o->path, &raised, why);
	if (rc == -1)
		unlink(o->path);
	walread_free(f.r);
	if (f.opened)
		close_get(g);
	if (rc == 0 && raised > 0)
		output_warn("the server was given max_prepared_transactions = %" PRId64 " after the "
		    "backup: it is in postgresql.auto.conf now; if this recovery ends for want of it, "
		    "start the server again, and it goes on", raised);
	free(data);
	return rc == -1 ? -1 : 1;
}

static int
get_one(struct get *g, struct wal_get_options *o, const struct wal_guard *may, struct err *why)
{
	struct repo *repo = NULL;
	int got = wal_fetched_take(o, why);

	if (got == 0) {
		got = open_get(g, o, &repo, why);
		if (got == 0)
			got = wal_get_run(repo, o, why);
		close_get(g);
	}
	return got == 1 ? guarded(g, o, may, why) : got;
}

/* Caller frees. */
static char *
asked_by(const struct command_call *call, const struct get_opts *o)
{
	const char *conf = call->common->config;

	return xasprintf("%s\n%s\n%s\n%s\n%s\n%" PRId64 "\n%" PRIu64, conf ? conf : "",
	    o->source ? o->source : "", o->tiers ? o->tiers : "", o->mode ? o->mode : "",
	    o->system ? o->system : "", o->epoch, o->segment_size);
}

static int
judge_replays(const char *text, struct wal_guard *may, struct err *e)
{
	const char *dots = text ? strstr(text, "..") : NULL;
	char *from = dots ? xstrndup(text, (size_t)(dots - text)) : NULL;
	int rc = 0;

	if (text && (!dots || lsn_parse(from, &may->from) == -1 ||
			(dots[2] && lsn_parse(dots + 2, &may->to) == -1)))
		rc = err_set(e, ERR_USAGE, "--replays %s: expected LSN..LSN or LSN..", text);
	free(from);
	return rc;
}

static int
judge_opts(const struct get_opts *o, uint64_t *until, struct err *e)
{
	if (o->mode && strcmp(o->mode, "standby") != 0 && strcmp(o->mode, "bounded") != 0)
		return err_set(e, ERR_USAGE, "--mode %s: expected bounded or standby", o->mode);
	if (o->until && lsn_parse(o->until, until) == -1)
		return err_set(e, ERR_USAGE, "--until %s: expected an LSN as 5/7C0000F8", o->until);
	return 0;
}

static int
get_command(const struct command_call *call, struct err *e)
{
	const struct get_opts *opts = call->options;
	const bool standby = opts->mode && strcmp(opts->mode, "standby") == 0;
	struct get g = { .call = call, .opts = opts };
	struct wal_get_options o = {
		.name = call->argv[0],
		.path = call->argv[1],
		.unfinished = !standby || opts->final,
		.proves = !standby,
		.line = (uint32_t)opts->timeline,
		.coord_place = call->conf->coord_place,
		.segment_size = opts->segment_size ? (uint32_t)opts->segment_size : 16u << 20,
		.ahead = opts->no_ahead ? 0 : GET_AHEAD,
	};
	struct wal_guard may = { .confined = opts->confined, .prepared = opts->prepared ? strtoll(opts->prepared, NULL, 10) : -1 };
	struct err why = { 0 };
	char *asked;
	int got, fetcher = 0;

	if (judge_opts(opts, &o.until, e) == -1 || judge_replays(opts->replays, &may, e) == -1) {
		output_error(e);
		return GET_UNKNOWN;
	}
	o.asked = asked = asked_by(call, opts);
	got = get_one(&g, &o, &may, &why);
	if (got == 1)
		fetcher = look_ahead(&g, &o);
	free(asked);
	/* Nobody waits for a fetcher. */
	return fetcher == 1 ? EXIT_DONE : answer(got, standby, &why);
}

const struct command cmd_wal_get = {
	.name = "wal get",
	.operands = "NAME FILE",
	.summary = "bring one WAL file back: for restore_command",
	.text = "Brings the file NAME of the archive to FILE, checked before it has that name. "
		"`ffdr restore` writes the restore_command that "
		"calls it. Ends with 0 when the file is there, with 1 when it is on none of the "
		"tiers asked and every one of them said "
		"so, and with 255 when that is not known, or when later WAL of that timeline is there, for "
		"a hole is not the end: PostgreSQL takes 1 as the end of the "
		"archive and 255 as a reason to stop. With "
		"--mode standby, where 255 would end a standby, what is not known counts as not "
		"there yet, and is told.\n\n"
		"A recovery makes a tablespace where the server had it. Where FILE is for a data "
		"directory, and its records would make one at a path that holds a tablespace "
		"already, not of this directory, it is not handed over and the status is 255, also "
		"for a standby: on the server's own host that would be the living one's.\n\n"
		"Segments behind NAME are fetched in advance by two processes that end when nobody "
		"asks any more.",
	.examples = "restore_command = 'ffdr wal get --source payments %f %p'",
	.options = get_table,
	.options_size = sizeof(struct get_opts),
	.min_operands = 2,
	.max_operands = 2,
	.conf = CONF_LOAD,
	.failure = GET_UNKNOWN,
	.run = get_command,
};
