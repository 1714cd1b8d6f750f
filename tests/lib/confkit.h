#ifndef TESTS_LIB_CONFKIT_H
#define TESTS_LIB_CONFKIT_H

#include "base/err.h"
#include "conf/conf.h"

/* A configuration out of a text, one at a time: what the last confkit_parse() gave. */
#define CONFKIT_NAME "/etc/ffdr/test.ini"
#define CONFKIT_TIER "[tier a]\nurl = file:///srv/a\n"
#define CONFKIT_HOUR INT64_C(3600000)

struct confkit {
	struct conf *c; /* NULL after a refusal */
	struct err e;
};
extern struct confkit confkit;

int confkit_parse(const char *text); /* 0 or -1 */
/* It is refused with exactly that message, which follows the name of the file. */
void confkit_refused(const char *text, const char *want);
int confkit_end(void **state); /* a teardown */

#endif
