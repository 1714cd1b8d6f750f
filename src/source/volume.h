#ifndef SOURCE_VOLUME_H
#define SOURCE_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/writer.h"
#include "source/own.h"

/*
 * A directory tree as a source: `vol.NAME`. Capture is here; restoring is source/tree.h, exporting
 * source/tar.h.
 */
struct volume_options {
	const char *source; /* "vol.uploads" */
	const char *path;
	const char *const *exclude; /* see source/exclude.h */
	size_t excludes;
	const struct own *own; /* directories of ffdr itself: left out, told once; NULL: none */
	bool one_file_system;
	/*
	 * Files whose inode, size, mtime and ctime are those of the parent, and whose ctime is
	 * older than the parent's start, are taken over unread. Must be the opposite of
	 * writer_options.read_all.
	 */
	bool by_stat;
	/* How far the store's clock, which the parent's start is told in, may be from this host's.
	 * 0: the same clock. */
	int64_t clock_skew_ns;
	const char *before, *after; /* commands, NULL: none */
	int hook_timeout_s;	    /* 0: VOLUME_HOOK_S */

	/* All are set. */
	void (*warn)(void *arg, const char *text);
	bool (*stop)(void *arg);
	/* Now and then, so that somebody can ask writer_progress(). */
	void (*progress)(void *arg);
	void *arg;
};
#define VOLUME_HOOK_S 600

struct volume_report {
	uint64_t entries, files; /* listed in the snapshot */
	uint64_t kept;		 /* files taken over unread */
	uint64_t warnings;	 /* how often `warn` was called, whatever for */
	uint64_t changed;	 /* files that changed while they were read */
	uint64_t vanished;	 /* seen in a directory, gone when it was their turn */
	uint64_t unreadable;
	/* Warnings that are no daily life of a volume in use (unreadable, attributes lost, hook):
	 * the run is degraded. */
	uint64_t degraded;
};

/*
 * Writes the whole tree to the writer. 1: all of it; 0: the writer is late, commit a partial; -1:
 * nothing may be committed (ERR_CANCELLED when `stop` said so). The report is filled in any case.
 * `after` runs in any case once `before` was started; its failure is a warning.
 */
int volume_capture(struct writer *w, const struct volume_options *o, struct volume_report *report,
    struct err *e);

/* A volume is compared by content at least this often, whatever `compare` says. */
#define VOLUME_COMPARE_NS (INT64_C(7) * 24 * 3600 * 1000000000)
/*
 * Must this run read everything? forced: somebody asked for it. parent_compared_ns: 0 when there is
 * no parent. Becomes writer_options.read_all, and its opposite volume_options.by_stat.
 */
bool volume_reads_all(int64_t parent_compared_ns, int64_t now_ns, bool stat_wanted, bool forced);

#endif
