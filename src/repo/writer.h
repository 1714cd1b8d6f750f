#ifndef REPO_WRITER_H
#define REPO_WRITER_H

#include "filter/pool.h"
#include "repo/list.h"
#include "repo/manifest.h"
#include "repo/repo.h"

/*
 * A snapshot being written to one store. The source says what it found, in path order; the writer
 * compares with the parent, stores what is new, and commits the manifest last. Until
 * writer_commit() returns 0 there is no snapshot.
 *
 *	writer_open_snapshot -> for each entry in path order:
 *	    writer_begin(meta)                    tells whether the parent has it
 *	    file: writer_keep() | { writer_space/writer_filled | writer_hole }*
 *	    writer_end(meta as it is at the end)
 *	-> writer_commit
 */
struct writer;

struct writer_options {
	const char *source;   /* "vol.uploads" */
	const char *root;     /* for the manifest */
	const char *host, *job, *slot;
	int level;	      /* zstd */
	unsigned workers;     /* 0: everything inside the caller's thread */
	/* every grain will be compared by content: renews early, sets `compared` */
	bool read_all;
	bool no_parent;	      /* stores everything anew */
	int64_t longest_ns;   /* W; tests make it short. 0: LAYOUT_W_NS */
};

struct writer_progress {
	uint64_t entries, bytes_read, bytes_kept, bytes_new_raw, bytes_stored;
};

/* Chooses the parent (newest snapshot or partial of the source on that store) and opens it. */
int writer_open_snapshot(struct repo *repo, struct tier *tier, const struct writer_options *o,
    struct writer **ret, struct err *e);
const struct manifest *writer_parent(const struct writer *w); /* NULL: first backup */
/*
 * "", or what of the parent could not be read so far: then more is stored anew than had to be, and
 * somebody should be told.
 */
const char *writer_trouble(const struct writer *w);
/*
 * Paths must come in list_path_order. *parent: the entry of the same path, else (files) of the same
 * inode, NULL when none; it lives until the next writer_begin.
 */
int writer_begin(struct writer *w, const struct entry *meta, const struct entry **parent,
    struct err *e);
/*
 * Takes the parent's contents without reading: 1 done, 0 something of it is too old: read the file;
 */
int writer_keep(struct writer *w, struct err *e);
/*
 * Room for the next bytes of the file, at most *room of them; writer_filled tells how many were put
 * there.
 */
uint8_t *writer_space(struct writer *w, size_t *room, struct err *e); /* NULL: failed */
int writer_filled(struct writer *w, size_t n, struct err *e);
/* The next n bytes are zero and were not read. */
int writer_hole(struct writer *w, uint64_t n, struct err *e);
/*
 * meta: as it is after reading (size is what was read, note says what happened). Files,
 * directories, all entries.
 */
int writer_end(struct writer *w, const struct entry *meta, struct err *e);
/* True when the run nears W: the source should stop and the caller commit a partial. */
bool writer_late(const struct writer *w);
/* the source's own lines */
void writer_detail(struct writer *w, const char *key, const char *value);
void writer_progress(const struct writer *w, struct writer_progress *ret);

/*
 * Waits for all packs, reads them back (L2), puts the manifest, checks the packs are there.
 * partial: see writer_late.
 */
int writer_commit(struct writer *w, bool partial, struct manifest *ret, struct err *e);
void writer_free(struct writer *w); /* without commit: leaves only garbage behind */

#endif
