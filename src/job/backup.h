#ifndef JOB_BACKUP_H
#define JOB_BACKUP_H

#include "job/session.h"
#include "job/watch.h"
#include "repo/manifest.h"

/*
 * One snapshot of one source on the first of its tiers that answers. A second run of the same source
 * on this host is refused with ERR_BUSY.
 */
struct backup_options {
	const struct conf_source *source;
	const char *tier;      /* NULL: the first of the source's tiers that answers */
	const char *job, *slot; /* for the manifest; may be NULL */
	bool read_all;	       /* compare every byte, whatever the source would trust */
	bool dry_run;	       /* look and count, store nothing */
	/* databases: another system than before stands behind the name now, and that is meant */
	bool new_system;
	bool allow_bad_pages;  /* databases: pages with a wrong checksum are kept and listed */
};

/* What a kind of source has to say besides: a member of the JSON object. */
struct backup_fact {
	const char *key; /* a literal: "wal_to" */
	char value[64];
	bool number; /* value is a whole one in decimal */
};
#define BACKUP_FACTS 12
#define BACKUP_NOTE 100

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
	char note[BACKUP_NOTE]; /* ends the summary line: "WAL to 5/7C0000F8"; "" none */
	struct backup_fact fact[BACKUP_FACTS];
	size_t facts;
};

/*
 * Every tier that is passed over and every file that was not captured as it should be is told to
 * the watch as "warning". ERR_REMOTE when no tier or source answers, ERR_CANCELLED when the watch
 * said stop: nothing is left behind but packs that gc takes care of. The report is filled in any
 * case.
 */
int backup_run(struct session *s, const struct backup_options *o, const struct watch *w,
    struct backup_report *ret, struct err *e);

#endif
