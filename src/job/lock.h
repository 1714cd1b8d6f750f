#ifndef JOB_LOCK_H
#define JOB_LOCK_H

#include "base/err.h"

/*
 * One run of its kind at a time on this host: the file `state`/lock/<verb>.<source>, locked, with
 * the number of the process in it.
 */

/*
 * The descriptor that holds it, until it is closed or the process ends: so a crash leaves nothing
 * locked. -1: ERR_BUSY another run holds it, and the message says which and the way out; any other
 * kind: nothing can be kept in `state`. A file system without locks says yes to all.
 */
int lock_take(const char *state, const char *verb, const char *source, struct err *e);

#endif
