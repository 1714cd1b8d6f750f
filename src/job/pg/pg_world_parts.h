#ifndef JOB_PG_WORLD_PARTS_H
#define JOB_PG_WORLD_PARTS_H

#include "job/pg/pg_world.h"

/*
 * What the files share: pg_world_way.c decides for an epoch and a timeline, pg_world_scan.c reads the
 * log.
 */

void pg_world_tell(const struct pg_world *w, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void pg_world_drop_base(struct pg_world *w, size_t i);

/* Chooses epoch and timeline, and lets go of the bases of other systems and lineages. */
int pg_world_find_way(struct pg_world *w, const struct pg_world_options *o, struct err *e);
/* NULL: nothing of it is there. */
struct pg_world_line *pg_world_line(struct pg_world *w, uint32_t tli);

/* Sets last, last_end, commit_ns and frontier_ns by the records before the frontier. */
int pg_world_last(struct pg_world *w, struct err *e);
/* The newest commit in the last segment of a timeline; 0: not known. */
int64_t pg_world_newest_commit(struct pg_world *w, const struct pg_world_line *l);
/* Times on both sides of a gap, as far as they can be learned. */
void pg_world_times(struct pg_world *w, struct pg_target_gap *gap);

#endif
