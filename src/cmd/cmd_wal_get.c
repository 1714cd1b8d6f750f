/*
 * ffdr wal get. The server calls it and has rules for statuses: of restore_command 1 to 125 mean that
 * the archive ends here, which may promote the database, and only above that the recovery stops. So it
 * says 1 for what is proven absent, and 255 for all it does not know, and for what must not be
 * replayed where it is.
 */
#include "cmd/cmd_wal_get.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/lsn.h"
#include "base/mem.h"
#include "base/units.h"
#include "cmd/output.h"
#include "cmd/words.h"
#include "job/wal/wal_fetched.h"
#include "job/wal/wal_get_standby.h"
#include "job/wal/wal_guard.h"
#include "job/wal/wal_source.h"
#include "repo/layout.h"
#include "source/pg/pg_server.h"

#define GET_ABSENT 1
#define GET_UNKNOWN 255
#define GET_NOT_NOW PG_SERVER_NO_WAL
#define GET_AHEAD 8

struct get_opts {
	struct common_options common;
	const char *source, *tiers, *mode, *system, *spool, *until, *replays, *target, *prepared, *as_of;
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
	{ "target", 0, OPT_STRING, offsetof(struct get_opts, target), "TEXT",
	    "for which the ends of --until and --replays were said: with another one in "
	    "postgresql.auto.conf there are none" },
	{ "confined", 0, OPT_FLAG, offsetof(struct get_opts, confined), NULL,
	    "a proof: stop at any tablespace that would be made at a path of its own; 254 instead of 255 "
	    "where no fault was found with what came, for it did not come" },
	{ "prepared", 0, OPT_STRING, offsetof(struct get_opts, prepared), "N",
	    "what max_prepared_transactions was: where the log gives the server more, so does "
	    "postgresql.auto.conf from then on" },
	WORDS_AS_OF(get_opts),
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

/* No words of it: the server calls for every segment. */
static int
open_session(struct get *g, struct err *e)
{
	int64_t as_of_ns = 0;

	if (g->opts->as_of && units_parse_until(g->opts->as_of, &as_of_ns, e) == -1)
		return err_in(e, "--as-of");
	return session_open_past(g->call->conf, as_of_ns, NULL, SESSION_READ, &g->session, e);
}

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
	if (open_session(g, e) == -1 ||
	    wal_source_only(&g->w, &g->session, g->opts->tiers, e) == -1 ||
	    open_spool(g, o, e) == -1)
		return -1;
	snprintf(o->place.source, sizeof(o->place.source), "%s", g->opts->source);
	o->place.sysid = strtoull(g->opts->system, NULL, 10);
	o->place.epoch = (uint32_t)g->opts->epoch;
	o->tier = g->w.tier;
	o->tiers = g->w.tiers;
	*repo = g->session.repo;
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
	    open_session(g, e) == -1 ||
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

/*
 * As the server understands it. What must not be replayed ends a standby, too. A proof has to know
 * whether fault was found with what came, or nothing came.
 */
static int
answer(int got, bool standby, bool proof, const struct err *why)
{
	if (got == 1)
		return 0;
	if (got == -1)
		output_error(why);
	if (got == -1 && proof && why->kind != ERR_CORRUPT && why->kind != ERR_REFUSED)
		return GET_NOT_NOW;
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
guarded(struct get *g, const struct wal_get_options *o, const struct wal_guard *may,
    struct err *why)
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

/*
 * Nothing is fetched ahead for a standby: that would be of the epoch that was active then. Each call
 * looks which one the standby may follow.
 */
static int
get_for_standby(struct get *g, struct wal_get_options *o, struct err *why)
{
	struct repo *repo = NULL;
	char *told = NULL;
	int got = open_get(g, o, &repo, why) == -1 ? -1 : 1;

	if (got == 1)
		got = wal_get_standby(repo, o, &told, why);
	if (told)
		output_warn("%s", told);
	free(told);
	if (got == 1)
		got = wal_get_run(repo, o, why);
	close_get(g);
	return got;
}

static int
get_one(struct get *g, struct wal_get_options *o, const struct wal_guard *may, struct err *why)
{
	struct repo *repo = NULL;
	int got = o->line > 0 ? 0 : wal_fetched_take(o, why);

	if (o->line > 0) {
		got = get_for_standby(g, o, why);
	} else if (got == 0) {
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

	return xasprintf("%s\n%s\n%s\n%s\n%s\n%s\n%" PRId64 "\n%" PRIu64, conf ? conf : "",
	    o->source ? o->source : "", o->tiers ? o->tiers : "", o->mode ? o->mode : "",
	    o->system ? o->system : "", o->as_of ? o->as_of : "", o->epoch, o->segment_size);
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

/* Somebody may have let the recovery go on to another place than the restore knew. */
static void
judge_target(const struct get_opts *opts, struct wal_get_options *o, struct wal_guard *may)
{
	char *data = opts->target ? wal_guard_data(o->path) : NULL;

	if (data && !wal_guard_aims(data, opts->target))
		o->until = may->to = 0;
	free(data);
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
		.ahead = opts->no_ahead || opts->timeline > 0 ? 0 : GET_AHEAD,
	};
	struct wal_guard may = {
		.confined = opts->confined,
		.prepared = opts->prepared ? strtoll(opts->prepared, NULL, 10) : -1,
	};
	struct err why = { 0 };
	char *asked;
	int got, fetcher = 0;

	if (judge_opts(opts, &o.until, e) == -1 || judge_replays(opts->replays, &may, e) == -1) {
		output_error(e);
		return GET_UNKNOWN;
	}
	judge_target(opts, &o, &may);
	o.asked = asked = asked_by(call, opts);
	got = get_one(&g, &o, &may, &why);
	if (got == 1)
		fetcher = look_ahead(&g, &o);
	free(asked);
	/* Nobody waits for a fetcher. */
	return fetcher == 1 ? EXIT_DONE : answer(got, standby, opts->confined, &why);
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
