#ifndef JOB_BACKUP_H
#define JOB_BACKUP_H

#include "job/session.h"
#include "job/watch.h"
#include "repo/manifest.h"

/*
 * One snapshot of one source on the first of its tiers that answers. Hooks run around it; a second
 * run of the same source on this host is refused with ERR_BUSY.
 */
struct backup_options {
	const struct conf_volume *volume;
	const char *tier;      /* NULL: the first of the source's tiers that answers */
	const char *job, *slot; /* for the manifest; may be NULL */
	bool read_all;	       /* compare every byte, whatever `compare` says */
	bool dry_run;	       /* walk and count, store nothing */
};

struct backup_report {
	char source[64];
	char id[96];	  /* "" after a dry run */
	const char *tier; /* its name; borrowed from the session; NULL after a dry run */
	bool partial;	  /* the time was up: a parent for the next run, nothing to restore */
	bool first;	  /* there was no parent */
	bool compared;	  /* every byte was read and compared */
	uint64_t entries, files, bytes;
	uint64_t read;	 /* bytes */
	uint64_t fresh;	 /* bytes of contents that no parent had */
	uint64_t stored; /* bytes that went to the tier for them */
	uint64_t changed, vanished, unreadable; /* files */
	/* what is not as it should be, each told to the watch: a file, a tier, a hook */
	uint64_t degraded;
	unsigned skipped;  /* tiers before this one that did not answer; counted in degraded */
	int64_t took_ns;
};

/*
 * Every tier that is passed over and every file that was not captured as it should be is told to
 * the watch as "warning". ERR_REMOTE when no tier answers, ERR_CANCELLED when the watch said stop:
 * nothing is left behind but packs that gc takes care of. The report is filled in any case.
 */
int backup_run(struct session *s, const struct backup_options *o, const struct watch *w,
    struct backup_report *ret, struct err *e);

#endif
