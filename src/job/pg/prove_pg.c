/*
 * The restore is the one a person would make, with the same command for the WAL, run by the user
 * that `run-as` names. Then the server itself has to agree: it must have ended where the plan said,
 * its indexes and pages must be sound, and what the owner of the data knows to be true
 * (`check-sql`) must be true. All that is wrong is told, not only the first thing.
 */
#include "job/pg/prove_pg.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/lsn.h"
#include "base/mem.h"
#include "base/units.h"
#include "job/pg/prove_pg_parts.h"
#include "job/restore_kind.h"
#include "job/wal/wal_guard.h"
#include "source/pg/pg_history.h"
#include "source/pg/pg_walname.h"

#define PATIENCE_S 600 /* without any progress of the recovery */
#define STOP_S 300
#define NOTE_MAX (2 * PATH_MAX)

/* ---- before anything is restored ---- */

/* Never root. A host without the configured user may still prove, as the server's own user. */
static int
find_user(struct prove *p, struct err *e)
{
	const char *const wish[] = { p->s->conf->run_as, "postgres", "nobody" };
	struct err first = { 0 };

	if (geteuid() != 0)
		return program_user_find(NULL, &p->user, e);
	for (size_t i = 0; i < ARRAY_LEN(wish); i++) {
		struct err why = { 0 };

		if (!wish[i] || program_user_find(wish[i], &p->user, &why) == -1) {
			if (first.kind == ERR_NONE)
				first = why;
			continue;
		}
		if (i > 0)
			p->stand_in = first;
		return 0;
	}
	err_set(e, ERR_CONFIG, "%s, and PostgreSQL does not run as root", first.text);
	return err_line(e, "fix", "run-as = USER in [ffdr]");
}

static int
make_place(struct prove *p, struct err *e)
{
	if (mkdir(p->dir, 0700) == -1)
		return err_sys(e, "make '%s'", p->dir);
	if (p->user.other && chown(p->dir, p->user.uid, p->user.gid) == -1)
		return err_sys(e, "give '%s' to %s", p->dir, p->user.name);
	if (program_user_reaches(&p->user, p->dir, e) == 0)
		return 0;
	return err_line(e, "fix", "scratch = DIR in [ffdr] where it may, or let it: chmod o+x");
}

/* Before anything is restored, which may take hours: can it be started here at all? */
static int
ready(void *arg, const struct restore_report *r, struct err *e)
{
	struct prove *p = arg;

	return pg_server_find(
	    r->database.major, conf_postgres_bin(p->s->conf, r->database.major), p->bin, e);
}

static int
restore(struct prove *p, const struct rehearse_options *o, struct err *e)
{
	char *spaces = xasprintf("%s/tablespaces", p->dir);
	const struct restore_options ro = {
		.what = o->what,
		.tier = o->tier,
		.to = p->data,
		.trusted = true,
		.thaw = o->thaw,
		.no_sync = true,
		.tablespaces_below = spaces,
		.owner = p->user.other ? p->user.name : NULL,
		.ready = ready,
		.ready_arg = p,
		.try_in = p->dir,
	};
	int rc = restore_run(p->s, &ro, p->w, p->report, e);

	free(spaces);
	p->mark_ns += p->report->waited_ns; /* how long an archive takes is added to what was measured */
	prove_pg_took(p, "restore_ms");
	return rc;
}

/* ---- recovery ---- */

static void
seen(void *arg, uint64_t lsn)
{
	struct prove *p = arg;
	const struct restore_database *d = &p->report->database;

	if (lsn >= d->start)
		p->w->progress(
		    p->w->arg, "recovering", lsn - d->start, d->end > lsn ? d->end - d->start : 0);
}

static bool
stopped(void *arg)
{
	const struct prove *p = arg;

	return p->w->stop(p->w->arg);
}

/*
 * Did it end because its log makes a tablespace somewhere else? That says nothing of the backup,
 * good or bad: it cannot be replayed where nothing else may be written.
 */
static void
explain_tablespace(const struct prove *p, struct err *e)
{
	char *file = xasprintf("%s/" WAL_GUARD_NOTE, p->data), lsn[LSN_TEXT];
	struct buf text;
	unsigned long oid;
	int at = 0;

	buf_init(&text, NOTE_MAX);
	if (file_get(AT_FDCWD, file, &text, NULL) == 0 &&
	    sscanf(buf_str(&text), "%lu %19s %n", &oid, lsn, &at) == 2) {
		const char *path = buf_str(&text) + at;

		err_set(e, ERR_REFUSED, "it can be proved only up to %s: there the log makes tablespace "
		    "%lu in '%.*s'", lsn, oid, (int)strcspn(path, "\n"), path);
		err_line(e, "because", "PostgreSQL makes it at just that path, where a living server may "
		    "have its own; a proof writes nowhere but in its scratch directory");
		err_line(e, "state", "up to there it recovered; whether the rest is sound is not known");
		err_line(e, "fix", "`ffdr backup %s`, if none is newer: a base backup behind it has the "
		    "tablespace, and its proof puts it elsewhere", p->report->source);
		err_line(e, "or", "`ffdr restore` to a host that has nothing at that path, and start it");
	}
	buf_done(&text);
	free(file);
}

/* What is wanting here, or did not come, says nothing of the backup. */
static void
acquit(const struct prove *p, struct err *e)
{
	const char *fix;

	if (e->kind == ERR_CORRUPT || e->kind == ERR_CANCELLED || e->kind == ERR_REFUSED)
		return;
	err_line(e, "state", "the backup was not found bad, and nothing is recorded of it");
	if (err_fix(e, &fix) == 0)
		err_line(e, "fix", "mend what the server lacked, then `ffdr verify --restore %s` again",
		    p->report->source);
}

static int
recover(struct prove *p, struct err *e)
{
	char *libraries = prove_pg_libraries(p);
	const char *const setting[] = { "shared_buffers=128MB", "huge_pages=off",
		"session_preload_libraries=", "local_preload_libraries=", "max_parallel_workers=2",
		libraries, NULL };
	const struct pg_server_options o = {
		.bin = p->bin,
		.data = p->data,
		.place = p->dir,
		.user = &p->user,
		.setting = setting,
		.stop = stopped,
		.arg = p,
	};
	char *known = p->source ? pg_server_word(p->source->postgres->conninfo, "user") : NULL;
	const char *const names[] = { "postgres", known, p->user.name };
	int rc = pg_server_start(&o, &p->server, e);

	if (rc == 0) {
		pg_server_names(p->server, names, ARRAY_LEN(names));
		rc = pg_server_recover(p->server, PATIENCE_S, seen, e);
		if (rc == -1 && e->kind != ERR_CANCELLED)
			explain_tablespace(p, e);
		if (rc == -1)
			acquit(p, e);
	}
	for (size_t i = 0; rc == 0 && pg_server_raised(p->server, i); i++)
		restore_kind_tell(p->report, "note",
		    "%s was needed: the server was given more after the backup was made",
		    pg_server_raised(p->server, i));
	free(known);
	free(libraries);
	prove_pg_took(p, "recovery_ms");
	return rc == -1 ? err_in(e, "%s", p->report->id) : 0;
}

/* The newest timeline of its directory, 0: none but the first. */
static uint32_t
newest_history(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	struct pg_walname n;
	uint32_t newest = 0;

	while (d && (de = readdir(d)) != NULL)
		if (pg_walname_parse(de->d_name, &n) == PG_WALNAME_HISTORY && n.timeline > newest)
			newest = n.timeline;
	if (d)
		closedir(d);
	return newest;
}

/* Where it left the old timeline is where its recovery ended, to the byte. */
static int
compare_end(struct prove *p, struct err *e)
{
	const struct restore_database *d = &p->report->database;
	char *wal = xasprintf("%s/pg_wal", p->data), file[PG_WALNAME_TEXT], *path, a[LSN_TEXT],
	     b[LSN_TEXT];
	uint32_t tli = newest_history(wal);
	struct pg_history h;
	struct buf text;
	int rc;

	pg_history_init(&h, tli);
	buf_init(&text, PG_HISTORY_MAX);
	path = xasprintf("%s/%s", wal, pg_walname_history(tli, file));
	rc = file_get(AT_FDCWD, path, &text, e);
	if (rc == 0)
		rc = pg_history_parse(tli, buf_str(&text), text.len, &h, e);
	if (rc == 0 && h.count > 0) {
		const struct pg_history_step *last = &h.step[h.count - 1];

		p->end = last->end;
		if (last->timeline != d->timeline || (d->end != 0 && last->end != d->end))
			prove_pg_wrong(p,
			    "the recovery ended at %s of timeline %" PRIu32 ", expected %s of "
									    "timeline %" PRIu32,
			    lsn_text(last->end, a), last->timeline, lsn_text(d->end, b),
			    d->timeline);
	}
	pg_history_done(&h);
	buf_done(&text);
	free(path);
	free(wal);
	return rc == -1 ? err_in(e, "where the recovery ended") : 0;
}

/* ---- evidence ---- */

void
prove_pg_took(struct prove *p, const char *phase)
{
	int64_t now = clock_boot_ns();

	if (p->phases < PROVE_PHASES)
		p->phase[p->phases++] =
		    (struct prove_phase){ phase, (now - p->mark_ns) / CLOCK_MS };
	p->mark_ns = now;
}

void
prove_pg_wrong(struct prove *p, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (p->wrongs++ == 0)
		err_set(&p->wrong, ERR_CORRUPT, "%s was restored and is not right: %s",
		    p->report->id, text);
	else
		err_line(&p->wrong, "also", "%s", text);
}

/* In front of what was looked at. */
static void
evidence(struct prove *p, struct buf *text)
{
	const struct restore_report *r = p->report;
	char a[LSN_TEXT];

	buf_addf(text,
	    "server %u\nend %s\ntimeline %" PRIu32 "\nbytes %" PRIu64 "\nwal-bytes %" PRIu64 "\n",
	    r->database.major, lsn_text(p->end, a), r->database.timeline, r->bytes,
	    p->end > r->database.start ? p->end - r->database.start : 0);
	for (size_t i = 0; i < p->phases; i++)
		buf_addf(text, "%.*s-ms %" PRId64 "\n", (int)strcspn(p->phase[i].name, "_"),
		    p->phase[i].name, p->phase[i].ms);
	buf_adds(text, buf_str(&p->checks));
}

static void
tell(struct prove *p)
{
	char a[LSN_TEXT], took[UNITS_TEXT];
	struct buf text;

	buf_init(&text, 1000);
	for (size_t i = 0; i < p->phases; i++)
		buf_addf(&text, "%s%.*s %s", i > 0 ? ", " : "", (int)strcspn(p->phase[i].name, "_"),
		    p->phase[i].name, units_duration(p->phase[i].ms, took));
	if (p->stand_in.kind != ERR_NONE)
		restore_kind_tell(
		    p->report, "note", "%s: the server ran as %s", p->stand_in.text, p->user.name);
	restore_kind_tell(p->report, "ended", "at %s, out of timeline %" PRIu32,
	    lsn_text(p->end, a), p->report->database.timeline);
	if (p->asked.len > 0)
		restore_kind_tell(p->report, "checked", "%s", buf_str(&p->asked));
	restore_kind_tell(p->report, "took", "%s", buf_str(&text));
	restore_kind_fact(p->report, false, "end_lsn", "%s", a);
	for (size_t i = 0; i < p->phases; i++)
		restore_kind_fact(p->report, true, p->phase[i].name, "%" PRId64, p->phase[i].ms);
	buf_done(&text);
}

static int
prove(struct prove *p, const struct rehearse_options *o, struct err *e)
{
	if (find_user(p, e) == -1 || make_place(p, e) == -1 || restore(p, o, e) == -1)
		return -1;
	conf_find_source(p->s->conf, p->report->source, &p->source, NULL);
	if (recover(p, e) == -1 || compare_end(p, e) == -1 || prove_pg_sql(p, e) == -1 ||
	    prove_pg_amcheck(p, e) == -1 || pg_server_stop(p->server, STOP_S, e) == -1)
		return -1;
	prove_pg_took(p, "stop_ms");
	if (prove_pg_pages(p, e) == -1)
		return -1;
	tell(p);
	if (p->wrongs > 0) {
		*e = p->wrong;
		return -1;
	}
	if (p->unasked.kind == ERR_NONE)
		return 0;
	err_set(e, ERR_CONFIG, "check-sql of %s cannot be asked: %.*s", p->report->source,
	    err_first_line(&p->unasked), p->unasked.text);
	return err_line(e, "fix", "mend check-sql; `ffdr check` asks it of the server that lives");
}

int
prove_pg_run(struct session *s, const struct rehearse_options *o, const char *dir,
    const struct watch *w, struct restore_report *ret, struct buf *proof, struct err *e)
{
	const int64_t begun = clock_boot_ns();
	struct prove p = { .s = s, .w = w, .dir = dir, .report = ret, .mark_ns = begun };
	int rc;

	p.data = xasprintf("%s/data", dir);
	buf_init(&p.checks, REHEARSE_RECORD);
	buf_init(&p.asked, REHEARSE_RECORD);
	rc = prove(&p, o, e);
	evidence(&p, proof);
	if (rc == -1 && (e->kind == ERR_CANCELLED || w->stop(w->arg)))
		err_set(e, ERR_CANCELLED, "the proof of %s was interrupted; nothing of it is left",
		    o->what);
	pg_server_free(p.server);
	ret->took_ns = clock_boot_ns() - begun;
	buf_done(&p.checks);
	buf_done(&p.asked);
	free(p.data);
	return rc;
}
