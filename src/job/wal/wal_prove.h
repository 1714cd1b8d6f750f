#ifndef JOB_WAL_PROVE_H
#define JOB_WAL_PROVE_H

#include "job/pg/pg_facts.h"
#include "repo/layout_wal.h"
#include "repo/repo.h"
#include "store/tier.h"

/* The WAL that a base backup cannot be restored without: from its start to its end, along the
 * timelines. */
struct wal_prove_range {
	uint32_t start_tli, stop_tli;
	uint64_t start, stop;
};

/*
 * Reads all of it back from that tier alone, as a restore would, with the history of its timeline.
 * ERR_CORRUPT says from where on it is missing.
 */
int wal_prove(struct repo *repo, struct tier *t, const struct wal_place *p, uint64_t segment_size,
	      const struct wal_prove_range *r, struct err *e);
/* The same of a base backup, by what its manifest says. */
int wal_prove_base(struct repo *repo, struct tier *t, const char *source, const struct pg_facts *f,
		   struct err *e);

#endif
