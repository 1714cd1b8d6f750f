#ifndef REPO_CUT_H
#define REPO_CUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "filter/digest.h"

/*
 * Cuts what a source reads into grains and has their ids computed by workers. Whatever goes in
 * comes out in the same order through one callback in the owner's thread, entries without contents
 * too; so the caller decides everything about an entry in order, long after its bytes were read.
 */
struct cut_memory;
struct cut_grain {
	const uint8_t *data; /* valid during the call; NULL: `zeros` grains of zeros */
	struct cut_memory *memory; /* in which it lies */
	uint32_t len;
	uint64_t zeros;
	uint8_t id[GRAIN_ID_LEN]; /* all zero: the grain is zero */
	uint32_t sum;		  /* proof_grain() of it, unless it is zero */
};

/* What was loaded of an entry (cut_load). */
struct cut_loaded {
	uint64_t bytes;	 /* by load, but for those that were dropped */
	uint64_t padded; /* zeros put behind them */
	bool cut_short;	 /* it ended before what was announced, and was not padded */
};

struct cut_target {
	/* The next grain, or stretch of zero grains, of this entry. */
	int (*grain)(void *arg, void *entry, const struct cut_grain *g, struct err *e);
	/* All of the entry has been seen: it is the target's from here on. */
	int (*end)(void *arg, void *entry, const struct cut_loaded *got, struct err *e);
	/* An entry whose end will never come, because the cut is freed. */
	void (*drop)(void *arg, void *entry);
	void *arg;
};

struct cut;
struct cut *cut_new(const struct digest_idkey *key, const struct cut_target *target,
    unsigned workers);
void cut_free(struct cut *c);

/* expected: how many bytes will come, as far as known (only a hint; 0: none). */
void cut_begin(struct cut *c, void *entry, uint8_t grain_log2, uint64_t expected);
/* Where the next bytes go, and how many may be put there at most. NULL: the target failed. */
uint8_t *cut_space(struct cut *c, size_t *room, struct err *e);
int cut_filled(struct cut *c, size_t n, struct err *e);
/* The next n bytes are zero. */
int cut_zeros(struct cut *c, uint64_t n, struct err *e);
/*
 * The next n bytes are brought by workers, in stretches of up to a MiB: load(arg, offset in the
 * entry, ...) from several threads, see writer_load(). Begins at a grain's boundary; when it ends
 * elsewhere only cut_end may follow.
 */
struct cut_loader {
	ssize_t (*load)(void *arg, uint64_t off, void *buf, size_t n, struct err *e);
	void *arg;
	bool pad; /* zeros in place of what load did not get; else the entry ends there */
};
int cut_load(struct cut *c, uint64_t n, const struct cut_loader *l, struct err *e);
int cut_end(struct cut *c, struct err *e);
/*
 * Keeps the memory of a grain beyond the call until it is let go, both in the owner's thread; false:
 * enough is kept already. All must be let go before cut_free.
 */
bool cut_hold(struct cut_memory *m);
void cut_release(struct cut_memory *m);
/* Everything that went in has come out when this returns. */
int cut_flush(struct cut *c, struct err *e);

#endif
