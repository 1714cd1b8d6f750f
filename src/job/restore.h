#ifndef JOB_RESTORE_H
#define JOB_RESTORE_H

#include "job/preview.h"
#include "job/session.h"
#include "job/thaw.h"
#include "job/watch.h"

/*
 * A snapshot becomes a directory again. What may be written into: job/target.h.
 */
struct restore_report;
struct restore_options {
	const char *what; /* source or snapshot, as pick_snapshot() takes it */
	/*
	 * A volume: the newest until this TIME. A database: the place in its log, TIME, LSN, xid:N,
	 * name:NAME or latest. NULL: the newest, or the snapshot that was named.
	 */
	const char *at;
	const char *tier; /* read from this one first; NULL: the nearest that lists it */
	const char *to;
	const char *const *path; /* only these and what is below; none: everything */
	size_t paths;
	bool delta;   /* write only what differs, remove what the snapshot does not have */
	bool from_another_host; /* with delta: what lives here may become what lived there */
	bool dry_run; /* look and count, change nothing */
	bool no_sync; /* do not wait until everything is on disk */
	const struct thaw_wish *thaw; /* what of it lies in an archive; NULL: nothing is ordered */
	bool trusted; /* the directory is the caller's own: it is not judged */

	/* Databases only. */
	uint32_t timeline; /* that is the database, whatever is active; 0: the active one */
	bool before;	    /* stop in front of what `at` names, not behind it */
	const char *action; /* when it is reached: "promote", "pause", "shutdown"; NULL: promote */
	const char *const *tablespace; /* OID=DIR or NAME=DIR */
	size_t tablespaces;
	/* Asked before anything is written, or costs something: -1 ends it. NULL: nobody. */
	int (*ready)(void *arg, const struct restore_report *r, struct err *e);
	void *ready_arg;
	/*
	 * A directory of who will run the server. There that user gets a first segment of WAL before
	 * anything is written, and cannot while we can: that ends it. NULL: it is tried at the end, and
	 * told.
	 */
	const char *try_in;
	const char *tablespaces_below; /* all of them here, by number; NULL: where they were */
	bool standby;	    /* follows the archive for ever */
	bool adopt;	    /* is the database from now on: a new epoch */
	const char *owner;  /* whose the files become, when run as root; NULL: whose they were */
};

/* What one kind of source has to say of its restore: lines for people, facts for programs. */
struct restore_line {
	char label[12];
	char *text;
};
struct restore_fact {
	const char *key; /* a literal */
	bool number;
	char *value;
};
/* Databases: how the server will be, when it has been started. */
struct restore_database {
	unsigned major;	     /* 15; 0: this is none */
	uint64_t end;	     /* behind the last record that is replayed; 0: not known before */
	uint32_t timeline;   /* that is followed */
	uint64_t start, frontier; /* the WAL from here is asked for; the newest there is */
	bool checksums;	     /* its pages have them */
	uint32_t uid, gid;   /* whose the files are */
};

struct restore_report {
	char id[96], source[64];
	char *to;	  /* absolute */
	const char *tier; /* who was asked first */
	uint64_t entries, files;
	uint64_t bytes;	    /* of contents, holes included */
	uint64_t written;   /* bytes; in a dry run of files that look different */
	uint64_t unchanged; /* in a dry run: files that look right */
	uint64_t removed;   /* entries */
	uint64_t excluded;  /* entries left there because the source excludes them */
	/* in a dry run with delta: which */
	struct preview_names removes, makes, changes, adjusts;
	uint64_t missing;   /* files that could not be read when the snapshot was made */
	uint64_t lost;	    /* files that lack bytes, because no tier has them; each was told */
	/* objects that the first tier did not have whole; told as one warning */
	unsigned fallbacks;
	int64_t took_ns;
	int64_t waited_ns; /* of it before anything was read, until an archive gave it back; 0: no wait */

	struct restore_database database;
	struct restore_line *line;
	size_t lines, line_room;
	struct restore_fact *fact;
	size_t facts, fact_room;
};

/*
 * Whatever is not as it was captured is told to the watch as "warning". ERR_REFUSED: nothing was
 * touched. ERR_CANCELLED: interrupted; with --delta it goes on. The report is filled in any case.
 */
int restore_run(struct session *s, const struct restore_options *o, const struct watch *w,
    struct restore_report *ret, struct err *e);
void restore_report_done(struct restore_report *r);

#endif
