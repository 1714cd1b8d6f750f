#ifndef SOURCE_PG_LINE_H
#define SOURCE_PG_LINE_H

#include "source/pg/pg_history.h"

/*
 * Which way through the timelines is the database, and which were gone by its copies? An archive
 * cannot tell: every copy that was promoted looks like a failover. So who is active decides, and where
 * that is not known, only what leaves no doubt. Pure.
 */
struct pg_line {
	struct pg_history history; /* of this timeline; with `unread` nothing but its number */
	bool unread;		   /* its history is missing or damaged */
	uint64_t end;		   /* of its WAL; 0: there is none of it */
};

struct pg_line_world {
	const struct pg_line *line; /* every timeline that there is WAL or a history of, once */
	size_t lines;
	uint32_t wanted; /* what somebody has decided for; 0: nobody */
	uint32_t active; /* by the coordination place; 0: not known */
	/* Timelines that the active server is known to have been on: by base backups and samples. */
	const uint32_t *seen;
	size_t seens;
};

enum pg_line_answer {
	PG_LINE_CHOSEN,
	PG_LINE_NONE,	/* there is nothing to choose from */
	PG_LINE_ABSENT, /* the one that is wanted is not there */
	PG_LINE_UNREAD, /* its way is not known: no history */
	PG_LINE_DOUBT,	/* several might be it, and nobody says which is active */
	/*
	 * Another line goes on where the active one ends: a failover that the coordination place was
	 * not told of, or a copy of a server that rests.
	 */
	PG_LINE_UNTOLD,
};

/* What a timeline is, seen from the one that was chosen. */
enum pg_line_role {
	PG_LINE_PART,  /* on the way, or of no importance */
	PG_LINE_TAIL,  /* on the way, with WAL behind the point where it was left */
	PG_LINE_OTHER, /* another line, with WAL or a history */
	PG_LINE_RIVAL, /* no line was chosen, and this is one of those it could be */
};

/*
 * *chosen: index of the last timeline of the line, also where it is PG_LINE_UNREAD. role: as many as
 * there are lines.
 */
enum pg_line_answer pg_line_choose(
    const struct pg_line_world *w, size_t *chosen, enum pg_line_role *role);

#endif
