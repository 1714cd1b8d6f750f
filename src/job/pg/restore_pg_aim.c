/*
 * Between the words of a person and the settings of a recovery. A place in the log is written as
 * the server writes it, which no time looks like; what else there may be has its kind before a
 * colon.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/units.h"
#include "job/pg/pg_facts.h"
#include "job/pg/restore_pg.h"
#include "job/wal/wal_get_standby.h"
#include "job/wal/wal_guard.h"
#include "source/pg/pg_commit.h"
#include "source/pg/pg_conf.h"
#include "base/program.h"
#include "source/pg/pg_walname.h"

#define COMMAND_MAX 8192
#define CONFIG_MAX (1u << 20)
#define TRY_S 60

static int
parse_xid(const char *text, uint32_t *ret, struct err *e)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n > UINT32_MAX || n < 3)
		return err_set(e, ERR_USAGE,
		    "--at xid:%s: expected the number of a transaction, 3 to 4294967295", text);
	*ret = (uint32_t)n;
	return 0;
}

static int
parse_at(struct restore_pg *r, const char *at, struct err *e)
{
	struct pg_target *t = &r->want;

	if (strcmp(at, "latest") == 0)
		return 0;
	if (strncmp(at, "xid:", 4) == 0) {
		t->kind = PG_TARGET_XID;
		return parse_xid(at + 4, &t->xid, e);
	}
	if (strncmp(at, "name:", 5) == 0) {
		t->kind = PG_TARGET_NAME;
		t->name = at + 5;
		if (!at[5] || strlen(at + 5) >= PG_COMMIT_NAME)
			return err_set(e, ERR_USAGE,
			    "--at name:%s: expected the name of a restore point, 1 to %d bytes",
			    at + 5, PG_COMMIT_NAME - 1);
		return 0;
	}
	if (strncmp(at, "lsn:", 4) == 0)
		at += 4;
	t->kind = PG_TARGET_LSN;
	if (lsn_parse(at, &t->lsn) == 0)
		return 0;
	t->kind = PG_TARGET_TIME;
	if (strchr(at, '/') || units_parse_until(at, &t->time_ns, e) == -1) {
		err_set(e, ERR_USAGE, "--at '%s' is no place in the log", at);
		return err_line(e, "possible",
		    "latest, a time as '2026-11-21 11:03:11Z', an LSN as 5/7C0000F8, xid:NUMBER, "
		    "name:RESTORE-POINT");
	}
	return 0;
}

int
restore_pg_at(struct restore_pg *r, struct err *e)
{
	struct pg_target *t = &r->want;

	t->kind = r->base[0] && !r->o->at ? PG_TARGET_IMMEDIATE : PG_TARGET_LATEST;
	if (r->o->at && parse_at(r, r->o->at, e) == -1)
		return -1;
	t->exclusive = r->o->before;
	t->timeline = r->o->timeline;
	if (t->exclusive && t->kind != PG_TARGET_TIME && t->kind != PG_TARGET_LSN &&
	    t->kind != PG_TARGET_XID)
		return err_set(
		    e, ERR_USAGE, "--before needs --at with a time, an LSN or xid:NUMBER");
	if (r->o->standby && t->kind != PG_TARGET_LATEST)
		return err_set(e, ERR_USAGE,
		    "--standby follows the archive for ever: it has no --at, and no snapshot to "
		    "end at");
	return 0;
}

/* ---- settings ---- */

static void
add_tiers(const struct restore_pg *r, struct buf *out)
{
	char *list = xstrdup("");

	for (size_t i = 0; i < r->world.tiers; i++) {
		char *more = xasprintf("%s%s%s", list, i > 0 ? "," : "", r->world.tier[i]->name);

		free(list);
		list = more;
	}
	pg_conf_word(out, "--tiers");
	pg_conf_word(out, list);
	free(list);
}

/* What max_prepared_transactions was when the backup was made. */
static int64_t
prepared_then(const struct restore_pg *r)
{
	static const char word[] = WAL_GUARD_PREPARED " ";
	struct buf value;
	size_t at = 0;
	int64_t n = 0;

	buf_init(&value, CONFIG_MAX);
	while (buf_reset(&value),
	    manifest_detail(reader_manifest(r->reader), &at, "setting", &value) == 1)
		if (strncmp(buf_str(&value), word, strlen(word)) == 0)
			n = strtoll(buf_str(&value) + strlen(word), NULL, 10);
	buf_done(&value);
	return n;
}

/*
 * Of the settings that must not be lower than the original's, this one is asked of every server: one
 * whose log prepares more transactions ends in the middle. What the log says of it is looked up
 * where that is not much log; else `wal get` sets it when it hands that place over. A proof raises it
 * for itself.
 */
static int
raise_prepared(struct restore_pg *r, struct err *e)
{
	int64_t most;
	int got;

	if (r->o->tablespaces_below)
		return 0;
	most = pg_world_prepared(&r->world, r->report->database.start,
	    r->o->standby ? r->world.frontier : r->plan.until);
	got = wal_guard_prepare(r->report->to, prepared_then(r), most, e);
	if (got == 1)
		restore_kind_tell(r->report, "changed", "postgresql.auto.conf: " WAL_GUARD_PREPARED
		    " = %" PRId64 ", which the server was given after the backup", most);
	return got == -1 ? -1 : 0;
}

/* What is replayed; a proof, whose tablespaces all have a place, makes no other. */
static void
add_replays(const struct restore_pg *r, struct buf *out)
{
	const bool before = r->plan.exclusive && r->plan.bound == PG_TARGET_LSN;
	char from[LSN_TEXT], to[LSN_TEXT] = "", text[2 * LSN_TEXT + 3];

	if (!r->o->standby)
		lsn_text(before ? r->plan.lsn : r->plan.until, to);
	snprintf(text, sizeof(text), "%s..%s", lsn_text(r->report->database.start, from), to);
	pg_conf_word(out, "--replays");
	pg_conf_word(out, text);
	if (r->o->tablespaces_below)
		pg_conf_word(out, "--confined");
	if (!r->o->tablespaces_below) {
		snprintf(text, sizeof(text), "%" PRId64, prepared_then(r));
		pg_conf_word(out, "--prepared");
		pg_conf_word(out, text);
	}
}

/* For which that holds; as postgresql.auto.conf will have it, where somebody may change it. */
static void
add_target(const struct restore_pg *r, struct buf *out)
{
	struct pg_target_setting target[PG_TARGET_SETTINGS];
	const size_t n = r->o->standby ? 0 : pg_target_settings(&r->plan, "", target);
	struct buf text;

	buf_init(&text, COMMAND_MAX);
	for (size_t i = 0; i < n; i++)
		if (*target[i].value)
			buf_addf(&text, "%s%s", i > 0 ? " " : "", target[i].value);
	if (n > 0) {
		pg_conf_word(out, "--target");
		pg_conf_word(out, buf_str(&text));
	}
	buf_done(&text);
}

/* The text of restore_command. */
static int
command_text(const struct restore_pg *r, struct buf *out, struct err *e)
{
	char exe[PATH_MAX], text[32], when[UNITS_TEXT];
	char *config = realpath(r->run.session->conf->file, NULL);
	int rc = program_own_path(exe, e);

	if (rc == 0 && !config)
		rc = err_sys(e, "find '%s'", r->run.session->conf->file);
	if (rc == 0) {
		pg_conf_word(out, exe);
		pg_conf_word(out, "wal");
		pg_conf_word(out, "get");
		pg_conf_word(out, "--config");
		pg_conf_word(out, config);
		pg_conf_word(out, "--source");
		pg_conf_word(out, r->source);
		add_tiers(r, out);
		pg_conf_word(out, "--mode");
		pg_conf_word(out, r->o->standby ? "standby" : "bounded");
		snprintf(text, sizeof(text), "%" PRIu64, r->world.segment_size);
		pg_conf_word(out, "--segment-size");
		pg_conf_word(out, text);
		snprintf(text, sizeof(text), "%" PRIu32, r->world.place.epoch);
		pg_conf_word(out, "--epoch");
		pg_conf_word(out, text);
		snprintf(text, sizeof(text), "%" PRIu64, r->world.place.sysid);
		pg_conf_word(out, "--system");
		pg_conf_word(out, text);
		/* Either ends somewhere, or follows whoever is active. */
		pg_conf_word(out, r->o->standby ? "--timeline" : "--until");
		if (r->o->standby)
			snprintf(text, sizeof(text), "%" PRIu32, r->plan.timeline);
		pg_conf_word(out, r->o->standby ? text : lsn_text(r->plan.until, text));
		add_replays(r, out);
		add_target(r, out);
		if (r->run.session->as_of_ns != 0) {
			pg_conf_word(out, "--as-of");
			pg_conf_word(out, units_time_exact(r->run.session->as_of_ns, when));
		}
		if (restore_pg_carries(r)) {
			pg_conf_word(out, "--spool");
			pg_conf_word(out, RESTORE_PG_SPOOL);
		}
		buf_adds(out, " %f %p");
		rc = buf_check(out, "restore_command", e);
	}
	free(config);
	return rc;
}

int
restore_pg_detail(const struct restore_pg *r, const char *key, struct buf *out)
{
	size_t at = 0;

	return manifest_detail(reader_manifest(r->reader), &at, key, out);
}

/* NULL when the backup has none; the caller frees. */
static char *
detail(const struct restore_pg *r, const char *key)
{
	struct buf value;
	char *text = NULL;

	buf_init(&value, CONFIG_MAX);
	if (restore_pg_detail(r, key, &value) == 1)
		text = xstrdup(buf_str(&value));
	buf_done(&value);
	return text;
}

static size_t
load_settings(const struct restore_pg *r, struct pg_setup_setting **ret)
{
	size_t at = 0, count = 0, room = 0;
	struct buf value;

	buf_init(&value, CONFIG_MAX);
	while (buf_reset(&value),
	    manifest_detail(reader_manifest(r->reader), &at, "setting", &value) == 1) {
		const char *text = buf_str(&value);
		size_t n = strcspn(text, " ");

		*ret = mem_grow(*ret, &room, count + 1, sizeof(**ret));
		(*ret)[count++] = (struct pg_setup_setting){ xstrndup(text, n),
			xstrdup(text[n] ? text + n + 1 : "") };
	}
	buf_done(&value);
	return count;
}

static void
tell(void *arg, const char *text)
{
	struct restore_pg *r = arg;

	restore_kind_tell(r->report, "changed", "%s", text);
}

/* A base backup is WAL that was replayed, up to its end. */
static int
begin_standby(const struct restore_pg *r, struct err *e)
{
	struct wal_get_standby at = { .epoch = r->world.place.epoch };
	struct pg_facts facts;
	char *folder;
	int rc;

	if (pg_facts_read(reader_manifest(r->reader), &facts, e) != 1)
		return err_in(e, "the base backup");
	at.tli = facts.stop_tli;
	at.lsn = facts.stop;
	folder = xasprintf("%s/pg_wal", r->report->to);
	rc = wal_get_standby_begin(folder, &at, e);
	free(folder);
	return rc;
}

int
restore_pg_setup(struct restore_pg *r, struct err *e)
{
	struct pg_target_setting target[PG_TARGET_SETTINGS];
	struct pg_setup_setting *setting = NULL;
	char *config = detail(r, "config_file"), *hba = detail(r, "hba_file"),
	     *ident = detail(r, "ident_file");
	const size_t settings = load_settings(r, &setting);
	struct buf command;
	int rc;

	buf_init(&command, COMMAND_MAX);
	rc = command_text(r, &command, e);
	if (rc == 0) {
		const struct pg_setup_options o = {
			.data = r->report->to,
			.major = r->report->database.major,
			.config = config,
			.hba = hba,
			.ident = ident,
			.setting = setting,
			.settings = settings,
			.target = target,
			.targets = r->o->standby
			    ? 0
			    : pg_target_settings(
				  &r->plan, r->o->action ? r->o->action : "promote", target),
			.restore_command = buf_str(&command),
			.end_command = restore_pg_carries(r) ? "rm -rf " RESTORE_PG_SPOOL : "",
			.standby = r->o->standby,
			.adopt = r->o->adopt,
			.uid = r->report->database.uid,
			.gid = r->report->database.gid,
			.tell = tell,
			.arg = r,
		};

		rc = pg_setup_write(&o, e);
		if (rc == 0)
			rc = raise_prepared(r, e);
	}
	if (rc == 0 && r->o->standby)
		rc = begin_standby(r, e);
	for (size_t i = 0; i < settings; i++) {
		free(setting[i].name);
		free(setting[i].value);
	}
	free(setting);
	free(config);
	free(hba);
	free(ident);
	buf_done(&command);
	return rc;
}

/*
 * It is handed whole segments only: one that is unfinished would have to be replaced under its hands.
 * So before it is promoted somebody has to say that no more will come.
 */
void
restore_pg_tell_standby(struct restore_pg *r)
{
	const uint64_t frontier = r->report->database.frontier;
	char a[LSN_TEXT], b[LSN_TEXT];

	restore_kind_tell(r->report, "recovers",
	    "for ever, on the active timeline, by whole segments: now to %s of %s",
	    lsn_text(lsn_segment(frontier, r->world.segment_size), a), lsn_text(frontier, b));
	restore_kind_tell(r->report, "promote", "in psql, first, or what lies behind the last whole "
	    "segment is lost: SELECT format('ALTER SYSTEM SET restore_command = %%L', "
	    "replace(current_setting('restore_command'), ' standby ', ' standby --final ')) \\gexec");
	restore_kind_tell(r->report, "promote",
	    "SELECT pg_reload_conf(); wait until pg_last_wal_replay_lsn() stands still; SELECT "
	    "pg_promote(): runbooks/promote-a-standby.md");
}

/* ---- will it work? ---- */

/* What the server makes of its restore_command. */
static char *
filled_in(const char *command, const char *name, const char *path)
{
	struct buf out;
	char *ret;

	buf_init(&out, COMMAND_MAX);
	for (; *command; command++) {
		if (*command != '%') {
			buf_addc(&out, *command);
			continue;
		}
		command++;
		if (*command == 'f')
			buf_addf(&out, "--no-prefetch %s", name);
		else if (*command == 'p')
			buf_adds(&out, path);
		else
			buf_addc(&out, '%');
	}
	ret = xstrdup(buf_str(&out));
	buf_done(&out);
	return ret;
}

/* Of a try that failed: what it said, and behind it what helps. All of it: each tier may have a reason. */
static char *
said_by_try(const char *user, const char *log)
{
	struct buf said;
	size_t own;
	char *text;

	buf_init(&said, 1u << 16);
	(void)!file_get(AT_FDCWD, log, &said, NULL);
	while (said.len > 0 && said.data[said.len - 1] == '\n')
		said.data[--said.len] = '\0';
	own = strncmp(buf_str(&said), "ffdr: ", 6) == 0 ? 6 : 0;
	text = xasprintf("%s\n"
			 "  %-9s what the group of ffdr may read, %s must: `adduser %s GROUP`; the "
			 "directories of file: tiers and the files of credentials as well",
	    said.len > 0 ? buf_str(&said) + own : "it said nothing",
	    strstr(buf_str(&said), "\n  fix ") ? "or" : "fix", user, user);
	buf_done(&said);
	return text;
}

static void
warn_of(struct restore_pg *r, const char *user, const char *said)
{
	char *text = xasprintf("as %s, who the server will run as, no WAL can be got yet: %s", user, said);

	run_warn(r, text);
	free(text);
}

/* The status of a first call of restore_command by that user; what it brings is removed again. */
static int
try_as(struct restore_pg *r, const struct program_user *user, const char *place, const char *dir,
    const char *log, struct err *e)
{
	const uint64_t start = r->report->database.start;
	char name[PG_WALNAME_TEXT], *file = xasprintf("%s/ffdr-try", place), *shell = NULL;
	struct buf command;
	int rc;

	buf_init(&command, COMMAND_MAX);
	rc = command_text(r, &command, e);
	if (rc == 0) {
		pg_walname_segment(
		    pg_history_at(&r->world.history, start), start, r->world.segment_size, name);
		shell = filled_in(buf_str(&command), name, file);
		rc = program_run(user,
		    &(struct program){ .argv = (const char *const[]){ "/bin/sh", "-c", shell, NULL },
			.dir = dir,
			.log = log },
		    TRY_S, r->run.watch->stop, r->run.watch->arg, NULL, e);
	}
	unlink(file);
	free(shell);
	free(file);
	buf_done(&command);
	return rc;
}

/* Of a proof: that who runs it cannot read is said only where it is not the backup that cannot be read. */
static int
judge_try(struct restore_pg *r, const struct program_user *user, const char *log, struct err *e)
{
	char *text = said_by_try(user->name, log);
	struct program_user self;
	struct err why = { 0 };

	if (program_user_find(NULL, &self, e) == -1 ||
	    try_as(r, &self, r->o->try_in, r->o->try_in, "/dev/null", &why) != 0) {
		free(text);
		return why.kind == ERR_CANCELLED ? err_set(e, ERR_CANCELLED, "stopped") : 0;
	}
	err_set(e, ERR_PERMISSION, "as %s, who the server of a proof runs as, no WAL can be got: %s",
	    user->name, text);
	free(text);
	return err_line(e, "state", "nothing was restored, and nothing is recorded of the backup");
}

int
restore_pg_try(struct restore_pg *r, struct err *e)
{
	const struct passwd *pw = geteuid() == 0 ? getpwuid(r->report->database.uid) : NULL;
	char *place, *log, *text;
	const char *dir = r->o->try_in ? r->o->try_in : r->report->to;
	struct program_user user;
	struct err why = { 0 };
	int rc = 0;

	if (!pw || pw->pw_uid == 0 || program_user_find(pw->pw_name, &user, NULL) == -1)
		return 0;
	place = xasprintf("%s%s", dir, r->o->try_in ? "" : "/pg_wal");
	log = xasprintf("%s/ffdr-try.log", place);
	if (try_as(r, &user, place, dir, log, &why) != 0) {
		if (r->o->try_in) {
			rc = why.kind == ERR_CANCELLED ? err_set(e, ERR_CANCELLED, "stopped") :
							 judge_try(r, &user, log, e);
		} else if (run_stop(&r->run)) {
			run_warn(&r->run, "whether the server will get its WAL was not tried to the end, "
			    "because a stop was asked for");
		} else {
			text = said_by_try(user.name, log);
			warn_of(r, user.name, text);
			free(text);
		}
	}
	unlink(log);
	free(log);
	free(place);
	return rc;
}
