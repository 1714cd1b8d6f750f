#ifndef JOB_WAL_COPY_PARTS_H
#define JOB_WAL_COPY_PARTS_H

#include "job/wal/wal_copy.h"
#include "job/wal/wal_copy_bundle.h"
#include "job/wal/wal_source.h"
#include "repo/walread.h"

/* What wal_copy.c and wal_copy_bundle.c share. */
struct wal_copying {
	struct session *s;
	struct tier *to;
	const struct watch *w;
	struct wal_copy_report *report;
	const struct wal_copy_need *need; /* nothing is copied, it is only told; or NULL */
	struct wal_place place;
	struct tier *open[WAL_SOURCE_TIERS]; /* `to` first */
	size_t opens;
	struct wal_lineage lineage;
	struct walread *read;
	bool shipped; /* a receiver brings the newest */
	bool cold;    /* pieces go to the target in bundles */
	int64_t hold_ns; /* an unfinished bundle waits until its oldest piece is so old */
};
int wal_copy_go_on(struct wal_copying *c, struct err *e); /* -1: somebody asked to stop */
void wal_copy_was_sent(struct wal_copying *c, uint64_t bytes);

/* Puts n pieces, which join, together. */
int wal_copy_bundle_send(struct wal_copying *c, const struct wal_copy_item *item, size_t n,
			 struct err *e);
/* A bundle that another tier has: as it is, or to a tier that has pieces those of [from, to). */
int wal_copy_bundle_pass(struct wal_copying *c, const struct wal_copy_item *item, uint64_t from,
			 uint64_t to, struct err *e);

#endif
