/*
 * The watch of nobody: what a job gets when it runs inside another one or inside a test. So every
 * job may call its watch without asking whether there is one.
 */
#include "job/watch.h"

#include <stddef.h>

static void
no_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)what;
	(void)done;
	(void)total;
}

static void
no_event(void *arg, const char *kind, const char *text)
{
	(void)arg;
	(void)kind;
	(void)text;
}

static bool
no_stop(void *arg)
{
	(void)arg;
	return false;
}

const struct watch watch_none = { no_progress, no_progress, no_event, no_stop, NULL, false };
