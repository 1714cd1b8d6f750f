#ifndef CMD_THAWING_H
#define CMD_THAWING_H

#include <stddef.h>

#include "base/opt.h"
#include "job/thaw.h"

/* Options of what may have to read from an archive: a member of its struct, rows of its table. */
struct thawing_opts {
	const char *speed;
	int64_t keep_ms;
	bool yes, no_wait;
};
#define THAWING_ROWS(type, member)                                                                  \
	{ "yes-thaw", 0, OPT_FLAG, offsetof(struct type, member.yes), NULL,                         \
	    "order back what lies in an archive, whatever it costs; a terminal is asked" },         \
	{ "thaw", 0, OPT_STRING, offsetof(struct type, member.speed), "expedited|standard|bulk",    \
	    "how fast, and at what price; without it, as `thaw` of the tier says" },                \
	{ "thaw-keep", 0, OPT_DURATION, offsetof(struct type, member.keep_ms), "TIME",              \
	    "how long it stays readable, in days; without it, as `thaw-keep` of the tier says" },   \
	{ "no-wait", 0, OPT_FLAG, offsetof(struct type, member.no_wait), NULL,                      \
	    "end once it is ordered, with 75; the same command goes on" }

/* *ret borrows from o. ERR_USAGE. */
int thawing_wish(const struct thawing_opts *o, struct thaw_wish *ret, struct err *e);

#endif
