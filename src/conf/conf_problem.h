#ifndef CONF_CONF_PROBLEM_H
#define CONF_CONF_PROBLEM_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * What is wrong with a configuration, all of it, in the order of the files and their lines. A
 * person who mends ten mistakes wants to see ten, not the first one ten times.
 */
struct conf_problem {
	char *file;
	unsigned line; /* 0: the file as a whole */
	char *text;
	size_t rank; /* of the file, then when it was found: decides the order */
};

struct conf_problems {
	struct conf_problem *item;
	size_t count, room;
};

void conf_problem_add(struct conf_problems *p, const char *file, unsigned line, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));
/*
 * Sorts, and puts as many lines as fit into e (ERR_CONFIG) and all into `all` (may be NULL).
 * Returns -1, or 0 when there are none.
 */
int conf_problem_report(struct conf_problems *p, struct buf *all, struct err *e);
void conf_problem_done(struct conf_problems *p);

#endif
