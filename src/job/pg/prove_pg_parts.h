#ifndef JOB_PROVE_PG_PARTS_H
#define JOB_PROVE_PG_PARTS_H

#include <limits.h>

#include "job/pg/prove_pg.h"
#include "source/pg/pg_server.h"

/*
 * What prove_pg.c (the order of things, the evidence) and prove_pg_checks.c (what is asked of the
 * server) share.
 */
#define PROVE_PHASES 8
struct prove_phase {
	const char *name; /* "restore_ms": a literal */
	int64_t ms;
};

struct prove {
	struct session *s;
	const struct watch *w;
	const char *dir;
	char *data; /* dir/data */
	char bin[PATH_MAX];
	struct restore_report *report;
	const struct conf_source *source; /* NULL: not configured */
	struct program_user user;
	struct err stand_in; /* kind set: the user that should have been is not here */
	struct pg_server *server;
	uint64_t end; /* where its recovery ended */

	struct prove_phase phase[PROVE_PHASES];
	size_t phases;
	int64_t mark_ns; /* when the last phase ended */
	struct buf checks; /* lines for the evidence: what was looked at, and what not */
	struct buf asked;   /* what was looked at and found right, for people */
	struct err wrong;
	unsigned wrongs;
	struct err unasked; /* kind set: check-sql is none that the server can answer */
};

/* The phase that ends now. */
void prove_pg_took(struct prove *p, const char *phase);
/* Something is not as it should be; the proof goes on and fails at its end. */
void prove_pg_wrong(struct prove *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- prove_pg_checks.c ---- */

/* "shared_preload_libraries=..." with those that are on this host; the caller frees. */
char *prove_pg_libraries(struct prove *p);
/* Each: 0 looked at or left out with a note, whatever was found; -1 the proof cannot go on. */
int prove_pg_sql(struct prove *p, struct err *e);
int prove_pg_amcheck(struct prove *p, struct err *e);
/* The server is down. */
int prove_pg_pages(struct prove *p, struct err *e);

#endif
