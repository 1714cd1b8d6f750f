#ifndef JOB_WAL_KEEP_H
#define JOB_WAL_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "job/pg/pg_facts.h"
#include "repo/layout_wal.h"
#include "repo/wal_lineage.h"
#include "source/pg/pg_history.h"

/*
 * Which WAL of a source may go, and which base backups may not because of it: pure. What a base
 * backup needs is its future: everything from the start of the segment it begins in, on every
 * timeline and in every epoch that a recovery from it can reach. Names and numbers decide nothing:
 * a higher timeline may be the older one, and the same number in two epochs is two histories.
 */
struct wal_keep_base {
	const char *id;
	struct pg_facts facts;
};

/* An epoch that a base backup or an object is of, with the lineage it reads. */
struct wal_keep_epoch {
	uint64_t sysid;
	uint32_t epoch;
	struct wal_lineage lineage;
};

/* A history file, as it lies in that epoch. */
struct wal_keep_history {
	uint64_t sysid;
	uint32_t epoch;
	struct pg_history history;
};

struct wal_keep {
	const struct wal_keep_base *base; /* that stay */
	size_t bases;
	const struct wal_keep_epoch *epoch; /* every one that is spoken of */
	size_t epochs;
	const struct wal_keep_history *history;
	size_t histories;
	/* Nothing that was stored at this time or later goes; INT64_MAX: age protects nothing. */
	int64_t before_ns;
};

enum wal_keep_reason {
	WAL_KEEP_NEEDED, /* of a base backup that stays */
	WAL_KEEP_YOUNG,
	WAL_KEEP_GO_BEFORE,  /* the base backups of its timeline all begin later */
	WAL_KEEP_GO_NOWHERE, /* no base backup leads to its timeline */
	WAL_KEEP_GO_SYSTEM,  /* there is no base backup of its system */
	WAL_KEEP_REASONS
};

#define WAL_KEEP_NONE SIZE_MAX
/* stored_ns: by the store's clock. *by (may be NULL): the base that needs it, or WAL_KEEP_NONE. */
enum wal_keep_reason wal_keep_judge(const struct wal_keep *k, const struct layout_wal *at,
				    int64_t stored_ns, size_t *by);
bool wal_keep_goes(enum wal_keep_reason r);
const char *wal_keep_text(enum wal_keep_reason r);

/* A timeline with WAL on the tier, and when its last piece was stored there. */
struct wal_keep_timeline {
	struct wal_place place;
	uint32_t tli;
	int64_t newest_ns;
};
/*
 * For each timeline that has WAL of the window, root[] is set for the newest of k->base from which
 * a state at the window's start, of what was to become that timeline, can be restored: it must stay
 * for so long. False when there is none for one of them.
 */
bool wal_keep_roots(const struct wal_keep *k, const struct wal_keep_timeline *t, size_t n,
		    int64_t window_ns, bool *root);

#endif
