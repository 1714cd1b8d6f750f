#ifndef REPO_WRITER_H
#define REPO_WRITER_H

#include <sys/types.h>

#include "filter/pool.h"
#include "repo/list.h"
#include "repo/manifest.h"
#include "repo/repo.h"

/*
 * A snapshot being written to one store. The source says what it found, in path order or, where it
 * said so, in any; the writer compares with the parent, stores what is new, and commits the
 * manifest last. Until writer_commit() returns 0 there is no snapshot.
 *
 *	writer_open_snapshot -> for each entry:
 *	    writer_begin(meta)                    tells whether the parent has it
 *	    file: writer_keep() | { writer_space/writer_filled | writer_hole | writer_load }*
 *	    writer_end(meta as it is at the end)
 *	-> writer_commit
 *
 * All of it is for one thread; the pool's workers are the only others.
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
	/*
	 * Entries come in any order, each path once; the list is sorted at the end. Then a file is
	 * compared with what had its path, never with what had its inode. A path that was given
	 * twice or lies in no directory that was given is ERR_CORRUPT at the commit (a partial one
	 * may lack directories: it is never restored).
	 */
	bool any_order;
	/* with any_order: lines of more than 32 MiB wait there, unlinked; NULL: in memory */
	const char *spill_dir;
	size_t spill_above;   /* tests make it small. 0: those 32 MiB */
	int64_t longest_ns;   /* W; tests make it short. 0: LAYOUT_W_NS */
	size_t line_max;      /* of an entry; tests make it short. 0: LIST_LINE_MAX */
};

struct writer_progress {
	uint64_t entries;
	uint64_t bytes_read;
	uint64_t bytes_unread; /* of files that were kept without being read */
	uint64_t bytes_new_raw, bytes_stored;
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
 * Paths must come in list_path_order (but with any_order). *parent: the entry of the same path,
 * else (files, not with any_order) of the same inode, NULL when none; it lives until the next
 * writer_begin. meta->grain_log2 says how a file is cut, 0: LAYOUT_GRAIN_LOG2; one that was cut
 * otherwise in the parent is stored anew.
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
 * The next `len` bytes of the file are brought by workers, many stretches at once, and cut and
 * compared as if they had come by writer_filled: order and result do not depend on the workers.
 *
 * load: brings up to n bytes (never more than a MiB) from offset off of the file into buf; called
 * from several threads at once, with 0 workers from this one. The buffer is its own until it
 * returns, so it may look at all of it and read again. Returns how many bytes it got. Fewer than n
 * mean that the file ended there: with `pad` the rest of the stretch is zeros, and so the file gets
 * the announced length; without, the file ends there, and whatever else comes for it is dropped.
 * -1 ends the run with that error, which names the file, as if it had happened in path order.
 *
 * done: once an entry for which writer_load was called, in the writer's thread: nothing of it is
 * being loaded any more, so arg may be released. meta is the entry as it goes into the list, size
 * included; done may still change its note and its times. NULL: the run failed, the entry is lost.
 * May be NULL.
 *
 * Calls of one file have the same loader. Loads begin at a grain's boundary, and only the last one
 * may end elsewhere: nothing but writer_end comes after that. Of small files up to 8 share a MiB,
 * and there are three MiB a worker and two more under way: so many may wait for their done.
 */
struct writer_loaded {
	uint64_t bytes;	 /* that load got, and that count */
	uint64_t padded; /* zeros put behind them */
	bool cut_short;	 /* the file ended before what was announced, and was not padded */
};
struct writer_loader {
	ssize_t (*load)(void *arg, uint64_t off, void *buf, size_t n, struct err *e);
	void (*done)(void *arg, struct entry *meta, const struct writer_loaded *got);
	void *arg;
	bool pad;
};
int writer_load(struct writer *w, uint64_t len, const struct writer_loader *l, struct err *e);
/*
 * meta: as it is after reading (size is what was read, note says what happened; of what is loaded
 * the size is found by the writer). Files, directories, all entries.
 */
int writer_end(struct writer *w, const struct entry *meta, struct err *e);
/* Everything that was ended has been seen: every done() it has to call was called. */
int writer_settle(struct writer *w, struct err *e);
/*
 * The file that was begun can take a few MiB more, and then its line would not fit into the list:
 * the source should stop, and note that it was not read to its end. `beside`: how long the line is
 * without its contents.
 */
bool writer_full(const struct writer *w, size_t beside);
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
