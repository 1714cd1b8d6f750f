#ifndef JOB_PG_FACTS_H
#define JOB_PG_FACTS_H

#include <stdbool.h>

#include "repo/manifest.h"

/* Where a base backup stands in the log: what the manifest of a PostgreSQL snapshot says of it. */
struct pg_facts {
	uint64_t sysid, segment_size;
	uint32_t epoch;
	uint32_t start_tli, stop_tli;
	uint64_t start, stop; /* its own WAL is [start, stop) */
	bool standby; /* it was read from one: what it has is older than the moment it was made */
	int64_t stop_ns;  /* when it ended, by the server's clock; where it does not say: ready_ns */
	int64_t ready_ns;     /* from then on it is a state that can be had; the store's clock */
};

/* 1; 0 it is none that can be restored (partial, or of another kind); -1 ERR_CORRUPT. */
int pg_facts_read(const struct manifest *m, struct pg_facts *ret, struct err *e);

#endif
