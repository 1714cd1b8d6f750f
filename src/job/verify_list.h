#ifndef JOB_VERIFY_LIST_H
#define JOB_VERIFY_LIST_H

#include "job/session.h"
#include "job/watch.h"

/*
 * Everything of a snapshot on one tier but its bytes: list, maps, ids (repo/prove.h), and that the
 * list is one that a restore takes. ERR_CORRUPT names the path; ERR_CANCELLED.
 */
int verify_list(struct session *s, struct tier *t, const char *snap, const struct watch *w,
    struct err *e);

#endif
