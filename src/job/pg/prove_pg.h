#ifndef JOB_PROVE_PG_H
#define JOB_PROVE_PG_H

#include "job/rehearse.h"

/*
 * A backup of a database is proved by starting it: restored into `dir` (there and empty, its
 * owner's to change), replayed to the frontier, asked. The server is gone when this returns. *ret
 * is the report of the restore, with lines and facts for what was proved and how long it took.
 *
 * ERR_CORRUPT: what was found wrong, one line each. Any other kind: it cannot be proved here and now,
 * and why.
 */
int prove_pg_run(struct session *s, const struct rehearse_options *o, const char *dir,
    const struct watch *w, struct restore_report *ret, struct buf *proof, struct err *e);

#endif
