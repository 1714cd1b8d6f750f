/*
 * The three questions to a restored database. The owner's own assertions come first, as they are
 * quick and say most; the indexes against their tables next, as far as time allows; and at last,
 * the server being down, the checksum of every page on disk.
 */
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "job/claim.h"
#include "job/pg/prove_pg_parts.h"
#include "job/restore_kind.h"
#include "source/pg/pg_conf.h"
#include "source/pg/pg_page.h"

#define AMCHECK_S 600	/* indexes of a large database take days: what was reached counts */
#define AMCHECK_BAD 2	/* its exit status when something was found */
#define TAIL 300
#define BLOCK (1u << 20)
#define PAGES_SHOWN 4

/* ---- what was looked at ---- */

static void
looked(struct prove *p, const char *what, const char *found)
{
	buf_addf(&p->checks, "%s %s\n", what, found);
	buf_addf(&p->asked, "%s%s %s", p->asked.len > 0 ? ", " : "", what, found);
}

static void
leave_out(struct prove *p, const char *what, const char *why)
{
	restore_kind_tell(p->report, "not done", "%s: %s", what, why);
	buf_addf(&p->checks, "%s left out\n", what);
}

/* ---- libraries ---- */

static bool
is_library(const struct prove *p, const char *name)
{
	char *debian = xasprintf("%s/../lib/%s.so", p->bin, name),
	     *plain = xasprintf("%s/../lib/postgresql/%s.so", p->bin, name);
	bool there = access(debian, R_OK) == 0 || access(plain, R_OK) == 0;

	free(debian);
	free(plain);
	return there;
}

struct wanted {
	struct prove *p;
	char *list;
};

static bool
take_list(void *arg, const struct pg_conf_line *l)
{
	struct wanted *w = arg;

	if (pg_conf_line_is(l, "shared_preload_libraries")) {
		free(w->list);
		w->list = xstrdup(buf_str(&l->value));
	}
	return false;
}

static void
look_into(struct wanted *w, const char *name)
{
	char *path = xasprintf("%s/%s", w->p->data, name);
	struct buf text, copy;

	buf_init(&text, 4u << 20);
	buf_init(&copy, 8u << 20);
	if (file_get(AT_FDCWD, path, &text, NULL) == 0)
		pg_conf_filter(buf_str(&text), text.len, false, take_list, w, &copy);
	buf_done(&text);
	buf_done(&copy);
	free(path);
}

char *
prove_pg_libraries(struct prove *p)
{
	struct wanted w = { .p = p, .list = xstrdup("") };
	char *at, *one, *ret = xstrdup("shared_preload_libraries=");

	look_into(&w, "postgresql.conf");
	look_into(&w, "postgresql.auto.conf");
	at = w.list;
	while ((one = strsep(&at, ", \"")) != NULL) {
		char *more;

		if (!*one)
			continue;
		if (!is_library(p, one)) {
			restore_kind_tell(p->report, "note",
			    "the library %s is not on this host: proved without it", one);
			continue;
		}
		more = xasprintf("%s%s%s", ret, ret[strlen(ret) - 1] == '=' ? "" : ",", one);
		free(ret);
		ret = more;
	}
	free(w.list);
	return ret;
}

/* ---- what the owner knows ---- */

int
prove_pg_sql(struct prove *p, struct err *e)
{
	const struct conf_postgres *c = p->source ? p->source->postgres : NULL;
	struct pg_conn *conn = NULL;
	struct err why = { 0 };
	char *dbname;
	int got;

	if (!c || !c->check_sql) {
		leave_out(p, "check-sql", "none is set");
		return 0;
	}
	dbname = pg_server_word(c->conninfo, "dbname");
	p->w->progress(p->w->arg, "asking check-sql", 0, 0);
	got = pg_server_connect(p->server, dbname ? dbname : "postgres", &conn, &why);
	if (got == 0)
		got = claim_ask(conn, c->check_sql, &why);
	if (got == 1)
		looked(p, "check-sql", "true");
	else if (why.kind == ERR_CANCELLED)
		*e = why;
	else if (got == 0)
		prove_pg_wrong(p, "%s", why.text);
	else
		p->unasked = why;
	pg_conn_free(conn);
	free(dbname);
	prove_pg_took(p, "sql_ms");
	return why.kind == ERR_CANCELLED ? -1 : 0;
}

/* ---- indexes ---- */

/* The end of what it said, in one line. */
static void
tail_of(const char *path, char out[TAIL + 1])
{
	struct buf text;
	size_t from;

	buf_init(&text, 16u << 20);
	out[0] = '\0';
	if (file_get(AT_FDCWD, path, &text, NULL) == 0) {
		from = text.len > TAIL ? text.len - TAIL : 0;
		snprintf(out, TAIL + 1, "%s", buf_str(&text) + from);
	}
	for (char *q = out; *q; q++)
		if (*q == '\n')
			*q = q[1] ? '|' : '\0';
	buf_done(&text);
}

int
prove_pg_amcheck(struct prove *p, struct err *e)
{
	char *program = xasprintf("%s/pg_amcheck", p->bin),
	     *log = xasprintf("%s/amcheck.log", p->dir), said[TAIL + 1];
	const char *const argv[] = { program, "--host", pg_server_host(p->server), "--port", "5432",
		"--username", pg_server_user(p->server), "--no-password", "--all",
		"--install-missing", "--jobs", "2", NULL };
	const struct program run = { .argv = argv, .dir = p->dir, .log = log };
	struct err why = { 0 };
	bool late = false;
	int status;

	if (access(program, X_OK) == -1) {
		snprintf(said, sizeof(said), "there is no '%.200s': it comes with the programs of this "
		    "version's server", program);
		leave_out(p, "amcheck", said);
		free(program);
		free(log);
		return 0;
	}
	p->w->progress(p->w->arg, "checking indexes", 0, 0);
	status = program_run(&p->user, &run, AMCHECK_S, p->w->stop, p->w->arg, &late, &why);
	tail_of(log, said);
	if (status == AMCHECK_BAD)
		prove_pg_wrong(p, "pg_amcheck found: %s", said);
	else if (late && said[0])
		prove_pg_wrong(p, "pg_amcheck, stopped after ten minutes, had found: %s", said);
	else if (late)
		leave_out(p, "amcheck", "stopped after ten minutes, what it had found is not known");
	else if (status != 0)
		leave_out(p, "amcheck", status == -1 ? why.text : said);
	else
		looked(p, "amcheck", "sound");
	free(program);
	free(log);
	prove_pg_took(p, "amcheck_ms");
	if (status == -1 && why.kind == ERR_CANCELLED) {
		*e = why;
		return -1;
	}
	return 0;
}

/* ---- pages ---- */

struct pages {
	struct prove *p;
	uint8_t *block;
	uint64_t looked, bad;
};

static int
check_file(struct pages *g, const char *path, const char *name, struct err *e)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	uint32_t number = pg_page_first(name, strlen(name));
	ssize_t n = 0;

	if (fd == -1)
		return err_sys(e, "open '%s'", path);
	while ((n = file_read(fd, g->block, BLOCK, e)) > 0) {
		for (size_t at = 0; at + PG_PAGE <= (size_t)n; at += PG_PAGE, number++) {
			g->looked++;
			if (pg_page_check(g->block + at, number, UINT64_MAX) == PG_PAGE_BAD &&
			    g->bad++ < PAGES_SHOWN)
				prove_pg_wrong(g->p,
				    "page %" PRIu32 " of '%s' has a wrong checksum", number, name);
		}
		if (g->p->w->stop(g->p->w->arg)) {
			n = err_set(e, ERR_CANCELLED, "stopped");
			break;
		}
	}
	close(fd);
	return n == -1 ? -1 : 0;
}

int
prove_pg_pages(struct prove *p, struct err *e)
{
	struct pages g = { .p = p };
	char *const roots[] = { p->data, NULL };
	const size_t skip = strlen(p->data) + 1;
	FTS *fts;
	char sound[40];
	FTSENT *f;
	int rc = 0;

	if (!p->report->database.checksums) {
		leave_out(p, "pages", "the server has no page checksums");
		return 0;
	}
	/* Tablespaces are links, and are followed. */
	fts = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL);
	if (!fts)
		return err_sys(e, "walk '%s'", p->data);
	g.block = xmalloc(BLOCK);
	p->w->progress(p->w->arg, "checking pages", 0, 0);
	while (rc == 0 && (f = fts_read(fts)) != NULL)
		if (f->fts_info == FTS_F && strlen(f->fts_path) > skip &&
		    pg_page_is_relation(f->fts_path + skip, strlen(f->fts_path + skip)))
			rc = check_file(&g, f->fts_path, f->fts_path + skip, e);
	fts_close(fts);
	free(g.block);
	if (g.bad > PAGES_SHOWN)
		prove_pg_wrong(p, "%" PRIu64 " pages in all have wrong checksums", g.bad);
	if (rc == 0 && g.bad == 0) {
		snprintf(sound, sizeof(sound), "%" PRIu64 " sound", g.looked);
		looked(p, "pages", sound);
	}
	prove_pg_took(p, "pages_ms");
	return rc;
}
