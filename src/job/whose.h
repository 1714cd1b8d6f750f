#ifndef JOB_WHOSE_H
#define JOB_WHOSE_H

#include "job/check.h"
#include "job/session.h"
#include "repo/manifest.h"

/*
 * Where a snapshot was captured, when that is another host than this one or, with `path` given,
 * another directory: "was captured on 'b' from '/srv/x', this host is 'a'". NULL: here. The caller
 * frees.
 */
char *whose_other(const struct manifest *m, const char *path);

/* What to do about two hosts that write one source, for a `fix` line. */
#define WHOSE_FIX "where two hosts back it up, give each a name of its own for it; where this " \
	"host took over or was renamed, its next backup settles it"

/* A warning for each source whose newest snapshot on one of its tiers came from another host. */
void whose_check(struct check *c, struct session *s);

#endif
