/*
 * A database, from the words of a person to a data directory that recovers by itself when it is
 * started. First all that can be refused is refused, with what would be possible; then files; then
 * configuration and the settings of the recovery; and pg_control, without which no server starts,
 * last of all: a restore that was cut off leaves nothing that starts.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "job/ground.h"
#include "job/opened.h"
#include "job/pick.h"
#include "job/pg/prove_pg.h"
#include "job/recall.h"
#include "job/pg/restore_pg.h"
#include "job/target.h"
#include "source/pg/pg_dir.h"
#include "source/pg/pg_label.h"
#include "source/tree.h"

#define PID_FILE "postmaster.pid"
#define NOBODY UINT32_MAX

/* ---- what was meant ---- */

static int
find_source(struct restore_pg *r, struct err *e)
{
	struct pick_options po = { .text = r->o->what, .watch = r->run.watch };
	struct layout_snap part;
	struct tier *from;

	if (r->o->tier && session_tier(r->run.session, r->o->tier, &po.tier, e) == -1)
		return -1;
	if (pick_source(r->run.session, r->o->what, r->source, NULL) == 0)
		return 0;
	if (pick_snapshot(r->run.session, &po, r->base, &from, e) == -1)
		return -1;
	if (layout_snap_parse(r->base, &part) == -1)
		return err_set(e, ERR_BUG, "'%s' is no name of a snapshot", r->base);
	snprintf(r->source, sizeof(r->source), "%s", part.source);
	return 0;
}

/* Nothing of it anywhere that can be read: is there one that cannot, is it a source at all? */
static int
explain(const struct restore_pg *r, struct err *e)
{
	const struct conf *c = r->run.session->conf;
	const struct conf_source *source;
	struct buf known;

	if (e->kind != ERR_NOTFOUND || (r->world.bases > 0 && !r->want.base))
		return -1;
	if (r->world.unusable.kind != ERR_NONE) {
		*e = r->world.unusable;
		err_in(e, "restore refused");
		if (strstr(e->text, "\n  fix "))
			return -1;
		return err_line(e, "fix", "the same command, once it can be read; `ffdr list %s` and "
		    "`ffdr verify %s` tell more", r->source, r->source);
	}
	if (r->world.bases > 0 || conf_find_source(c, r->source, &source, NULL) == 0)
		return -1;
	buf_init(&known, 400);
	for (size_t i = 0; i < c->sources; i++)
		buf_addf(&known, "%s%s", i > 0 ? ", " : "", c->source[i].name);
	err_set(e, ERR_NOTFOUND, "there is no base backup of '%s', and no such source in the configuration",
	    r->source);
	err_line(e, "checked", "%s", buf_str(&r->world.tier_names));
	err_line(e, "possible", "%s", known.len > 0 ? buf_str(&known) : "no source is configured");
	err_line(e, "fix", "`ffdr list` shows what the tiers have");
	buf_done(&known);
	return -1;
}

static int
load_world(struct restore_pg *r, struct err *e)
{
	/* A proof is one of the tiers; and so is what was asked of one tier alone, or of the past. */
	struct pg_world_options wo = {
		.source = r->source,
		.base = r->base[0] ? r->base : NULL,
		.base_end = r->want.kind == PG_TARGET_IMMEDIATE,
		.timeline = r->o->timeline,
		.spool = !r->o->trusted && !r->o->tier && r->run.session->as_of_ns == 0,
	};

	r->want.base = r->base[0] ? r->base + strlen("snap/") : NULL;
	if (r->o->tier && session_tier(r->run.session, r->o->tier, &wo.tier, e) == -1)
		return -1;
	return pg_world_load(r->run.session, &wo, r->run.watch, &r->world, e);
}

static int
open_base(struct restore_pg *r, struct err *e)
{
	const struct pg_world_base *b = &r->world.about[r->plan.base];
	struct restore_database *d = &r->report->database;
	struct buf value;

	if (r->reader && strcmp(r->report->id, r->world.base[r->plan.base].id) == 0)
		return 0;
	reader_free(r->reader);
	r->reader = NULL;
	snprintf(r->report->id, sizeof(r->report->id), "%s", r->world.base[r->plan.base].id);
	snprintf(r->report->source, sizeof(r->report->source), "%s", r->source);
	r->report->tier = b->on->name;
	if (reader_open(r->run.session->repo, b->on, b->name, &r->reader, e) == -1)
		return -1;
	buf_init(&value, 64);
	if (restore_pg_detail(r, "server-version", &value) == 1)
		d->major = (unsigned)strtoul(buf_str(&value), NULL, 10) / 10000;
	buf_reset(&value);
	d->checksums =
	    restore_pg_detail(r, "checksums", &value) == 1 && strcmp(buf_str(&value), "yes") == 0;
	buf_done(&value);
	return 0;
}

static int
find_end(struct restore_pg *r, struct err *e)
{
	struct restore_database *d = &r->report->database;

	d->timeline = r->plan.timeline;
	d->start = r->world.base[r->plan.base].start;
	d->frontier = r->world.frontier;
	return r->plan.bound == PG_TARGET_LSN ? pg_world_end(&r->world, &r->plan, &d->end, e) : 0;
}

/* ---- where to ---- */

/* A server that runs there would write into what we write. */
static int
not_running(const char *dir, struct err *e)
{
	struct pg_dir_server s;

	if (pg_dir_server(dir, &s, NULL) != 1 || s.pid <= 0 ||
	    (kill((pid_t)s.pid, 0) == -1 && errno == ESRCH))
		return 0;
	err_set(e, ERR_REFUSED, "restore refused: a server runs in '%s'", dir);
	err_line(e, "checked", PID_FILE " names process %" PRId64 ", which is there", s.pid);
	return err_line(
	    e, "fix", "stop it: pg_ctl -D %s stop; where no server runs, remove " PID_FILE, dir);
}

/* A data directory of another system is not given up for this one. */
static int
same_system(const struct restore_pg *r, const char *dir, struct err *e)
{
	struct pg_control c;

	if (r->o->from_another_host || pg_dir_control(dir, &c, NULL) == -1 ||
	    c.sysid == r->world.place.sysid)
		return 0;
	err_set(e, ERR_REFUSED, "restore refused: '%s' holds another database than %s", dir, r->source);
	err_line(e, "checked", "system identifier %" PRIu64 ", the backup is of %" PRIu64, c.sysid,
	    r->world.place.sysid);
	return err_line(e, "fix",
	    "where this is to be given up: --from-another-host; else --to with another directory");
}

static int
judge_target(struct restore_pg *r, struct err *e)
{
	const struct conf_source *source = NULL;
	struct target_wish wish = {
		.to = r->o->to, .source = r->source, .delta = r->o->delta, .id = r->report->id,
	};

	if (r->report->to)
		return 0;
	if (r->o->trusted) {
		r->report->to = xstrdup(r->o->to);
		return 0;
	}
	if (conf_find_source(r->run.session->conf, r->source, &source, NULL) == 0)
		wish.origin = source->path;
	if (not_running(r->o->to, e) == -1 || target_judge(&wish, &r->report->to, e) == -1 ||
	    same_system(r, r->report->to, e) == -1)
		return -1;
	return ground_target(r->run.session->conf, &(struct ground_place){
		.path = r->report->to, .source = r->source, .origin = wish.origin }, e);
}

/* What the server had and no base backup follows: databases whose directory is a link. */
static int
tell_lacks(struct restore_pg *r, struct err *e)
{
	struct buf value;
	size_t at = 0;
	int rc = 0;

	buf_init(&value, 256);
	while (rc != -1 && (buf_reset(&value),
	    manifest_detail(reader_manifest(r->reader), &at, "database", &value) == 1)) {
		const char *text = buf_str(&value);
		const int n = (int)strcspn(text, " ");
		const struct entry *en;
		char *path = xasprintf("base/%.*s", n, text), *line;

		rc = reader_find(r->reader, path, strlen(path), &en, e);
		if (rc == 0 || (rc == 1 && en->type != ENTRY_DIR)) {
			line = xasprintf("database '%s' is not in %s: its directory '%s' was a link, which "
			    "no base backup follows\n  fix       bring that directory from elsewhere, or "
			    "DROP DATABASE there; on the server, move it by a tablespace",
			    text[n] ? text + n + 1 : text, r->report->id, path);
			run_warn(r, line);
			free(line);
		}
		free(path);
	}
	buf_done(&value);
	return rc == -1 ? -1 : 0;
}

/* ---- whose files ---- */

static int
find_owner(struct restore_pg *r, struct err *e)
{
	struct restore_database *d = &r->report->database;
	const struct entry *en;
	const struct passwd *pw = NULL;

	d->uid = geteuid();
	d->gid = getegid();
	if (geteuid() != 0) {
		if (r->o->owner)
			return err_set(e, ERR_USAGE, "--owner needs root");
		return 0;
	}
	if (reader_find(r->reader, "PG_VERSION", strlen("PG_VERSION"), &en, e) != 1)
		return err_set(e, ERR_CORRUPT, "%s holds no PG_VERSION: it is no data directory",
		    r->report->id);
	d->uid = en->uid;
	d->gid = en->gid;
	if (r->o->owner) {
		pw = getpwnam(r->o->owner);
		if (!pw)
			return err_set(
			    e, ERR_NOTFOUND, "--owner %s: there is no such user here", r->o->owner);
	} else if (d->uid == 0 || !getpwuid(d->uid)) {
		/* Nobody here has that number, or the server's own is not known. */
		pw = getpwnam("postgres");
		if (!pw)
			run_warn(r,
			    "the files belong to a user that is not here: --owner USER gives them "
			    "to one");
		else
			restore_kind_tell(r->report, "changed",
			    "the files belong to postgres: nobody here has the number %" PRIu32,
			    d->uid);
	}
	if (pw) {
		d->uid = pw->pw_uid;
		d->gid = pw->pw_gid;
	}
	return 0;
}

/* Everything below `dir` is the server's; links themselves, never what they name. */
static int
give(const char *dir, const struct restore_database *d, struct err *e)
{
	char *const roots[] = { (char *)dir, NULL };
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *f;
	int rc = 0;

	if (!fts)
		return err_sys(e, "walk '%s'", dir);
	while (rc == 0 && (f = fts_read(fts)) != NULL)
		if (f->fts_info != FTS_DP && f->fts_statp &&
		    (f->fts_statp->st_uid != d->uid || f->fts_statp->st_gid != d->gid) &&
		    lchown(f->fts_accpath, d->uid, d->gid) == -1)
			rc = err_sys(e, "give '%s' to its owner", f->fts_path);
	fts_close(fts);
	return rc;
}

static int
give_all(struct restore_pg *r, struct err *e)
{
	if (geteuid() != 0)
		return 0;
	if (give(r->report->to, &r->report->database, e) == -1)
		return -1;
	for (size_t i = 0; i < r->spaces; i++)
		if (give(r->space[i].to, &r->report->database, e) == -1)
			return -1;
	return 0;
}

/* ---- the files ---- */

static int
restore_files(struct restore_pg *r, struct err *e)
{
	const char **skip = xcalloc(r->spaces + 4, sizeof(*skip));
	struct tree_options to = restore_kind_tree(r->o, &r->run, r->source);
	struct tree_report seen = { 0 };
	int rc = -1;

	for (; to.skips < r->spaces; to.skips++)
		skip[to.skips] = r->space[to.skips].path;
	skip[to.skips++] = PG_LABEL_FILE;
	skip[to.skips++] = PG_LABEL_MAP_FILE;
	skip[to.skips++] = PG_CONTROL_FILE;
	to.skip = skip;
	if (restore_pg_lock(r, e) == -1)
		goto out;
	rc = tree_restore(r->reader, r->report->to, &to, &seen, e);
	restore_kind_count(r->report, &seen);
	if (rc == 0)
		rc = restore_pg_spaces_fill(r, &to, e);
	/* Half a table is no database: nothing that could start is left. */
	if (rc == 0 && r->report->lost > 0)
		rc = err_set(e, ERR_CORRUPT,
		    "%" PRIu64 " files of %s lack bytes that no tier has a good copy of",
		    r->report->lost, r->report->id);
out:
	free(skip);
	return rc;
}

static int
restore_all(struct restore_pg *r, struct err *e)
{
	const struct tree_options to = restore_kind_tree(r->o, &r->run, r->source);
	uint64_t from;

	if (r->o->adopt && restore_pg_spooled(r, &from) && restore_pg_spool_ship(r, e) == -1)
		return -1;
	if (r->o->try_in && restore_pg_try(r, e) == -1)
		return -1;
	if (restore_files(r, e) == -1 || restore_pg_spool_copy(r, e) == -1 ||
	    restore_pg_setup(r, e) == -1 || restore_pg_spaces_link(r, e) == -1 ||
	    restore_pg_wait(r, &to, e) == -1 || give_all(r, e) == -1)
		return -1;
	if (!r->o->trusted && restore_pg_try(r, e) == -1)
		return -1;
	if (r->o->adopt && restore_pg_adopt(r, e) == -1)
		return -1;
	return restore_pg_unlock(r, e);
}

/* ---- telling ---- */

/*
 * Of the newest there is, its last commit: what was heard of the server later differs from tier to
 * tier, and says nothing of what is in it.
 */
static void
tell_newest(struct restore_pg *r)
{
	const struct pg_world *w = &r->world;
	const int64_t ns = w->commit_ns ? w->commit_ns : w->frontier_ns;
	char end[LSN_TEXT], at[UNITS_TEXT];

	restore_kind_tell(r->report, "recovers",
	    "to the newest there is, %s on timeline %" PRIu32 "%s%s",
	    lsn_text(r->report->database.end, end), r->report->database.timeline,
	    ns == 0 ? "" : w->commit_ns ? ", last commit " : ", as the server was at ",
	    ns ? units_time(ns, at) : "");
}

static void
tell_bound(struct restore_pg *r)
{
	const struct restore_database *d = &r->report->database;
	const char *edge = r->plan.exclusive ? "before " : "";
	char a[UNITS_TEXT], b[LSN_TEXT];

	if (r->o->standby)
		restore_pg_tell_standby(r);
	else if (r->plan.bound == PG_TARGET_TIME)
		restore_kind_tell(r->report, "recovers", "to %s%s on timeline %" PRIu32, edge,
		    units_time_exact(r->plan.time_ns, a), d->timeline);
	else if (r->plan.bound == PG_TARGET_IMMEDIATE)
		restore_kind_tell(r->report, "recovers",
		    "to the end of the base backup, %s on timeline %" PRIu32,
		    lsn_text(r->plan.lsn, b), d->timeline);
	else if (r->plan.lsn == r->world.last && !r->plan.exclusive)
		tell_newest(r);
	else
		restore_kind_tell(r->report, "recovers", "to %s%s on timeline %" PRIu32, edge,
		    lsn_text(r->plan.lsn, b), d->timeline);
}

static const char *
bound_word(const struct restore_pg *r)
{
	if (r->o->standby)
		return "none";
	if (r->plan.bound == PG_TARGET_TIME)
		return "time";
	return r->plan.bound == PG_TARGET_LSN ? "lsn" : "immediate";
}

/* What a server had written before another one took over, and nobody has any more. */
static void
tell_tails(struct restore_pg *r)
{
	for (size_t i = 0; i < r->world.lines; i++) {
		const struct pg_world_line *l = &r->world.line[i];
		uint64_t from, to;
		char a[LSN_TEXT], b[LSN_TEXT];

		if (l->role == PG_LINE_TAIL && pg_history_span(&r->world.history, l->tli, &from, &to))
			restore_kind_tell(r->report, "not in it",
			    "timeline %" PRIu32 " from %s, where it was left, to %s: --timeline %" PRIu32
			    " restores that", l->tli, lsn_text(to, a), lsn_text(l->end, b), l->tli);
	}
}

static void
tell(struct restore_pg *r)
{
	struct restore_report *ret = r->report;
	const struct restore_database *d = &ret->database;
	const uint64_t until = r->o->standby ? d->frontier : r->plan.until;
	uint64_t from = 0;
	const bool spooled = restore_pg_spooled(r, &from);
	char a[LSN_TEXT], b[LSN_TEXT], size[UNITS_TEXT];
	const struct passwd *pw = geteuid() == 0 ? getpwuid(d->uid) : NULL;

	tell_bound(r);
	restore_kind_tell(ret, "wal", "%s .. %s, %s, from %s%s", lsn_text(d->start, a),
	    lsn_text(until, b), units_size(until - d->start, size), buf_str(&r->world.tier_names),
	    spooled ? " and the spool of this host" : "");
	if (spooled)
		restore_kind_tell(ret, "spool", "from %s on it is on no tier yet%s",
		    lsn_text(from, a),
		    r->o->adopt ? ", and goes there first" : ", and goes along into pg_wal");
	if (r->o->adopt && r->o->dry_run)
		restore_kind_tell(ret, "adopts",
		    "a new epoch of %s would begin with this server, and what is active now could not "
		    "archive any more", r->source);
	tell_tails(r);
	for (size_t i = 0; i < r->spaces; i++)
		restore_kind_tell(ret, "tablespace", "%" PRIu32 " %s -> %s", r->space[i].oid,
		    r->space[i].was, r->space[i].to);
	if (!r->o->trusted)
		restore_kind_tell(ret, "start", "PostgreSQL %u: pg_ctl -D %s start%s%s", d->major,
		    ret->to, pw ? ", as " : "", pw ? pw->pw_name : "");
	restore_kind_fact(ret, false, "bound", "%s", bound_word(r));
	restore_kind_fact(ret, true, "timeline", "%" PRIu32, d->timeline);
	restore_kind_fact(ret, false, "start_lsn", "%s", lsn_text(d->start, a));
	restore_kind_fact(ret, false, "until_lsn", "%s", b);
	restore_kind_fact(ret, false, "frontier", "%s", lsn_text(d->frontier, a));
	if (spooled)
		restore_kind_fact(ret, false, "spooled_from", "%s", lsn_text(from, a));
	restore_kind_fact(ret, true, "major", "%u", d->major);
}

static int
half_way(struct restore_pg *r, struct err *e)
{
	if (r->o->trusted || e->kind == ERR_USAGE || e->kind == ERR_REFUSED)
		return -1;
	restore_kind_half_way(r->o, &r->run, r->report,
	    "with --at latest an older base backup brings the same state:", e);
	return err_line(e, "state", "no server can start there as it is");
}

/* All that can be refused comes before the order, which costs. */
static int
bring(struct restore_pg *r, struct err *e)
{
	if (open_base(r, e) == -1 || judge_target(r, e) == -1)
		return -1;
	if (!r->o->dry_run && r->o->ready && r->o->ready(r->o->ready_arg, r->report, e) == -1)
		return -1;
	return restore_pg_thaw(r, e);
}

static int
unsaid(struct restore_pg *r, struct err *e)
{
	char *what = xasprintf("WAL of %s that has to be read for that", r->source);

	thaw_unsaid(r->thaw, what, e);
	free(what);
	return -1;
}

/* The plan, with what it needs at hand. What tells where it ends may lie in an archive itself. */
static int
find_plan(struct restore_pg *r, struct err *e)
{
	int rc;

	do {
		err_clear(e);
		rc = pg_world_choose(&r->world, &r->want, &r->plan, e);
		if (!r->o->trusted && (rc == -1 || r->want.kind == PG_TARGET_LATEST) && !r->thaw)
			pg_world_tell_of_spool(&r->world);
		if (rc == -1 && (e->kind != ERR_FROZEN || restore_pg_guess(r, e) == -1))
			return explain(r, e);
		if (bring(r, e) == -1)
			return -1;
	} while (rc == -1 && !r->o->dry_run);
	return rc == -1 ? unsaid(r, e) : 0;
}

static int
restore(struct restore_pg *r, struct err *e)
{
	if (find_source(r, e) == -1 || restore_pg_at(r, e) == -1 || load_world(r, e) == -1)
		return -1;
	recall_warn(r->run.session, NULL, r->source, r->run.watch);
	if (find_plan(r, e) == -1 || find_end(r, e) == -1 || restore_pg_spaces(r, e) == -1)
		return -1;
	if (find_owner(r, e) == -1 || tell_lacks(r, e) == -1)
		return -1;
	tell(r);
	if (r->o->dry_run)
		return restore_pg_preview(r, e);
	return restore_all(r, e) == -1 ? half_way(r, e) : 0;
}

static int
refuse_options(const struct restore_options *o, struct err *e)
{
	if (o->paths > 0) {
		err_set(e, ERR_USAGE, "%s is a database, of which no part can be restored alone",
		    o->what);
		return err_line(e, "fix",
		    "restore it beside the other one, and take the rows over with pg_dump");
	}
	if (o->standby && (o->adopt || o->action))
		return err_set(e, ERR_USAGE,
		    "--standby follows the archive for ever: no --adopt, no --target-action");
	if (o->action && strcmp(o->action, "promote") != 0 && strcmp(o->action, "pause") != 0 &&
	    strcmp(o->action, "shutdown") != 0)
		return err_set(e, ERR_USAGE,
		    "--target-action %s: expected promote, pause or shutdown", o->action);
	return 0;
}

static int
run(struct session *s, const struct restore_options *o, const struct watch *w,
    struct restore_report *ret, struct err *e)
{
	struct restore_pg r = { .o = o, .report = ret };
	int rc;

	if (refuse_options(o, e) == -1)
		return -1;
	run_begin(&r.run, s, w);
	rc = restore(&r, e);
	if (r.reader)
		ret->fallbacks = opened_tell_fallbacks(r.reader, r.source, w);
	restore_pg_spaces_done(&r);
	thaw_free(r.thaw);
	wal_thaw_done(&r.log);
	reader_free(r.reader);
	pg_world_done(&r.world);
	run_end(&r.run);
	return rc;
}

const struct restore_kind restore_pg = {
	.kind = CONF_KIND_POSTGRES, .run = run, .prove = prove_pg_run
};
