/*
 * Who sits at a terminal is asked before anything is ordered that costs money; who does not has said so
 * beforehand, or nothing is ordered. The job has told the sum when it comes here.
 */
#include "cmd/thawing.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/output.h"
#include "job/cold.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define DAYS_MOST 365
#define ANSWER_MOST 80

/* Ctrl-C is an answer, too: it ends poll(). */
static int
ask(void *arg)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char answer[ANSWER_MOST];
	ssize_t n;

	(void)arg;
	fputs("ffdr: order that? [y/N] ", stderr);
	fflush(stderr);
	if (poll(&in, 1, -1) != 1)
		return 0;
	n = read(STDIN_FILENO, answer, sizeof(answer));
	return n > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

int
thawing_wish(const struct thawing_opts *o, struct thaw_wish *ret, struct err *e)
{
	const bool person = isatty(STDIN_FILENO) && isatty(STDERR_FILENO) && !output_is_json() &&
	    !output_is_quiet();

	if (o->speed && strcmp(o->speed, "expedited") != 0 && strcmp(o->speed, "standard") != 0 &&
	    strcmp(o->speed, "bulk") != 0)
		return err_set(e, ERR_USAGE, "--thaw %s: expected expedited, standard or bulk", o->speed);
	if (o->keep_ms != 0 && (o->keep_ms < DAY_MS || o->keep_ms > DAYS_MOST * DAY_MS))
		return err_set(e, ERR_USAGE, "--thaw-keep: expected 1d to %dd", DAYS_MOST);
	*ret = (struct thaw_wish){
		.speed = o->speed, .days = cold_days(o->keep_ms), .yes = o->yes, .no_wait = o->no_wait,
		.ask = person ? ask : NULL,
	};
	return 0;
}
