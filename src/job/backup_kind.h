#ifndef JOB_BACKUP_KIND_H
#define JOB_BACKUP_KIND_H

#include "job/backup.h"
#include "job/run.h"
#include "repo/writer.h"

/*
 * The part of a backup that depends on what is backed up. backup.c has the rest: lock, tier, parent,
 * commit, what is remembered and told. A kind is a const struct of these functions in a file of its
 * own, and a row of the array in backup.c.
 */
struct backup {
	struct run run; /* stands first: run_warn() and run_stop() take a struct backup */
	const struct backup_options *o;
	const struct conf_source *source;
	const struct backup_kind *kind;
	struct backup_report *report;
	/*
	 * What the writer is opened with. All of it is set before open(), which may change it:
	 * `root`, `any_order`, and `read_all` where the source trusts nothing anyway.
	 */
	struct writer_options writing;
	struct writer *writer; /* from after open() on; not in a dry run */
	struct tier *tier;     /* where it writes; like the writer */
	uint64_t expected;     /* bytes, by the parent; 0 unknown. For progress */
	uint64_t files;	       /* of the parent */
	void *own;	       /* the kind's, from open() to close() */
};

struct backup_kind {
	enum conf_kind kind;
	/* A snapshot of that name from another host is somebody else's: told as a warning. */
	bool of_host;
	/*
	 * Opens the source, before anything is asked of a tier: what cannot be reached or may not be
	 * read ends the run here. Also before look().
	 */
	int (*open)(struct backup *b, struct err *e);
	/*
	 * Is that parent (NULL: none) no ground to trust what looks unchanged? Asked unless
	 * writing.read_all. NULL: never.
	 */
	bool (*reads_all)(const struct backup *b, const struct manifest *parent);
	/*
	 * Everything into the writer, with the details of the manifest; into the report what commit
	 * cannot know. 1 all, 0 the time is up, -1.
	 */
	int (*capture)(struct backup *b, struct err *e);
	/*
	 * What must be durable on the tier before a whole snapshot may exist, details of the
	 * manifest included. NULL: nothing.
	 */
	int (*settle)(struct backup *b, struct err *e);
	/* A whole snapshot exists; what fails now is a warning. NULL: nothing. */
	void (*committed)(struct backup *b, const struct manifest *m);
	/* A dry run: what would be stored, into the report. */
	int (*look)(struct backup *b, struct err *e);
	/* In any case, also when open() failed or was never called. */
	void (*close)(struct backup *b);
};

/* A warning about the source by name, which makes the run a degraded one. */
void backup_warn(struct backup *b, const char *text);
/* The callback for capture(): tells the watch how far the writer is. arg: the struct backup. */
void backup_progress(void *arg);
/* Adds to report->fact; `number` says that the value is one. */
void backup_fact(struct backup *b, bool number, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The kinds there are. */
extern const struct backup_kind backup_volume;
extern const struct backup_kind backup_pg;

#endif
