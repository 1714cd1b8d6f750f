#ifndef JOB_SESSION_EMPTY_H
#define JOB_SESSION_EMPTY_H

#include "job/session.h"

/*
 * Closes and bars each tier that has nothing at all, and of which this host remembers snapshots: its
 * `why` says so. How many. One that does not answer stays open, and its `why` says that.
 */
size_t session_empty_bar(struct session *s);

#endif
