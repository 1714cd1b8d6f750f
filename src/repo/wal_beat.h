#ifndef REPO_WAL_BEAT_H
#define REPO_WAL_BEAT_H

#include "repo/layout_wal.h"
#include "repo/repo.h"

/*
 * Samples: what the primary had written at a moment of the store's clock. Exposure is judged by the
 * newest one whose LSN is durable on a tier. One goes into each piece, the newest is beat/<source>,
 * the one name that is overwritten.
 */
#define WAL_BEAT_HOST 256

struct wal_sample {
	int64_t time_ns;	/* the store's; kept in microseconds, as are all of these */
	uint64_t flush_lsn;	/* of the server */
	int64_t last_commit_ns; /* 0: not known */
	uint64_t commits;	/* running count of the receiver, 0: not known */
};

struct wal_beat {
	struct wal_place place;
	uint32_t tli;
	char host[WAL_BEAT_HOST]; /* who saw it */
	struct wal_sample sample;
};

/*
 * Does that tier have one? Where objects are locked, each of those that are overwritten twice a minute
 * would be kept; and an archive is fed by copies. There its WAL says when the server was heard of.
 */
bool wal_beat_kept(const struct tier *t);
/* Replaces beat/<source> on that tier. */
int wal_beat_put(const struct repo *r, struct store *to, const struct wal_beat *b, struct err *e);
/* 1, 0 there is none on this tier, -1. */
int wal_beat_get(const struct repo *r, struct store *from, const char *source,
    struct wal_beat *ret, struct err *e);

/* The lines of a sample, as in a piece's head: "time", "flush", "last-commit", "commits". */
struct lines;
void wal_beat_sample_text(const struct wal_sample *s, struct buf *out);
int wal_beat_sample_take(struct lines *l, struct wal_sample *ret, struct err *e);

#endif
