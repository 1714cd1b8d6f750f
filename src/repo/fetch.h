#ifndef REPO_FETCH_H
#define REPO_FETCH_H

#include "repo/reader.h"

/*
 * Restore, pack by pack: the caller adds every stretch it wants, then fetch_run() gets each pack
 * once, opens each wanted frame once, checks every grain against the id the map gave, and hands the
 * bytes to the target. The plan is bounded: beyond FETCH_PLAN_MAX it is spilled to unlinked files
 * in `spill_dir`.
 */
#define FETCH_PLAN_MAX (32u << 20)

struct fetch;

/*
 * Bytes for one place of a file. Where the place is a multiple of FETCH_ALIGN, so is `data`, if the
 * bytes are the first of a frame: as they are when they are many.
 */
#define FETCH_ALIGN 4096
struct fetch_piece {
	uint64_t off;
	const uint8_t *data;
	size_t n;
};

struct fetch_target {
	/*
	 * Called from several threads at once for different stretches: `file` is what the caller
	 * gave to fetch_add (an offset into its own table of names, say). A stretch that was added
	 * comes in one piece, alone or with its neighbours.
	 */
	int (*write)(void *arg, uint64_t file, const struct fetch_piece *piece, size_t pieces,
	    struct err *e);
	/*
	 * No tier has that stretch of the file; the others go on. Called in the owner's thread,
	 * once a stretch. NULL: the first such ends the fetch. A tier that does not answer ends it
	 * always: it may have the bytes.
	 */
	void (*lost)(void *arg, uint64_t file, const struct err *why);
	/* Called in the owner's thread now and then; may be NULL. */
	void (*progress)(void *arg, uint64_t done_bytes);
	void *arg;
};

/* workers: processors to use; as many threads again wait for the target. 0: none. */
struct fetch *fetch_new(struct reader *r, const char *spill_dir, unsigned workers);
/* Another bound for the plan than FETCH_PLAN_MAX, from now on; at least one stretch is kept. */
void fetch_bound(struct fetch *f, size_t bytes);
/*
 * raw_bytes: how long the stretch is by the size of its file; grains that have another length are
 * not its contents. 0: not known, and then any will do.
 */
int fetch_add(struct fetch *f, uint64_t file, const struct reader_run *run, uint64_t raw_bytes,
    struct err *e);
uint64_t fetch_wanted(const struct fetch *f); /* raw bytes added so far */
int fetch_run(struct fetch *f, const struct fetch_target *t, struct err *e);
void fetch_free(struct fetch *f);

#endif
