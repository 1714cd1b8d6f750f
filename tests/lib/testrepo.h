#ifndef TESTS_LIB_TESTREPO_H
#define TESTS_LIB_TESTREPO_H

#include "repo/writer.h"
#include "tests/lib/fileset.h"
#include "tests/lib/repokit.h"

/*
 * A repository with a source whose files are a fileset: writes snapshots of it as a source would,
 * and judges snapshots by everything that the format promises.
 */
struct testrepo {
	struct repokit kit;
	struct store *fault[REPOKIT_TIERS]; /* what stands before each tier's store: a faultstore */
	struct fileset set;
	struct writer_options options; /* source "vol.test"; tests change what they like */
	/* files that did not change are taken over unread where the writer allows */
	bool keep;
	bool holes; /* zeros come as holes, else as bytes */
	bool partial;
	bool troubled;  /* by the last run: something of the parent could not be read */
	size_t stop_at; /* a partial run ends before this file; 0: none */
	/* sha of each pack number seen; for testrepo_check() */
	uint8_t (*number)[LAYOUT_SHA];
	size_t numbers;
};

/* Stores in memory, or in files below a scratch directory (then several threads may use them). */
void testrepo_begin(struct testrepo *t, size_t tiers, bool files);
void testrepo_done(struct testrepo *t);
/* The store in memory behind the faultstore. */
struct store *testrepo_mem(struct testrepo *t, size_t tier);

/* What writer_commit() or the step that failed said. ret is the caller's to manifest_done(). */
int testrepo_write(struct testrepo *t, size_t tier, struct manifest *ret, struct err *e);
/* The same, must succeed, is checked; the name is put into snap. */
void testrepo_snapshot(struct testrepo *t, size_t tier, struct manifest *ret);

/*
 * Reads the snapshot on its own from the tier: every count recounted from the maps, every pack
 * there, and every byte of `set` read back twice, by grains and by a fetch with that many workers.
 * `set` NULL: no bytes.
 */
void testrepo_check(struct testrepo *t, size_t tier, const char *snap, const struct fileset *set,
		    unsigned workers);
/*
 * Only the bytes, through a fetch: its error is handed on. bound: of its plan in memory, 0 the
 * usual.
 */
int testrepo_fetch(struct testrepo *t, size_t tier, const char *snap, const struct fileset *set,
		   unsigned workers, size_t bound, struct err *e);

#endif
