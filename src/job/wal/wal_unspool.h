#ifndef JOB_WAL_UNSPOOL_H
#define JOB_WAL_UNSPOOL_H

#include "repo/repo.h"
#include "repo/spool_dir.h"
#include "store/tier.h"

struct wal_unspool {
	const struct repo *repo;
	struct tier *const *tier; /* each must be open */
	size_t tiers;
	struct spool_dir spool;
	struct wal_place place; /* this epoch alone */
	uint32_t segment_size;
	const char *host;
	bool (*stop)(void *arg);
	void *arg;
};
/* All that the spool has of the epoch goes to each of the tiers that lacks it, and waits for it: 0, -1. */
int wal_unspool(const struct wal_unspool *o, struct err *e);

#endif
