#ifndef JOB_CHECK_H
#define JOB_CHECK_H

#include <stddef.h>

#include "base/err.h"

/*
 * What was found: a line for each claim of the configuration. `unknown` is what cannot be known now
 * (how often a schedule runs) and is said as such, neither good nor bad.
 */
enum check_verdict { CHECK_OK, CHECK_UNKNOWN, CHECK_WARN, CHECK_FAIL, CHECK_VERDICTS };

struct check_line {
	enum check_verdict verdict;
	char *what; /* "tier local" */
	char *text; /* what was found; may have further labelled lines */
	char *fix;  /* NULL: nothing to do; may have further lines "or" */
};
struct check {
	struct check_line *line;
	size_t count, room;
	size_t verdicts[CHECK_VERDICTS]; /* how many of each */
};

/* "ok", "unknown", "warn", "FAIL" */
const char *check_word(enum check_verdict v);
void check_add(struct check *c, enum check_verdict v, const char *what, const char *fix,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* A line out of an error; its "fix" line, and the "or" lines behind it, become the fix. */
void check_error(struct check *c, enum check_verdict v, const char *what, const struct err *e);
void check_done(struct check *c);

#endif
