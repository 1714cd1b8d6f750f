#ifndef REPO_SPOOL_H
#define REPO_SPOOL_H

#include "repo/spool_dir.h"

/*
 * The writing side of a spool: WAL that was received and is not on all tiers yet, in sealed files
 * in a local directory. What spool_sync() has said 0 to survives a crash and a loss of power. One
 * process writes; a lock in the directory sees to it. Reading is spool_dir.h.
 *
 * A file covers at most one segment and is never appended to by another process than the one that
 * made it, nor after an error: a new file goes on, so that no key is used for two contents.
 */
struct spool_options {
	struct spool_dir dir;	/* path and keys; made (0700) when missing */
	struct wal_place place; /* what is received belongs there; another epoch: open anew */
	uint32_t segment_size;
};

struct spool;
/*
 * Takes the lock and settles what earlier processes left: their files are synced, torn tails cut
 * off. ERR_BUSY when another process has it; ERR_CORRUPT when a file is damaged (spool_dir.h).
 */
int spool_open(const struct spool_options *o, struct spool **ret, struct err *e);
/* What was appended and not synced is dropped: it was never promised. */
void spool_close(struct spool *s);

/* From now on bytes of that timeline come, this one first. What was appended before is synced. */
int spool_start(struct spool *s, uint32_t tli, uint64_t lsn, struct err *e);
/*
 * The next n bytes, which must begin where the last ones ended (lsn says where the caller believes
 * that is; ERR_BUG else). Copied; synced by itself when a segment ends or SPOOL_RECORD bytes wait.
 */
#define SPOOL_RECORD (1u << 20)
int spool_append(struct spool *s, uint64_t lsn, const void *data, size_t n, struct err *e);
/*
 * All that was appended is durable: one write, one sync. After -1 nothing more than before is, the
 * bytes are kept, and the next call tries again with a new file.
 */
int spool_sync(struct spool *s, struct err *e);
/* Where the durable bytes end (of the timeline of spool_start; 0 before it), and the appended. */
uint64_t spool_durable(const struct spool *s);
uint64_t spool_received(const struct spool *s);

/*
 * Removes files whose bytes all lie below that LSN of that epoch and timeline. How many, or -1. The
 * file being written stays.
 */
int spool_cut(struct spool *s, uint32_t epoch, uint32_t tli, uint64_t below, struct err *e);
/* Bytes of WAL held, of every epoch and timeline. */
uint64_t spool_held(const struct spool *s);
/*
 * Where to resume that timeline of our place: the end of what is held without a hole from the
 * first byte held; 0 when nothing is.
 */
uint64_t spool_frontier(const struct spool *s, uint32_t tli);

#endif
