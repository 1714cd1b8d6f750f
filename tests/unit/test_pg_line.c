#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "source/pg/pg_line.h"

#define MOST 6

/* A timeline with its ancestors as "1@100 2@200"; "?" is a history that cannot be read. */
struct given {
	uint32_t timeline;
	const char *way;
	uint64_t end;
};

struct row {
	const char *what;
	struct given line[MOST];
	uint32_t wanted, active, seen[2];
	enum pg_line_answer answer;
	uint32_t chosen;
	const char *roles; /* p part, t tail, o other, r rival; one for each line */
};

static const struct row rows[] = {
	{ "a server that never failed over", { { 1, "", 500 } }, 0, 1, { 0 }, PG_LINE_CHOSEN, 1, "p" },
	{ "the same when nobody knows who is active", { { 1, "", 500 } }, 0, 0, { 0 },
	    PG_LINE_CHOSEN, 1, "p" },
	{ "nothing at all", { { 0 } }, 0, 1, { 0 }, PG_LINE_NONE, 0, "" },

	/* A failover that was told. */
	{ "the old primary had shipped more", { { 1, "", 150 }, { 2, "1@100", 300 } }, 0, 2, { 0 },
	    PG_LINE_CHOSEN, 2, "tp" },
	{ "nothing of the new one is there yet but its history",
	    { { 1, "", 100 }, { 2, "1@100", 0 } }, 0, 2, { 0 }, PG_LINE_CHOSEN, 2, "pp" },
	{ "not even that", { { 1, "", 100 } }, 0, 2, { 0 }, PG_LINE_CHOSEN, 1, "p" },
	{ "its history is lost", { { 1, "", 100 }, { 2, "?", 300 } }, 0, 2, { 0 }, PG_LINE_UNREAD, 2,
	    "pp" },
	{ "three in a row", { { 1, "", 100 }, { 2, "1@100", 200 }, { 3, "1@100 2@200", 300 } }, 0, 3,
	    { 0 }, PG_LINE_CHOSEN, 3, "ppp" },

	/* A copy was promoted and pushes. */
	{ "the primary goes on", { { 1, "", 400 }, { 2, "1@100", 900 } }, 0, 1, { 0 },
	    PG_LINE_CHOSEN, 1, "po" },
	{ "it has pushed its history alone", { { 1, "", 400 }, { 2, "1@100", 0 } }, 0, 1, { 0 },
	    PG_LINE_CHOSEN, 1, "po" },
	{ "a copy of a copy", { { 1, "", 400 }, { 2, "1@100", 200 }, { 3, "1@100 2@200", 300 } }, 0, 1,
	    { 0 }, PG_LINE_CHOSEN, 1, "ppo" },
	{ "a copy beside a failover",
	    { { 1, "", 150 }, { 2, "1@50", 900 }, { 3, "1@100", 300 } }, 0, 3, { 0 },
	    PG_LINE_CHOSEN, 3, "top" },
	{ "a damaged history of a number nobody has", { { 1, "", 400 }, { 9, "?", 0 } }, 0, 1, { 0 },
	    PG_LINE_CHOSEN, 1, "po" },
	{ "with WAL", { { 1, "", 400 }, { 9, "?", 700 } }, 0, 1, { 0 }, PG_LINE_CHOSEN, 1, "po" },

	/* Somebody took over, and the coordination place was not told. */
	{ "the active one ends at the fork", { { 1, "", 100 }, { 2, "1@100", 300 } }, 0, 1, { 0 },
	    PG_LINE_UNTOLD, 0, "rr" },
	{ "before it", { { 1, "", 90 }, { 2, "1@100", 300 } }, 0, 1, { 0 }, PG_LINE_UNTOLD, 0, "rr" },
	{ "with no WAL at all", { { 2, "1@100", 0 }, { 3, "1@100 2@200", 300 } }, 0, 2, { 0 },
	    PG_LINE_UNTOLD, 0, "rr" },
	{ "a history alone takes nothing over", { { 1, "", 100 }, { 2, "1@100", 0 } }, 0, 1, { 0 },
	    PG_LINE_CHOSEN, 1, "po" },
	{ "a base backup was made behind the fork", { { 1, "", 400 }, { 2, "1@100", 300 } }, 0, 1,
	    { 1, 2 }, PG_LINE_UNTOLD, 0, "rr" },

	/* Nobody knows who is active. */
	{ "nothing is behind the fork", { { 1, "", 100 }, { 2, "1@100", 300 } }, 0, 0, { 0 },
	    PG_LINE_CHOSEN, 2, "pp" },
	{ "both go on", { { 1, "", 101 }, { 2, "1@100", 300 } }, 0, 0, { 0 }, PG_LINE_DOUBT, 0, "rr" },
	{ "both go on, but the active one was on the newer", { { 1, "", 101 }, { 2, "1@100", 300 } },
	    0, 0, { 1, 2 }, PG_LINE_CHOSEN, 2, "tp" },
	{ "it was seen before the fork, which says nothing",
	    { { 1, "", 101 }, { 2, "1@100", 300 } }, 0, 0, { 1, 1 }, PG_LINE_DOUBT, 0, "rr" },
	{ "it was seen where there is no way", { { 1, "", 100 }, { 2, "1@100", 300 } }, 0, 0, { 7 },
	    PG_LINE_CHOSEN, 2, "pp" },
	{ "two from one point", { { 1, "", 100 }, { 2, "1@100", 300 }, { 3, "1@90", 200 } }, 0, 0,
	    { 0 }, PG_LINE_DOUBT, 0, "prr" },
	{ "one of two has WAL", { { 1, "", 100 }, { 2, "1@100", 0 }, { 3, "1@90", 200 } }, 0, 0, { 0 },
	    PG_LINE_CHOSEN, 3, "top" },
	{ "histories alone: the one that was left last",
	    { { 1, "", 100 }, { 2, "1@90", 0 }, { 3, "1@100", 0 } }, 0, 0, { 0 }, PG_LINE_CHOSEN, 3,
	    "pop" },
	{ "a history that promises nothing", { { 1, "", 400 }, { 2, "1@100", 0 } }, 0, 0, { 0 },
	    PG_LINE_CHOSEN, 1, "po" },
	{ "WAL of which nobody knows where it comes from", { { 1, "", 400 }, { 9, "?", 700 } }, 0, 0,
	    { 0 }, PG_LINE_DOUBT, 0, "rr" },
	{ "a damaged history without WAL", { { 1, "", 400 }, { 9, "?", 0 } }, 0, 0, { 0 },
	    PG_LINE_CHOSEN, 1, "po" },

	/* Somebody decides. */
	{ "for the other one", { { 1, "", 400 }, { 2, "1@100", 900 } }, 2, 1, { 0 }, PG_LINE_CHOSEN, 2,
	    "tp" },
	{ "in doubt", { { 1, "", 400 }, { 2, "1@100", 900 } }, 1, 0, { 0 }, PG_LINE_CHOSEN, 1, "po" },
	{ "for one that is not there", { { 1, "", 400 } }, 7, 1, { 0 }, PG_LINE_ABSENT, 0, "p" },
	{ "for one that cannot be read", { { 1, "", 400 }, { 9, "?", 700 } }, 9, 1, { 0 },
	    PG_LINE_UNREAD, 9, "pp" },
};

static void
fill(struct pg_line *l, const struct given *g)
{
	const char *at = g->way;
	unsigned tli, end;
	int n;

	pg_history_init(&l->history, g->timeline);
	l->end = g->end;
	l->unread = strcmp(g->way, "?") == 0;
	for (; !l->unread && sscanf(at, "%u@%u%n", &tli, &end, &n) == 2; at += n) {
		l->history.step = xreallocarray(l->history.step, l->history.count + 1,
		    sizeof(*l->history.step));
		l->history.step[l->history.count++] = (struct pg_history_step){ tli, end };
	}
}

static void
each_row_of_the_table_is_decided_as_it_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct pg_line line[MOST] = { 0 };
		enum pg_line_role role[MOST];
		struct pg_line_world w = { .line = line, .wanted = r->wanted, .active = r->active,
			.seen = r->seen };
		char got[MOST + 1] = "";
		enum pg_line_answer answer;
		size_t chosen;

		while (w.seens < ARRAY_LEN(r->seen) && r->seen[w.seens] > 0)
			w.seens++;
		for (; w.lines < MOST && r->line[w.lines].timeline > 0; w.lines++)
			fill(&line[w.lines], &r->line[w.lines]);
		answer = pg_line_choose(&w, &chosen, role);
		for (size_t k = 0; k < w.lines; k++)
			got[k] = "ptor"[role[k]];
		if (answer != r->answer || strcmp(got, r->roles) != 0 ||
		    (chosen == SIZE_MAX ? 0 : line[chosen].history.timeline) != r->chosen)
			fail_msg("'%s': answer %d, roles %s, chosen %zd", r->what, (int)answer, got,
			    (ssize_t)chosen);
		for (size_t k = 0; k < w.lines; k++)
			pg_history_done(&line[k].history);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_of_the_table_is_decided_as_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
