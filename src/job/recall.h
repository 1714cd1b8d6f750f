#ifndef JOB_RECALL_H
#define JOB_RECALL_H

#include "job/session.h"
#include "job/watch.h"
#include "repo/newest.h"

/* What this host remembers of the newest snapshots on the tiers (repo/newest.h), for the jobs. */

typedef void recall_missing(void *arg, struct tier *t, const struct newest_missing *m);
/*
 * Calls back for each snapshot that was the newest on a tier and is missing there. t NULL: every
 * tier that answers; source NULL: every source that is remembered. A tier that is away says
 * nothing; what else cannot be judged is a warning. Needs no key unless something is missing: what
 * was let go of by a signed record (record_let_go()) is forgotten and not missed, a newer snapshot
 * outlives it only when it opens and is signed, and the repository is opened to see.
 */
void recall_each(struct session *s, struct tier *t, const char *source, const struct watch *w,
    recall_missing *seen, void *arg);
/* The same as warnings. */
void recall_warn(struct session *s, struct tier *t, const char *source, const struct watch *w);
/* Which was the newest there, as far as this host knows; "" when it knows of none. */
void recall_newest(const struct session *s, const struct tier *t, const char *source, char id[96]);
/* That snapshot is on that tier. Failing to remember is a warning. */
void recall_put(struct session *s, const struct tier *t, const char *id, uint64_t sequence,
    const struct watch *w);
/* A person let go of that snapshot there, or with id NULL of the source. */
void recall_forget(struct session *s, const struct tier *t, const char *source, const char *id,
    const struct watch *w);

#endif
