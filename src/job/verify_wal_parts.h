#ifndef JOB_VERIFY_WAL_PARTS_H
#define JOB_VERIFY_WAL_PARTS_H

/* Of verify_wal and its parts only. */

#include "job/verify_wal.h"
#include "job/wal/wal_source.h"
#include "repo/manifest.h"
#include "repo/snapshot.h"
#include "repo/wal_gap.h"
#include "repo/walread.h"

enum verify_wal_seen {
	VERIFY_WAL_NO_TURN,
	VERIFY_WAL_GOOD, /* or it is by now */
	VERIFY_WAL_FROZEN, /* nothing of it was read */
	VERIFY_WAL_GONE, /* since it was listed */
	VERIFY_WAL_BAD,
};
struct verify_wal_name {
	char text[LAYOUT_NAME];
	enum verify_wal_seen seen;
};
/* What a base backup itself needs. */
struct verify_wal_need {
	char id[96];
	char name[LAYOUT_NAME]; /* "": none. It was worked out what it needs, or some is missing */
	uint32_t tli; /* what it needs of that object; others may have the same bytes */
	uint64_t from, to;
	bool bad;
};
/* One source on one tier. */
struct verify_wal {
	struct session *s;
	struct tier *t;
	const struct verify_options *o;
	const struct watch *w;
	struct verify_report *report;
	struct verify_wal *next;
	char source[64];
	struct tier *open[WAL_SOURCE_TIERS]; /* t first */
	size_t opens;
	struct wal_gaps gaps;
	uint32_t segment_size;
	/* pieces that are needed */
	struct verify_wal_name *name;
	size_t names, room;
	struct verify_wal_need *own;
	size_t owns, own_room;
	/* of the need in hand */
	struct wal_place place;
	struct wal_lineage lineage;
	struct walread *read;	/* all tiers */
	struct walread *others; /* all but t */
	const char *id;		/* the snapshot that needs it; "": points in time do */
};

/* `rc` 0: mended; -1 and repair->kind ERR_NONE: not tried. Then it is bad for p->id, too. */
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
/* Behind that: one by its name, NULL: it is none of them; and the proof of one. */
struct verify_wal_name *verify_wal_at(struct verify_wal *p, const char *name);
int verify_wal_prove(struct verify_wal *p, struct verify_wal_name *n, struct err *e);

/* verify_wal_own.c: the base backup p->id, where there is one, needs that; its id is filled in. */
void verify_wal_needs(struct verify_wal *p, const struct verify_wal_need *need);
/* verify_wal.c: works out what one needs that was not there, or not readable, when the others were seen. */
int verify_wal_late(struct verify_wal *p, const struct snapshot *snap, const struct manifest *m,
    struct err *e);
/* Names that were added find their places. */
void verify_wal_sort(struct verify_wal *p);

#endif
