#ifndef JOB_WAL_WAL_LOOK_PARTS_H
#define JOB_WAL_WAL_LOOK_PARTS_H

#include "job/wal/wal_look.h"
#include "repo/walread.h"

/* What wal_look.c and wal_look_sample.c share. */
struct wal_looking {
	struct session *s;
	const struct watch *watch;
	struct wal_look *l;
	struct tier *open[WAL_SOURCE_TIERS];
	size_t opens;
	struct wal_lineage lineage;
	struct walread *read;
};

/* Before anything is read of the tier. */
int wal_look_clock(struct wal_look_tier *t, struct err *e);
/* When everything was read: its clock then. */
void wal_look_age(struct wal_look_tier *t);
/* Once its WAL was found: the beat there, the newest sample that is durable, and what is late. */
int wal_look_samples(struct wal_looking *k, struct wal_look_tier *t, struct err *e);

#endif
