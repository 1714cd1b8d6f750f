#ifndef JOB_PG_WORLD_PARTS_H
#define JOB_PG_WORLD_PARTS_H

#include "job/pg_world.h"

/* What pg_world.c and pg_world_scan.c share: the second reads the log. */

/* Sets last, last_end and frontier_ns by the records before the frontier. */
int pg_world_last(struct pg_world *w, struct err *e);
/* Times on both sides of a gap, as far as they can be learned. */
void pg_world_times(struct pg_world *w, struct pg_target_gap *gap);

#endif
