#ifndef JOB_VERIFY_WAL_PARTS_H
#define JOB_VERIFY_WAL_PARTS_H

/* Of verify_wal and its parts only. */

#include "job/verify.h"
#include "job/verify_frozen.h"
#include "job/wal/wal_source.h"
#include "repo/wal_gap.h"
#include "repo/walread.h"

struct verify_wal_name {
	char text[LAYOUT_NAME];
	bool looked; /* at it in this run */
	bool frozen; /* and nothing of it was read */
};
/* One source on one tier. */
struct verify_wal {
	struct session *s;
	struct tier *t;
	const struct verify_options *o;
	const struct watch *w;
	struct verify_report *report;
	struct verify_frozen *unread; /* what base backups need, as it is found; those that are read go */
	const char *source;
	struct tier *open[WAL_SOURCE_TIERS]; /* t first */
	size_t opens;
	struct wal_gaps gaps;
	uint32_t segment_size;
	/* pieces that are needed */
	struct verify_wal_name *name;
	size_t names, room;
	/* of the need in hand */
	struct wal_place place;
	struct wal_lineage lineage;
	struct walread *read;	/* all tiers */
	struct walread *others; /* all but t */
	const char *id;		/* the snapshot that needs it; "": points in time do */
};

/* `rc` 0: mended; -1 and repair->kind ERR_NONE: not tried. */
void verify_wal_find(struct verify_wal *p, const char *object, const struct err *why, int rc,
    const struct err *repair);

/* verify_wal_mend.c */

/* The tiers as readers of that place, until the next call. */
int verify_wal_open(struct verify_wal *p, const struct wal_place *place, struct err *e);
void verify_wal_close(struct verify_wal *p);
/*
 * The bytes of that range, from other tiers as pieces of our own; `bad` (or NULL) is what stands in
 * their place, and is set aside.
 */
int verify_wal_mend(struct verify_wal *p, uint32_t tli, uint64_t from, uint64_t to, const char *bad,
    struct err *e);

/* verify_wal_piece.c: those in `name` are proved, from where the last run under a budget ended. */
int verify_wal_pieces(struct verify_wal *p, int64_t end_ns, struct err *e);
/* Then: of p->unread from `from` on, only what was frozen stays, and what may be and was not looked at. */
void verify_wal_unread(struct verify_wal *p, size_t from);

#endif
