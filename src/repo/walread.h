#ifndef REPO_WALREAD_H
#define REPO_WALREAD_H

#include "base/lsn.h"
#include "repo/piece.h"
#include "repo/spool_dir.h"
#include "repo/wal_lineage.h"

/*
 * Reading WAL back, from several tiers and the spool together, through the lineage of epochs. The
 * one question everything turns on is whether bytes are absent or only not to be had now: "absent"
 * is said only when every tier asked answered its listing in full.
 *
 * A reader belongs to one thread.
 */
struct walread_options {
	const struct repo *repo;
	struct tier *const *tier; /* who is asked, in this order; borrowed, as all here */
	size_t tiers;
	const struct spool_dir *spool; /* NULL: none */
	struct wal_place place; /* the epoch that is read; its parents are found from there */
};

struct walread;
/* ERR_CORRUPT, ERR_KEY when a `from` cannot be believed. A tier that is away is no error here. */
int walread_new(const struct walread_options *o, struct walread **ret, struct err *e);
void walread_free(struct walread *r);

/*
 * One segment of a timeline into out (emptied first; its limit must allow segment_size):
 *
 *	1   all of it
 *	0   proven: there is only [start, *until), and nothing behind it in this segment
 *	-1  a tier did not answer and the rest does not have it all (its kind, mostly ERR_REMOTE);
 *	    pieces that overlap and disagree, none of the copies good, a hole with more behind it
 *	    (ERR_CORRUPT, naming the objects or the range)
 *
 * *until is in any case the end of what lies in out without a hole: out->len bytes. Tiers are asked
 * one after the other until the segment is whole, those that did not answer lately last, then the
 * spool. All pieces that are read and overlap are compared byte for byte.
 */
int walread_segment(struct walread *r, uint32_t tli, uint64_t start, uint64_t segment_size,
    struct buf *out, uint64_t *until, struct err *e);

/*
 * The same on top of what is known of its beginning (borrowed): the bytes before the fork of a timeline
 * are its parent's. Where pieces hold them, too, they are compared.
 */
int walread_segment_upon(struct walread *r, uint32_t tli, uint64_t start, uint64_t segment_size,
    const struct buf *known, struct buf *out, uint64_t *until, struct err *e);

/*
 * Does anybody asked have WAL of that timeline that begins at `from` or behind it? Then what is missing
 * before it is a hole and not the end of the log. 1, 0 nobody, -1 somebody does not answer. Costs one
 * two short listings of each tier.
 */
int walread_behind(struct walread *r, uint32_t tli, uint64_t from, struct err *e);
/*
 * Where pieces of the last segment were seen to disagree, or a byte before; 0: nowhere. Then it is
 * two histories, and not damage.
 */
uint64_t walread_parted(const struct walread *r);

/* The server's history file of a timeline, appended: 1; 0 proven absent; -1. */
int walread_history(struct walread *r, uint32_t tli, struct buf *out, struct err *e);

/*
 * Every object of that timeline in that very epoch which may have a byte at `from` or behind it: its
 * pieces in order, then its bundles in order, among whatever else has such a name. The one place that
 * knows where the log may lie on a tier.
 */
int walread_each(struct tier *t, const struct wal_place *p, uint32_t tli, uint64_t from,
    store_seen *seen, void *arg, struct err *e);
/*
 * The same of every epoch of the lineage that is known and was not left before `from`: each name of the
 * log with what it promises, cut where its epoch was left. what: pieces, bundles, or both.
 */
enum { WALREAD_PIECES = 1, WALREAD_BUNDLES = 2 };
typedef int walread_seen(void *arg, const struct store_entry *entry, const struct layout_wal *at,
    struct err *e);
int walread_log(struct walread *r, struct tier *t, uint32_t tli, uint64_t from, int what,
    walread_seen *seen, void *arg, struct err *e);
/*
 * What one tier holds of a timeline, parents included, joined: by listing, with memory for the
 * ranges alone. Added to ret. Whether the bytes are good is not looked at. -1 also when the lineage
 * is not known to its end.
 */
int walread_ranges(struct walread *r, struct tier *t, uint32_t tli, struct lsn_set *ret,
    struct err *e);
/* The same of the spool (without one: nothing). */
int walread_spool_ranges(struct walread *r, uint32_t tli, struct lsn_set *ret, struct err *e);
/* The end of what that tier holds from `from` on without a hole; `from` when it is not there. */
int walread_frontier(struct walread *r, struct tier *t, uint32_t tli, uint64_t from,
    uint64_t *ret, struct err *e);

/* ---- what there is to be read ---- */

struct walread_timelines {
	uint32_t *tli; /* in order */
	size_t count;
};
/* Timelines with pieces, bundles or a history on that tier, in the lineage. free(ret->tli) in any case. */
int walread_timelines(struct walread *r, struct tier *t, struct walread_timelines *ret,
    struct err *e);
/* The end of the newest bytes a tier has, and their timeline: 1; 0 it has none; -1. */
int walread_newest(struct walread *r, struct tier *t, uint32_t *tli, uint64_t *end, struct err *e);

struct walread_places {
	struct wal_place *place; /* by system id, then epoch */
	size_t count;
};
/* Every system id and epoch a tier has something of. free(ret->place) in any case. */
int walread_places(struct tier *t, const char *source, struct walread_places *ret, struct err *e);

#endif
